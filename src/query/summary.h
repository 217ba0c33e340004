/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How much of one metric was used from when to when, and how well that is known. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "query/gather.h"

/* Why an answer is not complete, or its uncertainty unknown. */
enum summary_reason {
	REASON_TAIL_UNMEASURED = 1 << 0,  /* the window ends after the last sample of an epoch */
	REASON_BEGIN_UNMEASURED = 1 << 1, /* the window begins before the first sample */
	REASON_GAP = 1 << 2,              /* between two epochs nothing was read */
	REASON_LEGACY = 1 << 3,           /* old workers do not number what they send */
};
enum { SUMMARY_REASONS = 4 };
const char *summary_reason_name(unsigned int bit);

struct summary {
	int64_t value; /* counters: the usage of [from, to); gauges: the last sample */
	int64_t min, max, sum;
	size_t count; /* gauges: samples in the window */
	bool has_uncertainty;
	int64_t uncertainty;
	int64_t covered_ms; /* of the window */
	bool is_complete;
	unsigned int reasons;
};

/* Of series[count], which are one metric of one thing (or of several, to be added up). */
struct summary summary_make(
	const struct gathered *series, size_t count, int64_t from_ms, int64_t to_ms);
