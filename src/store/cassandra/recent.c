/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What this server wrote lately, in memory, up to a number of rows: by it the tally tells new
 * samples from known ones. */

#include <errno.h>
#include <stdlib.h>

#include "store/cassandra/private.h"

enum {
	REST_EVERY_MS = 1000,
	IDLE_TRACKS_MIN = 16384,
	ROWS_MAX = 4 * 1000 * 1000, /* some 300 MB */
};

static int add_reading(
	struct cassandra_store *store, const struct reading *reading, struct store_tally *tally)
{
	struct resident *resident = tracks_resident(&store->recent, &reading->instance);
	int r = resident ? 0 : -ENOMEM;

	for (size_t i = 0; i < reading->tuple_count && r == 0; i++) {
		const struct tuple *tuple = &reading->tuples[i];
		const struct track_key key = { resident, tuple->group, tuple->parameter,
			reading->epoch, tuple->life, reading->segment };
		struct track *track = tracks_track(&store->recent, &key);

		if (!track)
			return -ENOMEM;
		r = track_add_row(track, reading->time_ms, tuple->present, tuple->values,
			store->journal, tally);
	}
	store->recent_rows += reading->tuple_count;
	return r;
}

static int add_rest(struct cassandra_store *store, int64_t now_ms)
{
	struct rest *rests = store->rests;

	if (store->rest_count && now_ms - rests[store->rest_count - 1].now_ms < REST_EVERY_MS) {
		rests[store->rest_count - 1].journal = store->journal;
		return 0;
	}
	if (store->rest_count == store->rest_room) {
		size_t room = store->rest_room ? 2 * store->rest_room : 64;

		rests = reallocarray(rests, room, sizeof(*rests));
		if (!rests)
			return -ENOMEM;
		store->rests = rests;
		store->rest_room = room;
	}
	rests[store->rest_count++] = (struct rest){ store->journal, now_ms };
	return 0;
}

static bool is_idle(const struct resident *resident)
{
	for (size_t i = 0; i < resident->track_count; i++)
		if (resident->tracks[i]->count)
			return false;
	return true;
}

static int copy_track(struct tracks *to, struct resident *resident, const struct track *from)
{
	const struct track_key key = { resident, from->group, from->parameter, from->epoch,
		from->life, from->segment };
	struct store_tally ignored = { 0 };
	struct track *track = tracks_track(to, &key);
	int r = track ? 0 : -ENOMEM;

	for (size_t i = 0; i < from->count && r == 0; i++)
		r = track_add_row(track, from->rows[i].time_ms, from->rows[i].present,
			&from->values[i * from->columns], from->rows[i].journal, &ignored);
	if (r == 0 && from->last_ms)
		track_extend(track, from->first_ms, from->last_ms, from->seen);
	return r;
}

static int copy_busy(struct tracks *to, const struct tracks *from)
{
	int r = 0;

	for (size_t i = 0; i < from->resident_count && r == 0; i++) {
		const struct resident *old = from->residents[i];
		struct resident *resident;

		if (is_idle(old))
			continue;
		resident = tracks_resident(to, &old->key);
		r = resident ? 0 : -ENOMEM;
		for (size_t j = 0; j < old->track_count && r == 0; j++)
			if (old->tracks[j]->count)
				r = copy_track(to, resident, old->tracks[j]);
	}
	return r;
}

/* Instances and tracks that have nothing recent go, too, when they are many. */
static int forget_idle(struct cassandra_store *store)
{
	struct tracks busy;
	size_t idle = 0;
	int r;

	for (size_t i = 0; i < store->recent.resident_count; i++)
		for (size_t j = 0; j < store->recent.residents[i]->track_count; j++)
			idle += store->recent.residents[i]->tracks[j]->count == 0;
	if (idle < IDLE_TRACKS_MIN || 2 * idle < store->recent.track_count)
		return 0;
	r = tracks_init(&busy);
	if (r == 0)
		r = copy_busy(&busy, &store->recent);
	if (r < 0) {
		tracks_deinit(&busy);
		return r;
	}
	tracks_deinit(&store->recent);
	store->recent = busy;
	return 0;
}

static size_t count_rows(const struct tracks *tracks)
{
	size_t count = 0;

	for (size_t i = 0; i < tracks->resident_count; i++)
		for (size_t j = 0; j < tracks->residents[i]->track_count; j++)
			count += tracks->residents[i]->tracks[j]->count;
	return count;
}

int recent_forget(struct cassandra_store *store, int64_t before_ms)
{
	size_t count = 0;

	while (count < store->rest_count && store->rests[count].now_ms <= before_ms)
		count++;
	if (count == 0)
		return 0;
	tracks_drop_journal(&store->recent, store->rests[count - 1].journal);
	for (size_t i = count; i < store->rest_count; i++)
		store->rests[i - count] = store->rests[i];
	store->rest_count -= count;
	store->recent_rows = count_rows(&store->recent);
	return forget_idle(store);
}

/* When there are too many, it begins anew. */
int recent_add(
	struct cassandra_store *store, const struct store_commit *commit, struct store_tally *tally)
{
	int r;

	store->journal++;
	r = add_rest(store, commit->now_ms);
	for (size_t i = 0; i < commit->batch_count; i++)
		for (size_t j = 0; j < commit->batches[i]->reading_count && r == 0; j++)
			r = add_reading(store, &commit->batches[i]->readings[j], tally);
	return r == 0 && store->recent_rows > ROWS_MAX ? recent_forget(store, INT64_MAX) : r;
}
