/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/peers.h"

#include <czmq.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/gaps.h"
#include "wire/message.h"

struct peers {
	struct store *store;
	zhashx_t *table; /* topic -> struct peer */
	struct buffer topic;
};

enum { TOPIC_SIZE_MAX = 8192 };

static void destroy_peer(void **item)
{
	struct peer *peer = *item;

	free(peer->topic);
	free(peer->worker);
	free(peer->spool);
	frontier_deinit(&peer->frontier);
	free(peer->host);
	free(peer);
	*item = NULL;
}

int peers_new(struct store *store, struct peers **ret_peers)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	peers->store = store;
	buffer_init(&peers->topic, TOPIC_SIZE_MAX);
	peers->table = zhashx_new();
	if (!peers->table) {
		free(peers);
		return -ENOMEM;
	}
	zhashx_set_destructor(peers->table, destroy_peer);
	*ret_peers = peers;
	return 0;
}

struct peers *peers_free(struct peers *peers)
{
	if (!peers)
		return NULL;
	zhashx_destroy(&peers->table);
	buffer_deinit(&peers->topic);
	free(peers);
	return NULL;
}

/* Takes over what the store knows of this spool. */
static int take_source(void *context, const struct store_source *source)
{
	struct peer *peer = context;

	if (strcmp(source->spool, peer->spool) != 0)
		return 0;
	peer->sequences.until = peer->durable = source->sequence;
	peer->frontier.last = source->sequence;
	peer->frontier.first_ms = source->first_ms;
	peer->frontier.until_ms = source->until_ms;
	peer->frontier.heard_ms = source->heard_ms;
	return peer_name_host(peer, source->host);
}

static int take_gap(void *context, const struct store_record *record)
{
	struct peer *peer = context;
	struct gap gap;

	if (gap_of_key(record->key, &gap) == 0 && !gap.has_instance)
		frontier_resume(&peer->frontier,
			&(struct frontier_gap){ gap.reason, gap.from_ms, gap.to_ms });
	return 0;
}

static int recall(struct peers *peers, struct peer *peer, struct error *err)
{
	char prefix[GAP_KEY_SIZE];
	int r = store_sources(peers->store, NULL, peer->worker, take_source, peer, err);

	return r == 0 ? store_records(peers->store, GAP_KIND,
				gap_key_of_host(peer->host ? peer->host : peer->worker, prefix),
				take_gap, peer, err)
		      : r;
}

static struct peer *new_peer(const struct envelope *envelope, const char *topic)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	void *item = peer;

	if (!peer)
		return NULL;
	peer->topic = strdup(topic);
	peer->worker = strdup(envelope->worker);
	peer->spool = strdup(envelope->spool);
	if (peer->topic && peer->worker && peer->spool)
		return peer;
	destroy_peer(&item);
	return NULL;
}

static int add(struct peers *peers, const struct envelope *envelope, struct peer **ret_peer,
	struct error *err)
{
	struct peer *peer;
	void *item;
	int r;

	if (zhashx_size(peers->table) >= PEERS_MAX)
		return error_set(err, -ENOSPC, "more than %d spools", PEERS_MAX);
	peer = new_peer(envelope, (const char *)peers->topic.bytes);
	if (!peer)
		return -ENOMEM;
	r = recall(peers, peer, err);
	if (r == 0 && zhashx_insert(peers->table, peer->topic, peer) < 0)
		r = -ENOMEM;
	if (r != 0) {
		item = peer;
		destroy_peer(&item);
		return r;
	}
	*ret_peer = peer;
	return 0;
}

int peer_name_host(struct peer *peer, const char *host)
{
	if (peer->host || !*host)
		return 0;
	peer->host = strdup(host);
	return peer->host ? 0 : -ENOMEM;
}

struct store_source peer_source(const struct peer *peer)
{
	return (struct store_source){ peer->worker, peer->spool, peer->host ? peer->host : "",
		peer->sequences.until, peer->frontier.first_ms, peer->frontier.until_ms,
		peer->frontier.heard_ms };
}

int peers_find(struct peers *peers, const struct envelope *envelope, int64_t now_ms,
	struct peer **ret_peer, struct error *err)
{
	struct peer *peer;
	int r;

	buffer_clear(&peers->topic);
	message_encode_ack_topic(&peers->topic, envelope->worker, envelope->spool);
	buffer_write_u8(&peers->topic, 0);
	r = buffer_check(&peers->topic);
	if (r < 0)
		return r;
	peer = zhashx_lookup(peers->table, peers->topic.bytes);
	r = peer ? 0 : add(peers, envelope, &peer, err);
	if (r != 0)
		return r;
	peer->heard_ms = now_ms;
	*ret_peer = peer;
	return 0;
}

void peers_each(struct peers *peers, void (*each)(void *context, struct peer *peer), void *context)
{
	for (struct peer *peer = zhashx_first(peers->table); peer; peer = zhashx_next(peers->table))
		each(context, peer);
}

void peers_forget(struct peers *peers, int64_t before_ms)
{
	zlistx_t *topics = zhashx_keys(peers->table);

	for (const char *topic = zlistx_first(topics); topic; topic = zlistx_next(topics)) {
		const struct peer *peer = zhashx_lookup(peers->table, topic);

		if (peer->heard_ms < before_ms && peer->in_flight == 0)
			zhashx_delete(peers->table, topic);
	}
	zlistx_destroy(&topics);
}
