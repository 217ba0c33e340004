/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What questions read of the days' files: of a whole month, or a whole day, without an edge in it
 * the thinned rows, else the chunks. Day by day, so that a question about many instances opens each
 * file once. */

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "store/sqlite/private.h"

/* All questions that are answered together. */
struct sweep {
	struct sqlite_store *store;
	struct gathering *gatherings;
	size_t count;
	const int64_t *days; /* that have a file */
	size_t day_count;
	bool *is_read; /* of each gathering each day: with its month */
};

struct reading_part {
	struct gathering *gathering;
	struct gathered *gathered;
};

static int gather_row(void *context, int64_t time_ms, uint16_t present, const int64_t *values)
{
	struct reading_part *reading = context;

	return gathering_add(reading->gathering, reading->gathered, time_ms, present, values);
}

static int gather_part(void *context, uint64_t track_id, struct cursor *rows)
{
	struct reading_part *reading = context;

	reading->gathered = gathering_of(reading->gathering, track_id);
	return reading->gathered
		       ? rows_read(rows, reading->gathered->track->columns, gather_row, reading)
		       : 0;
}

/* *ret_count: how many blobs there were. */
static int gather_blobs(struct gathering *gathering, struct sqlite_day *day,
	enum day_statement statement, struct sweep *sweep, size_t *ret_count, struct error *err)
{
	struct reading_part reading = { .gathering = gathering };

	return day_read_parts(sweep->store, day, statement, gathering->instance->id, gather_part,
		&reading, ret_count, err);
}

static int gather_instance(
	struct gathering *gathering, struct sqlite_day *day, struct sweep *sweep, struct error *err)
{
	size_t count = 0;
	int r = 0;

	if (day->has_thinned &&
		gathering_takes_thinned(gathering, day->day * DAY_MS, (day->day + 1) * DAY_MS))
		r = gather_blobs(gathering, day, DAY_READ_THINNED, sweep, &count, err);
	return r == 0 && count == 0
		       ? gather_blobs(gathering, day, DAY_READ_CHUNKS, sweep, &count, err)
		       : r;
}

/* Could a day have a row that is nearer before (or after) the window than what was found, for any
 * of the columns? What is in memory may be farther away than what a day's file has, and nearer. */
static bool wants_before(
	const struct gathering *gathering, const struct gathered *gathered, int64_t day)
{
	bool wants = false;

	for (unsigned int i = 0; i < gathered->track->columns; i++)
		wants |= gathered->wanted & 1u << i &&
			 gathered->before_ms[i] < (day + 1) * DAY_MS - 1;
	return wants && gathered->first_ms < gathering->scan->from_ms;
}

static bool wants_after(
	const struct gathering *gathering, const struct gathered *gathered, int64_t day)
{
	bool wants = false;

	for (unsigned int i = 0; i < gathered->track->columns; i++)
		wants |= gathered->wanted & 1u << i && gathered->after_ms[i] > day * DAY_MS;
	return wants && gathered->last_ms > gathering->scan->to_ms;
}

/* Could a day's file hold what one of the tracks still wants? */
static bool is_wanted(const struct gathering *gathering, int64_t day,
	bool (*wants)(const struct gathering *, const struct gathered *, int64_t))
{
	for (size_t i = 0; i < gathering->count; i++) {
		const struct gathered *gathered = &gathering->all[i];

		if (floor_divide(gathered->first_ms, DAY_MS) <= day &&
			floor_divide(gathered->last_ms, DAY_MS) >= day &&
			wants(gathering, gathered, day))
			return true;
	}
	return false;
}

static bool is_inside(
	const struct gathering *gathering, const struct gathered *gathered, int64_t day)
{
	return true;
}

typedef bool wants_fn(const struct gathering *, const struct gathered *, int64_t day);

static int gather_day(struct sweep *sweep, size_t place, wants_fn *wants, struct error *err)
{
	int64_t number = sweep->days[place];
	struct sqlite_day *day = NULL;
	int r = 0;

	for (size_t i = 0; i < sweep->count && r == 0; i++) {
		struct gathering *gathering = &sweep->gatherings[i];

		if (sweep->is_read[i * sweep->day_count + place] ||
			!is_wanted(gathering, number, wants))
			continue;
		if (!day) {
			r = day_open_to_read(sweep->store, number, &day, err);
			if (r == 0 && !day)
				return 0;
		}
		if (r == 0)
			r = gather_instance(gathering, day, sweep, err);
	}
	return r == -EBADMSG ? day_note_damage(sweep->store, number, err) : r;
}

static void mark_read(struct sweep *sweep, size_t instance, const struct sqlite_month *month)
{
	for (size_t i = 0; i < sweep->day_count; i++)
		if (sweep->days[i] >= month->first_day && sweep->days[i] < month->end_day)
			sweep->is_read[instance * sweep->day_count + i] = true;
}

/* All have the same window. */
static bool is_in_window(const struct sweep *sweep, const struct sqlite_month *month)
{
	const struct store_scan *scan = sweep->gatherings[0].scan;

	return month->is_packed && month->first_day * DAY_MS >= scan->from_ms &&
	       month->end_day * DAY_MS <= scan->to_ms;
}

static int gather_month(struct sweep *sweep, const struct sqlite_month *month, struct error *err)
{
	struct sqlite_day *day;
	int r = day_open_to_read(sweep->store, month->first_day, &day, err);

	for (size_t i = 0; r == 0 && day && i < sweep->count; i++) {
		struct gathering *gathering = &sweep->gatherings[i];
		size_t count = 0;

		if (!gathering->count ||
			!gathering_takes_thinned(
				gathering, month->first_day * DAY_MS, month->end_day * DAY_MS))
			continue;
		r = gather_blobs(gathering, day, DAY_READ_MONTH, sweep, &count, err);
		if (count)
			mark_read(sweep, i, month);
	}
	return r == -EBADMSG ? day_note_damage(sweep->store, month->first_day, err) : r;
}

static int gather_days(struct sweep *sweep, struct error *err)
{
	int64_t from = floor_divide(sweep->gatherings[0].scan->from_ms, DAY_MS);
	int64_t to = floor_divide(sweep->gatherings[0].scan->to_ms, DAY_MS);
	size_t count = sweep->day_count;
	int r = 0;

	for (size_t i = 0; i < sweep->store->month_count && r == 0; i++)
		if (is_in_window(sweep, &sweep->store->months[i]))
			r = gather_month(sweep, &sweep->store->months[i], err);
	for (size_t i = 0; i < count && r == 0; i++)
		if (sweep->days[i] >= from && sweep->days[i] <= to)
			r = gather_day(sweep, i, is_inside, err);
	for (size_t i = count; i > 0 && r == 0; i--)
		if (sweep->days[i - 1] < from)
			r = gather_day(sweep, i - 1, wants_before, err);
	for (size_t i = 0; i < count && r == 0; i++)
		if (sweep->days[i] > to)
			r = gather_day(sweep, i, wants_after, err);
	return r;
}

int days_gather(
	struct sqlite_store *store, struct gathering *gatherings, size_t count, struct error *err)
{
	struct sweep sweep = { .store = store, .gatherings = gatherings, .count = count };
	int64_t *days = NULL;
	int r;

	pthread_mutex_lock(&store->days_lock);
	r = days_list(store, "", &days, &sweep.day_count);
	sweep.days = days;
	if (r == 0) {
		sweep.is_read = calloc(count * sweep.day_count + 1, sizeof(bool));
		r = sweep.is_read ? gather_days(&sweep, err) : -ENOMEM;
	}
	pthread_mutex_unlock(&store->days_lock);
	free(sweep.is_read);
	free(days);
	return r;
}
