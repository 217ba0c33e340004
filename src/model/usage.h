/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The arithmetic of usage: the one definition, in pure integer functions (design, section 4).
 *
 * For one epoch with start (s, v0) and samples (t_i, v_i), C(t) is v0 before s, v_i at t_i, the
 * floor of the straight line between neighbours, and constant after the last sample. If the start
 * is unknown, the first sample is the start: a baseline, and nothing before it counts. A sample
 * lower than the one before it begins an implicit epoch whose start is that earlier sample's time,
 * with value 0.
 *
 *     usage of [a, b) = sum over all epochs of C(b) - C(a)
 *
 * It is never negative, adds up over adjacent windows, and does not depend on the order of arrival:
 * samples are handed over sorted by time, each time once (model/sample.h). */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "model/sample.h"

/* One epoch (one segment of it) of one counter. Samples are borrowed. */
struct usage_epoch {
	int64_t start_ms; /* EPOCH_START_UNKNOWN: the first sample is the start */
	int64_t start_value;
	const struct sample *samples;
	size_t count;
};

/* The sum of all increases from the start up to t, implicit epochs included: C(t) - v0, so that a
 * difference of two of them is usage. Saturates at INT64_MAX, which no counter of 64 bits in one
 * epoch can reach without falls. */
int64_t usage_until(const struct usage_epoch *epoch, int64_t t_ms);

/* usage_until for many times at once, ascending: one pass over the samples. ret_until[count]. */
void usage_until_each(
	const struct usage_epoch *epoch, const int64_t *times_ms, size_t count, int64_t *ret_until);

/* Usage of [from, to). */
int64_t usage_between(const struct usage_epoch *epoch, int64_t from_ms, int64_t to_ms);
