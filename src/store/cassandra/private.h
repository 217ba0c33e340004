/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the files of this backend share.
 *
 *     schema.c      keyspace and tables, and the statements by which they are read and written
 *     expiry.c      when what is in them expires
 *     codec.c       readings as bytes, and their digests
 *     append.c      a commit; noted.c: what it need not write again; recent.c: what it wrote
 *     statements.c  statements on their way
 *     stays.c       where an instance's readings are
 *     slots.c       readings of several instances that are asked for together
 *     scan.c        one question; survey.c: of many instances
 *     summary.c     thinned copies of finished days; thinning.c: what they keep
 *     sweep.c       makes them
 *     listing.c     instances; ends.c: when each was read last
 *     newest.c      the newest samples of all of them
 *     ledger.c      sources and records
 *     cassandra.c   what the store is called by
 *
 * Invariants, which docs/storage.md explains:
 * 1. No row is ever changed to something else. A row of readings is named by the digest of its
 *    bytes, which are a function of the message they came in; who writes it again writes the same.
 *    Two rows of one time merge when they are read (store/tracks.h).
 * 2. Cells that are moved forward carry the order of their values as their timestamps, so that the
 *    right one wins in any order of arrival, written by any server, without reading it first.
 * 3. Before a message is acknowledged, its readings, and the rows of `shapes` and `days` by which
 *    they are found, are at a quorum; its source moves forward after that.
 * 4. A row of readings whose bytes are not what its digest says is an error to each question that
 * needs it.
 * 5. A summary of a day counts only if it names all late marks of that day: who appends a reading
 * of a day that may have one writes a mark after the reading, and before the acknowledgement.
 * 6. Nothing is deleted: rows expire, after the questions stopped looking at them. */

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "cql/result.h"
#include "store/cassandra/cassandra.h"
#include "store/gathering.h"
#include "store/thinning.h"
#include "store/tracks.h"

enum {
	DIGEST_SIZE = 16,
	KEYSPACE_SIZE = 49,
	INSTANCE_ID_SIZE = 1024,
	HOST_SIZE = 4096,
	READING_BYTES_MAX = 4 * 1024 * 1024,
	BUNDLE_BYTES = 32 * 1024, /* a row of readings is full */
	PIECE_BYTES = 24 * 1024,  /* a larger reading is written in several */
	TUPLES_MAX = 1 << 20,     /* of one reading; a message has no room for more */
	PART_SIZE = 512 * 1024,   /* of a record's value: larger ones are in several rows */
	SUMMARY_BYTES_MAX = 2 * 1024 * 1024,
	BUCKETS = 64,               /* partitions of the list of instances */
	SLOTS = 8,                  /* into which a host's instances fall */
	QUARTERS = 4,               /* of a day, each a partition of a host's readings */
	STORE_FORMAT = 2,           /* of all tables; another one is refused */
	RECENT_MS = 20 * 60 * 1000, /* how long the tally remembers */
	EXPIRIES_MAX = 64,
	EXPIRY_MARGIN_DAYS = 10,             /* from when nobody looks at a row until it expires */
	SHAPE_DAYS = EXPIRY_MARGIN_DAYS - 2, /* a shape is written anew before it expires */
};

static const int64_t DAY_MS = INT64_C(24) * 60 * 60 * 1000;
static const int64_t QUARTER_MS = INT64_C(6) * 60 * 60 * 1000;

enum statement {
	ADD_READINGS,
	ADD_SHAPE,
	ADD_DAY,
	ADD_INFO,
	ADD_SUMMARY,
	ADD_LATE_MARK,
	NOTE_APPEARANCE,
	NOTE_FIRST,
	NOTE_HOST,
	NOTE_GROUPS,
	ADVANCE_SOURCE,
	NOTE_SOURCE_FIRST,
	PUT_RECORD,
	PUT_RECORD_PART,
	GET_READINGS,      /* of a slot, from a time up */
	GET_READINGS_DOWN, /* before a time, downwards */
	GET_LAST_READINGS, /* some, downwards */
	GET_SHAPES,
	GET_DAYS,
	GET_SUMMARIES,
	GET_INSTANCE,
	GET_INSTANCES,
	GET_INSTANCE_INFOS,
	GET_INFOS,
	GET_SOURCES,
	GET_SOURCES_OF_WORKER,
	GET_RECORDS,
	GET_RECORD_TIME,
	GET_RECORD_PARTS,
	_STATEMENT_COUNT,
};

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

/* Makes digests; for one thread at a time. */
struct digester {
	EVP_MD *kind;
	EVP_MD_CTX *context;
};

/* Digests of what was written lately: of two generations, the older one is forgotten when the newer
 * one is full. */
struct noted {
	struct noted_set {
		struct digest *places;
		size_t size, count;
	} sets[2];
};

/* Records of this backend's own. */
#define KEPT_FROM "kept-from"
#define TIDIED    "tidied"

struct rest {
	uint64_t journal; /* commits up to this one */
	int64_t now_ms;   /* were made until then */
};

/* What was written since the end of the one before, until then, expires after so long; 0: never. */
struct past_expiry {
	int64_t until_ms, seconds;
};

struct expiry_state {
	bool is_found, is_mixed; /* tables have one; not all the same */
	int64_t seconds;         /* the shortest that a table has */
	struct past_expiry past[EXPIRIES_MAX];
	size_t count;
};

struct cassandra_counters {
	uint64_t readings, bytes, summaries, corrupt;
};

/* Finished days are summarized in passes over all instances. */
struct sweep {
	int64_t until; /* the last finished day of the pass */
	char **ids;
	size_t count, next;
	size_t put_off; /* the last ones, which could not be reached when it was their turn */
	int64_t from;   /* of the instance at hand: days before this one are done */
	bool is_old;    /* the last days of all are done; older ones follow */
	bool is_swept;  /* the pass is over */
};

struct cassandra_store {
	struct store store;
	struct cql_session *session;
	enum cql_consistency consistency;
	char keyspace[KEYSPACE_SIZE];
	char *texts[_STATEMENT_COUNT];
	int64_t retention_days;
	enum cassandra_access access;
	struct expiry_state expiry; /* maintenance's alone */

	pthread_mutex_t append_lock; /* commits; taken before `lock` */
	struct digester digester;
	struct noted noted;
	struct buffer scratch, bundle;
	int64_t appeared_us; /* ascends from instance to instance */
	struct sweep sweep;  /* maintenance's alone */

	pthread_mutex_t lock;
	struct tracks recent; /* what this server wrote lately, for the tally */
	struct rest *rests;
	size_t rest_count, rest_room;
	size_t recent_rows;
	uint64_t journal;
	int64_t kept_from_ms; /* what is older is not shown any more */
	int64_t tidied_ms;    /* the latest time of maintenance, by any server's clock */
	int64_t now_ms;       /* of this server's last one, or when it was opened */
	struct cassandra_counters counters;
};

/* What the client's result means to callers of the store. */
int cassandra_outcome(int r);
int64_t cassandra_kept_from(struct cassandra_store *store);
/* Days that are kept begin with this one. */
int64_t cassandra_kept_day(struct cassandra_store *store);
/* Now, or a little before. */
int64_t cassandra_now(struct cassandra_store *store);
/* The latest time of maintenance, by any server's clock. */
int64_t cassandra_tidied(struct cassandra_store *store);
/* Something is not what was written. */
void cassandra_count_corrupt(struct cassandra_store *store);
/* Counts it, and returns the error. */
int cassandra_corrupt(struct cassandra_store *store, const char *what, struct error *err);

/* schema.c */
MUST_CHECK int schema_open(struct cassandra_store *store,
	const struct cassandra_store_options *options, struct error *err);
MUST_CHECK int schema_set_expiry(struct cassandra_store *store, int64_t seconds, struct error *err);

/* expiry.c: seconds that rows live; 0: for ever. */
int64_t expiry_wanted(const struct cassandra_store *store);
/* A table has this one. */
void expiry_found(struct cassandra_store *store, int64_t seconds);
/* Reads what it was before. */
MUST_CHECK int expiry_load(struct cassandra_store *store, struct error *err);
/* Gives the tables the one that is wanted: if it is shorter, only if that may be. */
MUST_CHECK int expiry_settle(
	struct cassandra_store *store, int64_t now_ms, bool may_shorten, struct error *err);
/* What was written before may have expired by now; INT64_MIN: nothing has. */
int64_t expiry_gone_before(const struct cassandra_store *store, int64_t now_ms);

/* statements.c: statements on their way, with all that they point to. */
struct statements {
	struct cassandra_store *store;
	struct arena arena;
	struct cql_statement *items;
	size_t count;
	bool is_broken;            /* there was no memory */
	struct cql_statement lost; /* stands for what there was none for */
	struct cql_storage lost_storage;
};

enum { STATEMENTS_MAX = 256 * 1024, STATEMENTS_MEMORY_MAX = 512 * 1024 * 1024 };

void statements_init(struct statements *statements, struct cassandra_store *store);
void statements_deinit(struct statements *statements);
CLEANUP_DEFINE_VALUE(struct statements, statements_deinit)
void statements_clear(struct statements *statements);

/* A statement of the partition that the first key_count values name. The values (copied) are
 * borrowed; never NULL. */
struct cql_statement *statements_add(struct statements *statements, enum statement statement,
	const struct cql_value *values, size_t value_count, size_t key_count);
/* Makes one batch of the last ones, which are of one partition key: all of them are done, or none.
 */
void statements_join(struct statements *statements, size_t count);
/* Values whose bytes live as long as the statements. */
struct cql_value statements_bigint(struct statements *statements, int64_t value);
struct cql_value statements_int(struct statements *statements, int32_t value);
struct cql_value statements_day(struct statements *statements, int64_t day);
struct cql_value statements_text(struct statements *statements, const char *text);
struct cql_value statements_blob(struct statements *statements, const void *bytes, size_t size);
/* A set of one text. */
struct cql_value statements_set(struct statements *statements, const char *text);

/* The rows of a page of its answer: as many as fit into one frame if each is as large as it may be,
 * for the connection could not go on behind a larger one. */
int32_t statements_page_rows(enum statement statement);

/* Runs all of them. `each` may be NULL; what it returns other than 0 ends it and is returned. */
MUST_CHECK int statements_run(
	struct statements *statements, cql_each_fn each, void *context, struct error *err);

/* Goes through the pages of the first statement; `each` sees every row, and what it returns other
 * than 0 ends it and is returned. Outcomes of the store. */
typedef int (*row_fn)(void *context, const struct cql_result *row, struct error *err);
MUST_CHECK int statements_each_row(
	struct statements *statements, row_fn each, void *context, struct error *err);

/* A row's day. -EPROTO if it is none. */
MUST_CHECK int read_day(struct cql_value value, int64_t *ret_day);

/* codec.c */
struct decoded {
	char epoch[EPOCH_TEXT_MAX + 1], parameter[PARAMETER_TEXT_MAX + 1], life[EPOCH_TEXT_MAX + 1];
	uint32_t segment;
	enum metric_group group;
	int64_t start_ms;
	uint16_t present;
	int64_t values[METRIC_COLUMNS_MAX];
};

typedef int (*decoded_fn)(void *context, const struct decoded *decoded);

/* What a reading is without its instance and its time; a shape is without its values, too. */
void reading_write(struct buffer *to, const struct reading *reading);
void shape_write(struct buffer *to, const struct reading *reading);
/* Calls `each` for every tuple and returns what it returned if that is not 0; -EBADMSG. */
MUST_CHECK int reading_read(const void *bytes, size_t size, decoded_fn each, void *context);
MUST_CHECK int shape_read(const void *bytes, size_t size, decoded_fn each, void *context);

MUST_CHECK int digester_init(struct digester *digester);
void digester_deinit(struct digester *digester);
CLEANUP_DEFINE_VALUE(struct digester, digester_deinit)
MUST_CHECK int digester_of(
	struct digester *digester, const void *bytes, size_t size, struct digest *ret_digest);

/* A row of readings: those of one message, one time and one slot. */
struct bundled {
	const char *id; /* without NUL */
	size_t id_size;
	const void *bytes;
	size_t size;
};

void bundle_begin(struct buffer *to);
void bundle_add(struct buffer *to, const char *id, const void *bytes, size_t size);

/* Of a row of (at, digest, readings). 0; -EBADMSG if it is not what was written. */
MUST_CHECK int bundle_open(struct digester *digester, const struct cql_result *row,
	int64_t *ret_time_ms, struct cursor *ret_cursor);
/* 1; 0: that was the last; -EBADMSG. What it points to lives as long as the row. */
MUST_CHECK int bundle_next(struct cursor *cursor, struct bundled *ret_bundled);
/* The next one of that instance. */
MUST_CHECK int bundle_find(struct cursor *cursor, const char *id, struct bundled *ret_bundled);

/* NULL: it is not among them. -EBADMSG if it is no instance. */
MUST_CHECK int bundled_resident(
	const struct bundled *bundled, const struct tracks *tracks, struct resident **ret_resident);

/* The readings of one instance, as reading_read. *ret_time_ms is set before `each` is called. */
MUST_CHECK int row_readings(struct digester *digester, const struct cql_result *row, const char *id,
	int64_t *ret_time_ms, decoded_fn each, void *context);

/* How an instance is called in the tables: its UUID, or "name:" and its name. -EMSGSIZE. */
MUST_CHECK int instance_id_write(const struct instance_key *key, char id[INSTANCE_ID_SIZE]);
/* The name points into the id. -EBADMSG. */
MUST_CHECK int instance_id_read(const char *id, struct instance_key *ret_key);
int32_t instance_bucket(const char *id);
int32_t instance_slot(const char *id);
/* A reading of it was found. */
static inline void resident_note_time(struct resident *resident, int64_t time_ms)
{
	resident->last_ms = MAX_OF(resident->last_ms, time_ms);
}

/* noted.c */
MUST_CHECK int noted_init(struct noted *noted);
void noted_deinit(struct noted *noted);
bool noted_has(const struct noted *noted, const struct digest *digest);
void noted_clear(struct noted *noted);
void noted_add(struct noted *noted, const struct digest *digest);

/* stays.c: which days an instance has readings of, whose partitions they are in, and their shapes.
 * Host: who collected them; what old workers sent, who do not say that, has the instance's own id
 * in its place. */
struct stay {
	int64_t day;
	const char *host;
	struct digest shape;
};

struct stays {
	struct stay *items; /* by day, then host */
	size_t count;
	struct arena arena;
};

void stays_init(struct stays *stays);
void stays_deinit(struct stays *stays);
CLEANUP_DEFINE_VALUE(struct stays, stays_deinit)
MUST_CHECK int stays_load(struct cassandra_store *store, const char *id, int64_t from, int64_t to,
	struct stays *stays, struct error *err);
/* Where the items of that day or a later one begin. */
size_t stays_find(const struct stays *stays, int64_t day);
/* Each day once; NULL: there is no memory. */
int64_t *stays_days(struct stays *stays, size_t *ret_count);

enum { DAY_LAST = 365 * 1000 };

/* slots.c */
struct slot {
	const char *host;
	int64_t quarter_ms; /* its begin */
	int32_t number;
};

/* Each once, when they are sorted. The hosts' names are borrowed. */
struct slots {
	struct slot *items;
	size_t count, room;
};

void slots_deinit(struct slots *slots);
CLEANUP_DEFINE_VALUE(struct slots, slots_deinit)
MUST_CHECK int slots_add(struct slots *slots, const struct slot *slot);
/* From the quarter of one time to that of another, both included. */
MUST_CHECK int slots_add_time(
	struct slots *slots, const char *host, int32_t number, int64_t from_ms, int64_t to_ms);
void slots_sort(struct slots *slots);
size_t slots_find(const struct slots *slots, const struct slot *slot);

/* Each asks for the readings of a slot. */
struct cql_statement *slot_ask(
	struct statements *statements, const struct slot *slot, int64_t from_ms, int64_t to_ms);
struct cql_statement *slot_ask_down(
	struct statements *statements, const struct slot *slot, int64_t before_ms);
/* The last ones, downwards. */
struct cql_statement *slot_ask_last(
	struct statements *statements, const struct slot *slot, int32_t count);

/* filing.c: where a message's readings belong. */
struct filed {
	const struct reading *reading; /* or a piece of one */
	size_t number;                 /* in the order of the message */
	const char *id;                /* of its instance */
	struct slot slot;
};

struct filing {
	struct filed *all;
	size_t count, reading_count;
};

/* All that have something, in the order of the message, which they borrow. */
MUST_CHECK int filing_make(
	struct arena *arena, const struct batch *batch, struct filing *ret_filing);
/* Sorts them, and adds the statements that write them. *bytes grows by theirs. */
MUST_CHECK int filing_write(struct filing *filing, struct statements *statements, uint64_t *bytes);

/* append.c */
MUST_CHECK int append_commit(struct cassandra_store *store, const struct store_commit *commit,
	struct store_tally *tally, struct error *err);

/* recent.c. The caller has the lock. */
MUST_CHECK int recent_add(struct cassandra_store *store, const struct store_commit *commit,
	struct store_tally *tally);
MUST_CHECK int recent_forget(struct cassandra_store *store, int64_t before_ms);

/* ledger.c */
MUST_CHECK int ledger_add_records(struct statements *statements, struct digester *digester,
	const struct store_commit *commit, struct error *err);
MUST_CHECK int ledger_add_parts(struct statements *statements, struct digester *digester,
	const struct store_commit *commit);
void ledger_add_sources(struct statements *statements, const struct store_commit *commit);
MUST_CHECK int ledger_sources(struct cassandra_store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err);
MUST_CHECK int ledger_records(struct cassandra_store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err);
/* A record of this backend's own. */
MUST_CHECK int ledger_own(struct cassandra_store *store, const char *prefix, store_record_fn each,
	void *context, struct error *err);
/* What must not move backwards: such a record whose value is a number. */
MUST_CHECK int ledger_advance(
	struct cassandra_store *store, const char *key, int64_t value, struct error *err);
MUST_CHECK int ledger_read_number(
	struct cassandra_store *store, const char *key, int64_t *value, struct error *err);

/* scan.c */
MUST_CHECK int scan_run(struct cassandra_store *store, const struct store_scan *scan,
	store_series_fn each, void *context, struct error *err);

/* survey.c: as the store's. */
MUST_CHECK int survey_run(struct cassandra_store *store, const struct instance_key *instances,
	size_t count, const struct store_scan *scan, store_survey_fn each, void *context,
	struct error *err);

/* summary.c: a summary is those readings of a day that still matter when no moment within the day
 * is asked about (thinning.c), as they were written, with their times. */
enum {
	SUMMARY_REST_MS = 2 * 60 * 60 * 1000,
	CLOCKS_APART_MS = 60 * 60 * 1000,
	MARK_MS = 10 * 60 * 1000,
	SPAN_DAYS = 32
};

/* May somebody have summarized the day by now? Servers' clocks are not farther apart. */
static inline bool summary_may_exist(int64_t day, int64_t now_ms)
{
	return now_ms >= (day + 1) * DAY_MS + SUMMARY_REST_MS - CLOCKS_APART_MS;
}

/* Marks are of a time: all that comes late within one has the same, and no summary is made of a day
 * before its marks' times are over for all. */
static inline int64_t summary_slot(int64_t now_ms)
{
	return now_ms / MARK_MS;
}

void summary_add_late_mark(
	struct statements *statements, const char *id, int64_t day, int64_t slot);

/* Gets a summary's readings; or, once and with NULL, that the day has none that counts. */
typedef int (*summary_fn)(
	void *context, int64_t day, int64_t time_ms, const void *bytes, size_t size);

/* Of the days (ascending), the summaries that count. Returns what `each` returned if that is not 0.
 */
MUST_CHECK int summary_read(struct cassandra_store *store, const char *id, const int64_t *days,
	size_t count, summary_fn each, void *context, struct error *err);

/* One day of an instance. */
struct summary_question {
	const char *id;
	int64_t day;
	void *context;
};

/* The same of many instances, asked together. Here a damaged summary is counted, and none. */
MUST_CHECK int summary_read_each(struct cassandra_store *store,
	const struct summary_question *questions, size_t count, summary_fn each, struct error *err);

/* Summarizes the day if it has no summary that counts, and may have one by now. */
MUST_CHECK int summary_make(struct cassandra_store *store, const char *id, int64_t day,
	int64_t now_ms, struct error *err);

/* thinning.c: adds the times of the rows that matter to a question without an edge in the day that
 * begins at from_ms, ascending. 0 or -ENOMEM. */
MUST_CHECK int thinning_times(
	const struct resident *resident, int64_t from_ms, struct moments *times);

/* sweep.c: a bounded piece of the pass; *ret_more says that there is more. */
MUST_CHECK int sweep_some(
	struct cassandra_store *store, int64_t now_ms, bool *ret_more, struct error *err);
void sweep_deinit(struct sweep *sweep);

/* listing.c */
struct listed_host {
	const char *name; /* as in stays.c */
	int64_t last_day;
};

struct listed {
	struct resident *resident;
	int64_t appeared_us;
	int64_t last_day; /* INT64_MIN: it has no readings */
	struct listed_host *hosts;
	size_t host_count;
	char id[];
};

struct listing {
	struct cassandra_store *store;
	struct tracks tracks;
	struct arena arena; /* of hosts */
	struct arena scratch;
	struct listed **items; /* in the order of their appearance */
	size_t count, room;
	int r;
};

MUST_CHECK int listing_init(struct listing *listing, struct cassandra_store *store);
void listing_deinit(struct listing *listing);
/* All of them, or one, without the time of their last readings. */
MUST_CHECK int listing_load(
	struct listing *listing, const struct instance_key *key, struct error *err);
MUST_CHECK int listing_instances(struct cassandra_store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err);

/* ends.c: sets the times of their last readings; 0: it has none that are kept. */
MUST_CHECK int ends_find(struct listing *listing, struct error *err);

/* newest.c */
MUST_CHECK int newest_each(struct cassandra_store *store, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err);
