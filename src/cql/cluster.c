/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int64_t now_ms(const struct cql_cluster *cluster)
{
	return clock_monotonic_ms(cluster->connecting.clock);
}

void cql_cluster_deinit(struct cql_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++)
		cql_node_free(cluster->nodes[i]);
	free(cluster->nodes);
	cql_topology_free(cluster->topology);
	cluster->nodes = NULL;
	cluster->topology = NULL;
	cluster->count = 0;
}

/* Its place in `nodes` is left empty. */
static struct cql_node *take_known(struct cql_cluster *cluster, const struct cql_peer *peer)
{
	for (size_t i = 0; i < cluster->count; i++) {
		struct cql_node *node = cluster->nodes[i];

		if (node && memcmp(node->peer.host_id, peer->host_id, sizeof(peer->host_id)) == 0) {
			cluster->nodes[i] = NULL;
			return node;
		}
	}
	return NULL;
}

/* A connection that works is not given up because another node knows this one by another address
 * than the one by which it was reached. */
static void renew(struct cql_node *node, const struct cql_peer *peer)
{
	bool has_moved = !cql_address_equal(&node->peer.address, &peer->address);
	struct cql_peer before = node->peer;

	node->peer = *peer;
	if (has_moved && cql_node_is_ready(node)) {
		node->peer.address = before.address;
		text_copy(node->peer.name, sizeof(node->peer.name), before.name);
	} else if (has_moved) {
		cql_node_disconnect(node);
		node->failures = 0;
		node->retry_at_ms = 0;
	}
}

static void drop(struct cql_node *node, struct cql_calls *calls)
{
	if (!node)
		return;
	cql_node_disconnect(node);
	cql_calls_join(calls, &node->awaiting);
	cql_node_free(node);
}

static void judge(struct cql_cluster *cluster)
{
	bool has_local = false;

	for (size_t i = 0; i < cluster->count; i++) {
		struct cql_node *node = cluster->nodes[i];

		node->is_local = strcmp(node->peer.datacenter, cluster->local_dc) == 0;
		has_local |= node->is_local;
		if (!node->is_local && node->connection)
			cql_node_disconnect(node);
	}
	if (!has_local)
		error_set(&cluster->trouble, 0, "there is no node in the data centre '%s'",
			cluster->local_dc);
}

/* The nodes of a topology: those that are known stay what they are. NULL: no memory. */
static struct cql_node **make_nodes(
	struct cql_cluster *cluster, const struct cql_topology *topology)
{
	struct cql_node **nodes = calloc(topology->count, sizeof(struct cql_node *));
	bool is_whole = nodes;

	for (size_t i = 0; is_whole && i < topology->count; i++) {
		nodes[i] = cql_node_new(&topology->peers[i]);
		is_whole = nodes[i];
	}
	for (size_t i = 0; nodes && i < topology->count; i++) {
		struct cql_node *known =
			is_whole ? take_known(cluster, &topology->peers[i]) : nodes[i];

		if (!is_whole || known)
			cql_node_free(nodes[i]);
		if (known)
			nodes[i] = known;
	}
	if (is_whole)
		return nodes;
	free(nodes);
	return NULL;
}

int cql_cluster_update(
	struct cql_cluster *cluster, struct cql_topology **topology, struct cql_calls *calls)
{
	struct cql_node **nodes = make_nodes(cluster, *topology);

	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < cluster->count; i++)
		drop(cluster->nodes[i], calls);
	free(cluster->nodes);
	cql_topology_free(cluster->topology);
	cluster->nodes = nodes;
	cluster->topology = *topology;
	cluster->count = cluster->topology->count;
	*topology = NULL;
	for (size_t i = 0; i < cluster->count; i++)
		renew(nodes[i], &cluster->topology->peers[i]);
	if (!cluster->local_dc[0])
		text_copy(cluster->local_dc, sizeof(cluster->local_dc), nodes[0]->peer.datacenter);
	judge(cluster);
	return 0;
}

/* Behind a gateway, or with TLS, the port that a node tells may be another one. */
static bool is_same_host(const struct cql_address *one, const struct cql_address *other)
{
	return one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0;
}

void cql_cluster_note_up(struct cql_cluster *cluster, const struct cql_address *address)
{
	for (size_t i = 0; i < cluster->count; i++) {
		struct cql_node *node = cluster->nodes[i];

		if (is_same_host(&node->peer.address, address) && !node->connection)
			node->retry_at_ms = now_ms(cluster);
	}
}

void cql_cluster_tick(struct cql_cluster *cluster)
{
	uint64_t known = 0, connected = 0;

	for (size_t i = 0; i < cluster->count; i++) {
		cql_node_tick(cluster->nodes[i], &cluster->connecting, &cluster->trouble);
		known += cluster->nodes[i]->is_local;
		connected += cql_node_is_ready(cluster->nodes[i]);
	}
	cluster->connecting.counts->nodes_known = known;
	cluster->connecting.counts->nodes_connected = connected;
	if (known && connected == known)
		cluster->trouble.text[0] = '\0';
}

void cql_cluster_flush(struct cql_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (cluster->nodes[i]->connection)
			cql_connection_tick(cluster->nodes[i]->connection);
}

int64_t cql_cluster_deadline_ms(const struct cql_cluster *cluster)
{
	int64_t deadline_ms = INT64_MAX;

	for (size_t i = 0; i < cluster->count; i++)
		deadline_ms = MIN_OF(deadline_ms, cql_node_deadline_ms(cluster->nodes[i]));
	return deadline_ms;
}

/* What was seen on the way to a choice. */
struct look {
	const struct cql_call *call;
	int64_t now_ms;
	bool takes_suspects;
	bool is_any_ready, is_any_hopeful;
	bool may_have_room_later;
};

static bool suits(struct look *look, const struct cql_node *node)
{
	if (cql_node_is_hopeful(node))
		look->is_any_hopeful = true;
	if (!node->is_local || !cql_node_is_ready(node))
		return false;
	look->is_any_ready = true;
	if (cql_call_was_tried(look->call, node))
		return false;
	look->may_have_room_later = true;
	return cql_node_has_room(node, look->now_ms) &&
	       (look->takes_suspects || !cql_connection_is_suspect(node->connection));
}

/* The first that suits of some nodes, given by their indexes or, without these, of all. */
static struct cql_node *choose_of(
	struct cql_cluster *cluster, struct look *look, const uint16_t *indexes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t place = (i + cluster->turn) % count;
		struct cql_node *node = cluster->nodes[indexes ? indexes[place] : place];

		if (suits(look, node))
			return node;
	}
	return NULL;
}

static struct cql_node *choose(struct cql_cluster *cluster, struct look *look)
{
	uint16_t indexes[CQL_REPLICAS_MAX];
	struct cql_node *node = NULL;
	size_t count = 0;

	if (cluster->topology && look->call->has_token)
		count = cql_ring_replicas(cluster->topology->ring, &cluster->topology->replication,
			look->call->token, indexes);
	node = choose_of(cluster, look, indexes, count);
	return node ? node : choose_of(cluster, look, NULL, cluster->count);
}

enum cql_choice cql_cluster_choose(
	struct cql_cluster *cluster, const struct cql_call *call, struct cql_node **ret_node)
{
	struct look look = { .call = call, .now_ms = now_ms(cluster) };
	struct cql_node *node;

	cluster->turn++;
	node = choose(cluster, &look);
	if (!node) {
		look.takes_suspects = true;
		node = choose(cluster, &look);
	}
	if (node) {
		*ret_node = node;
		return CQL_CHOICE_NODE;
	}
	if (look.may_have_room_later || (look.is_any_hopeful && !look.is_any_ready))
		return CQL_CHOICE_WAIT;
	return CQL_CHOICE_NONE;
}

/* One that is down agrees when it comes back; of those elsewhere nobody knows which are down. */
static bool counts(const struct cql_node *node)
{
	return node->is_local && (cql_node_is_ready(node) || cql_node_is_hopeful(node));
}

bool cql_cluster_agrees(const struct cql_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (counts(cluster->nodes[i]) &&
			memcmp(cluster->nodes[i]->peer.schema, cluster->nodes[0]->peer.schema,
				CQL_HOST_ID_SIZE) != 0)
			return false;
	return cluster->count > 0;
}
