/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/histogram.h"

#include <stddef.h>
#include <time.h>

const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = { 500, 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 20000000, 30000000 };

void histogram_add(struct histogram *histogram, uint64_t us)
{
	size_t bucket = 0;

	while (bucket < HISTOGRAM_BOUNDS && us > histogram_bounds_us[bucket])
		bucket++;
	atomic_fetch_add_explicit(&histogram->sum_us, us, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->counts[bucket], 1, memory_order_relaxed);
}

uint64_t stopwatch_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
