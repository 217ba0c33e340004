/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/murmur3.h"

#include <limits.h>

static const uint64_t c1 = UINT64_C(0x87c37b91114253d5), c2 = UINT64_C(0x4cf5ad432745937f);

static uint64_t rotate(uint64_t value, unsigned int bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t mix_k1(uint64_t k1)
{
	return rotate(k1 * c1, 31) * c2;
}

static uint64_t mix_k2(uint64_t k2)
{
	return rotate(k2 * c2, 33) * c1;
}

static uint64_t finish(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static uint64_t read_little_endian(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

/* Up to eight bytes of the tail. Java's bytes have a sign: one above 0x7f turns all bits above it.
 */
static uint64_t read_tail(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size && i < 8; i++)
		value ^= (uint64_t)(int64_t)(int8_t)bytes[i] << (8 * i);
	return value;
}

int64_t cql_murmur3_token(const void *key, size_t size)
{
	const uint8_t *bytes = key;
	uint64_t h1 = 0, h2 = 0;
	size_t tail = size % 16;

	if (size == 0)
		return INT64_MIN;
	for (const uint8_t *end = bytes + (size - tail); bytes < end; bytes += 16) {
		h1 ^= mix_k1(read_little_endian(bytes));
		h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= mix_k2(read_little_endian(bytes + 8));
		h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	h2 ^= mix_k2(tail > 8 ? read_tail(bytes + 8, tail - 8) : 0);
	h1 ^= mix_k1(read_tail(bytes, tail));
	h1 ^= size;
	h2 ^= size;
	h1 += h2;
	h2 += h1;
	h1 = finish(h1) + finish(h2);
	return (int64_t)h1 == INT64_MIN ? INT64_MAX : (int64_t)h1;
}
