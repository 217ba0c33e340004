/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct ring_token {
	int64_t token;
	uint16_t node;
};

struct ring_node {
	uint16_t datacenter; /* its index */
	uint16_t rack;       /* the index of the first node of this rack */
};

struct ring_datacenter {
	char name[CQL_NAME_SIZE];
	uint32_t node_count, rack_count;
};

/* Tokens in their order: a node keeps what lies after the token before its own, up to its own. */
struct cql_ring {
	struct ring_token *tokens;
	size_t token_count;
	struct ring_node *nodes;
	struct ring_datacenter datacenters[CQL_DATACENTERS_MAX];
	size_t datacenter_count;
};

/* --- what the server tells --- */

enum { NUMBER_SIZE = 24 };

static int read_number(struct cql_value value, int64_t *ret_number)
{
	char text[NUMBER_SIZE];

	if (cql_read_text(value, text, sizeof(text)) < 0 || text_to_i64(text, ret_number) < 0)
		return -EPROTO;
	return 0;
}

int cql_tokens_read(struct cql_value set, int64_t *ret_tokens, size_t *ret_count)
{
	struct cql_items items;
	struct cql_value item;
	size_t count = 0;
	int r = cql_read_list(set, &items);

	while (r == 0 && cql_items_next(&items, &item)) {
		if (count == CQL_NODE_TOKENS_MAX)
			return -EPROTO;
		r = read_number(item, &ret_tokens[count++]);
	}
	if (r == 0)
		*ret_count = count;
	return r;
}

static enum cql_strategy strategy_of(struct cql_value class)
{
	char name[128];
	const char *dot;

	if (cql_read_text(class, name, sizeof(name)) < 0)
		return CQL_STRATEGY_OTHER;
	dot = strrchr(name, '.');
	dot = dot ? dot + 1 : name;
	if (strcmp(dot, "SimpleStrategy") == 0)
		return CQL_STRATEGY_SIMPLE;
	if (strcmp(dot, "NetworkTopologyStrategy") == 0)
		return CQL_STRATEGY_TOPOLOGY;
	return CQL_STRATEGY_OTHER;
}

/* false: it says something that is not understood ("3/1": transient replicas). */
static bool read_factor(
	struct cql_replication *replication, const char *name, struct cql_value value)
{
	size_t count = replication->datacenter_count;
	int64_t factor;

	if (read_number(value, &factor) < 0 || factor < 0 || factor > UINT16_MAX)
		return false;
	if (strcmp(name, "replication_factor") == 0) {
		replication->factor = (uint32_t)factor;
		return true;
	}
	if (count == CQL_DATACENTERS_MAX)
		return false;
	(void)text_copy(replication->datacenters[count].name, CQL_NAME_SIZE, name);
	replication->datacenters[count].factor = (uint32_t)factor;
	replication->datacenter_count++;
	return true;
}

int cql_replication_read(struct cql_value map, struct cql_replication *ret_replication)
{
	struct cql_replication replication = { .strategy = CQL_STRATEGY_OTHER };
	struct cql_value key, value;
	struct cql_items items;
	char name[CQL_NAME_SIZE];
	bool is_understood = true;
	int r = cql_read_map(map, &items);

	if (r < 0)
		return r;
	while (cql_items_next(&items, &key) && cql_items_next(&items, &value)) {
		if (cql_read_text(key, name, sizeof(name)) < 0)
			is_understood = false;
		else if (strcmp(name, "class") == 0)
			replication.strategy = strategy_of(value);
		else
			is_understood &= read_factor(&replication, name, value);
	}
	if (!is_understood)
		replication.strategy = CQL_STRATEGY_OTHER;
	*ret_replication = replication;
	return 0;
}

/* --- the ring --- */

static int compare_tokens(const void *a, const void *b)
{
	const struct ring_token *one = a, *other = b;

	if (one->token != other->token)
		return one->token < other->token ? -1 : 1;
	return (one->node > other->node) - (one->node < other->node);
}

/* The index, or -1. */
static int find_datacenter(const struct cql_ring *ring, const char *name)
{
	for (size_t i = 0; i < ring->datacenter_count; i++)
		if (strcmp(ring->datacenters[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int add_datacenter(struct cql_ring *ring, const char *name)
{
	struct ring_datacenter *datacenter = &ring->datacenters[ring->datacenter_count];

	if (ring->datacenter_count == CQL_DATACENTERS_MAX ||
		!text_copy(datacenter->name, CQL_NAME_SIZE, name))
		return -EMSGSIZE;
	return (int)ring->datacenter_count++;
}

static uint16_t find_rack(
	const struct cql_ring *ring, const struct cql_ring_node *nodes, uint16_t node)
{
	for (uint16_t i = 0; i < node; i++)
		if (nodes[i].token_count > 0 &&
			ring->nodes[i].datacenter == ring->nodes[node].datacenter &&
			strcmp(nodes[i].rack, nodes[node].rack) == 0)
			return i;
	return node;
}

static int add_node(struct cql_ring *ring, const struct cql_ring_node *nodes, uint16_t node)
{
	int datacenter = find_datacenter(ring, nodes[node].datacenter);

	if (datacenter < 0)
		datacenter = add_datacenter(ring, nodes[node].datacenter);
	if (datacenter < 0)
		return datacenter;
	ring->nodes[node].datacenter = (uint16_t)datacenter;
	ring->nodes[node].rack = find_rack(ring, nodes, node);
	ring->datacenters[datacenter].node_count++;
	ring->datacenters[datacenter].rack_count += ring->nodes[node].rack == node;
	for (size_t i = 0; i < nodes[node].token_count; i++)
		ring->tokens[ring->token_count++] =
			(struct ring_token){ .token = nodes[node].tokens[i], .node = node };
	return 0;
}

static int count_tokens(const struct cql_ring_node *nodes, size_t count, size_t *ret_total)
{
	size_t total = 0;

	if (count > CQL_RING_NODES_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; i < count; i++) {
		if (nodes[i].token_count > CQL_NODE_TOKENS_MAX)
			return -EMSGSIZE;
		total += nodes[i].token_count;
	}
	*ret_total = total;
	return 0;
}

int cql_ring_new(const struct cql_ring_node *nodes, size_t count, struct cql_ring **ret_ring)
{
	CLEANUP(cql_ring_free) struct cql_ring *ring = NULL;
	size_t total;
	int r = count_tokens(nodes, count, &total);

	if (r < 0)
		return r;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ring->nodes = calloc(count + 1, sizeof(*ring->nodes));
	ring->tokens = calloc(total + 1, sizeof(*ring->tokens));
	if (!ring->nodes || !ring->tokens)
		return -ENOMEM;
	for (uint16_t i = 0; i < count; i++) {
		r = nodes[i].token_count ? add_node(ring, nodes, i) : 0;
		if (r < 0)
			return r;
	}
	qsort(ring->tokens, ring->token_count, sizeof(*ring->tokens), compare_tokens);
	*ret_ring = ring;
	ring = NULL;
	return 0;
}

struct cql_ring *cql_ring_free(struct cql_ring *ring)
{
	if (!ring)
		return NULL;
	free(ring->nodes);
	free(ring->tokens);
	free(ring);
	return NULL;
}

/* --- replicas --- */

struct node_set {
	uint64_t words[CQL_RING_NODES_MAX / 64];
};

static bool set_has(const struct node_set *set, uint16_t node)
{
	return set->words[node / 64] >> (node % 64) & 1;
}

static void set_add(struct node_set *set, uint16_t node)
{
	set->words[node / 64] |= UINT64_C(1) << (node % 64);
}

/* What one data centre still needs. */
struct need {
	uint32_t nodes;
	uint32_t repeats; /* how many of them may be in a rack that has one already */
};

struct placement {
	struct need needs[CQL_DATACENTERS_MAX];
	bool heeds_racks;
	uint32_t left; /* of all needs */
	struct node_set nodes, racks;
};

/* SimpleStrategy knows nothing of data centres: all nodes share one need. */
static void plan_simple(const struct cql_ring *ring, uint32_t factor, struct placement *placement)
{
	uint32_t nodes = 0;

	for (size_t i = 0; i < ring->datacenter_count; i++)
		nodes += ring->datacenters[i].node_count;
	placement->left = MIN_OF(factor, nodes);
}

static void plan_topology(const struct cql_ring *ring, const struct cql_replication *replication,
	struct placement *placement)
{
	placement->heeds_racks = true;
	for (size_t i = 0; i < replication->datacenter_count; i++) {
		int index = find_datacenter(ring, replication->datacenters[i].name);
		uint32_t factor = replication->datacenters[i].factor;
		const struct ring_datacenter *datacenter;

		if (index < 0)
			continue;
		datacenter = &ring->datacenters[index];
		placement->needs[index] = (struct need){
			.nodes = MIN_OF(factor, datacenter->node_count),
			.repeats = factor > datacenter->rack_count ? factor - datacenter->rack_count
								   : 0,
		};
	}
	for (size_t i = 0; i < ring->datacenter_count; i++)
		placement->left += placement->needs[i].nodes;
}

/* One node a rack while there are racks without; a rack repeats only for what is left over. */
static bool fits_rack(struct placement *placement, const struct ring_node *node)
{
	struct need *need = &placement->needs[node->datacenter];

	if (need->nodes == 0)
		return false;
	if (set_has(&placement->racks, node->rack)) {
		if (need->repeats == 0)
			return false;
		need->repeats--;
	}
	set_add(&placement->racks, node->rack);
	need->nodes--;
	return true;
}

static bool takes(struct placement *placement, const struct cql_ring *ring, uint16_t node)
{
	if (set_has(&placement->nodes, node))
		return false;
	if (placement->heeds_racks && !fits_rack(placement, &ring->nodes[node]))
		return false;
	set_add(&placement->nodes, node);
	placement->left--;
	return true;
}

/* The index of the first token that is not before this one; the ring is closed. */
static size_t find_token(const struct cql_ring *ring, int64_t token)
{
	size_t low = 0, high = ring->token_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ring->tokens[middle].token < token)
			low = middle + 1;
		else
			high = middle;
	}
	return low == ring->token_count ? 0 : low;
}

size_t cql_ring_replicas(const struct cql_ring *ring, const struct cql_replication *replication,
	int64_t token, uint16_t ret_nodes[CQL_REPLICAS_MAX])
{
	struct placement placement = { .left = 0 };
	size_t at = find_token(ring, token), count = 0;

	if (replication->strategy == CQL_STRATEGY_SIMPLE)
		plan_simple(ring, replication->factor, &placement);
	else if (replication->strategy == CQL_STRATEGY_TOPOLOGY)
		plan_topology(ring, replication, &placement);
	for (size_t i = 0; i < ring->token_count && placement.left && count < CQL_REPLICAS_MAX;
		i++) {
		uint16_t node = ring->tokens[at].node;

		if (takes(&placement, ring, node))
			ret_nodes[count++] = node;
		at = at + 1 == ring->token_count ? 0 : at + 1;
	}
	return count;
}
