/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The spools that send to this server: which of their numbers came, and which were acknowledged.
 * What is durable already is asked of the store when a spool is first heard of. The loop's thread
 * only. */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "server/frontier.h"
#include "server/sequences.h"
#include "store/store.h"

enum { PEERS_MAX = 100000 };

struct peer {
	char *topic; /* of its acknowledgements; also the key */
	char *worker;
	char *spool;
	char *host; /* the first that it named; NULL until then */
	struct sequences sequences;
	struct frontier frontier;
	uint64_t durable;   /* every number up to it is stored or refused */
	uint64_t in_flight; /* items of it at the writer */
	int64_t heard_ms;   /* monotonic */
	int64_t acknowledged_ms;
};

struct peers;

MUST_CHECK int peers_new(struct store *store, struct peers **ret_peers);
struct peers *peers_free(struct peers *peers);

/* The peer of an envelope; it lives until peers_forget. -ENOMEM, -ENOSPC if there are too many, or
 * what the store returned. */
MUST_CHECK int peers_find(struct peers *peers, const struct envelope *envelope, int64_t now_ms,
	struct peer **ret_peer, struct error *err);

/* The worker said on which host it is; only its first word counts. 0 or -ENOMEM. */
MUST_CHECK int peer_name_host(struct peer *peer, const char *host);

/* What the store is to know of it. The texts live as long as the peer. */
struct store_source peer_source(const struct peer *peer);

/* Calls `each` for all. */
void peers_each(struct peers *peers, void (*each)(void *context, struct peer *peer), void *context);

/* Forgets those that were silent since before_ms and have nothing in flight. */
void peers_forget(struct peers *peers, int64_t before_ms);
