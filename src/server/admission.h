/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a worker's message comes to, without sockets and threads:
 *
 *     known? --> decode --> an item for the writer --> committed
 *     (acknowledge again)   (refusals and numbers that never came become gaps)
 *
 * A message with an envelope ends as stored or as refused, and is acknowledged either way; one that
 * neither happened to (no memory, the store is away) is not, and comes again. One thread. */

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/macros.h"
#include "server/counters.h"
#include "server/peers.h"
#include "server/workers.h"
#include "server/writer.h"
#include "store/store.h"
#include "wire/message.h"

struct admission;

struct admission_options {
	const struct clock *clock;
	const struct config *config;
	struct store *store;
	struct workers *workers;
	struct counters *counters;
};

MUST_CHECK int admission_new(
	const struct admission_options *options, struct admission **ret_admission);
struct admission *admission_free(struct admission *admission);
CLEANUP_DEFINE(struct admission, admission_free)

enum admission_outcome {
	ADMISSION_DONE,        /* nothing more is to be done */
	ADMISSION_ACKNOWLEDGE, /* its number is known: tell the peer again how far it came */
	ADMISSION_STORE,       /* *ret_item is for the writer; its token is the peer, or NULL */
};

/* Takes a message; the frames are read during the call only. *ret_peer is who sent it, or NULL. */
enum admission_outcome admission_take(struct admission *admission, const struct frame *frames,
	size_t count, struct writer_item *ret_item, struct peer **ret_peer);

/* Items that were made here are durable now, in this order. */
void admission_committed(
	struct admission *admission, const struct writer_item *items, size_t count);

/* The peers, for acknowledgements. */
struct peers *admission_peers(struct admission *admission);
