/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/latest.h"

#include <errno.h>
#include <stdlib.h>

/* Used again for each instance. */
struct finding {
	const struct store_recent *recent;
	struct store_series *series;
	struct sample *samples; /* recent->count for each series */
	size_t count, room;
	size_t left; /* of the maximum of samples */
};

static uint32_t wanted(const struct finding *finding, const struct track *track)
{
	if (!track->last_ms || track->last_ms < finding->recent->from_ms)
		return 0;
	return finding->recent->columns[track->group] & track->seen;
}

static int make_room(struct finding *finding, const struct resident *resident)
{
	size_t count = 0;

	for (size_t i = 0; i < resident->track_count; i++)
		count += (size_t)__builtin_popcount(wanted(finding, resident->tracks[i]));
	if (count <= finding->room)
		return 0;
	free(finding->series);
	free(finding->samples);
	finding->series = calloc(count, sizeof(*finding->series));
	finding->samples = calloc(count * finding->recent->count, sizeof(*finding->samples));
	finding->room = finding->series && finding->samples ? count : 0;
	return finding->room ? 0 : -ENOMEM;
}

/* The column's last samples, at the end of a place for recent->count of them. */
static size_t find_samples(const struct finding *finding, const struct track *track,
	unsigned int column, struct sample *samples)
{
	size_t count = 0;

	for (size_t i = track->count; i > 0 && count < finding->recent->count; i--) {
		const struct row *row = &track->rows[i - 1];

		if (row->time_ms < finding->recent->from_ms)
			break;
		if (row->present >> column & 1)
			samples[finding->recent->count - ++count] = (struct sample){ row->time_ms,
				track->values[(i - 1) * track->columns + column] };
	}
	return count;
}

static void add_track(struct finding *finding, const struct track *track)
{
	uint32_t columns = wanted(finding, track);

	for (unsigned int column = 0; column < track->columns; column++) {
		size_t room = finding->recent->count, count;
		struct sample *samples;

		if (!(columns >> column & 1))
			continue;
		samples = &finding->samples[finding->count * room];
		count = find_samples(finding, track, column, samples);
		if (count)
			finding->series[finding->count++] =
				(struct store_series){ metric_of_column(track->group, column),
					track->parameter, track->epoch, track->life, track->segment,
					track->start_ms, &samples[room - count], count };
	}
}

static int add_instance(struct finding *finding, const struct resident *resident)
{
	size_t count = 0;

	finding->count = 0;
	if (make_room(finding, resident) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < resident->track_count; i++)
		add_track(finding, resident->tracks[i]);
	for (size_t i = 0; i < finding->count; i++)
		count += finding->series[i].count;
	if (count > finding->left)
		return STORE_TOO_MUCH;
	finding->left -= count;
	return 0;
}

int latest_each(const struct tracks *tracks, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	struct finding finding = { .recent = recent, .left = recent->maximum };
	int r = 0;

	for (size_t i = 0; i < tracks->resident_count && r == 0; i++) {
		const struct resident *resident = tracks->residents[i];
		struct store_latest latest = { .instance = resident_listed(resident) };

		if (!resident->last_ms || resident->last_ms < recent->from_ms)
			continue;
		r = add_instance(&finding, resident);
		latest.series = finding.series;
		latest.count = finding.count;
		if (r == 0 && each(context, &latest) != 0)
			r = STORE_STOPPED;
	}
	free(finding.series);
	free(finding.samples);
	return r == STORE_TOO_MUCH ? error_set(err, r, "the answer needs more than %zu samples",
					     recent->maximum)
				   : r;
}
