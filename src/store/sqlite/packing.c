/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Packing a day that is over: of each instance's chunks one, and beside it the rows that matter to
 * questions without an edge in the day (store/thinning.h). Whatever is sealed into the day later
 * drops the thinned rows of its instance in the same transaction, and the day is packed again. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/packing.h"

void packing_forget(struct packing *packing)
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

int packing_read(struct packing *packing, struct sqlite_day *day, enum day_statement statement,
	uint64_t instance, size_t *ret_count, struct error *err)
{
	return day_read_parts(
		packing->store, day, statement, instance, take_part, packing, ret_count, err);
}

static int find_moments(const struct packing *packing, struct moments *moments)
{
	int r = moments_add(moments, packing->day->day * DAY_MS);

	for (size_t i = 0; i < packing->count && r == 0; i++)
		r = moments_add_columns(moments, &packing->tracks[i]);
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

int packing_make_blobs(struct packing *packing)
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

int packing_write(
	struct packing *packing, enum day_statement statement, uint64_t instance, struct error *err)
{
	bool is_chunk = statement == DAY_ADD_CHUNK;
	sqlite3_stmt *add;
	int r = blob_pack(is_chunk ? packing->small : packing->fast,
		is_chunk ? &packing->rows : &packing->thinned, &packing->blob);

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
		r = packing_write(packing, DAY_ADD_CHUNK, instance, err);
	return r == 0 ? packing_write(packing, DAY_ADD_THINNED, instance, err) : r;
}

static int pack_instance(struct packing *packing, uint64_t instance, struct error *err)
{
	size_t count;
	int r = packing_read(packing, packing->day, DAY_READ_CHUNKS, instance, &count, err);

	if (r == 0)
		r = packing_make_blobs(packing);
	if (r == -ENOENT || r == -E2BIG)
		r = 0; /* it stays as it is */
	else if (r == 0)
		r = write_instance(packing, instance, err);
	packing_forget(packing);
	return r;
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

static void note_packed(struct sqlite_store *store, uint64_t until, uint64_t count)
{
	store->packed_until = until;
	pthread_mutex_lock(&store->lock);
	store->counters.packed += count;
	pthread_mutex_unlock(&store->lock);
}

static int pack_some(struct packing *packing, uint64_t *ret_next, struct error *err)
{
	struct sqlite_store *store = packing->store;
	uint64_t instance = 0, until = store->packed_until, count = 0;
	int r = sqlite_execute(packing->day->db, "BEGIN IMMEDIATE", err);

	if (r == 0)
		r = next_instance(packing, until, &instance, err);
	for (; r == 0 && instance && count < PACKED_AT_ONCE; count++) {
		r = pack_instance(packing, instance, err);
		until = instance;
		if (r == 0)
			r = next_instance(packing, until, &instance, err);
	}
	if (r == 0 && !instance && packing->is_over)
		r = sqlite_execute(packing->day->db, "PRAGMA user_version = 1", err);
	r = day_end(packing->day, r, err);
	if (r == 0)
		note_packed(store, until, count);
	*ret_next = instance;
	return r;
}

/* The space of what was packed is given back. */
static int finish_day(struct packing *packing, struct error *err)
{
	int r = sqlite_execute(packing->day->db,
		"PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)", err);

	if (r != 0)
		return r;
	if (packing->is_over)
		days_forget_unpacked(packing->store, packing->day->day);
	else
		packing->store->crowded = -1;
	packing->store->packed_until = 0;
	return 0;
}

int packing_init(struct packing *packing, struct sqlite_store *store)
{
	*packing = (struct packing){ .store = store,
		.small = blob_compressor_new(BLOB_SMALL),
		.fast = blob_compressor_new(BLOB_FAST) };
	buffer_init(&packing->blob, BLOB_MAX);
	buffer_init(&packing->part, BLOB_MAX);
	buffer_init(&packing->rows, BLOB_MAX);
	buffer_init(&packing->thinned, BLOB_MAX);
	return packing->small && packing->fast ? 0 : -ENOMEM;
}

void packing_deinit(struct packing *packing)
{
	packing_forget(packing);
	buffer_deinit(&packing->blob);
	buffer_deinit(&packing->part);
	buffer_deinit(&packing->rows);
	buffer_deinit(&packing->thinned);
	free(packing->tracks);
	ZSTD_freeCCtx(packing->small);
	ZSTD_freeCCtx(packing->fast);
}

static int pack_day(struct sqlite_store *store, int64_t number, bool is_over, struct error *err)
{
	CLEANUP(packing_deinit) struct packing packing;
	uint64_t next = 0;
	int r = packing_init(&packing, store);

	packing.is_over = is_over;
	if (r == 0)
		r = day_open(store, number, &packing.day, err);
	if (r == 0)
		r = pack_some(&packing, &next, err);
	if (r == 0 && !next)
		r = finish_day(&packing, err);
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

/* What failed is tried again, after the other days. */
static void postpone_day(struct sqlite_store *store, size_t place)
{
	int64_t number = store->unpacked[place];
	size_t last = store->unpacked_count - 1;

	memmove(&store->unpacked[place], &store->unpacked[place + 1],
		(last - place) * sizeof(number));
	store->unpacked[last] = number;
	store->packed_until = 0;
}

static int pack_days(
	struct sqlite_store *store, int64_t before_ms, bool *ret_more, struct error *err)
{
	size_t place = find_day(store, before_ms);
	bool is_over = place < store->unpacked_count;
	int64_t number = is_over ? store->unpacked[place] : store->crowded;
	int r;

	if (number < 0)
		return months_pack(store, before_ms, ret_more, err);
	r = pack_day(store, number, is_over, err);
	if (r == -EBADMSG) {
		days_forget_unpacked(store, number);
		r = day_note_damage(store, number, err);
	} else if (r != 0 && is_over) {
		postpone_day(store, place);
	}
	*ret_more = r == 0;
	return r;
}

int days_pack(struct sqlite_store *store, int64_t before_ms, bool *ret_more, struct error *err)
{
	int r;

	pthread_mutex_lock(&store->days_lock);
	r = pack_days(store, before_ms, ret_more, err);
	pthread_mutex_unlock(&store->days_lock);
	return r;
}
