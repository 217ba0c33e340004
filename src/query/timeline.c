/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/gaps.h"

enum { TIMELINE_MEMORY_MAX = 1024 * 1024 * 1024, TIMELINE_SAMPLES_MAX = 8 * 1000 * 1000 };

static const char off_ending[] = "/off";

/* How far one spool of a host told. */
struct told {
	const struct timeline_host *host;
	int64_t first_ms, until_ms, heard_ms;
};

/* From the first to the last state that a host's readings of one segment have. */
struct extent {
	const struct timeline_host *host;
	uint32_t segment;
	int64_t first_ms, last_ms;
};

struct loading {
	struct timeline *timeline;
	struct timeline_host *host; /* whose gaps are read */
	const struct identity *identity;
	struct told *told; /* of all spools; in the timeline's arena */
	size_t told_count;
	struct extent *extents; /* likewise */
	size_t extent_count;
	int r;
};

/* Makes room for one more in an array of the arena that doubles; NULL if there is no more. */
static void *grow(struct arena *arena, void *array, size_t count, size_t maximum, size_t size)
{
	void *larger;

	if (count >= maximum)
		return NULL;
	if (count & (count - 1))
		return array;
	larger = arena_take_array(arena, count ? 2 * count : 1, size);
	if (larger && count)
		memcpy(larger, array, count * size);
	return larger;
}

bool timeline_is_host_of(const char *host, const char *epoch)
{
	size_t size = strcspn(epoch, "/");

	return strncmp(host, epoch, size) == 0 && host[size] == '\0';
}

/* Those that told are there already, so that runs may point to them. */
static struct timeline_host *host_of(struct timeline *timeline, const char *epoch)
{
	struct timeline_host *host;

	for (size_t i = 0; i < timeline->host_count; i++)
		if (timeline_is_host_of(timeline->hosts[i].name, epoch))
			return &timeline->hosts[i];
	if (timeline->host_count == TIMELINE_HOSTS_MAX)
		return NULL;
	host = &timeline->hosts[timeline->host_count];
	*host = (struct timeline_host){ .first_ms = TIME_NEVER,
		.told_ms = TIME_NEVER,
		.frontier_ms = TIME_NEVER,
		.silent_ms = TIME_NEVER,
		.retired_ms = TIME_OPEN };
	host->name = arena_copy_text(&timeline->arena, epoch, strcspn(epoch, "/"));
	if (!host->name)
		return NULL;
	timeline->host_count++;
	return host;
}

static struct run *find_run(const struct timeline *timeline, const char *epoch)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (strcmp(timeline->runs[i].epoch, epoch) == 0)
			return &timeline->runs[i];
	return NULL;
}

static int take_source(void *context, const struct store_source *source)
{
	struct loading *loading = context;
	struct timeline_host *host;
	int64_t frontier_ms = MIN_OF(source->until_ms, source->heard_ms);

	if (!*source->host)
		return 0;
	host = host_of(loading->timeline, source->host);
	if (!host)
		return loading->r = STORE_TOO_MUCH;
	if (source->first_ms && (host->first_ms == TIME_NEVER || source->first_ms < host->first_ms))
		host->first_ms = source->first_ms;
	if (source->until_ms) {
		struct told *told = grow(&loading->timeline->arena, loading->told,
			loading->told_count, 10 * TIMELINE_HOSTS_MAX, sizeof(*told));

		if (!told)
			return loading->r = STORE_TOO_MUCH;
		loading->told = told;
		told[loading->told_count++] =
			(struct told){ host, source->first_ms, source->until_ms, source->heard_ms };
		host->told_ms = MAX_OF(host->told_ms, source->until_ms);
		host->frontier_ms = MAX_OF(host->frontier_ms, frontier_ms);
		host->silent_ms = host->frontier_ms;
	}
	return 0;
}

static int take_retirement(void *context, const struct store_record *record)
{
	struct loading *loading = context;
	struct timeline_host *host = host_of(loading->timeline, record->key);
	int64_t retired_ms;
	char text[24];

	if (!host || record->size >= sizeof(text))
		return 0;
	memcpy(text, record->value, record->size);
	text[record->size] = '\0';
	if (text_to_i64(text, &retired_ms) == 0 && host->frontier_ms <= retired_ms)
		host->retired_ms = retired_ms; /* else its worker told more since: it is back */
	return 0;
}

/* All that ever told, for what a host did not tell yet could be of any instance. */
static int read_hosts(struct store *store, struct loading *loading, struct error *err)
{
	int r;

	loading->timeline->hosts = calloc(TIMELINE_HOSTS_MAX, sizeof(struct timeline_host));
	if (!loading->timeline->hosts)
		return -ENOMEM;
	r = store_sources(store, NULL, NULL, take_source, loading, err);
	if (r == 0)
		r = store_records(store, RETIRED_KIND, "", take_retirement, loading, err);
	return r == STORE_STOPPED ? loading->r : r;
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

static bool is_off(const char *epoch)
{
	const char *slash = strchr(epoch, '/');

	return slash && strcmp(slash, off_ending) == 0;
}

static bool add_off(struct timeline *timeline, const struct store_series *series)
{
	struct arena *arena = &timeline->arena;
	struct timeline_host *host = host_of(timeline, series->epoch);
	struct off *offs = timeline->offs, *off;

	if (!timeline->off_count || offs[timeline->off_count - 1].host != host) {
		offs = grow(arena, offs, timeline->off_count, TIMELINE_HOSTS_MAX, sizeof(*offs));
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

static struct run *new_run(struct timeline *timeline, const char *epoch)
{
	struct arena *arena = &timeline->arena;
	struct run *runs =
		grow(arena, timeline->runs, timeline->run_count, TIMELINE_RUNS_MAX, sizeof(*runs));
	struct run *run;

	if (!runs)
		return NULL;
	timeline->runs = runs;
	run = &runs[timeline->run_count];
	*run = (struct run){ .epoch = arena_copy_text(arena, epoch, strlen(epoch)),
		.host = host_of(timeline, epoch),
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
static void extend_run(struct run *run, const struct store_series *series)
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
	return new_run(timeline, epoch);
}

static bool add_run(struct timeline *timeline, const struct store_series *series)
{
	struct run *run = run_of(timeline, series->epoch);

	if (!run)
		return false;
	run->states = append_states(&timeline->arena, run->states, run->state_count, series);
	run->state_count += series->count;
	extend_run(run, series);
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
		is_ok = is_off(series->epoch) ? add_off(loading->timeline, series)
					      : add_run(loading->timeline, series);
	else if (!is_off(series->epoch))
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
			.group = METRIC_GROUP_STATE,
			.columns = 3,
			.from_ms = from_ms,
			.to_ms = to_ms,
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
	const struct timeline_host *host = host_of(loading->timeline, series->epoch);
	struct extent *extents;

	for (size_t i = 0; i < loading->extent_count; i++)
		if (loading->extents[i].host == host &&
			loading->extents[i].segment == series->segment)
			return &loading->extents[i];
	extents = grow(&loading->timeline->arena, loading->extents, loading->extent_count,
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
	run = find_run(loading->timeline, series->epoch);
	if (run)
		extend_run(run, series);
	return 0;
}

/* The last state of what is off, if it is later than those that it has. */
static bool extend_off(
	struct timeline *timeline, const struct store_series *series, struct moment last)
{
	const struct timeline_host *host = host_of(timeline, series->epoch);

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
	struct run *run = find_run(timeline, series->epoch);
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
	if (is_off(series->epoch))
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

static int read_states(struct store *store, struct loading *loading, struct error *err)
{
	struct timeline *timeline = loading->timeline;
	int r;

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
	return scan_states(store, loading, 0, INT64_MAX, take_states, err);
}

static bool is_of_instance(const struct gap *gap, const struct identity *identity)
{
	if (!gap->has_instance)
		return true;
	for (size_t i = 0; i < identity->key_count; i++)
		if (identity->keys[i].has_uuid &&
			memcmp(&identity->keys[i].uuid, &gap->instance, sizeof(gap->instance)) == 0)
			return true;
	return false;
}

static bool is_same_cause(const struct gap *a, const struct gap *b)
{
	return a->from_ms == b->from_ms && a->has_instance == b->has_instance &&
	       strcmp(a->reason, b->reason) == 0;
}

static bool add_gap(struct arena *arena, struct timeline_host *host, const struct gap *gap)
{
	struct gap *gaps =
		grow(arena, host->gaps, host->gap_count, TIMELINE_GAPS_MAX, sizeof(*gaps));

	if (!gaps)
		return false;
	host->gaps = gaps;
	gaps[host->gap_count] = *gap;
	gaps[host->gap_count].reason = arena_copy_text(arena, gap->reason, strlen(gap->reason));
	return gaps[host->gap_count++].reason != NULL;
}

/* A gap that the server noted before it knew the end of it is followed by the whole one. */
static int take_gap(void *context, const struct store_record *record)
{
	struct loading *loading = context;
	struct timeline_host *host = loading->host;
	struct gap gap;

	if (gap_of_key(record->key, &gap) < 0 || gap_is_open(&gap) ||
		!is_of_instance(&gap, loading->identity))
		return 0;
	for (size_t i = host->gap_count; i > 0 && host->gaps[i - 1].from_ms == gap.from_ms; i--)
		if (is_same_cause(&host->gaps[i - 1], &gap)) {
			host->gaps[i - 1].to_ms = MAX_OF(host->gaps[i - 1].to_ms, gap.to_ms);
			return 0;
		}
	loading->r = add_gap(&loading->timeline->arena, host, &gap) ? 0 : STORE_TOO_MUCH;
	return loading->r;
}

static int read_gaps(
	struct store *store, struct loading *loading, struct timeline_host *host, struct error *err)
{
	char prefix[GAP_KEY_SIZE];
	int r;

	host->is_mine = true;
	loading->host = host;
	r = store_records(
		store, GAP_KIND, gap_key_of_host(host->name, prefix), take_gap, loading, err);
	return r == STORE_STOPPED ? loading->r : r;
}

/* What a retired host did not tell until its end is a gap, and nothing more is to come of it. */
static int retire(struct timeline *timeline, struct timeline_host *host)
{
	const struct gap gap = {
		.from_ms = host->frontier_ms, .to_ms = host->retired_ms, .reason = "retired"
	};

	if (host->retired_ms == TIME_OPEN)
		return 0;
	if (gap.from_ms != TIME_NEVER && gap.from_ms < gap.to_ms &&
		!add_gap(&timeline->arena, host, &gap))
		return -ENOMEM;
	host->told_ms = host->frontier_ms = TIME_OPEN;
	return 0;
}

static int compare_told(const void *a, const void *b)
{
	const struct told *left = a, *right = b;

	return (left->first_ms > right->first_ms) - (left->first_ms < right->first_ms);
}

/* The older spool was not lost if it went on after the newer one's end: that one was only in memory
 * while the disk could not be written. */
static bool went_on(const struct told *older, const struct told *newer)
{
	return older->until_ms > newer->first_ms && older->heard_ms > newer->heard_ms;
}

/* What an older spool still held when a new one came in its place did not come, or it would have
 * told more. */
static int add_lost_spools(struct loading *loading)
{
	struct arena *arena = &loading->timeline->arena;

	if (loading->told_count > 1)
		qsort(loading->told, loading->told_count, sizeof(*loading->told), compare_told);
	for (size_t i = 0; i < loading->told_count; i++) {
		const struct told *told = &loading->told[i], *before = NULL;
		struct gap gap = { .reason = "spool-lost" };

		for (size_t j = i; j > 0 && !before; j--)
			if (loading->told[j - 1].host == told->host)
				before = &loading->told[j - 1];
		if (!before || !told->host->is_mine || went_on(before, told))
			continue;
		gap.from_ms = MIN_OF(before->until_ms, told->first_ms);
		gap.to_ms = MAX_OF(before->until_ms, told->first_ms);
		if (!add_gap(arena, (struct timeline_host *)told->host, &gap))
			return -ENOMEM;
	}
	return 0;
}

static int read_my_gaps(struct store *store, struct loading *loading, struct error *err)
{
	struct timeline *timeline = loading->timeline;
	int r = 0;

	for (size_t i = 0; i < timeline->run_count; i++)
		timeline->runs[i].host->is_mine = true;
	for (size_t i = 0; i < timeline->off_count; i++)
		timeline->offs[i].host->is_mine = true;
	for (size_t i = 0; i < timeline->host_count && r == 0; i++)
		if (timeline->hosts[i].is_mine)
			r = read_gaps(store, loading, &timeline->hosts[i], err);
	if (r == 0)
		r = add_lost_spools(loading);
	for (size_t i = 0; i < timeline->host_count && r == 0; i++)
		r = retire(timeline, &timeline->hosts[i]);
	return r;
}

int timeline_read(struct store *store, const struct identity *identity, int64_t from_ms,
	int64_t to_ms, int64_t now_ms, struct timeline *ret_timeline, struct error *err)
{
	struct loading loading = { .timeline = ret_timeline, .identity = identity };
	int r;

	*ret_timeline = (struct timeline){ .from_ms = from_ms, .to_ms = to_ms, .now_ms = now_ms };
	arena_init(&ret_timeline->arena, TIMELINE_MEMORY_MAX);
	r = read_hosts(store, &loading, err);
	if (r == 0)
		r = read_states(store, &loading, err);
	if (r == 0)
		r = read_my_gaps(store, &loading, err);
	return r == 0 ? timeline_settle(ret_timeline) : r;
}

int timeline_add_stateless(struct timeline *timeline, struct store *store,
	const struct identity *identity, const struct store_series *series, struct error *err)
{
	struct loading loading = { .timeline = timeline, .identity = identity };
	struct run *run = find_run(timeline, series->epoch);
	bool is_new;

	if (!*series->epoch || is_off(series->epoch) || (run && run->state_count))
		return 0;
	if (!run)
		run = new_run(timeline, series->epoch);
	if (!run)
		return error_set(err, STORE_TOO_MUCH, "the instance ran too often");
	is_new = !run->host->is_mine;
	extend_run(run, series);
	return is_new ? read_gaps(store, &loading, run->host, err) : 0;
}

void timeline_deinit(struct timeline *timeline)
{
	free(timeline->hosts);
	timeline->hosts = NULL;
	arena_deinit(&timeline->arena);
}
