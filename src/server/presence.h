/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The thread that lets all servers on one store know which workers were heard.
 *
 * A worker's readings say so by themselves: each source has the time at which it was last heard.
 * Heartbeats and farewells are told as records, a worker's only if the store would else not know
 * of it for a quarter of the time after which it is dead. What all servers told is read back every
 * few seconds. Records only grow newer, and each is the same whoever writes it: so nobody has to
 * decide who writes. */

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "server/workers.h"
#include "store/store.h"

struct presence;

/* dead_after_ms as of workers_new. What the store knows is read before it returns, if the store can
 * be read. */
MUST_CHECK int presence_new(struct store *store, const struct clock *clock, struct workers *workers,
	int64_t dead_after_ms, struct presence **ret_presence, struct error *err);

/* Tells what is left to tell, once. */
struct presence *presence_free(struct presence *presence);
CLEANUP_DEFINE(struct presence, presence_free)

/* Reads what others told, and tells what they do not know. For the thread, and for tests. */
MUST_CHECK int presence_share(
	struct store *store, struct workers *workers, int64_t dead_after_ms, struct error *err);
