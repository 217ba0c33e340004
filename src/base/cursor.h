/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Reads a byte buffer that came from somewhere else.
 *
 * The first read that does not fit, or is not well-formed, marks the cursor as broken; from then on
 * every read returns zero and moves nothing. A decoder reads all its fields and asks once, at the
 * end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *next;
	const uint8_t *end;
	bool is_broken;
};

struct cursor cursor_over(const void *bytes, size_t size);

size_t cursor_left(const struct cursor *cursor);

uint8_t cursor_read_u8(struct cursor *cursor);
uint16_t cursor_read_u16(struct cursor *cursor); /* big-endian */
uint32_t cursor_read_u32(struct cursor *cursor); /* big-endian */
uint64_t cursor_read_u64(struct cursor *cursor); /* big-endian */

/* LEB128, at most ten bytes; a form longer than the number needs is broken. */
uint64_t cursor_read_varint(struct cursor *cursor);

/* Zigzag over LEB128. */
int64_t cursor_read_signed(struct cursor *cursor);

/* A varint that must not exceed `limit`: lengths and counts. */
size_t cursor_read_size(struct cursor *cursor, size_t limit);

/* The next `size` bytes, or NULL. They live as long as the buffer. */
const uint8_t *cursor_read_bytes(struct cursor *cursor, size_t size);

/* A length (at most limit) and that many bytes, which must hold no NUL. Copies them to `to` (of at
 * least limit + 1 bytes) and ends them with NUL. */
void cursor_read_string(struct cursor *cursor, char *to, size_t limit);
