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
	const struct clock *clock;
	int64_t retry_ms; /* monotonic: the store failed, and is not asked before that */
	zhashx_t *table;  /* topic -> struct peer */
	struct buffer topic;
};

enum { TOPIC_SIZE_MAX = 8192, RETRY_AFTER_MIN_MS = 1000 };

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

int peers_new(struct store *store, const struct clock *clock, struct peers **ret_peers)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	peers->store = store;
	peers->clock = clock;
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

/* What the store knows of a spool. */
struct recalling {
	struct peer *peer;
	struct frontier kept;
};

static int take_source(void *context, const struct store_source *source)
{
	struct recalling *recalling = context;

	if (strcmp(source->spool, recalling->peer->spool) != 0)
		return 0;
	recalling->kept = (struct frontier){ .last = source->sequence,
		.first_ms = source->first_ms,
		.until_ms = source->until_ms,
		.heard_ms = source->heard_ms };
	return peer_name_host(recalling->peer, source->host);
}

static int take_gap(void *context, const struct store_record *record)
{
	struct recalling *recalling = context;
	struct gap gap;

	if (gap_of_key(record->key, &gap) == 0 && !gap.has_instance)
		frontier_resume(&recalling->kept,
			&(struct frontier_gap){ gap.reason, gap.from_ms, gap.to_ms });
	return 0;
}

/* All of it is taken over, or nothing. */
static int ask_store(struct peers *peers, struct peer *peer, struct error *err)
{
	struct recalling recalling = { .peer = peer };
	char prefix[GAP_KEY_SIZE];
	int r = store_sources(peers->store, NULL, peer->worker, take_source, &recalling, err);

	if (r == 0 && recalling.kept.last > peer->frontier.last)
		r = store_records(peers->store, GAP_KIND,
			gap_key_of_host(peer->host ? peer->host : peer->worker, prefix), take_gap,
			&recalling, err);
	if (r != 0)
		return r;
	sequences_follow(&peer->sequences, recalling.kept.last);
	frontier_follow(&peer->frontier, &recalling.kept);
	peer->durable = MAX_OF(peer->durable, recalling.kept.last);
	return 0;
}

/* A store that is away answers late: the loop must not wait for that with every message, nor more
 * than half of the time. */
static int recall(struct peers *peers, struct peer *peer, struct error *err)
{
	int64_t begin_ms = clock_monotonic_ms(peers->clock), end_ms;
	int r;

	if (begin_ms < peers->retry_ms)
		return error_set(err, STORE_UNAVAILABLE, "the store did not answer just now");
	r = ask_store(peers, peer, err);
	if (r == 0)
		return 0;
	end_ms = clock_monotonic_ms(peers->clock);
	peers->retry_ms = end_ms + MAX_OF(end_ms - begin_ms, (int64_t)RETRY_AFTER_MIN_MS);
	return r;
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

/* A number that is gone is not dealt with before the message behind it has come, which says until
 * when the gap is: whoever takes over must find it gone, too. */
struct store_source peer_source(const struct peer *peer)
{
	return (struct store_source){ peer->worker, peer->spool, peer->host ? peer->host : "",
		MIN_OF(peer->sequences.until, peer->frontier.last), peer->frontier.first_ms,
		peer->frontier.until_ms, peer->frontier.heard_ms };
}

/* The worker let a number go that did not come here: another server took it, or it is lost. */
static int catch_up(struct peers *peers, struct peer *peer, uint64_t oldest, struct error *err)
{
	return oldest - 1 > peer->sequences.until ? recall(peers, peer, err) : 0;
}

int peers_find(struct peers *peers, const struct envelope *envelope, struct peer **ret_peer,
	struct error *err)
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
	r = peer ? catch_up(peers, peer, envelope->oldest, err) : add(peers, envelope, &peer, err);
	if (r != 0)
		return r;
	peer->heard_ms = clock_monotonic_ms(peers->clock);
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
