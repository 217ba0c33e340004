/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/thinning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

void moments_deinit(struct moments *moments)
{
	free(moments->times_ms);
	*moments = (struct moments){ NULL, 0, 0 };
}

int moments_add(struct moments *moments, int64_t time_ms)
{
	if (moments->count == moments->room) {
		size_t room = 2 * moments->room + 16;
		int64_t *more = reallocarray(moments->times_ms, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		moments->times_ms = more;
		moments->room = room;
	}
	moments->times_ms[moments->count++] = time_ms;
	return 0;
}

/* What is around a first sample is around the moment before it. */
int moments_add_extent(struct moments *moments, int64_t first_ms, int64_t last_ms)
{
	int r = moments_add(moments, first_ms - 1);

	return r == 0 ? moments_add(moments, last_ms) : r;
}

int moments_add_columns(struct moments *moments, const struct track *track)
{
	int r = 0;

	for (unsigned int column = 0; column < track->columns && r == 0; column++) {
		int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;

		for (size_t i = 0; i < track->count; i++) {
			if (!(track->rows[i].present >> column & 1))
				continue;
			first_ms = MIN_OF(first_ms, track->rows[i].time_ms);
			last_ms = track->rows[i].time_ms;
		}
		if (last_ms != INT64_MIN)
			r = moments_add_extent(moments, first_ms, last_ms);
	}
	return r;
}

void moments_sort(struct moments *moments)
{
	size_t kept = 0;

	if (moments->count > 1)
		qsort(moments->times_ms, moments->count, sizeof(*moments->times_ms), compare_i64);
	for (size_t i = 0; i < moments->count; i++)
		if (!kept || moments->times_ms[i] != moments->times_ms[kept - 1])
			moments->times_ms[kept++] = moments->times_ms[i];
	moments->count = kept;
}

/* Does a moment lie in [from, to)? Moments before `from` are passed for good. */
static bool has_moment(const struct moments *moments, size_t *place, int64_t from_ms, int64_t to_ms)
{
	while (*place < moments->count && moments->times_ms[*place] < from_ms)
		++*place;
	return *place < moments->count && moments->times_ms[*place] < to_ms;
}

static bool is_event(struct sample before, struct sample after, enum thinning thinning)
{
	return thinning == THINNING_NONE ||
	       (thinning == THINNING_FALLS && after.value < before.value) ||
	       (thinning == THINNING_CHANGES && after.value != before.value);
}

/* Calls for the place of each sample that matters. The first one does, and the last. */
static void each_that_matters(const struct sample *samples, size_t count,
	const struct moments *moments, enum thinning thinning,
	void (*each)(void *context, size_t place), void *context)
{
	size_t place = 0;
	bool is_after = true; /* something happened between it and the one before */

	for (size_t i = 0; i < count; i++) {
		bool is_before =
			i + 1 == count || is_event(samples[i], samples[i + 1], thinning) ||
			has_moment(moments, &place, samples[i].time_ms, samples[i + 1].time_ms);

		if (is_after || is_before)
			each(context, i);
		is_after = is_before;
	}
}

struct keeping {
	struct sample *samples;
	size_t kept;
};

/* What is written is at or before what is still to be looked at: but for the sample at the place
 * itself, which is_event has seen by then. */
static void keep_sample(void *context, size_t place)
{
	struct keeping *keeping = context;

	keeping->samples[keeping->kept++] = keeping->samples[place];
}

size_t thinning_samples(
	struct sample *samples, size_t count, const struct moments *moments, enum thinning thinning)
{
	struct keeping keeping = { samples, 0 };

	if (thinning == THINNING_NONE)
		return count;
	each_that_matters(samples, count, moments, thinning, keep_sample, &keeping);
	return keeping.kept;
}

enum thinning thinning_of(enum metric_group group, unsigned int column)
{
	const struct metric *metric = metric_of_column(group, column);

	if (metric && metric->kind == METRIC_COUNTER)
		return THINNING_FALLS;
	return group == METRIC_GROUP_STATE ? THINNING_CHANGES : THINNING_NONE;
}

/* The samples of one column, and which rows they are of. */
struct column {
	struct sample *samples;
	size_t *rows;
	size_t count;
	bool *keeps;
};

static void keep_row(void *context, size_t place)
{
	const struct column *column = context;

	column->keeps[column->rows[place]] = true;
}

int thinning_rows(const struct track *track, const struct moments *moments, bool *keeps)
{
	struct column column = { calloc(track->count + 1, sizeof(*column.samples)),
		calloc(track->count + 1, sizeof(*column.rows)), 0, keeps };
	int r = column.samples && column.rows ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < track->columns && r == 0; i++) {
		enum thinning thinning = thinning_of(track->group, i);

		column.count = 0;
		for (size_t row = 0; row < track->count; row++) {
			if (!(track->rows[row].present >> i & 1))
				continue;
			column.samples[column.count] = (struct sample){ track->rows[row].time_ms,
				track->values[row * track->columns + i] };
			column.rows[column.count++] = row;
		}
		each_that_matters(column.samples, column.count, moments,
			thinning == THINNING_NONE ? THINNING_ENDS : thinning, keep_row, &column);
	}
	free(column.samples);
	free(column.rows);
	return r;
}
