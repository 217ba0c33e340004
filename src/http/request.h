/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a handler may ask about a request. All texts live as long as the request: until its answer
 * has been sent, also in pieces. */

#include <stdbool.h>
#include <stddef.h>

struct http_request;
struct http_server;

/* What stands for the braces of the route's path. */
const char *http_request_argument(const struct http_request *request);

/* The index-th value of a parameter, decoded; NULL if there are not so many. */
const char *http_request_query(const struct http_request *request, const char *name, size_t index);

/* NULL if it did not come. */
const char *http_request_header(const struct http_request *request, const char *name);

/* Does it come from this host? (By its connection's address; a proxy here makes all look so.) */
bool http_request_is_local(const struct http_request *request);

/* Whose request it is. */
const struct http_server *http_request_server(const struct http_request *request);

/* What the server's authorise said may be seen. */
const void *http_request_scope(const struct http_request *request);
