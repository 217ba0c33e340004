/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A copy of what was last read of each instance, for whoever looks at this host: nothing is asked
 * of libvirt for it.
 *
 * Of each group of metrics the last reading stands there whole: a device that it does not name is
 * gone, a value that it leaves out is absent. Readings of an instance's next epoch (it was started
 * again, or is off) push out those of the last one. An instance that is in two rounds no more is
 * forgotten. While no round ends, what is there stays, and grows old.
 *
 * At most BOARD_BYTES_MAX; beyond that nothing new is kept. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"
#include "model/batch.h"

enum { BOARD_BYTES_MAX = 64 * 1024 * 1024 };

struct board;

struct board_part {
	int64_t taken_ms; /* CLOCK_BOOTTIME */
	size_t size;      /* bytes of memory */
	size_t count;
	struct tuple tuples[]; /* no two with one parameter; without lives */
};

struct board_instance {
	struct uuid uuid;
	char uuid_text[UUID_TEXT_SIZE];
	const char *name;                 /* libvirt's; the UUID where that is not known */
	const struct instance_info *info; /* NULL: nothing was told yet. Ports without addresses. */
	struct board_part *parts[_METRIC_GROUP_COUNT]; /* NULL: nothing was read */
};

struct board_view {
	const struct board_instance *const *instances; /* by name, no two with one */
	size_t count;
	uint64_t rounds;        /* that ended */
	int64_t round_ended_ms; /* CLOCK_BOOTTIME; of the last one */
	uint64_t left_out;      /* what was not kept for want of memory or room */
};

MUST_CHECK int board_new(const struct clock *clock, struct board **ret_board);
struct board *board_free(struct board *board);
CLEANUP_DEFINE(struct board, board_free)

/* Copies what is in the batch. */
void board_take(struct board *board, const struct batch *batch);

/* Calls `look` with all of it, which lives until that returns. Nobody else uses the board then. */
void board_look(struct board *board, void (*look)(void *context, const struct board_view *view),
	void *context);
