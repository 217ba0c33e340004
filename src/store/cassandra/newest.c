/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The newest samples of all instances, which are read where they lie, some instances at once: those
 * of the last hours, however far back the question goes. Of an instance that was read before them
 * only that is told. */

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "store/cassandra/private.h"
#include "store/latest.h"

enum { INSTANCES_AT_ONCE = 512 };

struct finding {
	struct listing listing;
	const struct store_recent *recent;
	store_latest_fn each;
	void *context;
	struct digester digester;
	size_t left;           /* of the maximum of samples */
	int64_t asked_ms;      /* since when instances are told, */
	int64_t from_ms, from; /* and their samples; and its day */
	int r;

	/* Of the instances at hand. */
	struct tracks tracks;
	struct slots slots;
	struct resident *resident;
	int64_t time_ms;
	size_t stored_left; /* of the maximum of stored samples */
};

static int take_tuple(void *context, const struct decoded *decoded)
{
	struct finding *finding = context;
	const struct track_key key = { finding->resident, decoded->group, decoded->parameter,
		decoded->epoch, decoded->life, decoded->segment };
	struct store_tally ignored = { 0 };
	size_t count = (size_t)__builtin_popcount(decoded->present);
	struct track *track;

	if (!finding->recent->columns[decoded->group])
		return 0;
	if (count > finding->stored_left)
		return STORE_TOO_MUCH;
	finding->stored_left -= count;
	track = tracks_track(&finding->tracks, &key);
	if (!track)
		return -ENOMEM;
	track_note_start(track, finding->time_ms, decoded->start_ms);
	return track_add_row(
		track, finding->time_ms, decoded->present, decoded->values, 1, &ignored);
}

static int take_reading(struct finding *finding, const struct bundled *bundled)
{
	int r = bundled_resident(bundled, &finding->tracks, &finding->resident);

	if (r < 0 || !finding->resident) /* it is not at hand */
		return r;
	r = reading_read(bundled->bytes, bundled->size, take_tuple, finding);
	if (r == 0) /* also a reading of nothing that is asked for */
		resident_note_time(finding->resident, finding->time_ms);
	return r;
}

static int take_row(struct finding *finding, const struct cql_result *row)
{
	struct bundled bundled;
	struct cursor cursor;
	int r = bundle_open(&finding->digester, row, &finding->time_ms, &cursor);

	while (r == 0 && (r = bundle_next(&cursor, &bundled)) == 1)
		r = take_reading(finding, &bundled);
	return r;
}

static int take_page(void *context, size_t index, struct cql_result *result)
{
	struct finding *finding = context;

	while (finding->r == 0 && cql_result_next(result))
		finding->r = take_row(finding, result);
	return finding->r;
}

/* Where it may have been since. */
static int add_slots(struct finding *finding, const struct listed *listed)
{
	int r = 0;

	for (size_t i = 0; i < listed->host_count && r == 0; i++)
		if (listed->hosts[i].last_day >= finding->from)
			r = slots_add_time(&finding->slots, listed->hosts[i].name,
				instance_slot(listed->id), finding->from_ms,
				(listed->hosts[i].last_day + 1) * DAY_MS - 1);
	return r;
}

/* As many times the maximum of samples. */
static size_t stored_max(const struct finding *finding)
{
	return MIN_OF(finding->recent->maximum, SIZE_MAX / RECENT_STORED_FACTOR) *
	       RECENT_STORED_FACTOR;
}

static int ask(struct finding *finding, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, finding->listing.store);
	slots_sort(&finding->slots);
	if (finding->slots.count > STATEMENTS_MAX)
		return error_set(err, STORE_TOO_MUCH,
			"the answer needs more than %d parts of hosts' days", STATEMENTS_MAX);
	finding->stored_left = stored_max(finding);
	for (size_t i = 0; i < finding->slots.count; i++)
		slot_ask(&statements, &finding->slots.items[i], finding->from_ms, INT64_MAX);
	r = cassandra_outcome(statements_run(&statements, take_page, finding, err));
	finding->slots.count = 0;
	if (finding->r == -EBADMSG)
		return cassandra_corrupt(finding->listing.store, "a reading", err);
	if (finding->r == STORE_TOO_MUCH)
		return error_set(err, STORE_TOO_MUCH,
			"the answer needs more than %zu stored samples at a time",
			stored_max(finding));
	return finding->r ? finding->r : r;
}

static int add_resident(struct finding *finding, const struct listed *listed)
{
	const struct resident *known = listed->resident;
	int r = 0;

	finding->resident = tracks_resident(&finding->tracks, &known->key);
	if (!finding->resident)
		return -ENOMEM;
	for (size_t i = 0; i < known->info_count && r >= 0; i++)
		r = resident_add_info(finding->resident, &known->infos[i]);
	resident_note_time(finding->resident, known->last_ms);
	return MIN_OF(r, 0);
}

/* What the rows do not say. */
static void complete(struct finding *finding, const struct listed *listed)
{
	struct resident *resident = tracks_find_resident(&finding->tracks, &listed->resident->key);

	if (!resident || !resident->last_ms)
		return;
	resident->first_ms =
		MAX_OF(listed->resident->first_ms, cassandra_kept_from(finding->listing.store));
	resident->groups = listed->resident->groups;
}

static int pass_on(void *context, const struct store_latest *latest)
{
	struct finding *finding = context;

	for (size_t i = 0; i < latest->count; i++)
		finding->left -= latest->series[i].count;
	return finding->each(finding->context, latest);
}

static int tell(struct finding *finding, struct error *err)
{
	struct store_recent recent = *finding->recent;
	int r;

	recent.maximum = finding->left;
	r = latest_each(&finding->tracks, &recent, pass_on, finding, err);
	return r == STORE_TOO_MUCH ? error_set(err, r, "the answer needs more than %zu samples",
					     finding->recent->maximum)
				   : r;
}

static bool is_wanted(const struct finding *finding, const struct listed *listed)
{
	int64_t last_ms = listed->resident->last_ms; /* 0: that is not known */

	return listed->last_day >= finding->from || (last_ms && last_ms >= finding->asked_ms);
}

static int find_some(
	struct finding *finding, struct listed *const *items, size_t count, struct error *err)
{
	int r = tracks_init(&finding->tracks);

	for (size_t i = 0; i < count && r == 0; i++) {
		if (!is_wanted(finding, items[i]))
			continue;
		r = add_resident(finding, items[i]);
		if (r == 0)
			r = add_slots(finding, items[i]);
	}
	if (r == 0)
		r = ask(finding, err);
	for (size_t i = 0; i < count && r == 0; i++)
		complete(finding, items[i]);
	if (r == 0)
		r = tell(finding, err);
	tracks_deinit(&finding->tracks);
	return r;
}

int newest_each(struct cassandra_store *store, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	int64_t asked_ms = MAX_OF(recent->from_ms, MAX_OF(cassandra_kept_from(store), 0));
	int64_t from_ms = MAX_OF(asked_ms, cassandra_now(store) - RECENT_REACH_MS);
	struct finding finding = { .recent = recent,
		.each = each,
		.context = context,
		.left = recent->maximum,
		.asked_ms = asked_ms,
		.from_ms = from_ms,
		.from = floor_divide(from_ms, DAY_MS) };
	int r = listing_init(&finding.listing, store);

	if (r == 0)
		r = digester_init(&finding.digester);
	if (r == 0)
		r = listing_load(&finding.listing, NULL, err);
	if (r == 0 && asked_ms < from_ms)
		r = ends_find(&finding.listing, err);
	for (size_t i = 0; i < finding.listing.count && r == 0; i += INSTANCES_AT_ONCE)
		r = find_some(&finding, &finding.listing.items[i],
			MIN_OF(finding.listing.count - i, (size_t)INSTANCES_AT_ONCE), err);
	slots_deinit(&finding.slots);
	digester_deinit(&finding.digester);
	listing_deinit(&finding.listing);
	return r;
}
