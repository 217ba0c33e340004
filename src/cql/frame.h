/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A frame of CQL's native protocol, version 4: nine bytes of header, then a body that may be
 * compressed with LZ4. Pure functions over buffers: what they read came from a server and may be
 * anything.
 *
 * An outgoing frame is written plain (cql/request.h); its stream is set, and it is compressed, when
 * the connection that carries it is known. */

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"

enum {
	CQL_PROTOCOL_VERSION = 4,
	CQL_FRAME_HEADER_SIZE = 9,
	CQL_REQUEST_MAX = 16 * 1024 * 1024, /* bytes of a frame; more than that Cassandra refuses */
	CQL_RESPONSE_MAX = 64 * 1024 * 1024, /* bytes of a body, plain or compressed */
	CQL_STREAMS_MAX = 32768,             /* of one connection: streams 0 to 32767 */
	CQL_STREAM_EVENTS = -1,              /* what the server sends unasked */
};

enum cql_opcode {
	CQL_ERROR = 0x00,
	CQL_STARTUP = 0x01,
	CQL_READY = 0x02,
	CQL_AUTHENTICATE = 0x03,
	CQL_OPTIONS = 0x05,
	CQL_SUPPORTED = 0x06,
	CQL_QUERY = 0x07,
	CQL_RESULT = 0x08,
	CQL_PREPARE = 0x09,
	CQL_EXECUTE = 0x0a,
	CQL_REGISTER = 0x0b,
	CQL_EVENT = 0x0c,
	CQL_BATCH = 0x0d,
	CQL_AUTH_CHALLENGE = 0x0e,
	CQL_AUTH_RESPONSE = 0x0f,
	CQL_AUTH_SUCCESS = 0x10,
};

enum cql_frame_flag {
	CQL_FRAME_COMPRESSED = 0x01,
	CQL_FRAME_TRACED = 0x02,
	CQL_FRAME_PAYLOAD = 0x04,
	CQL_FRAME_WARNED = 0x08,
};

enum cql_consistency {
	CQL_ANY = 0x0000,
	CQL_ONE = 0x0001,
	CQL_TWO = 0x0002,
	CQL_THREE = 0x0003,
	CQL_QUORUM = 0x0004,
	CQL_ALL = 0x0005,
	CQL_LOCAL_QUORUM = 0x0006,
	CQL_EACH_QUORUM = 0x0007,
	CQL_SERIAL = 0x0008,
	CQL_LOCAL_SERIAL = 0x0009,
	CQL_LOCAL_ONE = 0x000a,
};

/* The header of an answer. */
struct cql_frame {
	uint8_t flags;
	int16_t stream;
	enum cql_opcode opcode;
	uint32_t size; /* of the body that follows, at most CQL_RESPONSE_MAX if it can be read */
};

/* Reads the CQL_FRAME_HEADER_SIZE bytes before a body.
 * Returns 0; -EPROTONOSUPPORT if the server answers in another version; -EPROTO if it is no answer;
 * -EMSGSIZE, with *ret_frame, if its body would be too large. After an error the connection is of
 * no more use. */
MUST_CHECK int cql_frame_decode(
	const uint8_t *bytes, struct cql_frame *ret_frame, struct error *err);

/* Unpacks a body that has CQL_FRAME_COMPRESSED into `to`, which is cleared first and must have a
 * maximum of CQL_RESPONSE_MAX.
 * Returns 0; -EPROTO if it is damaged; -EMSGSIZE if it would be too large; -ENOMEM. */
MUST_CHECK int cql_frame_decompress(
	const uint8_t *body, size_t size, struct buffer *to, struct error *err);

/* Appends the whole plain frame of `size` bytes to `to`, compressed if that makes it smaller, and
 * with this stream. Never a STARTUP. Failures stick to `to`. */
void cql_frame_compress(const uint8_t *frame, size_t size, int16_t stream, struct buffer *to);

/* Of a whole frame that was written already. */
void cql_frame_set_stream(uint8_t *frame, int16_t stream);
