/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/remote/codec.h"

#include <errno.h>

enum { INFOS_MAX = 100000 };

static void write_info(struct buffer *to, const struct instance_info *info)
{
	buffer_write(to, &info->uuid, sizeof(info->uuid));
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
		for (size_t k = 0; k < port->address_count; k++)
			buffer_write_string(to, port->addresses[k]);
	}
}

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
	for (size_t i = 0; i < instance->info_count; i++)
		write_info(to, &instance->infos[i]);
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

/* A text in the arena; "" and a broken cursor if it is too long or there is no memory. */
static const char *read_text(struct cursor *from, struct arena *arena, size_t limit)
{
	char *text;
	size_t size = cursor_read_size(from, limit);
	const uint8_t *bytes = cursor_read_bytes(from, size);

	text = bytes ? arena_copy_text(arena, (const char *)bytes, size) : NULL;
	if (!text)
		from->is_broken = true;
	return text ? text : "";
}

static void read_uuid(struct cursor *from, struct uuid *uuid)
{
	for (size_t i = 0; i < sizeof(uuid->bytes); i++)
		uuid->bytes[i] = cursor_read_u8(from);
}

/* An array whose length comes first. Each element takes a byte at least, so that a length that the
 * frame cannot hold asks for no memory. */
static void *read_array(
	struct cursor *from, struct arena *arena, size_t limit, size_t size, size_t *ret_count)
{
	size_t count = cursor_read_size(from, MIN_OF(limit, cursor_left(from)));
	void *array = arena_take_array(arena, count, size);

	if (!array)
		from->is_broken = true;
	*ret_count = array ? count : 0;
	return array;
}

static void read_port(struct cursor *from, struct arena *arena, struct instance_port *port)
{
	const char **addresses;

	port->nic = read_text(from, arena, INSTANCE_TEXT_MAX);
	port->mac = read_text(from, arena, INSTANCE_TEXT_MAX);
	port->port_id = read_text(from, arena, INSTANCE_TEXT_MAX);
	addresses = read_array(
		from, arena, INSTANCE_ADDRESSES_MAX, sizeof(*addresses), &port->address_count);
	for (size_t i = 0; i < port->address_count; i++)
		addresses[i] = read_text(from, arena, INSTANCE_TEXT_MAX);
	port->addresses = addresses;
}

static void read_info(struct cursor *from, struct arena *arena, struct instance_info *info)
{
	struct instance_port *ports;

	read_uuid(from, &info->uuid);
	info->since_ms = cursor_read_signed(from);
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(info, i) = read_text(from, arena, INSTANCE_TEXT_MAX);
	info->vcpus = cursor_read_signed(from);
	info->memory_mib = cursor_read_signed(from);
	info->disk_gib = cursor_read_signed(from);
	ports = read_array(from, arena, INSTANCE_PORTS_MAX, sizeof(*ports), &info->port_count);
	for (size_t i = 0; i < info->port_count; i++)
		read_port(from, arena, &ports[i]);
	info->ports = ports;
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
		instance.key.name = read_text(from, arena, INSTANCE_TEXT_MAX);
	instance.first_ms = cursor_read_signed(from);
	instance.last_ms = cursor_read_signed(from);
	instance.groups = (uint32_t)cursor_read_size(from, UINT32_MAX);
	infos = read_array(from, arena, INFOS_MAX, sizeof(*infos), &instance.info_count);
	for (size_t i = 0; i < instance.info_count && !from->is_broken; i++)
		read_info(from, arena, &infos[i]);
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

	samples = read_array(from, arena, limit, sizeof(*samples), &series->count);
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
	series.parameter = read_text(from, arena, PARAMETER_TEXT_MAX);
	series.epoch = read_text(from, arena, EPOCH_TEXT_MAX);
	series.life = read_text(from, arena, EPOCH_TEXT_MAX);
	series.segment = (uint32_t)cursor_read_size(from, UINT32_MAX);
	series.start_ms = cursor_read_signed(from);
	read_samples(from, arena, &series);
	if (from->is_broken)
		return -EBADMSG;
	*ret_series = series;
	return 0;
}
