/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* When an instance ran, where, and how far that is known: the hosts, runs and states of
 * docs/usage.md, for one window. What lies outside of the window is there as far as the window's
 * answer needs it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/macros.h"
#include "model/batch.h"
#include "query/identity.h"
#include "store/store.h"

enum {
	TIMELINE_RUNS_MAX = 20000,
	TIMELINE_HOSTS_MAX = 100 * 1000,   /* all that ever told */
	TIMELINE_SPOOLS_MAX = 1000 * 1000, /* of a host */
	TIMELINE_GAPS_MAX = 100 * 1000,    /* of the hosts that the instance was on */
};

/* "Not yet": the end of a run that is open. And the frontier of a host that never told. */
#define TIME_OPEN  INT64_MAX
#define TIME_NEVER INT64_MIN

/* libvirt include/libvirt/libvirt-domain.h: virDomainState and virDomainShutoffReason. */
enum { STATE_UNDEFINED = 0, STATE_RUNNING = 1, STATE_SHUTOFF = 5, REASON_MIGRATED = 4 };

/* A worker's time. When its clock stepped back, what comes later has the higher segment. */
struct moment {
	uint32_t segment;
	int64_t time_ms;
};

static inline int moment_compare(struct moment a, struct moment b)
{
	if (a.segment != b.segment)
		return a.segment < b.segment ? -1 : 1;
	return (a.time_ms > b.time_ms) - (a.time_ms < b.time_ms);
}

struct state {
	struct moment at;
	int64_t state;
};

struct told;

struct timeline_host {
	const char *name;
	bool is_mine;        /* the instance was on it */
	int64_t first_ms;    /* its first `until`; TIME_NEVER */
	int64_t told_ms;     /* its last `until`; TIME_OPEN: it is retired */
	int64_t frontier_ms; /* that, or when it came if that was earlier; TIME_OPEN likewise */
	int64_t silent_ms;   /* the frontier, also of one that is retired */
	int64_t retired_ms;  /* TIME_OPEN: it is not */
	struct told *told;   /* how far each of its spools did; the reader's */
	size_t told_count;
	struct gap *gaps; /* of the host, and of the instance on it; of hosts that are mine */
	size_t gap_count;
	struct state *states; /* all of the instance on this host, in order */
	size_t state_count;
};

struct run {
	const char *epoch;
	struct timeline_host *host;
	int64_t begin_ms;
	bool is_begin_known; /* the epoch's start is known: nothing of it was before */
	struct moment first, last;
	const struct state *states; /* in order; none of collectors that read none */
	size_t state_count;
	int64_t last_reason;
	int64_t end_ms;       /* TIME_OPEN */
	int64_t tail_from_ms; /* from when to its end nobody saw it; TIME_OPEN: its end was seen */
	bool is_migrated;
};

/* The states of an instance that is defined on a host, and off. */
struct off {
	struct timeline_host *host;
	const struct state *states; /* in order */
	size_t count;
};

struct span {
	int64_t from_ms, to_ms;
};

struct timeline {
	struct arena arena;
	int64_t from_ms, to_ms, now_ms;
	/* Ascending: of states only those are needed that matter at these times (struct
	 * store_scan). NULL: all of them. */
	const int64_t *edges_ms;
	size_t edge_count;
	/* What was read of states, and is to be read of what was used: the window; or all, where a
	 * host's clock was set back, for then a window is no stretch of what happened. */
	int64_t read_from_ms, read_to_ms;
	bool is_stepped;
	struct timeline_host **hosts;
	size_t host_count;
	struct timeline_host **by_name; /* with free places; the reader's */
	size_t places;
	struct run *runs; /* by their beginning */
	size_t run_count;
	struct off *offs;
	size_t off_count;
	/* When the instance was first known, and from when on nothing else was (TIME_OPEN: never).
	 */
	int64_t first_known_ms, known_from_ms;
	struct span *outside; /* of runs, from known_from_ms on */
	size_t outside_count;
};

/* Reads it: from_ms, to_ms, now_ms and the edges are given, all else is 0. The edges are kept. Free
 * it in every case. 0; STORE_TOO_MUCH with a text; else as the store. */
MUST_CHECK int timeline_read(struct store *store, const struct identity *identity,
	struct timeline *timeline, struct error *err);
void timeline_deinit(struct timeline *timeline);
CLEANUP_DEFINE_VALUE(struct timeline, timeline_deinit)

/* Adds what a series says of an epoch that has no states; nothing if it has. */
MUST_CHECK int timeline_add_stateless(struct timeline *timeline, struct store *store,
	const struct identity *identity, const struct store_series *series, struct error *err);

/* Finds the ends of runs and what is outside of them. After all is added. 0 or -ENOMEM. */
MUST_CHECK int timeline_settle(struct timeline *timeline);

/* Is an epoch on this host, whose name stands before its first slash? */
bool timeline_is_host_of(const char *host, const char *epoch);

/* When the run begins that goes on after this one's end; TIME_OPEN if there is none. */
int64_t timeline_next_run(const struct timeline *timeline, const struct run *run);

/* Sorts spans and makes them apart; returns how many are left. And the part of `span` without
 * spans that are so: `each` is called for its pieces. */
size_t spans_unite(struct span *spans, size_t count);
bool spans_overlap(const struct span *spans, size_t count, struct span span);
void spans_subtract(struct span span, const struct span *holes, size_t count,
	void (*each)(void *context, struct span piece), void *context);

/* Kind of the records that retire a host: the key is the host, the value its last ms as text. */
#define RETIRED_KIND "retired"
