/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Months: when all days of a month (UTC) are packed, their thinned rows are thinned once more, as
 * one row an instance, in the file of the first day. They are made of the days' and can be made
 * again: before anything of a day changes, they are dropped, and made when the day is packed. A
 * month whose first day has no file has none. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time-text.h"
#include "store/sqlite/packing.h"

static struct sqlite_month *find_month(const struct sqlite_store *store, int64_t day)
{
	for (size_t i = 0; i < store->month_count; i++)
		if (store->months[i].first_day <= day && day < store->months[i].end_day)
			return &store->months[i];
	return NULL;
}

int months_note(struct sqlite_store *store, int64_t day, bool is_packed)
{
	struct sqlite_month *month = find_month(store, day);
	char text[TIME_TEXT_SIZE];
	int64_t from_ms, to_ms;

	time_text_format_month(day * DAY_MS, text);
	if (month || time_text_parse_month(text, &from_ms, &to_ms) < 0 || from_ms != day * DAY_MS)
		return 0;
	if (store->month_count == store->month_room) {
		size_t room = 2 * store->month_room + 16;
		struct sqlite_month *more = reallocarray(store->months, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		store->months = more;
		store->month_room = room;
	}
	store->months[store->month_count++] =
		(struct sqlite_month){ day, to_ms / DAY_MS, is_packed, 0 };
	return 0;
}

void months_forget(struct sqlite_store *store, int64_t day)
{
	for (size_t i = 0; i < store->month_count; i++)
		if (store->months[i].first_day == day)
			store->months[i--] = store->months[--store->month_count];
}

int months_drop(struct sqlite_store *store, int64_t number, struct error *err)
{
	struct sqlite_month *month = find_month(store, number);
	struct sqlite_day *day;
	int r;

	if (!month || (!month->is_packed && !month->packed_until))
		return 0;
	r = day_open(store, month->first_day, &day, err);
	if (r == 0)
		r = sqlite_execute(day->db,
			"BEGIN IMMEDIATE; DELETE FROM month; PRAGMA user_version = 1", err);
	if (r == 0)
		r = day_end(day, 0, err);
	if (r == 0) {
		month->is_packed = false;
		month->packed_until = 0;
	}
	return r;
}

/* The thinned rows; or the chunks, where a day could not be packed. */
static int read_day(struct packing *packing, int64_t number, uint64_t instance, struct error *err)
{
	struct sqlite_day *day;
	size_t count = 0;
	int r = day_open_to_read(packing->store, number, &day, err);

	if (r != 0 || !day)
		return r;
	if (day->has_thinned)
		r = packing_read(packing, day, DAY_READ_THINNED, instance, &count, err);
	if (r == 0 && count == 0)
		r = packing_read(packing, day, DAY_READ_CHUNKS, instance, &count, err);
	return r == -EBADMSG ? day_note_damage(packing->store, number, err) : r;
}

static int pack_instance(struct packing *packing, const int64_t *days, size_t count,
	uint64_t instance, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = read_day(packing, days[i], instance, err);
	if (r == 0 && packing->count) {
		r = packing_make_blobs(packing);
		if (r == 0)
			r = packing_write(packing, DAY_ADD_MONTH, instance, err);
	}
	packing_forget(packing);
	return r == -ENOENT || r == -E2BIG ? 0 : r; /* its days are read one by one */
}

/* Who has something that is damaged is left out, which is an error all the same. */
static int pack_some(struct packing *packing, struct sqlite_month *month, const int64_t *days,
	size_t count, struct error *err)
{
	struct sqlite_store *store = packing->store;
	uint64_t until = month->packed_until, last;
	bool is_damaged;
	int r = sqlite_execute(packing->day->db,
		until ? "BEGIN IMMEDIATE" : "BEGIN IMMEDIATE; DELETE FROM month", err);

	pthread_mutex_lock(&store->lock);
	last = store->tracks.resident_count; /* ids count from 1 */
	pthread_mutex_unlock(&store->lock);
	for (int i = 0; r == 0 && until < last && i < PACKED_AT_ONCE; i++)
		r = pack_instance(packing, days, count, ++until, err);
	is_damaged = r == -EBADMSG && until > month->packed_until;
	if (is_damaged)
		r = 0;
	if (r == 0 && until == last)
		r = sqlite_execute(packing->day->db, "PRAGMA user_version = 2", err);
	r = day_end(packing->day, r, err);
	if (r != 0)
		return r;
	month->packed_until = until;
	month->is_packed = until == last;
	return is_damaged ? -EBADMSG : 0;
}

static int pack_month(struct sqlite_store *store, struct sqlite_month *month, struct error *err)
{
	CLEANUP(packing_deinit) struct packing packing;
	int64_t *days = NULL;
	size_t count = 0, first = 0;
	int r = packing_init(&packing, store);

	if (r == 0)
		r = days_list(store, "", &days, &count);
	if (r == 0)
		r = day_open(store, month->first_day, &packing.day, err);
	while (first < count && days[first] < month->first_day)
		first++;
	while (count > first && days[count - 1] >= month->end_day)
		count--;
	if (r == 0)
		r = pack_some(&packing, month, days + first, count - first, err);
	free(days);
	return r;
}

static bool has_unpacked(const struct sqlite_store *store, const struct sqlite_month *month)
{
	for (size_t i = 0; i < store->unpacked_count; i++)
		if (find_month(store, store->unpacked[i]) == month)
			return true;
	return false;
}

static struct sqlite_month *find_unpacked(const struct sqlite_store *store, int64_t before_ms)
{
	for (size_t i = 0; i < store->month_count; i++) {
		struct sqlite_month *month = &store->months[i];

		if (!month->is_packed && month->end_day * DAY_MS <= before_ms &&
			!has_unpacked(store, month))
			return month;
	}
	return NULL;
}

/* What failed is tried again, after the other months. */
static void postpone_month(struct sqlite_store *store, struct sqlite_month *month)
{
	struct sqlite_month failed = *month, *last = &store->months[store->month_count - 1];

	memmove(month, month + 1, (size_t)(last - month) * sizeof(failed));
	*last = failed;
}

int months_pack(struct sqlite_store *store, int64_t before_ms, bool *ret_more, struct error *err)
{
	struct sqlite_month *month = find_unpacked(store, before_ms);
	int r = month ? pack_month(store, month, err) : 0;

	if (r != 0)
		postpone_month(store, month);
	*ret_more = r == 0 && month && find_unpacked(store, before_ms);
	return r;
}
