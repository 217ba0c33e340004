/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/ahead/ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/ahead/private.h"

struct ahead_store {
	struct store store;
	struct store *behind;
	struct instance_key *keys; /* in the order of the question */
	size_t count;
	size_t next; /* where the next one probably is */
	struct listing listing;
	struct facts facts;
	struct shelves shelves;
};

static struct ahead_store *of(struct store *store)
{
	return (struct ahead_store *)store;
}

static int ahead_append(struct store *base, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	return store_append(of(base)->behind, commit, ret_tally, err);
}

static int ahead_sources(struct store *base, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	return facts_sources(&of(base)->facts, of(base)->behind, host, worker, each, context, err);
}

static int ahead_records(struct store *base, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	return facts_records(&of(base)->facts, of(base)->behind, kind, prefix, each, context, err);
}

static int ahead_instances(struct store *base, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	return listing_each(&of(base)->listing, of(base)->behind, filter, each, context, err);
}

/* Its number; count if it is none of the question's. They come in order. */
static size_t find(struct ahead_store *ahead, const struct instance_key *key)
{
	for (size_t i = ahead->next; i < ahead->count; i++)
		if (instance_key_equal(&ahead->keys[i], key))
			return ahead->next = i;
	return ahead->count;
}

static int ahead_scan(struct store *base, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	struct ahead_store *ahead = of(base);
	size_t number = find(ahead, &scan->instance);

	if (number == ahead->count)
		return store_scan(ahead->behind, scan, each, context, err);
	return shelves_scan(&ahead->shelves, ahead->behind, ahead->keys, ahead->count, number, scan,
		each, context, err);
}

static int ahead_latest(struct store *base, const struct store_recent *recent, store_latest_fn each,
	void *context, struct error *err)
{
	return store_latest(of(base)->behind, recent, each, context, err);
}

static void ahead_close(struct store *base)
{
	struct ahead_store *ahead = of(base);

	listing_deinit(&ahead->listing);
	facts_deinit(&ahead->facts);
	shelves_deinit(&ahead->shelves);
	free(ahead->keys);
	free(ahead);
}

static const struct store_ops ahead_ops = { .name = "ahead",
	.append = ahead_append,
	.sources = ahead_sources,
	.records = ahead_records,
	.instances = ahead_instances,
	.scan = ahead_scan,
	.latest = ahead_latest,
	.close = ahead_close };

int ahead_store_new(
	struct store *behind, const struct uuid *instances, size_t count, struct store **ret_store)
{
	struct ahead_store *ahead = calloc(1, sizeof(*ahead));

	if (!ahead)
		return -ENOMEM;
	ahead->store.ops = &ahead_ops;
	ahead->behind = behind;
	arena_init(&ahead->listing.arena, AHEAD_MEMORY_MAX);
	arena_init(&ahead->facts.arena, AHEAD_MEMORY_MAX);
	ahead->keys = calloc(count + 1, sizeof(*ahead->keys));
	if (!ahead->keys) {
		ahead_close(&ahead->store);
		return -ENOMEM;
	}
	ahead->count = count;
	for (size_t i = 0; i < count; i++)
		ahead->keys[i] = (struct instance_key){ .has_uuid = true, .uuid = instances[i] };
	*ret_store = &ahead->store;
	return 0;
}
