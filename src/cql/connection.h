/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One connection to one node: its beginning (versions, compression, password), many questions in
 * flight, time-outs, and heartbeats while nothing else comes.
 *
 * It never blocks and calls nobody but the owners of questions and the one for events. It is never
 * freed by itself: its owner looks, after each call, whether it is closed. Questions in flight are
 * then answered as lost. One thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "cql/counts.h"
#include "cql/frame.h"
#include "cql/response.h"
#include "cql/streams.h"
#include "cql/tls.h"
#include "cql/value.h"

struct cql_connection;

enum cql_answer_outcome {
	CQL_ANSWERED = 0,
	CQL_TIMED_OUT, /* no answer until its time was over; the node may have done it */
	CQL_LOST,      /* the connection ended; likewise */
	CQL_TOO_LARGE, /* it did it, and its answer is larger than what is read; the connection ends
			*/
};

/* Lives during the callback. */
struct cql_answer {
	enum cql_answer_outcome outcome;
	struct cql_frame frame; /* with CQL_ANSWERED; the body is plain */
	const uint8_t *body;
	size_t size;
	const struct error *reason; /* else */
};

typedef void (*cql_event_fn)(void *context, const struct cql_event *event);

/* Texts, TLS and counts must outlive the connection, except for `name`. */
struct cql_connection_options {
	struct cql_address address; /* with its port */
	const char *name;           /* what the certificate must hold */
	struct cql_tls *tls;        /* NULL: none */
	const char *username, *password;
	bool use_lz4;
	int64_t connect_timeout_ms, request_timeout_ms, heartbeat_ms;
	const struct clock *clock;
	int epoll_fd;          /* events come there, with the connection as data.ptr */
	cql_event_fn on_event; /* NULL: there must be none */
	void *context;
	struct cql_counts *counts;
};

MUST_CHECK int cql_connection_open(const struct cql_connection_options *options,
	struct cql_connection **ret_connection, struct error *err);
struct cql_connection *cql_connection_free(struct cql_connection *connection);
CLEANUP_DEFINE(struct cql_connection, cql_connection_free)

/* The socket has something to do. */
void cql_connection_handle(struct cql_connection *connection);

/* Looks at the time, and sends what was asked since. */
void cql_connection_tick(struct cql_connection *connection);

/* When cql_connection_tick has something to do at the latest (of clock_monotonic_ms). */
int64_t cql_connection_deadline_ms(const struct cql_connection *connection);

bool cql_connection_is_ready(const struct cql_connection *connection);
bool cql_connection_is_closed(const struct cql_connection *connection);

/* Why it is closed: a negative number and a text with the node's address. */
int cql_connection_failure(const struct cql_connection *connection, struct error *err);

/* Ready, and neither too much in flight nor too much to be sent. */
bool cql_connection_has_room(const struct cql_connection *connection);

/* Nothing was heard for a while although something was asked: others are better asked first. */
bool cql_connection_is_suspect(const struct cql_connection *connection);

/* Asks with a whole plain frame. false: it is not ready, or has no stream free; the question is
 * then not kept. Else question->answer is called once, never within this call. */
bool cql_connection_ask(struct cql_connection *connection, struct cql_question *question,
	const struct buffer *frame);
