/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the spool remembers of each message, in the order of the numbers: not its bytes, once they
 * are on disk. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "spool/record.h"
#include "spool/shelf.h"

struct entry {
	struct record record;
	unsigned char *bytes; /* owned; NULL: it is on the shelf, at `place` */
	struct shelf_place place;
};

/* Zeroed memory is an empty one. */
struct index {
	struct entry *items; /* those that are left begin at items[first] */
	size_t first, count, room;
	size_t in_memory; /* the last so many have their bytes here */
};

void index_deinit(struct index *index);

/* A new last entry, zeroed; NULL if there is no memory. */
struct entry *index_add(struct index *index);

struct entry *index_at(const struct index *index, size_t i);
struct entry *index_last(const struct index *index); /* NULL: empty */

/* Where the first number that is `sequence` or more stands; count if there is none. */
size_t index_find(const struct index *index, uint64_t sequence);

/* Forgets the first `count`. */
void index_drop_first(struct index *index, size_t count);
void index_remove(struct index *index, size_t i);

/* Forgets those between begin and end that are marked, and lets the numbers after them bridge them.
 * marks[0] is for begin. The last one is never marked. */
void index_thin(struct index *index, size_t begin, size_t end, const bool *marks);

/* Marks about every second of the times of thinnable messages between begin and end, never the last
 * message. Returns how many messages are marked. */
size_t index_mark_thin(const struct index *index, size_t begin, size_t end, bool *marks);
