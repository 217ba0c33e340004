/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Requests and responses from the inside of src/http. */

#include <microhttpd.h>
#include <semaphore.h>

#include "http/response.h"
#include "http/server.h"
#include "http/uri.h"

enum { RESPONSE_HEADERS_MAX = 8 };

struct http_response {
	unsigned int status;
	const char *type;
	struct buffer body;  /* what is held back, or being sent */
	size_t sent;         /* bytes of it */
	http_piece_fn *next; /* NULL: the body is whole */
	void *context;
	void (*free_context)(void *context);
	struct {
		const char *name, *value;
	} headers[RESPONSE_HEADERS_MAX];
	size_t header_count;
};

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;
	struct uri uri;
	int uri_result; /* of uri_parse */
	struct error uri_error;
	const char *argument;
	const void *scope;
	bool is_begun; /* its headers have come */
	int64_t deadline_ms;
	struct http_response response;
};

struct http_server {
	struct http_options options;
	struct MHD_Daemon *daemon;
	char url[160];
	sem_t places;              /* free ones for handlers */
	struct http_counts counts; /* changed by count_one */
};

static inline void count_one(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void response_init(struct http_response *response);
void response_deinit(struct http_response *response);

/* Makes pieces until `enough` bytes are there, or all; a body that has failed becomes a problem.
 * Returns whether more are to come. */
bool response_fill(struct http_response *response, size_t enough, const struct clock *clock,
	int64_t deadline_ms);

/* The callbacks of libmicrohttpd. A connection has a place for its request, for a request whose
 * query is too much for it is given up without on_end. */
void exchange_on_connection(void *server, struct MHD_Connection *connection, void **place,
	enum MHD_ConnectionNotificationCode what);

/* The first one's result is the others' *request. */
void *exchange_on_uri(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_on_request(void *server, struct MHD_Connection *connection,
	const char *path, const char *method, const char *version, const char *upload,
	size_t *upload_size, void **request);
void exchange_on_end(void *server, struct MHD_Connection *connection, void **request,
	enum MHD_RequestTerminationCode why);
