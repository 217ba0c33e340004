/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How a handler answers: with a whole body, with a body that is made piece by piece, or with a
 * problem (RFC 9457). One of them; the last one counts.
 *
 * The first HTTP_HOLD_MAX bytes of a body in pieces are held back until more come or all is there,
 * so that what goes wrong early has its status, and a short answer its Content-Length. What goes
 * wrong later cuts the connection: with chunks, and with a Content-Length, a client sees that.
 * HTTP/1.0 has no chunks, so there all is held back, up to HTTP_BODY_MAX. */

#include <stdbool.h>

#include "base/buffer.h"
#include "base/macros.h"

enum {
	HTTP_HOLD_MAX = 256 * 1024,
	HTTP_BODY_MAX = 64 * 1024 * 1024, /* of a whole body; of one piece */
};

struct http_response;

/* Appends the next piece to the buffer, or refuses. Returns whether there are more. */
typedef bool http_piece_fn(void *context, struct http_response *response, struct buffer *to);

/* A whole body with status 200: the caller fills the buffer that is returned. One that has failed
 * (too large, no memory) becomes a problem. type is kept, not copied. */
struct buffer *http_respond(struct http_response *response, const char *type);

/* A body in pieces with status 200. free_context (may be NULL) is called when it has been sent or
 * given up, on any thread. */
void http_respond_in_pieces(struct http_response *response, const char *type, http_piece_fn *next,
	void *context, void (*free_context)(void *context));

/* A problem with its status, and a text for people. */
void http_refuse(struct http_response *response, unsigned int status, const char *detail, ...)
	PRINTF_LIKE(3, 4);

/* One more header. name and value are static texts. At most 8. */
void http_response_header(struct http_response *response, const char *name, const char *value);
