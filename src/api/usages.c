/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* usage: how much of each metric, from when to when, and how well that is known. series: the
 * samples themselves. */

#include <errno.h>
#include <string.h>

#include "api/methods.h"
#include "query/summary.h"

static json_t *reasons_to_json(unsigned int reasons)
{
	json_t *array = json_array();

	for (unsigned int bit = 0; bit < SUMMARY_REASONS; bit++)
		if (reasons & (1u << bit))
			json_array_append_new(array, json_string(summary_reason_name(bit)));
	return array;
}

static void add_gauge(json_t *object, const struct summary *summary)
{
	int64_t count = (int64_t)summary->count;

	json_object_set_new(object, "min", json_integer(summary->min));
	json_object_set_new(object, "max", json_integer(summary->max));
	json_object_set_new(object, "avg", ratio_to_json(summary->sum, count));
	json_object_set_new(object, "last", json_integer(summary->value));
	json_object_set_new(object, "samples", json_integer(count));
}

static void add_counter(json_t *object, const struct summary *summary, const struct window *window)
{
	bool is_legacy = summary->reasons & REASON_LEGACY;

	json_object_set_new(object, "value", json_integer(summary->value));
	json_object_set_new(object, "uncertainty",
		summary->has_uncertainty ? json_integer(summary->uncertainty) : json_null());
	json_object_set_new(object, "coverage",
		ratio_to_json(summary->covered_ms, window->to_ms - window->from_ms));
	json_object_set_new(object, "covered_seconds", seconds_to_json(summary->covered_ms));
	json_object_set_new(
		object, "complete", is_legacy ? json_null() : json_boolean(summary->is_complete));
	json_object_set_new(object, "reasons", reasons_to_json(summary->reasons));
}

/* One metric of one thing. NULL: a gauge without a sample in the window. */
static json_t *usage_to_json(const struct gathered *series, size_t count, const char *parameter,
	const struct window *window)
{
	const struct summary summary = summary_make(series, count, window->from_ms, window->to_ms);
	const struct metric *metric = series->metric;
	json_t *object;

	if (metric->kind == METRIC_GAUGE && summary.count == 0)
		return NULL;
	object = json_pack("{s:s, s:s, s:s, s:s}", "metric", metric->name, "parameter", parameter,
		"unit", metric_unit_name(metric->unit), "kind", metric_kind_name(metric->kind));
	if (metric->kind == METRIC_GAUGE)
		add_gauge(object, &summary);
	else
		add_counter(object, &summary, window);
	return object;
}

static bool is_same_thing(const struct gathered *a, const struct gathered *b)
{
	return a->metric == b->metric && strcmp(a->parameter, b->parameter) == 0;
}

/* Adds one object for each metric and thing; or, if `whole` names the sum of several things, one
 * for each metric. */
static void add_usages(json_t *array, const struct gather *gather, const char *whole,
	const struct window *window, bool with_gauges)
{
	for (size_t i = 0, next; i < gather->count; i = next) {
		const struct gathered *first = &gather->series[i];
		json_t *object;

		next = i + 1;
		while (next < gather->count && gather->series[next].metric == first->metric &&
			(whole || is_same_thing(first, &gather->series[next])))
			next++;
		if (first->metric->kind == METRIC_GAUGE && !with_gauges)
			continue;
		object = usage_to_json(first, next - i, whole ? whole : first->parameter, window);
		if (object)
			json_array_append_new(array, object);
	}
}

/* A thing that stands for several: total of devices, or a NIC for its addresses. */
static const char *whole_of(
	const struct identity *identity, const struct metric *metric, const char *parameter)
{
	if (!parameter)
		return NULL;
	if (strcmp(parameter, "total") == 0)
		return parameter;
	for (size_t i = 0; metric->group == METRIC_GROUP_VMNETWORK && i < identity->port_count; i++)
		if (strcmp(identity->ports[i].nic, parameter) == 0)
			return parameter;
	return NULL;
}

static int usage_of_metric(const struct methods *methods, const struct request *request,
	const struct identity *identity, const struct window *window, json_t *array,
	struct error *err)
{
	CLEANUP(gather_deinit) struct gather gather = { 0 };
	const struct metric *metric;
	const char *parameter;
	int r = method_metric(request, "metric", "parameter", &metric, &parameter, err);

	if (r == 0)
		r = method_gather(methods, identity, metric, parameter, window, &gather, err);
	if (r == 0)
		add_usages(array, &gather, whole_of(identity, metric, parameter), window, true);
	return r;
}

/* All counters that an instance has, group by group. */
static int usage_of_all(const struct methods *methods, const struct identity *identity,
	const struct window *window, json_t *array, struct error *err)
{
	int r = 0;

	for (unsigned int group = 0; r == 0 && group < _METRIC_GROUP_COUNT; group++) {
		CLEANUP(gather_deinit) struct gather gather = { 0 };
		struct gather_question question = { .identity = identity,
			.group = group,
			.from_ms = window->from_ms,
			.to_ms = window->to_ms };

		for (unsigned int column = 0; column < METRIC_COLUMNS_MAX; column++) {
			const struct metric *metric = metric_of_column(group, column);

			if (metric && metric->kind == METRIC_COUNTER)
				question.columns |= 1u << column;
		}
		if (!question.columns)
			continue;
		r = gather_read(methods->store, &question, &gather, err);
		if (r == 0)
			add_usages(array, &gather, NULL, window, false);
	}
	return r;
}

int method_usage(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	CLEANUP(identity_deinit) struct identity identity = { 0 };
	const json_t *metric = json_object_get(request->args, "metric");
	struct window window;
	json_t *array;
	int r = method_window(methods, request, "from", "to", -1, &window, err);

	if (r == 0)
		r = method_identity(methods, request, &identity, err);
	if (r != 0)
		return r;
	array = json_array();
	*ret_data = json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", identity.id, "name", identity.name,
		"from", seconds_to_json(window.from_ms), "to", seconds_to_json(window.to_ms),
		"usages", array);
	if (!*ret_data)
		return -ENOMEM;
	if (!metric || json_is_null(metric))
		return usage_of_all(methods, &identity, &window, array, err);
	return usage_of_metric(methods, request, &identity, &window, array, err);
}

static json_t *series_to_json(const struct gathered *series, const struct window *window)
{
	json_t *samples = json_array();

	for (size_t i = 0; i < series->epoch.count; i++) {
		const struct sample *sample = &series->epoch.samples[i];

		if (sample->time_ms >= window->from_ms && sample->time_ms < window->to_ms)
			json_array_append_new(
				samples, json_pack("[o, I]", seconds_to_json(sample->time_ms),
						 (json_int_t)sample->value));
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "parameter", series->parameter, "epoch",
		series->epoch_name, "start",
		series->epoch.start_ms > 0 ? seconds_to_json(series->epoch.start_ms) : json_null(),
		"samples", samples);
}

int method_series(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	CLEANUP(identity_deinit) struct identity identity = { 0 };
	CLEANUP(gather_deinit) struct gather gather = { 0 };
	const struct metric *metric;
	const char *parameter;
	struct window window;
	json_t *array;
	int r = method_metric(request, "metric", "parameter", &metric, &parameter, err);

	if (r == 0)
		r = method_window(methods, request, "from", "to", -1, &window, err);
	if (r == 0)
		r = method_identity(methods, request, &identity, err);
	if (r == 0)
		r = method_gather(methods, &identity, metric, parameter, &window, &gather, err);
	if (r != 0)
		return r;
	array = json_array();
	for (size_t i = 0; i < gather.count; i++)
		json_array_append_new(array, series_to_json(&gather.series[i], &window));
	*ret_data = json_pack("{s:s, s:s, s:s, s:o}", "id", identity.id, "metric", metric->name,
		"unit", metric_unit_name(metric->unit), "series", array);
	return *ret_data ? 0 : -ENOMEM;
}
