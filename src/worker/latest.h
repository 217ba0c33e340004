/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What was last read of each tuple: of an instance, in an epoch, of a group, parameter and life.
 *
 * Three things are decided by it: whether a reading is the first of its kind, which message holds
 * the last one of what has vanished, and with which values a new segment of the clock begins. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "model/batch.h"

enum { LATEST_MAX = 64 * 1024 };

struct latest;

struct latest_item {
	struct uuid instance;
	const char *epoch;
	struct tuple tuple;
	uint32_t segment;
	int64_t read_ms;   /* CLOCK_BOOTTIME */
	uint64_t sequence; /* of the message that holds it */
	uint64_t round;    /* in which it was read */
	bool is_gone;      /* it was not read in a later one */
};

MUST_CHECK int latest_new(struct latest **ret_latest);
struct latest *latest_free(struct latest *latest);
CLEANUP_DEFINE(struct latest, latest_free)

/* NULL: never read. */
struct latest_item *latest_find(
	struct latest *latest, const struct reading *reading, const struct tuple *tuple);

/* Keeps what was read, as of the present round. Beyond LATEST_MAX nothing new is kept. */
void latest_keep(struct latest *latest, const struct reading *reading, const struct tuple *tuple,
	int64_t read_ms, uint64_t sequence);

/* Ends a round: `gone` is called for each tuple that was not read in it and was in the one before;
 * what was not read since `before_ms` is forgotten. */
void latest_end_round(struct latest *latest, int64_t before_ms,
	void (*gone)(void *context, const struct latest_item *item), void *context);

/* Each tuple of those epochs of which something was read in this round or the last one. */
void latest_each_alive(struct latest *latest, void (*each)(void *context, struct latest_item *item),
	void *context);
