/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun.db: instances, tracks and the journal. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/packed.h"
#include "store/sqlite/private.h"

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO meta VALUES('format', 2);"
	"CREATE TABLE IF NOT EXISTS instances(id INTEGER PRIMARY KEY, uuid BLOB, name TEXT);"
	"CREATE TABLE IF NOT EXISTS infos(instance INTEGER, number INTEGER, info BLOB,"
	" PRIMARY KEY(instance, number)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS tracks(id INTEGER PRIMARY KEY, instance INTEGER, \"group\" "
	"INTEGER, parameter TEXT, epoch TEXT, life TEXT, segment INTEGER, start INTEGER, told "
	"INTEGER);"
	"CREATE TABLE IF NOT EXISTS sources(worker TEXT, spool TEXT, host TEXT, sequence INTEGER,"
	" first INTEGER, until INTEGER, heard INTEGER, PRIMARY KEY(worker, spool)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS records(kind TEXT, key TEXT, value BLOB,"
	" PRIMARY KEY(kind, key)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS days(day INTEGER PRIMARY KEY);"
	"CREATE TABLE IF NOT EXISTS journal(id INTEGER PRIMARY KEY"
	" AUTOINCREMENT, committed INTEGER, rows BLOB);";

static const char *const sql[STATEMENTS_MAX] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[ADD_INSTANCE] = "INSERT OR REPLACE INTO instances VALUES(?1, ?2, ?3)",
	[ADD_INFO] = "INSERT OR REPLACE INTO infos VALUES(?1, ?2, ?3)",
	[ADD_TRACK] = "INSERT OR REPLACE INTO tracks VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	/* As sources_advance. */
	[ADVANCE_SOURCE] =
		("INSERT INTO sources VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET"
		 " host = iif(excluded.host = '', host, excluded.host),"
		 " first = iif(excluded.first = 0, first,"
		 "  iif(first = 0, excluded.first, min(first, excluded.first))),"
		 " until = iif(excluded.sequence < sequence OR excluded.until = 0, until,"
		 "  excluded.until),"
		 " heard = iif(excluded.sequence < sequence OR excluded.until = 0, heard,"
		 "  excluded.heard),"
		 " sequence = max(sequence, excluded.sequence)"),
	[PUT_RECORD] = "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3)",
	[GET_RECORDS] = "SELECT key, value FROM records WHERE kind = ?1 AND key >= ?2 ORDER BY key",
	[ADD_JOURNAL] = "INSERT INTO journal VALUES(?1, ?2, ?3)",
	[RESTED] = ("SELECT max(id) FROM journal WHERE committed <= ?1"
		    " AND (SELECT committed FROM journal ORDER BY id LIMIT 1) <= ?2"),
	[FORGET] = "DELETE FROM journal WHERE id <= ?1",
	[NOTE_DAY] = "INSERT OR IGNORE INTO days VALUES(?1)",
	[FORGET_DAYS] = "DELETE FROM days WHERE day < ?1",
};

int sqlite_outcome(sqlite3 *db, const char *what, struct error *err)
{
	int code = sqlite3_errcode(db) & 0xff;

	error_set(err, 0, "%s: %s", what, sqlite3_errmsg(db));
	switch (code) {
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return STORE_UNAVAILABLE;
	}
}

int sqlite_execute(sqlite3 *db, const char *text, struct error *err)
{
	return sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : sqlite_outcome(db, "the embedded store", err);
}

int sqlite_open_file(const char *path, sqlite3 **ret_db, struct error *err)
{
	sqlite3 *db = NULL;
	int r = 0;

	if (sqlite3_open_v2(path, &db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		r = db ? sqlite_outcome(db, path, err) : -ENOMEM;
	/* Exclusive: the files are ours alone, and the index of the log needs no file of its own,
	 * for which a full disk would have no room. */
	if (r == 0 && sqlite3_exec(db,
			      "PRAGMA auto_vacuum=INCREMENTAL;"
			      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
			      "PRAGMA synchronous=FULL;"
			      "PRAGMA temp_store=MEMORY;",
			      NULL, NULL, NULL) != SQLITE_OK)
		r = sqlite_outcome(db, path, err);
	if (r != 0) {
		sqlite3_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

int catalogue_load_rows(struct sqlite_store *store, const char *query,
	int (*each)(struct sqlite_store *store, sqlite3_stmt *row, struct error *err),
	struct error *err)
{
	sqlite3_stmt *statement;
	int r = 0, code;

	if (sqlite3_prepare_v2(store->db, query, -1, &statement, NULL) != SQLITE_OK)
		return sqlite_outcome(store->db, query, err);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = each(store, statement, err);
	if (r == 0 && code != SQLITE_DONE)
		r = sqlite_outcome(store->db, query, err);
	sqlite3_finalize(statement);
	return r;
}

static int check_format(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	int format = sqlite3_column_int(row, 0);

	return format == STORE_FORMAT ? 0
				      : error_set(err, -EPROTO,
						"it was written in format %d by another version; "
						"this one needs %d",
						format, STORE_FORMAT);
}

int catalogue_open(struct sqlite_store *store, struct error *err)
{
	char path[PATH_MAX_BYTES + 32];
	int r;

	snprintf(path, sizeof(path), "%s/kanyun.db", store->data_dir);
	r = sqlite_open_file(path, &store->db, err);
	if (r == 0)
		r = sqlite_execute(store->db, schema, err);
	if (r == 0)
		r = catalogue_load_rows(
			store, "SELECT value FROM meta WHERE key = 'format'", check_format, err);
	for (size_t i = 0; i < STATEMENTS_MAX && sql[i] && r == 0; i++)
		if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &store->statements[i], NULL) != SQLITE_OK)
			r = sqlite_outcome(store->db, path, err);
	return r;
}

void catalogue_close(struct sqlite_store *store)
{
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
}

int catalogue_run(struct sqlite_store *store, enum catalogue_statement statement, struct error *err)
{
	sqlite3_stmt *prepared = store->statements[statement];
	int code = sqlite3_step(prepared);
	int r = code == SQLITE_DONE || code == SQLITE_ROW
			? 0
			: sqlite_outcome(store->db, "the embedded store", err);

	sqlite3_reset(prepared);
	return r;
}

static int add_instance(struct sqlite_store *store, struct resident *resident, struct error *err)
{
	sqlite3_stmt *statement = store->statements[ADD_INSTANCE];

	sqlite3_clear_bindings(statement);
	sqlite3_bind_int64(statement, 1, (int64_t)resident->id);
	if (resident->key.has_uuid)
		sqlite3_bind_blob(statement, 2, resident->key.uuid.bytes, 16, SQLITE_STATIC);
	else
		sqlite3_bind_text(statement, 3, resident->key.name, -1, SQLITE_STATIC);
	return catalogue_run(store, ADD_INSTANCE, err);
}

static int add_infos(struct sqlite_store *store, struct resident *resident, struct error *err)
{
	sqlite3_stmt *statement = store->statements[ADD_INFO];
	CLEANUP(buffer_deinit) struct buffer buffer;
	int r = 0;

	buffer_init(&buffer, PACKED_INFO_MAX);
	for (size_t i = 0; i < resident->info_count && r == 0; i++) {
		if (resident->info_numbers[i] < resident->infos_stored)
			continue;
		buffer_clear(&buffer);
		packed_write_info(&buffer, &resident->infos[i]);
		r = buffer_check(&buffer);
		if (r < 0)
			return r;
		sqlite3_bind_int64(statement, 1, (int64_t)resident->id);
		sqlite3_bind_int64(statement, 2, (int64_t)resident->info_numbers[i]);
		sqlite3_bind_blob(statement, 3, buffer.bytes, (int)buffer.size, SQLITE_TRANSIENT);
		r = catalogue_run(store, ADD_INFO, err);
	}
	return r;
}

static int add_track(struct sqlite_store *store, const struct track *track, struct error *err)
{
	sqlite3_stmt *statement = store->statements[ADD_TRACK];

	sqlite3_bind_int64(statement, 1, (int64_t)track->id);
	sqlite3_bind_int64(statement, 2, (int64_t)track->instance->id);
	sqlite3_bind_int(statement, 3, (int)track->group);
	sqlite3_bind_text(statement, 4, track->parameter, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 5, track->epoch, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 6, track->life, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 7, track->segment);
	sqlite3_bind_int64(statement, 8, track->start_ms);
	sqlite3_bind_int64(statement, 9, track->start_told_ms);
	return catalogue_run(store, ADD_TRACK, err);
}

static int add_resident(struct sqlite_store *store, struct resident *resident, struct error *err)
{
	int r = resident->is_stored ? 0 : add_instance(store, resident, err);

	return r == 0 ? add_infos(store, resident, err) : r;
}

/* Writes one reading's tuples to the journal's blob, and what is new of its catalogue. */
static int write_reading(
	struct sqlite_store *store, const struct reading *reading, struct error *err)
{
	struct resident *resident;
	int r;

	pthread_mutex_lock(&store->lock);
	resident = tracks_resident(&store->tracks, &reading->instance);
	pthread_mutex_unlock(&store->lock);
	r = resident ? add_resident(store, resident, err) : -ENOMEM;
	for (size_t i = 0; i < reading->tuple_count && r == 0; i++) {
		const struct tuple *tuple = &reading->tuples[i];
		const struct track_key key = { resident, tuple->group, tuple->parameter,
			reading->epoch, tuple->life, reading->segment };
		const struct row row = { reading->time_ms, 0, tuple->present, false };
		struct track *track;

		pthread_mutex_lock(&store->lock);
		track = tracks_track(&store->tracks, &key);
		if (track)
			track_note_start(track, reading->time_ms, tuple_start_ms(reading, tuple));
		pthread_mutex_unlock(&store->lock);
		if (!track)
			return -ENOMEM;
		if (!track->is_stored)
			r = add_track(store, track, err);
		buffer_write_varint(&store->scratch, track->id);
		rows_write(&store->scratch, track->columns, &row, tuple->values, 1);
	}
	return r;
}

static int write_batch(struct sqlite_store *store, const struct batch *batch, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < batch->info_count && r == 0; i++) {
		const struct instance_key key = { .has_uuid = true, .uuid = batch->infos[i].uuid };
		struct resident *resident;
		int added;

		pthread_mutex_lock(&store->lock);
		resident = tracks_resident(&store->tracks, &key);
		added = resident ? resident_add_info(resident, &batch->infos[i]) : -ENOMEM;
		pthread_mutex_unlock(&store->lock);
		r = added < 0 ? added : add_resident(store, resident, err);
	}
	for (size_t i = 0; i < batch->reading_count && r == 0; i++)
		r = write_reading(store, &batch->readings[i], err);
	return r;
}

static int write_journal(
	struct sqlite_store *store, uint64_t journal, int64_t now_ms, struct error *err)
{
	sqlite3_stmt *statement = store->statements[ADD_JOURNAL];
	int r = buffer_check(&store->scratch);

	if (r == 0)
		r = blob_pack(store->compressor, &store->scratch, &store->packed);
	if (r < 0)
		return r;
	sqlite3_bind_int64(statement, 1, (int64_t)journal);
	sqlite3_bind_int64(statement, 2, now_ms);
	sqlite3_bind_blob(
		statement, 3, store->packed.bytes, (int)store->packed.size, SQLITE_STATIC);
	return catalogue_run(store, ADD_JOURNAL, err);
}

int catalogue_append(struct sqlite_store *store, const struct store_commit *commit,
	uint64_t journal, struct error *err)
{
	int r = catalogue_run(store, BEGIN, err);

	buffer_clear(&store->scratch);
	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = write_batch(store, commit->batches[i], err);
	if (r == 0)
		r = facts_write(store, commit, err);
	if (r == 0 && store->scratch.size)
		r = write_journal(store, journal, commit->now_ms, err);
	if (r == 0)
		r = catalogue_run(store, COMMIT, err);
	if (r != 0 && !sqlite3_get_autocommit(store->db)) {
		struct error ignored;

		(void)!catalogue_run(store, ROLLBACK, &ignored);
	}
	return r;
}

int catalogue_rested(
	struct sqlite_store *store, int64_t now_ms, uint64_t *ret_journal, struct error *err)
{
	sqlite3_stmt *statement = store->statements[RESTED];
	int r = 0;

	sqlite3_bind_int64(statement, 1, now_ms - store->seal_after_ms);
	sqlite3_bind_int64(statement, 2, now_ms - 2 * store->seal_after_ms);
	if (sqlite3_step(statement) == SQLITE_ROW)
		*ret_journal = (uint64_t)sqlite3_column_int64(statement, 0);
	else
		r = sqlite_outcome(store->db, "the journal", err);
	sqlite3_reset(statement);
	return r;
}

int catalogue_forget(struct sqlite_store *store, uint64_t journal, struct error *err)
{
	sqlite3_bind_int64(store->statements[FORGET], 1, (int64_t)journal);
	return catalogue_run(store, FORGET, err);
}

/* The caller has the write_lock, or is opening the store. */
static int add_noted(struct sqlite_store *store, int64_t day)
{
	if (store->noted_count == store->noted_room) {
		size_t room = store->noted_room + 64;
		int64_t *more = reallocarray(store->noted, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		store->noted = more;
		store->noted_room = room;
	}
	store->noted[store->noted_count++] = day;
	return 0;
}

static bool is_noted(const struct sqlite_store *store, int64_t day)
{
	for (size_t i = 0; i < store->noted_count; i++)
		if (store->noted[i] == day)
			return true;
	return false;
}

bool catalogue_has_noted(struct sqlite_store *store, int64_t day)
{
	bool has;

	pthread_mutex_lock(&store->write_lock);
	has = is_noted(store, day);
	pthread_mutex_unlock(&store->write_lock);
	return has;
}

int catalogue_note_day(struct sqlite_store *store, int64_t day, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&store->write_lock);
	if (!is_noted(store, day)) {
		sqlite3_bind_int64(store->statements[NOTE_DAY], 1, day);
		r = catalogue_run(store, NOTE_DAY, err);
		if (r == 0)
			r = add_noted(store, day);
	}
	pthread_mutex_unlock(&store->write_lock);
	return r;
}

int catalogue_forget_days(struct sqlite_store *store, int64_t before_day, struct error *err)
{
	size_t kept = 0;
	int r;

	pthread_mutex_lock(&store->write_lock);
	sqlite3_bind_int64(store->statements[FORGET_DAYS], 1, before_day);
	r = catalogue_run(store, FORGET_DAYS, err);
	for (size_t i = 0; r == 0 && i < store->noted_count; i++)
		if (store->noted[i] >= before_day)
			store->noted[kept++] = store->noted[i];
	if (r == 0)
		store->noted_count = kept;
	pthread_mutex_unlock(&store->write_lock);
	return r;
}

static int load_noted(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	return add_noted(store, sqlite3_column_int64(row, 0));
}

static int load_instance(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	struct instance_key key = { .name = (const char *)sqlite3_column_text(row, 2) };
	struct resident *resident;

	key.has_uuid = !key.name;
	if (key.has_uuid && sqlite3_column_bytes(row, 1) == 16)
		memcpy(key.uuid.bytes, sqlite3_column_blob(row, 1), 16);
	resident = tracks_resident(&store->tracks, &key);
	if (!resident)
		return -ENOMEM;
	if ((int64_t)resident->id != sqlite3_column_int64(row, 0))
		return error_set(err, -EBADMSG, "kanyun.db: instances are not what they were");
	resident->is_stored = true;
	return 0;
}

static struct resident *resident_of(struct sqlite_store *store, int64_t id)
{
	return id >= 1 && (uint64_t)id <= store->tracks.resident_count
		       ? store->tracks.residents[id - 1]
		       : NULL;
}

static int load_info(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	struct resident *resident = resident_of(store, sqlite3_column_int64(row, 0));
	struct cursor cursor =
		cursor_over(sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
	CLEANUP(arena_deinit) struct arena arena;
	struct instance_info info = { 0 };

	arena_init(&arena, INSTANCE_INFO_MEMORY_MAX);
	packed_read_info(&cursor, &arena, &info);
	if (!resident || cursor.is_broken)
		return error_set(err, -EBADMSG, "kanyun.db: an info of instance %lld is damaged",
			(long long)sqlite3_column_int64(row, 0));
	info.uuid = resident->key.uuid;
	if (resident_add_info(resident, &info) < 0)
		return -ENOMEM;
	resident->infos_stored = resident->info_count;
	return 0;
}

static int load_track(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	const struct track_key key = { resident_of(store, sqlite3_column_int64(row, 1)),
		(enum metric_group)sqlite3_column_int(row, 2),
		(const char *)sqlite3_column_text(row, 3),
		(const char *)sqlite3_column_text(row, 4),
		(const char *)sqlite3_column_text(row, 5), (uint32_t)sqlite3_column_int64(row, 6) };
	struct track *track;

	if (!key.instance || key.group >= _METRIC_GROUP_COUNT || !key.parameter || !key.epoch ||
		!key.life) {
		return error_set(err, -EBADMSG, "kanyun.db: track %lld is broken",
			(long long)sqlite3_column_int64(row, 0));
	}
	track = tracks_track(&store->tracks, &key);
	if (!track)
		return -ENOMEM;
	track_note_start(track, sqlite3_column_int64(row, 8), sqlite3_column_int64(row, 7));
	if ((int64_t)track->id != sqlite3_column_int64(row, 0))
		return error_set(err, -EBADMSG, "kanyun.db: tracks are not what they were");
	track->is_stored = true;
	return 0;
}

struct replay {
	struct track *track;
	uint64_t journal;
};

static int replay_row(void *context, int64_t time_ms, uint16_t present, const int64_t *values)
{
	struct replay *replay = context;
	struct store_tally ignored = { 0 };

	return track_add_row(replay->track, time_ms, present, values, replay->journal, &ignored);
}

static int load_journal(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	struct replay replay = { .journal = (uint64_t)sqlite3_column_int64(row, 0) };
	struct cursor cursor;
	int r = blob_unpack(store->decompressor, sqlite3_column_blob(row, 1),
		(size_t)sqlite3_column_bytes(row, 1), &store->scratch);

	store->journal = MAX_OF(store->journal, replay.journal);
	cursor = cursor_over(store->scratch.bytes, r == 0 ? store->scratch.size : 0);
	while (r == 0 && cursor_left(&cursor)) {
		replay.track = tracks_by_id(&store->tracks, cursor_read_varint(&cursor));
		r = replay.track ? rows_read(&cursor, replay.track->columns, replay_row, &replay)
				 : -EBADMSG;
	}
	return r == -EBADMSG ? error_set(err, r, "kanyun.db: row %llu of the journal is damaged",
				       (unsigned long long)replay.journal)
			     : r;
}

/* Numbers are never used again, though the rows that had them are gone. */
static int load_newest(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	store->journal = (uint64_t)sqlite3_column_int64(row, 0);
	return 0;
}

int catalogue_load(struct sqlite_store *store, struct error *err)
{
	int r = catalogue_load_rows(
		store, "SELECT id, uuid, name FROM instances ORDER BY id", load_instance, err);

	if (r == 0)
		r = catalogue_load_rows(store,
			"SELECT instance, info FROM infos ORDER BY instance, number", load_info,
			err);
	if (r == 0)
		r = catalogue_load_rows(store,
			"SELECT id, instance, \"group\", parameter, epoch, life, segment, start, "
			"told"
			" FROM tracks ORDER BY id",
			load_track, err);
	if (r == 0)
		r = facts_load(store, err);
	if (r == 0)
		r = catalogue_load_rows(store, "SELECT day FROM days", load_noted, err);
	if (r == 0)
		r = catalogue_load_rows(store,
			"SELECT seq FROM sqlite_sequence WHERE name = 'journal'", load_newest, err);
	if (r == 0)
		r = catalogue_load_rows(
			store, "SELECT id, rows FROM journal ORDER BY id", load_journal, err);
	return r;
}
