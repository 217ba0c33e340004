/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which nodes a cluster has and where its partitions lie, as one of its nodes tells it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/contact.h"
#include "cql/result.h"
#include "cql/ring.h"
#include "cql/value.h"

enum { CQL_HOST_ID_SIZE = 16 };

struct cql_peer {
	uint8_t host_id[CQL_HOST_ID_SIZE];
	struct cql_address address; /* where clients connect, with the port */
	char name[CQL_HOST_SIZE];   /* what its certificate must hold */
	char datacenter[CQL_NAME_SIZE], rack[CQL_NAME_SIZE];
	uint8_t schema[CQL_HOST_ID_SIZE]; /* the version it has */
};

struct cql_topology {
	struct cql_peer *peers; /* the one that was asked first */
	size_t count;
	struct cql_ring *ring; /* by the peers' indexes */
	struct cql_replication replication;
};

/* The questions. */
#define CQL_LOCAL_TEXT                                                                             \
	"SELECT host_id, data_center, rack, tokens, schema_version FROM system.local "             \
	"WHERE key = 'local'"
#define CQL_PEERS_TEXT                                                                             \
	"SELECT host_id, data_center, rack, tokens, schema_version, rpc_address, peer "            \
	"FROM system.peers"

/* The answers to these. `asked`: how the node that was asked is reached; `replication`: the answer
 * of system_schema.keyspaces for the keyspace, or NULL. A peer that is not wholly described (it is
 * joining or leaving) is passed over. All results are walked through.
 * Returns 0; -EPROTO if the node's own row is not what it should be; -ENOMEM. */
MUST_CHECK int cql_topology_read(const struct cql_peer *asked, struct cql_result *local,
	struct cql_result *peers, struct cql_result *replication,
	struct cql_topology **ret_topology, struct error *err);
struct cql_topology *cql_topology_free(struct cql_topology *topology);
CLEANUP_DEFINE(struct cql_topology, cql_topology_free)
