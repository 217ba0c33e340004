/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Sealing: what rested in the journal becomes chunks. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/sqlite/private.h"

static bool is_sealed_now(const struct row *row, uint64_t journal, int64_t day)
{
	return row_is_of(row, journal) && floor_divide(row->time_ms, DAY_MS) == day;
}

/* What a day's file has of a track. */
struct extent {
	int64_t first_ms, last_ms; /* 0: nothing */
	uint16_t seen;
};

/* One track's rows of that day that the journal up to `journal` holds. */
static int write_track(const struct track *track, uint64_t journal, int64_t day,
	struct buffer *part, struct buffer *to, struct extent *ret_extent)
{
	struct row *rows = calloc(track->count + 1, sizeof(*rows));
	int64_t *values = calloc(track->count + 1, track->columns * sizeof(*values));
	size_t count = 0;

	*ret_extent = (struct extent){ 0, 0, 0 };
	for (size_t i = 0; rows && values && i < track->count; i++) {
		if (!is_sealed_now(&track->rows[i], journal, day))
			continue;
		rows[count] = track->rows[i];
		memcpy(&values[count * track->columns], &track->values[i * track->columns],
			track->columns * sizeof(*values));
		ret_extent->seen |= rows[count].present;
		count++;
	}
	if (count) {
		part_write(to, part, track, rows, values, count);
		ret_extent->first_ms = rows[0].time_ms;
		ret_extent->last_ms = rows[count - 1].time_ms;
	}
	count = !rows || !values;
	free(rows);
	free(values);
	return count ? -ENOMEM : buffer_check(part);
}

struct sealing {
	struct sqlite_store *store;
	uint64_t journal;
	int64_t day;
	sqlite3_stmt *add_chunk, *add_extent, *drop_thinned;
	struct buffer part, rows, packed;
	ZSTD_CCtx *compressor; /* the writer's is in use meanwhile */
	uint64_t chunks, bytes;
};

static int seal_resident(
	struct sealing *sealing, const struct resident *resident, struct error *err)
{
	struct sqlite_store *store = sealing->store;
	const struct track *track;
	int r = 0;

	buffer_clear(&sealing->rows);
	for (size_t i = 0; r == 0; i++) {
		struct extent extent = { 0, 0, 0 };

		pthread_mutex_lock(&store->lock);
		track = i < resident->track_count ? resident->tracks[i] : NULL;
		if (track && track->count)
			r = write_track(track, sealing->journal, sealing->day, &sealing->part,
				&sealing->rows, &extent);
		pthread_mutex_unlock(&store->lock);
		if (!track)
			break;
		if (r != 0 || !extent.last_ms)
			continue;
		sqlite3_bind_int64(sealing->add_extent, 1, (int64_t)track->id);
		sqlite3_bind_int64(sealing->add_extent, 2, extent.first_ms);
		sqlite3_bind_int64(sealing->add_extent, 3, extent.last_ms);
		sqlite3_bind_int(sealing->add_extent, 4, extent.seen);
		r = day_run(sealing->add_extent, err);
	}
	if (r == 0)
		r = buffer_check(&sealing->rows);
	if (r != 0 || sealing->rows.size == 0)
		return r;
	r = blob_pack(sealing->compressor, &sealing->rows, &sealing->packed);
	if (r < 0)
		return r;
	sealing->chunks++;
	sealing->bytes += sealing->packed.size;
	sqlite3_bind_int64(sealing->add_chunk, 1, (int64_t)resident->id);
	sqlite3_bind_int64(sealing->add_chunk, 2, (int64_t)sealing->journal);
	sqlite3_bind_blob(sealing->add_chunk, 3, sealing->packed.bytes, (int)sealing->packed.size,
		SQLITE_STATIC);
	r = day_run(sealing->add_chunk, err);
	if (r != 0)
		return r;
	sqlite3_bind_int64(sealing->drop_thinned, 1, (int64_t)resident->id);
	return day_run(sealing->drop_thinned, err);
}

static int seal_residents(struct sealing *sealing, struct sqlite_day *day, struct error *err)
{
	struct sqlite_store *store = sealing->store;
	size_t count;
	int r = sqlite_execute(day->db, "BEGIN IMMEDIATE; PRAGMA user_version = 0", err);

	pthread_mutex_lock(&store->lock);
	count = store->tracks.resident_count;
	pthread_mutex_unlock(&store->lock);
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct resident *resident;

		pthread_mutex_lock(&store->lock);
		resident = store->tracks.residents[i];
		pthread_mutex_unlock(&store->lock);
		r = seal_resident(sealing, resident, err);
	}
	return day_end(day, r, err);
}

static int seal_day(struct sqlite_store *store, uint64_t journal, int64_t number, struct error *err)
{
	struct sealing sealing = { .store = store, .journal = journal, .day = number };
	struct sqlite_day *day;
	int r = months_drop(store, number, err);

	if (r == 0)
		r = day_open(store, number, &day, err);
	if (r == 0)
		r = days_note_unpacked(store, number);
	if (r == 0)
		r = months_note(store, number, false);
	store->crowded = number;
	if (r == 0)
		r = day_prepare(day, DAY_ADD_CHUNK, &sealing.add_chunk, err);
	if (r == 0)
		r = day_prepare(day, DAY_ADD_EXTENT, &sealing.add_extent, err);
	if (r == 0)
		r = day_prepare(day, DAY_DROP_THINNED, &sealing.drop_thinned, err);
	if (r != 0)
		return r;
	sealing.compressor = blob_compressor_new(BLOB_SMALL);
	if (!sealing.compressor)
		return -ENOMEM;
	buffer_init(&sealing.part, BLOB_MAX);
	buffer_init(&sealing.rows, BLOB_MAX);
	buffer_init(&sealing.packed, BLOB_MAX);
	r = seal_residents(&sealing, day, err);
	buffer_deinit(&sealing.part);
	buffer_deinit(&sealing.rows);
	buffer_deinit(&sealing.packed);
	ZSTD_freeCCtx(sealing.compressor);
	pthread_mutex_lock(&store->lock);
	store->counters.chunks_written += sealing.chunks;
	store->counters.chunk_bytes += sealing.bytes;
	pthread_mutex_unlock(&store->lock);
	return r;
}

/* The earliest day after `after` that has rows to be sealed; INT64_MAX if there is none. */
static int64_t next_day(struct sqlite_store *store, uint64_t journal, int64_t after)
{
	int64_t next = INT64_MAX;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < store->tracks.resident_count; i++)
		for (size_t j = 0; j < store->tracks.residents[i]->track_count; j++) {
			const struct track *track = store->tracks.residents[i]->tracks[j];

			for (size_t k = 0; k < track->count; k++) {
				int64_t day = floor_divide(track->rows[k].time_ms, DAY_MS);

				if (row_is_of(&track->rows[k], journal) && day > after &&
					day < next)
					next = day;
			}
		}
	pthread_mutex_unlock(&store->lock);
	return next;
}

int days_seal(struct sqlite_store *store, uint64_t journal, struct error *err)
{
	int64_t day = next_day(store, journal, INT64_MIN);
	int r = 0;

	for (; day != INT64_MAX && r == 0; day = next_day(store, journal, day)) {
		pthread_mutex_lock(&store->days_lock);
		r = seal_day(store, journal, day, err);
		if (r == -EBADMSG)
			r = day_note_damage(store, day, err);
		pthread_mutex_unlock(&store->days_lock);
		if (r == 0)
			r = catalogue_note_day(store, day, err);
	}
	return r;
}
