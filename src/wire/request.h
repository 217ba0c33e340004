/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Questions and answers, of kanyun-api's socket and of the server's REP socket alike: the frames
 * ['msg_type', 'uuid', {"method": ..., "args": {...}}] and
 * ['msg_type', 'uuid', {"code": 0, "message": "success", "data": ...}], the first two given back as
 * they came. An answer of the server may carry further frames of bytes. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "wire/message.h"

enum {
	REQUEST_SIZE_MAX = 256 * 1024, /* bytes of a question's frame */
	REQUEST_ID_MAX = 256,          /* bytes of msg_type and of uuid */
	REQUEST_ARGUMENT_MAX = 1024,   /* bytes of a text argument */
	ANSWER_SIZE_MAX = 256 * 1024 * 1024,
};

/* Codes of an answer. 0 is success; clients need only tell zero from the rest. */
enum answer_code {
	ANSWER_SUCCESS = 0,
	ANSWER_BAD_REQUEST = 400,
	ANSWER_NOT_FOUND = 404,
	ANSWER_AMBIGUOUS = 409,
	ANSWER_TOO_LARGE = 413,
	ANSWER_INTERNAL = 500,
	ANSWER_UNAVAILABLE = 503,
};

struct request {
	char type[REQUEST_ID_MAX + 1];
	char id[REQUEST_ID_MAX + 1];
	size_t type_size, id_size;
	char method[64];
	json_t *args; /* an object; owned */
};

void request_deinit(struct request *request);
CLEANUP_DEFINE_VALUE(struct request, request_deinit)

/* Decodes a question. On a negative return *ret_request still has type and id, so that an answer
 * can be sent; err says what was wrong. */
MUST_CHECK int request_decode(
	const struct frame *frames, size_t count, struct request *ret_request, struct error *err);

/* Arguments. Each returns 0, or -EINVAL with a text that names the argument. A missing optional one
 * (fallback given) is no error. Texts live as long as the request. */
MUST_CHECK int request_text(const struct request *request, const char *name, const char *fallback,
	const char **ret_text, struct error *err);
MUST_CHECK int request_integer(const struct request *request, const char *name, int64_t minimum,
	int64_t maximum, const int64_t *fallback, int64_t *ret_value, struct error *err);
/* ISO 8601, seconds as a number or text; 0, "0" and a missing or null one mean now_ms. */
MUST_CHECK int request_time(const struct request *request, const char *name, int64_t now_ms,
	int64_t *ret_ms, struct error *err);

/* {"code", "message", "data"}: takes `data` (NULL: null). Returns a new reference, or NULL if there
 * is no memory. */
json_t *answer_new(enum answer_code code, const char *message, json_t *data);

/* Compact JSON in ASCII, keys in the order in which they were set, integers as integers. */
MUST_CHECK int answer_encode(const json_t *answer, struct buffer *to);
