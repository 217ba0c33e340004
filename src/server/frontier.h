/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Until when a worker's readings have arrived, and what of them is lost: what its messages say, in
 * the order of their numbers, as far as these have come without a hole, or with holes that will
 * stay.
 *
 * A gap begins at the last `until` before what is lost, and ends at the first one behind it that is
 * after the last reading, and the `until`, of the message behind (docs/usage.md). Messages above a
 * hole wait here: as many as there may be ahead of a hole (sequences.h). Without memory for them,
 * or beyond that, the lowest one's word is forgotten; then at worst a gap is told that is none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum { FRONTIER_AHEAD_MAX = 4096 };

struct frontier_note {
	uint64_t sequence;
	uint64_t previous; /* the number that the worker kept before it */
	int64_t last_ms;   /* the last time of its readings; 0: none */
	int64_t until_ms;  /* 0: it says nothing */
	int64_t heard_ms;  /* when it came, by the server's clock */
	bool is_refused;   /* all or some of it */
};

/* Texts are static. */
struct frontier_gap {
	const char *reason;
	int64_t from_ms, to_ms;
};

struct frontier {
	uint64_t last;               /* the number up to which all was taken into account */
	int64_t first_ms;            /* the first `until` of all; 0: none yet */
	int64_t until_ms;            /* the last one; 0: none yet */
	int64_t heard_ms;            /* when that came */
	struct frontier_gap lost;    /* reason NULL: nothing; to_ms: not before that */
	struct frontier_note *ahead; /* owned */
	size_t count, room;
};

void frontier_deinit(struct frontier *frontier);
CLEANUP_DEFINE_VALUE(struct frontier, frontier_deinit)

void frontier_take(struct frontier *frontier, const struct frontier_note *note);

/* Every number up to `sequence` has come, or is gone for good. Call it until it is false: each true
 * is a gap that is whole. */
bool frontier_reach(struct frontier *frontier, uint64_t sequence, struct frontier_gap *ret_gap);

/* What is certain of a gap that is not whole yet: a millisecond, if its messages had no times. */
bool frontier_lost(const struct frontier *frontier, struct frontier_gap *ret_gap);

/* What the store knows of the spool replaces what is known here, if it is further: another server
 * took what did not come here, or this one did before a restart. Its `ahead` is not looked at. */
void frontier_follow(struct frontier *frontier, const struct frontier *further);

/* One of the host's gaps that the store has. An open one at the frontier goes on. */
void frontier_resume(struct frontier *frontier, const struct frontier_gap *gap);
