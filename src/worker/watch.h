/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What kanyun-worker tells Prometheus of its domains and of itself (docs/prometheus.md): what is on
 * the board, and how old it is. Nothing is asked of libvirt. */

#include <stdatomic.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "spool/spool.h"
#include "worker/board.h"
#include "worker/inbox.h"

struct watch;

struct watch_options {
	const struct clock *clock;
	const struct config *config;
	struct inbox *inbox;
	int64_t interval_ms; /* of the rounds */
};

/* Listens, if the configuration says so; else *ret_watch is NULL. */
MUST_CHECK int watch_new(
	const struct watch_options *options, struct watch **ret_watch, struct error *err);
struct watch *watch_free(struct watch *watch);
CLEANUP_DEFINE(struct watch, watch_free)

const char *watch_url(const struct watch *watch);

/* The loop's thread; `watch` may be NULL: */

void watch_take(struct watch *watch, const struct batch *batch);
void watch_note_spool(struct watch *watch, struct spool *spool);
