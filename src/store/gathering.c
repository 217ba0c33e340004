/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/gathering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t columns_of(const struct store_scan *scan, const struct track *track)
{
	return scan->columns[track->group];
}

static bool is_asked_for(const struct track *track, const struct store_scan *scan)
{
	return columns_of(scan, track) && track->last_ms &&
	       (!scan->parameter || strcmp(scan->parameter, track->parameter) == 0);
}

static int compare_gathered(const void *a, const void *b)
{
	const struct track *one = ((const struct gathered *)a)->track;
	const struct track *other = ((const struct gathered *)b)->track;
	int order = (one->group > other->group) - (one->group < other->group);

	if (order == 0)
		order = strcmp(one->parameter, other->parameter);
	if (order == 0)
		order = strcmp(one->epoch, other->epoch);
	if (order == 0)
		order = strcmp(one->life, other->life);
	if (order == 0)
		order = (one->segment > other->segment) - (one->segment < other->segment);
	return order;
}

static void start_gathering(
	struct gathered *gathered, const struct track *track, const struct store_scan *scan)
{
	*gathered = (struct gathered){ .track = track,
		.first_ms = track->first_ms,
		.last_ms = track->last_ms,
		.wanted = track->seen & (uint16_t)columns_of(scan, track) };
	for (size_t i = 0; i < METRIC_COLUMNS_MAX; i++) {
		gathered->before_ms[i] = INT64_MIN;
		gathered->after_ms[i] = INT64_MAX;
	}
}

static int add_resting(struct gathering *gathering, struct gathered *gathered)
{
	const struct track *track = gathered->track;
	int r = 0;

	for (size_t i = 0; i < track->count && r == 0; i++)
		r = gathering_add(gathering, gathered, track->rows[i].time_ms,
			track->rows[i].present, &track->values[i * track->columns]);
	return r;
}

/* What matters of one track also depends on when others were read first and last. */
static int look_at_track(struct gathering *gathering, const struct track *track)
{
	if (track->count)
		gathering->resting[gathering->resting_count++] =
			(struct resting){ track->rows[0].time_ms,
				track->rows[track->count - 1].time_ms };
	return gathering->scan->edges_ms && track->last_ms
		       ? moments_add_extent(&gathering->moments, track->first_ms, track->last_ms)
		       : 0;
}

int gathering_init(
	struct gathering *gathering, const struct tracks *tracks, const struct store_scan *scan)
{
	const struct resident *resident = tracks_find_resident(tracks, &scan->instance);
	int r = 0;

	*gathering = (struct gathering){ .scan = scan, .instance = resident };
	if (!resident)
		return 0;
	gathering->all = calloc(resident->track_count + 1, sizeof(*gathering->all));
	gathering->resting = calloc(resident->track_count + 1, sizeof(*gathering->resting));
	if (!gathering->all || !gathering->resting)
		return -ENOMEM;
	for (size_t i = 0; i < resident->track_count && r == 0; i++) {
		const struct track *track = resident->tracks[i];

		if (is_asked_for(track, scan))
			start_gathering(&gathering->all[gathering->count++], track, scan);
		r = look_at_track(gathering, track);
	}
	for (size_t i = 0; i < scan->edge_count && scan->edges_ms && r == 0; i++)
		r = moments_add(&gathering->moments, scan->edges_ms[i]);
	if (gathering->count > 1)
		qsort(gathering->all, gathering->count, sizeof(*gathering->all), compare_gathered);
	for (size_t i = 0; i < gathering->count && r == 0; i++)
		r = add_resting(gathering, &gathering->all[i]);
	return r;
}

void gathering_deinit(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->count; i++) {
		free(gathering->all[i].rows);
		free(gathering->all[i].values);
	}
	free(gathering->all);
	free(gathering->resting);
	moments_deinit(&gathering->moments);
	*gathering = (struct gathering){ 0 };
}

int gathering_add(struct gathering *gathering, struct gathered *gathered, int64_t time_ms,
	uint16_t present, const int64_t *values)
{
	const struct store_scan *scan = gathering->scan;
	unsigned int columns = gathered->track->columns;
	uint32_t wanted = present & columns_of(scan, gathered->track);
	int r;

	if (!wanted)
		return 0;
	r = rows_make_room(
		&gathered->rows, &gathered->values, gathered->count, &gathered->room, columns);
	if (r < 0)
		return r;
	gathered->rows[gathered->count] = (struct row){ time_ms, 0, present, false };
	memcpy(&gathered->values[gathered->count * columns], values, columns * sizeof(*values));
	gathered->count++;
	if (time_ms >= scan->from_ms && time_ms <= scan->to_ms) {
		gathering->samples += (unsigned int)__builtin_popcount(wanted);
		return gathering->samples > scan->maximum ? STORE_TOO_MUCH : 0;
	}
	for (unsigned int i = 0; i < columns; i++) {
		if (present & 1u << i && time_ms < scan->from_ms)
			gathered->before_ms[i] = MAX_OF(gathered->before_ms[i], time_ms);
		if (present & 1u << i && time_ms > scan->to_ms)
			gathered->after_ms[i] = MIN_OF(gathered->after_ms[i], time_ms);
	}
	return 0;
}

struct gathered *gathering_of(struct gathering *gathering, uint64_t track_id)
{
	for (size_t i = 0; i < gathering->count; i++)
		if (gathering->all[i].track->id == track_id)
			return &gathering->all[i];
	return NULL;
}

static enum thinning thinning_for(
	const struct store_scan *scan, enum metric_group group, unsigned int column)
{
	enum thinning thinning = scan->edges_ms ? thinning_of(group, column) : THINNING_NONE;

	return thinning == THINNING_CHANGES && !scan->thins_states ? THINNING_NONE : thinning;
}

/* A column without a metric is in no answer. */
bool gathering_thins_all(const struct gathering *gathering, const struct store_scan *scan)
{
	for (size_t i = 0; i < gathering->count; i++) {
		const struct gathered *gathered = &gathering->all[i];
		enum metric_group group = gathered->track->group;

		for (unsigned int k = 0; k < gathered->track->columns; k++)
			if (gathered->wanted >> k & 1 && metric_of_column(group, k) &&
				thinning_for(scan, group, k) == THINNING_NONE)
				return false;
	}
	return true;
}

static bool is_within(int64_t time_ms, int64_t from_ms, int64_t to_ms)
{
	return time_ms > from_ms && time_ms < to_ms;
}

bool gathering_takes_thinned(const struct gathering *gathering, int64_t from_ms, int64_t to_ms)
{
	const struct store_scan *scan = gathering->scan;

	/* Of what is outside of the window, only its first or last rows are wanted. */
	if (to_ms <= scan->from_ms || from_ms >= scan->to_ms)
		return true;
	if (!scan->edges_ms || is_within(scan->from_ms, from_ms, to_ms) ||
		is_within(scan->to_ms, from_ms, to_ms))
		return false;
	for (size_t i = 0; i < scan->edge_count; i++)
		if (is_within(scan->edges_ms[i], from_ms, to_ms))
			return false;
	for (size_t i = 0; i < gathering->resting_count; i++)
		if (gathering->resting[i].to_ms >= from_ms && gathering->resting[i].from_ms < to_ms)
			return false;
	return gathering_thins_all(gathering, scan);
}

/* Cuts to the window and one neighbour on each side. */
static size_t cut(const struct sample *samples, size_t count, const struct store_scan *scan,
	size_t *ret_first)
{
	size_t first = 0, end = count;

	while (first + 1 < count && samples[first + 1].time_ms < scan->from_ms)
		first++;
	while (end > first + 1 && samples[end - 2].time_ms > scan->to_ms)
		end--;
	*ret_first = first;
	return end - first;
}

/* The first and last of the rows that a track has columns of the scan in, which may be other ones
 * than the first and last of all its rows. */
static int add_moments(struct gathering *gathering)
{
	int r = 0;

	for (size_t i = 0; i < gathering->count && gathering->scan->edges_ms && r == 0; i++) {
		const struct gathered *gathered = &gathering->all[i];
		int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;

		for (size_t j = 0; j < gathered->count; j++) {
			first_ms = MIN_OF(first_ms, gathered->rows[j].time_ms);
			last_ms = MAX_OF(last_ms, gathered->rows[j].time_ms);
		}
		if (gathered->count)
			r = moments_add_extent(&gathering->moments, first_ms, last_ms);
	}
	moments_sort(&gathering->moments);
	return r;
}

static int finish_column(struct gathered *gathered, unsigned int column, struct sample *samples,
	const struct gathering *gathering, store_series_fn each, void *context)
{
	const struct store_scan *scan = gathering->scan;
	const struct track *track = gathered->track;
	struct store_series series = { metric_of_column(track->group, column), track->parameter,
		track->epoch, track->life, track->segment, track->start_ms, NULL, 0 };
	size_t count = 0, first;

	for (size_t i = 0; i < gathered->count; i++)
		if (gathered->rows[i].present >> column & 1)
			samples[count++] = (struct sample){ gathered->rows[i].time_ms,
				gathered->values[i * track->columns + column] };
	count = sample_sort(samples, count, NULL);
	if (!series.metric || count == 0)
		return 0;
	series.count = cut(samples, count, scan, &first);
	series.count = thinning_samples(&samples[first], series.count, &gathering->moments,
		thinning_for(scan, track->group, column));
	series.samples = &samples[first];
	return each(context, &series) == 0 ? 0 : STORE_STOPPED;
}

int gathering_finish(struct gathering *gathering, store_series_fn each, void *context)
{
	int r = add_moments(gathering);

	for (size_t i = 0; i < gathering->count && r == 0; i++) {
		struct gathered *gathered = &gathering->all[i];
		struct sample *samples = calloc(gathered->count + 1, sizeof(*samples));

		if (!samples)
			r = -ENOMEM;
		for (unsigned int column = 0; column < gathered->track->columns && r == 0; column++)
			if (gathered->wanted >> column & 1)
				r = finish_column(
					gathered, column, samples, gathering, each, context);
		free(samples);
	}
	return r;
}
