/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What packing.c and months.c share. */

#include "store/sqlite/private.h"

/* Instances of one transaction, while which questions wait. */
enum { PACKED_AT_ONCE = 64 };

/* The tracks of one instance in one day, or in one month. */
struct packing {
	struct sqlite_store *store;
	struct sqlite_day *day; /* the (first) day, in whose file it is written */
	bool is_over;           /* the day: else its chunks are merged only where there are many */
	struct resident resident; /* stands for the instance */
	struct track *tracks;
	size_t count, room;
	struct buffer blob, part, rows, thinned;
	ZSTD_CCtx *small, *fast;
};

/* 0 or -ENOMEM. Deinit it in every case. */
MUST_CHECK int packing_init(struct packing *packing, struct sqlite_store *store);
void packing_deinit(struct packing *packing);
CLEANUP_DEFINE_VALUE(struct packing, packing_deinit)

/* Adds an instance's rows of a day's file; *ret_count is how many blobs there were. -ENOENT: the
 * catalogue does not know a track of them. */
MUST_CHECK int packing_read(struct packing *packing, struct sqlite_day *day,
	enum day_statement statement, uint64_t instance, size_t *ret_count, struct error *err);

/* Of the tracks: all rows, and the thinned ones. 0; -E2BIG; -ENOMEM. */
MUST_CHECK int packing_make_blobs(struct packing *packing);

/* Writes all rows (DAY_ADD_CHUNK), or the thinned ones. */
MUST_CHECK int packing_write(struct packing *packing, enum day_statement statement,
	uint64_t instance, struct error *err);

/* Forgets the tracks. */
void packing_forget(struct packing *packing);
