/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the files of this backend share.
 *
 *     data_dir/lock             held by the one server that may write here
 *     data_dir/kanyun.db        catalogue.c: instances, tracks, journal; facts.c: sources, records
 *     data_dir/day-YYYYMMDD.db  days.c: the readings of one UTC day, which sealing.c writes,
 *                               packing.c and months.c pack, reading.c reads; damage.c: those
 *                               that cannot be read
 *
 * Invariants, which docs/storage.md explains:
 * 1. A commit is one transaction of kanyun.db with synchronous=FULL: journal row, new catalogue
 *    rows, sources and records become durable together.
 * 2. Every reading is in the journal or in a chunk; for a moment in both, which is harmless, for
 *    equal keys merge.
 * 3. A chunk is written and synced before the journal rows it came from are deleted; a row that
 *    later commits touched, too, is written all the same, for they hold only their part of it.
 * 4. Ids of instances and tracks never change and are never used again.
 * 5. A day's file has thinned rows of an instance only as long as they are made of all its chunks;
 *    a month has rows only as long as they are made of all its days' thinned rows.
 * 6. Before a chunk's journal rows are deleted, its day is noted in kanyun.db: if its file is not
 *    there later, its readings are lost, and that is known. */

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/error.h"
#include "store/gathering.h"
#include "store/sources.h"
#include "store/tracks.h"

enum {
	BLOB_MAX = 256 * 1024 * 1024,
	PATH_MAX_BYTES = 1024,
	DAY_PATH_SIZE = PATH_MAX_BYTES + 64,
	DAYS_OPEN_MAX = 40, /* a month, and what is next to it */
	STATEMENTS_MAX = 16,
	STORE_FORMAT = 2, /* of all files; another one is refused */
};

static const int64_t DAY_MS = INT64_C(24) * 60 * 60 * 1000;

struct sqlite_counters {
	uint64_t journal_rows, journal_bytes, chunks_written, chunk_bytes, corrupt, days_deleted,
		packed;
};

/* What is done with the file of a day. */
enum day_statement {
	DAY_ADD_CHUNK,
	DAY_ADD_EXTENT,
	DAY_READ_CHUNKS,
	DAY_DROP_CHUNKS,
	DAY_ADD_THINNED,
	DAY_READ_THINNED,
	DAY_DROP_THINNED,
	DAY_NEXT_UNPACKED,
	DAY_NEXT_CROWDED,
	DAY_ADD_MONTH,
	DAY_READ_MONTH,
	_DAY_STATEMENT_COUNT,
};

struct sqlite_day {
	int64_t day; /* since 1970 */
	sqlite3 *db;
	sqlite3_stmt *statements[_DAY_STATEMENT_COUNT];
	bool has_thinned; /* the tables: files of earlier versions have none until they are packed
			   */
	bool is_named;    /* for good: sqlite_sync_names */
};

/* A month (UTC) whose first day has a file, in which its rows are. */
struct sqlite_month {
	int64_t first_day, end_day; /* of the next one */
	bool is_packed;
	uint64_t packed_until; /* the instance up to which it is, while it is on its way */
};

struct sqlite_store {
	struct store store;
	char data_dir[PATH_MAX_BYTES];
	int64_t seal_after_ms;
	int lock_fd;

	pthread_mutex_t write_lock; /* db and its statements; taken before `lock` */
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS_MAX];
	struct buffer scratch, packed;
	ZSTD_CCtx *compressor;
	int64_t *noted; /* the days that kanyun.db notes */
	size_t noted_count, noted_room;

	pthread_mutex_t lock; /* tracks, sources and counters */
	struct tracks tracks;
	struct sources sources;
	uint64_t journal; /* the number of the newest commit */
	struct sqlite_counters counters;

	pthread_mutex_t days_lock; /* day files; taken alone, or after write_lock */
	struct sqlite_day *days[DAYS_OPEN_MAX];
	size_t day_count;
	int64_t *unpacked; /* days that packing has to look at */
	size_t unpacked_count, unpacked_room;
	uint64_t packed_until; /* the instance up to which the day is packed that is on its way */
	struct sqlite_month *months;
	size_t month_count, month_room;
	int64_t crowded; /* the day that was sealed into last; -1: its chunks were merged */
	ZSTD_DCtx *decompressor;
	struct buffer day_scratch; /* what was decompressed last */
};

/* What SQLite's result means to callers of the store. */
int sqlite_outcome(sqlite3 *db, const char *what, struct error *err);
MUST_CHECK int sqlite_execute(sqlite3 *db, const char *sql, struct error *err);
/* Opens a file with the settings that all of them have. */
MUST_CHECK int sqlite_open_file(const char *path, sqlite3 **ret_db, struct error *err);
/* Of the files that were opened and their logs, before anything in them counts as stored: SQLite
 * syncs the directory after it made them, but goes on if that fails (unixSync in os_unix.c). */
MUST_CHECK int sqlite_sync_names(struct sqlite_store *store, struct error *err);

/* codec.c: rows as they stand in journal and chunks. */
void rows_write(struct buffer *to, unsigned int columns, const struct row *rows,
	const int64_t *values, size_t count);
typedef int (*row_fn)(void *context, int64_t time_ms, uint16_t present, const int64_t *values);
MUST_CHECK int rows_read(struct cursor *from, unsigned int columns, row_fn each, void *context);
/* A chunk is parts: of each track its id, the length of its rows, and the rows. */
void part_write(struct buffer *to, struct buffer *scratch, const struct track *track,
	const struct row *rows, const int64_t *values, size_t count);
typedef int (*part_fn)(void *context, uint64_t track_id, struct cursor *rows);
MUST_CHECK int parts_read(const struct buffer *from, part_fn each, void *context);
/* To write small, or to be read fast: small blobs are read faster where they have no tables of
 * their own (zstd.h: negative levels). NULL if there is no memory. */
enum { BLOB_SMALL = 1, BLOB_FAST = -5 };
ZSTD_CCtx *blob_compressor_new(int level);
MUST_CHECK int blob_pack(ZSTD_CCtx *compressor, const struct buffer *from, struct buffer *to);
/* A decompressor is used again and again: making one is slow. */
MUST_CHECK int blob_unpack(
	ZSTD_DCtx *decompressor, const void *bytes, size_t size, struct buffer *to);

/* catalogue.c */
MUST_CHECK int catalogue_open(struct sqlite_store *store, struct error *err);
void catalogue_close(struct sqlite_store *store);
MUST_CHECK int catalogue_load(struct sqlite_store *store, struct error *err);
MUST_CHECK int catalogue_append(struct sqlite_store *store, const struct store_commit *commit,
	uint64_t journal, struct error *err);
/* The newest journal row that rested for seal_after_ms, once the oldest did for twice as long, so
 * that chunks are not of single readings; 0 if there is none. */
MUST_CHECK int catalogue_rested(
	struct sqlite_store *store, int64_t now_ms, uint64_t *ret_journal, struct error *err);
MUST_CHECK int catalogue_forget(struct sqlite_store *store, uint64_t journal, struct error *err);
/* The days (since 1970) that have a file; these take the write_lock. */
bool catalogue_has_noted(struct sqlite_store *store, int64_t day);
MUST_CHECK int catalogue_note_day(struct sqlite_store *store, int64_t day, struct error *err);
MUST_CHECK int catalogue_forget_days(
	struct sqlite_store *store, int64_t before_day, struct error *err);

/* Runs one of the catalogue's statements, which is bound. */
enum catalogue_statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	ADD_INSTANCE,
	ADD_INFO,
	ADD_TRACK,
	ADVANCE_SOURCE,
	PUT_RECORD,
	GET_RECORDS,
	ADD_JOURNAL,
	RESTED,
	FORGET,
	NOTE_DAY,
	FORGET_DAYS,
};
MUST_CHECK int catalogue_run(
	struct sqlite_store *store, enum catalogue_statement statement, struct error *err);
/* Calls `each` for the rows of a query. */
MUST_CHECK int catalogue_load_rows(struct sqlite_store *store, const char *query,
	int (*each)(struct sqlite_store *store, sqlite3_stmt *row, struct error *err),
	struct error *err);

/* facts.c: what is no reading. */
MUST_CHECK int facts_write(
	struct sqlite_store *store, const struct store_commit *commit, struct error *err);
MUST_CHECK int facts_load(struct sqlite_store *store, struct error *err);
MUST_CHECK int facts_records(struct sqlite_store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err);

/* days.c. The path is written to `path`, and returned. */
const char *day_path(const struct sqlite_store *store, int64_t day, const char *ending,
	char path[DAY_PATH_SIZE]);
/* The days that have a file whose name has that ending, ascending. *ret_days is the caller's to
 * free. */
MUST_CHECK int days_list(const struct sqlite_store *store, const char *ending, int64_t **ret_days,
	size_t *ret_count);
/* What is in which day's file; those that cannot be read are set aside. */
MUST_CHECK int days_load(struct sqlite_store *store, struct error *err);
MUST_CHECK int days_delete_before(struct sqlite_store *store, int64_t before_ms, struct error *err);
void days_close(struct sqlite_store *store);

/* The caller has the days_lock. The file of a day, opened and kept open; to be written, with its
 * tables. To be read: NULL if there is nothing in it. */
MUST_CHECK int day_open(
	struct sqlite_store *store, int64_t number, struct sqlite_day **ret_day, struct error *err);
MUST_CHECK int day_open_to_read(
	struct sqlite_store *store, int64_t number, struct sqlite_day **ret_day, struct error *err);
/* A statement, which is kept; to be reset. */
MUST_CHECK int day_prepare(struct sqlite_day *day, enum day_statement statement,
	sqlite3_stmt **ret_statement, struct error *err);
/* Runs one that gives no rows. */
MUST_CHECK int day_run(sqlite3_stmt *statement, struct error *err);
/* Calls `each` for the parts of an instance's blobs, which one of the reading statements gives;
 * *ret_count is how many blobs there were. -EBADMSG: one is not what was written. */
MUST_CHECK int day_read_parts(struct sqlite_store *store, struct sqlite_day *day,
	enum day_statement statement, uint64_t instance, part_fn each, void *context,
	size_t *ret_count, struct error *err);
/* A transaction: commits if r is 0, else takes it back. Returns r, or why it could not. */
MUST_CHECK int day_end(struct sqlite_day *day, int r, struct error *err);
/* What could not be read: wrong numbers are worse than none. Returns -EBADMSG with a text. */
int day_note_damage(struct sqlite_store *store, int64_t day, struct error *err);
/* A day is to be packed, from its first instance on; or not any more. */
MUST_CHECK int days_note_unpacked(struct sqlite_store *store, int64_t day);
void days_forget_unpacked(struct sqlite_store *store, int64_t day);

/* sealing.c: what the journal up to a number holds becomes chunks. */
MUST_CHECK int days_seal(struct sqlite_store *store, uint64_t journal, struct error *err);

/* packing.c: of the days that ended before, makes one chunk of each instance's chunks, and thinned
 * rows; of others, one chunk where there are many. A bounded piece of work; *ret_more says that
 * there is more. */
MUST_CHECK int days_pack(
	struct sqlite_store *store, int64_t before_ms, bool *ret_more, struct error *err);

/* months.c. A day has a file; is_packed: and so are the rows of the month that begins with it. */
MUST_CHECK int months_note(struct sqlite_store *store, int64_t day, bool is_packed);
/* The day's file is gone. */
void months_forget(struct sqlite_store *store, int64_t day);
/* Before anything of a day changes: the rows of its month are dropped, if there are any. */
MUST_CHECK int months_drop(struct sqlite_store *store, int64_t day, struct error *err);
/* Packs the next part of a month that ended before, all of whose days are packed. */
MUST_CHECK int months_pack(
	struct sqlite_store *store, int64_t before_ms, bool *ret_more, struct error *err);

/* reading.c: what the days' files hold for each of the gatherings. */
MUST_CHECK int days_gather(
	struct sqlite_store *store, struct gathering *gatherings, size_t count, struct error *err);

/* damage.c. The caller has the days_lock, or is opening the store. */
void damage_doubt(struct sqlite_store *store, int64_t day);
bool damage_is_doubted(const struct sqlite_store *store, int64_t day);
void damage_clear_doubt(struct sqlite_store *store, int64_t day);
bool damage_is_known(const struct sqlite_store *store, int64_t day);
/* Moves the file of a day out of the way, if there is one. */
MUST_CHECK int damage_set_aside(struct sqlite_store *store, int64_t day, struct error *err);
MUST_CHECK int damage_delete_before(struct sqlite_store *store, int64_t before_day);
MUST_CHECK int damage_each(
	struct sqlite_store *store, store_damage_fn each, void *context, struct error *err);
