/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/request.h"

#include <errno.h>
#include <string.h>

enum {
	KIND_TEXT = 0,
	KIND_PREPARED = 1,
	BATCH_UNLOGGED = 1,
};

enum query_flag {
	WITH_VALUES = 0x01,
	WITH_PAGE_SIZE = 0x04,
	WITH_PAGING_STATE = 0x08,
	WITH_SERIAL_CONSISTENCY = 0x10,
	WITH_TIMESTAMP = 0x20,
};

static void fail(struct buffer *to)
{
	if (!to->failure)
		to->failure = -EMSGSIZE;
}

static size_t begin(struct buffer *to, enum cql_opcode opcode)
{
	size_t start = to->size;

	buffer_write_u8(to, CQL_PROTOCOL_VERSION);
	buffer_write_u8(to, 0);
	buffer_write_u16(to, 0);
	buffer_write_u8(to, (uint8_t)opcode);
	buffer_write_u32(to, 0);
	return start;
}

static void end(struct buffer *to, size_t start)
{
	size_t size = to->size - start;
	uint8_t *length = to->bytes + start + CQL_FRAME_HEADER_SIZE - 4;

	if (size > CQL_REQUEST_MAX)
		fail(to);
	if (to->failure)
		return;
	size -= CQL_FRAME_HEADER_SIZE;
	for (int i = 0; i < 4; i++)
		length[i] = (uint8_t)(size >> (24 - 8 * i));
}

/* [string], [short bytes] */
static void write_short(struct buffer *to, const void *bytes, size_t size)
{
	if (size > UINT16_MAX)
		fail(to);
	buffer_write_u16(to, (uint16_t)size);
	buffer_write(to, bytes, size);
}

static void write_string(struct buffer *to, const char *text)
{
	write_short(to, text, strlen(text));
}

/* [long string], [bytes] */
static void write_long(struct buffer *to, const void *bytes, size_t size)
{
	if (size > CQL_REQUEST_MAX)
		fail(to);
	buffer_write_u32(to, (uint32_t)size);
	buffer_write(to, bytes, size);
}

static void write_values(struct buffer *to, const struct cql_value *values, size_t count)
{
	if (count > CQL_VALUES_MAX)
		fail(to);
	buffer_write_u16(to, (uint16_t)count);
	for (size_t i = 0; i < count && !to->failure; i++) {
		buffer_write_u32(to, (uint32_t)values[i].size);
		if (values[i].size > 0)
			buffer_write(to, values[i].bytes, (size_t)values[i].size);
	}
}

static uint8_t common_flags(const struct cql_parameters *parameters)
{
	return (uint8_t)((parameters->serial_consistency ? WITH_SERIAL_CONSISTENCY : 0) |
			 (parameters->timestamp_us ? WITH_TIMESTAMP : 0));
}

static uint8_t query_flags(const struct cql_parameters *parameters)
{
	return (uint8_t)(common_flags(parameters) | (parameters->value_count ? WITH_VALUES : 0) |
			 (parameters->page_size > 0 ? WITH_PAGE_SIZE : 0) |
			 (parameters->paging_state.size ? WITH_PAGING_STATE : 0));
}

static void write_common(struct buffer *to, const struct cql_parameters *parameters)
{
	if (parameters->serial_consistency)
		buffer_write_u16(to, (uint16_t)parameters->serial_consistency);
	if (parameters->timestamp_us)
		buffer_write_u64(to, (uint64_t)parameters->timestamp_us);
}

static void write_parameters(struct buffer *to, const struct cql_parameters *parameters)
{
	buffer_write_u16(to, (uint16_t)parameters->consistency);
	buffer_write_u8(to, query_flags(parameters));
	if (parameters->value_count)
		write_values(to, parameters->values, parameters->value_count);
	if (parameters->page_size > 0)
		buffer_write_u32(to, (uint32_t)parameters->page_size);
	if (parameters->paging_state.size)
		write_long(to, parameters->paging_state.bytes, parameters->paging_state.size);
	write_common(to, parameters);
}

void cql_request_options(struct buffer *to)
{
	end(to, begin(to, CQL_OPTIONS));
}

void cql_request_startup(struct buffer *to, bool use_lz4)
{
	size_t start = begin(to, CQL_STARTUP);

	buffer_write_u16(to, use_lz4 ? 4 : 3);
	write_string(to, "CQL_VERSION");
	write_string(to, "3.0.0");
	write_string(to, "DRIVER_NAME");
	write_string(to, "kanyun");
	write_string(to, "DRIVER_VERSION");
	write_string(to, KANYUN_VERSION);
	if (use_lz4) {
		write_string(to, "COMPRESSION");
		write_string(to, "lz4");
	}
	end(to, start);
}

void cql_request_login(struct buffer *to, const char *username, const char *password)
{
	size_t start = begin(to, CQL_AUTH_RESPONSE);
	size_t username_size = strlen(username), password_size = strlen(password);

	if (username_size > UINT16_MAX || password_size > UINT16_MAX)
		fail(to);
	buffer_write_u32(to, (uint32_t)(username_size + password_size + 2));
	buffer_write_u8(to, 0);
	buffer_write(to, username, username_size);
	buffer_write_u8(to, 0);
	buffer_write(to, password, password_size);
	end(to, start);
}

void cql_request_query(struct buffer *to, const char *text, const struct cql_parameters *parameters)
{
	size_t start = begin(to, CQL_QUERY);

	write_long(to, text, strlen(text));
	write_parameters(to, parameters);
	end(to, start);
}

void cql_request_prepare(struct buffer *to, const char *text)
{
	size_t start = begin(to, CQL_PREPARE);

	write_long(to, text, strlen(text));
	end(to, start);
}

void cql_request_execute(
	struct buffer *to, struct cql_bytes id, const struct cql_parameters *parameters)
{
	size_t start = begin(to, CQL_EXECUTE);

	write_short(to, id.bytes, id.size);
	write_parameters(to, parameters);
	end(to, start);
}

static void write_part(struct buffer *to, const struct cql_batch_part *part)
{
	if (part->id.size) {
		buffer_write_u8(to, KIND_PREPARED);
		write_short(to, part->id.bytes, part->id.size);
	} else {
		buffer_write_u8(to, KIND_TEXT);
		write_long(to, part->text, strlen(part->text));
	}
	write_values(to, part->values, part->value_count);
}

void cql_request_batch(struct buffer *to, const struct cql_batch_part *parts, size_t count,
	const struct cql_parameters *parameters)
{
	size_t start = begin(to, CQL_BATCH);

	if (count > CQL_BATCH_MAX)
		fail(to);
	buffer_write_u8(to, BATCH_UNLOGGED);
	buffer_write_u16(to, (uint16_t)count);
	for (size_t i = 0; i < count && !to->failure; i++)
		write_part(to, &parts[i]);
	buffer_write_u16(to, (uint16_t)parameters->consistency);
	buffer_write_u8(to, common_flags(parameters));
	write_common(to, parameters);
	end(to, start);
}

void cql_request_register(struct buffer *to, unsigned int events)
{
	static const char *const names[] = { "TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE" };
	size_t start = begin(to, CQL_REGISTER);

	buffer_write_u16(to, (uint16_t)__builtin_popcount(events & CQL_EVENTS_ALL));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (events & 1u << i)
			write_string(to, names[i]);
	end(to, start);
}
