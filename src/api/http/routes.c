/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The routes: each turns a request into the arguments of a method of api/methods.h, and its answer
 * into JSON. Whose time a token may see is an argument (api/projects.h) that every one of them
 * sets before anything is asked. */

#include <stdlib.h>
#include <string.h>

#include "api/http/service.h"
#include "api/projects.h"
#include "base/json.h"
#include "base/time-text.h"
#include "base/when.h"

enum { IDS_MAX = 100 };

static const char type_json[] = "application/json";

/* One request on its way; a stream's context. */
struct asking {
	const struct service *service;
	const char *method;
	json_t *args;
	json_t *ids;  /* that are still to be asked about, from `next` on */
	json_t *seen; /* ids that were answered: two names may be one instance */
	size_t next;
	bool is_open, has_answers;
};

static void asking_free(void *context)
{
	struct asking *asking = context;

	if (!asking)
		return;
	json_decref(asking->args);
	json_decref(asking->ids);
	json_decref(asking->seen);
	free(asking);
}

static struct asking *asking_new(void *context, const char *method, struct http_response *response)
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (!asking) {
		http_refuse(response, 500, "out of memory");
		return NULL;
	}
	*asking = (struct asking){ .service = context,
		.method = method,
		.args = json_object(),
		.ids = json_array(),
		.seen = json_object() };
	return asking;
}

static void refuse(struct http_response *response, enum answer_code code, const struct error *err)
{
	if (code == ANSWER_UNAVAILABLE)
		http_response_header(response, "Retry-After", "1");
	http_refuse(response, (unsigned int)code, "%s", err->text);
}

/* The token's projects, or those of them that are asked for. */
static bool set_projects(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	const struct scope *scope = http_request_scope(request);
	const struct projects allowed = { scope->projects };
	const char *project;
	json_t *wanted = NULL;

	for (size_t i = 0; (project = http_request_query(request, "project", i)); i++) {
		if (!projects_have(&allowed, project)) {
			json_decref(wanted);
			http_refuse(response, 403, "the token is not of project '%s'", project);
			return false;
		}
		if (!wanted)
			wanted = json_array();
		json_array_append_new(wanted, json_string(project));
	}
	if (!wanted)
		wanted = json_incref(scope->projects);
	if (wanted)
		json_object_set_new(asking->args, "projects", wanted);
	return true;
}

static bool set_time(struct asking *asking, const struct http_request *request, const char *name,
	struct http_response *response)
{
	const char *text = http_request_query(request, name, 0);
	char exact[TIME_TEXT_SIZE];
	int64_t ms;

	if (!text)
		text = strcmp(name, "to") == 0 ? "now" : NULL;
	if (!text)
		return true; /* the method says whether it is needed */
	if (when_parse(text, clock_wall_ms(asking->service->methods->clock), &ms) < 0) {
		http_refuse(response, 400,
			"parameter '%s' is no time; expected ISO 8601, seconds since 1970, now, "
			"today, yesterday, this-month, last-month, or now-1h and the like (a + is "
			"%%2B)",
			name);
		return false;
	}
	json_object_set_new(asking->args, name, json_string(time_text_format(ms, exact)));
	return true;
}

static bool set_texts(struct asking *asking, const struct http_request *request)
{
	static const char *const names[] = { "parameter", "by", "host" };
	const char *text;
	json_t *metrics = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((text = http_request_query(request, names[i], 0)))
			json_object_set_new(asking->args, names[i], json_string(text));
	for (size_t i = 0; (text = http_request_query(request, "metric", i)); i++)
		json_array_append_new(metrics, json_string(text));
	if (json_array_size(metrics) && strcmp(asking->method, "series") != 0)
		json_object_set(asking->args, "metric", metrics);
	else if (json_array_size(metrics))
		json_object_set(asking->args, "metric", json_array_get(metrics, 0));
	json_decref(metrics);
	return true;
}

static bool set_step(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	const char *text = http_request_query(request, "step", 0);
	int64_t ms;

	if (!text)
		return true;
	if (when_parse_span(text, &ms) < 0) {
		http_refuse(response, 400,
			"parameter 'step' is no span; expected seconds, or 30m, 24h, 7d");
		return false;
	}
	json_object_set_new(asking->args, "step", json_integer(ms / 1000));
	return true;
}

/* true, false, or nothing. */
static bool get_flag(const struct http_request *request, const char *name, bool *ret_flag,
	struct http_response *response)
{
	const char *text = http_request_query(request, name, 0);

	*ret_flag = text && strcmp(text, "true") == 0;
	if (!text || *ret_flag || strcmp(text, "false") == 0)
		return true;
	http_refuse(response, 400, "parameter '%s' is '%s'; expected true or false", name, text);
	return false;
}

static bool set_ids(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	const char *id;

	for (size_t i = 0; (id = http_request_query(request, "id", i)); i++)
		json_array_append_new(asking->ids, json_string(id));
	if (json_array_size(asking->ids) <= IDS_MAX)
		return true;
	http_refuse(response, 413, "there are more than %d ids", IDS_MAX);
	return false;
}

/* All instances of the projects, or that the token may see. */
static bool list_ids(struct asking *asking, struct http_response *response)
{
	json_t *args = json_object(), *instances = NULL, *instance;
	struct error err = { 0 };
	enum answer_code code;
	size_t i;

	json_object_set(args, "projects", json_object_get(asking->args, "projects"));
	code = methods_ask(asking->service->methods, "instances", args, &instances, &err);
	json_decref(args);
	if (code != ANSWER_SUCCESS) {
		refuse(response, code, &err);
		return false;
	}
	json_array_foreach(instances, i, instance)
	{
		json_array_append(asking->ids, json_object_get(instance, "id"));
	}
	json_decref(instances);
	return true;
}

/* By id, project, or all=true: nothing is asked about everything by mistake. */
static bool select_instances(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	bool is_all;

	if (!set_projects(asking, request, response) || !set_ids(asking, request, response) ||
		!get_flag(request, "all", &is_all, response))
		return false;
	if (json_array_size(asking->ids))
		return true;
	if (is_all || http_request_query(request, "project", 0))
		return list_ids(asking, response);
	http_refuse(response, 400, "say which instances: id, project, or all=true");
	return false;
}

static void add_answer(struct asking *asking, const json_t *data, struct buffer *to)
{
	const char *id = json_string_value(json_object_get(data, "id"));

	if (json_object_get(asking->seen, id))
		return;
	json_object_set_new(asking->seen, id, json_true());
	buffer_print(to, "%s", asking->has_answers ? ",\n" : "");
	(void)json_write(data, to); /* a buffer keeps that it failed */
	asking->has_answers = true;
}

/* {"instances": [one answer each]}: one instance a piece. */
static bool next_instance(void *context, struct http_response *response, struct buffer *to)
{
	struct asking *asking = context;
	struct error err = { 0 };
	json_t *data = NULL;
	enum answer_code code;

	if (!asking->is_open)
		buffer_print(to, "{\"instances\": [\n");
	asking->is_open = true;
	if (asking->next == json_array_size(asking->ids)) {
		buffer_print(to, "\n]}\n");
		return false;
	}
	json_object_set(asking->args, "id", json_array_get(asking->ids, asking->next++));
	code = methods_ask(asking->service->methods, asking->method, asking->args, &data, &err);
	if (code == ANSWER_SUCCESS)
		add_answer(asking, data, to);
	else
		refuse(response, code, &err);
	json_decref(data);
	return code == ANSWER_SUCCESS;
}

static void answer_each(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	if (set_time(asking, request, "from", response) &&
		set_time(asking, request, "to", response) && set_texts(asking, request) &&
		set_step(asking, request, response) && select_instances(asking, request, response))
		http_respond_in_pieces(response, type_json, next_instance, asking, asking_free);
	else
		asking_free(asking);
}

static void get_usage(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "usage", response);
	bool is_explained;

	if (!asking)
		return;
	if (!get_flag(request, "explain", &is_explained, response)) {
		asking_free(asking);
		return;
	}
	json_object_set_new(asking->args, "explain", json_boolean(is_explained));
	answer_each(asking, request, response);
}

static void get_samples(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "series", response);

	if (asking)
		answer_each(asking, request, response);
}

static void get_series(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "series", response);

	if (!asking)
		return;
	json_object_set_new(asking->args, "samples", json_false());
	answer_each(asking, request, response);
}

/* One method, one answer. member: its name in an object; NULL: it is the object. Frees asking. */
static void answer_once(struct asking *asking, const char *member, struct http_response *response)
{
	struct error err = { 0 };
	json_t *data = NULL;
	enum answer_code code =
		methods_ask(asking->service->methods, asking->method, asking->args, &data, &err);

	if (code == ANSWER_SUCCESS) {
		struct buffer *to = http_respond(response, type_json);

		if (member)
			buffer_print(to, "{\"%s\": ", member);
		(void)json_write(data, to);
		buffer_print(to, member ? "}\n" : "\n");
	} else {
		refuse(response, code, &err);
	}
	json_decref(data);
	asking_free(asking);
}

static void get_instances(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "instances", response);

	if (asking && set_projects(asking, request, response))
		answer_once(asking, "instances", response);
	else
		asking_free(asking);
}

static void get_latest(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "latest", response);

	if (asking && set_projects(asking, request, response) &&
		set_time(asking, request, "from", response) && set_texts(asking, request))
		answer_once(asking, NULL, response);
	else
		asking_free(asking);
}

static void get_instance(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "instance", response);

	if (!asking)
		return;
	json_object_set_new(asking->args, "id", json_string(http_request_argument(request)));
	if (set_projects(asking, request, response) &&
		set_time(asking, request, "from", response) &&
		set_time(asking, request, "to", response))
		answer_once(asking, NULL, response);
	else
		asking_free(asking);
}

static void get_metrics(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "metrics", response);

	if (asking)
		answer_once(asking, "metrics", response);
}

/* What is of the cloud and no project's. */
static void answer_operator(void *context, const struct http_request *request, const char *method,
	const char *member, struct http_response *response)
{
	const struct scope *scope = http_request_scope(request);
	struct asking *asking;

	if (scope->projects) {
		http_refuse(response, 403, "a token of projects may not see this");
		return;
	}
	asking = asking_new(context, method, response);
	if (asking)
		answer_once(asking, member, response);
}

static void get_workers(
	void *context, const struct http_request *request, struct http_response *response)
{
	answer_operator(context, request, "workers", "workers", response);
}

static void get_status(
	void *context, const struct http_request *request, struct http_response *response)
{
	answer_operator(context, request, "status", NULL, response);
}

#define SELECTORS                                                                                  \
	{ "id", true }, { "project", true },                                                       \
	{                                                                                          \
		"all", false                                                                       \
	}
#define WINDOW                                                                                     \
	{ "from", false },                                                                         \
	{                                                                                          \
		"to", false                                                                        \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, false                                                                        \
	}

static const struct http_parameter of_usage[] = { SELECTORS, WINDOW, { "metric", true },
	{ "parameter", false }, { "by", false }, { "step", false }, { "explain", false }, END };
static const struct http_parameter of_series[] = { SELECTORS, WINDOW, { "metric", false },
	{ "parameter", false }, END };
static const struct http_parameter of_latest[] = { { "project", true }, { "host", false },
	{ "from", false }, { "metric", true }, END };
static const struct http_parameter of_instances[] = { { "project", true }, END };
static const struct http_parameter of_instance[] = { WINDOW, END };

const struct http_route service_routes[] = {
	{ "/v1/usage", of_usage, get_usage },
	{ "/v1/series", of_series, get_series },
	{ "/v1/samples", of_series, get_samples },
	{ "/v1/latest", of_latest, get_latest },
	{ "/v1/instances", of_instances, get_instances },
	{ "/v1/instances/{id}", of_instance, get_instance },
	{ "/v1/metrics", NULL, get_metrics },
	{ "/v1/workers", NULL, get_workers },
	{ "/v1/status", NULL, get_status },
};
const size_t service_route_count = ARRAY_SIZE(service_routes);
