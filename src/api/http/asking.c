/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/asking.h"

#include <stdlib.h>
#include <string.h>

#include "api/http/crew.h"
#include "api/projects.h"
#include "base/time-text.h"
#include "base/when.h"

enum { IDS_MAX = 100 };

void asking_free(void *context)
{
	struct asking *asking = context;

	if (!asking)
		return;
	crew_free(asking->crew);
	json_decref(asking->args);
	json_decref(asking->ids);
	json_decref(asking->seen);
	json_decref(asking->data);
	groups_free(asking->groups);
	free(asking);
}

struct asking *asking_new(void *service, const char *method, const struct table *table,
	struct http_response *response)
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (!asking) {
		http_refuse(response, 500, "out of memory");
		return NULL;
	}
	*asking = (struct asking){ .service = service,
		.method = method,
		.table = table,
		.args = json_object(),
		.ids = json_array(),
		.seen = json_object() };
	return asking;
}

void asking_refuse(struct http_response *response, enum answer_code code, const struct error *err)
{
	if (code == ANSWER_UNAVAILABLE)
		http_response_header(response, "Retry-After", "1");
	http_refuse(response, (unsigned int)code, "%s", err->text);
}

bool asking_set_projects(
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

bool asking_set_from(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	return set_time(asking, request, "from", response);
}

bool asking_set_window(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	return asking_set_from(asking, request, response) &&
	       set_time(asking, request, "to", response);
}

void asking_set_texts(struct asking *asking, const struct http_request *request)
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
}

bool asking_set_step(
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

bool asking_flag(const struct http_request *request, const char *name, bool *ret_flag,
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

static bool ends_before(const json_t *instance, int64_t time_ms)
{
	int64_t last_ms;

	return !presentation_time(json_object_get(instance, "last"), &last_ms) || last_ms < time_ms;
}

bool asking_list(struct asking *asking, int64_t since_ms, struct http_response *response)
{
	json_t *args = json_object(), *instances = NULL, *instance;
	struct error err = { 0 };
	enum answer_code code;
	size_t i;

	json_object_set(args, "projects", json_object_get(asking->args, "projects"));
	code = methods_ask(asking->service->methods, "instances", args, &instances, &err);
	json_decref(args);
	if (code != ANSWER_SUCCESS) {
		asking_refuse(response, code, &err);
		return false;
	}
	json_array_foreach(instances, i, instance)
	{
		if (!since_ms || !ends_before(instance, since_ms))
			json_array_append(asking->ids, json_object_get(instance, "id"));
	}
	json_decref(instances);
	return true;
}

/* Nothing is asked about everything by mistake. */
bool asking_select(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	bool is_all;

	if (!asking_set_projects(asking, request, response) ||
		!set_ids(asking, request, response) ||
		!asking_flag(request, "all", &is_all, response))
		return false;
	if (json_array_size(asking->ids))
		return true;
	if (is_all || http_request_query(request, "project", 0))
		return asking_list(asking, 0, response);
	http_refuse(response, 400, "say which instances: id, project, or all=true");
	return false;
}
