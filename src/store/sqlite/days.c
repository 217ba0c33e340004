/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Chunks: the readings of one instance that were sealed together, one file for each UTC day.
 *
 * A chunk's key is (instance, newest journal number that it covers). Sealing again after a crash
 * writes the same rows under the same or a later key; rows merge by their time when they are read,
 * so it does not matter. A chunk is a packed blob: for each track its id, the length of its rows,
 * and the rows (codec.c). Of files that cannot be read, damage.c. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "store/sqlite/private.h"

struct sqlite_day {
	int64_t day; /* days since 1970 */
	sqlite3 *db;
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS chunks(instance INTEGER, journal INTEGER, rows BLOB,"
	" PRIMARY KEY(instance, journal)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS extents(track INTEGER PRIMARY KEY, first INTEGER, last "
	"INTEGER, seen INTEGER);";

const char *day_path(
	const struct sqlite_store *store, int64_t day, const char *ending, char path[DAY_PATH_SIZE])
{
	time_t seconds = (time_t)(day * (DAY_MS / 1000));
	struct tm date;

	gmtime_r(&seconds, &date);
	snprintf(path, DAY_PATH_SIZE, "%s/day-%04d%02d%02d.db%s", store->data_dir,
		date.tm_year + 1900, date.tm_mon + 1, date.tm_mday, ending);
	return path;
}

/* The day of a file's name with that ending; -1 if it is none. */
static int64_t day_of_name(const char *name, const char *ending)
{
	struct tm date = { 0 };
	int end = 0;

	if (sscanf(name, "day-%4d%2d%2d.db%n", &date.tm_year, &date.tm_mon, &date.tm_mday, &end) !=
			3 ||
		end == 0 || strcmp(name + end, ending) != 0)
		return -1;
	date.tm_year -= 1900;
	date.tm_mon -= 1;
	return timegm(&date) / (DAY_MS / 1000);
}

int days_list(
	const struct sqlite_store *store, const char *ending, int64_t **ret_days, size_t *ret_count)
{
	int64_t *days = NULL;
	size_t count = 0, room = 0;
	struct dirent *entry;
	DIR *directory = opendir(store->data_dir);

	if (!directory)
		return -errno;
	while ((entry = readdir(directory))) {
		int64_t day = day_of_name(entry->d_name, ending);

		if (day < 0)
			continue;
		if (count == room) {
			int64_t *more = reallocarray(days, room + 64, sizeof(*days));

			if (!more)
				break;
			days = more;
			room += 64;
		}
		days[count++] = day;
	}
	closedir(directory);
	if (entry) {
		free(days);
		return -ENOMEM;
	}
	if (count)
		qsort(days, count, sizeof(*days), compare_i64);
	*ret_days = days;
	*ret_count = count;
	return 0;
}

static void close_day(struct sqlite_day *day)
{
	if (day) {
		sqlite3_close(day->db);
		free(day);
	}
}

/* Closes its file, if it is open. */
static void forget_day(struct sqlite_store *store, int64_t day)
{
	for (size_t i = 0; i < store->day_count; i++) {
		if (store->days[i]->day != day)
			continue;
		close_day(store->days[i]);
		memmove(&store->days[i], &store->days[i + 1],
			(--store->day_count - i) * sizeof(store->days[0]));
		return;
	}
}

/* The file of a day, opened and kept open; the one that was not used for longest makes room. */
static int open_day(struct sqlite_store *store, int64_t number, sqlite3 **ret_db, struct error *err)
{
	char path[DAY_PATH_SIZE];
	struct sqlite_day *day = NULL;
	size_t place = 0;
	int r;

	while (place < store->day_count && store->days[place]->day != number)
		place++;
	if (place < store->day_count) {
		day = store->days[place];
	} else {
		day = calloc(1, sizeof(*day));
		if (!day)
			return -ENOMEM;
		day->day = number;
		r = sqlite_open_file(day_path(store, number, "", path), &day->db, err);
		if (r != 0) {
			close_day(day);
			return r;
		}
		if (store->day_count == DAYS_OPEN_MAX)
			close_day(store->days[--store->day_count]);
		place = store->day_count++;
	}
	memmove(&store->days[1], &store->days[0], place * sizeof(day));
	store->days[0] = day;
	*ret_db = day->db;
	return 0;
}

/* Sealing on a full disk may have left a file without its tables, or without anything; that is
 * no reason for questions to fail. *ret_db is NULL: there is nothing in it. */
static int open_day_to_read(
	struct sqlite_store *store, int64_t number, sqlite3 **ret_db, struct error *err)
{
	char path[DAY_PATH_SIZE];
	struct stat status;
	sqlite3 *db;
	int r, code;

	*ret_db = NULL;
	if (stat(day_path(store, number, "", path), &status) == 0 && status.st_size == 0)
		return 0;
	r = open_day(store, number, &db, err);
	if (r != 0)
		return r;
	code = sqlite3_table_column_metadata(
		db, NULL, "extents", NULL, NULL, NULL, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		*ret_db = db;
	return code == SQLITE_OK || code == SQLITE_ERROR /* there is no such table */
		       ? 0
		       : sqlite_outcome(db, "a day's file", err);
}

void days_close(struct sqlite_store *store)
{
	for (size_t i = 0; i < store->day_count; i++)
		close_day(store->days[i]);
	store->day_count = 0;
}

/* Wrong numbers are worse than none: an answer that needs what cannot be read is an error. */
static int note_damage(struct sqlite_store *store, int64_t day, struct error *err)
{
	char path[DAY_PATH_SIZE];

	damage_doubt(store, day);
	pthread_mutex_lock(&store->lock);
	store->counters.corrupt++;
	pthread_mutex_unlock(&store->lock);
	return error_set(err, -EBADMSG,
		"'%s' is damaged; kanyun-server sets it aside when it is started again",
		day_path(store, day, "", path));
}

static bool is_sealed_now(const struct row *row, uint64_t journal, int64_t day)
{
	return row_is_of(row, journal) && floor_divide(row->time_ms, DAY_MS) == day;
}

/* What a day's file has of a track. */
struct extent {
	int64_t first_ms, last_ms; /* 0: nothing */
	uint16_t seen;
};

/* One track's rows of that day that the journal up to `journal` holds. */
static int write_track(const struct track *track, uint64_t journal, int64_t day,
	struct buffer *part, struct buffer *to, struct extent *ret_extent)
{
	struct row *rows = calloc(track->count + 1, sizeof(*rows));
	int64_t *values = calloc(track->count + 1, track->columns * sizeof(*values));
	size_t count = 0;

	*ret_extent = (struct extent){ 0, 0, 0 };
	for (size_t i = 0; rows && values && i < track->count; i++) {
		if (!is_sealed_now(&track->rows[i], journal, day))
			continue;
		rows[count] = track->rows[i];
		memcpy(&values[count * track->columns], &track->values[i * track->columns],
			track->columns * sizeof(*values));
		ret_extent->seen |= rows[count].present;
		count++;
	}
	buffer_clear(part);
	if (count) {
		rows_write(part, track->columns, rows, values, count);
		buffer_write_varint(to, track->id);
		buffer_write_varint(to, part->size);
		buffer_write(to, part->bytes, part->size);
		ret_extent->first_ms = rows[0].time_ms;
		ret_extent->last_ms = rows[count - 1].time_ms;
	}
	count = !rows || !values;
	free(rows);
	free(values);
	return count ? -ENOMEM : buffer_check(part);
}

struct sealing {
	struct sqlite_store *store;
	uint64_t journal;
	int64_t day;
	sqlite3_stmt *add_chunk, *add_extent;
	struct buffer part, rows, packed;
	ZSTD_CCtx *compressor; /* the writer's is in use meanwhile */
	uint64_t chunks, bytes;
};

static int step(sqlite3_stmt *statement, struct error *err)
{
	int r = sqlite3_step(statement) == SQLITE_DONE
			? 0
			: sqlite_outcome(sqlite3_db_handle(statement), "a day's file", err);

	sqlite3_reset(statement);
	return r;
}

static int seal_resident(
	struct sealing *sealing, const struct resident *resident, struct error *err)
{
	struct sqlite_store *store = sealing->store;
	const struct track *track;
	int r = 0;

	buffer_clear(&sealing->rows);
	for (size_t i = 0; r == 0; i++) {
		struct extent extent = { 0, 0, 0 };

		pthread_mutex_lock(&store->lock);
		track = i < resident->track_count ? resident->tracks[i] : NULL;
		if (track && track->count)
			r = write_track(track, sealing->journal, sealing->day, &sealing->part,
				&sealing->rows, &extent);
		pthread_mutex_unlock(&store->lock);
		if (!track)
			break;
		if (r != 0 || !extent.last_ms)
			continue;
		sqlite3_bind_int64(sealing->add_extent, 1, (int64_t)track->id);
		sqlite3_bind_int64(sealing->add_extent, 2, extent.first_ms);
		sqlite3_bind_int64(sealing->add_extent, 3, extent.last_ms);
		sqlite3_bind_int(sealing->add_extent, 4, extent.seen);
		r = step(sealing->add_extent, err);
	}
	if (r == 0)
		r = buffer_check(&sealing->rows);
	if (r != 0 || sealing->rows.size == 0)
		return r;
	r = blob_pack(sealing->compressor, &sealing->rows, &sealing->packed);
	if (r < 0)
		return r;
	sealing->chunks++;
	sealing->bytes += sealing->packed.size;
	sqlite3_bind_int64(sealing->add_chunk, 1, (int64_t)resident->id);
	sqlite3_bind_int64(sealing->add_chunk, 2, (int64_t)sealing->journal);
	sqlite3_bind_blob(sealing->add_chunk, 3, sealing->packed.bytes, (int)sealing->packed.size,
		SQLITE_STATIC);
	return step(sealing->add_chunk, err);
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *err)
{
	return sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL) == SQLITE_OK
		       ? 0
		       : sqlite_outcome(db, "a day's file", err);
}

static int seal_residents(struct sealing *sealing, sqlite3 *db, struct error *err)
{
	struct sqlite_store *store = sealing->store;
	size_t count;
	int r = sqlite_execute(db, "BEGIN IMMEDIATE", err);

	pthread_mutex_lock(&store->lock);
	count = store->tracks.resident_count;
	pthread_mutex_unlock(&store->lock);
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct resident *resident;

		pthread_mutex_lock(&store->lock);
		resident = store->tracks.residents[i];
		pthread_mutex_unlock(&store->lock);
		r = seal_resident(sealing, resident, err);
	}
	if (r == 0)
		r = sqlite_execute(db, "COMMIT", err);
	if (r != 0 && !sqlite3_get_autocommit(db)) {
		struct error ignored;

		(void)!sqlite_execute(db, "ROLLBACK", &ignored);
	}
	return r;
}

static int seal_day(struct sqlite_store *store, uint64_t journal, int64_t day, struct error *err)
{
	struct sealing sealing = { .store = store, .journal = journal, .day = day };
	sqlite3 *db;
	int r = open_day(store, day, &db, err);

	if (r == 0)
		r = sqlite_execute(db, schema, err);
	if (r != 0)
		return r;
	sealing.compressor = blob_compressor_new();
	if (!sealing.compressor)
		return -ENOMEM;
	buffer_init(&sealing.part, BLOB_MAX);
	buffer_init(&sealing.rows, BLOB_MAX);
	buffer_init(&sealing.packed, BLOB_MAX);
	r = prepare(
		db, "INSERT OR REPLACE INTO chunks VALUES(?1, ?2, ?3)", &sealing.add_chunk, err);
	if (r == 0)
		r = prepare(db,
			"INSERT INTO extents VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET"
			" first = min(first, excluded.first), last = max(last, excluded.last),"
			" seen = seen | excluded.seen",
			&sealing.add_extent, err);
	if (r == 0)
		r = seal_residents(&sealing, db, err);
	sqlite3_finalize(sealing.add_chunk);
	sqlite3_finalize(sealing.add_extent);
	buffer_deinit(&sealing.part);
	buffer_deinit(&sealing.rows);
	buffer_deinit(&sealing.packed);
	ZSTD_freeCCtx(sealing.compressor);
	pthread_mutex_lock(&store->lock);
	store->counters.chunks_written += sealing.chunks;
	store->counters.chunk_bytes += sealing.bytes;
	pthread_mutex_unlock(&store->lock);
	return r;
}

/* The earliest day after `after` that has rows to be sealed; INT64_MAX if there is none. */
static int64_t next_day(struct sqlite_store *store, uint64_t journal, int64_t after)
{
	int64_t next = INT64_MAX;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < store->tracks.resident_count; i++)
		for (size_t j = 0; j < store->tracks.residents[i]->track_count; j++) {
			const struct track *track = store->tracks.residents[i]->tracks[j];

			for (size_t k = 0; k < track->count; k++) {
				int64_t day = floor_divide(track->rows[k].time_ms, DAY_MS);

				if (row_is_of(&track->rows[k], journal) && day > after &&
					day < next)
					next = day;
			}
		}
	pthread_mutex_unlock(&store->lock);
	return next;
}

int days_seal(struct sqlite_store *store, uint64_t journal, struct error *err)
{
	int64_t day = next_day(store, journal, INT64_MIN);
	int r = 0;

	for (; day != INT64_MAX && r == 0; day = next_day(store, journal, day)) {
		pthread_mutex_lock(&store->days_lock);
		r = seal_day(store, journal, day, err);
		if (r == -EBADMSG)
			r = note_damage(store, day, err);
		pthread_mutex_unlock(&store->days_lock);
		if (r == 0)
			r = catalogue_note_day(store, day, err);
	}
	return r;
}

/* Reads all of it, which only a file that is doubted is worth. */
static int verify(sqlite3 *db, struct error *err)
{
	CLEANUP(buffer_deinit) struct buffer scratch;
	sqlite3_stmt *statement;
	int r, code = SQLITE_DONE;

	buffer_init(&scratch, BLOB_MAX);
	r = prepare(db, "PRAGMA quick_check(1)", &statement, err);
	if (r != 0)
		return r;
	if (sqlite3_step(statement) != SQLITE_ROW ||
		strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
		r = -EBADMSG;
	sqlite3_finalize(statement);
	if (r == 0)
		r = prepare(db, "SELECT rows FROM chunks", &statement, err);
	if (r != 0)
		return r;
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = blob_unpack(sqlite3_column_blob(statement, 0),
			(size_t)sqlite3_column_bytes(statement, 0), &scratch);
	if (r == 0 && code != SQLITE_DONE)
		r = sqlite_outcome(db, "a day's file", err);
	sqlite3_finalize(statement);
	return r;
}

static int load_extents(struct sqlite_store *store, int64_t day, bool is_doubted, struct error *err)
{
	sqlite3_stmt *statement;
	sqlite3 *db;
	int r = open_day_to_read(store, day, &db, err), code = SQLITE_DONE;

	if (r == 0 && !db)
		return catalogue_has_noted(store, day) ? -EBADMSG : 0;
	if (r == 0 && is_doubted)
		r = verify(db, err);
	if (r != 0)
		return r;
	r = prepare(db, "SELECT track, first, last, seen FROM extents", &statement, err);
	if (r != 0)
		return r;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct track *track =
			tracks_by_id(&store->tracks, (uint64_t)sqlite3_column_int64(statement, 0));

		if (track)
			track_extend(track, sqlite3_column_int64(statement, 1),
				sqlite3_column_int64(statement, 2),
				(uint16_t)sqlite3_column_int(statement, 3));
	}
	if (code != SQLITE_DONE)
		r = sqlite_outcome(db, "a day's file", err);
	sqlite3_finalize(statement);
	return r == 0 ? catalogue_note_day(store, day, err) : r; /* earlier versions did not */
}

static int load_day(struct sqlite_store *store, int64_t day, struct error *err)
{
	bool is_doubted = damage_is_doubted(store, day);
	int r = load_extents(store, day, is_doubted, err);

	if (r == 0 && is_doubted)
		damage_clear_doubt(store, day);
	if (r != -EBADMSG)
		return r;
	forget_day(store, day);
	return damage_set_aside(store, day, err);
}

static bool has_day(const int64_t *days, size_t count, int64_t day)
{
	return count && bsearch(&day, days, count, sizeof(*days), compare_i64);
}

int days_load(struct sqlite_store *store, struct error *err)
{
	int64_t *days = NULL;
	size_t count = 0;
	int r = days_list(store, "", &days, &count);

	for (size_t i = 0; i < count && r == 0; i++)
		r = load_day(store, days[i], err);
	for (size_t i = 0; i < store->noted_count && r == 0; i++)
		if (!has_day(days, count, store->noted[i]) &&
			!damage_is_known(store, store->noted[i]))
			r = damage_set_aside(store, store->noted[i], err);
	free(days);
	return r;
}

struct reading_chunk {
	struct gathering *gathering;
	struct gathered *gathered;
};

static int gather_row(void *context, int64_t time_ms, uint16_t present, const int64_t *values)
{
	struct reading_chunk *reading = context;

	return gathering_add(reading->gathering, reading->gathered, time_ms, present, values);
}

/* Returns -EBADMSG if its bytes are not what was written. */
static int gather_chunk(struct gathering *gathering, sqlite3_stmt *row, struct buffer *scratch)
{
	struct reading_chunk reading = { .gathering = gathering };
	struct cursor cursor;
	int r = blob_unpack(
		sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), scratch);

	cursor = cursor_over(scratch->bytes, r == 0 ? scratch->size : 0);
	while (r == 0 && cursor_left(&cursor)) {
		uint64_t track_id = cursor_read_varint(&cursor);
		size_t size = cursor_read_size(&cursor, BLOB_MAX);
		const uint8_t *bytes = cursor_read_bytes(&cursor, size);
		struct cursor rows = cursor_over(bytes, bytes ? size : 0);

		reading.gathered = gathering_of(gathering, track_id);
		if (!bytes)
			r = -EBADMSG;
		else if (reading.gathered)
			r = rows_read(
				&rows, reading.gathered->track->columns, gather_row, &reading);
	}
	return r;
}

static int gather_day(struct sqlite_store *store, struct gathering *gathering, int64_t day,
	uint64_t instance, struct error *err)
{
	CLEANUP(buffer_deinit) struct buffer scratch;
	sqlite3_stmt *statement;
	sqlite3 *db;
	int r, code = SQLITE_DONE;

	buffer_init(&scratch, BLOB_MAX);
	r = open_day_to_read(store, day, &db, err);
	if (r != 0 || !db)
		return r;
	r = prepare(db, "SELECT rows FROM chunks WHERE instance = ?1", &statement, err);
	if (r != 0)
		return r;
	sqlite3_bind_int64(statement, 1, (int64_t)instance);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = gather_chunk(gathering, statement, &scratch);
	if (r == 0 && code != SQLITE_DONE)
		r = sqlite_outcome(db, "a day's file", err);
	sqlite3_finalize(statement);
	return r;
}

static int try_day(struct sqlite_store *store, struct gathering *gathering, int64_t day,
	uint64_t instance, struct error *err)
{
	int r = gather_day(store, gathering, day, instance, err);

	return r == -EBADMSG ? note_damage(store, day, err) : r;
}

/* Could a day have a row that is nearer before (or after) the window than what was found, for any
 * of the columns? What is in memory may be farther away than what a day's file has, and nearer. */
static bool wants_before(
	const struct gathering *gathering, const struct gathered *gathered, int64_t day)
{
	bool wants = false;

	for (unsigned int i = 0; i < gathered->track->columns; i++)
		wants |= gathered->wanted & 1u << i &&
			 gathered->before_ms[i] < (day + 1) * DAY_MS - 1;
	return wants && gathered->first_ms < gathering->scan->from_ms;
}

static bool wants_after(
	const struct gathering *gathering, const struct gathered *gathered, int64_t day)
{
	bool wants = false;

	for (unsigned int i = 0; i < gathered->track->columns; i++)
		wants |= gathered->wanted & 1u << i && gathered->after_ms[i] > day * DAY_MS;
	return wants && gathered->last_ms > gathering->scan->to_ms;
}

/* Could a day's file hold what one of the tracks still wants? */
static bool is_wanted(const struct gathering *gathering, int64_t day,
	bool (*wants)(const struct gathering *, const struct gathered *, int64_t))
{
	for (size_t i = 0; i < gathering->count; i++) {
		const struct gathered *gathered = &gathering->all[i];

		if (floor_divide(gathered->first_ms, DAY_MS) <= day &&
			floor_divide(gathered->last_ms, DAY_MS) >= day &&
			wants(gathering, gathered, day))
			return true;
	}
	return false;
}

static bool is_inside(
	const struct gathering *gathering, const struct gathered *gathered, int64_t day)
{
	return true;
}

static int gather_days(struct sqlite_store *store, struct gathering *gathering, const int64_t *days,
	size_t count, struct error *err)
{
	int64_t from = floor_divide(gathering->scan->from_ms, DAY_MS);
	int64_t to = floor_divide(gathering->scan->to_ms, DAY_MS);
	uint64_t instance = gathering->all[0].track->instance->id;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		if (days[i] >= from && days[i] <= to && is_wanted(gathering, days[i], is_inside))
			r = try_day(store, gathering, days[i], instance, err);
	for (size_t i = count; i > 0 && r == 0; i--)
		if (days[i - 1] < from && is_wanted(gathering, days[i - 1], wants_before))
			r = try_day(store, gathering, days[i - 1], instance, err);
	for (size_t i = 0; i < count && r == 0; i++)
		if (days[i] > to && is_wanted(gathering, days[i], wants_after))
			r = try_day(store, gathering, days[i], instance, err);
	return r;
}

int days_gather(struct sqlite_store *store, struct gathering *gathering, struct error *err)
{
	int64_t *days = NULL;
	size_t count = 0;
	int r = 0;

	if (gathering->count == 0)
		return 0;
	pthread_mutex_lock(&store->days_lock);
	r = days_list(store, "", &days, &count);
	if (r == 0)
		r = gather_days(store, gathering, days, count, err);
	pthread_mutex_unlock(&store->days_lock);
	free(days);
	return r;
}

static void delete_day(struct sqlite_store *store, int64_t day)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	char path[DAY_PATH_SIZE];

	forget_day(store, day);
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		(void)unlink(day_path(store, day, endings[i], path));
}

int days_delete_before(struct sqlite_store *store, int64_t before_ms, struct error *err)
{
	int64_t *days = NULL;
	size_t count = 0, deleted = 0;
	int r;

	pthread_mutex_lock(&store->days_lock);
	r = days_list(store, "", &days, &count);
	for (; r == 0 && deleted < count && (days[deleted] + 1) * DAY_MS <= before_ms; deleted++)
		delete_day(store, days[deleted]);
	if (r == 0)
		r = damage_delete_before(store, floor_divide(before_ms, DAY_MS));
	pthread_mutex_unlock(&store->days_lock);
	free(days);
	if (r == 0)
		r = catalogue_forget_days(store, floor_divide(before_ms, DAY_MS), err);
	pthread_mutex_lock(&store->lock);
	if (r == 0)
		tracks_drop_before(&store->tracks, before_ms);
	store->counters.days_deleted += deleted;
	pthread_mutex_unlock(&store->lock);
	return r;
}
