/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/timeline.h"

#include "query/loading.h"

enum { TIMELINE_MEMORY_MAX = 1024 * 1024 * 1024 };

int timeline_read(struct store *store, const struct identity *identity, struct timeline *timeline,
	struct error *err)
{
	struct loading loading = { .timeline = timeline,
		.identity = identity,
		.edges_ms = timeline->edges_ms,
		.edge_count = timeline->edge_count };
	int r;

	arena_init(&timeline->arena, TIMELINE_MEMORY_MAX);
	r = loading_read_hosts(store, &loading, err);
	if (r == 0)
		r = loading_read_states(store, &loading, err);
	if (r == 0)
		r = loading_read_my_gaps(store, &loading, err);
	if (r == 0)
		r = loading_read_states_at_gaps(store, &loading, err);
	return r == 0 ? timeline_settle(timeline) : r;
}

int timeline_add_stateless(struct timeline *timeline, struct store *store,
	const struct identity *identity, const struct store_series *series, struct error *err)
{
	struct loading loading = { .timeline = timeline, .identity = identity };
	struct run *run = loading_find_run(timeline, series->epoch);
	bool is_new;

	if (!*series->epoch || loading_is_off(series->epoch) || (run && run->state_count))
		return 0;
	if (!run)
		run = loading_new_run(timeline, series->epoch);
	if (!run)
		return error_set(err, STORE_TOO_MUCH, "the instance ran too often");
	is_new = !run->host->is_mine;
	loading_extend_run(run, series);
	return is_new ? loading_read_gaps(store, &loading, run->host, err) : 0;
}

void timeline_deinit(struct timeline *timeline)
{
	arena_deinit(&timeline->arena);
}
