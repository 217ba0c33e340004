/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which workers are alive. A worker that is silent for too long is dead: told once, then at most
 * once a minute, until it speaks again or is forgotten. A heartbeat of status 0 is a farewell. */

#include <jansson.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"

enum { WORKERS_MAX = 100000 };

/* How far a worker's clock may be from ours before it is reported. */
enum { WORKER_CLOCK_LIMIT_MS = 10 * 1000 };

struct workers;

MUST_CHECK int workers_new(
	const struct clock *clock, int64_t dead_after_ms, struct workers **ret_workers);
struct workers *workers_free(struct workers *workers);
CLEANUP_DEFINE(struct workers, workers_free)

/* The functions below: any thread. */

/* A sign of life. time_ms is the worker's own clock, 0 if the message did not say; spool is its
 * spool id or NULL. A name beyond WORKERS_MAX is ignored. */
void workers_hear(struct workers *workers, const char *name, int64_t time_ms, const char *spool);

/* It is about to exit in good order: no longer watched. */
void workers_farewell(struct workers *workers, const char *name);

/* Looks for the dead and logs what has changed. Call it every second or so. */
void workers_check(struct workers *workers);

void workers_log(struct workers *workers);           /* one line each */
size_t workers_forget_dead(struct workers *workers); /* returns how many */
void workers_count(struct workers *workers, size_t *ret_alive, size_t *ret_dead);

/* A new array of {"id", "alive", "last_seen" (ISO 8601), "silent_seconds", "clock_offset_ms",
 * "spool", "id_is_shared"}; NULL if there is no memory. */
json_t *workers_to_json(struct workers *workers);
