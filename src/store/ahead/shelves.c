/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/ahead/private.h"

enum { SERIES_MAX = 100 * 1000 }; /* of one instance */

/* What a survey found of one instance, in the order of a scan. */
struct shelved {
	struct store_series *series;
	size_t count;
};

static void shelf_deinit(struct shelf *shelf)
{
	free(shelf->edges_ms);
	arena_deinit(&shelf->arena);
}

void shelves_deinit(struct shelves *shelves)
{
	for (size_t i = 0; i < shelves->count; i++)
		shelf_deinit(&shelves->items[i]);
}

static bool is_for(const struct shelf *shelf, const struct store_scan *scan)
{
	return shelf->from_ms == scan->from_ms && shelf->to_ms == scan->to_ms &&
	       shelf->edge_count == scan->edge_count &&
	       memcmp(shelf->edges_ms, scan->edges_ms,
		       scan->edge_count * sizeof(*scan->edges_ms)) == 0;
}

/* NULL: there is no more room. */
static struct shelf *find_shelf(struct shelves *shelves, const struct store_scan *scan)
{
	struct shelf *shelf;

	for (size_t i = 0; i < shelves->count; i++)
		if (is_for(&shelves->items[i], scan))
			return &shelves->items[i];
	if (shelves->count == SHELVES_MAX)
		return NULL;
	shelf = &shelves->items[shelves->count];
	*shelf = (struct shelf){ .from_ms = scan->from_ms,
		.to_ms = scan->to_ms,
		.edges_ms = calloc(scan->edge_count + 1, sizeof(*scan->edges_ms)),
		.edge_count = scan->edge_count };
	if (!shelf->edges_ms)
		return NULL;
	memcpy(shelf->edges_ms, scan->edges_ms, scan->edge_count * sizeof(*scan->edges_ms));
	arena_init(&shelf->arena, AHEAD_MEMORY_MAX);
	shelves->count++;
	return shelf;
}

static bool has_columns(const uint32_t columns[_METRIC_GROUP_COUNT], const struct store_scan *scan)
{
	for (size_t i = 0; i < _METRIC_GROUP_COUNT; i++)
		if (scan->columns[i] & ~columns[i])
			return false;
	return true;
}

static int keep_series(void *context, size_t instance, const struct store_series *series)
{
	struct shelf *shelf = context;
	struct shelved *shelved = &shelf->instances[instance];
	struct store_series *all = arena_grow(
		&shelf->arena, shelved->series, shelved->count, SERIES_MAX, sizeof(*all));

	if (!all)
		return 1;
	shelved->series = all;
	return store_series_copy(&shelf->arena, series, &all[shelved->count++]) < 0;
}

/* Fills the shelf with the instance and those after it. */
static int fill(struct shelf *shelf, struct store *behind, const struct instance_key *keys,
	size_t count, size_t number, struct error *err)
{
	struct store_scan scan = { .from_ms = shelf->from_ms,
		.to_ms = shelf->to_ms,
		.edges_ms = shelf->edges_ms,
		.edge_count = shelf->edge_count,
		.thins_states = true,
		.maximum = shelf->maximum };
	size_t some = SHELF_INSTANCES * SHELF_EDGES / (SHELF_EDGES + shelf->edge_count) + 1;
	int r;

	some = MIN_OF(some, count - number);
	memcpy(scan.columns, shelf->learned, sizeof(scan.columns));
	memcpy(shelf->columns, shelf->learned, sizeof(shelf->columns));
	arena_clear(&shelf->arena);
	shelf->instances = arena_take_array(&shelf->arena, some, sizeof(*shelf->instances));
	shelf->first = shelf->end = number;
	if (!shelf->instances)
		return -ENOMEM;
	r = store_survey(behind, keys + number, some, &scan, keep_series, shelf, err);
	if (r == 0)
		shelf->end = number + some;
	return r == STORE_STOPPED ? -ENOMEM : r;
}

static bool is_there(const struct shelf *shelf, size_t number, const struct store_scan *scan)
{
	return number >= shelf->first && number < shelf->end && has_columns(shelf->columns, scan);
}

static int hand_out(const struct shelf *shelf, size_t number, const struct store_scan *scan,
	store_series_fn each, void *context)
{
	const struct shelved *shelved = &shelf->instances[number - shelf->first];

	for (size_t i = 0; i < shelved->count; i++) {
		const struct store_series *series = &shelved->series[i];

		if (!(scan->columns[series->metric->group] >> series->metric->column & 1))
			continue;
		if (scan->parameter && strcmp(scan->parameter, series->parameter) != 0)
			continue;
		if (each(context, series) != 0)
			return STORE_STOPPED;
	}
	return 0;
}

/* Only what is thinned is worth to be read ahead: else it would be too much. And states are asked
 * for as they are expected to be. */
static bool is_expected(const struct store_scan *scan)
{
	return scan->edges_ms && (scan->thins_states || !scan->columns[METRIC_GROUP_STATE]);
}

static void learn(struct shelf *shelf, size_t number, const struct store_scan *scan)
{
	for (size_t i = 0; i < _METRIC_GROUP_COUNT; i++)
		shelf->learned[i] |= scan->columns[i];
	shelf->learned_of = number;
	shelf->maximum = MAX_OF(shelf->maximum, scan->maximum);
}

int shelves_scan(struct shelves *shelves, struct store *behind, const struct instance_key *keys,
	size_t count, size_t number, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	struct shelf *shelf = is_expected(scan) ? find_shelf(shelves, scan) : NULL;

	if (!shelf)
		return store_scan(behind, scan, each, context, err);
	/* What one instance was asked for, the next one will be. */
	if (!is_there(shelf, number, scan) && has_columns(shelf->learned, scan) &&
		shelf->learned_of < number && fill(shelf, behind, keys, count, number, err) != 0)
		shelf->end = shelf->first; /* one by one, then */
	if (is_there(shelf, number, scan))
		return hand_out(shelf, number, scan, each, context);
	if (!has_columns(shelf->learned, scan))
		learn(shelf, number, scan);
	return store_scan(behind, scan, each, context, err);
}
