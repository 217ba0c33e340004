/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST_ROOM = 256 };

void buffer_init(struct buffer *buffer, size_t maximum)
{
	*buffer = (struct buffer){ .maximum = maximum };
}

void buffer_deinit(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){ .maximum = buffer->maximum };
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
	buffer->failure = 0;
}

int buffer_check(const struct buffer *buffer)
{
	return buffer->failure;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
	size_t room = MAX_OF(buffer->room, MIN_OF(buffer->maximum, (size_t)BUFFER_FIRST_ROOM));
	uint8_t *bytes;

	if (buffer->failure)
		return NULL;
	if (size <= buffer->room - buffer->size)
		return buffer->bytes + buffer->size;
	if (size > buffer->maximum - buffer->size) {
		buffer->failure = -EMSGSIZE;
		return NULL;
	}
	while (room - buffer->size < size)
		room = room > buffer->maximum / 2 ? buffer->maximum : room * 2;
	bytes = realloc(buffer->bytes, room);
	if (!bytes) {
		buffer->failure = -ENOMEM;
		return NULL;
	}
	buffer->bytes = bytes;
	buffer->room = room;
	return bytes + buffer->size;
}

void buffer_advance(struct buffer *buffer, size_t size)
{
	buffer->size += size;
}

void buffer_write(struct buffer *buffer, const void *bytes, size_t size)
{
	uint8_t *to = buffer_reserve(buffer, size);

	if (!to || !size)
		return;
	memcpy(to, bytes, size);
	buffer->size += size;
}

void buffer_write_u8(struct buffer *buffer, uint8_t value)
{
	buffer_write(buffer, &value, 1);
}

static void write_big_endian(struct buffer *buffer, uint64_t value, size_t size)
{
	uint8_t *to = buffer_reserve(buffer, size);

	if (!to)
		return;
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	buffer->size += size;
}

void buffer_write_u16(struct buffer *buffer, uint16_t value)
{
	write_big_endian(buffer, value, 2);
}

void buffer_write_u32(struct buffer *buffer, uint32_t value)
{
	write_big_endian(buffer, value, 4);
}

void buffer_write_u64(struct buffer *buffer, uint64_t value)
{
	write_big_endian(buffer, value, 8);
}

void buffer_write_varint(struct buffer *buffer, uint64_t value)
{
	uint8_t *to = buffer_reserve(buffer, 10);
	size_t used = 0;

	if (!to)
		return;
	do {
		to[used++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	buffer->size += used;
}

void buffer_write_signed(struct buffer *buffer, int64_t value)
{
	buffer_write_varint(buffer, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

void buffer_write_string(struct buffer *buffer, const char *text)
{
	size_t size = strlen(text);

	buffer_write_varint(buffer, size);
	buffer_write(buffer, text, size);
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	char nowhere[1];
	uint8_t *to;
	int size;

	va_start(args, format);
	size = vsnprintf(nowhere, sizeof(nowhere), format, args);
	va_end(args);
	if (size < 0) {
		buffer->failure = buffer->failure ? buffer->failure : -EINVAL;
		return;
	}
	to = buffer_reserve(buffer, (size_t)size + 1);
	if (!to)
		return;
	va_start(args, format);
	vsnprintf((char *)to, (size_t)size + 1, format, args);
	va_end(args);
	buffer->size += (size_t)size;
}
