/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <inttypes.h>

#include "wire/json-text.h"
#include "wire/message.h"

/* docs/protocol.md describes each of these forms. */

void message_encode_heartbeat(struct buffer *to, const char *worker, int64_t time_ms, int status)
{
	buffer_write_u8(to, '[');
	json_text_write_string(to, worker);
	buffer_print(to, ",%" PRId64 ".%03d,%d]", time_ms / 1000, (int)(time_ms % 1000), status);
}

static void write_member(struct buffer *to, const char *name, const char *text)
{
	buffer_print(to, "\"%s\":", name);
	json_text_write_string(to, text);
}

/* Absent values are null; absent ones at the end are left out. */
static void write_tuple(struct buffer *to, const struct tuple *tuple)
{
	unsigned int count = METRIC_COLUMNS_MAX;

	while (count > 0 && !tuple_has(tuple, count - 1))
		count--;
	buffer_print(to, "[\"%s\",", metric_group_info(tuple->group)->name);
	json_text_write_string(to, tuple->parameter);
	buffer_write(to, ",[", 2);
	for (unsigned int i = 0; i < count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		if (tuple_has(tuple, i))
			json_text_write_integer(to, tuple->values[i]);
		else
			buffer_write(to, "null", 4);
	}
	buffer_write_u8(to, ']');
	if (tuple->life[0] || tuple->has_start) {
		buffer_write_u8(to, ',');
		json_text_write_string(to, tuple->life);
	}
	if (tuple->has_start && tuple->start_ms == EPOCH_START_UNKNOWN)
		buffer_print(to, ",null");
	else if (tuple->has_start)
		buffer_print(to, ",%" PRId64, tuple->start_ms);
	buffer_write_u8(to, ']');
}

static void write_reading(struct buffer *to, const struct reading *reading)
{
	char uuid[UUID_TEXT_SIZE];

	buffer_write_u8(to, '{');
	write_member(to, reading->instance.has_uuid ? "uuid" : "name",
		instance_key_text(&reading->instance, uuid));
	buffer_print(to, ",\"time\":%" PRId64, reading->time_ms);
	if (reading->delay_ms)
		buffer_print(to, ",\"delay\":%" PRId64, reading->delay_ms);
	buffer_write_u8(to, ',');
	write_member(to, "epoch", reading->epoch);
	if (reading->start_ms != EPOCH_START_UNKNOWN)
		buffer_print(to, ",\"start\":%" PRId64, reading->start_ms);
	if (reading->segment)
		buffer_print(to, ",\"segment\":%" PRIu32, reading->segment);
	buffer_print(to, ",\"data\":[");
	for (size_t i = 0; i < reading->tuple_count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		write_tuple(to, &reading->tuples[i]);
	}
	buffer_write(to, "]}", 2);
}

void message_encode_readings(
	struct buffer *to, const char *host, const struct reading *readings, size_t count)
{
	buffer_write_u8(to, '{');
	write_member(to, "host", host);
	buffer_print(to, ",\"readings\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		write_reading(to, &readings[i]);
	}
	buffer_write(to, "]}", 2);
}

static void write_port(struct buffer *to, const struct instance_port *port)
{
	buffer_write_u8(to, '{');
	write_member(to, "nic", port->nic);
	buffer_write_u8(to, ',');
	write_member(to, "mac", port->mac);
	buffer_write_u8(to, ',');
	write_member(to, "port_id", port->port_id);
	buffer_print(to, ",\"addresses\":[");
	for (size_t i = 0; i < port->address_count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		json_text_write_string(to, port->addresses[i]);
	}
	buffer_write(to, "]}", 2);
}

static void write_number(struct buffer *to, const char *name, int64_t value)
{
	if (value >= 0)
		buffer_print(to, ",\"%s\":%" PRId64, name, value);
}

static void write_info(struct buffer *to, const struct instance_info *info)
{
	char uuid[UUID_TEXT_SIZE];

	buffer_write_u8(to, '{');
	write_member(to, "uuid", uuid_format(&info->uuid, uuid));
	buffer_print(to, ",\"since\":%" PRId64, info->since_ms);
	for (size_t i = 0; i < instance_field_count; i++) {
		const char *text = *instance_field_at((struct instance_info *)info, i);

		if (!text[0])
			continue;
		buffer_write_u8(to, ',');
		write_member(to, instance_fields[i].name, text);
	}
	write_number(to, "vcpus", info->vcpus);
	write_number(to, "memory_mib", info->memory_mib);
	write_number(to, "disk_gib", info->disk_gib);
	buffer_print(to, ",\"ports\":[");
	for (size_t i = 0; i < info->port_count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		write_port(to, &info->ports[i]);
	}
	buffer_write(to, "]}", 2);
}

void message_encode_infos(
	struct buffer *to, const char *host, const struct instance_info *infos, size_t count)
{
	buffer_write_u8(to, '{');
	write_member(to, "host", host);
	buffer_print(to, ",\"instances\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		write_info(to, &infos[i]);
	}
	buffer_write(to, "]}", 2);
}

static void write_gap(struct buffer *to, const struct gap *gap)
{
	char uuid[UUID_TEXT_SIZE];

	buffer_write_u8(to, '{');
	if (gap->has_instance) {
		write_member(to, "uuid", uuid_format(&gap->instance, uuid));
		buffer_write_u8(to, ',');
	}
	buffer_print(to, "\"from\":%" PRId64 ",\"to\":%" PRId64 ",", gap->from_ms, gap->to_ms);
	write_member(to, "reason", gap->reason);
	buffer_write_u8(to, '}');
}

void message_encode_gaps(struct buffer *to, const char *host, const struct gap *gaps, size_t count)
{
	buffer_write_u8(to, '{');
	write_member(to, "host", host);
	buffer_print(to, ",\"gaps\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_write_u8(to, ',');
		write_gap(to, &gaps[i]);
	}
	buffer_write(to, "]}", 2);
}

void message_encode_envelope(struct buffer *to, const struct envelope *envelope)
{
	buffer_write_u8(to, '{');
	write_member(to, "worker", envelope->worker);
	buffer_write_u8(to, ',');
	write_member(to, "spool", envelope->spool);
	buffer_print(to, ",\"seq\":%" PRIu64 ",\"oldest\":%" PRIu64, envelope->sequence,
		envelope->oldest);
	if (envelope->previous && envelope->previous + 1 != envelope->sequence)
		buffer_print(to, ",\"previous\":%" PRIu64, envelope->previous);
	if (envelope->first_ms)
		buffer_print(to, ",\"times\":[%" PRId64 ",%" PRId64 "]", envelope->first_ms,
			envelope->last_ms);
	write_number(to, "until", envelope->until_ms ? envelope->until_ms : -1);
	buffer_write_u8(to, '}');
}

/* Subscriptions match by prefix: the quotes keep a worker from hearing another one whose name
 * begins with its own. */
void message_encode_ack_topic(struct buffer *to, const char *worker, const char *spool)
{
	buffer_print(to, "ack ");
	json_text_write_string(to, worker);
	buffer_write_u8(to, ' ');
	json_text_write_string(to, spool);
}

void message_encode_ack(struct buffer *to, uint64_t sequence)
{
	buffer_print(to, "{\"ack\":%" PRIu64 "}", sequence);
}
