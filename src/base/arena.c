/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_SIZE = 16 * 1024, ARENA_ALIGNMENT = _Alignof(max_align_t) };

struct arena_block {
	struct arena_block *older;
	size_t size;
	max_align_t bytes[];
};

void arena_init(struct arena *arena, size_t maximum)
{
	*arena = (struct arena){ .maximum = maximum };
}

static void free_blocks(struct arena_block *block)
{
	while (block) {
		struct arena_block *older = block->older;

		free(block);
		block = older;
	}
}

void arena_deinit(struct arena *arena)
{
	free_blocks(arena->blocks);
	*arena = (struct arena){ .maximum = arena->maximum };
}

void arena_clear(struct arena *arena)
{
	if (!arena->blocks)
		return;
	free_blocks(arena->blocks->older);
	arena->blocks->older = NULL;
	arena->total = arena->blocks->size;
	arena->used = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
	struct arena_block *block;

	if (size > arena->maximum - MIN_OF(arena->total, arena->maximum))
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	block->older = arena->blocks;
	block->size = size;
	arena->blocks = block;
	arena->total += size;
	arena->used = 0;
	return block;
}

void *arena_take(struct arena *arena, size_t size)
{
	void *taken;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
	if (!arena->blocks || arena->blocks->size - arena->used < size) {
		/* Each block at least as large as all before it: few blocks, however much. */
		size_t want = MAX_OF(size, MAX_OF(arena->total, (size_t)ARENA_BLOCK_SIZE));
		size_t left = arena->maximum - MIN_OF(arena->total, arena->maximum);

		if (!add_block(arena, MAX_OF(size, MIN_OF(want, left))))
			return NULL;
	}
	taken = (char *)arena->blocks->bytes + arena->used;
	arena->used += size;
	return memset(taken, 0, size);
}

void *arena_take_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_take(arena, total);
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t maximum, size_t size)
{
	void *larger;

	if (count >= maximum)
		return NULL;
	if (count & (count - 1)) /* 0, 1, 2, 4, ... are full */
		return array;
	larger = arena_take_array(arena, count ? 2 * count : 1, size);
	if (larger && count)
		memcpy(larger, array, count * size);
	return larger;
}

char *arena_copy_text(struct arena *arena, const char *text, size_t size)
{
	char *copy = size < SIZE_MAX ? arena_take(arena, size + 1) : NULL;

	if (copy)
		memcpy(copy, text, size);
	return copy;
}
