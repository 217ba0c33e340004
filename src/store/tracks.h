/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Readings in memory, which the backends share: instances, their tracks, and the rows of each
 * track.
 *
 * A track is what its rows have in common: instance, group, parameter, epoch, life and segment. A
 * row is one reading of it: a time and the columns that were given. Rows are kept by time, each
 * time once; a second row for a time completes the first, and where both have a column the larger
 * value stays. The caller locks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/macros.h"
#include "model/batch.h"
#include "model/instance.h"
#include "store/store.h"

struct row {
	int64_t time_ms;
	uint64_t journal; /* the newest commit that touched it */
	uint16_t present;
	bool has_older; /* commits before that one touched it, too */
};

/* Do the commits up to this one hold anything of the row? If not all of it, it is still to be
 * written elsewhere before they are deleted, for the later ones do not repeat it. */
static inline bool row_is_of(const struct row *row, uint64_t journal)
{
	return row->journal <= journal || row->has_older;
}

struct resident;

struct track {
	uint64_t id;
	struct resident *instance;
	enum metric_group group;
	unsigned int columns;
	char *parameter, *epoch, *life;
	uint32_t segment;
	int64_t start_ms;          /* as the reading said that came with the earliest row, */
	int64_t start_told_ms;     /* whose time is this */
	int64_t first_ms, last_ms; /* of all its rows, those that left memory included */
	uint16_t seen;             /* the columns that any of them ever had */
	bool is_stored;            /* the backend knows it durably as it is */
	struct row *rows;
	int64_t *values; /* columns for each row */
	size_t count, room;
	uint64_t hash;
	struct track *next;
};

/* An instance. */
struct resident {
	uint64_t id;
	struct instance_key key; /* its name is owned */
	struct arena arena;      /* of the infos */
	/* By since_ms, the oldest first; and how many had come before each. */
	struct instance_info *infos;
	size_t *info_numbers;
	size_t info_count, info_room, infos_stored;
	struct track **tracks;
	size_t track_count, track_room;
	int64_t first_ms, last_ms; /* 0: no samples */
	uint32_t groups;
	bool is_stored;
};

/* Of all infos of an instance: some of the largest, thousands of usual ones. */
enum { RESIDENT_INFO_MEMORY_MAX = 2 * INSTANCE_INFO_MEMORY_MAX };

struct tracks {
	struct resident **residents; /* in the order of their appearance; also by id - 1 */
	size_t resident_count, resident_room;
	struct track **buckets;
	size_t bucket_count, track_count;
	uint64_t next_track_id;
	struct track **by_id; /* by id - 1; NULL where a track is gone */
	size_t by_id_room;
	uint64_t *resident_index; /* open addressing over residents: index + 1, 0 is empty */
	size_t resident_index_size;
};

MUST_CHECK int tracks_init(struct tracks *tracks);
void tracks_deinit(struct tracks *tracks);

/* What a track is known by. Borrowed. */
struct track_key {
	const struct resident *instance;
	enum metric_group group;
	const char *parameter, *epoch, *life;
	uint32_t segment;
};

/* Each finds or adds; NULL if there is no memory. */
struct resident *tracks_resident(struct tracks *tracks, const struct instance_key *key);
struct track *tracks_track(struct tracks *tracks, const struct track_key *key);

/* A reading at time_ms told when the track's counters were zero. What came with the earliest
 * reading counts; of two of one time a known start before an unknown one, and the smaller. The
 * track is then no longer stored as it is. */
void track_note_start(struct track *track, int64_t time_ms, int64_t start_ms);

/* NULL if there is none. */
struct resident *tracks_find_resident(const struct tracks *tracks, const struct instance_key *key);
struct track *tracks_by_id(const struct tracks *tracks, uint64_t id);

/* Adds a row and counts in *tally what became of its samples. */
MUST_CHECK int track_add_row(struct track *track, int64_t time_ms, uint16_t present,
	const int64_t *values, uint64_t journal, struct store_tally *tally);

/* Room for one more row and its values. 0 or -ENOMEM. */
MUST_CHECK int rows_make_room(
	struct row **rows, int64_t **values, size_t count, size_t *room, unsigned int columns);

/* The place of the first row that is not before time_ms. */
size_t rows_lower_bound(const struct row *rows, size_t count, int64_t time_ms);

/* The extent of rows that are elsewhere, and the columns they have. */
void track_extend(struct track *track, int64_t first_ms, int64_t last_ms, uint16_t seen);

/* Forgets the rows of all commits up to this one; or the rows before a time. */
void tracks_drop_journal(struct tracks *tracks, uint64_t journal);
void tracks_drop_before(struct tracks *tracks, int64_t before_ms);

/* Adds what is known about an instance from a time on, unless it is known already, or there is more
 * of it than RESIDENT_INFO_MEMORY_MAX. Returns 1 if it is new, 0, or negative. */
MUST_CHECK int resident_add_info(struct resident *resident, const struct instance_info *info);

/* Does the listing ask for it? And as it is listed. */
bool resident_matches(const struct resident *resident, const struct store_filter *filter);
struct store_instance resident_listed(const struct resident *resident);
