/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/tracks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"

enum { FIRST_ROOM = 16, FIRST_BUCKETS = 256 };

/* Makes room for one more in an array that doubles. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? *room * 2 : FIRST_ROOM;
	void *bigger;

	if (count < *room)
		return array;
	bigger = reallocarray(array, wanted, size);
	if (bigger)
		*room = wanted;
	return bigger;
}

int tracks_init(struct tracks *tracks)
{
	*tracks = (struct tracks){ .bucket_count = FIRST_BUCKETS,
		.resident_index_size = FIRST_BUCKETS,
		.next_track_id = 1 };
	tracks->buckets = calloc(FIRST_BUCKETS, sizeof(*tracks->buckets));
	tracks->resident_index = calloc(FIRST_BUCKETS, sizeof(*tracks->resident_index));
	return tracks->buckets && tracks->resident_index ? 0 : -ENOMEM;
}

static void free_track(struct track *track)
{
	free(track->parameter);
	free(track->epoch);
	free(track->life);
	free(track->rows);
	free(track->values);
	free(track);
}

static void free_resident(struct resident *resident)
{
	for (size_t i = 0; i < resident->track_count; i++)
		free_track(resident->tracks[i]);
	free(resident->tracks);
	free(resident->infos);
	free(resident->info_numbers);
	arena_deinit(&resident->arena);
	free((char *)resident->key.name);
	free(resident);
}

void tracks_deinit(struct tracks *tracks)
{
	for (size_t i = 0; i < tracks->resident_count; i++)
		free_resident(tracks->residents[i]);
	free(tracks->residents);
	free(tracks->buckets);
	free(tracks->by_id);
	free(tracks->resident_index);
}

static size_t resident_place(const struct tracks *tracks, const struct instance_key *key)
{
	size_t mask = tracks->resident_index_size - 1, place = instance_key_hash(key) & mask;

	for (;; place = (place + 1) & mask) {
		uint64_t index = tracks->resident_index[place];

		if (!index || instance_key_equal(&tracks->residents[index - 1]->key, key))
			return place;
	}
}

struct resident *tracks_find_resident(const struct tracks *tracks, const struct instance_key *key)
{
	uint64_t index = tracks->resident_index[resident_place(tracks, key)];

	return index ? tracks->residents[index - 1] : NULL;
}

static int grow_resident_index(struct tracks *tracks)
{
	uint64_t *old = tracks->resident_index;
	size_t size = tracks->resident_index_size * 2;

	if (tracks->resident_count * 2 < tracks->resident_index_size)
		return 0;
	tracks->resident_index = calloc(size, sizeof(*old));
	if (!tracks->resident_index) {
		tracks->resident_index = old;
		return -ENOMEM;
	}
	tracks->resident_index_size = size;
	for (size_t i = 0; i < tracks->resident_count; i++)
		tracks->resident_index[resident_place(tracks, &tracks->residents[i]->key)] = i + 1;
	free(old);
	return 0;
}

static struct resident *new_resident(const struct instance_key *key)
{
	struct resident *resident = calloc(1, sizeof(*resident));

	if (!resident)
		return NULL;
	resident->key = *key;
	resident->key.name = key->has_uuid ? NULL : strdup(key->name);
	arena_init(&resident->arena, RESIDENT_INFO_MEMORY_MAX);
	if (!key->has_uuid && !resident->key.name) {
		free(resident);
		return NULL;
	}
	return resident;
}

struct resident *tracks_resident(struct tracks *tracks, const struct instance_key *key)
{
	struct resident *resident = tracks_find_resident(tracks, key), **residents;

	if (resident)
		return resident;
	residents = grow(tracks->residents, tracks->resident_count, &tracks->resident_room,
		sizeof(*residents));
	if (!residents)
		return NULL;
	tracks->residents = residents;
	if (grow_resident_index(tracks) < 0)
		return NULL;
	resident = new_resident(key);
	if (!resident)
		return NULL;
	tracks->resident_index[resident_place(tracks, key)] = tracks->resident_count + 1;
	tracks->residents[tracks->resident_count++] = resident;
	resident->id = tracks->resident_count;
	return resident;
}

static uint64_t hash_key(const struct track_key *key)
{
	uint64_t hash = text_hash(TEXT_HASH_SEED, &key->instance, sizeof(key->instance));

	hash = text_hash(hash, &key->group, sizeof(key->group));
	hash = text_hash(hash, key->parameter, strlen(key->parameter) + 1);
	hash = text_hash(hash, key->epoch, strlen(key->epoch) + 1);
	hash = text_hash(hash, key->life, strlen(key->life) + 1);
	return text_hash(hash, &key->segment, sizeof(key->segment));
}

static bool is_of(const struct track *track, const struct track_key *key, uint64_t hash)
{
	return track->hash == hash && track->instance == key->instance &&
	       track->group == key->group && track->segment == key->segment &&
	       strcmp(track->parameter, key->parameter) == 0 &&
	       strcmp(track->epoch, key->epoch) == 0 && strcmp(track->life, key->life) == 0;
}

static void grow_buckets(struct tracks *tracks)
{
	size_t count = tracks->bucket_count * 2;
	struct track **buckets;

	if (tracks->track_count < tracks->bucket_count)
		return;
	buckets = calloc(count, sizeof(*buckets));
	if (!buckets)
		return; /* slower, not wrong */
	for (size_t i = 0; i < tracks->bucket_count; i++) {
		struct track *track = tracks->buckets[i], *next;

		for (; track; track = next) {
			next = track->next;
			track->next = buckets[track->hash % count];
			buckets[track->hash % count] = track;
		}
	}
	free(tracks->buckets);
	tracks->buckets = buckets;
	tracks->bucket_count = count;
}

static struct track *new_track(const struct track_key *key, uint64_t hash)
{
	struct track *track = calloc(1, sizeof(*track));

	if (!track)
		return NULL;
	track->instance = (struct resident *)key->instance;
	track->group = key->group;
	track->columns = metric_group_info(key->group)->columns;
	track->segment = key->segment;
	track->start_ms = EPOCH_START_UNKNOWN;
	track->start_told_ms = INT64_MAX;
	track->hash = hash;
	track->parameter = strdup(key->parameter);
	track->epoch = strdup(key->epoch);
	track->life = strdup(key->life);
	if (track->parameter && track->epoch && track->life)
		return track;
	free_track(track);
	return NULL;
}

static int enlist(struct tracks *tracks, struct track *track)
{
	struct resident *resident = track->instance;
	struct track **of_resident, **by_id;

	of_resident = grow(resident->tracks, resident->track_count, &resident->track_room,
		sizeof(*of_resident));
	if (!of_resident)
		return -ENOMEM;
	resident->tracks = of_resident;
	by_id = grow(tracks->by_id, tracks->next_track_id - 1, &tracks->by_id_room, sizeof(*by_id));
	if (!by_id)
		return -ENOMEM;
	tracks->by_id = by_id;
	track->id = tracks->next_track_id++;
	tracks->by_id[track->id - 1] = track;
	resident->tracks[resident->track_count++] = track;
	return 0;
}

struct track *tracks_track(struct tracks *tracks, const struct track_key *key)
{
	uint64_t hash = hash_key(key);
	struct track *track = tracks->buckets[hash % tracks->bucket_count];

	while (track && !is_of(track, key, hash))
		track = track->next;
	if (track)
		return track;
	grow_buckets(tracks);
	track = new_track(key, hash);
	if (!track)
		return NULL;
	if (enlist(tracks, track) < 0) {
		free_track(track);
		return NULL;
	}
	track->next = tracks->buckets[hash % tracks->bucket_count];
	tracks->buckets[hash % tracks->bucket_count] = track;
	tracks->track_count++;
	return track;
}

static bool is_better_start(int64_t start_ms, int64_t than_ms)
{
	if (start_ms == EPOCH_START_UNKNOWN || than_ms == EPOCH_START_UNKNOWN)
		return start_ms != EPOCH_START_UNKNOWN && than_ms == EPOCH_START_UNKNOWN;
	return start_ms < than_ms;
}

void track_note_start(struct track *track, int64_t time_ms, int64_t start_ms)
{
	if (time_ms > track->start_told_ms ||
		(time_ms == track->start_told_ms && !is_better_start(start_ms, track->start_ms)))
		return;
	track->start_told_ms = time_ms;
	track->start_ms = start_ms;
	track->is_stored = false;
}

struct track *tracks_by_id(const struct tracks *tracks, uint64_t id)
{
	return id >= 1 && id < tracks->next_track_id ? tracks->by_id[id - 1] : NULL;
}

void track_extend(struct track *track, int64_t first_ms, int64_t last_ms, uint16_t seen)
{
	struct resident *resident = track->instance;

	track->seen |= seen;
	if (!track->last_ms || first_ms < track->first_ms)
		track->first_ms = first_ms;
	if (!track->last_ms || last_ms > track->last_ms)
		track->last_ms = last_ms;
	if (!resident->last_ms || first_ms < resident->first_ms)
		resident->first_ms = first_ms;
	if (!resident->last_ms || last_ms > resident->last_ms)
		resident->last_ms = last_ms;
	resident->groups |= 1u << track->group;
}

size_t rows_lower_bound(const struct row *rows, size_t count, int64_t time_ms)
{
	size_t low = 0, high = count;

	if (count == 0 || rows[count - 1].time_ms < time_ms)
		return count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle].time_ms < time_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int rows_make_room(
	struct row **rows, int64_t **values, size_t count, size_t *room, unsigned int columns)
{
	size_t wanted = *room ? *room * 2 : 4;
	struct row *more_rows;
	int64_t *more_values;

	if (count < *room)
		return 0;
	more_rows = reallocarray(*rows, wanted, sizeof(**rows));
	if (!more_rows)
		return -ENOMEM;
	*rows = more_rows;
	more_values = reallocarray(*values, wanted * columns, sizeof(**values));
	if (!more_values)
		return -ENOMEM;
	*values = more_values;
	*room = wanted;
	return 0;
}

static void complete_row(struct row *row, int64_t *kept, unsigned int columns, uint16_t present,
	const int64_t *values, struct store_tally *tally)
{
	for (unsigned int i = 0; i < columns; i++) {
		if (!(present >> i & 1))
			continue;
		if (!(row->present >> i & 1)) {
			kept[i] = values[i];
			tally->stored++;
			continue;
		}
		tally->duplicate++;
		if (kept[i] != values[i])
			tally->conflicting++;
		kept[i] = MAX_OF(kept[i], values[i]);
	}
	row->present |= present;
}

int track_add_row(struct track *track, int64_t time_ms, uint16_t present, const int64_t *values,
	uint64_t journal, struct store_tally *tally)
{
	size_t place = rows_lower_bound(track->rows, track->count, time_ms),
	       columns = track->columns;
	unsigned int samples = (unsigned int)__builtin_popcount(present);
	int r;

	if (place < track->count && track->rows[place].time_ms == time_ms) {
		complete_row(&track->rows[place], &track->values[place * columns], track->columns,
			present, values, tally);
		track->seen |= present;
		track->rows[place].has_older |= track->rows[place].journal != journal;
		track->rows[place].journal = MAX_OF(track->rows[place].journal, journal);
		return 0;
	}
	r = rows_make_room(
		&track->rows, &track->values, track->count, &track->room, track->columns);
	if (r < 0)
		return r;
	memmove(&track->rows[place + 1], &track->rows[place],
		(track->count - place) * sizeof(*track->rows));
	memmove(&track->values[(place + 1) * columns], &track->values[place * columns],
		(track->count - place) * columns * sizeof(*track->values));
	track->rows[place] = (struct row){ time_ms, journal, present, false };
	memcpy(&track->values[place * columns], values, columns * sizeof(*values));
	track->count++;
	tally->stored += samples;
	if (track->last_ms && time_ms < track->last_ms)
		tally->late += samples;
	track_extend(track, time_ms, time_ms, present);
	return 0;
}

/* Keeps the rows for which `from_journal` and `from_ms` both hold. */
static void keep_rows(struct track *track, uint64_t from_journal, int64_t from_ms)
{
	size_t kept = 0, columns = track->columns;

	for (size_t i = 0; i < track->count; i++) {
		if (track->rows[i].journal < from_journal || track->rows[i].time_ms < from_ms)
			continue;
		if (kept != i) {
			track->rows[kept] = track->rows[i];
			memcpy(&track->values[kept * columns], &track->values[i * columns],
				columns * sizeof(*track->values));
		}
		kept++;
	}
	track->count = kept;
	if (kept == 0) {
		free(track->rows);
		free(track->values);
		track->rows = NULL;
		track->values = NULL;
		track->room = 0;
	}
}

static void keep_everywhere(struct tracks *tracks, uint64_t from_journal, int64_t from_ms)
{
	for (size_t i = 0; i < tracks->resident_count; i++)
		for (size_t j = 0; j < tracks->residents[i]->track_count; j++)
			keep_rows(tracks->residents[i]->tracks[j], from_journal, from_ms);
}

void tracks_drop_journal(struct tracks *tracks, uint64_t journal)
{
	keep_everywhere(tracks, journal + 1, INT64_MIN);
}

/* What is older than retention is also no longer known by its catalogue entry. */
void tracks_drop_before(struct tracks *tracks, int64_t before_ms)
{
	keep_everywhere(tracks, 0, before_ms);
	for (size_t i = 0; i < tracks->resident_count; i++) {
		struct resident *resident = tracks->residents[i];

		resident->first_ms = resident->last_ms = 0;
		resident->groups = 0;
		for (size_t j = 0; j < resident->track_count; j++) {
			struct track *track = resident->tracks[j];
			int64_t first_ms = MAX_OF(track->first_ms, before_ms);
			int64_t last_ms = track->last_ms;

			track->first_ms = track->last_ms = 0;
			if (last_ms >= before_ms)
				track_extend(track, first_ms, last_ms, 0);
		}
	}
}

/* The place of the info in the order of time; one with the same time and content is found there. */
static size_t info_place(const struct resident *resident, const struct instance_info *info)
{
	size_t place = resident->info_count;

	while (place > 0 && resident->infos[place - 1].since_ms > info->since_ms)
		place--;
	for (size_t i = place; i > 0 && resident->infos[i - 1].since_ms == info->since_ms; i--)
		if (instance_info_equal(&resident->infos[i - 1], info))
			return i - 1;
	return place;
}

static bool is_known(
	const struct resident *resident, size_t place, const struct instance_info *info)
{
	return place < resident->info_count && resident->infos[place].since_ms == info->since_ms &&
	       instance_info_equal(&resident->infos[place], info);
}

static int make_info_room(struct resident *resident)
{
	size_t wanted = resident->info_room ? resident->info_room * 2 : FIRST_ROOM;
	struct instance_info *infos;
	size_t *numbers;

	if (resident->info_count < resident->info_room)
		return 0;
	infos = reallocarray(resident->infos, wanted, sizeof(*infos));
	if (!infos)
		return -ENOMEM;
	resident->infos = infos;
	numbers = reallocarray(resident->info_numbers, wanted, sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	resident->info_numbers = numbers;
	resident->info_room = wanted;
	return 0;
}

int resident_add_info(struct resident *resident, const struct instance_info *info)
{
	size_t place = info_place(resident, info), behind;
	struct instance_info added;

	if (is_known(resident, place, info))
		return 0;
	if (make_info_room(resident) < 0)
		return -ENOMEM;
	if (instance_info_copy(&resident->arena, info, &added) < 0)
		return 0;
	behind = resident->info_count - place;
	memmove(&resident->infos[place + 1], &resident->infos[place], behind * sizeof(added));
	memmove(&resident->info_numbers[place + 1], &resident->info_numbers[place],
		behind * sizeof(*resident->info_numbers));
	resident->infos[place] = added;
	resident->info_numbers[place] = resident->info_count++;
	return 1;
}

bool resident_matches(const struct resident *resident, const struct store_filter *filter)
{
	const struct store_instance listed = resident_listed(resident);

	return store_instance_matches(&listed, filter);
}

struct store_instance resident_listed(const struct resident *resident)
{
	return (struct store_instance){ resident->key, resident->infos, resident->info_count,
		resident->first_ms, resident->last_ms, resident->groups };
}
