/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "spool/index.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 64 };

void index_deinit(struct index *index)
{
	index_drop_first(index, index->count);
	free(index->items);
	*index = (struct index){ 0 };
}

/* Space at the front is used again once it is half of all. */
static bool make_room(struct index *index)
{
	size_t room = MAX_OF(2 * index->count, (size_t)ROOM_MIN);
	struct entry *items;

	if (index->first + index->count < index->room)
		return true;
	if (index->first <= index->count) {
		items = reallocarray(index->items, index->first + room, sizeof(*items));
		if (!items)
			return false;
		index->items = items;
		index->room = index->first + room;
	} else {
		memmove(index->items, index->items + index->first,
			index->count * sizeof(*index->items));
		index->first = 0;
	}
	return true;
}

struct entry *index_add(struct index *index)
{
	struct entry *entry;

	if (!make_room(index))
		return NULL;
	entry = &index->items[index->first + index->count++];
	*entry = (struct entry){ 0 };
	return entry;
}

struct entry *index_at(const struct index *index, size_t i)
{
	return &index->items[index->first + i];
}

struct entry *index_last(const struct index *index)
{
	return index->count ? index_at(index, index->count - 1) : NULL;
}

size_t index_find(const struct index *index, uint64_t sequence)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index_at(index, middle)->record.sequence < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void index_drop_first(struct index *index, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(index_at(index, i)->bytes);
	index->first = index->count == count ? 0 : index->first + count;
	index->count -= count;
	index->in_memory = MIN_OF(index->in_memory, index->count);
}

void index_remove(struct index *index, size_t i)
{
	if (i >= index->count - index->in_memory)
		index->in_memory--;
	free(index_at(index, i)->bytes);
	memmove(index_at(index, i), index_at(index, i) + 1,
		(index->count - i - 1) * sizeof(*index->items));
	index->count--;
}

/* Nothing that is not there stands between an entry and the one after it. */
static bool is_joined(const struct index *index, size_t i)
{
	return index_at(index, i + 1)->record.previous == index_at(index, i)->record.sequence;
}

void index_thin(struct index *index, size_t begin, size_t end, const bool *marks)
{
	size_t kept = begin, saved = index->count - index->in_memory;

	for (size_t i = begin; i < end; i++) {
		struct entry *entry = index_at(index, i);

		if (marks[i - begin]) {
			index_at(index, i + 1)->record.previous = entry->record.previous;
			free(entry->bytes);
			index->in_memory -= i >= saved;
		} else {
			*index_at(index, kept++) = *entry;
		}
	}
	memmove(index_at(index, kept), index_at(index, end),
		(index->count - end) * sizeof(*index->items));
	index->count -= end - kept;
}

/* All messages of one round carry its time, and go or stay together. */
size_t index_mark_thin(const struct index *index, size_t begin, size_t end, bool *marks)
{
	int64_t time_ms = 0;
	bool is_taken = false;
	size_t count = 0;

	for (size_t i = begin; i < end; i++) {
		const struct record *record = &index_at(index, i)->record;

		marks[i - begin] = false;
		if (!record->note.is_thinnable)
			continue;
		if (record->note.last_ms != time_ms)
			is_taken = !is_taken;
		time_ms = record->note.last_ms;
		marks[i - begin] = is_taken && i + 1 < end && is_joined(index, i);
		count += marks[i - begin];
	}
	return count;
}
