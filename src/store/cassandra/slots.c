/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

void slots_deinit(struct slots *slots)
{
	free(slots->items);
	*slots = (struct slots){ NULL, 0, 0 };
}

int slots_add(struct slots *slots, const struct slot *slot)
{
	if (slots->count == slots->room) {
		size_t room = slots->room ? 2 * slots->room : 64;
		struct slot *items = reallocarray(slots->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		slots->items = items;
		slots->room = room;
	}
	slots->items[slots->count++] = *slot;
	return 0;
}

int slots_add_time(
	struct slots *slots, const char *host, int32_t number, int64_t from_ms, int64_t to_ms)
{
	int64_t from = floor_divide(from_ms, QUARTER_MS), to = floor_divide(to_ms, QUARTER_MS);
	int r = 0;

	for (int64_t quarter = from; quarter <= to && r == 0; quarter++)
		r = slots_add(slots, &(const struct slot){ host, quarter * QUARTER_MS, number });
	return r;
}

static int compare_slots(const void *a, const void *b)
{
	const struct slot *one = a, *other = b;

	int order = strcmp(one->host, other->host);

	if (order == 0)
		order = compare_i64(&one->quarter_ms, &other->quarter_ms);
	return order ? order : one->number - other->number;
}

void slots_sort(struct slots *slots)
{
	size_t count = 0;

	if (slots->count)
		qsort(slots->items, slots->count, sizeof(*slots->items), compare_slots);
	for (size_t i = 0; i < slots->count; i++)
		if (count == 0 || compare_slots(&slots->items[count - 1], &slots->items[i]) != 0)
			slots->items[count++] = slots->items[i];
	slots->count = count;
}

size_t slots_find(const struct slots *slots, const struct slot *slot)
{
	const struct slot *found =
		bsearch(slot, slots->items, slots->count, sizeof(*slots->items), compare_slots);

	return found ? (size_t)(found - slots->items) : slots->count;
}

enum { SLOT_VALUES = 3, VALUES_MAX = SLOT_VALUES + 2 };

/* The slot, and what else the statement asks for. */
static struct cql_statement *ask(struct statements *statements, enum statement statement,
	const struct slot *slot, const struct cql_value *more, size_t count)
{
	struct cql_value values[VALUES_MAX] = { statements_text(statements, slot->host),
		statements_bigint(statements, slot->quarter_ms),
		statements_int(statements, slot->number) };

	memcpy(&values[SLOT_VALUES], more, count * sizeof(*more));
	return statements_add(statements, statement, values, SLOT_VALUES + count, 2);
}

struct cql_statement *slot_ask(
	struct statements *statements, const struct slot *slot, int64_t from_ms, int64_t to_ms)
{
	const struct cql_value window[] = { statements_bigint(statements, from_ms),
		statements_bigint(statements, to_ms) };

	return ask(statements, GET_READINGS, slot, window, ARRAY_SIZE(window));
}

struct cql_statement *slot_ask_down(
	struct statements *statements, const struct slot *slot, int64_t before_ms)
{
	const struct cql_value before = statements_bigint(statements, before_ms);

	return ask(statements, GET_READINGS_DOWN, slot, &before, 1);
}

struct cql_statement *slot_ask_last(
	struct statements *statements, const struct slot *slot, int32_t count)
{
	const struct cql_value limit = statements_int(statements, count);

	return ask(statements, GET_LAST_READINGS, slot, &limit, 1);
}
