/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What was read, as the specification keeps it: {metric: {parameter: {time: value}}}. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/methods.h"

enum {
	READINGS_LIMIT = 20000, /* samples of one column and parameter, the newest */
	READINGS_SCAN_MAX = 400 * 1000,
};

/* "1332831360", or "1332831360.500" where the milliseconds are not zero. */
static void format_time(int64_t ms, char key[32])
{
	if (ms % 1000)
		snprintf(key, 32, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
	else
		snprintf(key, 32, "%" PRId64, ms / 1000);
}

static json_t *member(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!value) {
		value = json_object();
		json_object_set_new(object, name, value);
	}
	return value;
}

/* Increments of old workers stand under vmnetwork, as the specification has them. */
static const char *name_of(const struct metric *metric)
{
	return metric->kind == METRIC_INCREMENT ? "vmnetwork" : metric->name;
}

static void add_series(
	json_t *data, const struct gathered *series, const struct window *window, int64_t limit)
{
	json_t *samples = member(member(data, name_of(series->metric)), series->parameter);
	bool is_network = strcmp(name_of(series->metric), "vmnetwork") == 0;
	const struct usage_epoch *epoch = &series->epoch;
	size_t first = epoch->count > (size_t)limit ? epoch->count - (size_t)limit : 0;
	char key[32];

	for (size_t i = first; i < epoch->count; i++) {
		const struct sample *sample = &epoch->samples[i];

		if (sample->time_ms < window->from_ms || sample->time_ms > window->to_ms)
			continue;
		format_time(sample->time_ms, key);
		json_object_set_new(
			samples, key, ratio_to_json(sample->value, is_network ? 1024 : 1));
	}
}

/* Looks back only so far that the scan stays within bounds. */
static int gather_newest(const struct methods *methods, struct gather_question *question,
	struct gather *gather, struct error *err)
{
	int r;

	for (;;) {
		int64_t span_ms = question->to_ms - question->from_ms;

		r = gather_read(methods->store, question, gather, err);
		if (r != STORE_TOO_MUCH || span_ms < 60 * 1000)
			return r;
		gather_deinit(gather);
		*err = (struct error){ 0 };
		question->from_ms = question->to_ms - span_ms / 2;
	}
}

static int add_group(const struct methods *methods, struct gather_question question,
	struct window window, int64_t limit, json_t *data, struct error *err)
{
	CLEANUP(gather_deinit) struct gather gather = { 0 };
	int r;

	window.from_ms = MAX_OF(window.from_ms, question.identity->first_ms);
	window.to_ms = MIN_OF(window.to_ms, question.identity->last_ms);
	question.from_ms = window.from_ms;
	question.to_ms = window.to_ms;
	question.maximum = READINGS_SCAN_MAX;
	if (window.from_ms > window.to_ms)
		return 0;
	r = gather_newest(methods, &question, &gather, err);
	for (size_t i = 0; r == 0 && i < gather.count; i++)
		add_series(data, &gather.series[i], &window, limit);
	return r;
}

/* Without a metric: every metric that the specification names. */
static int add_specified(const struct methods *methods, const struct identity *identity,
	const struct window *window, int64_t limit, json_t *data, struct error *err)
{
	uint32_t columns[_METRIC_GROUP_COUNT] = { 0 };
	int r = 0;

	for (size_t i = 0; i < metric_count(); i++)
		if (metric_at(i)->is_specified)
			columns[metric_at(i)->group] |= 1u << metric_at(i)->column;
	columns[METRIC_GROUP_CPU_PERCENT] = 1;
	for (unsigned int group = 0; r == 0 && group < _METRIC_GROUP_COUNT; group++) {
		const struct gather_question question = {
			.identity = identity, .group = group, .columns = columns[group]
		};

		if (columns[group])
			r = add_group(methods, question, *window, limit, data, err);
	}
	return r;
}

static int add_metric(const struct methods *methods, const struct request *request,
	const struct identity *identity, const struct window *window, int64_t limit, json_t *data,
	struct error *err)
{
	struct gather_question question = { .identity = identity };
	const struct metric *metric;
	const char *name;
	int r = request_text(request, "metric", NULL, &name, err);

	if (r == 0 && strcmp(name, "mem") == 0 && !json_object_get(request->args, "metric_param")) {
		question.group = METRIC_GROUP_MEM;
		question.columns = 3; /* mem_max and mem_free */
		return add_group(methods, question, *window, limit, data, err);
	}
	if (r == 0)
		r = method_metric(
			request, "metric", "metric_param", &metric, &question.parameter, err);
	if (r < 0)
		return r;
	question.group = metric->group;
	question.columns = 1u << metric->column;
	return add_group(methods, question, *window, limit, data, err);
}

int method_readings(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	CLEANUP(identity_deinit) struct identity identity = { 0 };
	const int64_t fallback = READINGS_LIMIT;
	const json_t *metric = json_object_get(request->args, "metric");
	struct window window;
	int64_t limit;
	int r = request_integer(request, "limit", 1, READINGS_LIMIT, &fallback, &limit, err);

	if (r == 0)
		r = method_window(
			methods, request, "timestamp_from", "timestamp_to", 0, &window, err);
	if (r == 0)
		r = method_identity(methods, request, &identity, err);
	if (r != 0)
		return r;
	*ret_data = json_object();
	if (!metric || json_is_null(metric))
		return add_specified(methods, &identity, &window, limit, *ret_data, err);
	return add_metric(methods, request, &identity, &window, limit, *ret_data, err);
}
