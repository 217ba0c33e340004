/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where readings are kept.
 *
 * A sample's key is (instance, metric, parameter, epoch with device life, segment, time); appending
 * is idempotent by it, in any order and at any distance in time. Of two values for one key the
 * larger is kept. Groups of metrics of one reading may come in several messages with other columns;
 * they complete each other. What a backend must do is executable: store/conformance-test.c runs
 * against each of them.
 *
 * Several servers may have one store, where the backend says so. Then a question sees every commit
 * that has returned, whoever made it, and what one question saw, later ones see; all may maintain
 * it at the same time.
 *
 * Threads: any. Commits are made one after the other, and so is maintenance. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "model/batch.h"
#include "model/instance.h"
#include "model/metric.h"
#include "model/sample.h"

struct store;

enum store_outcome {
	STORE_OK = 0,
	STORE_UNAVAILABLE, /* cannot be reached or written now; asking again later may help */
	STORE_FULL,        /* no room on the disk */
	STORE_TOO_MUCH,    /* the answer would exceed the scan's maximum */
	STORE_STOPPED,     /* a callback asked to stop */
};

/* What appending did. */
struct store_tally {
	uint64_t stored;      /* samples that are new */
	uint64_t duplicate;   /* samples that were known, as far as this could be seen cheaply */
	uint64_t conflicting; /* duplicates with another value */
	uint64_t late;        /* samples older than one of their series already stored */
};

/* One spool of a worker, and how far it has been dealt with. As a part of a commit it moves what is
 * known forward: a smaller sequence changes nothing, and `until_ms` and `heard_ms` are those of the
 * largest, not the largest. */
struct store_source {
	const char *worker;
	const char *spool;
	const char *host;  /* whose instances it reads; "" if it has not said */
	uint64_t sequence; /* every number up to this one is stored, refused, or known to be lost */
	int64_t first_ms;  /* its first `until`; 0: none yet */
	int64_t until_ms; /* its last one: all that it read until then is dealt with; 0: none yet */
	int64_t heard_ms; /* when that came, by the server's clock */
};

/* A fact that is no reading: a gap, a retired host, a figure of a closed month. Kind and key name
 * it; another value for them replaces the first. */
struct store_record {
	const char *kind, *key; /* at most RECORD_TEXT_MAX bytes each */
	const void *value;
	size_t size; /* at most RECORD_VALUE_MAX */
};

enum { RECORD_TEXT_MAX = 2048, RECORD_VALUE_MAX = 16 * 1024 * 1024 };

/* Readings, infos and gaps in all batches of one commit: every backend has room for so many. A
 * message alone has fewer (some 50,000 readings of 20 bytes). */
enum { STORE_COMMIT_PARTS_MAX = 100 * 1000 };

struct store_commit {
	const struct batch *const *batches;
	size_t batch_count;
	const struct store_source *sources; /* made durable together with the batches */
	size_t source_count;
	const struct store_record *records; /* likewise; the batches' gaps besides (store/gaps.h) */
	size_t record_count;
	int64_t now_ms;
};

/* One instance as it is listed. Lives during the callback. */
struct store_instance {
	struct instance_key key;
	const struct instance_info
		*infos; /* its history, the oldest first; none from old workers */
	size_t info_count;
	int64_t first_ms, last_ms; /* of its samples; 0 if there are none yet */
	uint32_t groups;           /* bit (1 << enum metric_group): it has samples of that group */
};

struct store_filter {
	const struct instance_key *key; /* this one; or NULL */
	/* Or a name: equal to a libvirt name, a display name, or an old worker's name without its
	 * @host; "name@host" also matches where both are known apart. NULL: all. */
	const char *name;
	uint32_t groups; /* only those with samples of one of these groups; 0: all */
};

/* Does the filter ask for it? */
bool store_instance_matches(
	const struct store_instance *instance, const struct store_filter *filter);

/* Returns 0 to go on, anything else to stop (the caller then sees STORE_STOPPED). */
typedef int (*store_instance_fn)(void *context, const struct store_instance *instance);

/* What is asked of one instance. */
struct store_scan {
	struct instance_key instance;
	uint32_t columns[_METRIC_GROUP_COUNT]; /* bit per column that is wanted */
	const char *parameter;                 /* only this one; NULL: all */
	/* Wanted are the samples from `from_ms` to `to_ms`, both included, and of each series the
	 * last one before and the first one after, which interpolation at the edges needs. */
	int64_t from_ms, to_ms;
	/* NULL: every sample. Else, of counters, only what matters at these times, which ascend:
	 * the samples around each of them and around the first and last sample of every track of
	 * the instance, and both sides of each fall. Usage between the times, its uncertainty and
	 * the falls are the same as with every sample. */
	const int64_t *edges_ms;
	size_t edge_count;
	bool thins_states; /* likewise of states, with both sides of each change */
	size_t maximum;    /* samples in all, before any are left out */
};

/* The samples of one column in one segment of one epoch, by time, each time once. Lives during the
 * callback. */
struct store_series {
	const struct metric *metric;
	const char *parameter;
	const char *epoch;
	const char *life;
	uint32_t segment;
	int64_t start_ms; /* EPOCH_START_UNKNOWN if unknown */
	const struct sample *samples;
	size_t count;
};

/* A copy that lives in the arena. 0 or -ENOMEM. */
MUST_CHECK int store_series_copy(
	struct arena *arena, const struct store_series *from, struct store_series *ret_series);

/* What is asked of the newest samples of all instances. */
struct store_recent {
	int64_t from_ms; /* instances that were read since then, and their samples since then */
	uint32_t columns[_METRIC_GROUP_COUNT]; /* bit per column that is wanted */
	size_t count;                          /* samples of each series, the last ones */
	size_t maximum;                        /* samples in all */
};

enum {
	RECENT_COUNT_MAX = 16,
	/* Of a backend that has none in memory: how old its samples may be; and at a time it reads
	 * as many times the maximum. */
	RECENT_REACH_MS = 3 * 60 * 60 * 1000,
	RECENT_STORED_FACTOR = 4,
	SURVEY_INSTANCES_MAX = 1000,
};

/* One instance, and a series for each column of each of its tracks that has any. Lives during the
 * callback. */
struct store_latest {
	struct store_instance instance;
	const struct store_series *series;
	size_t count;
};

typedef int (*store_series_fn)(void *context, const struct store_series *series);
/* A series of the instance with that number. */
typedef int (*store_survey_fn)(void *context, size_t instance, const struct store_series *series);
typedef int (*store_latest_fn)(void *context, const struct store_latest *latest);
typedef int (*store_source_fn)(void *context, const struct store_source *source);
typedef int (*store_record_fn)(void *context, const struct store_record *record);
/* Readings of this time are lost, but for those that came later; `what` was damaged. */
typedef int (*store_damage_fn)(void *context, int64_t from_ms, int64_t to_ms, const char *what);
typedef void (*store_counter_fn)(void *context, const char *name, uint64_t value);

struct store_ops {
	const char *name;

	/* Makes a commit durable; when it returns 0, it is, and every later question sees it.
	 * STORE_UNAVAILABLE, STORE_FULL: nothing of it was kept, or it is harmless to append again.
	 */
	int (*append)(struct store *store, const struct store_commit *commit,
		struct store_tally *ret_tally, struct error *err);

	/* The spools of one host, or of one worker; NULL: of any. */
	int (*sources)(struct store *store, const char *host, const char *worker,
		store_source_fn each, void *context, struct error *err);

	/* The records of one kind whose keys begin with `prefix`, by key in the order of bytes. */
	int (*records)(struct store *store, const char *kind, const char *prefix,
		store_record_fn each, void *context, struct error *err);

	/* Instances in the order of their first appearance. */
	int (*instances)(struct store *store, const struct store_filter *filter,
		store_instance_fn each, void *context, struct error *err);

	/* Series ordered by group, parameter, epoch, life, segment, column. No instance of that
	 * key: 0 and no call. */
	int (*scan)(struct store *store, const struct store_scan *scan, store_series_fn each,
		void *context, struct error *err);

	/* The same of at most SURVEY_INSTANCES_MAX instances, all with a UUID, whose keys stand for
	 * that of the scan; the maximum is of each of them. In their order. Optional: else they are
	 * scanned one by one. */
	int (*survey)(struct store *store, const struct instance_key *instances, size_t count,
		const struct store_scan *scan, store_survey_fn each, void *context,
		struct error *err);

	/* The newest samples of all instances, in the order of their first appearance, as far as
	 * they are in memory: those committed within seal_after_ms are; a backend that has none
	 * there reads those of the last RECENT_REACH_MS. Instances that were read since from_ms are
	 * told in any case. STORE_TOO_MUCH: more than the maximum, or than may be read for it. */
	int (*latest)(struct store *store, const struct store_recent *recent, store_latest_fn each,
		void *context, struct error *err);

	/* Packs what has rested, deletes all that is older than keep_from_ms, gives space back.
	 * Bounded work; *ret_more says that there is more to pack. Optional. */
	int (*maintain)(struct store *store, int64_t now_ms, int64_t keep_from_ms, bool *ret_more,
		struct error *err);

	/* What could not be read when the store was opened, by time. Optional. */
	int (*damaged)(struct store *store, store_damage_fn each, void *context, struct error *err);

	/* What is under way, and all that is asked from now on, ends with STORE_UNAVAILABLE, soon.
	 * Optional: where nothing waits for others. */
	void (*interrupt)(struct store *store);

	/* Counters of what the backend did and holds. Optional. */
	void (*counters)(struct store *store, store_counter_fn each, void *context);

	/* Frees the store; what was appended is durable already. */
	void (*close)(struct store *store);
};

/* Embedded by every backend as its first member. */
struct store {
	const struct store_ops *ops;
};

struct store *store_free(struct store *store);
CLEANUP_DEFINE(struct store, store_free)

MUST_CHECK int store_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err);
MUST_CHECK int store_sources(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err);
MUST_CHECK int store_records(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err);
MUST_CHECK int store_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err);
MUST_CHECK int store_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err);
MUST_CHECK int store_survey(struct store *store, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err);
MUST_CHECK int store_latest(struct store *store, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err);
MUST_CHECK int store_maintain(struct store *store, int64_t now_ms, int64_t keep_from_ms,
	bool *ret_more, struct error *err);
MUST_CHECK int store_damaged(
	struct store *store, store_damage_fn each, void *context, struct error *err);
void store_interrupt(struct store *store);
void store_counters(struct store *store, store_counter_fn each, void *context);

/* The backends. */
MUST_CHECK int memory_store_new(struct store **ret_store);

struct sqlite_store_options {
	const char *data_dir;  /* created if missing */
	int64_t seal_after_ms; /* how long readings rest in the journal */
};
MUST_CHECK int sqlite_store_new(
	const struct sqlite_store_options *options, struct store **ret_store, struct error *err);
