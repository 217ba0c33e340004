/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Instances: their list is in BUCKETS partitions. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"
#include "store/packed.h"

enum {
	HOSTS_MEMORY_MAX = 256 * 1024 * 1024,
	HOSTS_MAX = 1 << 20,
};

int listing_init(struct listing *listing, struct cassandra_store *store)
{
	*listing = (struct listing){ .store = store };
	arena_init(&listing->arena, HOSTS_MEMORY_MAX);
	arena_init(&listing->scratch, INSTANCE_INFO_MEMORY_MAX);
	return tracks_init(&listing->tracks);
}

void listing_deinit(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->items[i]);
	free(listing->items);
	tracks_deinit(&listing->tracks);
	arena_deinit(&listing->arena);
	arena_deinit(&listing->scratch);
}

static struct listed *new_listed(struct listing *listing, struct resident *resident, const char *id)
{
	size_t room = listing->room ? 2 * listing->room : 64, size = strlen(id) + 1;
	struct listed **items = listing->items, *listed;

	if (listing->count == listing->room) {
		items = reallocarray(items, room, sizeof(*items));
		if (!items)
			return NULL;
		listing->items = items;
		listing->room = room;
	}
	listed = calloc(1, sizeof(*listed) + size);
	if (!listed)
		return NULL;
	listed->resident = resident;
	listed->appeared_us = INT64_MAX;
	listed->last_day = INT64_MIN;
	memcpy(listed->id, id, size);
	items[listing->count++] = listed;
	return listed;
}

/* The instance of a row whose first column it is; until it is sorted, the list is in the order of
 * the residents. */
static int find_listed(
	struct listing *listing, const struct cql_result *row, struct listed **ret_listed)
{
	char id[INSTANCE_ID_SIZE];
	struct instance_key key;
	struct resident *resident;

	if (cql_read_text(cql_result_value(row, 0), id, sizeof(id)) < 0 ||
		instance_id_read(id, &key) < 0)
		return -EBADMSG;
	resident = tracks_resident(&listing->tracks, &key);
	if (!resident)
		return -ENOMEM;
	*ret_listed = resident->id <= listing->count ? listing->items[resident->id - 1]
						     : new_listed(listing, resident, id);
	return *ret_listed ? 0 : -ENOMEM;
}

static uint32_t read_groups(struct cql_value value)
{
	struct cql_items items;
	struct cql_value name;
	uint32_t groups = 0;

	if (cql_read_list(value, &items) < 0)
		return 0;
	while (cql_items_next(&items, &name)) {
		enum metric_group group =
			name.size > 0 ? metric_group_by_name(name.bytes, (size_t)name.size)
				      : _METRIC_GROUP_COUNT;

		if (group != _METRIC_GROUP_COUNT)
			groups |= 1u << group;
	}
	return groups;
}

static int add_host(
	struct listing *listing, struct listed *listed, struct cql_value name, struct cql_value day)
{
	struct listed_host *hosts = arena_grow(
		&listing->arena, listed->hosts, listed->host_count, HOSTS_MAX, sizeof(*hosts));
	char text[HOST_SIZE];
	struct listed_host host;

	if (!hosts)
		return -ENOMEM;
	listed->hosts = hosts;
	if (cql_read_text(name, text, sizeof(text)) < 0 || read_day(day, &host.last_day) < 0)
		return -EBADMSG;
	host.name = arena_copy_text(&listing->arena, text, strlen(text));
	if (!host.name)
		return -ENOMEM;
	hosts[listed->host_count++] = host;
	listed->last_day = MAX_OF(listed->last_day, host.last_day);
	return 0;
}

/* Each with the last day on which it was seen there. */
static int read_hosts(struct listing *listing, struct listed *listed, struct cql_value value)
{
	struct cql_items items;
	struct cql_value name, day;
	int r = 0;

	if (cql_read_map(value, &items) < 0)
		return -EBADMSG;
	while (r == 0 && cql_items_next(&items, &name) && cql_items_next(&items, &day))
		r = add_host(listing, listed, name, day);
	return r;
}

/* (instance, appeared, first, hosts, groups) */
static int take_instance(struct listing *listing, const struct cql_result *row)
{
	struct cql_value appeared = cql_result_value(row, 1), first = cql_result_value(row, 2);
	struct listed *listed;
	int r = find_listed(listing, row, &listed);

	if (r < 0)
		return r;
	if (!cql_is_null(appeared) && cql_read_bigint(appeared, &listed->appeared_us) < 0)
		return -EBADMSG;
	if (!cql_is_null(first) && cql_read_bigint(first, &listed->resident->first_ms) < 0)
		return -EBADMSG;
	listed->resident->groups = read_groups(cql_result_value(row, 4));
	return read_hosts(listing, listed, cql_result_value(row, 3));
}

/* Its texts live until the next one is read. */
static int read_info(struct listing *listing, struct cql_value value, struct instance_info *info)
{
	struct cursor cursor = cursor_over(value.bytes, (size_t)MAX_OF(value.size, 0));

	arena_clear(&listing->scratch);
	packed_read_info(&cursor, &listing->scratch, info);
	return cursor.is_broken || cursor_left(&cursor) ? -EBADMSG : 0;
}

/* (instance, info) */
static int add_info(struct listing *listing, const struct cql_result *row)
{
	struct instance_info info = { 0 };
	struct listed *listed;
	int r = read_info(listing, cql_result_value(row, 1), &info);

	if (r == 0)
		r = find_listed(listing, row, &listed);
	if (r < 0)
		return r;
	if (!listed->resident->key.has_uuid)
		return -EBADMSG;
	info.uuid = listed->resident->key.uuid;
	r = resident_add_info(listed->resident, &info);
	return MIN_OF(r, 0);
}

/* One that cannot be read is not shown; it never expires, and nobody else is to miss for it. */
static int take_info(struct listing *listing, const struct cql_result *row)
{
	int r = add_info(listing, row);

	if (r != -EBADMSG)
		return r;
	cassandra_count_corrupt(listing->store);
	return 0;
}

/* Statements are asked in pairs: instances, and their infos. */
static int take_page(void *context, size_t index, struct cql_result *result)
{
	struct listing *listing = context;

	while (listing->r == 0 && cql_result_next(result))
		listing->r =
			index % 2 ? take_info(listing, result) : take_instance(listing, result);
	return listing->r;
}

static int compare_listed(const void *a, const void *b)
{
	const struct listed *one = *(struct listed *const *)a, *other = *(struct listed *const *)b;

	if (one->appeared_us != other->appeared_us)
		return one->appeared_us < other->appeared_us ? -1 : 1;
	return strcmp(one->id, other->id);
}

static void ask_for(struct statements *statements, const struct cql_value *values, size_t count)
{
	statements_add(statements, count > 1 ? GET_INSTANCE : GET_INSTANCES, values, count, 1);
	statements_add(statements, count > 1 ? GET_INSTANCE_INFOS : GET_INFOS, values, count, 1);
}

int listing_load(struct listing *listing, const struct instance_key *key, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	char id[INSTANCE_ID_SIZE];
	int r = key ? instance_id_write(key, id) : 0;

	statements_init(&statements, listing->store);
	if (r < 0)
		return r;
	for (int32_t i = 0; !key && i < BUCKETS; i++)
		ask_for(&statements, (const struct cql_value[]){ statements_int(&statements, i) },
			1);
	if (key)
		ask_for(&statements,
			(const struct cql_value[]){
				statements_int(&statements, instance_bucket(id)), cql_text(id) },
			2);
	r = cassandra_outcome(statements_run(&statements, take_page, listing, err));
	if (listing->r == -EBADMSG)
		return cassandra_corrupt(listing->store, "the list of instances", err);
	if (listing->r)
		return listing->r;
	if (r == 0 && listing->count)
		qsort(listing->items, listing->count, sizeof(*listing->items), compare_listed);
	return r;
}

static void keep_matching(struct listing *listing, const struct store_filter *filter)
{
	size_t kept = 0;

	for (size_t i = 0; i < listing->count; i++)
		if (resident_matches(listing->items[i]->resident, filter))
			listing->items[kept++] = listing->items[i];
		else
			free(listing->items[i]);
	listing->count = kept;
}

static void settle_ends(struct listing *listing, struct resident *resident)
{
	int64_t kept_from_ms = cassandra_kept_from(listing->store);

	if (resident->last_ms)
		resident->first_ms = MAX_OF(resident->first_ms, kept_from_ms);
	else
		resident->first_ms = resident->groups = 0;
}

int listing_instances(struct cassandra_store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	struct listing listing;
	int r = listing_init(&listing, store);

	if (r == 0)
		r = listing_load(&listing, filter->key, err);
	if (r == 0) {
		keep_matching(&listing, filter);
		r = ends_find(&listing, err);
	}
	for (size_t i = 0; i < listing.count && r == 0; i++)
		settle_ends(&listing, listing.items[i]->resident);
	for (size_t i = 0; i < listing.count && r == 0; i++) {
		const struct store_instance instance = resident_listed(listing.items[i]->resident);

		if ((!filter->groups || filter->groups & instance.groups) &&
			each(context, &instance) != 0)
			r = STORE_STOPPED;
	}
	listing_deinit(&listing);
	return r;
}
