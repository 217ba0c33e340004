/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which paths there are, and what may be asked of each: a table that the program gives. A parameter
 * that the table does not name is refused, or a filter with a spelling mistake would answer more
 * than was asked. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"
#include "http/uri.h"

struct http_request;
struct http_response;

/* Answers a request through http/response.h. Runs on the connection's thread and may block. */
typedef void http_handler_fn(
	void *context, const struct http_request *request, struct http_response *response);

struct http_parameter {
	const char *name;
	bool is_list; /* may be given several times */
};

struct http_route {
	const char *path; /* "/v1/instances/{id}": a segment in braces is any text but none */
	const struct http_parameter *parameters; /* of the query; ends with a NULL name */
	http_handler_fn *handle;
	/* Anybody may have it: the handler gets no scope. It must not block, for it takes none of
	 * the handlers' places. */
	bool is_public;
};

/* The route of a path, and what stands for its braces (NULL: it has none); NULL if there is none.
 * The first that fits counts. */
const struct http_route *route_find(const struct http_route *routes, size_t count,
	const struct uri *uri, const char **ret_argument);

/* Are the parameters those of the route? 0, or -EINVAL with a text that names the one. */
MUST_CHECK int route_check(
	const struct http_route *route, const struct uri *uri, struct error *err);
