/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A growing byte buffer with a stated maximum, and the writing side of base/cursor.h.
 *
 * The first write that does not fit (over the maximum, or no memory) marks the buffer as failed;
 * later writes do nothing. An encoder writes all its fields and asks once, at the end. */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct buffer {
	uint8_t *bytes;
	size_t size;
	size_t room;
	size_t maximum;
	int failure; /* 0, -EMSGSIZE, -ENOMEM, or -EINVAL if a text could not be printed */
};

void buffer_init(struct buffer *buffer, size_t maximum);
void buffer_deinit(struct buffer *buffer);
CLEANUP_DEFINE_VALUE(struct buffer, buffer_deinit)

/* Keeps the memory, forgets the content and the failure. */
void buffer_clear(struct buffer *buffer);

/* Returns 0; -EMSGSIZE or -ENOMEM if a write so far failed. */
MUST_CHECK int buffer_check(const struct buffer *buffer);

void buffer_write(struct buffer *buffer, const void *bytes, size_t size);
void buffer_write_u8(struct buffer *buffer, uint8_t value);
void buffer_write_u16(struct buffer *buffer, uint16_t value); /* big-endian, all three */
void buffer_write_u32(struct buffer *buffer, uint32_t value);
void buffer_write_u64(struct buffer *buffer, uint64_t value);
void buffer_write_varint(struct buffer *buffer, uint64_t value);
void buffer_write_signed(struct buffer *buffer, int64_t value);
void buffer_write_string(struct buffer *buffer, const char *text);
void buffer_print(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes room for `size` more bytes and returns where they begin, or NULL; the caller fills them and
 * calls buffer_advance. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_advance(struct buffer *buffer, size_t size);
