/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where time comes from. Nobody else asks the system what time it is: whoever needs it is given a
 * `struct clock`, so that tests move it by hand. */

#include <stdint.h>

struct clock_reading {
	int64_t wall_ms, monotonic_ms;
	uint32_t segment;
};

struct clock {
	int64_t (*wall_ms)(const struct clock *clock); /* UTC milliseconds since 1970 */
	int64_t (*monotonic_ms)(
		const struct clock *clock); /* CLOCK_BOOTTIME, counts in suspend too */

	/* These two are NULL where the wall clock is not watched. All of one instant; within one
	 * segment wall_ms never steps back, and when it must, the next segment begins. */
	struct clock_reading (*read)(const struct clock *clock);

	/* What this instant of monotonic_ms is in the present segment; INT64_MIN if it was before
	 * the segment began, when the wall clock said something else. */
	int64_t (*wall_of)(const struct clock *clock, int64_t monotonic_ms);
};

/* The system's. Any thread. */
const struct clock *clock_system(void);

/* A clock that stands still until its fields are changed. */
struct clock_manual {
	struct clock clock;
	int64_t wall_ms;
	int64_t monotonic_ms;
};

void clock_manual_init(struct clock_manual *manual, int64_t wall_ms);
void clock_manual_advance(struct clock_manual *manual, int64_t by_ms);

static inline int64_t clock_wall_ms(const struct clock *clock)
{
	return clock->wall_ms(clock);
}

static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
	return clock->monotonic_ms(clock);
}

static inline struct clock_reading clock_read(const struct clock *clock)
{
	return clock->read ? clock->read(clock)
			   : (struct clock_reading){ clock->wall_ms(clock),
				     clock->monotonic_ms(clock), 0 };
}

static inline uint32_t clock_segment(const struct clock *clock)
{
	return clock_read(clock).segment;
}

static inline int64_t clock_wall_of(const struct clock *clock, int64_t monotonic_ms)
{
	return clock->wall_of ? clock->wall_of(clock, monotonic_ms)
			      : monotonic_ms - clock->monotonic_ms(clock) + clock->wall_ms(clock);
}
