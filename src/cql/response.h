/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a server says. Nothing is copied: texts, rows, ids point into the body and live as long as
 * it does. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/frame.h"
#include "cql/reply.h"
#include "cql/value.h"

enum cql_error_code {
	CQL_ERROR_SERVER = 0x0000,
	CQL_ERROR_PROTOCOL = 0x000a,
	CQL_ERROR_CREDENTIALS = 0x0100,
	CQL_ERROR_UNAVAILABLE = 0x1000,
	CQL_ERROR_OVERLOADED = 0x1001,
	CQL_ERROR_BOOTSTRAPPING = 0x1002,
	CQL_ERROR_TRUNCATE = 0x1003,
	CQL_ERROR_WRITE_TIMEOUT = 0x1100,
	CQL_ERROR_READ_TIMEOUT = 0x1200,
	CQL_ERROR_READ_FAILURE = 0x1300,
	CQL_ERROR_FUNCTION_FAILURE = 0x1400,
	CQL_ERROR_WRITE_FAILURE = 0x1500,
	CQL_ERROR_CDC_WRITE_FAILURE = 0x1600,
	CQL_ERROR_CAS_WRITE_UNKNOWN = 0x1700,
	CQL_ERROR_SYNTAX = 0x2000,
	CQL_ERROR_UNAUTHORIZED = 0x2100,
	CQL_ERROR_INVALID = 0x2200,
	CQL_ERROR_CONFIG = 0x2300,
	CQL_ERROR_ALREADY_EXISTS = 0x2400,
	CQL_ERROR_UNPREPARED = 0x2500,
};

/* What is not told of an error is zero. */
struct cql_error {
	int32_t code; /* of enum cql_error_code, or one that it does not know */
	struct cql_bytes message;
	enum cql_consistency consistency; /* timeouts, failures, unavailable */
	int32_t required;                 /* answers needed for it */
	int32_t received;                 /* answers that came; unavailable: replicas alive */
	int32_t failures;                 /* replicas that failed */
	bool has_data;                    /* of a read: the replica with the data answered */
	struct cql_bytes write_type;      /* "SIMPLE", "UNLOGGED_BATCH", "CAS", ... */
	struct cql_bytes keyspace, name;  /* already exists; the function that failed */
	struct cql_bytes id;              /* unprepared */
};

/* Writes "Cassandra: unavailable (2 of 3 replicas at QUORUM): the message" and the like. Returns
 * `code`. */
int cql_error_describe(const struct cql_error *error, int code, struct error *err);

enum cql_event_kind { CQL_EVENT_TOPOLOGY = 1, CQL_EVENT_STATUS, CQL_EVENT_SCHEMA };

struct cql_event {
	enum cql_event_kind kind;
	struct cql_bytes change; /* "NEW_NODE", "REMOVED_NODE", "MOVED_NODE"; "UP", "DOWN" */
	struct cql_address address;
	struct cql_schema_change schema;
};

/* What SUPPORTED offers. */
struct cql_supported {
	struct cursor options;
	uint16_t count;
};

/* Does `option` ("COMPRESSION") offer `value` ("lz4")? */
bool cql_supported_has(
	const struct cql_supported *supported, const char *option, const char *value);

struct cql_response {
	enum cql_opcode opcode;
	struct cql_bytes warning; /* the first one, if the frame has any */
	union {
		struct cql_error error;
		struct cql_reply reply; /* RESULT */
		struct cql_event event;
		struct cql_supported supported;
		struct cql_bytes authenticator; /* AUTHENTICATE: the name of its class */
		struct cql_bytes token;         /* AUTH_CHALLENGE, AUTH_SUCCESS */
	};
};

/* Decodes a plain body (of a frame without CQL_FRAME_COMPRESSED, or what cql_frame_decompress
 * gave). Returns 0; -EPROTO if it is damaged, not an answer, or has more columns than
 * CQL_COLUMNS_MAX. */
MUST_CHECK int cql_response_decode(const struct cql_frame *frame, const void *body, size_t size,
	struct cql_response *ret_response, struct error *err);
