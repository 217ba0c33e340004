/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One request on its way: the arguments of a method, from the parameters of a query. */

#include "api/http/groups.h"
#include "api/http/rows.h"
#include "api/http/service.h"

/* The context of a body in pieces (api/http/bodies.h). */
struct asking {
	const struct service *service;
	const char *method;
	const struct table *table; /* of its answers */
	struct presentation presentation;
	json_t *args;
	json_t *ids;       /* that are still to be asked about, from `next` on */
	struct crew *crew; /* that asks about them; NULL where they are few */
	json_t *seen;      /* ids that were answered: two names may be one instance */
	size_t next;
	bool is_open, has_answers, is_summed;
	json_t *data; /* the answer whose rows are written; NULL: none */
	struct rows rows;
	struct groups *groups; /* NULL: each instance by itself */
};

/* NULL: it has refused. service is a struct service. */
struct asking *asking_new(void *service, const char *method, const struct table *table,
	struct http_response *response);
void asking_free(void *asking);

/* A problem with the status of a method's code. */
void asking_refuse(struct http_response *response, enum answer_code code, const struct error *err);

/* Each reads its parameters into the arguments; false: it has refused. */

/* The token's projects, or those of them that are asked for. */
bool asking_set_projects(
	struct asking *asking, const struct http_request *request, struct http_response *response);
bool asking_set_from(
	struct asking *asking, const struct http_request *request, struct http_response *response);
bool asking_set_window(
	struct asking *asking, const struct http_request *request, struct http_response *response);
/* metric, parameter, by, host. */
void asking_set_texts(struct asking *asking, const struct http_request *request);
bool asking_set_step(
	struct asking *asking, const struct http_request *request, struct http_response *response);
/* The ids: by id, project, or all=true. */
bool asking_select(
	struct asking *asking, const struct http_request *request, struct http_response *response);

/* The ids: of all instances of the projects, or of those with samples at a time or later (0: any).
 */
bool asking_list(struct asking *asking, int64_t since_ms, struct http_response *response);

/* true or false; false where it is not given. */
bool asking_flag(const struct http_request *request, const char *name, bool *ret_flag,
	struct http_response *response);
