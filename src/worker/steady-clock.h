/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A wall clock that never steps back within a segment: CLOCK_BOOTTIME plus an offset.
 *
 * Where the system's wall clock is ahead, the offset follows at once. Where it is behind by at most
 * a second, the offset gives way slowly. Where it is further behind, somebody set the clock back:
 * the next segment begins, with the offset taken anew. So it does with each boot. The state is kept
 * in a file, so that the segments go on after a restart. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"

struct steady_clock;

/* `system` is asked for the time. path is copied; NULL: nothing is kept. boot_id is one word.
 * Returns 0 or -ENOMEM; a file that cannot be used is told of by steady_clock_is_state_lost. */
MUST_CHECK int steady_clock_new(const struct clock *system, const char *path, const char *boot_id,
	struct steady_clock **ret_steady);
struct steady_clock *steady_clock_free(struct steady_clock *steady);
CLEANUP_DEFINE(struct steady_clock, steady_clock_free)

/* Any thread may read it. */
const struct clock *steady_clock_clock(struct steady_clock *steady);

/* There was a file of this boot, and it is damaged. */
bool steady_clock_is_state_lost(const struct steady_clock *steady);

/* Steps of more than a second since the last call, added up: forward if positive. */
bool steady_clock_take_step(struct steady_clock *steady, int64_t *ret_by_ms);

/* Keeps the state if it has changed since it was last kept; at once if a segment began, else now
 * and then. Returns 0 or -errno, also while it waits to try again. One thread. */
MUST_CHECK int steady_clock_save(struct steady_clock *steady);
