/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The specification's statistics over buckets of a period (design, section 4).
 *
 * Counters: sum is the usage of the bucket; max, min and avg are over the increments whose later
 * sample lies in the bucket; of several series (total of devices, epochs one after the other) they
 * are increments of the summed counter at the union of the sample times. Gauges: over the samples
 * in the bucket. A bucket is [start, start + period). Sums that do not fit saturate. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "query/gather.h"

enum statistic {
	STATISTIC_SUM,
	STATISTIC_MAX,
	STATISTIC_MIN,
	STATISTIC_AVG,
	STATISTIC_SAM,
	_STATISTIC_COUNT,
};

enum { REPORT_BUCKETS_MAX = 1000 * 1000 };

/* Its name; and the statistic of a name or number, -1 if there is none. */
const char *statistic_name(enum statistic statistic);
int statistic_parse(const char *text);

struct bucket {
	bool is_present; /* an epoch covers some of it; of a gauge: it has a sample */
	bool has_points; /* max, min and the points are set */
	int64_t start_ms;
	int64_t sum; /* counters: the usage; gauges: of the samples */
	int64_t max, min;
	int64_t points_sum; /* of the increments or samples: avg is points_sum / point_count */
	size_t point_count;
	size_t first_point; /* report.values from here, value_count of them, are its samples */
	size_t value_count;
};

struct report {
	struct bucket *buckets;
	size_t count;
	struct sample *values; /* for sam: the counter or gauge itself, at the points' times */
};

/* A window [from, to) of gathered series, which are of one metric (and increments of it). 0;
 * -E2BIG with a text if it has too many buckets; -ENOMEM. Free it with report_deinit. */
MUST_CHECK int report_make(const struct gather *gather, int64_t from_ms, int64_t to_ms,
	int64_t period_ms, struct report *ret_report, struct error *err);
void report_deinit(struct report *report);
CLEANUP_DEFINE_VALUE(struct report, report_deinit)

/* Increase of all series together up to each time (ascending). ret_until[count] are added to. */
void report_add_until(
	const struct gathered *series, const int64_t *times_ms, size_t count, int64_t *ret_until);
