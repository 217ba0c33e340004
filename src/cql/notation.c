/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/notation.h"

#include <string.h>

static struct cql_bytes read_sized(struct cursor *cursor, size_t size)
{
	const uint8_t *bytes = cursor_read_bytes(cursor, size);

	return bytes ? (struct cql_bytes){ .bytes = bytes, .size = size } : (struct cql_bytes){ 0 };
}

struct cql_bytes cql_notation_string(struct cursor *cursor)
{
	return read_sized(cursor, cursor_read_u16(cursor));
}

struct cql_bytes cql_notation_bytes(struct cursor *cursor)
{
	struct cql_value value = cql_notation_value(cursor);

	return cql_is_null(value) ? (struct cql_bytes){ 0 }
				  : (struct cql_bytes){ value.bytes, (size_t)value.size };
}

struct cql_value cql_notation_value(struct cursor *cursor)
{
	int32_t size = (int32_t)cursor_read_u32(cursor);
	const uint8_t *bytes = cursor_read_bytes(cursor, size < 0 ? 0 : (size_t)size);

	if (!bytes || size < 0)
		return cql_null();
	return (struct cql_value){ .bytes = bytes, .size = size };
}

struct cql_address cql_notation_inet(struct cursor *cursor)
{
	struct cql_address address = { .size = cursor_read_u8(cursor) };
	const uint8_t *bytes;
	uint32_t port;

	if (address.size != 4 && address.size != 16)
		cursor->is_broken = true;
	bytes = cursor_read_bytes(cursor, address.size);
	port = cursor_read_u32(cursor);
	if (port > UINT16_MAX)
		cursor->is_broken = true;
	if (cursor->is_broken)
		return (struct cql_address){ 0 };
	memcpy(address.bytes, bytes, address.size);
	address.port = (uint16_t)port;
	return address;
}

struct cql_bytes cql_notation_string_list(struct cursor *cursor)
{
	uint16_t count = cursor_read_u16(cursor);
	struct cql_bytes first = count ? cql_notation_string(cursor) : (struct cql_bytes){ 0 };

	for (uint16_t i = 1; i < count && !cursor->is_broken; i++)
		(void)cql_notation_string(cursor);
	return first;
}
