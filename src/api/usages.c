/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* usage: how much of each metric, from when to when, and how well that is known. */

#include "api/usages.h"

#include <errno.h>
#include <string.h>

#include "query/durations.h"

/* One question on its way. */
struct asking {
	const struct methods *methods;
	struct identity identity;
	struct timeline timeline;
	struct usage_split split;
	struct usage_parts parts;
	struct usage_parts steps; /* of gauges, which have no labels; none: as parts */
	bool is_explained;
	json_t *usages;
};

static void add_gauge(json_t *object, const struct summary *summary)
{
	int64_t count = (int64_t)summary->count;

	json_object_set_new(object, "min", json_integer(summary->min));
	json_object_set_new(object, "max", json_integer(summary->max));
	json_object_set_new(object, "avg", ratio_to_json(summary->sum, count));
	json_object_set_new(object, "last", json_integer(summary->value));
	json_object_set_new(object, "samples", json_integer(count));
}

static void add_counter(json_t *object, const struct summary *summary)
{
	const struct account *account = &summary->account;
	int64_t covered_ms = account->window_ms - account->unknown_ms;

	json_object_set_new(object, "value", json_integer(summary->value));
	json_object_set_new(object, "uncertainty",
		summary->has_uncertainty ? json_integer(summary->uncertainty) : json_null());
	json_object_set_new(object, "coverage", ratio_to_json(covered_ms, account->window_ms));
	json_object_set_new(object, "covered_ms", json_integer(covered_ms));
	json_object_set_new(object, "window_ms", json_integer(account->window_ms));
	json_object_set_new(object, "complete",
		account->is_legacy ? json_null() : json_boolean(account->is_complete));
	json_object_set_new(object, "reasons", reasons_to_json(account));
}

static json_t *new_usage(const struct summary_question *question)
{
	const char *parameter = question->parameter ? question->parameter : question->whole;

	return json_pack("{s:s, s:s, s:s, s:s}", "metric", question->metric->name, "parameter",
		parameter, "unit", metric_unit_name(question->metric->unit), "kind",
		metric_kind_name(question->metric->kind));
}

static void narrow(struct summary_question *question, const struct usage_part *part)
{
	question->from_ms = part->from_ms;
	question->to_ms = part->to_ms;
	question->host = part->host;
}

/* When a step is, where there are several. */
static void add_step(const struct asking *asking, json_t *object, const struct usage_part *part)
{
	int64_t step_ms = asking->split.step_ms;
	int64_t from_ms = asking->timeline.from_ms + part->step * step_ms;

	if (!step_ms)
		return;
	json_object_set_new(object, "from", seconds_to_json(from_ms));
	json_object_set_new(
		object, "to", seconds_to_json(MIN_OF(from_ms + step_ms, asking->timeline.to_ms)));
}

/* All windows of one label and step: parts from `first` to before `next`. */
static int add_parts(
	struct asking *asking, struct summary_question *question, size_t first, size_t next)
{
	const struct usage_part *parts = asking->parts.parts;
	struct summary whole = { .has_uncertainty = true };
	json_t *object = new_usage(question), *explanation = json_array();
	int r = 0;

	whole.account.is_complete = true;
	for (size_t i = first; i < next && r == 0; i++) {
		CLEANUP(summary_deinit) struct summary part = { 0 };
		json_t *some;

		narrow(question, &parts[i]);
		r = summary_make(question, &part);
		if (r == 0)
			summary_append(&whole, &part);
		some = asking->is_explained ? explanation_to_json(question) : NULL;
		json_array_extend(explanation, some);
		json_decref(some);
	}
	if (asking->split.by != BY_NOTHING)
		json_object_set_new(
			object, usage_by_name(asking->split.by), json_string(parts[first].label));
	add_step(asking, object, &parts[first]);
	add_counter(object, &whole);
	if (asking->is_explained)
		json_object_set(object, "explanation", explanation);
	json_decref(explanation);
	json_array_append_new(asking->usages, object);
	return r;
}

static const struct usage_parts *steps_of(const struct asking *asking)
{
	return asking->split.by == BY_NOTHING ? &asking->parts : &asking->steps;
}

/* A gauge is split into steps only; one without a sample in it is left out. */
static int add_gauge_parts(
	struct asking *asking, struct summary_question *question, size_t first, size_t next)
{
	const struct usage_part *parts = steps_of(asking)->parts;
	struct summary whole = { 0 };
	json_t *object;
	int r = 0;

	for (size_t i = first; i < next && r == 0; i++) {
		CLEANUP(summary_deinit) struct summary part = { 0 };

		narrow(question, &parts[i]);
		r = summary_make(question, &part);
		if (r == 0)
			summary_append_gauge(&whole, &part);
	}
	if (r < 0 || whole.count == 0)
		return r;
	object = new_usage(question);
	add_step(asking, object, &parts[first]);
	add_gauge(object, &whole);
	json_array_append_new(asking->usages, object);
	return 0;
}

/* One metric of one thing, or of the sum of several. */
static int add_usage(struct asking *asking, struct summary_question *question)
{
	bool is_gauge = question->metric->kind == METRIC_GAUGE;
	const struct usage_parts *parts = is_gauge ? steps_of(asking) : &asking->parts;
	int r = 0;

	for (size_t i = 0, next; i < parts->count && r == 0; i = next) {
		next = usage_parts_next(parts, i);
		r = is_gauge ? add_gauge_parts(asking, question, i, next)
			     : add_parts(asking, question, i, next);
	}
	return r;
}

static struct summary_question question_of(const struct asking *asking, const struct metric *metric)
{
	return (struct summary_question){ .timeline = &asking->timeline,
		.identity = &asking->identity,
		.from_ms = asking->timeline.from_ms,
		.to_ms = asking->timeline.to_ms,
		.metric = metric,
		.whole = "total" };
}

/* The addresses of a NIC. */
static bool is_of_nic(const struct identity *identity, const char *parameter, const char *whole)
{
	const struct instance_port *port = identity_port(identity, whole);

	return port && identity_port_has(port, parameter);
}

static bool is_any(const struct identity *identity, const char *parameter, const char *whole)
{
	return true;
}

/* What stands for several things: total, or a NIC for its addresses. */
static void set_whole(struct summary_question *question, const char *parameter)
{
	question->parameter = parameter;
	if (!parameter)
		return;
	if (question->metric->group == METRIC_GROUP_VMNETWORK &&
		identity_port(question->identity, parameter)) {
		question->parameter = NULL;
		question->whole = parameter;
		question->is_wanted = is_of_nic;
	} else if (strcmp(parameter, "total") == 0) {
		question->parameter = NULL;
		question->is_wanted = is_any;
	}
}

/* One usage for each parameter of series[count], which are of one metric. */
static int add_each_parameter(struct asking *asking, struct summary_question *question)
{
	int r = 0;

	for (size_t i = 0; i < question->count && r == 0; i++) {
		question->parameter = question->series[i].parameter;
		if (i == 0 || strcmp(question->parameter, question->series[i - 1].parameter) != 0)
			r = add_usage(asking, question);
	}
	return r;
}

/* Is there anything by this name among the series of a metric? */
static bool has_parameter(const struct summary_question *question, const char *parameter)
{
	if (strcmp(parameter, "total") == 0)
		return true;
	if (question->metric->group == METRIC_GROUP_VMNETWORK &&
		identity_port(question->identity, parameter))
		return true;
	for (size_t i = 0; i < question->count; i++)
		if (strcmp(question->series[i].parameter, parameter) == 0)
			return true;
	return false;
}

/* Series of a group: metric by metric. */
static int add_gathered(
	struct asking *asking, const struct gather *gather, const char *parameter, bool with_gauges)
{
	int r = 0;

	for (size_t i = 0, next; i < gather->count && r == 0; i = next) {
		const struct metric *metric = gather->series[i].metric;
		struct summary_question question = question_of(asking, metric);

		next = i + 1;
		while (next < gather->count && gather->series[next].metric == metric)
			next++;
		if (metric->kind == METRIC_GAUGE && !with_gauges)
			continue;
		question.series = &gather->series[i];
		question.count = next - i;
		if (parameter && !has_parameter(&question, parameter))
			continue;
		set_whole(&question, parameter);
		r = parameter ? add_usage(asking, &question)
			      : add_each_parameter(asking, &question);
	}
	return r;
}

/* Epochs of collectors that read no states are known by their samples. */
static int add_stateless(struct asking *asking, const struct gathered *from, struct error *err)
{
	const struct store_series series = { .epoch = from->epoch_name,
		.segment = from->segment,
		.start_ms = from->epoch.start_ms,
		.samples = from->epoch.samples,
		.count = from->epoch.count };

	return timeline_add_stateless(
		&asking->timeline, asking->methods->store, &asking->identity, &series, err);
}

static struct span window_of(const struct asking *asking)
{
	return (struct span){ asking->timeline.from_ms, asking->timeline.to_ms };
}

/* Those of the hosts' parts are those of the steps. */
static const struct usage_parts *edges_of(const struct asking *asking)
{
	return asking->split.by == BY_HOST ? &asking->steps : &asking->parts;
}

/* Hosts of collectors that read no states are known only by what was gathered. */
static int make_parts_of_hosts(
	struct asking *asking, const struct gather *gather, struct error *err)
{
	for (size_t i = 0; i < gather->count; i++)
		if (timeline_is_host_of("", gather->series[i].epoch_name))
			asking->split.has_hostless = true;
	usage_parts_deinit(&asking->parts);
	return usage_parts_make(window_of(asking), &asking->timeline, &asking->identity,
		&asking->split, &asking->parts, err);
}

/* Reads a group's columns, all parameters of it: what one lacks, another may witness. */
static int gather_columns(struct asking *asking, enum metric_group group, uint32_t columns,
	struct gather *ret_gather, struct error *err)
{
	struct store *store = asking->methods->store;
	bool by_host = asking->split.by == BY_HOST;
	const struct usage_parts *parts = edges_of(asking);
	const struct gather_question question = { .identity = &asking->identity,
		.group = group,
		.columns = columns,
		.from_ms = asking->timeline.read_from_ms,
		.to_ms = asking->timeline.read_to_ms,
		.edges_ms = asking->timeline.is_stepped ? NULL : parts->edges_ms,
		.edge_count = asking->timeline.is_stepped ? 0 : parts->edge_count };
	int r = gather_read(store, &question, ret_gather, err);

	for (size_t i = 0; r == 0 && i < ret_gather->count; i++)
		r = add_stateless(asking, &ret_gather->series[i], err);
	if (r == 0)
		r = timeline_settle(&asking->timeline);
	return r == 0 && by_host ? make_parts_of_hosts(asking, ret_gather, err) : r;
}

static bool has_states(const struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->host_count; i++)
		if (timeline->hosts[i]->state_count)
			return true;
	return false;
}

static int add_time(struct asking *asking, const struct metric *metric, const char *parameter,
	struct error *err)
{
	struct summary_question question = question_of(asking, metric);
	bool is_known = strcmp(parameter, "total") == 0;

	for (int64_t state = 0; metric->column == 0 && state < STATE_NAMES; state++)
		is_known = is_known ||
			   (state_name(state) && strcmp(state_name(state), parameter) == 0);
	if (!is_known)
		return error_set(err, -EINVAL, "there is no '%s' of '%s'", parameter, metric->name);
	if (!has_states(&asking->timeline))
		return 0;
	question.parameter = parameter;
	return add_usage(asking, &question);
}

/* Those of the flavor only where it is known. */
static int add_all_times(struct asking *asking, struct error *err)
{
	unsigned int columns = metric_group_info(METRIC_GROUP_TIME)->columns;
	int r = 0;

	if (!asking->identity.info_count)
		columns = 1;
	for (unsigned int column = 0; column < columns && r == 0; column++)
		r = add_time(asking, metric_of_column(METRIC_GROUP_TIME, column), "total", err);
	return r;
}

static int add_metric(
	struct asking *asking, const char *name, const char *parameter, struct error *err)
{
	CLEANUP(gather_deinit) struct gather gather = { 0 };
	const struct metric *metric;
	int r = method_metric_of("metric", name, &metric, &parameter, err);

	if (r < 0)
		return r;
	if (metric->group == METRIC_GROUP_TIME)
		return add_time(asking, metric, parameter ? parameter : "total", err);
	r = gather_columns(asking, metric->group, 1u << metric->column, &gather, err);
	return r == 0 ? add_gathered(asking, &gather, parameter, true) : r;
}

/* All counters that an instance has, group by group. */
static int add_all(struct asking *asking, const char *parameter, struct error *err)
{
	int r = 0;

	for (unsigned int group = 0; r == 0 && group < METRIC_GROUP_TIME; group++) {
		CLEANUP(gather_deinit) struct gather gather = { 0 };
		uint32_t columns = 0;

		for (unsigned int column = 0; column < METRIC_COLUMNS_MAX; column++) {
			const struct metric *metric = metric_of_column(group, column);

			if (metric && metric->kind == METRIC_COUNTER)
				columns |= 1u << column;
		}
		if (!columns)
			continue;
		r = gather_columns(asking, group, columns, &gather, err);
		if (r == 0)
			r = add_gathered(asking, &gather, *parameter ? parameter : NULL, false);
	}
	if (r != 0 || (*parameter && strcmp(parameter, "total") != 0))
		return r;
	return add_all_times(asking, err);
}

/* The argument `metric`: a name, several, or all of them. */
static int add_metrics(struct asking *asking, const struct request *request, struct error *err)
{
	const json_t *metrics = json_object_get(request->args, "metric"), *each;
	const char *parameter, *name;
	int r = request_text(request, "parameter", "", &parameter, err);
	size_t i;

	if (r < 0)
		return r;
	if (!metrics || json_is_null(metrics))
		return add_all(asking, parameter, err);
	if (!json_is_array(metrics)) {
		r = request_text(request, "metric", NULL, &name, err);
		return r == 0 ? add_metric(asking, name, parameter, err) : r;
	}
	if (json_array_size(metrics) > metric_count())
		return error_set(err, -EINVAL, "argument 'metric' lists more than there are");
	json_array_foreach(metrics, i, each)
	{
		if (r == 0)
			r = json_is_string(each)
				    ? add_metric(asking, json_string_value(each), parameter, err)
				    : error_set(err, -EINVAL,
					      "argument 'metric' has what is no text");
	}
	return r;
}

/* Parts of hosts are made once these are known. */
static int make_parts(struct asking *asking, struct error *err)
{
	struct usage_split steps = asking->split;
	int r = asking->split.by == BY_HOST
			? 0
			: usage_parts_make(window_of(asking), NULL, &asking->identity,
				  &asking->split, &asking->parts, err);

	steps.by = BY_NOTHING;
	return r == 0 && asking->split.by != BY_NOTHING
		       ? usage_parts_make(window_of(asking), NULL, &asking->identity, &steps,
				 &asking->steps, err)
		       : r;
}

static int ask(struct asking *asking, const struct request *request, const struct window *window,
	struct error *err)
{
	struct timeline *timeline = &asking->timeline;
	int r = usage_split_parse(request, window, &asking->split, err);

	*timeline = (struct timeline){ .from_ms = window->from_ms,
		.to_ms = window->to_ms,
		.now_ms = clock_wall_ms(asking->methods->clock) };
	if (r == 0)
		r = make_parts(asking, err);
	if (r != 0 || !steps_of(asking)->count)
		return r;
	timeline->edges_ms = edges_of(asking)->edges_ms;
	timeline->edge_count = edges_of(asking)->edge_count;
	r = timeline_read(asking->methods->store, &asking->identity, timeline, err);
	if (r == 0 && asking->split.by == BY_HOST)
		r = usage_parts_make(window_of(asking), timeline, &asking->identity, &asking->split,
			&asking->parts, err);
	return r == 0 ? add_metrics(asking, request, err) : r;
}

static void asking_deinit(struct asking *asking)
{
	usage_parts_deinit(&asking->parts);
	usage_parts_deinit(&asking->steps);
	timeline_deinit(&asking->timeline);
	identity_deinit(&asking->identity);
}
CLEANUP_DEFINE_VALUE(struct asking, asking_deinit)

int method_usage(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	CLEANUP(asking_deinit)
	struct asking asking = { .methods = methods,
		.is_explained = json_is_true(json_object_get(request->args, "explain")) };
	struct window window;
	int r = method_window(methods, request, "from", "to", -1, &window, err);

	if (r == 0)
		r = method_identity(methods, request, &asking.identity, err);
	if (r != 0)
		return r;
	asking.usages = json_array();
	*ret_data = json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", asking.identity.id, "name",
		asking.identity.name, "from", seconds_to_json(window.from_ms), "to",
		seconds_to_json(window.to_ms), "usages", asking.usages);
	return *ret_data ? ask(&asking, request, &window, err) : -ENOMEM;
}
