/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Which rows of a day still matter when only what happened between moments is asked for, and none
 * of the moments lies within the day: of each column the first and the last one; those around the
 * day's begin and around the ends of every track of the instance, for what one track says of
 * another; both sides of each fall of a counter, and of each change of a state. */

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

struct times {
	int64_t *ms;
	size_t count, room;
};

static int add_time(struct times *times, int64_t time_ms)
{
	if (times->count == times->room) {
		size_t room = times->room ? 2 * times->room : 256;
		int64_t *larger = reallocarray(times->ms, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		times->ms = larger;
		times->room = room;
	}
	times->ms[times->count++] = time_ms;
	return 0;
}

static void sort_once(struct times *times)
{
	size_t kept = 0;

	if (times->count)
		qsort(times->ms, times->count, sizeof(*times->ms), compare_i64);
	for (size_t i = 0; i < times->count; i++)
		if (kept == 0 || times->ms[kept - 1] != times->ms[i])
			times->ms[kept++] = times->ms[i];
	times->count = kept;
}

/* What is around a time: the last sample at it or before, and the next one. */
static int find_moments(const struct tracks *tracks, int64_t from_ms, struct times *moments)
{
	int r = add_time(moments, from_ms);

	for (size_t i = 0; i < tracks->resident_count; i++)
		for (size_t j = 0; j < tracks->residents[i]->track_count && r == 0; j++) {
			const struct track *track = tracks->residents[i]->tracks[j];

			if (track->count == 0)
				continue;
			r = add_time(moments, track->rows[0].time_ms - 1);
			if (r == 0)
				r = add_time(moments, track->rows[track->count - 1].time_ms);
		}
	sort_once(moments);
	return r;
}

/* Is something between two neighbours? */
static bool is_eventful(const struct track *track, unsigned int column, int64_t value, int64_t next)
{
	const struct metric *metric = metric_of_column(track->group, column);

	if (metric && metric->kind == METRIC_COUNTER)
		return next < value;
	return track->group == METRIC_GROUP_STATE && next != value;
}

/* Does a moment lie in [from, to)? Those before are passed for good. */
static bool has_moment(const struct times *moments, size_t *place, int64_t from_ms, int64_t to_ms)
{
	while (*place < moments->count && moments->ms[*place] < from_ms)
		++*place;
	return *place < moments->count && moments->ms[*place] < to_ms;
}

static int keep_of_column(const struct track *track, unsigned int column,
	const struct times *moments, struct times *kept)
{
	size_t last = SIZE_MAX, place = 0;
	int r = 0;

	for (size_t i = 0; i < track->count && r == 0; i++) {
		int64_t value = track->values[i * track->columns + column], before;
		int64_t time_ms = track->rows[i].time_ms;

		if (!(track->rows[i].present >> column & 1))
			continue;
		if (last == SIZE_MAX) {
			r = add_time(kept, time_ms);
		} else {
			before = track->values[last * track->columns + column];
			if (is_eventful(track, column, before, value) ||
				has_moment(moments, &place, track->rows[last].time_ms, time_ms)) {
				r = add_time(kept, track->rows[last].time_ms);
				if (r == 0)
					r = add_time(kept, time_ms);
			}
		}
		last = i;
	}
	return r == 0 && last != SIZE_MAX ? add_time(kept, track->rows[last].time_ms) : r;
}

int thinning_times(
	const struct tracks *tracks, int64_t from_ms, int64_t **ret_times_ms, size_t *ret_count)
{
	struct times moments = { 0 }, kept = { 0 };
	int r = find_moments(tracks, from_ms, &moments);

	for (size_t i = 0; i < tracks->resident_count; i++)
		for (size_t j = 0; j < tracks->residents[i]->track_count; j++) {
			const struct track *track = tracks->residents[i]->tracks[j];

			for (unsigned int k = 0; k < track->columns && r == 0; k++)
				r = keep_of_column(track, k, &moments, &kept);
		}
	free(moments.ms);
	if (r < 0) {
		free(kept.ms);
		return r;
	}
	sort_once(&kept);
	*ret_times_ms = kept.ms;
	*ret_count = kept.count;
	return 0;
}
