/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The spools that send to this server: which of their numbers came, and which were acknowledged.
 *
 * A worker may send to another server for a while, on the same store. So what is known here is only
 * what came here: what the store knows besides is asked when a spool is first heard of, and again
 * whenever its worker no longer keeps a number that did not come here. That is enough: a worker
 * lets a number go after an acknowledgement, which follows the commit that the store is then asked
 * for. The loop's thread only. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
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
	uint64_t durable;   /* every number up to it is stored or refused, here or elsewhere */
	uint64_t in_flight; /* items of it at the writer */
	int64_t heard_ms;   /* monotonic */
	int64_t acknowledged_ms;
};

struct peers;

MUST_CHECK int peers_new(struct store *store, const struct clock *clock, struct peers **ret_peers);
struct peers *peers_free(struct peers *peers);

/* The peer of an envelope, which knows of every number that the worker no longer keeps what became
 * of it, if anyone does; it lives until peers_forget. -ENOMEM, -ENOSPC if there are too many,
 * or what the store returned; STORE_UNAVAILABLE for a second after that, or as long as it took. */
MUST_CHECK int peers_find(struct peers *peers, const struct envelope *envelope,
	struct peer **ret_peer, struct error *err);

/* The worker said on which host it is; only its first word counts. 0 or -ENOMEM. */
MUST_CHECK int peer_name_host(struct peer *peer, const char *host);

/* What the store is to know of it. The texts live as long as the peer. */
struct store_source peer_source(const struct peer *peer);

/* Calls `each` for all. */
void peers_each(struct peers *peers, void (*each)(void *context, struct peer *peer), void *context);

/* Forgets those that were silent since before_ms and have nothing in flight. */
void peers_forget(struct peers *peers, int64_t before_ms);
