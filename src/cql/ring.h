/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which nodes keep a partition: the ring of tokens, and what a keyspace's replication makes of it.
 * Pure functions; nodes are known by their index in the list that made the ring. */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "cql/value.h"

enum {
	CQL_RING_NODES_MAX = 1024,
	CQL_NODE_TOKENS_MAX = 1536, /* of one node; num_tokens was 256 by default, is 16 now */
	CQL_DATACENTERS_MAX = 32,
	CQL_REPLICAS_MAX = 32,
	CQL_NAME_SIZE = 64, /* of a datacenter or a rack, with its NUL */
};

enum cql_strategy {
	CQL_STRATEGY_OTHER = 0, /* any node may answer, none is known to have the data */
	CQL_STRATEGY_SIMPLE,
	CQL_STRATEGY_TOPOLOGY,
};

struct cql_replication {
	enum cql_strategy strategy;
	uint32_t factor; /* SimpleStrategy */
	struct {
		char name[CQL_NAME_SIZE];
		uint32_t factor;
	} datacenters[CQL_DATACENTERS_MAX]; /* NetworkTopologyStrategy */
	size_t datacenter_count;
};

/* Reads `replication` of system_schema.keyspaces, a map<text, text>. A strategy that is not known
 * is CQL_STRATEGY_OTHER. Returns 0; -EPROTO if it is not such a map. */
MUST_CHECK int cql_replication_read(struct cql_value map, struct cql_replication *ret_replication);

struct cql_ring_node {
	const char *datacenter, *rack;
	const int64_t *tokens;
	size_t token_count;
};

/* Reads `tokens` of system.local or system.peers, a set<text>, into at most CQL_NODE_TOKENS_MAX
 * numbers. Returns 0; -EPROTO if they are none (another partitioner), or too many. */
MUST_CHECK int cql_tokens_read(struct cql_value set, int64_t *ret_tokens, size_t *ret_count);

struct cql_ring;

/* Keeps nothing of the list. A node without tokens (it is joining) keeps no partitions. Returns 0;
 * -EMSGSIZE if there are more than CQL_RING_NODES_MAX nodes, CQL_NODE_TOKENS_MAX tokens of one, or
 * CQL_DATACENTERS_MAX data centres; -ENOMEM. */
MUST_CHECK int cql_ring_new(
	const struct cql_ring_node *nodes, size_t count, struct cql_ring **ret_ring);
struct cql_ring *cql_ring_free(struct cql_ring *ring);
CLEANUP_DEFINE(struct cql_ring, cql_ring_free)

/* The nodes that keep the partition of this token, the first one first. Returns how many, at most
 * CQL_REPLICAS_MAX; 0 if it is not known. Any thread, as long as the ring lives. */
size_t cql_ring_replicas(const struct cql_ring *ring, const struct cql_replication *replication,
	int64_t token, uint16_t ret_nodes[CQL_REPLICAS_MAX]);
