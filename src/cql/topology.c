/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The columns that both tables have, in the order of the questions. */
enum { HOST_ID, DATACENTER, RACK, TOKENS, SCHEMA, RPC_ADDRESS, PEER };

/* All of it while it is read; the tokens of all peers one after the other. */
struct reading {
	struct cql_topology *topology;
	struct cql_ring_node *nodes;
	int64_t *tokens;
	size_t token_count, token_room;
};

static bool is_unspecified(const struct cql_address *address)
{
	for (size_t i = 0; i < address->size; i++)
		if (address->bytes[i])
			return false;
	return true;
}

static int read_address(const struct cql_result *row, int port, struct cql_peer *peer)
{
	int r = cql_read_inet(cql_result_value(row, RPC_ADDRESS), &peer->address);

	if (r < 0 || is_unspecified(&peer->address))
		r = cql_read_inet(cql_result_value(row, PEER), &peer->address);
	peer->address.port = (uint16_t)port;
	cql_address_print(&peer->address, peer->name);
	return r;
}

static int read_peer(const struct cql_result *row, struct cql_peer *peer)
{
	int r = cql_read_uuid(cql_result_value(row, HOST_ID), peer->host_id);

	if (r == 0)
		r = cql_read_text(cql_result_value(row, DATACENTER), peer->datacenter,
			sizeof(peer->datacenter));
	if (r == 0)
		r = cql_read_text(cql_result_value(row, RACK), peer->rack, sizeof(peer->rack));
	if (r == 0)
		r = cql_read_uuid(cql_result_value(row, SCHEMA), peer->schema);
	return r;
}

static int make_token_room(struct reading *reading)
{
	size_t room = MAX_OF(2 * reading->token_room, (size_t)2 * CQL_NODE_TOKENS_MAX);
	int64_t *tokens;

	if (reading->token_room - reading->token_count >= CQL_NODE_TOKENS_MAX)
		return 0;
	tokens = realloc(reading->tokens, room * sizeof(*tokens));
	if (!tokens)
		return -ENOMEM;
	reading->tokens = tokens;
	reading->token_room = room;
	return 0;
}

/* A peer without tokens keeps nothing: it is passed over. The tokens' place is known at the end. */
static int add_peer(struct reading *reading, const struct cql_result *row, struct cql_peer *peer)
{
	struct cql_topology *topology = reading->topology;
	size_t count = 0;
	int r = make_token_room(reading);

	if (r < 0)
		return r;
	if (cql_tokens_read(cql_result_value(row, TOKENS), reading->tokens + reading->token_count,
		    &count) < 0)
		return -EPROTO;
	if (topology->count && !count)
		return 0;
	reading->token_count += count;
	reading->nodes[topology->count].token_count = count;
	topology->peers[topology->count++] = *peer;
	return 0;
}

static int read_local(struct reading *reading, const struct cql_peer *asked,
	struct cql_result *local, struct error *err)
{
	struct cql_peer peer = *asked;
	int r = -EPROTO;

	if (cql_result_next(local))
		r = read_peer(local, &peer);
	if (r == 0)
		r = add_peer(reading, local, &peer);
	if (r == -EPROTO)
		return error_set(err, r,
			"system.local is not as it should be (the partitioner must be Murmur3)");
	return r;
}

static int read_peers(struct reading *reading, int port, struct cql_result *peers)
{
	struct cql_peer peer;
	int r;

	while (cql_result_next(peers) && reading->topology->count < CQL_RING_NODES_MAX) {
		memset(&peer, 0, sizeof(peer));
		if (read_peer(peers, &peer) < 0 || read_address(peers, port, &peer) < 0)
			continue;
		r = add_peer(reading, peers, &peer);
		if (r < 0 && r != -EPROTO)
			return r;
	}
	return 0;
}

static int make_ring(struct reading *reading)
{
	struct cql_topology *topology = reading->topology;
	const int64_t *tokens = reading->tokens;

	for (size_t i = 0; i < topology->count; i++) {
		struct cql_ring_node *node = &reading->nodes[i];

		node->datacenter = topology->peers[i].datacenter;
		node->rack = topology->peers[i].rack;
		node->tokens = tokens;
		tokens += node->token_count;
	}
	return cql_ring_new(reading->nodes, topology->count, &topology->ring);
}

/* A keyspace that is not there yet has no replicas. */
static void read_replication(struct cql_topology *topology, struct cql_result *replication)
{
	if (replication && cql_result_next(replication) &&
		cql_replication_read(cql_result_value(replication, 0), &topology->replication) < 0)
		memset(&topology->replication, 0, sizeof(topology->replication));
}

static int read_all(struct reading *reading, const struct cql_peer *asked, struct cql_result *local,
	struct cql_result *peers, struct error *err)
{
	size_t room = MIN_OF(cql_result_rows(peers) + 1, (size_t)CQL_RING_NODES_MAX);
	int r;

	reading->topology->peers = calloc(room, sizeof(*reading->topology->peers));
	reading->nodes = calloc(room, sizeof(*reading->nodes));
	if (!reading->topology->peers || !reading->nodes)
		return -ENOMEM;
	r = read_local(reading, asked, local, err);
	if (r == 0)
		r = read_peers(reading, asked->address.port, peers);
	return r < 0 ? r : make_ring(reading);
}

int cql_topology_read(const struct cql_peer *asked, struct cql_result *local,
	struct cql_result *peers, struct cql_result *replication,
	struct cql_topology **ret_topology, struct error *err)
{
	CLEANUP(cql_topology_free)
	struct cql_topology *topology = calloc(1, sizeof(*topology));
	struct reading reading = { .topology = topology };
	int r = topology ? read_all(&reading, asked, local, peers, err) : -ENOMEM;

	free(reading.nodes);
	free(reading.tokens);
	if (r < 0)
		return r;
	read_replication(topology, replication);
	*ret_topology = topology;
	topology = NULL;
	return 0;
}

struct cql_topology *cql_topology_free(struct cql_topology *topology)
{
	if (!topology)
		return NULL;
	cql_ring_free(topology->ring);
	free(topology->peers);
	free(topology);
	return NULL;
}
