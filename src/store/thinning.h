/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which samples of a series matter, if it is only asked what happened between some moments.
 *
 * That is the first and the last sample, those around each moment, and both sides of each fall of a
 * counter, or of each change of a state. All other samples lie on the way from one to the next, and
 * say nothing that these do not (docs/storage.md, "What a question reads"). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "model/sample.h"
#include "store/tracks.h"

/* Times that ascend. What is around a time t is the last sample at t or before, and the next one.
 */
struct moments {
	int64_t *times_ms; /* owned */
	size_t count, room;
};

void moments_deinit(struct moments *moments);
CLEANUP_DEFINE_VALUE(struct moments, moments_deinit)

/* Adds one, in any order. 0 or -ENOMEM. */
MUST_CHECK int moments_add(struct moments *moments, int64_t time_ms);

/* Adds those of a thing that was read first and last at these times: whatever else was read then is
 * compared with it. */
MUST_CHECK int moments_add_extent(struct moments *moments, int64_t first_ms, int64_t last_ms);

/* The same for each column of a track's rows. */
MUST_CHECK int moments_add_columns(struct moments *moments, const struct track *track);

/* After the last one was added: sorts them, each once. */
void moments_sort(struct moments *moments);

enum thinning {
	THINNING_NONE,    /* every sample matters */
	THINNING_FALLS,   /* of counters */
	THINNING_CHANGES, /* of states */
	THINNING_ENDS,    /* only the first and last one, and those around moments */
};

/* Leaves out of ascending samples what does not matter; returns how many are left. */
size_t thinning_samples(struct sample *samples, size_t count, const struct moments *moments,
	enum thinning thinning);

/* Sets keeps[i] where row i (ascending) matters by any of its columns. 0 or -ENOMEM. */
MUST_CHECK int thinning_rows(const struct track *track, const struct moments *moments, bool *keeps);

/* How a column's samples may be thinned where only what happened between moments is asked for. */
enum thinning thinning_of(enum metric_group group, unsigned int column);
