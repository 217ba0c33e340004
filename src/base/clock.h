/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where time comes from. Nobody else asks the system what time it is: whoever needs it is given a
 * `struct clock`, so that tests move it by hand. */

#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(const struct clock *clock); /* UTC milliseconds since 1970 */
	int64_t (*monotonic_ms)(
		const struct clock *clock); /* CLOCK_BOOTTIME, counts in suspend too */
	/* NULL, or how often wall_ms has stepped back: within one segment it never does. */
	uint32_t (*segment)(const struct clock *clock);
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

static inline uint32_t clock_segment(const struct clock *clock)
{
	return clock->segment ? clock->segment(clock) : 0;
}
