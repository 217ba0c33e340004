/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A stream of bytes to a server, over TCP and perhaps TLS, that never blocks: what is to be sent
 * waits in a bounded queue until the socket takes it. It tells an epoll set what it waits for.
 *
 * One thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "cql/tls.h"
#include "cql/value.h"

struct cql_transport;

enum cql_transport_outcome {
	CQL_TRANSPORT_EMPTY = 1, /* nothing to be read now */
};

/* The queue takes more, up to one largest frame, as long as it holds less than this. */
enum { CQL_TRANSPORT_QUEUE_HIGH = 4 * 1024 * 1024 };

struct cql_transport_options {
	struct cql_address address; /* with its port */
	struct cql_tls *tls;        /* NULL: none. Must outlive the transport */
	const char *name;           /* what its certificate must hold; only during the call */
	int epoll_fd;               /* events of the socket come there, with `data` */
	void *data;
};

/* Begins to connect. */
MUST_CHECK int cql_transport_open(const struct cql_transport_options *options,
	struct cql_transport **ret_transport, struct error *err);
struct cql_transport *cql_transport_free(struct cql_transport *transport);
CLEANUP_DEFINE(struct cql_transport, cql_transport_free)

/* Goes on with connecting, the handshake, and what waits to be sent; to be called when the socket
 * has events, and after writing to the queue. Negative: it is of no more use. */
MUST_CHECK int cql_transport_advance(struct cql_transport *transport, struct error *err);

/* Whether bytes can go either way. */
bool cql_transport_is_open(const struct cql_transport *transport);

/* Where to write what is to be sent. A failure of the buffer is the writer's to look at. */
struct buffer *cql_transport_queue(struct cql_transport *transport);
bool cql_transport_has_room(const struct cql_transport *transport);

/* Appends what has come, a piece of it, to `input`. Returns 0; CQL_TRANSPORT_EMPTY; negative if it
 * is of no more use, -ECONNRESET where the peer closed. */
MUST_CHECK int cql_transport_read(
	struct cql_transport *transport, struct buffer *input, struct error *err);

/* Whether TLS has unpacked more than was read: no event will come for that. */
bool cql_transport_holds_input(const struct cql_transport *transport);

uint64_t cql_transport_sent_bytes(const struct cql_transport *transport);
