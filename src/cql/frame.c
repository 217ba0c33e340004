/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/frame.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <lz4.h>

#include "base/cursor.h"

enum {
	FRAME_IS_RESPONSE = 0x80, /* of the version's byte */
	STREAM_OFFSET = 2,
	SIZE_OFFSET = 5,
	LZ4_SIZE_PREFIX = 4, /* the plain size, big-endian, before the compressed bytes */
};

_Static_assert(CQL_RESPONSE_MAX <= INT_MAX, "sizes fit into LZ4's");
_Static_assert(CQL_REQUEST_MAX <= LZ4_MAX_INPUT_SIZE, "requests can be compressed");

static bool is_answer(uint8_t opcode)
{
	switch (opcode) {
	case CQL_ERROR:
	case CQL_READY:
	case CQL_AUTHENTICATE:
	case CQL_SUPPORTED:
	case CQL_RESULT:
	case CQL_EVENT:
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		return true;
	default:
		return false;
	}
}

int cql_frame_decode(const uint8_t *bytes, struct cql_frame *ret_frame, struct error *err)
{
	struct cursor cursor = cursor_over(bytes, CQL_FRAME_HEADER_SIZE);
	uint8_t version = cursor_read_u8(&cursor);
	uint8_t flags = cursor_read_u8(&cursor);
	uint16_t stream = cursor_read_u16(&cursor);
	uint8_t opcode = cursor_read_u8(&cursor);
	uint32_t size = cursor_read_u32(&cursor);

	if (!(version & FRAME_IS_RESPONSE))
		return error_set(err, -EPROTO, "this is no answer of a CQL server");
	version &= (uint8_t)~FRAME_IS_RESPONSE;
	if (version != CQL_PROTOCOL_VERSION)
		return error_set(err, -EPROTONOSUPPORT,
			"the server answers in version %d of CQL's protocol, not in %d", version,
			CQL_PROTOCOL_VERSION);
	if (!is_answer(opcode))
		return error_set(err, -EPROTO, "the server sent opcode %d", opcode);
	*ret_frame = (struct cql_frame){
		.flags = flags, .stream = (int16_t)stream, .opcode = opcode, .size = size
	};
	if (size > CQL_RESPONSE_MAX)
		return error_set(err, -EMSGSIZE, "an answer of %u bytes; at most %d are read", size,
			CQL_RESPONSE_MAX);
	return 0;
}

int cql_frame_decompress(const uint8_t *body, size_t size, struct buffer *to, struct error *err)
{
	struct cursor cursor = cursor_over(body, size);
	uint32_t plain_size = cursor_read_u32(&cursor);
	size_t packed_size = cursor_left(&cursor);
	uint8_t *plain;

	buffer_clear(to);
	if (cursor.is_broken || packed_size > CQL_RESPONSE_MAX)
		return error_set(err, -EPROTO, "a compressed answer of %zu bytes", size);
	if (plain_size > CQL_RESPONSE_MAX)
		return error_set(err, -EMSGSIZE, "an answer of %u bytes; at most %d are read",
			plain_size, CQL_RESPONSE_MAX);
	/* No byte of LZ4's stands for more than 255. */
	if (plain_size / 255 > packed_size)
		return error_set(err, -EPROTO, "an answer that LZ4 cannot unpack");
	if (plain_size == 0)
		return 0;
	plain = buffer_reserve(to, plain_size);
	if (!plain)
		return buffer_check(to);
	if (LZ4_decompress_safe((const char *)cursor.next, (char *)plain, (int)packed_size,
		    (int)plain_size) != (int)plain_size)
		return error_set(err, -EPROTO, "an answer that LZ4 cannot unpack");
	buffer_advance(to, plain_size);
	return 0;
}

static void write_big_endian(uint8_t *to, uint32_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

void cql_frame_set_stream(uint8_t *frame, int16_t stream)
{
	write_big_endian(frame + STREAM_OFFSET, (uint16_t)stream, 2);
}

/* The size that the packed body has; 0 if it would not be smaller. */
static size_t pack(const uint8_t *body, size_t size, uint8_t *to)
{
	int room = (int)size - LZ4_SIZE_PREFIX - 1;
	int packed;

	if (room <= 0)
		return 0;
	packed = LZ4_compress_default(
		(const char *)body, (char *)to + LZ4_SIZE_PREFIX, (int)size, room);
	if (packed <= 0)
		return 0;
	write_big_endian(to, (uint32_t)size, LZ4_SIZE_PREFIX);
	return (size_t)packed + LZ4_SIZE_PREFIX;
}

void cql_frame_compress(const uint8_t *frame, size_t size, int16_t stream, struct buffer *to)
{
	size_t body_size = size - CQL_FRAME_HEADER_SIZE;
	uint8_t *copy = buffer_reserve(to, size);
	size_t packed;

	if (!copy)
		return;
	memcpy(copy, frame, CQL_FRAME_HEADER_SIZE);
	cql_frame_set_stream(copy, stream);
	packed = pack(frame + CQL_FRAME_HEADER_SIZE, body_size, copy + CQL_FRAME_HEADER_SIZE);
	if (packed) {
		copy[1] |= CQL_FRAME_COMPRESSED;
		write_big_endian(copy + SIZE_OFFSET, (uint32_t)packed, 4);
		buffer_advance(to, CQL_FRAME_HEADER_SIZE + packed);
		return;
	}
	memcpy(copy + CQL_FRAME_HEADER_SIZE, frame + CQL_FRAME_HEADER_SIZE, body_size);
	buffer_advance(to, size);
}
