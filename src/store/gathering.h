/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How backends answer a scan: the rows of its tracks, from memory and from elsewhere, made into
 * series in the end. Of what is elsewhere they may give, for a stretch of time, thinned rows
 * instead (store/thinning.h), where the scan does not need the others. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"
#include "store/thinning.h"
#include "store/tracks.h"

struct gathered {
	const struct track
		*track; /* only what never changes may be read without the store's lock */
	int64_t first_ms, last_ms; /* its extent when the question began */
	uint16_t wanted;           /* columns of the scan that it ever had */
	/* Of each column: its nearest row found before and after the window; INT64_MIN and _MAX. */
	int64_t before_ms[METRIC_COLUMNS_MAX], after_ms[METRIC_COLUMNS_MAX];
	struct row *rows;
	int64_t *values;
	size_t count, room;
};

/* The rows that a track of the instance has in memory, from the first to the last. */
struct resting {
	int64_t from_ms, to_ms;
};

struct gathering {
	const struct store_scan *scan;
	const struct resident *instance; /* NULL: there is none, and nothing to gather */
	struct gathered *all;
	size_t count;
	size_t samples;         /* inside of the window, as they came */
	struct moments moments; /* of all tracks of the instance, with the scan's edges */
	struct resting *resting;
	size_t resting_count;
};

/* The tracks that the scan asks for; with those of their rows that are in memory. The caller holds
 * the lock of the tracks. The scan is kept. Deinit it in every case. */
MUST_CHECK int gathering_init(
	struct gathering *gathering, const struct tracks *tracks, const struct store_scan *scan);
void gathering_deinit(struct gathering *gathering);
CLEANUP_DEFINE_VALUE(struct gathering, gathering_deinit)

/* Returns 0, STORE_TOO_MUCH or -ENOMEM. */
MUST_CHECK int gathering_add(struct gathering *gathering, struct gathered *gathered,
	int64_t time_ms, uint16_t present, const int64_t *values);

/* NULL: the scan does not ask for that track. */
struct gathered *gathering_of(struct gathering *gathering, uint64_t track_id);

/* Do thinned rows have all that the scan asks of the instance's tracks, apart from its edges? The
 * scan may be another one than that of the gathering. */
bool gathering_thins_all(const struct gathering *gathering, const struct store_scan *scan);

/* May rows that were thinned stand for all rows of [from, to)? They must have been thinned around
 * from_ms and the extents of all tracks of the instance in that stretch. */
bool gathering_takes_thinned(const struct gathering *gathering, int64_t from_ms, int64_t to_ms);

/* Calls `each` for every series, in the order that store.h promises. */
MUST_CHECK int gathering_finish(struct gathering *gathering, store_series_fn each, void *context);
