/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The routes: each turns a request into the arguments of a method of api/methods.h, and its answer
 * into JSON or rows. Whose time a token may see is an argument (api/projects.h) that every one of
 * them sets before anything is asked. */

#include <string.h>

#include "api/http/bodies.h"
#include "api/http/focus.h"
#include "api/http/page.h"
#include "api/http/tables.h"
#include "http/file.h"
#include "http/scrape.h"
#include "model/metric.h"

/* openapi.json, by tools/embed. */
extern const struct http_file openapi[];

/* A new request whose answer may have any form; NULL: it is refused. */
static struct asking *begin(void *context, const struct http_request *request, const char *method,
	const struct table *table, struct http_response *response)
{
	struct asking *asking = asking_new(context, method, table, response);

	if (!asking || presentation_parse(request, response, &asking->presentation))
		return asking;
	asking_free(asking);
	return NULL;
}

/* What usage is asked with, for its groups: sums over devices, too. */
static void name_groups(struct asking *asking)
{
	json_t *args = asking->args;

	if (!groups_argument(asking->groups))
		json_object_del(args, "by");
	if (!json_object_get(args, "parameter"))
		json_object_set_new(args, "parameter", json_string("total"));
}

static void answer_each(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	if (!asking)
		return;
	asking_set_texts(asking, request);
	if (asking->groups)
		name_groups(asking);
	if (asking_set_window(asking, request, response) &&
		asking_set_step(asking, request, response) &&
		asking_select(asking, request, response))
		(asking->groups ? bodies_groups : bodies_each)(asking, response);
	else
		asking_free(asking);
}

static bool set_explain(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	bool is_explained;

	if (!asking_flag(request, "explain", &is_explained, response))
		return false;
	if (is_explained && asking->presentation.form != FORM_JSON) {
		http_refuse(response, 400, "parameter 'explain' goes with format=json only");
		return false;
	}
	json_object_set_new(asking->args, "explain", json_boolean(is_explained));
	return true;
}

/* Over several instances, gauges have no sum. */
static bool are_summable(const struct http_request *request, struct http_response *response)
{
	const char *name, *parameter;

	for (size_t i = 0; (name = http_request_query(request, "metric", i)); i++) {
		const struct metric *metric;

		parameter = http_request_query(request, "parameter", 0);
		parameter = parameter ? parameter : "total";
		metric = metric_by_question(name, &parameter);
		if (!metric || metric->kind != METRIC_GAUGE)
			continue;
		http_refuse(response, 400,
			"metric '%s' is a gauge, which has no sum; ask without 'by', or by id",
			name);
		return false;
	}
	return true;
}

/* Is it a sum over instances? Which are then not named one by one, but for by=instance. */
static bool is_of_groups(const struct http_request *request)
{
	const char *by = http_request_query(request, "by", 0);

	return by && (strcmp(by, "instance") == 0 || !http_request_query(request, "id", 0));
}

static bool set_groups(
	struct asking *asking, const struct http_request *request, struct http_response *response)
{
	const char *by = http_request_query(request, "by", 0);

	if (json_is_true(json_object_get(asking->args, "explain"))) {
		http_refuse(response, 400, "parameter 'explain' does not go with groups");
		return false;
	}
	asking->groups = groups_new(by);
	if (!asking->groups) {
		http_refuse(response, 400,
			"parameter 'by' is '%s'; expected instance, project, flavor or host", by);
		return false;
	}
	asking->table = &table_groups;
	return are_summable(request, response);
}

static void get_usage(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = begin(context, request, "usage", &table_usage, response);

	if (!asking)
		return;
	if (set_explain(asking, request, response) &&
		(!is_of_groups(request) || set_groups(asking, request, response)))
		answer_each(asking, request, response);
	else
		asking_free(asking);
}

static void get_samples(
	void *context, const struct http_request *request, struct http_response *response)
{
	answer_each(begin(context, request, "series", &table_samples, response), request, response);
}

static void get_series(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = begin(context, request, "series", &table_series, response);

	if (asking)
		json_object_set_new(asking->args, "samples", json_false());
	answer_each(asking, request, response);
}

static void get_instances(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = begin(context, request, "instances", &table_instances, response);

	if (asking && asking_set_projects(asking, request, response))
		bodies_once(asking, "instances", response);
	else
		asking_free(asking);
}

/* JSON only, as what follows: it is no list. */
static void get_latest(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "latest", NULL, response);

	if (!asking)
		return;
	asking_set_texts(asking, request);
	if (asking_set_projects(asking, request, response) &&
		asking_set_from(asking, request, response))
		bodies_once(asking, NULL, response);
	else
		asking_free(asking);
}

static void get_instance(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = asking_new(context, "instance", &table_instances, response);

	if (!asking)
		return;
	json_object_set_new(asking->args, "id", json_string(http_request_argument(request)));
	if (presentation_parse_times(request, response, &asking->presentation) &&
		asking_set_projects(asking, request, response) &&
		asking_set_window(asking, request, response))
		bodies_once(asking, NULL, response);
	else
		asking_free(asking);
}

static void get_metrics(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = begin(context, request, "metrics", &table_metrics, response);

	if (asking)
		bodies_once(asking, "metrics", response);
}

/* What is of the cloud and no project's. */
static bool is_operator(const struct http_request *request, struct http_response *response)
{
	const struct scope *scope = http_request_scope(request);

	if (scope->projects)
		http_refuse(response, 403, "a token of projects may not see this");
	return !scope->projects;
}

static void get_workers(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = is_operator(request, response) ? begin(context, request, "workers",
									 &table_workers, response)
							       : NULL;

	if (asking)
		bodies_once(asking, "workers", response);
}

static void get_status(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct asking *asking = is_operator(request, response)
					? asking_new(context, "status", NULL, response)
					: NULL;

	if (asking)
		bodies_once(asking, NULL, response);
}

static void write_metrics(void *context, struct exposition *to)
{
	const struct service *service = context;

	methods_expose(service->methods, to);
}

static void scrape(
	void *context, const struct http_request *request, struct http_response *response)
{
	const struct scope *scope = http_request_scope(request);
	const struct service *service = context;
	const struct scrape_self self = { "kanyun_build_info", "kanyun-api", KANYUN_VERSION,
		service->started_ms };

	if (scope->projects)
		http_refuse(response, 403, "a token of projects may not see this");
	else
		scrape_answer(request, response, &self, write_metrics, context);
}

static void get_openapi(
	void *context, const struct http_request *request, struct http_response *response)
{
	buffer_write(http_respond(response, openapi->type), openapi->bytes, openapi->size);
}

/* clang-format off */
#define SELECTORS { "id", true }, { "project", true }, { "all", false }
#define WINDOW { "from", false }, { "to", false }
#define FORMS { "format", false }, { "int", false }, { "times", false }
#define END { NULL, false }
/* clang-format on */

static const struct http_parameter of_usage[] = { SELECTORS, WINDOW, { "metric", true },
	{ "parameter", false }, { "by", false }, { "step", false }, { "explain", false }, FORMS,
	END };
static const struct http_parameter of_series[] = { SELECTORS, WINDOW, { "metric", false },
	{ "parameter", false }, FORMS, END };
static const struct http_parameter of_latest[] = { { "project", true }, { "host", false },
	{ "from", false }, { "metric", true }, END };
static const struct http_parameter of_instances[] = { { "project", true }, FORMS, END };
static const struct http_parameter of_instance[] = { WINDOW, { "times", false }, END };
static const struct http_parameter of_list[] = { FORMS, END };
static const struct http_parameter of_focus[] = { { "month", false }, { "project", true },
	{ "account", false }, { "provider", false }, { "currency", false }, END };

const struct http_route service_routes[] = {
	{ "/", NULL, page_get, true },
	{ "/page/{file}", NULL, page_get, true },
	{ "/v1/usage", of_usage, get_usage, false },
	{ "/v1/series", of_series, get_series, false },
	{ "/v1/samples", of_series, get_samples, false },
	{ "/v1/latest", of_latest, get_latest, false },
	{ "/v1/instances", of_instances, get_instances, false },
	{ "/v1/instances/{id}", of_instance, get_instance, false },
	{ "/v1/metrics", of_list, get_metrics, false },
	{ "/v1/workers", of_list, get_workers, false },
	{ "/v1/status", NULL, get_status, false },
	{ "/v1/export/focus", of_focus, focus_get, false },
	{ "/v1/openapi.json", NULL, get_openapi, false },
	{ "/metrics", NULL, scrape, false },
};
const size_t service_route_count = ARRAY_SIZE(service_routes);
