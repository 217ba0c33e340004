/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(const struct clock *clock)
{
	return read_ms(CLOCK_REALTIME);
}

static int64_t system_monotonic_ms(const struct clock *clock)
{
	return read_ms(CLOCK_BOOTTIME);
}

const struct clock *clock_system(void)
{
	static const struct clock clock = { .wall_ms = system_wall_ms,
		.monotonic_ms = system_monotonic_ms };

	return &clock;
}

static int64_t manual_wall_ms(const struct clock *clock)
{
	return ((const struct clock_manual *)clock)->wall_ms;
}

static int64_t manual_monotonic_ms(const struct clock *clock)
{
	return ((const struct clock_manual *)clock)->monotonic_ms;
}

void clock_manual_init(struct clock_manual *manual, int64_t wall_ms)
{
	manual->clock =
		(struct clock){ .wall_ms = manual_wall_ms, .monotonic_ms = manual_monotonic_ms };
	manual->wall_ms = wall_ms;
	manual->monotonic_ms = 0;
}

void clock_manual_advance(struct clock_manual *manual, int64_t by_ms)
{
	manual->wall_ms += by_ms;
	manual->monotonic_ms += by_ms;
}
