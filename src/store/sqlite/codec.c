/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Rows in journal and chunks: count, then for each row the time (delta to the row before), the mask
 * of its columns, and for each of these its value (delta to the value before in that column). Whole
 * blobs are zstd frames with a checksum. */

#include <errno.h>
#include <string.h>

#include "store/sqlite/private.h"

enum { ROWS_MAX = 16 * 1024 * 1024 };

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

void part_write(struct buffer *to, struct buffer *scratch, const struct track *track,
	const struct row *rows, const int64_t *values, size_t count)
{
	buffer_clear(scratch);
	rows_write(scratch, track->columns, rows, values, count);
	buffer_write_varint(to, track->id);
	buffer_write_varint(to, scratch->size);
	buffer_write(to, scratch->bytes, scratch->size);
}

int parts_read(const struct buffer *from, part_fn each, void *context)
{
	struct cursor cursor = cursor_over(from->bytes, from->size);
	int r = 0;

	while (r == 0 && cursor_left(&cursor)) {
		uint64_t track_id = cursor_read_varint(&cursor);
		size_t size = cursor_read_size(&cursor, BLOB_MAX);
		const uint8_t *bytes = cursor_read_bytes(&cursor, size);
		struct cursor rows = cursor_over(bytes, bytes ? size : 0);

		r = bytes ? each(context, track_id, &rows) : -EBADMSG;
	}
	return r;
}

ZSTD_CCtx *blob_compressor_new(int level)
{
	ZSTD_CCtx *compressor = ZSTD_createCCtx();

	if (compressor) {
		ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1);
		ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, level);
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

int blob_unpack(ZSTD_DCtx *decompressor, const void *bytes, size_t size, struct buffer *to)
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
	unpacked = ZSTD_decompressDCtx(decompressor, room, (size_t)content, bytes, size);
	if (ZSTD_isError(unpacked) || unpacked != content)
		return -EBADMSG;
	buffer_advance(to, unpacked);
	return 0;
}
