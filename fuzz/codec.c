/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The codecs of stored and of answered bytes. The first byte says which: `i`nstances, `s`eries
 * and both (`l`) of an answer, `r`ows and an i`n`fo of a file, a packed blob (`z`). An answer that
 * was decoded is encoded and must be decoded to the same again. */

#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "store/gaps.h"
#include "store/remote/codec.h"
#include "store/packed.h"
#include "store/sqlite/private.h"

enum { ARENA_MAX = 64 * 1024 * 1024, COLUMNS = 8 };

static void read_series(struct cursor *from, struct arena *arena)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct store_series series, copy;
	struct cursor cursor;

	buffer_init(&again, ARENA_MAX);
	while (cursor_left(from) && codec_read_series(from, arena, &series) == 0) {
		buffer_clear(&again);
		codec_write_series(&again, &series);
		cursor = cursor_over(again.bytes, again.size);
		if (codec_read_series(&cursor, arena, &copy) < 0)
			return; /* the arena is full */
		if (copy.count != series.count || strcmp(copy.epoch, series.epoch) != 0 ||
			(copy.count && memcmp(copy.samples, series.samples,
					       copy.count * sizeof(*copy.samples)) != 0))
			abort();
	}
}

static void read_instances(struct cursor *from, struct arena *arena)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct store_instance instance, copy;
	struct cursor cursor;

	buffer_init(&again, ARENA_MAX);
	while (cursor_left(from) && codec_read_instance(from, arena, &instance) == 0) {
		buffer_clear(&again);
		codec_write_instance(&again, &instance);
		cursor = cursor_over(again.bytes, again.size);
		if (codec_read_instance(&cursor, arena, &copy) < 0)
			return;
		if (!instance_key_equal(&copy.key, &instance.key) ||
			copy.info_count != instance.info_count)
			abort();
	}
}

static void read_latest(struct cursor *from, struct arena *arena)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct store_latest latest, copy;
	struct cursor cursor;

	buffer_init(&again, ARENA_MAX);
	while (cursor_left(from) && codec_read_latest(from, arena, &latest) == 0) {
		buffer_clear(&again);
		codec_write_latest(&again, &latest);
		cursor = cursor_over(again.bytes, again.size);
		if (codec_read_latest(&cursor, arena, &copy) < 0)
			return;
		if (!instance_key_equal(&copy.instance.key, &latest.instance.key) ||
			copy.count != latest.count)
			abort();
	}
}

static void read_sources(struct cursor *from, struct arena *arena)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct store_source source, copy;
	struct cursor cursor;

	buffer_init(&again, ARENA_MAX);
	while (cursor_left(from) && codec_read_source(from, arena, &source) == 0) {
		buffer_clear(&again);
		codec_write_source(&again, &source);
		cursor = cursor_over(again.bytes, again.size);
		if (codec_read_source(&cursor, arena, &copy) < 0)
			return;
		if (copy.sequence != source.sequence || copy.until_ms != source.until_ms ||
			strcmp(copy.host, source.host) != 0)
			abort();
	}
}

static void read_records(struct cursor *from, struct arena *arena)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct store_record record, copy;
	struct cursor cursor;
	struct gap gap;

	buffer_init(&again, ARENA_MAX);
	while (cursor_left(from) && codec_read_record(from, arena, &record) == 0) {
		buffer_clear(&again);
		codec_write_record(&again, &record);
		cursor = cursor_over(again.bytes, again.size);
		if (codec_read_record(&cursor, arena, &copy) < 0)
			return;
		if (copy.size != record.size || strcmp(copy.key, record.key) != 0)
			abort();
		(void)!gap_of_key(record.key, &gap);
	}
}

static int ignore_row(void *context, int64_t time_ms, uint16_t present, const int64_t *values)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(arena_deinit) struct arena arena;
	CLEANUP(buffer_deinit) struct buffer blob;
	static ZSTD_DCtx *decompressor;
	struct instance_info info = { 0 };
	struct cursor from;

	if (!decompressor)
		decompressor = ZSTD_createDCtx();
	arena_init(&arena, ARENA_MAX);
	buffer_init(&blob, BLOB_MAX);
	if (size == 0)
		return 0;
	from = cursor_over(bytes + 1, size - 1);
	switch (bytes[0]) {
	case 's':
		read_series(&from, &arena);
		break;
	case 'i':
		read_instances(&from, &arena);
		break;
	case 'l':
		read_latest(&from, &arena);
		break;
	case 'o':
		read_sources(&from, &arena);
		break;
	case 'f':
		read_records(&from, &arena);
		break;
	case 'r':
		(void)!rows_read(&from, COLUMNS, ignore_row, NULL);
		break;
	case 'n':
		packed_read_info(&from, &arena, &info);
		break;
	case 'z':
		(void)!blob_unpack(decompressor, bytes + 1, size - 1, &blob);
		break;
	default:
		break;
	}
	return 0;
}
