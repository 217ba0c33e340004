/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which workers are alive. A worker that is silent for too long is dead: told once, then at most
 * once a minute, until it speaks again or is forgotten. A heartbeat of status 0 is a farewell.
 *
 * A worker speaks to one server at a time. What each hears goes through the store to the others
 * (presence.h): so every server knows all workers, and so it does after a restart. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"
#include "model/instance.h"

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

/* What its last message says. Numbers are those of its spool. */
struct worker_sent {
	uint64_t sequence, oldest;
	int64_t last_ms; /* the last time of the message's readings; 0 without any */
};
void workers_note_sent(struct workers *workers, const char *name, const struct worker_sent *sent);

/* Every number up to `durable` is stored or refused, and with them what was read until until_ms
 * (0: nothing says so). */
void workers_note_durable(
	struct workers *workers, const char *name, uint64_t durable, int64_t until_ms);

/* Something that the store does not know yet: that a worker was heard here, or that it left. */
struct worker_news {
	char name[INSTANCE_TEXT_MAX + 1];
	int64_t wall_ms;
	bool has_left;
};

/* News, as far as it is that much newer than what the store knows. Returns how many, at most
 * `room`. */
size_t workers_news(
	struct workers *workers, int64_t newer_by_ms, struct worker_news *news, size_t room);

/* The store knows it now. */
void workers_note_told(struct workers *workers, const struct worker_news *news);

/* What the store knows of one worker, all servers' news together; wall clock, 0: nothing. */
struct worker_word {
	const char *name;
	int64_t heard_ms, left_ms;
	const char *spool; /* the one that was heard last; "" if none was */
	int64_t until_ms;
};

/* One that is silent for longer than WORKER_KNOWN_MS is not watched because of it. */
enum { WORKER_KNOWN_MS = 7 * 24 * 3600 * 1000 };
void workers_follow(struct workers *workers, const struct worker_word *word);

/* Looks for the dead and logs what has changed. Call it every second or so. */
void workers_check(struct workers *workers);

void workers_log(struct workers *workers);           /* one line each */
size_t workers_forget_dead(struct workers *workers); /* returns how many */
void workers_count(struct workers *workers, size_t *ret_alive, size_t *ret_dead);

/* What is known of one, for whoever watches. */
struct worker_view {
	char name[INSTANCE_TEXT_MAX + 1];
	bool is_dead;
	int64_t silent_ms, clock_offset_ms;
	bool has_sent; /* to this server, and nothing to another one since */
	struct worker_sent sent;
	int64_t sent_ms; /* wall clock: when that message came */
	uint64_t durable;
	int64_t until_ms;
};

/* All of them by name, in a new array to be freed; NULL if there is no memory, or none. */
struct worker_view *workers_view(struct workers *workers, size_t *ret_count);

/* A new array of {"id", "alive", "last_seen" (ISO 8601), "silent_seconds", "clock_offset_ms",
 * "spool", "id_is_shared"}; NULL if there is no memory. */
json_t *workers_to_json(struct workers *workers);
