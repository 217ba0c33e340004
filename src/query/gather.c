/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/batch.h"

enum { GATHER_MEMORY_MAX = 512 * 1024 * 1024 };

struct reading_context {
	struct gather *gather;
	const struct gather_question *question;
	const struct instance_port *port; /* the NIC whose addresses are wanted, or NULL */
	const char *parameter;            /* what the store was asked for */
	bool is_legacy;
	int r;
};

static const struct instance_port *find_port(const struct gather_question *question)
{
	if (!question->parameter || (question->group != METRIC_GROUP_VMNETWORK &&
					    question->group != METRIC_GROUP_VMNETWORK_INCREMENT))
		return NULL;
	return identity_port(question->identity, question->parameter);
}

static bool is_wanted(const struct reading_context *context, const char *parameter)
{
	return !context->port || identity_port_has(context->port, parameter);
}

static struct gathered *add(struct gather *gather)
{
	struct gathered *series;

	if (gather->count < gather->room)
		return &gather->series[gather->count++];
	if (gather->count >= GATHER_SERIES_MAX)
		return NULL;
	gather->room = gather->room ? gather->room * 2 : 16;
	series = realloc(gather->series, gather->room * sizeof(*series));
	if (!series)
		return NULL;
	gather->series = series;
	return &gather->series[gather->count++];
}

static int take_series(void *argument, const struct store_series *from)
{
	struct reading_context *context = argument;
	struct arena *arena = &context->gather->arena;
	struct gathered *series;
	struct sample *samples;

	if (from->count == 0 || !is_wanted(context, from->parameter))
		return 0;
	series = add(context->gather);
	samples = arena_take_array(arena, from->count, sizeof(*samples));
	if (!series || !samples) {
		context->r = STORE_TOO_MUCH;
		return 1;
	}
	memcpy(samples, from->samples, from->count * sizeof(*samples));
	context->gather->samples += from->count;
	*series = (struct gathered){ .metric = from->metric,
		.parameter = arena_copy_text(arena, from->parameter, strlen(from->parameter)),
		.epoch_name = arena_copy_text(arena, from->epoch, strlen(from->epoch)),
		.life = arena_copy_text(arena, from->life, strlen(from->life)),
		.segment = from->segment,
		.is_legacy = context->is_legacy,
		.epoch = { .start_ms = from->start_ms, .samples = samples, .count = from->count } };
	if (series->parameter && series->epoch_name && series->life)
		return 0;
	context->r = STORE_TOO_MUCH;
	return 1;
}

static int scan(struct store *store, struct reading_context *context, struct store_scan *scan,
	struct error *err)
{
	int r = store_scan(store, scan, take_series, context, err);

	if (r == STORE_STOPPED)
		r = context->r;
	if (r == STORE_TOO_MUCH)
		return error_set(err, r,
			"the answer needs more than %zu samples; ask for a shorter time",
			scan->maximum);
	return r;
}

static int read_all(struct store *store, const struct gather_question *question,
	struct gather *gather, struct error *err)
{
	size_t maximum = question->maximum    ? question->maximum
			 : question->edges_ms ? GATHER_READ_MAX
					      : GATHER_SAMPLES_MAX;
	struct reading_context context = { gather, question, find_port(question), NULL, false, 0 };
	int r = 0;

	if (!context.port && question->parameter && strcmp(question->parameter, "total") != 0)
		context.parameter = question->parameter;
	for (size_t i = 0; r == 0 && i < question->identity->key_count; i++) {
		struct store_scan one = { .instance = question->identity->keys[i],
			.parameter = context.parameter,
			.from_ms = question->from_ms,
			.to_ms = question->to_ms,
			.edges_ms = question->edges_ms,
			.edge_count = question->edge_count,
			.maximum = maximum - MIN_OF(maximum, gather->samples) };

		one.columns[question->group] = question->columns;
		context.is_legacy = !one.instance.has_uuid;
		r = one.maximum
			    ? scan(store, &context, &one, err)
			    : error_set(err, STORE_TOO_MUCH, "the answer needs too many samples");
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct gathered *left = a, *right = b;
	int order = (left->metric > right->metric) - (left->metric < right->metric);

	if (order == 0)
		order = strcmp(left->parameter, right->parameter);
	if (order == 0)
		order = (left->epoch.samples[0].time_ms > right->epoch.samples[0].time_ms) -
			(left->epoch.samples[0].time_ms < right->epoch.samples[0].time_ms);
	return order;
}

/* When an address was counted for the first time; INT64_MAX if never. */
static int64_t first_counter_ms(const struct gather *counters, const char *parameter)
{
	int64_t first_ms = INT64_MAX;

	for (size_t i = 0; i < counters->count; i++)
		if (strcmp(counters->series[i].parameter, parameter) == 0)
			first_ms = MIN_OF(first_ms, counters->series[i].epoch.samples[0].time_ms);
	return first_ms;
}

/* Cuts increments that counters have replaced. A question that ends before the beginning of time
 * gives the first sample of every series. */
static int cut_increments(struct store *store, const struct gather_question *question,
	struct gather *gather, struct error *err)
{
	CLEANUP(gather_deinit) struct gather counters = { 0 };
	struct gather_question first = *question;
	int r;

	first.group = METRIC_GROUP_VMNETWORK;
	first.columns = 1;
	first.from_ms = first.to_ms = 0;
	arena_init(&counters.arena, GATHER_MEMORY_MAX);
	r = read_all(store, &first, &counters, err);
	for (size_t i = 0; r == 0 && i < gather->count; i++) {
		struct gathered *series = &gather->series[i];
		int64_t end_ms = first_counter_ms(&counters, series->parameter);

		if (series->metric->kind != METRIC_INCREMENT)
			continue;
		while (series->epoch.count &&
			series->epoch.samples[series->epoch.count - 1].time_ms >= end_ms)
			series->epoch.count--;
	}
	return r;
}

/* Only a life's first segment has a start. What is higher in a later one's first sample than in the
 * last one of the segment before counts at its time (docs/usage.md); where the worker repeated that
 * last value, this is nothing. */
static void chain(struct gathered *series, const struct gathered *before)
{
	const struct sample *first = &series->epoch.samples[0];
	int64_t last = before->epoch.samples[before->epoch.count - 1].value;

	series->epoch.start_ms = first->time_ms;
	series->epoch.start_value = last <= first->value ? last : 0;
	series->is_fallen = last > first->value;
}

static bool is_same_life(const struct gathered *a, const struct gathered *b)
{
	return a->metric == b->metric && strcmp(a->parameter, b->parameter) == 0 &&
	       strcmp(a->epoch_name, b->epoch_name) == 0 && strcmp(a->life, b->life) == 0;
}

static const struct gathered *segment_before(
	const struct gather *lasts, const struct gathered *series)
{
	const struct gathered *found = NULL;

	for (size_t i = 0; i < lasts->count; i++)
		if (lasts->series[i].segment < series->segment &&
			is_same_life(series, &lasts->series[i]) &&
			(!found || lasts->series[i].segment > found->segment))
			found = &lasts->series[i];
	return found;
}

/* A question that begins after the end of time gives the last sample of every series. */
static int chain_segments(struct store *store, const struct gather_question *question,
	struct gather *gather, struct error *err)
{
	CLEANUP(gather_deinit) struct gather lasts = { 0 };
	struct gather_question last = *question;
	bool is_needed = false;
	int r;

	for (size_t i = 0; i < gather->count && !is_needed; i++)
		is_needed = gather->series[i].segment > 0 &&
			    gather->series[i].metric->kind == METRIC_COUNTER;
	if (!is_needed)
		return 0;
	last.from_ms = last.to_ms = INT64_MAX;
	last.edges_ms = NULL;
	arena_init(&lasts.arena, GATHER_MEMORY_MAX);
	r = read_all(store, &last, &lasts, err);
	for (size_t i = 0; r == 0 && i < gather->count; i++) {
		struct gathered *series = &gather->series[i];
		const struct gathered *before =
			series->segment > 0 && series->metric->kind == METRIC_COUNTER
				? segment_before(&lasts, series)
				: NULL;

		if (!before)
			continue;
		/* Else its first sample is not at hand, and does not matter to the window. */
		if (series->epoch.samples[0].time_ms >= question->from_ms)
			chain(series, before);
		else
			series->epoch.start_ms = EPOCH_START_UNKNOWN;
	}
	return r;
}

static void drop_empty(struct gather *gather)
{
	size_t kept = 0;

	for (size_t i = 0; i < gather->count; i++)
		if (gather->series[i].epoch.count)
			gather->series[kept++] = gather->series[i];
	gather->count = kept;
}

int gather_read(struct store *store, const struct gather_question *question,
	struct gather *ret_gather, struct error *err)
{
	struct gather_question increments = *question;
	int r;

	*ret_gather = (struct gather){ 0 };
	arena_init(&ret_gather->arena, GATHER_MEMORY_MAX);
	r = read_all(store, question, ret_gather, err);
	if (r == 0 && question->group == METRIC_GROUP_VMNETWORK && question->columns & 1) {
		increments.group = METRIC_GROUP_VMNETWORK_INCREMENT;
		increments.columns = 1;
		r = read_all(store, &increments, ret_gather, err);
		if (r == 0)
			r = cut_increments(store, question, ret_gather, err);
	}
	drop_empty(ret_gather);
	if (r == 0)
		r = chain_segments(store, question, ret_gather, err);
	if (ret_gather->count > 1)
		qsort(ret_gather->series, ret_gather->count, sizeof(*ret_gather->series), compare);
	return r;
}

void gather_deinit(struct gather *gather)
{
	arena_deinit(&gather->arena);
	free(gather->series);
	gather->series = NULL;
}
