/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <string.h>

#include "store/cassandra/private.h"

enum { STAYS_MEMORY_MAX = 256 * 1024 * 1024, STAYS_MAX = 1 << 20 };

void stays_init(struct stays *stays)
{
	*stays = (struct stays){ .count = 0 };
	arena_init(&stays->arena, STAYS_MEMORY_MAX);
}

void stays_deinit(struct stays *stays)
{
	arena_deinit(&stays->arena);
}

struct loading {
	struct cassandra_store *store;
	struct stays *stays;
};

/* As the one before, mostly. */
static const char *keep_host(struct stays *stays, const char *host)
{
	const char *before = stays->count ? stays->items[stays->count - 1].host : "";

	return strcmp(before, host) == 0 ? before
					 : arena_copy_text(&stays->arena, host, strlen(host));
}

/* (day, host, shape) */
static int add_day(void *context, const struct cql_result *row, struct error *err)
{
	struct loading *loading = context;
	struct stays *stays = loading->stays;
	struct cql_value shape = cql_result_value(row, 2);
	struct stay *items =
		arena_grow(&stays->arena, stays->items, stays->count, STAYS_MAX, sizeof(*items));
	char host[HOST_SIZE];
	struct stay stay;

	if (!items)
		return -ENOMEM;
	stays->items = items;
	if (read_day(cql_result_value(row, 0), &stay.day) < 0 ||
		cql_read_text(cql_result_value(row, 1), host, sizeof(host)) < 0 ||
		shape.size != DIGEST_SIZE)
		return cassandra_corrupt(loading->store, "the list of an instance's days", err);
	memcpy(stay.shape.bytes, shape.bytes, DIGEST_SIZE);
	stay.host = keep_host(stays, host);
	if (!stay.host)
		return -ENOMEM;
	items[stays->count++] = stay;
	return 0;
}

int stays_load(struct cassandra_store *store, const char *id, int64_t from, int64_t to,
	struct stays *stays, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	struct loading loading = { store, stays };

	statements_init(&statements, store);
	statements_add(&statements, GET_DAYS,
		(const struct cql_value[]){ cql_text(id), statements_day(&statements, from),
			statements_day(&statements, to) },
		3, 1);
	return statements_each_row(&statements, add_day, &loading, err);
}

int64_t *stays_days(struct stays *stays, size_t *ret_count)
{
	int64_t *numbers = arena_take_array(&stays->arena, stays->count + 1, sizeof(*numbers));
	size_t count = 0;

	for (size_t i = 0; i < stays->count && numbers; i++)
		if (count == 0 || numbers[count - 1] != stays->items[i].day)
			numbers[count++] = stays->items[i].day;
	*ret_count = count;
	return numbers;
}

size_t stays_find(const struct stays *stays, int64_t day)
{
	size_t low = 0, high = stays->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (stays->items[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
