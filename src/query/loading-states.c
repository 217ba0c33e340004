/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The states of a timeline: those in the window, and what of those around it the answer needs. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "query/gather.h"
#include "query/loading.h"

enum { TIMELINE_SAMPLES_MAX = 8 * 1000 * 1000 };

static const char off_ending[] = "/off";

struct run *loading_find_run(const struct timeline *timeline, const char *epoch)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (strcmp(timeline->runs[i].epoch, epoch) == 0)
			return &timeline->runs[i];
	return NULL;
}

static struct state *append_states(struct arena *arena, const struct state *states, size_t count,
	const struct store_series *series)
{
	struct state *all = arena_take_array(arena, count + series->count, sizeof(*all));

	if (!all)
		return NULL;
	if (count)
		memcpy(all, states, count * sizeof(*all));
	for (size_t i = 0; i < series->count; i++)
		all[count + i] = (struct state){ { series->segment, series->samples[i].time_ms },
			series->samples[i].value };
	return all;
}

bool loading_is_off(const char *epoch)
{
	const char *slash = strchr(epoch, '/');

	return slash && strcmp(slash, off_ending) == 0;
}

static bool add_off(struct timeline *timeline, const struct store_series *series)
{
	struct arena *arena = &timeline->arena;
	struct timeline_host *host = loading_host(timeline, series->epoch);
	struct off *offs = timeline->offs, *off;

	if (!timeline->off_count || offs[timeline->off_count - 1].host != host) {
		offs = arena_grow(
			arena, offs, timeline->off_count, TIMELINE_HOSTS_MAX, sizeof(*offs));
		if (!offs || !host)
			return false;
		timeline->offs = offs;
		offs[timeline->off_count++] = (struct off){ .host = host };
	}
	off = &timeline->offs[timeline->off_count - 1];
	off->states = append_states(arena, off->states, off->count, series);
	off->count += series->count;
	return off->states != NULL;
}

struct run *loading_new_run(struct timeline *timeline, const char *epoch)
{
	struct arena *arena = &timeline->arena;
	struct run *runs = arena_grow(
		arena, timeline->runs, timeline->run_count, TIMELINE_RUNS_MAX, sizeof(*runs));
	struct run *run;

	if (!runs)
		return NULL;
	timeline->runs = runs;
	run = &runs[timeline->run_count];
	*run = (struct run){ .epoch = arena_copy_text(arena, epoch, strlen(epoch)),
		.host = loading_host(timeline, epoch),
		.begin_ms = TIME_OPEN,
		.last_reason = -1,
		.end_ms = TIME_OPEN,
		.tail_from_ms = TIME_OPEN };
	if (!run->epoch || !run->host)
		return NULL;
	timeline->run_count++;
	return run;
}

/* Series come with the segments of an epoch one after the other; only the first has a start. */
void loading_extend_run(struct run *run, const struct store_series *series)
{
	const struct moment first = { series->segment, series->samples[0].time_ms };
	const struct moment last = { series->segment, series->samples[series->count - 1].time_ms };
	bool is_new = run->begin_ms == TIME_OPEN;

	if (is_new || moment_compare(first, run->first) < 0) {
		run->first = first;
		run->begin_ms = first.time_ms;
		run->is_begin_known = series->start_ms != EPOCH_START_UNKNOWN;
		if (run->is_begin_known)
			run->begin_ms = MIN_OF(first.time_ms, series->start_ms);
	}
	if (is_new || moment_compare(last, run->last) > 0)
		run->last = last;
}

static struct run *run_of(struct timeline *timeline, const char *epoch)
{
	size_t count = timeline->run_count;

	if (count && strcmp(timeline->runs[count - 1].epoch, epoch) == 0)
		return &timeline->runs[count - 1];
	return loading_new_run(timeline, epoch);
}

static bool add_run(struct timeline *timeline, const struct store_series *series)
{
	struct run *run = run_of(timeline, series->epoch);

	if (!run)
		return false;
	run->states = append_states(&timeline->arena, run->states, run->state_count, series);
	run->state_count += series->count;
	loading_extend_run(run, series);
	run->last_reason = -1;
	return run->states != NULL;
}

/* The reason of the last state, which came just before. */
static void add_reason(struct timeline *timeline, const struct store_series *series)
{
	struct run *run = timeline->run_count ? &timeline->runs[timeline->run_count - 1] : NULL;
	const struct sample *last = &series->samples[series->count - 1];

	if (run && strcmp(run->epoch, series->epoch) == 0 && last->time_ms == run->last.time_ms)
		run->last_reason = last->value;
}

static int take_states(void *context, const struct store_series *series)
{
	struct loading *loading = context;
	bool is_ok = true;

	if (series->count == 0 || !*series->epoch)
		return 0;
	if (series->metric->column == 0)
		is_ok = loading_is_off(series->epoch) ? add_off(loading->timeline, series)
						      : add_run(loading->timeline, series);
	else if (!loading_is_off(series->epoch))
		add_reason(loading->timeline, series);
	loading->r = is_ok ? 0 : STORE_TOO_MUCH;
	return loading->r;
}

static int scan_states(struct store *store, struct loading *loading, int64_t from_ms, int64_t to_ms,
	store_series_fn each, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < loading->identity->key_count; i++) {
		const struct store_scan scan = { .instance = loading->identity->keys[i],
			.columns = { [METRIC_GROUP_STATE] = 3 },
			.from_ms = from_ms,
			.to_ms = to_ms,
			.edges_ms = loading->edges_ms,
			.edge_count = loading->edge_count,
			.thins_states = true,
			.maximum = TIMELINE_SAMPLES_MAX };

		if (scan.instance.has_uuid)
			r = store_scan(store, &scan, each, loading, err);
	}
	if (r == STORE_STOPPED)
		r = loading->r;
	return r == STORE_TOO_MUCH
		       ? error_set(
				 err, r, "the instance has too many states; ask for a shorter time")
		       : r;
}

static struct extent *extent_of(struct loading *loading, const struct store_series *series)
{
	const struct timeline_host *host = loading_host(loading->timeline, series->epoch);
	struct extent *extents;

	for (size_t i = 0; i < loading->extent_count; i++)
		if (loading->extents[i].host == host &&
			loading->extents[i].segment == series->segment)
			return &loading->extents[i];
	extents = arena_grow(&loading->timeline->arena, loading->extents, loading->extent_count,
		TIMELINE_RUNS_MAX, sizeof(*extents));
	if (!extents || !host)
		return NULL;
	loading->extents = extents;
	extents[loading->extent_count] =
		(struct extent){ host, series->segment, INT64_MAX, INT64_MIN };
	return &extents[loading->extent_count++];
}

static int take_first(void *context, const struct store_series *series)
{
	struct loading *loading = context;
	struct extent *extent;
	struct run *run;

	if (series->count == 0 || !*series->epoch || series->metric->column != 0)
		return 0;
	extent = extent_of(loading, series);
	if (!extent)
		return loading->r = STORE_TOO_MUCH;
	extent->first_ms = MIN_OF(extent->first_ms, series->samples[0].time_ms);
	run = loading_find_run(loading->timeline, series->epoch);
	if (run)
		loading_extend_run(run, series);
	return 0;
}

/* The last state of what is off, if it is later than those that it has. */
static bool extend_off(
	struct timeline *timeline, const struct store_series *series, struct moment last)
{
	const struct timeline_host *host = loading_host(timeline, series->epoch);

	for (size_t i = 0; i < timeline->off_count; i++) {
		struct off *off = &timeline->offs[i];

		if (off->host != host || moment_compare(last, off->states[off->count - 1].at) <= 0)
			continue;
		off->states = append_states(&timeline->arena, off->states, off->count, series);
		off->count += series->count;
		return off->states != NULL;
	}
	return true;
}

static int take_last(void *context, const struct store_series *series)
{
	struct loading *loading = context;
	struct timeline *timeline = loading->timeline;
	struct run *run = loading_find_run(timeline, series->epoch);
	struct moment last;
	struct extent *extent;

	if (series->count == 0 || !*series->epoch)
		return 0;
	last = (struct moment){ series->segment, series->samples[series->count - 1].time_ms };
	if (series->metric->column != 0) {
		if (run && moment_compare(last, run->last) == 0)
			run->last_reason = series->samples[series->count - 1].value;
		return 0;
	}
	extent = extent_of(loading, series);
	if (!extent)
		return loading->r = STORE_TOO_MUCH;
	extent->last_ms = MAX_OF(extent->last_ms, last.time_ms);
	if (loading_is_off(series->epoch))
		return extend_off(timeline, series, last) ? 0 : (loading->r = STORE_TOO_MUCH);
	if (!run || moment_compare(last, run->last) <= 0)
		return 0;
	run->states = append_states(&timeline->arena, run->states, run->state_count, series);
	run->state_count += series->count;
	run->last = last;
	run->last_reason = -1;
	return run->states ? 0 : (loading->r = STORE_TOO_MUCH);
}

static bool has_segments(const struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].last.segment > 0)
			return true;
	for (size_t i = 0; i < timeline->off_count; i++)
		if (timeline->offs[i].states[timeline->offs[i].count - 1].at.segment > 0)
			return true;
	return false;
}

/* Of a window, and what is next to it, one may not see when a run began, and how it ended. */
static bool needs_firsts(const struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (!timeline->runs[i].is_begin_known &&
			timeline->runs[i].first.time_ms <= timeline->from_ms)
			return true;
	return has_segments(timeline);
}

static bool needs_lasts(const struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];

		if (run->last.time_ms >= timeline->to_ms &&
			run->states[run->state_count - 1].state != STATE_SHUTOFF)
			return true;
	}
	for (size_t i = 0; i < timeline->off_count; i++)
		if (timeline->offs[i].states[timeline->offs[i].count - 1].at.time_ms >=
			timeline->to_ms)
			return true;
	return has_segments(timeline);
}

/* Did a host's clock step back, over what was read of the instance? */
static bool is_stepped(const struct loading *loading)
{
	for (size_t i = 0; i < loading->extent_count; i++)
		for (size_t j = 0; j < loading->extent_count; j++) {
			const struct extent *a = &loading->extents[i], *b = &loading->extents[j];

			if (a->host == b->host && a->segment < b->segment &&
				a->last_ms >= b->first_ms)
				return true;
		}
	return false;
}

/* Without a window, what is next to it is the first, or the last, of each series. */
static int read_ends(struct store *store, struct loading *loading, struct error *err)
{
	bool with_firsts = needs_firsts(loading->timeline);
	bool with_lasts = needs_lasts(loading->timeline);
	int r = 0;

	if (with_firsts)
		r = scan_states(store, loading, 0, 0, take_first, err);
	if (r == 0 && with_lasts)
		r = scan_states(store, loading, INT64_MAX, INT64_MAX, take_last, err);
	loading->timeline->is_stepped = with_firsts && with_lasts && is_stepped(loading);
	return r;
}

int loading_read_states(struct store *store, struct loading *loading, struct error *err)
{
	struct timeline *timeline = loading->timeline;
	int r;

	timeline->run_count = timeline->off_count = 0;
	loading->extent_count = 0;
	timeline->read_from_ms = timeline->from_ms;
	timeline->read_to_ms = timeline->to_ms;
	r = scan_states(store, loading, timeline->from_ms, timeline->to_ms, take_states, err);
	if (r == 0)
		r = read_ends(store, loading, err);
	if (r != 0 || !timeline->is_stepped)
		return r;
	timeline->run_count = timeline->off_count = 0;
	timeline->read_from_ms = 0;
	timeline->read_to_ms = INT64_MAX;
	loading->edges_ms = NULL;
	return scan_states(store, loading, 0, INT64_MAX, take_states, err);
}

static size_t add_edge(
	const struct timeline *timeline, int64_t *edges_ms, size_t count, int64_t at_ms)
{
	if (at_ms >= timeline->from_ms && at_ms <= timeline->to_ms)
		edges_ms[count++] = at_ms;
	return count;
}

/* The edges, and the ends of all gaps of my hosts. Returns how many there are. */
static size_t collect_edges(const struct loading *loading, int64_t *edges_ms)
{
	const struct timeline *timeline = loading->timeline;
	size_t count = loading->edge_count;

	memcpy(edges_ms, loading->edges_ms, count * sizeof(*edges_ms));
	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = timeline->hosts[i];

		for (size_t j = 0; j < host->gap_count; j++) {
			count = add_edge(timeline, edges_ms, count, host->gaps[j].from_ms);
			count = add_edge(timeline, edges_ms, count, host->gaps[j].to_ms);
		}
	}
	return count;
}

int loading_read_states_at_gaps(struct store *store, struct loading *loading, struct error *err)
{
	const struct timeline *timeline = loading->timeline;
	size_t most = loading->edge_count, count;
	int64_t *edges_ms;

	for (size_t i = 0; i < timeline->host_count; i++)
		most += 2 * timeline->hosts[i]->gap_count;
	if (!loading->edges_ms || most == loading->edge_count)
		return 0;
	edges_ms = arena_take_array(&loading->timeline->arena, most, sizeof(*edges_ms));
	if (!edges_ms)
		return -ENOMEM;
	count = collect_edges(loading, edges_ms);
	if (count == loading->edge_count)
		return 0;
	qsort(edges_ms, count, sizeof(*edges_ms), compare_i64);
	loading->edges_ms = count <= GATHER_EDGES_MAX ? edges_ms : NULL;
	loading->edge_count = count;
	return loading_read_states(store, loading, err);
}
