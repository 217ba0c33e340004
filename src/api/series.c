/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* series: which there are, and the samples themselves. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "api/projects.h"

/* One question on its way. */
struct listing {
	const struct methods *methods;
	struct identity identity;
	struct window window;
	struct span *spans; /* of the window, that may be seen */
	size_t span_count;
	bool is_restricted;
	bool has_samples; /* they are wanted */
	json_t *array;
};

static bool is_seen(const struct listing *listing, int64_t time_ms)
{
	return spans_overlap(
		listing->spans, listing->span_count, (struct span){ time_ms, time_ms + 1 });
}

static json_t *samples_to_json(const struct listing *listing, const struct gathered *series)
{
	json_t *samples = json_array();

	for (size_t i = 0; i < series->epoch.count; i++) {
		const struct sample *sample = &series->epoch.samples[i];

		if (is_seen(listing, sample->time_ms))
			json_array_append_new(
				samples, json_pack("[o, I]", seconds_to_json(sample->time_ms),
						 (json_int_t)sample->value));
	}
	return samples;
}

/* The first and the last sample that may be seen; false if there is none. */
static bool find_ends(const struct listing *listing, const struct gathered *series,
	int64_t *ret_first_ms, int64_t *ret_last_ms)
{
	bool is_found = false;

	for (size_t i = 0; i < series->epoch.count; i++) {
		int64_t time_ms = series->epoch.samples[i].time_ms;

		if (!is_seen(listing, time_ms))
			continue;
		if (!is_found)
			*ret_first_ms = time_ms;
		*ret_last_ms = time_ms;
		is_found = true;
	}
	return is_found;
}

static void add_series(struct listing *listing, const struct gathered *series)
{
	int64_t first_ms = 0, last_ms = 0;
	json_t *object;

	if (!find_ends(listing, series, &first_ms, &last_ms) &&
		(listing->is_restricted || !listing->has_samples))
		return;
	object = json_pack("{s:s, s:s, s:s, s:I, s:o}", "parameter", series->parameter, "epoch",
		series->epoch_name, "life", series->life, "segment", (json_int_t)series->segment,
		"start",
		series->epoch.start_ms > 0 ? seconds_to_json(series->epoch.start_ms) : json_null());
	if (listing->has_samples) {
		json_object_set_new(object, "samples", samples_to_json(listing, series));
	} else {
		json_object_set_new(object, "metric", json_string(series->metric->name));
		json_object_set_new(
			object, "unit", json_string(metric_unit_name(series->metric->unit)));
		json_object_set_new(
			object, "kind", json_string(metric_kind_name(series->metric->kind)));
		json_object_set_new(object, "first", seconds_to_json(first_ms));
		json_object_set_new(object, "last", seconds_to_json(last_ms));
	}
	json_array_append_new(listing->array, object);
}

/* The first and the last instant of each span. free() it. */
static int64_t *edges_of(const struct listing *listing, size_t *ret_count)
{
	int64_t *edges_ms = calloc(2 * listing->span_count + 1, sizeof(*edges_ms));
	size_t count = 0;

	for (size_t i = 0; edges_ms && i < listing->span_count; i++) {
		edges_ms[count++] = listing->spans[i].from_ms;
		if (listing->spans[i].to_ms - 1 > listing->spans[i].from_ms)
			edges_ms[count++] = listing->spans[i].to_ms - 1;
	}
	*ret_count = count;
	return edges_ms;
}

/* Of what is only listed, the samples at the edges are enough. */
static int add_group(struct listing *listing, enum metric_group group, uint32_t columns,
	const char *parameter, struct error *err)
{
	CLEANUP(gather_deinit) struct gather gather = { 0 };
	size_t edge_count;
	int64_t *edges_ms = edges_of(listing, &edge_count);
	struct gather_question question = { .identity = &listing->identity,
		.group = group,
		.columns = columns,
		.parameter = parameter,
		.from_ms = listing->window.from_ms,
		.to_ms = listing->window.to_ms };
	int r;

	if (!edges_ms)
		return -ENOMEM;
	if (!listing->has_samples && edge_count <= GATHER_EDGES_MAX) {
		question.edges_ms = edges_ms;
		question.edge_count = edge_count;
	}
	r = gather_read(listing->methods->store, &question, &gather, err);
	free(edges_ms);
	for (size_t i = 0; i < gather.count && r == 0; i++)
		add_series(listing, &gather.series[i]);
	return r;
}

static int list_all(struct listing *listing, const struct request *request, struct error *err)
{
	const char *parameter;
	int r = request_text(request, "parameter", "", &parameter, err);

	for (unsigned int group = 0; r == 0 && group < METRIC_GROUP_TIME; group++)
		r = add_group(listing, group, (1u << METRIC_COLUMNS_MAX) - 1,
			*parameter ? parameter : NULL, err);
	return r;
}

static int read_arguments(struct listing *listing, const struct request *request, struct error *err)
{
	struct projects projects;
	struct span window;
	int r = projects_parse(request, &projects, err);

	if (r == 0)
		r = method_window(
			listing->methods, request, "from", "to", -1, &listing->window, err);
	if (r == 0)
		r = method_identity(listing->methods, request, &listing->identity, err);
	if (r != 0)
		return r;
	window = (struct span){ listing->window.from_ms, listing->window.to_ms };
	listing->is_restricted = projects.ids;
	listing->has_samples = !json_is_false(json_object_get(request->args, "samples"));
	return projects_spans(
		&projects, &listing->identity, window, &listing->spans, &listing->span_count);
}

static void listing_deinit(struct listing *listing)
{
	identity_deinit(&listing->identity);
	free(listing->spans);
}
CLEANUP_DEFINE_VALUE(struct listing, listing_deinit)

/* Samples are of one metric; what is only listed may be of all. */
int method_series(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	CLEANUP(listing_deinit) struct listing listing = { .methods = methods };
	const json_t *name = json_object_get(request->args, "metric");
	const struct metric *metric = NULL;
	const char *parameter;
	int r = 0;

	if ((name && !json_is_null(name)) ||
		!json_is_false(json_object_get(request->args, "samples")))
		r = method_metric(request, "metric", "parameter", &metric, &parameter, err);
	if (r == 0)
		r = read_arguments(&listing, request, err);
	if (r != 0)
		return r;
	listing.array = json_array();
	*ret_data = json_pack("{s:s, s:o}", "id", listing.identity.id, "series", listing.array);
	if (!*ret_data)
		return -ENOMEM;
	if (!metric)
		return list_all(&listing, request, err);
	json_object_set_new(*ret_data, "metric", json_string(metric->name));
	json_object_set_new(*ret_data, "unit", json_string(metric_unit_name(metric->unit)));
	return add_group(&listing, metric->group, 1u << metric->column, parameter, err);
}
