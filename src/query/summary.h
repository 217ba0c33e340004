/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How much of one metric was used from when to when, and how well that is known. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "query/account.h"
#include "query/gather.h"

struct summary {
	int64_t value; /* counters: the usage of [from, to); gauges: the last sample */
	int64_t min, max, sum;
	size_t count; /* gauges: samples in the window */
	bool has_uncertainty;
	int64_t uncertainty;
	struct account account; /* counters */
};

struct summary_question {
	const struct timeline *timeline;
	const struct identity *identity;
	int64_t from_ms, to_ms; /* within the timeline's window */
	const struct metric *metric;
	const struct gathered *series; /* all of the metric, of every parameter */
	size_t count;
	/* One thing; or NULL: the sum of all, or of those that is_wanted says. */
	const char *parameter;
	bool (*is_wanted)(
		const struct identity *identity, const char *parameter, const char *whole);
	const char *whole; /* what the sum is called: "total", or a NIC for its addresses */
	const char *host;  /* only what ran there; NULL: everywhere */
};

/* 0 or -ENOMEM. Free it in every case. */
MUST_CHECK int summary_make(const struct summary_question *question, struct summary *ret_summary);

void summary_deinit(struct summary *summary);
CLEANUP_DEFINE_VALUE(struct summary, summary_deinit)

/* Adds a counter's summary of another window, apart from this one. */
void summary_append(struct summary *to, const struct summary *next);

/* Adds a gauge's summary of a later window. */
void summary_append_gauge(struct summary *to, const struct summary *next);

/* Does the question ask for this parameter? */
bool summary_wants(const struct summary_question *question, const char *parameter);
