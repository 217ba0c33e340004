/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The metrics of time: how long an instance was in a state, and how much of its flavor that was
 * (docs/usage.md, "Time"). */

#include <stdint.h>

#include "base/macros.h"
#include "model/metric.h"
#include "query/identity.h"
#include "query/timeline.h"

enum { STATE_NAMES = 8 };

/* "running"; NULL for what is no state. */
const char *state_name(int64_t state);

struct duration {
	int64_t value;       /* in the metric's unit; saturates */
	int64_t uncertainty; /* changes of state lie somewhere between two samples */
};

struct duration_question {
	const struct timeline *timeline;
	const struct identity *identity; /* whose infos are the flavor's numbers */
	const struct metric *metric;
	const char *parameter;      /* a state's name, or "total" */
	const char *host;           /* only there; NULL: everywhere */
	int64_t from_ms, to_ms;     /* within the timeline's window */
	const struct span *unknown; /* what nothing grows in: apart and sorted */
	size_t unknown_count;
};

/* 0 or -ENOMEM. */
MUST_CHECK int durations_between(
	const struct duration_question *question, struct duration *ret_duration);
