/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* latest: the last samples of all instances, in one question to the server. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "api/projects.h"
#include "query/durations.h"

/* More samples than two of a series tell how often it is read, though an event came in between. */
enum { LATEST_FROM_MS = 15 * 60 * 1000, LATEST_COUNT = 4, LATEST_SAMPLES_MAX = 2000000 };

static const char *const usual_metrics[] = { "cpu", "mem_max", "mem_free", "mem_current",
	"nic_incoming", "nic_outgoing", "blk_read", "blk_write", "vmnetwork_in", "vmnetwork_out" };

/* One question on its way. */
struct asking {
	struct projects projects;
	const char *project_id, *host;        /* "": all */
	struct store_recent recent;           /* what is asked of the store, */
	uint32_t wanted[_METRIC_GROUP_COUNT]; /* and what of it is answered */
	json_t *instances;
};

static int want(struct asking *asking, const char *name, struct error *err)
{
	const struct metric *metric = metric_by_name(name);

	if (!metric || metric_group_info(metric->group)->is_derived)
		return error_set(
			err, -EINVAL, "argument 'metric': '%s' is no metric that is read", name);
	asking->wanted[metric->group] |= 1u << metric->column;
	return 0;
}

static int parse_metrics(struct asking *asking, const struct request *request, struct error *err)
{
	const json_t *metrics = json_object_get(request->args, "metric"), *each;
	int r = 0;
	size_t i;

	if (!metrics || json_is_null(metrics)) {
		for (i = 0; i < ARRAY_SIZE(usual_metrics) && r == 0; i++)
			r = want(asking, usual_metrics[i], err);
	} else if (!json_is_array(metrics) || json_array_size(metrics) > metric_count()) {
		return error_set(err, -EINVAL,
			"argument 'metric' is no list, or longer than there are metrics");
	}
	json_array_foreach(metrics, i, each)
	{
		if (r == 0)
			r = json_is_string(each) ? want(asking, json_string_value(each), err)
						 : error_set(err, -EINVAL,
							   "argument 'metric' has what is no text");
	}
	memcpy(asking->recent.columns, asking->wanted, sizeof(asking->wanted));
	asking->recent.columns[METRIC_GROUP_STATE] |= 1;
	return r;
}

/* The info of now, and since when the instance may be seen; false if it may not. */
static bool find_info(const struct asking *asking, const struct store_instance *instance,
	const struct instance_info **ret_info, int64_t *ret_since_ms)
{
	size_t i = instance->info_count;

	*ret_info = i ? &instance->infos[i - 1] : NULL;
	*ret_since_ms = INT64_MIN;
	if (!asking->projects.ids)
		return true;
	while (i > 0 && projects_have(&asking->projects, instance->infos[i - 1].project_id))
		i--;
	if (i > 0 && i < instance->info_count)
		*ret_since_ms = instance->infos[i].since_ms;
	return i < instance->info_count && instance->last_ms >= *ret_since_ms;
}

static const char *host_of(const struct store_instance *instance, const struct instance_info *info)
{
	const char *at = instance->key.has_uuid ? NULL : strchr(instance->key.name, '@');

	if (info)
		return info->host;
	return at ? at + 1 : "";
}

static bool is_asked_for(const struct asking *asking, const struct store_instance *instance,
	const struct instance_info *info)
{
	if (*asking->project_id && (!info || strcmp(info->project_id, asking->project_id) != 0))
		return false;
	return !*asking->host || strcmp(host_of(instance, info), asking->host) == 0;
}

static int64_t last_of(const struct store_series *series)
{
	return series->samples[series->count - 1].time_ms;
}

/* By metric and parameter, the newest first. */
static int compare(const void *a, const void *b)
{
	const struct store_series *left = *(const struct store_series *const *)a,
				  *right = *(const struct store_series *const *)b;
	int order = (left->metric > right->metric) - (left->metric < right->metric);

	if (order == 0)
		order = strcmp(left->parameter, right->parameter);
	if (order == 0)
		order = (last_of(left) < last_of(right)) - (last_of(left) > last_of(right));
	return order;
}

static bool is_of_same(const struct store_series *a, const struct store_series *b)
{
	return a->metric == b->metric && strcmp(a->parameter, b->parameter) == 0;
}

/* Leaves the samples since a time, and sorts what has any. */
static const struct store_series **sort_series(
	const struct store_latest *latest, int64_t since_ms, struct store_series *copies)
{
	const struct store_series **sorted = calloc(latest->count + 1, sizeof(*sorted));
	size_t count = 0;

	for (size_t i = 0; sorted && i < latest->count; i++) {
		struct store_series *series = &copies[count];

		*series = latest->series[i];
		while (series->count && series->samples->time_ms < since_ms) {
			series->samples++;
			series->count--;
		}
		if (series->count) {
			sorted[count] = series;
			count++;
		}
	}
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare);
	return sorted;
}

/* The longest time between its samples; 0 if it has one only. */
static int64_t interval_of(const struct store_series *series)
{
	int64_t interval_ms = 0;

	for (size_t i = 1; i < series->count; i++)
		interval_ms = MAX_OF(
			interval_ms, series->samples[i].time_ms - series->samples[i - 1].time_ms);
	return interval_ms;
}

static json_t *samples_to_json(const struct store_series *series)
{
	size_t first = series->count > 2 ? series->count - 2 : 0;
	json_t *samples = json_array();

	for (size_t i = first; i < series->count; i++)
		json_array_append_new(
			samples, json_pack("[o, I]", seconds_to_json(series->samples[i].time_ms),
					 (json_int_t)series->samples[i].value));
	return samples;
}

static void add_state(json_t *object, const struct store_series *series)
{
	const char *name = state_name(series->samples[series->count - 1].value);

	if (name)
		json_object_set_new(object, "state", json_string(name));
}

/* Of each metric and parameter the newest series; what is read most often says how often. */
static void add_series(const struct asking *asking, json_t *object,
	const struct store_series *const *sorted, int64_t last_ms)
{
	json_t *array = json_array();
	int64_t interval_ms = 0;

	for (size_t i = 0; sorted[i]; i++) {
		const struct store_series *series = sorted[i];
		int64_t own_ms = last_of(series) == last_ms ? interval_of(series) : 0;

		if (i > 0 && is_of_same(sorted[i - 1], series))
			continue;
		if (own_ms && (!interval_ms || own_ms < interval_ms))
			interval_ms = own_ms;
		if (series->metric->group == METRIC_GROUP_STATE && series->metric->column == 0)
			add_state(object, series);
		if (asking->wanted[series->metric->group] >> series->metric->column & 1)
			json_array_append_new(
				array, json_pack("{s:s, s:s, s:o}", "metric", series->metric->name,
					       "parameter", series->parameter, "samples",
					       samples_to_json(series)));
	}
	json_object_set_new(
		object, "interval", interval_ms ? seconds_to_json(interval_ms) : json_null());
	json_object_set_new(object, "series", array);
}

static json_t *instance_to_object(
	const struct store_instance *instance, const struct instance_info *info)
{
	char text[UUID_TEXT_SIZE];
	const char *id = instance_key_text(&instance->key, text);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:n}", "id", id, "name",
		info ? info->name : id, "display_name", info ? info->display_name : "", "host",
		host_of(instance, info), "project_id", info ? info->project_id : "", "project_name",
		info ? info->project_name : "", "vcpus",
		info && info->vcpus >= 0 ? json_integer(info->vcpus) : json_null(), "last",
		seconds_to_json(instance->last_ms), "state");
}

static int add_instance(void *context, const struct store_latest *latest)
{
	struct asking *asking = context;
	const struct store_series **sorted;
	struct store_series *copies;
	const struct instance_info *info;
	json_t *object;
	int64_t since_ms;

	if (!find_info(asking, &latest->instance, &info, &since_ms) ||
		!is_asked_for(asking, &latest->instance, info))
		return 0;
	copies = calloc(latest->count + 1, sizeof(*copies));
	sorted = copies ? sort_series(latest, since_ms, copies) : NULL;
	object = sorted ? instance_to_object(&latest->instance, info) : NULL;
	if (object)
		add_series(asking, object, sorted, latest->instance.last_ms);
	free(sorted);
	free(copies);
	return json_array_append_new(asking->instances, object);
}

int method_latest(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	int64_t now_ms = clock_wall_ms(methods->clock);
	struct asking asking = { .recent = { .from_ms = now_ms - LATEST_FROM_MS,
					 .count = LATEST_COUNT,
					 .maximum = LATEST_SAMPLES_MAX } };
	const json_t *from = json_object_get(request->args, "from");
	int r = request_text(request, "project_id", "", &asking.project_id, err);

	if (r == 0)
		r = request_text(request, "host", "", &asking.host, err);
	if (r == 0)
		r = projects_parse(request, &asking.projects, err);
	if (r == 0)
		r = parse_metrics(&asking, request, err);
	if (r == 0 && from && !json_is_null(from))
		r = request_time(request, "from", now_ms, &asking.recent.from_ms, err);
	if (r != 0)
		return r;
	asking.instances = json_array();
	*ret_data = json_pack(
		"{s:o, s:o}", "now", seconds_to_json(now_ms), "instances", asking.instances);
	if (!*ret_data)
		return -ENOMEM;
	r = store_latest(methods->store, &asking.recent, add_instance, &asking, err);
	return r == STORE_STOPPED ? -ENOMEM : r;
}
