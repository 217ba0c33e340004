/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the files of this folder share. */

#include "base/arena.h"
#include "base/error.h"
#include "store/ahead/ahead.h"

enum {
	AHEAD_MEMORY_MAX = 1024 * 1024 * 1024,
	SHELVES_MAX = 16, /* a window, its beginning and its end; and of other edges */
	SHELF_INSTANCES = 250,
	SHELF_EDGES = 64, /* with more of them, fewer instances at once */
};

/* listing.c: all instances, by key and by name. */

struct listing {
	struct arena arena;
	struct store_instance *instances; /* in the order of their first appearance */
	size_t count;
	struct place *places; /* open addressing over keys and names */
	size_t place_count, used;
	bool is_read;
};

void listing_deinit(struct listing *listing);
MUST_CHECK int listing_each(struct listing *listing, struct store *behind,
	const struct store_filter *filter, store_instance_fn each, void *context,
	struct error *err);

/* facts.c: sources and records. */

struct facts {
	struct arena arena;
	struct store_source *sources;
	size_t source_count;
	bool has_sources;
	struct fact *records; /* answers by kind and prefix */
	size_t record_count;
};

void facts_deinit(struct facts *facts);
MUST_CHECK int facts_sources(struct facts *facts, struct store *behind, const char *host,
	const char *worker, store_source_fn each, void *context, struct error *err);
MUST_CHECK int facts_records(struct facts *facts, struct store *behind, const char *kind,
	const char *prefix, store_record_fn each, void *context, struct error *err);

/* shelves.c: series of the next instances, by what is asked of each of them. */

struct shelf {
	/* What is asked of each: */
	int64_t from_ms, to_ms;
	int64_t *edges_ms; /* owned */
	size_t edge_count;
	uint32_t learned[_METRIC_GROUP_COUNT]; /* columns that were asked for so far */
	size_t learned_of;                     /* the last instance that added to them */
	size_t maximum;
	/* What is there: of the instances from `first` to before `end`. */
	struct arena arena;
	uint32_t columns[_METRIC_GROUP_COUNT];
	size_t first, end;
	struct shelved *instances; /* each one's series */
};

struct shelves {
	struct shelf items[SHELVES_MAX];
	size_t count;
};

void shelves_deinit(struct shelves *shelves);
/* The scan of the instance with that number. */
MUST_CHECK int shelves_scan(struct shelves *shelves, struct store *behind,
	const struct instance_key *keys, size_t count, size_t number, const struct store_scan *scan,
	store_series_fn each, void *context, struct error *err);
