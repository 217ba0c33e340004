/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The node that made the last change of the schema. Another one may still hold what was before, and
 * see the same of all others: that they agree means something only if they agree with this one. The
 * session's thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cql/cluster.h"
#include "cql/node.h"
#include "cql/streams.h"
#include "cql/topology.h"

struct cql_witness {
	bool is_known;
	uint8_t host_id[CQL_HOST_ID_SIZE];

	struct cql_question question;
	bool is_out;
	bool has_version;
	uint8_t version[CQL_HOST_ID_SIZE]; /* of its schema, when it was asked last */
};

/* This node changed the schema. */
void cql_witness_note(struct cql_witness *witness, const struct cql_node *node);

/* Asks it for its version, if it can be asked; `frame` is scratch. Until the answer, is_out. */
void cql_witness_ask(
	struct cql_witness *witness, const struct cql_cluster *cluster, struct buffer *frame);

/* Whether the nodes of the topology, which was read after the last answer, agree with it and with
 * each other. One that cannot be asked is not waited for. */
bool cql_witness_agrees(const struct cql_witness *witness, const struct cql_cluster *cluster);
