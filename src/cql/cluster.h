/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The nodes, and which of them a statement goes to: a replica of its partition if there is one with
 * room, else any, and only of the local data centre. The session's thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/call.h"
#include "cql/connection.h"
#include "cql/node.h"
#include "cql/topology.h"

struct cql_cluster {
	struct cql_connection_options connecting; /* of all nodes */
	char local_dc[CQL_NAME_SIZE];             /* "": not known yet */
	struct cql_topology *topology;            /* NULL: not known yet */
	struct cql_node **nodes;                  /* by the topology's indexes */
	size_t count;
	uint64_t turn;        /* spreads statements over replicas */
	struct error trouble; /* of the last connection that failed */
};

enum cql_choice {
	CQL_CHOICE_NODE = 0,
	CQL_CHOICE_WAIT, /* none has room now; none is connected yet, and there is hope */
	CQL_CHOICE_NONE, /* none that was not tried can be reached */
};

void cql_cluster_deinit(struct cql_cluster *cluster);

/* Takes what is known now. Calls that waited in a node that is gone are moved to `calls`. After an
 * error all is as it was. */
MUST_CHECK int cql_cluster_update(
	struct cql_cluster *cluster, struct cql_topology **topology, struct cql_calls *calls);

/* The cluster said that this node went up. Its port does not count. */
void cql_cluster_note_up(struct cql_cluster *cluster, const struct cql_address *address);

/* Sees to the connections. */
void cql_cluster_tick(struct cql_cluster *cluster);

/* Sends what was asked, and looks for what was not answered in time. */
void cql_cluster_flush(struct cql_cluster *cluster);

int64_t cql_cluster_deadline_ms(const struct cql_cluster *cluster);

MUST_CHECK enum cql_choice cql_cluster_choose(
	struct cql_cluster *cluster, const struct cql_call *call, struct cql_node **ret_node);

/* Whether the nodes of the local data centre that are up had the schema of the node that was asked
 * when the topology was read. */
bool cql_cluster_agrees(const struct cql_cluster *cluster);
