/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where a spool's messages outlive the worker. spool.c decides what is kept; a shelf keeps it.
 *
 * All of it from the spool's thread. Whatever fails returns -errno and leaves what was on the shelf
 * before as it was; the spool calls again later. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "spool/record.h"

struct shelf_place {
	uint32_t segment;
	uint32_t offset;
};

struct shelf_marks {
	uint64_t floor, next; /* as in struct head */
	int64_t floor_ms, until_ms;
	struct spool_loss loss;
};

struct shelf_options {
	const char *directory;
	uint64_t bytes_max;
	const uint8_t *id;  /* of the new spool, where there is none yet */
	uint64_t next;      /* its first number */
	bool is_fresh_only; /* -EEXIST where there is one */
	/* Each whole record, in the order in which they were written. May return -ENOMEM, which
	 * ends it. */
	int (*each)(void *context, const struct record *record, struct shelf_place place);
	void *context;
};

struct shelf_state {
	uint8_t id[SPOOL_ID_BYTES];
	struct shelf_marks marks; /* as its last life left them; set before the first record */
	uint64_t next;            /* the first number of this life */
	bool is_fresh;
	struct spool_findings findings;
};

/* What stays of a segment: which record goes where. */
struct shelf_item {
	const struct record *record; /* as it is to be written */
	struct shelf_place *place;   /* where it stands, then where it went */
};

struct shelf;

struct shelf_ops {
	int (*open)(const struct shelf_options *options, struct shelf **ret_shelf,
		struct shelf_state *ret_state, struct error *err);
	/* With is_clean, marks are the last word, and everything is on disk. */
	void (*close)(struct shelf *shelf, const struct shelf_marks *marks, bool is_clean);

	/* Not durable before sync. */
	int (*append)(struct shelf *shelf, const struct record *record, const void *bytes,
		struct shelf_place *ret_place);
	int (*sync)(struct shelf *shelf, const struct shelf_marks *marks);

	/* What was appended since the last sync is not wanted: it will be appended again. */
	void (*rewind)(struct shelf *shelf);

	/* Reads the payload to `to`, of record->size bytes. -EBADMSG: it is damaged. */
	int (*read)(struct shelf *shelf, const struct record *record, struct shelf_place place,
		void *to);
	int (*pin)(struct shelf *shelf, struct shelf_place place);

	/* Deletes what holds nothing above the floor; before, the marks are durable. */
	int (*forget)(struct shelf *shelf, const struct shelf_marks *marks);

	/* Writes a segment anew with only these of its records. Not the one that is appended to. */
	int (*rewrite)(struct shelf *shelf, uint32_t segment, const struct shelf_item *items,
		size_t count);

	/* The segment that is appended to. */
	uint32_t (*active)(const struct shelf *shelf);

	uint64_t (*bytes)(const struct shelf *shelf);
};

/* Segment files in a folder. */
extern const struct shelf_ops disk_shelf;
