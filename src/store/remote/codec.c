/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/remote/codec.h"

#include <errno.h>

#include "store/packed.h"

enum { INFOS_MAX = 100000, SERIES_MAX = 1000000 };

void codec_write_instance(struct buffer *to, const struct store_instance *instance)
{
	buffer_write_u8(to, instance->key.has_uuid);
	if (instance->key.has_uuid)
		buffer_write(to, &instance->key.uuid, sizeof(instance->key.uuid));
	else
		buffer_write_string(to, instance->key.name);
	buffer_write_signed(to, instance->first_ms);
	buffer_write_signed(to, instance->last_ms);
	buffer_write_varint(to, instance->groups);
	buffer_write_varint(to, instance->info_count);
	for (size_t i = 0; i < instance->info_count; i++) {
		buffer_write(to, &instance->infos[i].uuid, sizeof(instance->infos[i].uuid));
		packed_write_info(to, &instance->infos[i]);
	}
}

void codec_write_series(struct buffer *to, const struct store_series *series)
{
	struct sample before = { 0 };

	buffer_write_varint(to, series->metric->group);
	buffer_write_varint(to, series->metric->column);
	buffer_write_string(to, series->parameter);
	buffer_write_string(to, series->epoch);
	buffer_write_string(to, series->life);
	buffer_write_varint(to, series->segment);
	buffer_write_signed(to, series->start_ms);
	buffer_write_varint(to, series->count);
	for (size_t i = 0; i < series->count; i++) {
		const struct sample *sample = &series->samples[i];

		buffer_write_varint(to, (uint64_t)sample->time_ms - (uint64_t)before.time_ms);
		buffer_write_signed(
			to, (int64_t)((uint64_t)sample->value - (uint64_t)before.value));
		before = *sample;
	}
}

static void read_uuid(struct cursor *from, struct uuid *uuid)
{
	for (size_t i = 0; i < sizeof(uuid->bytes); i++)
		uuid->bytes[i] = cursor_read_u8(from);
}

int codec_read_instance(
	struct cursor *from, struct arena *arena, struct store_instance *ret_instance)
{
	struct store_instance instance = { 0 };
	struct instance_info *infos;

	instance.key.has_uuid = cursor_read_u8(from) != 0;
	if (instance.key.has_uuid)
		read_uuid(from, &instance.key.uuid);
	else
		instance.key.name = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	instance.first_ms = cursor_read_signed(from);
	instance.last_ms = cursor_read_signed(from);
	instance.groups = (uint32_t)cursor_read_size(from, UINT32_MAX);
	infos = packed_read_array(from, arena, INFOS_MAX, sizeof(*infos), &instance.info_count);
	for (size_t i = 0; i < instance.info_count && !from->is_broken; i++) {
		read_uuid(from, &infos[i].uuid);
		packed_read_info(from, arena, &infos[i]);
	}
	instance.infos = infos;
	if (from->is_broken)
		return -EBADMSG;
	*ret_instance = instance;
	return 0;
}

static void read_samples(struct cursor *from, struct arena *arena, struct store_series *series)
{
	size_t limit = cursor_left(from) / 2;
	struct sample *samples, before = { 0 };

	samples = packed_read_array(from, arena, limit, sizeof(*samples), &series->count);
	for (size_t i = 0; i < series->count && !from->is_broken; i++) {
		before.time_ms = (int64_t)((uint64_t)before.time_ms + cursor_read_varint(from));
		before.value =
			(int64_t)((uint64_t)before.value + (uint64_t)cursor_read_signed(from));
		/* Sorted, each time once: everything behind relies on it. */
		if (before.time_ms < 0 || (i > 0 && before.time_ms <= samples[i - 1].time_ms))
			from->is_broken = true;
		samples[i] = before;
	}
	series->samples = samples;
}

int codec_read_series(struct cursor *from, struct arena *arena, struct store_series *ret_series)
{
	struct store_series series = { 0 };
	size_t group = cursor_read_size(from, _METRIC_GROUP_COUNT - 1);
	size_t column = cursor_read_size(from, METRIC_COLUMNS_MAX - 1);

	series.metric = metric_of_column((enum metric_group)group, (unsigned int)column);
	if (!series.metric)
		from->is_broken = true;
	series.parameter = packed_read_text(from, arena, PARAMETER_TEXT_MAX);
	series.epoch = packed_read_text(from, arena, EPOCH_TEXT_MAX);
	series.life = packed_read_text(from, arena, EPOCH_TEXT_MAX);
	series.segment = (uint32_t)cursor_read_size(from, UINT32_MAX);
	series.start_ms = cursor_read_signed(from);
	read_samples(from, arena, &series);
	if (from->is_broken)
		return -EBADMSG;
	*ret_series = series;
	return 0;
}

void codec_write_latest(struct buffer *to, const struct store_latest *latest)
{
	codec_write_instance(to, &latest->instance);
	buffer_write_varint(to, latest->count);
	for (size_t i = 0; i < latest->count; i++)
		codec_write_series(to, &latest->series[i]);
}

int codec_read_latest(struct cursor *from, struct arena *arena, struct store_latest *ret_latest)
{
	struct store_latest latest = { 0 };
	struct store_series *series;
	int r = codec_read_instance(from, arena, &latest.instance);

	if (r < 0)
		return r;
	series = packed_read_array(from, arena, SERIES_MAX, sizeof(*series), &latest.count);
	for (size_t i = 0; i < latest.count && r == 0; i++)
		r = codec_read_series(from, arena, &series[i]);
	latest.series = series;
	if (r < 0 || from->is_broken)
		return -EBADMSG;
	*ret_latest = latest;
	return 0;
}

void codec_write_source(struct buffer *to, const struct store_source *source)
{
	buffer_write_string(to, source->worker);
	buffer_write_string(to, source->spool);
	buffer_write_string(to, source->host);
	buffer_write_varint(to, source->sequence);
	buffer_write_signed(to, source->first_ms);
	buffer_write_signed(to, source->until_ms);
	buffer_write_signed(to, source->heard_ms);
}

int codec_read_source(struct cursor *from, struct arena *arena, struct store_source *ret_source)
{
	struct store_source source = { 0 };

	source.worker = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	source.spool = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	source.host = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	source.sequence = cursor_read_varint(from);
	source.first_ms = cursor_read_signed(from);
	source.until_ms = cursor_read_signed(from);
	source.heard_ms = cursor_read_signed(from);
	if (from->is_broken)
		return -EBADMSG;
	*ret_source = source;
	return 0;
}

void codec_write_record(struct buffer *to, const struct store_record *record)
{
	buffer_write_string(to, record->kind);
	buffer_write_string(to, record->key);
	buffer_write_varint(to, record->size);
	buffer_write(to, record->value, record->size);
}

int codec_read_record(struct cursor *from, struct arena *arena, struct store_record *ret_record)
{
	struct store_record record = { 0 };

	record.kind = packed_read_text(from, arena, RECORD_TEXT_MAX);
	record.key = packed_read_text(from, arena, RECORD_TEXT_MAX);
	record.size = cursor_read_size(from, RECORD_VALUE_MAX);
	record.value = cursor_read_bytes(from, record.size);
	if (from->is_broken)
		return -EBADMSG;
	*ret_record = record;
	return 0;
}
