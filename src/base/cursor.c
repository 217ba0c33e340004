/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/cursor.h"

#include <string.h>

struct cursor cursor_over(const void *bytes, size_t size)
{
	return (struct cursor){ .next = bytes, .end = (const uint8_t *)bytes + size };
}

size_t cursor_left(const struct cursor *cursor)
{
	return cursor->is_broken ? 0 : (size_t)(cursor->end - cursor->next);
}

const uint8_t *cursor_read_bytes(struct cursor *cursor, size_t size)
{
	const uint8_t *bytes = cursor->next;

	if (cursor->is_broken || cursor_left(cursor) < size) {
		cursor->is_broken = true;
		return NULL;
	}
	cursor->next += size;
	return bytes;
}

static uint64_t read_big_endian(struct cursor *cursor, size_t size)
{
	const uint8_t *bytes = cursor_read_bytes(cursor, size);
	uint64_t value = 0;

	for (size_t i = 0; bytes && i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint8_t cursor_read_u8(struct cursor *cursor)
{
	return (uint8_t)read_big_endian(cursor, 1);
}

uint16_t cursor_read_u16(struct cursor *cursor)
{
	return (uint16_t)read_big_endian(cursor, 2);
}

uint32_t cursor_read_u32(struct cursor *cursor)
{
	return (uint32_t)read_big_endian(cursor, 4);
}

uint64_t cursor_read_u64(struct cursor *cursor)
{
	return read_big_endian(cursor, 8);
}

uint64_t cursor_read_varint(struct cursor *cursor)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64 && !cursor->is_broken; shift += 7) {
		uint8_t byte = cursor_read_u8(cursor);

		/* The tenth byte has room for one bit; a last byte of zero says nothing. */
		if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0))
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return cursor->is_broken ? 0 : value;
	}
	cursor->is_broken = true;
	return 0;
}

int64_t cursor_read_signed(struct cursor *cursor)
{
	uint64_t zigzag = cursor_read_varint(cursor);

	return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

size_t cursor_read_size(struct cursor *cursor, size_t limit)
{
	uint64_t size = cursor_read_varint(cursor);

	if (size > limit) {
		cursor->is_broken = true;
		return 0;
	}
	return (size_t)size;
}

void cursor_read_string(struct cursor *cursor, char *to, size_t limit)
{
	size_t size = cursor_read_size(cursor, limit);
	const uint8_t *bytes = cursor_read_bytes(cursor, size);

	if (bytes && memchr(bytes, 0, size))
		cursor->is_broken = true;
	if (cursor->is_broken)
		size = 0;
	if (size)
		memcpy(to, bytes, size);
	to[size] = '\0';
}
