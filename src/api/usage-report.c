/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* query_usage_report, as the specification has it. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/methods.h"
#include "query/report.h"

enum { PERIOD_MINUTES_MAX = 100 * 366 * 24 * 60, PERIOD_MINUTES_DEFAULT = 5 };

static int read_statistic(
	const struct request *request, enum statistic *ret_statistic, struct error *err)
{
	const json_t *value = json_object_get(request->args, "statistic");
	char number[24];
	const char *text = number;
	int statistic, r = 0;

	if (json_is_integer(value))
		snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(value));
	else
		r = request_text(request, "statistic", "sum", &text, err);
	if (r < 0)
		return r;
	statistic = statistic_parse(text);
	if (statistic < 0)
		return error_set(err, -EINVAL,
			"argument 'statistic' is '%s'; expected sum, max, min, avg, sam, or 0 to 4",
			text);
	*ret_statistic = (enum statistic)statistic;
	return 0;
}

/* The specification's vmnetwork is in KB. */
static int64_t unit_of(const struct gather *gather)
{
	enum metric_group group = gather->series[0].metric->group;

	return group == METRIC_GROUP_VMNETWORK || group == METRIC_GROUP_VMNETWORK_INCREMENT ? 1024
											    : 1;
}

static json_t *samples_to_json(
	const struct report *report, const struct bucket *bucket, int64_t unit)
{
	json_t *array = json_array();

	for (size_t i = 0; i < bucket->value_count; i++) {
		const struct sample *sample = &report->values[bucket->first_point + i];

		json_array_append_new(array, json_pack("[o, o]", seconds_to_json(sample->time_ms),
						     ratio_to_json(sample->value, unit)));
	}
	return array;
}

static json_t *average_to_json(const struct bucket *bucket, int64_t unit)
{
	int64_t count = (int64_t)bucket->point_count;

	return bucket->points_sum % count == 0
		       ? ratio_to_json(bucket->points_sum / count, unit)
		       : json_real((double)bucket->points_sum / (double)count / (double)unit);
}

/* NULL: the bucket has no such statistic, and is left out. */
static json_t *bucket_to_json(const struct report *report, const struct bucket *bucket,
	enum statistic statistic, int64_t unit)
{
	if (statistic == STATISTIC_SAM)
		return bucket->value_count ? samples_to_json(report, bucket, unit) : NULL;
	if (statistic == STATISTIC_SUM)
		return bucket->is_present ? ratio_to_json(bucket->sum, unit) : NULL;
	if (!bucket->has_points)
		return NULL;
	if (statistic == STATISTIC_AVG)
		return average_to_json(bucket, unit);
	return ratio_to_json(statistic == STATISTIC_MAX ? bucket->max : bucket->min, unit);
}

/* "%.1f" of the bucket's start in seconds, without a float. */
static void format_key(int64_t start_ms, char key[32])
{
	snprintf(key, 32, "%" PRId64 ".%" PRId64, start_ms / 1000, start_ms % 1000 / 100);
}

static json_t *report_to_json(
	const struct gather *gather, const struct report *report, enum statistic statistic)
{
	json_t *object = json_object(), *value;
	char key[32];

	for (size_t i = 0; gather->count && i < report->count; i++) {
		value = bucket_to_json(report, &report->buckets[i], statistic, unit_of(gather));
		if (!value)
			continue;
		format_key(report->buckets[i].start_ms, key);
		json_object_set_new(object, key, value);
	}
	return object;
}

int method_query_usage_report(const struct methods *methods, const struct request *request,
	json_t **ret_data, struct error *err)
{
	CLEANUP(identity_deinit) struct identity identity = { 0 };
	CLEANUP(gather_deinit) struct gather gather = { 0 };
	CLEANUP(report_deinit) struct report report = { 0 };
	const int64_t fallback = PERIOD_MINUTES_DEFAULT;
	enum statistic statistic = STATISTIC_SUM;
	const struct metric *metric;
	struct window window;
	const char *parameter;
	int64_t period;
	int r = method_metric(request, "metric", "metric_param", &metric, &parameter, err);

	if (r == 0)
		r = read_statistic(request, &statistic, err);
	if (r == 0)
		r = request_integer(
			request, "period", 1, PERIOD_MINUTES_MAX, &fallback, &period, err);
	if (r == 0)
		r = method_window(
			methods, request, "timestamp_from", "timestamp_to", -1, &window, err);
	if (r == 0)
		r = method_identity(methods, request, &identity, err);
	if (r == 0)
		r = method_gather(methods, &identity, metric, parameter, &window, &gather, err);
	if (r == 0)
		r = report_make(
			&gather, window.from_ms, window.to_ms, period * 60 * 1000, &report, err);
	if (r == 0)
		*ret_data = report_to_json(&gather, &report, statistic);
	return r;
}
