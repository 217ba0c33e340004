/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Rows in journal and chunks: count, then for each row the time (delta to the row before), the mask
 * of its columns, and for each of these its value (delta to the value before in that column). Whole
 * blobs are zstd frames with a checksum. */

#include <errno.h>
#include <string.h>

#include "store/sqlite/private.h"

enum { ROWS_MAX = 16 * 1024 * 1024, TEXT_MAX = 4096 };

void rows_write(struct buffer *to, unsigned int columns, const struct row *rows,
	const int64_t *values, size_t count)
{
	int64_t before[METRIC_COLUMNS_MAX] = { 0 }, time_ms = 0;

	buffer_write_varint(to, count);
	for (size_t i = 0; i < count; i++) {
		buffer_write_signed(to, (int64_t)((uint64_t)rows[i].time_ms - (uint64_t)time_ms));
		time_ms = rows[i].time_ms;
		buffer_write_varint(to, rows[i].present);
		for (unsigned int column = 0; column < columns; column++) {
			int64_t value = values[i * columns + column];

			if (!(rows[i].present >> column & 1))
				continue;
			buffer_write_signed(
				to, (int64_t)((uint64_t)value - (uint64_t)before[column]));
			before[column] = value;
		}
	}
}

int rows_read(struct cursor *from, unsigned int columns, row_fn each, void *context)
{
	int64_t values[METRIC_COLUMNS_MAX] = { 0 }, time_ms = 0;
	size_t count = cursor_read_size(from, ROWS_MAX);
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		uint16_t present;

		time_ms = (int64_t)((uint64_t)time_ms + (uint64_t)cursor_read_signed(from));
		present = (uint16_t)cursor_read_size(from, (1u << columns) - 1);
		for (unsigned int column = 0; column < columns; column++)
			if (present >> column & 1)
				values[column] = (int64_t)((uint64_t)values[column] +
							   (uint64_t)cursor_read_signed(from));
		if (from->is_broken)
			return -EBADMSG;
		r = each(context, time_ms, present, values);
	}
	return from->is_broken ? -EBADMSG : r;
}

void info_write(struct buffer *to, const struct instance_info *info)
{
	buffer_write_signed(to, info->since_ms);
	for (size_t i = 0; i < instance_field_count; i++)
		buffer_write_string(to, *instance_field_at((struct instance_info *)info, i));
	buffer_write_signed(to, info->vcpus);
	buffer_write_signed(to, info->memory_mib);
	buffer_write_signed(to, info->disk_gib);
	buffer_write_varint(to, info->port_count);
	for (size_t i = 0; i < info->port_count; i++) {
		const struct instance_port *port = &info->ports[i];

		buffer_write_string(to, port->nic);
		buffer_write_string(to, port->mac);
		buffer_write_string(to, port->port_id);
		buffer_write_varint(to, port->address_count);
		for (size_t j = 0; j < port->address_count; j++)
			buffer_write_string(to, port->addresses[j]);
	}
}

static const char *read_text(struct cursor *from, struct arena *arena)
{
	char text[TEXT_MAX + 1];
	const char *kept;

	cursor_read_string(from, text, TEXT_MAX);
	kept = arena_copy_text(arena, text, strlen(text));
	return kept ? kept : "";
}

static int read_port(struct cursor *from, struct arena *arena, struct instance_port *ret_port)
{
	const char **addresses;

	ret_port->nic = read_text(from, arena);
	ret_port->mac = read_text(from, arena);
	ret_port->port_id = read_text(from, arena);
	ret_port->address_count = cursor_read_size(from, INSTANCE_ADDRESSES_MAX);
	addresses = arena_take_array(arena, ret_port->address_count + 1, sizeof(*addresses));
	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; i < ret_port->address_count; i++)
		addresses[i] = read_text(from, arena);
	ret_port->addresses = addresses;
	return 0;
}

int info_read(struct cursor *from, struct arena *arena, struct instance_info *ret_info)
{
	struct instance_port *ports;
	int r = 0;

	ret_info->since_ms = cursor_read_signed(from);
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(ret_info, i) = read_text(from, arena);
	ret_info->vcpus = cursor_read_signed(from);
	ret_info->memory_mib = cursor_read_signed(from);
	ret_info->disk_gib = cursor_read_signed(from);
	ret_info->port_count = cursor_read_size(from, INSTANCE_PORTS_MAX);
	ports = arena_take_array(arena, ret_info->port_count + 1, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	ret_info->ports = ports;
	for (size_t i = 0; i < ret_info->port_count && r == 0; i++)
		r = read_port(from, arena, &ports[i]);
	return from->is_broken ? -EBADMSG : r;
}

ZSTD_CCtx *blob_compressor_new(void)
{
	ZSTD_CCtx *compressor = ZSTD_createCCtx();

	if (compressor) {
		ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1);
		ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, 1);
	}
	return compressor;
}

int blob_pack(ZSTD_CCtx *compressor, const struct buffer *from, struct buffer *to)
{
	size_t bound = ZSTD_compressBound(from->size), size;
	uint8_t *room;

	buffer_clear(to);
	room = buffer_reserve(to, bound);
	if (!room)
		return buffer_check(to);
	size = ZSTD_compress2(compressor, room, bound, from->bytes, from->size);
	if (ZSTD_isError(size))
		return -ENOMEM;
	buffer_advance(to, size);
	return 0;
}

int blob_unpack(const void *bytes, size_t size, struct buffer *to)
{
	unsigned long long content = ZSTD_getFrameContentSize(bytes, size);
	size_t unpacked;
	uint8_t *room;

	if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR ||
		content > BLOB_MAX)
		return -EBADMSG;
	buffer_clear(to);
	room = buffer_reserve(to, (size_t)content + 1);
	if (!room)
		return buffer_check(to);
	unpacked = ZSTD_decompress(room, (size_t)content, bytes, size);
	if (ZSTD_isError(unpacked) || unpacked != content)
		return -EBADMSG;
	buffer_advance(to, unpacked);
	return 0;
}
