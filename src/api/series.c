/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* series: the samples themselves. */

#include <errno.h>
#include <string.h>

#include "api/methods.h"

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
