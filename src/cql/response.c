/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/response.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cql/notation.h"

enum { TRACING_ID_SIZE = 16 };

/* What may stand before the body of its opcode. */
static void read_prelude(struct cursor *cursor, uint8_t flags, struct cql_response *response)
{
	uint16_t payloads;

	if (flags & CQL_FRAME_TRACED)
		(void)cursor_read_bytes(cursor, TRACING_ID_SIZE);
	if (flags & CQL_FRAME_WARNED)
		response->warning = cql_notation_string_list(cursor);
	payloads = flags & CQL_FRAME_PAYLOAD ? cursor_read_u16(cursor) : 0;
	for (uint16_t i = 0; i < payloads && !cursor->is_broken; i++) {
		(void)cql_notation_string(cursor);
		(void)cql_notation_bytes(cursor);
	}
}

static void read_answers(struct cursor *cursor, struct cql_error *error)
{
	error->consistency = cursor_read_u16(cursor);
	error->received = (int32_t)cursor_read_u32(cursor);
	error->required = (int32_t)cursor_read_u32(cursor);
}

static void read_error_extra(struct cursor *cursor, struct cql_error *error)
{
	switch (error->code) {
	case CQL_ERROR_UNAVAILABLE:
		error->consistency = cursor_read_u16(cursor);
		error->required = (int32_t)cursor_read_u32(cursor);
		error->received = (int32_t)cursor_read_u32(cursor);
		break;
	case CQL_ERROR_WRITE_TIMEOUT:
		read_answers(cursor, error);
		error->write_type = cql_notation_string(cursor);
		break;
	case CQL_ERROR_READ_TIMEOUT:
		read_answers(cursor, error);
		error->has_data = cursor_read_u8(cursor) != 0;
		break;
	case CQL_ERROR_READ_FAILURE:
		read_answers(cursor, error);
		error->failures = (int32_t)cursor_read_u32(cursor);
		error->has_data = cursor_read_u8(cursor) != 0;
		break;
	case CQL_ERROR_WRITE_FAILURE:
		read_answers(cursor, error);
		error->failures = (int32_t)cursor_read_u32(cursor);
		error->write_type = cql_notation_string(cursor);
		break;
	case CQL_ERROR_CAS_WRITE_UNKNOWN:
		read_answers(cursor, error);
		break;
	case CQL_ERROR_FUNCTION_FAILURE:
		error->keyspace = cql_notation_string(cursor);
		error->name = cql_notation_string(cursor);
		(void)cql_notation_string_list(cursor);
		break;
	case CQL_ERROR_ALREADY_EXISTS:
		error->keyspace = cql_notation_string(cursor);
		error->name = cql_notation_string(cursor);
		break;
	case CQL_ERROR_UNPREPARED:
		error->id = cql_notation_string(cursor);
		break;
	default:
		break;
	}
}

static void read_error(struct cursor *cursor, struct cql_error *error)
{
	error->code = (int32_t)cursor_read_u32(cursor);
	error->message = cql_notation_string(cursor);
	read_error_extra(cursor, error);
}

static void read_event(struct cursor *cursor, struct cql_event *event)
{
	struct cql_bytes kind = cql_notation_string(cursor);

	if (cql_bytes_equal(kind, "SCHEMA_CHANGE")) {
		event->kind = CQL_EVENT_SCHEMA;
		cql_schema_change_decode(cursor, &event->schema);
		return;
	}
	if (cql_bytes_equal(kind, "TOPOLOGY_CHANGE"))
		event->kind = CQL_EVENT_TOPOLOGY;
	else if (cql_bytes_equal(kind, "STATUS_CHANGE"))
		event->kind = CQL_EVENT_STATUS;
	else
		cursor->is_broken = true;
	event->change = cql_notation_string(cursor);
	event->address = cql_notation_inet(cursor);
}

static void read_supported(struct cursor *cursor, struct cql_supported *supported)
{
	supported->count = cursor_read_u16(cursor);
	supported->options = *cursor;
	for (uint16_t i = 0; i < supported->count && !cursor->is_broken; i++) {
		(void)cql_notation_string(cursor);
		(void)cql_notation_string_list(cursor);
	}
}

bool cql_supported_has(const struct cql_supported *supported, const char *option, const char *value)
{
	struct cursor cursor = supported->options;
	bool has = false;

	for (uint16_t i = 0; i < supported->count; i++) {
		bool is_meant = cql_bytes_equal(cql_notation_string(&cursor), option);
		uint16_t count = cursor_read_u16(&cursor);

		for (uint16_t j = 0; j < count; j++)
			has |= cql_bytes_equal(cql_notation_string(&cursor), value) && is_meant;
	}
	return has;
}

static void read_body(struct cursor *cursor, struct cql_response *response)
{
	switch (response->opcode) {
	case CQL_READY:
		break;
	case CQL_ERROR:
		read_error(cursor, &response->error);
		break;
	case CQL_RESULT:
		cql_reply_decode(cursor, &response->reply);
		break;
	case CQL_EVENT:
		read_event(cursor, &response->event);
		break;
	case CQL_SUPPORTED:
		read_supported(cursor, &response->supported);
		break;
	case CQL_AUTHENTICATE:
		response->authenticator = cql_notation_string(cursor);
		break;
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		response->token = cql_notation_bytes(cursor);
		break;
	default:
		cursor->is_broken = true;
	}
}

int cql_response_decode(const struct cql_frame *frame, const void *body, size_t size,
	struct cql_response *ret_response, struct error *err)
{
	struct cursor cursor = cursor_over(body, size);
	struct cql_response response = { .opcode = frame->opcode };

	read_prelude(&cursor, frame->flags, &response);
	read_body(&cursor, &response);
	if (cursor.is_broken)
		return error_set(err, -EPROTO, "a damaged answer (opcode %d, %zu bytes)",
			frame->opcode, size);
	*ret_response = response;
	return 0;
}

static const char *consistency_name(enum cql_consistency consistency)
{
	static const char *const names[] = {
		[CQL_ANY] = "ANY",
		[CQL_ONE] = "ONE",
		[CQL_TWO] = "TWO",
		[CQL_THREE] = "THREE",
		[CQL_QUORUM] = "QUORUM",
		[CQL_ALL] = "ALL",
		[CQL_LOCAL_QUORUM] = "LOCAL_QUORUM",
		[CQL_EACH_QUORUM] = "EACH_QUORUM",
		[CQL_SERIAL] = "SERIAL",
		[CQL_LOCAL_SERIAL] = "LOCAL_SERIAL",
		[CQL_LOCAL_ONE] = "LOCAL_ONE",
	};

	return consistency < ARRAY_SIZE(names) ? names[consistency] : "an unknown level";
}

static const char *code_name(int32_t code)
{
	switch (code) {
	case CQL_ERROR_SERVER:
		return "server error";
	case CQL_ERROR_PROTOCOL:
		return "protocol error";
	case CQL_ERROR_CREDENTIALS:
		return "not authenticated";
	case CQL_ERROR_UNAVAILABLE:
		return "unavailable";
	case CQL_ERROR_OVERLOADED:
		return "overloaded";
	case CQL_ERROR_BOOTSTRAPPING:
		return "bootstrapping";
	case CQL_ERROR_TRUNCATE:
		return "truncation failed";
	case CQL_ERROR_WRITE_TIMEOUT:
		return "write timed out";
	case CQL_ERROR_READ_TIMEOUT:
		return "read timed out";
	case CQL_ERROR_READ_FAILURE:
		return "read failed";
	case CQL_ERROR_FUNCTION_FAILURE:
		return "function failed";
	case CQL_ERROR_WRITE_FAILURE:
		return "write failed";
	case CQL_ERROR_CDC_WRITE_FAILURE:
		return "write to change log failed";
	case CQL_ERROR_CAS_WRITE_UNKNOWN:
		return "conditional write of unknown outcome";
	case CQL_ERROR_SYNTAX:
		return "syntax error";
	case CQL_ERROR_UNAUTHORIZED:
		return "not permitted";
	case CQL_ERROR_INVALID:
		return "invalid";
	case CQL_ERROR_CONFIG:
		return "configuration error";
	case CQL_ERROR_ALREADY_EXISTS:
		return "exists already";
	case CQL_ERROR_UNPREPARED:
		return "not prepared";
	default:
		return "unknown error";
	}
}

static bool counts_replicas(int32_t code)
{
	return code == CQL_ERROR_UNAVAILABLE || code == CQL_ERROR_WRITE_TIMEOUT ||
	       code == CQL_ERROR_READ_TIMEOUT || code == CQL_ERROR_READ_FAILURE ||
	       code == CQL_ERROR_WRITE_FAILURE || code == CQL_ERROR_CAS_WRITE_UNKNOWN;
}

int cql_error_describe(const struct cql_error *error, int code, struct error *err)
{
	char replicas[96] = "";

	if (counts_replicas(error->code))
		snprintf(replicas, sizeof(replicas), " (%d of %d replicas at %s)", error->received,
			error->required, consistency_name(error->consistency));
	return error_set(err, code, "Cassandra: %s%s: %.*s", code_name(error->code), replicas,
		(int)MIN_OF(error->message.size, (size_t)ERROR_TEXT_MAX),
		error->message.size ? (const char *)error->message.bytes : "");
}
