/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/gaps.h"

enum { TIMELINE_MEMORY_MAX = 512 * 1024 * 1024, TIMELINE_SAMPLES_MAX = 8 * 1000 * 1000 };

static const char off_ending[] = "/off";

struct loading {
	struct timeline *timeline;
	struct timeline_host *host; /* whose gaps are read */
	const struct identity *identity;
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

/* The epoch's host: what stands before its first slash. */
static bool is_host_of(const char *host, const char *epoch)
{
	size_t size = strcspn(epoch, "/");

	return strncmp(host, epoch, size) == 0 && host[size] == '\0';
}

const struct timeline_host *timeline_host(const struct timeline *timeline, const char *epoch)
{
	for (size_t i = 0; i < timeline->host_count; i++)
		if (is_host_of(timeline->hosts[i].name, epoch))
			return &timeline->hosts[i];
	return NULL;
}

const struct run *timeline_run(const struct timeline *timeline, const char *epoch)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (strcmp(timeline->runs[i].epoch, epoch) == 0)
			return &timeline->runs[i];
	return NULL;
}

/* Hosts are a fixed array, for runs point into it. */
static struct timeline_host *host_of(struct timeline *timeline, const char *epoch)
{
	struct timeline_host *host = (struct timeline_host *)timeline_host(timeline, epoch);

	if (host || timeline->host_count == TIMELINE_HOSTS_MAX)
		return host;
	host = &timeline->hosts[timeline->host_count];
	*host = (struct timeline_host){
		.first_ms = TIME_OPEN, .until_ms = INT64_MIN, .retired_ms = TIME_OPEN
	};
	host->name = arena_copy_text(&timeline->arena, epoch, strcspn(epoch, "/"));
	if (!host->name)
		return NULL;
	timeline->host_count++;
	return host;
}

static bool is_off(const char *epoch)
{
	const char *slash = strchr(epoch, '/');

	return slash && strcmp(slash, off_ending) == 0;
}

static const struct sample *copy_samples(
	struct arena *arena, const struct sample *samples, size_t count)
{
	struct sample *copy = arena_take_array(arena, count, sizeof(*copy));

	if (copy)
		memcpy(copy, samples, count * sizeof(*copy));
	return copy;
}

static bool add_off(struct timeline *timeline, const struct store_series *series)
{
	struct off *offs = grow(&timeline->arena, timeline->offs, timeline->off_count,
		TIMELINE_HOSTS_MAX, sizeof(*offs));
	struct off off = { host_of(timeline, series->epoch),
		copy_samples(&timeline->arena, series->samples, series->count), series->count };

	if (!offs || !off.host || !off.states)
		return false;
	timeline->offs = offs;
	offs[timeline->off_count++] = off;
	return true;
}

/* Series come with the segments of an epoch one after the other. */
static struct run *run_for(struct timeline *timeline, const struct store_series *series)
{
	struct arena *arena = &timeline->arena;
	struct run *runs = timeline->runs, *run;

	if (timeline->run_count && strcmp(runs[timeline->run_count - 1].epoch, series->epoch) == 0)
		return &runs[timeline->run_count - 1];
	runs = grow(arena, runs, timeline->run_count, TIMELINE_RUNS_MAX, sizeof(*runs));
	if (!runs)
		return NULL;
	timeline->runs = runs;
	run = &runs[timeline->run_count];
	*run = (struct run){ .epoch = arena_copy_text(arena, series->epoch, strlen(series->epoch)),
		.host = host_of(timeline, series->epoch),
		.begin_ms = TIME_OPEN,
		.end_ms = TIME_OPEN };
	if (!run->epoch || !run->host)
		return NULL;
	timeline->run_count++;
	return run;
}

static bool add_stretch(struct timeline *timeline, const struct store_series *series)
{
	struct run *run = run_for(timeline, series);
	const struct sample *last = &series->samples[series->count - 1];
	struct stretch *stretches;

	if (!run)
		return false;
	stretches = grow(&timeline->arena, run->stretches, run->stretch_count, UINT32_MAX,
		sizeof(*stretches));
	if (!stretches)
		return false;
	run->stretches = stretches;
	stretches[run->stretch_count++] = (struct stretch){ series->segment,
		copy_samples(&timeline->arena, series->samples, series->count), series->count };
	run->begin_ms = MIN_OF(run->begin_ms, series->samples[0].time_ms);
	if (series->start_ms != EPOCH_START_UNKNOWN) {
		run->begin_ms = MIN_OF(run->begin_ms, series->start_ms);
		run->is_begin_known = true;
	}
	run->last_ms = last->time_ms;
	run->last_state = last->value;
	run->last_reason = -1;
	return stretches[run->stretch_count - 1].states != NULL;
}

/* The reason of the last state, which came just before. */
static void add_reason(struct timeline *timeline, const struct store_series *series)
{
	struct run *run = timeline->run_count ? &timeline->runs[timeline->run_count - 1] : NULL;
	const struct sample *last = &series->samples[series->count - 1];

	if (run && strcmp(run->epoch, series->epoch) == 0 && last->time_ms == run->last_ms)
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
					      : add_stretch(loading->timeline, series);
	else if (!is_off(series->epoch))
		add_reason(loading->timeline, series);
	loading->r = is_ok ? 0 : STORE_TOO_MUCH;
	return loading->r;
}

static int read_states(struct store *store, struct loading *loading, struct error *err)
{
	const struct timeline *timeline = loading->timeline;
	int r = 0;

	for (size_t i = 0; r == 0 && i < loading->identity->key_count; i++) {
		const struct store_scan scan = { .instance = loading->identity->keys[i],
			.group = METRIC_GROUP_STATE,
			.columns = 3,
			.from_ms = timeline->from_ms,
			.to_ms = timeline->to_ms,
			.maximum = TIMELINE_SAMPLES_MAX };

		if (scan.instance.has_uuid)
			r = store_scan(store, &scan, take_states, loading, err);
	}
	if (r == STORE_STOPPED)
		r = loading->r;
	return r == STORE_TOO_MUCH
		       ? error_set(
				 err, r, "the instance has too many states; ask for a shorter time")
		       : r;
}

static int take_source(void *context, const struct store_source *source)
{
	struct timeline_host *host = ((struct loading *)context)->host;

	if (source->first_ms)
		host->first_ms = MIN_OF(host->first_ms, source->first_ms);
	if (source->until_ms)
		host->until_ms = MAX_OF(host->until_ms, source->until_ms);
	return 0;
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

static int take_gap(void *context, const struct store_record *record)
{
	struct loading *loading = context;
	struct timeline_host *host = loading->host;
	struct arena *arena = &loading->timeline->arena;
	struct gap *gaps, gap;

	if (gap_of_key(record->key, &gap) < 0 || !is_of_instance(&gap, loading->identity))
		return 0;
	gaps = grow(arena, host->gaps, host->gap_count, TIMELINE_GAPS_MAX, sizeof(*gaps));
	gap.reason = arena_copy_text(arena, gap.reason, strlen(gap.reason));
	if (!gaps || !gap.reason)
		return loading->r = STORE_TOO_MUCH;
	host->gaps = gaps;
	gaps[host->gap_count++] = gap;
	return 0;
}

static int take_retirement(void *context, const struct store_record *record)
{
	struct timeline_host *host = ((struct loading *)context)->host;
	int64_t retired_ms;
	char text[24];

	if (strcmp(record->key, host->name) != 0 || record->size >= sizeof(text))
		return 0;
	memcpy(text, record->value, record->size);
	text[record->size] = '\0';
	if (text_to_i64(text, &retired_ms) < 0 || host->until_ms > retired_ms)
		return 0; /* its worker told more since: it is back */
	host->retired_ms = retired_ms;
	host->until_ms = TIME_OPEN;
	return 0;
}

static int read_host(
	struct store *store, struct loading *loading, struct timeline_host *host, struct error *err)
{
	char prefix[GAP_KEY_SIZE];
	int r;

	loading->host = host;
	r = store_sources(store, host->name, NULL, take_source, loading, err);
	if (r == 0)
		r = store_records(store, GAP_KIND, gap_key_of_host(host->name, prefix), take_gap,
			loading, err);
	if (r == 0)
		r = store_records(store, RETIRED_KIND, host->name, take_retirement, loading, err);
	return r == STORE_STOPPED ? loading->r : r;
}

/* The first of the times after after_ms. */
static void note_after(int64_t *first_ms, int64_t time_ms, int64_t after_ms)
{
	if (time_ms > after_ms && time_ms < *first_ms)
		*first_ms = time_ms;
}

int64_t timeline_end_unseen(
	const struct timeline *timeline, const struct timeline_host *host, int64_t last_ms)
{
	int64_t end_ms = TIME_OPEN;

	for (size_t i = 0; i < timeline->run_count; i++)
		note_after(&end_ms, timeline->runs[i].begin_ms, last_ms);
	for (size_t i = 0; i < timeline->off_count; i++)
		for (size_t j = 0; timeline->offs[i].host == host && j < timeline->offs[i].count;
			j++)
			note_after(&end_ms, timeline->offs[i].states[j].time_ms, last_ms);
	if (!host)
		return end_ms;
	for (size_t i = 0; i < host->gap_count; i++)
		if (!host->gaps[i].has_instance && host->gaps[i].to_ms <= host->until_ms)
			note_after(&end_ms, host->gaps[i].to_ms, last_ms);
	if (host->retired_ms != TIME_OPEN)
		end_ms = MIN_OF(end_ms, MAX_OF(host->retired_ms, last_ms));
	return end_ms;
}

bool run_is_seen(const struct run *run)
{
	for (size_t i = 0; i < run->stretch_count; i++)
		for (size_t j = 0; j < run->stretches[i].count; j++)
			if (run->stretches[i].states[j].value != STATE_SHUTOFF)
				return true;
	return false;
}

static int compare_runs(const void *a, const void *b)
{
	const struct run *left = a, *right = b;

	return (left->begin_ms > right->begin_ms) - (left->begin_ms < right->begin_ms);
}

static void end_runs(struct timeline *timeline)
{
	if (timeline->run_count > 1)
		qsort(timeline->runs, timeline->run_count, sizeof(*timeline->runs), compare_runs);
	for (size_t i = 0; i < timeline->run_count; i++) {
		struct run *run = &timeline->runs[i];

		run->end_ms = run->last_state == STATE_SHUTOFF
				      ? run->last_ms
				      : timeline_end_unseen(timeline, run->host, run->last_ms);
	}
}

int timeline_read(struct store *store, const struct identity *identity, int64_t from_ms,
	int64_t to_ms, int64_t now_ms, struct timeline *ret_timeline, struct error *err)
{
	struct loading loading = { .timeline = ret_timeline, .identity = identity };
	int r;

	*ret_timeline = (struct timeline){ .from_ms = from_ms, .to_ms = to_ms, .now_ms = now_ms };
	arena_init(&ret_timeline->arena, TIMELINE_MEMORY_MAX);
	ret_timeline->hosts = arena_take_array(
		&ret_timeline->arena, TIMELINE_HOSTS_MAX, sizeof(*ret_timeline->hosts));
	if (!ret_timeline->hosts)
		return -ENOMEM;
	r = read_states(store, &loading, err);
	for (size_t i = 0; i < ret_timeline->host_count && r == 0; i++)
		r = read_host(store, &loading, &ret_timeline->hosts[i], err);
	if (r == 0)
		end_runs(ret_timeline);
	return r;
}

int timeline_know_host(struct timeline *timeline, struct store *store,
	const struct identity *identity, const char *epoch, struct error *err)
{
	struct loading loading = { .timeline = timeline, .identity = identity };
	struct timeline_host *host;

	if (!*epoch || timeline_host(timeline, epoch))
		return 0;
	host = host_of(timeline, epoch);
	return host ? read_host(store, &loading, host, err)
		    : error_set(err, STORE_TOO_MUCH, "the instance was on too many hosts");
}

void timeline_deinit(struct timeline *timeline)
{
	arena_deinit(&timeline->arena);
}
