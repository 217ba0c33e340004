/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What kanyun-api answers: a table of methods. Each gets its arguments and gives the answer's
 * `data`, or an error with the code it stands for. */

#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "http/questions.h"
#include "model/metric.h"
#include "query/gather.h"
#include "query/identity.h"
#include "store/store.h"
#include "wire/answering.h"

struct methods {
	struct store *store; /* kanyun-server's */
	const struct clock *clock;
	struct questions *questions; /* counts what is asked; NULL: nobody does */
};

/* How often each method was asked. `questions` is there. */
void methods_expose(const struct methods *methods, struct exposition *to);

/* An answering_fn, whose context is a struct methods. */
json_t *methods_answer(void *context, const struct request *request, struct buffer *payload);

/* Asks one method. ANSWER_SUCCESS and *ret_data, owned by the caller; else the code of what is
 * wrong, and a text. args is borrowed. Any thread. */
MUST_CHECK enum answer_code methods_ask(const struct methods *methods, const char *method,
	json_t *args, json_t **ret_data, struct error *err);

/* The methods: 0 and *ret_data; -EINVAL for an argument that is wrong, -E2BIG for too much,
 * outcomes of the store and of query/. err says what was wrong. Any thread. */
typedef int method_fn(const struct methods *methods, const struct request *request,
	json_t **ret_data, struct error *err);
method_fn method_instances, method_list_instance, method_query_usage_report, method_readings,
	method_series, method_usage, method_instance, method_metrics, method_retire, method_close,
	method_closed, method_latest, method_status;

/* The code that a method's outcome or failure stands for. */
enum answer_code method_code(int r);

/* A window of time: `from` and `to` by these names; to is now if absent. Refuses one that is empty
 * or upside down. `from` may be absent if fallback_from_ms is not negative. */
struct window {
	int64_t from_ms, to_ms;
};
MUST_CHECK int method_window(const struct methods *methods, const struct request *request,
	const char *from, const char *to, int64_t fallback_from_ms, struct window *ret_window,
	struct error *err);

/* The argument `id`, as an instance; of `projects` (api/projects.h), if given. The identity is to
 * be freed in every case. */
MUST_CHECK int method_identity(const struct methods *methods, const struct request *request,
	struct identity *ret_identity, struct error *err);

/* A metric and parameter by the names of the arguments. *ret_parameter is NULL if absent. */
MUST_CHECK int method_metric(const struct request *request, const char *metric_name,
	const char *parameter_name, const struct metric **ret_metric, const char **ret_parameter,
	struct error *err);

/* The same of a name that stands in an argument; *parameter is "" for none, and then NULL. */
MUST_CHECK int method_metric_of(const char *argument, const char *name,
	const struct metric **ret_metric, const char **parameter, struct error *err);

/* {"metric": ...}: reads the one metric in the window. Frees as gather_read. */
MUST_CHECK int method_gather(const struct methods *methods, const struct identity *identity,
	const struct metric *metric, const char *parameter, const struct window *window,
	struct gather *ret_gather, struct error *err);

/* Seconds since 1970: an integer where they are whole. */
json_t *seconds_to_json(int64_t ms);

/* a / b: an integer where it is one. */
json_t *ratio_to_json(int64_t a, int64_t b);
