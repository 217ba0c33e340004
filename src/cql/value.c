/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cql/notation.h"

enum {
	KEY_SIZE_MAX = UINT16_MAX, /* Cassandra's */
	KEY_COMPONENT_FRAME = 3,   /* its size before it, a zero behind it */
};

bool cql_bytes_equal(struct cql_bytes bytes, const char *text)
{
	return bytes.size == strlen(text) &&
	       (bytes.size == 0 || memcmp(bytes.bytes, text, bytes.size) == 0);
}

struct cql_value cql_null(void)
{
	return (struct cql_value){ .size = CQL_NULL };
}

struct cql_value cql_unset(void)
{
	return (struct cql_value){ .size = CQL_UNSET };
}

static struct cql_value store_number(uint64_t value, int32_t size, struct cql_storage *storage)
{
	for (int32_t i = 0; i < size; i++)
		storage->bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	return (struct cql_value){ .bytes = storage->bytes, .size = size };
}

struct cql_value cql_int(int32_t value, struct cql_storage *storage)
{
	return store_number((uint32_t)value, 4, storage);
}

struct cql_value cql_bigint(int64_t value, struct cql_storage *storage)
{
	return store_number((uint64_t)value, 8, storage);
}

struct cql_value cql_blob(const void *bytes, size_t size)
{
	return (struct cql_value){ .bytes = bytes,
		.size = (int32_t)MIN_OF(size, (size_t)INT32_MAX) };
}

struct cql_value cql_text(const char *text)
{
	return cql_blob(text, strlen(text));
}

bool cql_is_null(struct cql_value value)
{
	return value.size < 0;
}

static int read_number(struct cql_value value, int32_t size, uint64_t *ret_number)
{
	const uint8_t *bytes = value.bytes;
	uint64_t number = 0;

	if (value.size != size)
		return -EPROTO;
	for (int32_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	*ret_number = number;
	return 0;
}

int cql_read_int(struct cql_value value, int32_t *ret_value)
{
	uint64_t number;
	int r = read_number(value, 4, &number);

	if (r == 0)
		*ret_value = (int32_t)(uint32_t)number;
	return r;
}

int cql_read_bigint(struct cql_value value, int64_t *ret_value)
{
	uint64_t number;
	int r = read_number(value, 8, &number);

	if (r == 0)
		*ret_value = (int64_t)number;
	return r;
}

int cql_read_boolean(struct cql_value value, bool *ret_value)
{
	uint64_t number;
	int r = read_number(value, 1, &number);

	if (r == 0)
		*ret_value = number != 0;
	return r;
}

int cql_read_uuid(struct cql_value value, uint8_t ret_uuid[16])
{
	if (value.size != 16)
		return -EPROTO;
	memcpy(ret_uuid, value.bytes, 16);
	return 0;
}

int cql_read_text(struct cql_value value, char *ret_text, size_t size)
{
	size_t length = (size_t)value.size;

	if (cql_is_null(value) || !text_is_utf8(value.bytes, length) ||
		(length && memchr(value.bytes, 0, length)))
		return -EPROTO;
	if (length >= size)
		return -EMSGSIZE;
	if (length)
		memcpy(ret_text, value.bytes, length);
	ret_text[length] = '\0';
	return 0;
}

int cql_read_inet(struct cql_value value, struct cql_address *ret_address)
{
	if (value.size != 4 && value.size != 16)
		return -EPROTO;
	*ret_address = (struct cql_address){ .size = (uint8_t)value.size };
	memcpy(ret_address->bytes, value.bytes, (size_t)value.size);
	return 0;
}

bool cql_address_equal(const struct cql_address *one, const struct cql_address *other)
{
	return one->size == other->size && one->port == other->port &&
	       memcmp(one->bytes, other->bytes, one->size) == 0;
}

void cql_address_print(const struct cql_address *address, char text[CQL_ADDRESS_TEXT_SIZE])
{
	if (!inet_ntop(address->size == 4 ? AF_INET : AF_INET6, address->bytes, text,
		    CQL_ADDRESS_TEXT_SIZE))
		text[0] = '\0';
}

bool cql_items_next(struct cql_items *items, struct cql_value *ret_value)
{
	if (items->left == 0)
		return false;
	items->left--;
	*ret_value = cql_notation_value(&items->cursor);
	return true;
}

static int read_collection(struct cql_value value, uint32_t each, struct cql_items *ret_items)
{
	struct cursor cursor;
	uint32_t count;
	struct cql_items items;

	if (cql_is_null(value)) {
		*ret_items = (struct cql_items){ .left = 0 };
		return 0;
	}
	cursor = cursor_over(value.bytes, (size_t)value.size);
	count = cursor_read_u32(&cursor);
	/* Each element has four bytes of size at least. */
	if (cursor.is_broken || count > cursor_left(&cursor) / 4 / each)
		return -EPROTO;
	items = (struct cql_items){ .cursor = cursor, .left = count * each };
	for (uint32_t i = 0; i < items.left; i++)
		(void)cql_notation_value(&cursor);
	if (cursor.is_broken || cursor_left(&cursor) > 0)
		return -EPROTO;
	*ret_items = items;
	return 0;
}

int cql_read_list(struct cql_value value, struct cql_items *ret_items)
{
	return read_collection(value, 1, ret_items);
}

int cql_read_map(struct cql_value value, struct cql_items *ret_items)
{
	return read_collection(value, 2, ret_items);
}

int cql_key_write(struct buffer *to, const struct cql_value *values, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++) {
		if (cql_is_null(values[i]) || values[i].size > KEY_SIZE_MAX)
			return -EINVAL;
		total += (size_t)values[i].size + (count > 1 ? KEY_COMPONENT_FRAME : 0);
	}
	if (count == 0 || total > KEY_SIZE_MAX)
		return -EINVAL;
	if (count == 1) {
		buffer_write(to, values[0].bytes, (size_t)values[0].size);
		return buffer_check(to);
	}
	for (size_t i = 0; i < count; i++) {
		buffer_write_u16(to, (uint16_t)values[i].size);
		buffer_write(to, values[i].bytes, (size_t)values[i].size);
		buffer_write_u8(to, 0);
	}
	return buffer_check(to);
}
