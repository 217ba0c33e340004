/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/methods.h"

#include <errno.h>
#include <string.h>

#include "api/projects.h"
#include "base/text.h"
#include "store/remote/remote.h"

static const struct {
	const char *name;
	method_fn *function; /* NULL: the server's own, passed on */
} methods[] = {
	{ "query_usage_report", method_query_usage_report },
	{ "list_instance", method_list_instance },
	{ "readings", method_readings },
	{ "instances", method_instances },
	{ "instance", method_instance },
	{ "metrics", method_metrics },
	{ "usage", method_usage },
	{ "series", method_series },
	{ "latest", method_latest },
	{ "retire", method_retire },
	{ "close", method_close },
	{ "closed", method_closed },
	{ "workers", NULL },
	{ "status", method_status },
};

enum answer_code method_code(int r)
{
	switch (r) {
	case QUERY_NOT_FOUND:
		return ANSWER_NOT_FOUND;
	case QUERY_AMBIGUOUS:
		return ANSWER_AMBIGUOUS;
	case STORE_UNAVAILABLE:
		return ANSWER_UNAVAILABLE;
	case STORE_TOO_MUCH:
	case -E2BIG:
	case -EMSGSIZE:
		return ANSWER_TOO_LARGE;
	case -EINVAL:
		return ANSWER_BAD_REQUEST;
	default:
		return ANSWER_INTERNAL;
	}
}

/* The answer of kanyun-server itself, taken apart. */
static enum answer_code pass_on(const struct methods *context, const struct request *request,
	json_t **ret_data, struct error *err)
{
	const char *message;
	json_t *answer = NULL;
	enum answer_code code;
	int r = remote_store_ask(context->store, request->method, request->args, &answer, err);

	if (r != 0)
		return method_code(r);
	code = (enum answer_code)json_integer_value(json_object_get(answer, "code"));
	message = json_string_value(json_object_get(answer, "message"));
	if (code == ANSWER_SUCCESS)
		*ret_data = json_incref(json_object_get(answer, "data"));
	else
		error_set(err, 0, "%s", message ? message : "kanyun-server failed");
	json_decref(answer);
	return code;
}

static enum answer_code ask_one(size_t method, const struct methods *context,
	const struct request *request, json_t **ret_data, struct error *err)
{
	json_t *data = NULL;
	int r;

	if (!methods[method].function)
		return pass_on(context, request, ret_data, err);
	r = methods[method].function(context, request, &data, err);
	if (r == 0) {
		*ret_data = data;
		return ANSWER_SUCCESS;
	}
	json_decref(data);
	if (!*err->text)
		error_set(err, 0, "%s", r > 0 ? "the store failed" : strerror(-r));
	return method_code(r);
}

static enum answer_code ask(const struct methods *context, const struct request *request,
	json_t **ret_data, struct error *err)
{
	uint64_t begin_us = stopwatch_us();
	enum answer_code code = ANSWER_BAD_REQUEST;
	size_t method = 0;

	while (method < ARRAY_SIZE(methods) && strcmp(methods[method].name, request->method) != 0)
		method++;
	if (method < ARRAY_SIZE(methods))
		code = ask_one(method, context, request, ret_data, err);
	else
		error_set(err, 0, "unknown method '%s'", request->method);
	if (context->questions)
		questions_count(context->questions,
			method < ARRAY_SIZE(methods) ? method : SIZE_MAX, (int)code,
			stopwatch_us() - begin_us);
	return code;
}

void methods_expose(const struct methods *context, struct exposition *to)
{
	const char *names[ARRAY_SIZE(methods)];

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		names[i] = methods[i].name;
	questions_expose(context->questions, names, ARRAY_SIZE(methods),
		"kanyun_api_questions_total", "kanyun_api_question_seconds", to);
}

enum answer_code methods_ask(const struct methods *context, const char *method, json_t *args,
	json_t **ret_data, struct error *err)
{
	struct request request = { .args = args };

	(void)text_copy(request.method, sizeof(request.method), method);
	return ask(context, &request, ret_data, err);
}

json_t *methods_answer(void *context, const struct request *request, struct buffer *payload)
{
	struct error err = { 0 };
	json_t *data = NULL;
	enum answer_code code = ask(context, request, &data, &err);

	return answer_new(code, code == ANSWER_SUCCESS ? "success" : error_text(&err, EIO), data);
}

int method_window(const struct methods *context, const struct request *request, const char *from,
	const char *to, int64_t fallback_from_ms, struct window *ret_window, struct error *err)
{
	int64_t now_ms = clock_wall_ms(context->clock);
	const json_t *value = json_object_get(request->args, from);
	int r = request_time(request, to, now_ms, &ret_window->to_ms, err);

	if (r < 0)
		return r;
	if (!value || json_is_null(value)) {
		if (fallback_from_ms < 0)
			return error_set(err, -EINVAL, "argument '%s' is missing", from);
		ret_window->from_ms = fallback_from_ms;
		return 0;
	}
	r = request_time(request, from, now_ms, &ret_window->from_ms, err);
	if (r == 0 && ret_window->from_ms >= ret_window->to_ms)
		return error_set(err, -EINVAL, "argument '%s' is not before '%s'", from, to);
	return r;
}

static bool is_there(const void *projects, const struct store_instance *instance)
{
	return projects_know(projects, instance);
}

int method_identity(const struct methods *context, const struct request *request,
	struct identity *ret_identity, struct error *err)
{
	struct projects projects;
	const char *id;
	int r = request_text(request, "id", NULL, &id, err);

	*ret_identity = (struct identity){ 0 };
	if (r == 0)
		r = projects_parse(request, &projects, err);
	if (r == 0 && (!*id || strlen(id) > 2 * INSTANCE_TEXT_MAX + 1))
		return error_set(err, -EINVAL, "argument 'id' is empty or too long");
	return r == 0 ? identity_find_among(
				context->store, id, is_there, &projects, ret_identity, err)
		      : r;
}

int method_metric_of(const char *argument, const char *name, const struct metric **ret_metric,
	const char **parameter, struct error *err)
{
	*ret_metric = metric_by_question(name, parameter);
	if (!*ret_metric)
		return error_set(err, -EINVAL, "argument '%s': there is no metric '%s%s%s'",
			argument, name, **parameter ? " " : "", *parameter);
	if (!**parameter)
		*parameter = NULL;
	return 0;
}

int method_metric(const struct request *request, const char *metric_name,
	const char *parameter_name, const struct metric **ret_metric, const char **ret_parameter,
	struct error *err)
{
	const char *name, *parameter;
	int r = request_text(request, metric_name, NULL, &name, err);

	if (r == 0)
		r = request_text(request, parameter_name, "", &parameter, err);
	if (r < 0)
		return r;
	r = method_metric_of(metric_name, name, ret_metric, &parameter, err);
	if (r == 0)
		*ret_parameter = parameter;
	return r;
}

int method_gather(const struct methods *context, const struct identity *identity,
	const struct metric *metric, const char *parameter, const struct window *window,
	struct gather *ret_gather, struct error *err)
{
	const struct gather_question question = { .identity = identity,
		.group = metric->group,
		.columns = 1u << metric->column,
		.parameter = parameter,
		.from_ms = window->from_ms,
		.to_ms = window->to_ms };

	return gather_read(context->store, &question, ret_gather, err);
}

json_t *seconds_to_json(int64_t ms)
{
	return ratio_to_json(ms, 1000);
}

json_t *ratio_to_json(int64_t a, int64_t b)
{
	return a % b == 0 ? json_integer(a / b) : json_real((double)a / (double)b);
}
