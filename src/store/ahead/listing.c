/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/ahead/private.h"

enum { LISTED_MAX = 10 * 1000 * 1000 };

/* An instance by one of the texts that find it. */
struct place {
	uint64_t hash;
	size_t number; /* + 1; 0: free */
};

void listing_deinit(struct listing *listing)
{
	arena_deinit(&listing->arena);
	free(listing->places);
}

static int keep_instance(void *context, const struct store_instance *instance)
{
	struct listing *listing = context;
	struct arena *arena = &listing->arena;
	struct store_instance *all =
		arena_grow(arena, listing->instances, listing->count, LISTED_MAX, sizeof(*all));
	struct instance_info *infos =
		arena_take_array(arena, instance->info_count + 1, sizeof(*infos));
	struct store_instance kept = *instance;

	if (!all || !infos)
		return 1;
	for (size_t i = 0; i < instance->info_count; i++)
		if (instance_info_copy(arena, &instance->infos[i], &infos[i]) < 0)
			return 1;
	kept.infos = infos;
	if (!kept.key.has_uuid)
		kept.key.name = arena_copy_text(arena, kept.key.name, strlen(kept.key.name));
	if (!kept.key.has_uuid && !kept.key.name)
		return 1;
	listing->instances = all;
	all[listing->count++] = kept;
	return 0;
}

static int make_room(struct listing *listing)
{
	size_t count = listing->place_count ? 2 * listing->place_count : 4096;
	struct place *places;

	if (2 * listing->used < listing->place_count)
		return 0;
	places = calloc(count, sizeof(*places));
	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < listing->place_count; i++) {
		const struct place *old = &listing->places[i];
		size_t at = old->hash & (count - 1);

		while (old->number && places[at].number)
			at = (at + 1) & (count - 1);
		if (old->number)
			places[at] = *old;
	}
	free(listing->places);
	listing->places = places;
	listing->place_count = count;
	return 0;
}

/* Once, however often the instance has that text. */
static int add_place(struct listing *listing, uint64_t hash, size_t number)
{
	size_t at;
	int r = make_room(listing);

	if (r < 0)
		return r;
	for (at = hash & (listing->place_count - 1); listing->places[at].number;
		at = (at + 1) & (listing->place_count - 1))
		if (listing->places[at].hash == hash && listing->places[at].number == number + 1)
			return 0;
	listing->places[at] = (struct place){ hash, number + 1 };
	listing->used++;
	return 0;
}

static uint64_t hash_name(const char *name, size_t size)
{
	return text_hash(TEXT_HASH_SEED, name, size);
}

/* The names that a filter may ask for, without what stands behind an @. */
static int add_names(struct listing *listing, size_t number)
{
	const struct store_instance *instance = &listing->instances[number];
	int r = 0;

	if (!instance->key.has_uuid) {
		const char *name = instance->key.name;

		r = add_place(listing, hash_name(name, strlen(name)), number);
		return r == 0 ? add_place(listing, hash_name(name, strcspn(name, "@")), number) : r;
	}
	for (size_t i = 0; i < instance->info_count && r == 0; i++) {
		const struct instance_info *info = &instance->infos[i];

		r = add_place(listing, hash_name(info->name, strlen(info->name)), number);
		if (r == 0)
			r = add_place(listing,
				hash_name(info->display_name, strlen(info->display_name)), number);
	}
	return r;
}

static int read(struct listing *listing, struct store *behind, struct error *err)
{
	const struct store_filter everyone = { 0 };
	int r = store_instances(behind, &everyone, keep_instance, listing, err);

	if (r != 0)
		return r == STORE_STOPPED ? -ENOMEM : r;
	for (size_t i = 0; i < listing->count && r == 0; i++) {
		r = add_place(listing, instance_key_hash(&listing->instances[i].key), i);
		if (r == 0)
			r = add_names(listing, i);
	}
	listing->is_read = r == 0;
	return r;
}

static int compare_numbers(const void *a, const void *b)
{
	const size_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

struct found {
	size_t *numbers; /* owned */
	size_t count, room;
};

static int add_found(struct found *found, size_t number)
{
	if (found->count == found->room) {
		size_t room = 2 * found->room + 8;
		size_t *more = reallocarray(found->numbers, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		found->numbers = more;
		found->room = room;
	}
	found->numbers[found->count++] = number;
	return 0;
}

static int find(const struct listing *listing, uint64_t hash, struct found *found)
{
	int r = 0;

	for (size_t at = hash & (listing->place_count - 1); listing->places[at].number && r == 0;
		at = (at + 1) & (listing->place_count - 1))
		if (listing->places[at].hash == hash)
			r = add_found(found, listing->places[at].number - 1);
	return r;
}

/* Those that may match, in their order. */
static int find_all(
	const struct listing *listing, const struct store_filter *filter, struct found *found)
{
	size_t kept = 0;
	int r;

	if (filter->key) {
		r = find(listing, instance_key_hash(filter->key), found);
	} else {
		r = find(listing, hash_name(filter->name, strlen(filter->name)), found);
		/* It may be name@host. */
		for (const char *at = filter->name; r == 0 && (at = strchr(at, '@')); at++)
			r = find(listing, hash_name(filter->name, (size_t)(at - filter->name)),
				found);
	}
	if (found->count > 1)
		qsort(found->numbers, found->count, sizeof(*found->numbers), compare_numbers);
	for (size_t i = 0; i < found->count; i++)
		if (!kept || found->numbers[i] != found->numbers[kept - 1])
			found->numbers[kept++] = found->numbers[i];
	found->count = kept;
	return r;
}

static int hand_on(const struct store_instance *instance, const struct store_filter *filter,
	store_instance_fn each, void *context)
{
	return store_instance_matches(instance, filter) && each(context, instance) != 0
		       ? STORE_STOPPED
		       : 0;
}

int listing_each(struct listing *listing, struct store *behind, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	struct found found = { NULL, 0, 0 };
	bool is_all = !filter->key && !filter->name;
	int r = listing->is_read ? 0 : read(listing, behind, err);

	if (r == 0 && !is_all && listing->place_count)
		r = find_all(listing, filter, &found);
	for (size_t i = 0; r == 0 && i < (is_all ? listing->count : found.count); i++)
		r = hand_on(
			&listing->instances[is_all ? i : found.numbers[i]], filter, each, context);
	free(found.numbers);
	return r;
}
