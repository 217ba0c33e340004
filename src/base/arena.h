/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Memory for many small things that die together: what one message decodes to, one question's
 * answer. Has a stated maximum; asking for more gives NULL, as running out of memory does. */

#include <stddef.h>

#include "base/macros.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the newest first */
	size_t used;                /* bytes taken from the newest block */
	size_t total;               /* bytes of all blocks */
	size_t maximum;
};

void arena_init(struct arena *arena, size_t maximum);
void arena_deinit(struct arena *arena);
CLEANUP_DEFINE_VALUE(struct arena, arena_deinit)

/* Gives everything back but one block, which the next use begins with. */
void arena_clear(struct arena *arena);

/* Zeroed, aligned for any type; NULL when there is no more. */
void *arena_take(struct arena *arena, size_t size);

/* The same for an array; NULL also if the product overflows. */
void *arena_take_array(struct arena *arena, size_t count, size_t size);

/* Room for one more in an array that only this function made: `array`, or a copy of twice its size
 * where it is full. NULL: there is no more, or it has `maximum` items already. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t maximum, size_t size);

/* A copy that ends with NUL. */
char *arena_copy_text(struct arena *arena, const char *text, size_t size);
