/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* When instances were read last: on the last day that the list has of them, whose summary says it
 * if there is one; else the newest rows of their slots, from quarter to quarter downwards. A row
 * that is damaged is counted, and any of its slot may have been read then: it counts as if each
 * was, so that whoever asks for usage (to close a month) does ask, and is told. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/cassandra/private.h"

enum { ROWS_OF_A_SLOT = 4, SUMMARIES_AT_ONCE = 512 };

/* Where an instance may have been read last. */
struct ending {
	const struct listed *listed;
	const char *host;
	int64_t day;
};

/* What came of a slot. */
struct asked {
	size_t rows;
	int64_t oldest_ms;
	int64_t damaged_ms; /* 0: none is damaged */
};

struct search {
	struct listing *listing;
	struct cassandra_store *store;
	struct digester digester;
	struct ending *endings;
	size_t count, room;
	struct slots slots;
	struct asked *asked;
	const struct ending *ending; /* the one that is looked for in depth */
	int r;
};

static int add_ending(
	struct search *search, const struct listed *listed, const char *host, int64_t day)
{
	if (search->count == search->room) {
		size_t room = search->room ? 2 * search->room : 64;
		struct ending *endings = reallocarray(search->endings, room, sizeof(*endings));

		if (!endings)
			return -ENOMEM;
		search->endings = endings;
		search->room = room;
	}
	search->endings[search->count++] = (struct ending){ listed, host, day };
	return 0;
}

/* Everybody whom the row knows was read then. */
static int note_all(struct search *search, struct cursor *cursor, int64_t time_ms)
{
	struct bundled bundled;
	int r;

	while ((r = bundle_next(cursor, &bundled)) == 1) {
		struct resident *resident;

		r = bundled_resident(&bundled, &search->listing->tracks, &resident);
		if (r < 0)
			return r;
		if (resident)
			resident_note_time(resident, time_ms);
	}
	return r;
}

static int pass_over(struct search *search, int r)
{
	struct error ignored;

	if (r == -EBADMSG)
		(void)!cassandra_corrupt(search->store, "a reading", &ignored);
	return r == -EBADMSG ? 0 : r;
}

static int take_page(void *context, size_t index, struct cql_result *result)
{
	struct search *search = context;
	struct asked *asked = &search->asked[index];

	while (search->r == 0 && cql_result_next(result)) {
		struct cursor cursor;
		int64_t time_ms = INT64_MAX;
		int r = bundle_open(&search->digester, result, &time_ms, &cursor);

		if (r == 0)
			r = note_all(search, &cursor, time_ms);
		asked->rows++;
		asked->oldest_ms = MIN_OF(asked->oldest_ms, time_ms);
		if (r == -EBADMSG && time_ms != INT64_MAX)
			asked->damaged_ms = MAX_OF(asked->damaged_ms, time_ms);
		search->r = pass_over(search, r);
	}
	return search->r;
}

static struct slot slot_of(const struct ending *ending, int64_t quarter)
{
	return (struct slot){ ending->host, ending->day * DAY_MS + quarter * QUARTER_MS,
		instance_slot(ending->listed->id) };
}

/* Was it not read later than in that quarter, as far as is known? */
static bool is_waiting(const struct ending *ending, int64_t quarter)
{
	return ending->listed->resident->last_ms <
	       ending->day * DAY_MS + (quarter + 1) * QUARTER_MS;
}

static int ask_slots(struct search *search, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, search->store);
	free(search->asked);
	search->asked = calloc(search->slots.count + 1, sizeof(*search->asked));
	if (!search->asked)
		return -ENOMEM;
	for (size_t i = 0; i < search->slots.count; i++) {
		search->asked[i].oldest_ms = INT64_MAX;
		slot_ask_last(&statements, &search->slots.items[i], ROWS_OF_A_SLOT);
	}
	r = cassandra_outcome(statements_run(&statements, take_page, search, err));
	return search->r ? search->r : r;
}

static int look_for_one(void *context, const struct cql_result *row, struct error *err)
{
	struct search *search = context;
	const struct listed *listed = search->ending->listed;
	struct bundled bundled;
	struct cursor cursor;
	int64_t time_ms = INT64_MAX;
	int r = bundle_open(&search->digester, row, &time_ms, &cursor);

	if (time_ms <= listed->resident->last_ms)
		return STORE_STOPPED;
	if (r == 0)
		r = bundle_find(&cursor, listed->id, &bundled);
	if (r == -EBADMSG && time_ms != INT64_MAX)
		r = pass_over(search, r) == 0; /* it may be there */
	if (r != 1)
		return pass_over(search, r);
	resident_note_time(listed->resident, time_ms);
	return STORE_STOPPED;
}

/* Others of its slot were read later, or are in so many rows of that very time. */
static int look_deeper(struct search *search, const struct ending *ending, const struct slot *slot,
	int64_t oldest_ms, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	search->ending = ending;
	statements_init(&statements, search->store);
	slot_ask_down(&statements, slot, MIN_OF(oldest_ms, INT64_MAX - 1) + 1);
	r = statements_each_row(&statements, look_for_one, search, err);
	return r == STORE_STOPPED ? 0 : r;
}

static int look_at_quarter(struct search *search, int64_t quarter, struct error *err)
{
	int r = 0;

	search->slots.count = 0;
	for (size_t i = 0; i < search->count && r == 0; i++) {
		const struct slot slot = slot_of(&search->endings[i], quarter);

		if (is_waiting(&search->endings[i], quarter))
			r = slots_add(&search->slots, &slot);
	}
	slots_sort(&search->slots);
	if (r == 0 && search->slots.count)
		r = ask_slots(search, err);
	for (size_t i = 0; i < search->count && r == 0; i++) {
		const struct ending *ending = &search->endings[i];
		const struct slot slot = slot_of(ending, quarter);
		size_t place = slots_find(&search->slots, &slot);
		const struct asked *asked = &search->asked[place];

		if (!is_waiting(ending, quarter) || place == search->slots.count)
			continue;
		resident_note_time(ending->listed->resident, asked->damaged_ms);
		if (asked->rows == ROWS_OF_A_SLOT &&
			asked->oldest_ms > ending->listed->resident->last_ms)
			r = look_deeper(search, ending, &slot, asked->oldest_ms, err);
	}
	return r;
}

static int look(struct search *search, struct error *err)
{
	int r = 0;

	for (int64_t i = QUARTERS; i > 0 && r == 0 && search->count; i--)
		r = look_at_quarter(search, i - 1, err);
	search->count = 0;
	return r;
}

static int take_summary(void *context, int64_t day, int64_t time_ms, const void *bytes, size_t size)
{
	if (bytes)
		resident_note_time(context, time_ms);
	return 0;
}

/* Those whose last day is over. */
static int look_at_summaries(struct search *search, struct error *err)
{
	struct listing *listing = search->listing;
	struct summary_question questions[SUMMARIES_AT_ONCE];
	int64_t now_ms = cassandra_tidied(search->store);
	int64_t kept = cassandra_kept_day(search->store);
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < listing->count && r == 0; i++) {
		const struct listed *listed = listing->items[i];

		if (listed->last_day >= kept && summary_may_exist(listed->last_day, now_ms))
			questions[count++] = (struct summary_question){ listed->id,
				listed->last_day, listed->resident };
		if (count == SUMMARIES_AT_ONCE || (count && i + 1 == listing->count)) {
			r = summary_read_each(search->store, questions, count, take_summary, err);
			count = 0;
		}
	}
	return r;
}

static int look_at_last_days(struct search *search, struct error *err)
{
	const struct listing *listing = search->listing;
	int64_t kept = cassandra_kept_day(search->store);
	int r = 0;

	for (size_t i = 0; i < listing->count && r == 0; i++) {
		const struct listed *listed = listing->items[i];

		for (size_t j = 0; j < listed->host_count && r == 0; j++)
			if (!listed->resident->last_ms && listed->last_day >= kept &&
				listed->hosts[j].last_day == listed->last_day)
				r = add_ending(
					search, listed, listed->hosts[j].name, listed->last_day);
	}
	return r == 0 ? look(search, err) : r;
}

/* Where the last day has nothing: what was to be written there never came. */
static int look_at_other_days(struct search *search, const struct listed *listed, struct error *err)
{
	CLEANUP(stays_deinit) struct stays stays;
	size_t first, end;
	int r;

	stays_init(&stays);
	r = stays_load(search->store, listed->id, cassandra_kept_day(search->store), DAY_LAST,
		&stays, err);
	for (end = stays.count; end > 0 && r == 0 && !listed->resident->last_ms; end = first) {
		int64_t day = stays.items[end - 1].day;

		first = stays_find(&stays, day);
		for (size_t i = first; i < end && r == 0; i++)
			r = add_ending(search, listed, stays.items[i].host, day);
		if (r == 0)
			r = look(search, err);
	}
	return r;
}

static int look_everywhere(struct search *search, struct error *err)
{
	const struct listing *listing = search->listing;
	int r = look_at_summaries(search, err);

	if (r == 0)
		r = look_at_last_days(search, err);
	for (size_t i = 0; i < listing->count && r == 0; i++)
		if (!listing->items[i]->resident->last_ms &&
			listing->items[i]->last_day >= cassandra_kept_day(search->store))
			r = look_at_other_days(search, listing->items[i], err);
	return r;
}

int ends_find(struct listing *listing, struct error *err)
{
	struct search search = { .listing = listing, .store = listing->store };
	int r = digester_init(&search.digester);

	if (r == 0)
		r = look_everywhere(&search, err);
	digester_deinit(&search.digester);
	slots_deinit(&search.slots);
	free(search.endings);
	free(search.asked);
	return r;
}
