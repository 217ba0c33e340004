/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One value at one time: UTC milliseconds and the counter or gauge as it was read, in the metric's
 * base unit. No floats, no rates. */

#include <stddef.h>
#include <stdint.h>

struct sample {
	int64_t time_ms;
	int64_t value;
};

/* Sorts by time and leaves each time once; of different values at one time the larger stays.
 * Returns how many samples are left; *ret_conflicts (may be NULL) is how many values lost to a
 * larger one. */
size_t sample_sort(struct sample *samples, size_t count, size_t *ret_conflicts);
