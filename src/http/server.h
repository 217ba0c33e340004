/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* An HTTP server by a table of routes (http/route.h), on libmicrohttpd.
 *
 * Each connection has a thread of its own, so that a handler may block, and a slow client blocks
 * only itself. How many handlers (and makers of pieces) run at a time is bounded apart from that: a
 * request beyond it is answered 503 with Retry-After, without waiting. GET and HEAD only; no body
 * is accepted; nothing may be stored by caches, and no other site's page may read (no CORS).
 *
 * Limits: HTTP_URI_MAX (414), HTTP_HEADERS_MAX for the line and all headers (431), those of the
 * options. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"

enum { HTTP_HEADERS_MAX = 32 * 1024 };

/* May this request be answered? Called before every handler that is not public, also for paths that
 * do not exist. If not, it refuses and returns false. Else *ret_scope is what the handler gets by
 * http_request_scope, and `release` when the answer has been sent. Any thread. */
typedef bool http_authorise_fn(void *context, const struct http_request *request,
	struct http_response *response, const void **ret_scope);

struct http_options {
	const char *host; /* a name or an address; "*": every one */
	uint16_t port;    /* 0: any that is free */
	/* PEM, both or none. Kept until the server is freed. */
	const char *certificate, *private_key;
	const struct http_route *routes; /* kept */
	size_t route_count;
	http_authorise_fn *authorise;       /* NULL: everybody may ask */
	void (*release)(const void *scope); /* when the request has ended; NULL: nothing to do */
	void *context;                      /* of authorise and of the handlers */
	const struct clock *clock;
	unsigned int connections_max;             /* more wait in the system's queue */
	unsigned int connections_per_address_max; /* more are closed at once */
	unsigned int idle_seconds; /* without a byte in either direction; then it is closed */
	unsigned int working_max;  /* handlers at a time */
	int64_t timeout_ms;        /* of a request, from its headers to the last byte */
};

struct http_server;

/* Starts its threads. Negative with a text if it cannot listen, or cannot use the certificate. */
MUST_CHECK int http_server_new(
	const struct http_options *options, struct http_server **ret_server, struct error *err);

/* Waits for running handlers. */
struct http_server *http_server_free(struct http_server *server);
CLEANUP_DEFINE(struct http_server, http_server_free)

/* "http://127.0.0.1:8780", where it really listens. Lives as long as the server. */
const char *http_server_url(const struct http_server *server);

/* What it did, for whoever watches it. Any thread. */
struct http_counts {
	uint64_t requests;
	uint64_t succeeded, refused, failed; /* by status: below 400, below 500, above */
	uint64_t busy;                       /* of the failed: too many at a time */
	uint64_t cut;                        /* answers that ended early */
};
struct http_counts http_server_counts(const struct http_server *server);
