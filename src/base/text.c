/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/text.h"

#include <errno.h>
#include <string.h>

/* Bytes that follow a lead byte, the smallest code point they may encode, and the lead's bits. */
static bool read_sequence(const uint8_t *bytes, size_t size, size_t *ret_used)
{
	static const struct {
		uint8_t mask, lead, follow;
		uint32_t smallest;
	} forms[] = {
		{ 0x80, 0x00, 0, 0 },
		{ 0xe0, 0xc0, 1, 0x80 },
		{ 0xf0, 0xe0, 2, 0x800 },
		{ 0xf8, 0xf0, 3, 0x10000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint32_t point;

		if ((bytes[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (size <= forms[i].follow)
			return false;
		point = bytes[0] & (uint8_t)~forms[i].mask;
		for (size_t k = 1; k <= forms[i].follow; k++) {
			if ((bytes[k] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (bytes[k] & 0x3f);
		}
		*ret_used = forms[i].follow + 1u;
		return point >= forms[i].smallest && point <= 0x10ffff &&
		       (point < 0xd800 || point > 0xdfff);
	}
	return false;
}

bool text_is_utf8(const void *bytes, size_t size)
{
	const uint8_t *next = bytes;

	while (size > 0) {
		size_t used;

		if (!read_sequence(next, size, &used))
			return false;
		next += used;
		size -= used;
	}
	return true;
}

void text_make_printable(char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int text_to_scaled(const char *text, unsigned int places, int64_t *ret_value)
{
	bool negative = *text == '-', digits = false, point = false;
	unsigned int left = places;
	int64_t value = 0;

	if (negative)
		text++;
	for (; *text; text++) {
		if (*text == '.' && places && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return -EINVAL;
		digits = true;
		if (point && left == 0)
			continue;
		if (point)
			left--;
		/* Below zero all the way, so that the smallest number fits. */
		if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
			__builtin_sub_overflow(value, (int64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	if (!digits)
		return -EINVAL;
	for (; left > 0; left--)
		if (__builtin_mul_overflow(value, (int64_t)10, &value))
			return -ERANGE;
	if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_to_i64(const char *text, int64_t *ret_value)
{
	return text_to_scaled(text, 0, ret_value);
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool text_copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size);

	if (len == size)
		len--;
	memcpy(to, from, len);
	to[len] = '\0';
	return from[len] == '\0';
}

uint64_t text_hash(uint64_t seed, const void *bytes, size_t size)
{
	const uint8_t *next = bytes;

	for (size_t i = 0; i < size; i++)
		seed = (seed ^ next[i]) * 0x100000001b3u;
	return seed;
}
