/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A node of the cluster and, if it is in the local data centre, the connection to it: opened,
 * opened again after growing pauses, and which statements are prepared there. The session's thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/call.h"
#include "cql/connection.h"
#include "cql/request.h"
#include "cql/topology.h"

enum cql_text_state { CQL_TEXT_UNKNOWN, CQL_TEXT_ASKED, CQL_TEXT_KNOWN };

struct cql_node_text {
	uint8_t state; /* of enum cql_text_state */
	uint8_t id_size;
	uint8_t id[CQL_ID_MAX];
};

struct cql_node {
	struct cql_peer peer;
	bool is_local; /* connections are made */

	struct cql_connection *connection; /* NULL: none now */
	bool was_ready;                    /* this connection */
	int64_t ready_ms;
	unsigned int failures;  /* in a row */
	int64_t retry_at_ms;    /* no connection before this */
	int64_t pause_until_ms; /* no questions before this: it has too much to do */

	struct cql_node_text texts[CQL_TEXTS_MAX];
	struct cql_calls awaiting; /* until a text is prepared there */
};

/* The pause after so many failures in a row, with some chance in it. */
int64_t cql_backoff_ms(unsigned int failures);

MUST_CHECK struct cql_node *cql_node_new(const struct cql_peer *peer);

/* `awaiting` must be empty. */
struct cql_node *cql_node_free(struct cql_node *node);

/* Sees to the connection. `options` are those of all nodes; address and name are filled in. A
 * failure leaves its text in `trouble`. */
void cql_node_tick(
	struct cql_node *node, const struct cql_connection_options *options, struct error *trouble);

/* Ends the connection, if there is one. */
void cql_node_disconnect(struct cql_node *node);

bool cql_node_is_ready(const struct cql_node *node);

/* It is being connected, and this has not failed yet. */
bool cql_node_is_hopeful(const struct cql_node *node);

bool cql_node_has_room(const struct cql_node *node, int64_t now_ms);
int64_t cql_node_deadline_ms(const struct cql_node *node);

/* The id of a text, size 0 if it is not known. */
struct cql_bytes cql_node_text_id(const struct cql_node *node, int number);
void cql_node_remember_text(struct cql_node *node, int number, struct cql_bytes id);

/* The node said that it does not know this id. */
void cql_node_forget_text(struct cql_node *node, struct cql_bytes id);
