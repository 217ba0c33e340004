/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Packing a day that is over: of each instance's chunks one, and beside it the rows that matter to
 * questions without an edge in the day (store/thinning.h). Whatever is sealed into the day later
 * drops the thinned rows of its instance in the same transaction, and the day is packed again. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/private.h"

/* Of one transaction, while which questions wait. */
enum { INSTANCES_AT_ONCE = 64 };

/* The tracks of one instance in one day. */
struct packing {
	struct sqlite_store *store;
	struct sqlite_day *day;
	bool is_over; /* the day: else its chunks are merged only where there are many */
	struct resident resident; /* stands for the instance */
	struct track *tracks;
	size_t count, room;
	struct buffer scratch, blob, part, rows, thinned;
	ZSTD_CCtx *small, *fast;
};

static void forget_tracks(struct packing *packing)
{
	for (size_t i = 0; i < packing->count; i++) {
		free(packing->tracks[i].rows);
		free(packing->tracks[i].values);
	}
	packing->count = 0;
}

/* What is needed to read its rows. */
static bool is_known(struct packing *packing, uint64_t id, struct track *ret_track)
{
	const struct track *known;

	pthread_mutex_lock(&packing->store->lock);
	known = tracks_by_id(&packing->store->tracks, id);
	if (known)
		*ret_track = (struct track){ .id = id,
			.instance = &packing->resident,
			.group = known->group,
			.columns = known->columns };
	pthread_mutex_unlock(&packing->store->lock);
	return known != NULL;
}

/* The track; -ENOENT: the catalogue does not know it. */
static int find_track(struct packing *packing, uint64_t id, struct track **ret_track)
{
	for (size_t i = 0; i < packing->count; i++)
		if (packing->tracks[i].id == id) {
			*ret_track = &packing->tracks[i];
			return 0;
		}
	if (packing->count == packing->room) {
		size_t room = 2 * packing->room + 16;
		struct track *more = reallocarray(packing->tracks, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		packing->tracks = more;
		packing->room = room;
	}
	*ret_track = &packing->tracks[packing->count];
	if (!is_known(packing, id, *ret_track))
		return -ENOENT;
	packing->count++;
	return 0;
}

static int take_row(void *context, int64_t time_ms, uint16_t present, const int64_t *values)
{
	struct store_tally ignored = { 0 };

	return track_add_row(context, time_ms, present, values, 0, &ignored);
}

static int take_part(void *context, uint64_t track_id, struct cursor *rows)
{
	struct track *track;
	int r = find_track(context, track_id, &track);

	return r == 0 ? rows_read(rows, track->columns, take_row, track) : r;
}

static int read_instance(struct packing *packing, uint64_t instance, struct error *err)
{
	sqlite3_stmt *chunks;
	int r = day_prepare(packing->day, DAY_READ_CHUNKS, &chunks, err), code = SQLITE_DONE;

	if (r != 0)
		return r;
	sqlite3_bind_int64(chunks, 1, (int64_t)instance);
	while (r == 0 && (code = sqlite3_step(chunks)) == SQLITE_ROW) {
		r = blob_unpack(packing->store->decompressor, sqlite3_column_blob(chunks, 0),
			(size_t)sqlite3_column_bytes(chunks, 0), &packing->scratch);
		if (r == 0)
			r = parts_read(&packing->scratch, take_part, packing);
	}
	if (r == 0 && code != SQLITE_DONE)
		r = sqlite_outcome(packing->day->db, "a day's file", err);
	sqlite3_reset(chunks);
	return r;
}

/* When its columns were read first and last. */
static int add_extents(struct moments *moments, const struct track *track)
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

static int find_moments(const struct packing *packing, struct moments *moments)
{
	int r = moments_add(moments, packing->day->day * DAY_MS);

	for (size_t i = 0; i < packing->count && r == 0; i++)
		r = add_extents(moments, &packing->tracks[i]);
	moments_sort(moments);
	return r;
}

static int write_thinned(
	struct packing *packing, struct track *track, const struct moments *moments)
{
	bool *keeps = calloc(track->count + 1, sizeof(*keeps));
	size_t kept = 0;
	int r = keeps ? thinning_rows(track, moments, keeps) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < track->count; i++) {
		if (!keeps[i])
			continue;
		track->rows[kept] = track->rows[i];
		memmove(&track->values[kept * track->columns], &track->values[i * track->columns],
			track->columns * sizeof(*track->values));
		kept++;
	}
	free(keeps);
	if (r == 0)
		part_write(
			&packing->thinned, &packing->part, track, track->rows, track->values, kept);
	return r;
}

static int make_blobs(struct packing *packing)
{
	CLEANUP(moments_deinit) struct moments moments = { NULL, 0, 0 };
	int r = find_moments(packing, &moments);

	buffer_clear(&packing->rows);
	buffer_clear(&packing->thinned);
	for (size_t i = 0; i < packing->count && r == 0; i++) {
		struct track *track = &packing->tracks[i];

		part_write(&packing->rows, &packing->part, track, track->rows, track->values,
			track->count);
		r = write_thinned(packing, track, &moments);
	}
	if (r == 0)
		r = buffer_check(&packing->part);
	if (r == 0)
		r = buffer_check(&packing->rows);
	return r == 0 ? buffer_check(&packing->thinned) : r;
}

static int write_blob(struct packing *packing, enum day_statement statement, uint64_t instance,
	const struct buffer *rows, struct error *err)
{
	bool is_chunk = statement == DAY_ADD_CHUNK;
	sqlite3_stmt *add;
	int r = blob_pack(is_chunk ? packing->small : packing->fast, rows, &packing->blob);

	if (r == 0)
		r = day_prepare(packing->day, statement, &add, err);
	if (r != 0)
		return r;
	sqlite3_bind_int64(add, 1, (int64_t)instance);
	if (is_chunk)
		sqlite3_bind_int64(add, 2, 0); /* no journal's */
	sqlite3_bind_blob(
		add, is_chunk ? 3 : 2, packing->blob.bytes, (int)packing->blob.size, SQLITE_STATIC);
	return day_run(add, err);
}

static int write_instance(struct packing *packing, uint64_t instance, struct error *err)
{
	sqlite3_stmt *drop;
	int r = day_prepare(packing->day, DAY_DROP_CHUNKS, &drop, err);

	if (r != 0)
		return r;
	sqlite3_bind_int64(drop, 1, (int64_t)instance);
	r = day_run(drop, err);
	if (r == 0)
		r = write_blob(packing, DAY_ADD_CHUNK, instance, &packing->rows, err);
	return r == 0 ? write_blob(packing, DAY_ADD_THINNED, instance, &packing->thinned, err) : r;
}

static int pack_instance(struct packing *packing, uint64_t instance, struct error *err)
{
	int r = read_instance(packing, instance, err);

	if (r == 0)
		r = make_blobs(packing);
	if (r == 0)
		r = write_instance(packing, instance, err);
	forget_tracks(packing);
	return r == -ENOENT ? 0 : r; /* it stays as it is */
}

/* The first instance after `after` that is to be packed; 0: there is none. */
static int next_instance(
	struct packing *packing, uint64_t after, uint64_t *ret_instance, struct error *err)
{
	enum day_statement statement = packing->is_over ? DAY_NEXT_UNPACKED : DAY_NEXT_CROWDED;
	sqlite3_stmt *next;
	int r = day_prepare(packing->day, statement, &next, err), code;

	*ret_instance = 0;
	if (r != 0)
		return r;
	sqlite3_bind_int64(next, 1, (int64_t)after);
	code = sqlite3_step(next);
	if (code == SQLITE_ROW)
		*ret_instance = (uint64_t)sqlite3_column_int64(next, 0);
	else if (code != SQLITE_DONE)
		r = sqlite_outcome(packing->day->db, "a day's file", err);
	sqlite3_reset(next);
	return r;
}

static int pack_some(struct packing *packing, uint64_t *ret_next, struct error *err)
{
	struct sqlite_store *store = packing->store;
	uint64_t instance = 0;
	int r = sqlite_execute(packing->day->db, "BEGIN IMMEDIATE", err);

	if (r == 0)
		r = next_instance(packing, store->packed_until, &instance, err);
	for (int i = 0; r == 0 && instance && i < INSTANCES_AT_ONCE; i++) {
		r = pack_instance(packing, instance, err);
		store->packed_until = instance;
		pthread_mutex_lock(&store->lock);
		store->counters.packed++;
		pthread_mutex_unlock(&store->lock);
		if (r == 0)
			r = next_instance(packing, instance, &instance, err);
	}
	if (r == 0 && !instance && packing->is_over)
		r = sqlite_execute(packing->day->db, "PRAGMA user_version = 1", err);
	*ret_next = instance;
	return day_end(packing->day, r, err);
}

/* The space of what was packed is given back. */
static int finish_day(struct packing *packing, struct error *err)
{
	if (packing->is_over)
		days_forget_unpacked(packing->store, packing->day->day);
	else
		packing->store->crowded = -1;
	packing->store->packed_until = 0;
	return sqlite_execute(packing->day->db,
		"PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)", err);
}

static int pack_day(struct sqlite_store *store, int64_t number, bool is_over, struct error *err)
{
	struct packing packing = { .store = store,
		.is_over = is_over,
		.small = blob_compressor_new(BLOB_SMALL),
		.fast = blob_compressor_new(BLOB_FAST) };
	uint64_t next = 0;
	int r = packing.small && packing.fast ? day_open(store, number, &packing.day, err)
					      : -ENOMEM;

	buffer_init(&packing.scratch, BLOB_MAX);
	buffer_init(&packing.blob, BLOB_MAX);
	buffer_init(&packing.part, BLOB_MAX);
	buffer_init(&packing.rows, BLOB_MAX);
	buffer_init(&packing.thinned, BLOB_MAX);
	if (r == 0)
		r = pack_some(&packing, &next, err);
	if (r == 0 && !next)
		r = finish_day(&packing, err);
	buffer_deinit(&packing.scratch);
	buffer_deinit(&packing.blob);
	buffer_deinit(&packing.part);
	buffer_deinit(&packing.rows);
	buffer_deinit(&packing.thinned);
	free(packing.tracks);
	ZSTD_freeCCtx(packing.small);
	ZSTD_freeCCtx(packing.fast);
	return r;
}

/* One that ended before; count if there is none. */
static size_t find_day(const struct sqlite_store *store, int64_t before_ms)
{
	size_t place = 0;

	while (place < store->unpacked_count && (store->unpacked[place] + 1) * DAY_MS > before_ms)
		place++;
	return place;
}

int days_pack(struct sqlite_store *store, int64_t before_ms, bool *ret_more, struct error *err)
{
	bool is_over;
	int64_t number;
	size_t place;
	int r = 0;

	pthread_mutex_lock(&store->days_lock);
	place = find_day(store, before_ms);
	is_over = place < store->unpacked_count;
	number = is_over ? store->unpacked[place] : store->crowded;
	if (number >= 0)
		r = pack_day(store, number, is_over, err);
	if (r == -EBADMSG) {
		days_forget_unpacked(store, number);
		r = day_note_damage(store, number, err);
	}
	*ret_more = r == 0 &&
		    (find_day(store, before_ms) < store->unpacked_count || store->crowded >= 0);
	pthread_mutex_unlock(&store->days_lock);
	return r;
}
