/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* When an instance ran, where, and how far that is known: the runs, hosts and gaps of
 * docs/usage.md, for one window. What lies outside of the window is there as far as the window's
 * answer needs it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/macros.h"
#include "model/batch.h"
#include "query/identity.h"
#include "store/store.h"

enum { TIMELINE_RUNS_MAX = 20000, TIMELINE_HOSTS_MAX = 1000, TIMELINE_GAPS_MAX = 100000 };

/* "Not yet": the end of a run that is open. */
#define TIME_OPEN INT64_MAX

/* virDomainState, as far as it matters here. */
enum { STATE_UNDEFINED = 0, STATE_RUNNING = 1, STATE_SHUTOFF = 5, REASON_MIGRATED = 4 };

struct timeline_host {
	const char *name;
	int64_t first_ms;   /* the earliest that its worker told of; TIME_OPEN: nothing */
	int64_t until_ms;   /* its frontier; TIME_OPEN: it is retired */
	int64_t retired_ms; /* TIME_OPEN: it is not */
	struct gap *gaps;   /* those that touch the instance, by time */
	size_t gap_count;
};

/* States of one epoch in one segment, by time: samples whose values are virDomainState. */
struct stretch {
	uint32_t segment;
	const struct sample *states;
	size_t count;
};

struct run {
	const char *epoch;
	const struct timeline_host *host;
	int64_t begin_ms;
	bool is_begin_known;       /* the epoch's start is known: nothing of it was before */
	struct stretch *stretches; /* by segment */
	size_t stretch_count;
	int64_t last_ms; /* of its last state sample */
	int64_t last_state, last_reason;
	int64_t end_ms; /* TIME_OPEN */
};

/* The states of an instance that is defined on a host, and off. */
struct off {
	const struct timeline_host *host;
	const struct sample *states;
	size_t count;
};

struct timeline {
	struct arena arena;
	int64_t from_ms, to_ms, now_ms;
	struct timeline_host *hosts;
	size_t host_count;
	struct run *runs; /* by their beginning */
	size_t run_count;
	struct off *offs;
	size_t off_count;
};

/* Reads it, with the hosts of its runs. Free it in every case. 0; STORE_TOO_MUCH with a text; else
 * as the store. */
MUST_CHECK int timeline_read(struct store *store, const struct identity *identity, int64_t from_ms,
	int64_t to_ms, int64_t now_ms, struct timeline *ret_timeline, struct error *err);
void timeline_deinit(struct timeline *timeline);
CLEANUP_DEFINE_VALUE(struct timeline, timeline_deinit)

/* Reads the host of an epoch that has no states, if it is not known yet. */
MUST_CHECK int timeline_know_host(struct timeline *timeline, struct store *store,
	const struct identity *identity, const char *epoch, struct error *err);

/* NULL if there is none. */
const struct run *timeline_run(const struct timeline *timeline, const char *epoch);
const struct timeline_host *timeline_host(const struct timeline *timeline, const char *epoch);

/* When a run ended that was last seen at last_ms and was not seen to end; TIME_OPEN if it may go
 * on. */
int64_t timeline_end_unseen(
	const struct timeline *timeline, const struct timeline_host *host, int64_t last_ms);

/* Whether a state other than its end was read of it. */
bool run_is_seen(const struct run *run);

/* Kind of the records that retire a host: the key is the host, the value its last ms as text. */
#define RETIRED_KIND "retired"
