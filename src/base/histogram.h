/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How long something took, as counts in fixed buckets from half a millisecond to 30 seconds.
 * Zeroed is empty. Any thread. */

#include <stdatomic.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 16 };

/* The upper bounds of the buckets, each inclusive, ascending. What is above them all is counted in
 * one more. */
extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* of each bucket alone */
	_Atomic uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, uint64_t us);

/* Microseconds of a clock that nobody sets: the difference of two is how long it took. */
uint64_t stopwatch_us(void);
