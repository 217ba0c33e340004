/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Sends what is in the spool to one server, and hears its acknowledgements.
 *
 * A message is sent only once it is on disk, or the disk is known to fail. A few messages in
 * flight, small high-water marks, nothing queued for a peer that is not there. A server that does
 * not acknowledge for 5 s is left for the next one (servers.h), and everything from the oldest
 * message on is sent again: storing is idempotent. Once all were tried, that time doubles, up to a
 * minute. A server that is preferred to the present one is gone back to when it is there again
 * (probe.h). */

#include <czmq.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "spool/spool.h"

struct sender;

struct sender_options {
	zloop_t *loop;
	const struct clock *clock;
	const struct config *config;
	const char *worker; /* its name; kept, not copied */
	struct spool *spool;
};

MUST_CHECK int sender_new(
	const struct sender_options *options, struct sender **ret_sender, struct error *err);
struct sender *sender_free(struct sender *sender);
CLEANUP_DEFINE(struct sender, sender_free)

/* A heartbeat as soon as a server is there; a newer one replaces one that waits. */
void sender_heartbeat(struct sender *sender, int status);

/* Sends what may be sent now, and looks whether the server is silent for too long. Returns whether
 * something waits for a connection. */
bool sender_pump(struct sender *sender);

/* At the end: without the loop, until everything is acknowledged, no server is there, or the time
 * is over. */
void sender_flush(struct sender *sender, int64_t timeout_ms);
