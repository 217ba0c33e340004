/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Scans of many instances: each waits for its nodes several times, so some run beside each other.
 * What they found is handed on in order, when all are done. */

#include <errno.h>
#include <stdlib.h>

#include "store/cassandra/private.h"

enum { SCANS_AT_ONCE = 16, SERIES_MAX = 100 * 1000, FOUND_MEMORY_MAX = 512 * 1024 * 1024 };

/* What was found of one instance. */
struct found {
	struct arena arena;
	struct store_series *series;
	size_t count;
};

struct surveying {
	struct cassandra_store *store;
	const struct instance_key *instances;
	const struct store_scan *scan;
	struct found *found;
	size_t count;
	pthread_mutex_t lock; /* of what follows */
	size_t next;
	int r; /* the first failure, after which nobody begins another one */
	struct error err;
};

static int keep_series(void *context, const struct store_series *series)
{
	struct found *found = context;
	struct store_series *all =
		arena_grow(&found->arena, found->series, found->count, SERIES_MAX, sizeof(*all));

	if (!all)
		return 1;
	found->series = all;
	return store_series_copy(&found->arena, series, &all[found->count++]) < 0;
}

/* The number of the next one; count if there is none. */
static size_t take_next(struct surveying *surveying)
{
	size_t next;

	pthread_mutex_lock(&surveying->lock);
	next = surveying->r == 0 ? surveying->next : surveying->count;
	if (next < surveying->count)
		surveying->next++;
	pthread_mutex_unlock(&surveying->lock);
	return next;
}

static void note_failure(struct surveying *surveying, int r, const struct error *err)
{
	pthread_mutex_lock(&surveying->lock);
	if (surveying->r == 0) {
		surveying->r = r;
		surveying->err = *err;
	}
	pthread_mutex_unlock(&surveying->lock);
}

static void *run(void *argument)
{
	struct surveying *surveying = argument;
	size_t number;

	while ((number = take_next(surveying)) < surveying->count) {
		struct store_scan scan = *surveying->scan;
		struct error err = { 0 };
		int r;

		scan.instance = surveying->instances[number];
		r = scan_run(surveying->store, &scan, keep_series, &surveying->found[number], &err);
		if (r != 0)
			note_failure(surveying, r == STORE_STOPPED ? -ENOMEM : r, &err);
	}
	return NULL;
}

/* This thread, and as many others as can be had. */
static void run_all(struct surveying *surveying)
{
	pthread_t threads[SCANS_AT_ONCE - 1];
	size_t count = 0;

	while (count < ARRAY_SIZE(threads) && count + 1 < surveying->count &&
		pthread_create(&threads[count], NULL, run, surveying) == 0)
		count++;
	run(surveying);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static int hand_on(const struct surveying *surveying, store_survey_fn each, void *context)
{
	for (size_t i = 0; i < surveying->count; i++)
		for (size_t j = 0; j < surveying->found[i].count; j++)
			if (each(context, i, &surveying->found[i].series[j]) != 0)
				return STORE_STOPPED;
	return 0;
}

int survey_run(struct cassandra_store *store, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err)
{
	struct surveying surveying = { .store = store,
		.instances = instances,
		.scan = scan,
		.found = calloc(count + 1, sizeof(*surveying.found)),
		.count = count };
	int r;

	if (!surveying.found)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		arena_init(&surveying.found[i].arena, FOUND_MEMORY_MAX);
	pthread_mutex_init(&surveying.lock, NULL);
	run_all(&surveying);
	r = surveying.r;
	if (r == 0)
		r = hand_on(&surveying, each, context);
	else if (err)
		*err = surveying.err;
	pthread_mutex_destroy(&surveying.lock);
	for (size_t i = 0; i < count; i++)
		arena_deinit(&surveying.found[i].arena);
	free(surveying.found);
	return r;
}
