/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The files of days: chunks are readings of one instance, one file for each UTC day.
 *
 * A chunk's key is (instance, newest journal number that it covers). Sealing again after a crash
 * writes the same rows under the same or a later key; rows merge by their time when they are read,
 * so it does not matter. What was packed has the number 0, which no journal row has. A file whose
 * user_version is 1 is packed as a whole; 2: and so is the month that begins with it. Of files that
 * cannot be read, damage.c. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "store/sqlite/private.h"

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS chunks(instance INTEGER, journal INTEGER, rows BLOB,"
	" PRIMARY KEY(instance, journal)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS thinned(instance INTEGER PRIMARY KEY, rows BLOB);"
	"CREATE TABLE IF NOT EXISTS month(instance INTEGER PRIMARY KEY, rows BLOB);"
	"CREATE TABLE IF NOT EXISTS extents(track INTEGER PRIMARY KEY, first INTEGER, last "
	"INTEGER, seen INTEGER);";

static const char *const sql[_DAY_STATEMENT_COUNT] = {
	[DAY_ADD_CHUNK] = "INSERT OR REPLACE INTO chunks VALUES(?1, ?2, ?3)",
	[DAY_ADD_EXTENT] = ("INSERT INTO extents VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET"
			    " first = min(first, excluded.first), last = max(last, excluded.last),"
			    " seen = seen | excluded.seen"),
	[DAY_READ_CHUNKS] = "SELECT rows FROM chunks WHERE instance = ?1",
	[DAY_DROP_CHUNKS] = "DELETE FROM chunks WHERE instance = ?1",
	[DAY_ADD_THINNED] = "INSERT OR REPLACE INTO thinned VALUES(?1, ?2)",
	[DAY_READ_THINNED] = "SELECT rows FROM thinned WHERE instance = ?1",
	[DAY_DROP_THINNED] = "DELETE FROM thinned WHERE instance = ?1",
	[DAY_NEXT_UNPACKED] = ("SELECT min(instance) FROM chunks WHERE instance > ?1 AND NOT EXISTS"
			       " (SELECT 1 FROM thinned WHERE thinned.instance = chunks.instance)"),
	[DAY_NEXT_CROWDED] = ("SELECT instance FROM chunks WHERE instance > ?1 GROUP BY instance"
			      " HAVING count(*) > 8 ORDER BY instance LIMIT 1"),
	[DAY_ADD_MONTH] = "INSERT OR REPLACE INTO month VALUES(?1, ?2)",
	[DAY_READ_MONTH] = "SELECT rows FROM month WHERE instance = ?1",
};

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
		for (size_t i = 0; i < _DAY_STATEMENT_COUNT; i++)
			sqlite3_finalize(day->statements[i]);
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

static bool has_table(const struct sqlite_day *day, const char *table)
{
	return sqlite3_table_column_metadata(
		       day->db, NULL, table, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* The one that was not used for longest makes room. */
static int open_file(
	struct sqlite_store *store, int64_t number, struct sqlite_day **ret_day, struct error *err)
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
		day->has_thinned = has_table(day, "month");
		if (store->day_count == DAYS_OPEN_MAX)
			close_day(store->days[--store->day_count]);
		place = store->day_count++;
	}
	memmove(&store->days[1], &store->days[0], place * sizeof(day));
	store->days[0] = day;
	*ret_day = day;
	return 0;
}

int day_open(
	struct sqlite_store *store, int64_t number, struct sqlite_day **ret_day, struct error *err)
{
	int r = open_file(store, number, ret_day, err);

	if (r == 0 && !(*ret_day)->has_thinned)
		r = sqlite_execute((*ret_day)->db, schema, err);
	if (r == 0)
		(*ret_day)->has_thinned = true;
	if (r == 0 && !(*ret_day)->is_named)
		r = sqlite_sync_names(store, err);
	if (r == 0)
		(*ret_day)->is_named = true;
	return r;
}

/* Sealing on a full disk may have left a file without its tables, or without anything; that is
 * no reason for questions to fail. */
int day_open_to_read(
	struct sqlite_store *store, int64_t number, struct sqlite_day **ret_day, struct error *err)
{
	char path[DAY_PATH_SIZE];
	struct sqlite_day *day;
	struct stat status;
	int r, code;

	*ret_day = NULL;
	if (stat(day_path(store, number, "", path), &status) == 0 && status.st_size == 0)
		return 0;
	r = open_file(store, number, &day, err);
	if (r != 0)
		return r;
	code = sqlite3_table_column_metadata(
		day->db, NULL, "extents", NULL, NULL, NULL, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		*ret_day = day;
	return code == SQLITE_OK || code == SQLITE_ERROR /* there is no such table */
		       ? 0
		       : sqlite_outcome(day->db, "a day's file", err);
}

int day_prepare(struct sqlite_day *day, enum day_statement statement, sqlite3_stmt **ret_statement,
	struct error *err)
{
	if (!day->statements[statement] &&
		sqlite3_prepare_v3(day->db, sql[statement], -1, SQLITE_PREPARE_PERSISTENT,
			&day->statements[statement], NULL) != SQLITE_OK)
		return sqlite_outcome(day->db, "a day's file", err);
	*ret_statement = day->statements[statement];
	return 0;
}

int day_run(sqlite3_stmt *statement, struct error *err)
{
	int r = sqlite3_step(statement) == SQLITE_DONE
			? 0
			: sqlite_outcome(sqlite3_db_handle(statement), "a day's file", err);

	sqlite3_reset(statement);
	return r;
}

int day_read_parts(struct sqlite_store *store, struct sqlite_day *day, enum day_statement statement,
	uint64_t instance, part_fn each, void *context, size_t *ret_count, struct error *err)
{
	sqlite3_stmt *blobs;
	int r = day_prepare(day, statement, &blobs, err), code = SQLITE_DONE;

	*ret_count = 0;
	if (r != 0)
		return r;
	sqlite3_bind_int64(blobs, 1, (int64_t)instance);
	while (r == 0 && (code = sqlite3_step(blobs)) == SQLITE_ROW) {
		++*ret_count;
		r = blob_unpack(store->decompressor, sqlite3_column_blob(blobs, 0),
			(size_t)sqlite3_column_bytes(blobs, 0), &store->day_scratch);
		if (r == 0)
			r = parts_read(&store->day_scratch, each, context);
	}
	if (r == 0 && code != SQLITE_DONE)
		r = sqlite_outcome(day->db, "a day's file", err);
	sqlite3_reset(blobs);
	return r;
}

int day_end(struct sqlite_day *day, int r, struct error *err)
{
	if (r == 0)
		r = sqlite_execute(day->db, "COMMIT", err);
	if (r != 0 && !sqlite3_get_autocommit(day->db)) {
		struct error ignored;

		(void)!sqlite_execute(day->db, "ROLLBACK", &ignored);
	}
	return r;
}

void days_forget_unpacked(struct sqlite_store *store, int64_t day)
{
	for (size_t i = 0; i < store->unpacked_count; i++)
		if (store->unpacked[i] == day)
			store->unpacked[i--] = store->unpacked[--store->unpacked_count];
	if (store->crowded == day)
		store->crowded = -1;
	store->packed_until = 0;
}

int days_note_unpacked(struct sqlite_store *store, int64_t day)
{
	store->packed_until = 0;
	for (size_t i = 0; i < store->unpacked_count; i++)
		if (store->unpacked[i] == day)
			return 0;
	if (store->unpacked_count == store->unpacked_room) {
		size_t room = 2 * store->unpacked_room + 16;
		int64_t *more = reallocarray(store->unpacked, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		store->unpacked = more;
		store->unpacked_room = room;
	}
	store->unpacked[store->unpacked_count++] = day;
	return 0;
}

void days_close(struct sqlite_store *store)
{
	for (size_t i = 0; i < store->day_count; i++)
		close_day(store->days[i]);
	store->day_count = 0;
	free(store->unpacked);
	free(store->months);
}

int day_note_damage(struct sqlite_store *store, int64_t day, struct error *err)
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

static int prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_statement, struct error *err)
{
	return sqlite3_prepare_v2(db, text, -1, ret_statement, NULL) == SQLITE_OK
		       ? 0
		       : sqlite_outcome(db, "a day's file", err);
}

/* Reads all of it, which only a file that is doubted is worth. */
static int verify(struct sqlite_store *store, const struct sqlite_day *day, struct error *err)
{
	sqlite3_stmt *statement;
	int r, code = SQLITE_DONE;

	r = prepare(day->db, "PRAGMA quick_check(1)", &statement, err);
	if (r != 0)
		return r;
	if (sqlite3_step(statement) != SQLITE_ROW ||
		strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
		r = -EBADMSG;
	sqlite3_finalize(statement);
	if (r == 0)
		r = prepare(day->db,
			day->has_thinned
				? "SELECT rows FROM chunks UNION ALL SELECT rows FROM thinned"
				  " UNION ALL SELECT rows FROM month"
				: "SELECT rows FROM chunks",
			&statement, err);
	if (r != 0)
		return r;
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = blob_unpack(store->decompressor, sqlite3_column_blob(statement, 0),
			(size_t)sqlite3_column_bytes(statement, 0), &store->day_scratch);
	if (r == 0 && code != SQLITE_DONE)
		r = sqlite_outcome(day->db, "a day's file", err);
	sqlite3_finalize(statement);
	return r;
}

static int load_packed(struct sqlite_store *store, const struct sqlite_day *day, struct error *err)
{
	sqlite3_stmt *statement;
	int version = 0;
	int r = prepare(day->db, "PRAGMA user_version", &statement, err);

	if (r != 0)
		return r;
	if (sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	else
		r = sqlite_outcome(day->db, "a day's file", err);
	sqlite3_finalize(statement);
	if (r == 0)
		r = months_note(store, day->day, version == 2);
	return r == 0 && version == 0 ? days_note_unpacked(store, day->day) : r;
}

static int load_extents(
	struct sqlite_store *store, int64_t number, bool is_doubted, struct error *err)
{
	sqlite3_stmt *statement;
	struct sqlite_day *day;
	int r = day_open_to_read(store, number, &day, err), code = SQLITE_DONE;

	if (r == 0 && !day)
		return catalogue_has_noted(store, number) ? -EBADMSG : 0;
	if (r == 0 && is_doubted)
		r = verify(store, day, err);
	if (r == 0)
		r = load_packed(store, day, err);
	if (r != 0)
		return r;
	r = prepare(day->db, "SELECT track, first, last, seen FROM extents", &statement, err);
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
		r = sqlite_outcome(day->db, "a day's file", err);
	sqlite3_finalize(statement);
	return r == 0 ? catalogue_note_day(store, number, err) : r; /* earlier versions did not */
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
	days_forget_unpacked(store, day);
	months_forget(store, day);
	r = damage_set_aside(store, day, err);
	return r == 0 ? months_drop(store, day, err) : r;
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
			!damage_is_known(store, store->noted[i])) {
			r = damage_set_aside(store, store->noted[i], err);
			if (r == 0)
				r = months_drop(store, store->noted[i], err);
		}
	free(days);
	return r;
}

static void delete_day(struct sqlite_store *store, int64_t day)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	char path[DAY_PATH_SIZE];

	forget_day(store, day);
	days_forget_unpacked(store, day);
	months_forget(store, day);
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
