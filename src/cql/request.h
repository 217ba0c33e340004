/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a client says to a server. Each function appends one whole plain frame to `to`, on stream 0
 * (cql_frame_set_stream, cql_frame_compress); what is too long or too many sticks to `to` as
 * -EMSGSIZE (buffer_check), and no frame then goes out. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cql/frame.h"
#include "cql/value.h"

enum {
	CQL_VALUES_MAX = 65535, /* bound to one statement */
	CQL_BATCH_MAX = 65535,  /* statements of one batch */
};

/* How a statement is to be run. All zero is: no values, consistency ANY (which no read accepts). */
struct cql_parameters {
	enum cql_consistency consistency;
	enum cql_consistency serial_consistency; /* 0: not told, which is SERIAL */
	const struct cql_value *values;
	size_t value_count;
	int32_t page_size;             /* rows; 0: all in one page */
	struct cql_bytes paging_state; /* of the page before; size 0: from the first row */
	int64_t timestamp_us;          /* 0: the server's */
};

struct cql_batch_part {
	struct cql_bytes id; /* of a prepared statement; size 0: `text` is meant */
	const char *text;
	const struct cql_value *values;
	size_t value_count;
};

enum cql_event_set {
	CQL_EVENTS_TOPOLOGY = 0x1,
	CQL_EVENTS_STATUS = 0x2,
	CQL_EVENTS_SCHEMA = 0x4,
	CQL_EVENTS_ALL = 0x7,
};

void cql_request_options(struct buffer *to);
void cql_request_startup(struct buffer *to, bool use_lz4);
/* SASL PLAIN; the texts hold no NUL. */
void cql_request_login(struct buffer *to, const char *username, const char *password);
void cql_request_query(
	struct buffer *to, const char *text, const struct cql_parameters *parameters);
void cql_request_prepare(struct buffer *to, const char *text);
void cql_request_execute(
	struct buffer *to, struct cql_bytes id, const struct cql_parameters *parameters);
/* Unlogged. Of the parameters the values and the page do not count. */
void cql_request_batch(struct buffer *to, const struct cql_batch_part *parts, size_t count,
	const struct cql_parameters *parameters);
/* `events`: of enum cql_event_set. */
void cql_request_register(struct buffer *to, unsigned int events);
