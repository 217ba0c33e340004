/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Open addressing over digests, which are as good as random; all zero is an empty place. What is
 * forgotten is only written again. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/cassandra/private.h"

enum { FIRST_SIZE = 1 << 12, SIZE_MAX_OF_SET = 1 << 21 };

int noted_init(struct noted *noted)
{
	for (size_t i = 0; i < ARRAY_SIZE(noted->sets); i++) {
		noted->sets[i].places = calloc(FIRST_SIZE, sizeof(*noted->sets[i].places));
		noted->sets[i].size = FIRST_SIZE;
		if (!noted->sets[i].places)
			return -ENOMEM;
	}
	return 0;
}

void noted_deinit(struct noted *noted)
{
	for (size_t i = 0; i < ARRAY_SIZE(noted->sets); i++)
		free(noted->sets[i].places);
}

static bool is_empty(const struct digest *place)
{
	static const struct digest empty;

	return memcmp(place, &empty, sizeof(empty)) == 0;
}

static struct digest *place_of(const struct noted_set *set, const struct digest *digest)
{
	uint64_t hash;
	size_t place;

	memcpy(&hash, digest->bytes, sizeof(hash));
	place = hash & (set->size - 1);
	while (!is_empty(&set->places[place]) &&
		memcmp(&set->places[place], digest, sizeof(*digest)) != 0)
		place = (place + 1) & (set->size - 1);
	return &set->places[place];
}

void noted_clear(struct noted *noted)
{
	for (size_t i = 0; i < ARRAY_SIZE(noted->sets); i++) {
		memset(noted->sets[i].places, 0,
			noted->sets[i].size * sizeof(*noted->sets[i].places));
		noted->sets[i].count = 0;
	}
}

bool noted_has(const struct noted *noted, const struct digest *digest)
{
	return !is_empty(place_of(&noted->sets[0], digest)) ||
	       !is_empty(place_of(&noted->sets[1], digest));
}

static bool grow(struct noted_set *set)
{
	struct noted_set larger = { calloc(2 * set->size, sizeof(*larger.places)), 2 * set->size,
		set->count };

	if (!larger.places)
		return false;
	for (size_t i = 0; i < set->size; i++)
		if (!is_empty(&set->places[i]))
			*place_of(&larger, &set->places[i]) = set->places[i];
	free(set->places);
	*set = larger;
	return true;
}

static void begin_generation(struct noted *noted)
{
	struct noted_set older = noted->sets[1];

	noted->sets[1] = noted->sets[0];
	memset(older.places, 0, older.size * sizeof(*older.places));
	older.count = 0;
	noted->sets[0] = older;
}

void noted_add(struct noted *noted, const struct digest *digest)
{
	struct noted_set *set = &noted->sets[0];

	if (!is_empty(place_of(set, digest)))
		return;
	if (2 * set->count >= set->size && (set->size == SIZE_MAX_OF_SET || !grow(set)))
		begin_generation(noted);
	*place_of(set, digest) = *digest;
	set->count++;
}
