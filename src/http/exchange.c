/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* One request, from its line to the last byte of its answer.
 *
 *     on_uri       the request line has come: the request begins
 *     on_request   the headers have come: who may ask what, the handler, the first bytes
 *     read_more    as the client takes them: the rest
 *     on_end       sent, or the connection is gone: the request ends
 *
 * All of it on the connection's thread. */

#include "http/exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http/route.h"

enum { BLOCK_SIZE = 32 * 1024 };

static void request_free(struct http_request *request)
{
	response_deinit(&request->response);
	if (request->scope && request->server->options.release)
		request->server->options.release(request->scope);
	free(request);
}

void exchange_on_connection(void *server, struct MHD_Connection *connection, void **place,
	enum MHD_ConnectionNotificationCode what)
{
	struct http_request **request;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*place = calloc(1, sizeof(*request));
		return;
	}
	request = *place;
	if (request && *request)
		request_free(*request);
	free(request);
	*place = NULL;
}

/* NULL: there was no memory for it. */
static struct http_request **place_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void *exchange_on_uri(void *server, const char *uri, struct MHD_Connection *connection)
{
	struct http_request **place = place_of(connection);
	struct http_request *request = place ? calloc(1, sizeof(*request)) : NULL;

	if (!request)
		return NULL;
	*place = request;
	request->server = server;
	request->connection = connection;
	request->uri_result = uri_parse(uri, &request->uri, &request->uri_error);
	response_init(&request->response);
	return request;
}

const char *http_request_argument(const struct http_request *request)
{
	return request->argument;
}

const char *http_request_query(const struct http_request *request, const char *name, size_t index)
{
	for (size_t i = 0; i < request->uri.query_count; i++)
		if (strcmp(request->uri.query[i].name, name) == 0 && index-- == 0)
			return request->uri.query[i].value;
	return NULL;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static bool is_local_v6(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) ||
	       (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

bool http_request_is_local(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (!info || !info->client_addr)
		return false;
	if (info->client_addr->sa_family == AF_INET6)
		return is_local_v6(&((const struct sockaddr_in6 *)info->client_addr)->sin6_addr);
	return info->client_addr->sa_family == AF_INET &&
	       ntohl(((const struct sockaddr_in *)info->client_addr)->sin_addr.s_addr) >> 24 == 127;
}

const struct http_server *http_request_server(const struct http_request *request)
{
	return request->server;
}

const void *http_request_scope(const struct http_request *request)
{
	return request->scope;
}

static bool has_body(const struct http_request *request)
{
	const char *length = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length && strcmp(length, "0") != 0) ||
	       http_request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* What can be said without asking anybody. */
static bool is_well_formed(struct http_request *request, const char *method)
{
	struct http_response *response = &request->response;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		http_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
		http_refuse(response, 405, "only GET and HEAD are answered");
		return false;
	}
	if (request->uri_result < 0) {
		http_refuse(response, request->uri_result == -EMSGSIZE ? 414 : 400, "%s",
			error_text(&request->uri_error, request->uri_result));
		return false;
	}
	return true;
}

static bool is_authorised(struct http_request *request)
{
	const struct http_options *options = &request->server->options;

	return !options->authorise ||
	       options->authorise(options->context, request, &request->response, &request->scope);
}

static const struct http_route *find_route(struct http_request *request)
{
	const struct http_options *options = &request->server->options;

	return route_find(options->routes, options->route_count, &request->uri, &request->argument);
}

static bool is_of_route(struct http_request *request, const struct http_route *route)
{
	struct error err = { 0 };
	int r;

	if (!route) {
		http_refuse(&request->response, 404, "there is nothing at this path");
		return false;
	}
	r = route_check(route, &request->uri, &err);
	if (r == 0)
		return true;
	http_refuse(&request->response, 400, "%s", error_text(&err, r));
	return false;
}

/* How much is held back, for it may still become a problem; of HTTP/1.0 all, until the body fails.
 */
static size_t hold_of(const char *version)
{
	return strcmp(version, MHD_HTTP_VERSION_1_1) == 0 ? HTTP_HOLD_MAX : SIZE_MAX;
}

/* Returns whether pieces are to come. */
static bool run_handler(
	struct http_request *request, const struct http_route *route, const char *version)
{
	struct http_server *server = request->server;

	route->handle(server->options.context, request, &request->response);
	return response_fill(
		&request->response, hold_of(version), server->options.clock, request->deadline_ms);
}

static bool run_in_place(
	struct http_request *request, const struct http_route *route, const char *version)
{
	struct http_server *server = request->server;
	struct http_response *response = &request->response;
	bool is_more;

	if (sem_trywait(&server->places) < 0) {
		count_one(&server->counts.busy);
		http_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
		http_refuse(response, 503, "too many requests at a time; ask again later");
		return false;
	}
	is_more = run_handler(request, route, version);
	sem_post(&server->places);
	return is_more;
}

static bool answer(struct http_request *request, const char *method, const char *version)
{
	const struct http_route *route;
	bool is_public;

	request->deadline_ms = clock_monotonic_ms(request->server->options.clock) +
			       request->server->options.timeout_ms;
	if (!is_well_formed(request, method))
		return false;
	route = find_route(request);
	is_public = route && route->is_public;
	if (!is_public && !is_authorised(request))
		return false;
	if (!is_of_route(request, route))
		return false;
	return is_public ? run_handler(request, route, version)
			 : run_in_place(request, route, version);
}

static bool is_late(const struct http_request *request)
{
	return clock_monotonic_ms(request->server->options.clock) > request->deadline_ms;
}

/* The next piece, once a place is free: the answer has begun, so it waits. */
static void refill(struct http_request *request)
{
	struct http_response *response = &request->response;

	response->sent = 0;
	buffer_clear(&response->body);
	while (sem_wait(&request->server->places) < 0 && errno == EINTR)
		;
	(void)response_fill(response, 1, request->server->options.clock, request->deadline_ms);
	sem_post(&request->server->places);
}

static ssize_t cut(struct http_request *request)
{
	count_one(&request->server->counts.cut);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_more(void *context, uint64_t position, char *to, size_t most)
{
	struct http_request *request = context;
	struct http_response *response = &request->response;
	unsigned int promised = response->status;
	size_t size;

	if (is_late(request))
		return cut(request);
	if (response->sent == response->body.size && response->next)
		refill(request);
	if (response->status != promised)
		return cut(request);
	size = MIN_OF(response->body.size - response->sent, most);
	if (size == 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(to, response->body.bytes + response->sent, size);
	response->sent += size;
	return (ssize_t)size;
}

static void count_status(struct http_counts *counts, unsigned int status)
{
	count_one(&counts->requests);
	count_one(status < 400   ? &counts->succeeded
		  : status < 500 ? &counts->refused
				 : &counts->failed);
}

static void add_headers(struct MHD_Response *to, const struct http_response *response)
{
	MHD_add_response_header(to, MHD_HTTP_HEADER_CONTENT_TYPE, response->type);
	MHD_add_response_header(to, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(to, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < response->header_count; i++)
		MHD_add_response_header(to, response->headers[i].name, response->headers[i].value);
}

static enum MHD_Result send_answer(struct http_request *request, bool is_more)
{
	struct http_response *response = &request->response;
	struct MHD_Response *to =
		MHD_create_response_from_callback(is_more ? MHD_SIZE_UNKNOWN : response->body.size,
			BLOCK_SIZE, read_more, request, NULL);
	enum MHD_Result result;

	if (!to)
		return MHD_NO;
	add_headers(to, response);
	count_status(&request->server->counts, response->status);
	result = MHD_queue_response(request->connection, response->status, to);
	MHD_destroy_response(to);
	return result;
}

enum MHD_Result exchange_on_request(void *server, struct MHD_Connection *connection,
	const char *path, const char *method, const char *version, const char *upload,
	size_t *upload_size, void **request_place)
{
	struct http_request *request = *request_place;

	if (!request)
		return MHD_NO;
	if (request->is_begun)
		return send_answer(request, answer(request, method, version));
	request->is_begun = true;
	if (!has_body(request))
		return MHD_YES; /* it calls again */
	/* An answer before the body ends the connection afterwards. */
	http_refuse(&request->response, 413, "a request with a body is not accepted");
	return send_answer(request, false);
}

void exchange_on_end(void *server, struct MHD_Connection *connection, void **request_place,
	enum MHD_RequestTerminationCode why)
{
	struct http_request *request = *request_place;

	if (!request)
		return;
	*request_place = NULL;
	*place_of(connection) = NULL;
	request_free(request);
}
