/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* When rows of a day were read that matter to a question without an edge in it
 * (store/thinning.h). */

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

static int find_moments(const struct resident *resident, int64_t from_ms, struct moments *moments)
{
	int r = moments_add(moments, from_ms);

	for (size_t i = 0; i < resident->track_count && r == 0; i++)
		r = moments_add_columns(moments, resident->tracks[i]);
	moments_sort(moments);
	return r;
}

static int add_times(
	const struct track *track, const struct moments *moments, struct moments *times)
{
	bool *keeps = calloc(track->count + 1, sizeof(*keeps));
	int r = keeps ? thinning_rows(track, moments, keeps) : -ENOMEM;

	for (size_t i = 0; i < track->count && r == 0; i++)
		if (keeps[i])
			r = moments_add(times, track->rows[i].time_ms);
	free(keeps);
	return r;
}

int thinning_times(const struct resident *resident, int64_t from_ms, struct moments *times)
{
	CLEANUP(moments_deinit) struct moments moments = { NULL, 0, 0 };
	int r = find_moments(resident, from_ms, &moments);

	for (size_t i = 0; i < resident->track_count && r == 0; i++)
		r = add_times(resident->tracks[i], &moments, times);
	moments_sort(times);
	return r;
}
