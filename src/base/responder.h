/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Answers requests on a ROUTER socket by a few threads, so that one long question blocks nobody.
 *
 *     peers --> ROUTER (the loop's thread) --> bounded queue --> threads, each calling `answer`
 *           <-- ROUTER <-- inproc PULL <-------------------------'
 *
 * A client with a REQ socket cannot tell it from a REP. Routing frames (and the empty delimiter,
 * which DEALER clients may leave out) are kept here; the callbacks see only the frames behind them.
 * A request never goes unanswered: one that finds the queue full is given to `refuse`. */

#include <czmq.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"

/* Takes the request's frames and returns the answer's; never NULL but when memory is gone, which
 * loses the answer. `answer` runs on one of the threads, `refuse` on the loop's. */
typedef zmsg_t *(*responder_fn)(void *context, zmsg_t **request);

struct responder_options {
	const char *endpoint; /* "tcp://127.0.0.1:5553"; port * is any that is free */
	size_t threads;
	size_t queue_max;    /* requests that wait for a thread */
	int64_t message_max; /* bytes of a frame; a peer that sends a larger one is cut off */
	responder_fn answer;
	responder_fn refuse;
	void *context;
};

struct responder;

/* Binds, starts the threads and adds the socket to the loop. Call it and responder_free in the
 * loop's thread. */
MUST_CHECK int responder_new(zloop_t *loop, const struct responder_options *options,
	struct responder **ret_responder, struct error *err);

/* Waits for the threads, whose running callbacks must therefore end by themselves. */
struct responder *responder_free(struct responder *responder);
CLEANUP_DEFINE(struct responder, responder_free)

/* Where it really listens. Lives as long as the responder. */
const char *responder_endpoint(const struct responder *responder);

uint64_t responder_answered(const struct responder *responder);
uint64_t responder_refused(const struct responder *responder);
