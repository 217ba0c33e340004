/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the files that read a timeline share; private to this folder. */

#include "query/timeline.h"

/* How far one spool of a host told. */
struct told {
	int64_t first_ms, until_ms, heard_ms;
};

/* From the first to the last state that a host's readings of one segment have. */
struct extent {
	const struct timeline_host *host;
	uint32_t segment;
	int64_t first_ms, last_ms;
};

/* One timeline on its way. */
struct loading {
	struct timeline *timeline;
	struct timeline_host *host; /* whose gaps are read */
	const struct identity *identity;
	const int64_t *edges_ms; /* with which states are read */
	size_t edge_count;
	struct extent *extents; /* in the timeline's arena */
	size_t extent_count;
	int r;
};

/* loading-hosts.c */

/* The host of an epoch, which is added if it never told; NULL: no memory, or too many. */
struct timeline_host *loading_host(struct timeline *timeline, const char *epoch);

/* All that ever told, for what a host did not tell yet could be of any instance. */
MUST_CHECK int loading_read_hosts(struct store *store, struct loading *loading, struct error *err);

/* The host is one of the instance: its gaps. */
MUST_CHECK int loading_read_gaps(struct store *store, struct loading *loading,
	struct timeline_host *host, struct error *err);

/* The same for all hosts of runs and off; then what retiring did to each. */
MUST_CHECK int loading_read_my_gaps(
	struct store *store, struct loading *loading, struct error *err);

/* loading-states.c */

/* Is it the epoch of what is defined and off? */
bool loading_is_off(const char *epoch);

struct run *loading_find_run(const struct timeline *timeline, const char *epoch);

/* NULL: no memory, or too many. */
struct run *loading_new_run(struct timeline *timeline, const char *epoch);

/* The run is known from the first to the last sample of a series, too. */
void loading_extend_run(struct run *run, const struct store_series *series);

/* The states of the window; or all, where a host's clock was set back. */
MUST_CHECK int loading_read_states(struct store *store, struct loading *loading, struct error *err);

/* Once more where there were gaps: whether the instance was there at both ends of each matters. */
MUST_CHECK int loading_read_states_at_gaps(
	struct store *store, struct loading *loading, struct error *err);
