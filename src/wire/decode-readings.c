/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Messages of our own workers: readings, instances and gaps (docs/protocol.md). */

#include <errno.h>
#include <string.h>

#include "wire/decoding.h"

/* Refuses on behalf of one instance. */
#define REFUSE(decoding, refusal, subject, text)                                                   \
	refuse((decoding)->report, refusal, "%s: %s", subject, text)

static int copy_text(struct decoding *decoding, const char *text, const char **ret_copy)
{
	*ret_copy = batch_text(decoding->batch, text);
	return *ret_copy ? 0 : -ENOMEM;
}

/* Reads the columns of a tuple. A value that is no number is refused; the others stay. */
static void decode_values(
	struct decoding *decoding, const char *subject, const json_t *values, struct tuple *tuple)
{
	unsigned int columns = metric_group_info(tuple->group)->columns;
	size_t count = json_array_size(values);

	/* A newer worker may know more columns than we do. */
	for (unsigned int i = 0; i < columns && i < count; i++) {
		const json_t *value = json_array_get(values, i);
		int64_t number;

		if (json_is_null(value))
			continue;
		if (decode_value(value, &number))
			tuple_set(tuple, i, number);
		else
			REFUSE(decoding, REFUSAL_NUMBER, subject,
				"a value is no number from 0 to 2^63-1");
	}
}

static bool json_is_empty_string(const json_t *json)
{
	return json_is_string(json) && json_string_length(json) == 0;
}

/* null: unknown. false: neither that nor a time. */
static bool decode_start(const json_t *json, struct tuple *tuple)
{
	tuple->has_start = json != NULL;
	tuple->start_ms = EPOCH_START_UNKNOWN;
	return !json || json_is_null(json) ||
	       (decode_value(json, &tuple->start_ms) && tuple->start_ms <= TIME_MS_MAX);
}

static int decode_tuple(
	struct decoding *decoding, const char *subject, const json_t *json, struct reading *reading)
{
	const json_t *name = json_array_get(json, 0), *life = json_array_get(json, 3);
	const char *parameter = decode_name(json_array_get(json, 1), PARAMETER_TEXT_MAX);
	const char *life_text = decode_name(life, EPOCH_TEXT_MAX);
	bool is_named = parameter && (!life || life_text || json_is_empty_string(life));
	struct tuple *tuple;
	enum metric_group group;
	int r;

	if (!json_is_array(json) || !json_is_string(name) ||
		!json_is_array(json_array_get(json, 2))) {
		REFUSE(decoding, REFUSAL_SHAPE, subject,
			"a tuple is [group, parameter, [values], life, start]");
		return 0;
	}
	group = metric_group_by_name(json_string_value(name), json_string_length(name));
	if (group == _METRIC_GROUP_COUNT || !is_named) {
		REFUSE(decoding, REFUSAL_NAME, subject,
			"a tuple's group, parameter or life has no usable name");
		return 0;
	}
	tuple = batch_add_tuple(decoding->batch, reading);
	if (!tuple)
		return -ENOMEM;
	tuple->group = group;
	r = copy_text(decoding, parameter, &tuple->parameter);
	if (r == 0 && life_text)
		r = copy_text(decoding, life_text, &tuple->life);
	if (r < 0)
		return r;
	decode_values(decoding, subject, json_array_get(json, 2), tuple);
	if (!decode_start(json_array_get(json, 4), tuple)) {
		REFUSE(decoding, REFUSAL_NUMBER, subject, "a tuple's start is no time");
		tuple->present = 0;
	}
	if (!tuple->present)
		reading->tuple_count--;
	return 0;
}

/* Who was read: a UUID, or a name as old workers give it. */
static int decode_instance(struct decoding *decoding, const json_t *json, const char **ret_subject,
	struct instance_key *ret_key)
{
	const char *uuid = json_string_value(json_object_get(json, "uuid"));
	const char *name = decode_name(json_object_get(json, "name"), INSTANCE_TEXT_MAX);

	*ret_key = (struct instance_key){ 0 };
	if (uuid && uuid_parse(uuid, &ret_key->uuid) == 0) {
		ret_key->has_uuid = true;
		*ret_subject = uuid;
		return 0;
	}
	if (uuid || !name) {
		refuse(decoding->report, REFUSAL_NAME, "a reading without a UUID or name");
		return MESSAGE_REFUSED;
	}
	*ret_subject = name;
	return copy_text(decoding, name, &ret_key->name);
}

/* Numbers that may be missing: *ret_value stays then. false: there, but no such number. */
static bool decode_optional(
	const json_t *json, const char *name, int64_t maximum, int64_t *ret_value)
{
	const json_t *value = json_object_get(json, name);
	int64_t number;

	if (!value)
		return true;
	if (!decode_value(value, &number) || number > maximum)
		return false;
	*ret_value = number;
	return true;
}

static int decode_times(
	struct decoding *decoding, const char *subject, const json_t *json, struct reading *reading)
{
	int64_t segment = 0;

	if (!decode_value(json_object_get(json, "time"), &reading->time_ms) ||
		!decode_optional(json, "delay", INT64_C(86400000), &reading->delay_ms) ||
		!decode_optional(json, "start", TIME_MS_MAX, &reading->start_ms) ||
		!decode_optional(json, "segment", UINT32_MAX, &segment)) {
		REFUSE(decoding, REFUSAL_NUMBER, subject,
			"time, delay, start or segment is no such number");
		return MESSAGE_REFUSED;
	}
	if (!decode_time_is_sane(decoding, reading->time_ms)) {
		REFUSE(decoding, REFUSAL_TIME, subject, "an absurd time");
		return MESSAGE_REFUSED;
	}
	reading->segment = (uint32_t)segment;
	return 0;
}

static int decode_reading(struct decoding *decoding, const json_t *json)
{
	const json_t *data = json_object_get(json, "data"), *epoch = json_object_get(json, "epoch");
	const char *epoch_text = decode_name(epoch, EPOCH_TEXT_MAX), *subject;
	struct reading *reading;
	struct instance_key key;
	int r;

	r = decode_instance(decoding, json, &subject, &key);
	if (r != 0)
		return r;
	if (!json_is_array(data) || json_array_size(data) > WIRE_TUPLES_MAX) {
		REFUSE(decoding, REFUSAL_SHAPE, subject, "'data' is no array, or too long");
		return MESSAGE_REFUSED;
	}
	if (epoch && !epoch_text && !json_is_empty_string(epoch)) {
		REFUSE(decoding, REFUSAL_NAME, subject, "the epoch has no usable name");
		return MESSAGE_REFUSED;
	}
	reading = batch_add_reading(decoding->batch);
	if (!reading)
		return -ENOMEM;
	reading->instance = key;
	r = decode_times(decoding, subject, json, reading);
	if (r == 0 && epoch_text)
		r = copy_text(decoding, epoch_text, &reading->epoch);
	for (size_t i = 0; r == 0 && i < json_array_size(data); i++)
		r = decode_tuple(decoding, subject, json_array_get(data, i), reading);
	if (r != 0 || reading->tuple_count == 0)
		decoding->batch->reading_count--;
	return r;
}

static int decode_host(struct decoding *decoding, const json_t *root)
{
	const char *host = decode_name(json_object_get(root, "host"), INSTANCE_TEXT_MAX);

	return host ? copy_text(decoding, host, &decoding->batch->host) : 0;
}

int decode_readings(struct decoding *decoding, const json_t *root)
{
	const json_t *readings = json_object_get(root, "readings");
	int r = decode_host(decoding, root);

	for (size_t i = 0; r >= 0 && i < json_array_size(readings); i++)
		r = decode_reading(decoding, json_array_get(readings, i));
	return r < 0 ? r : 0;
}

/* A text of an info: missing means unknown, an unusable one is refused and unknown. */
static int decode_info_text(
	struct decoding *decoding, const char *subject, const json_t *json, const char **ret_text)
{
	const char *text = decode_name(json, INSTANCE_TEXT_MAX);

	*ret_text = "";
	if (text)
		return copy_text(decoding, text, ret_text);
	if (json && json_string_length(json) > 0)
		REFUSE(decoding, REFUSAL_NAME, subject, "a text of its description is not usable");
	return 0;
}

static int decode_addresses(struct decoding *decoding, const char *subject, const json_t *json,
	struct instance_port *port)
{
	size_t count = MIN_OF(json_array_size(json), (size_t)INSTANCE_ADDRESSES_MAX);
	const char **addresses =
		arena_take_array(&decoding->batch->arena, count, sizeof(*addresses));
	int r = addresses ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = decode_info_text(decoding, subject, json_array_get(json, i), &addresses[i]);
	port->addresses = addresses;
	port->address_count = count;
	return r;
}

static int decode_ports(struct decoding *decoding, const char *subject, const json_t *json,
	struct instance_info *info)
{
	size_t count = MIN_OF(json_array_size(json), (size_t)INSTANCE_PORTS_MAX);
	struct instance_port *ports =
		arena_take_array(&decoding->batch->arena, count, sizeof(*ports));
	int r = ports ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const json_t *port = json_array_get(json, i);

		r = decode_info_text(
			decoding, subject, json_object_get(port, "nic"), &ports[i].nic);
		if (r == 0)
			r = decode_info_text(
				decoding, subject, json_object_get(port, "mac"), &ports[i].mac);
		if (r == 0)
			r = decode_info_text(decoding, subject, json_object_get(port, "port_id"),
				&ports[i].port_id);
		if (r == 0)
			r = decode_addresses(
				decoding, subject, json_object_get(port, "addresses"), &ports[i]);
	}
	info->ports = ports;
	info->port_count = count;
	return r;
}

static int decode_info_texts(struct decoding *decoding, const char *subject, const json_t *json,
	struct instance_info *info)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < instance_field_count; i++)
		r = decode_info_text(decoding, subject,
			json_object_get(json, instance_fields[i].name), instance_field_at(info, i));
	if (r == 0 && !info->host[0])
		info->host = decoding->batch->host;
	return r;
}

static int decode_info(struct decoding *decoding, const json_t *json)
{
	const char *uuid = json_string_value(json_object_get(json, "uuid"));
	struct instance_info *info;
	struct uuid parsed;
	int r;

	if (!uuid || uuid_parse(uuid, &parsed) < 0) {
		refuse(decoding->report, REFUSAL_NAME,
			"a description of an instance without a UUID");
		return 0;
	}
	info = batch_add_info(decoding->batch);
	if (!info)
		return -ENOMEM;
	info->uuid = parsed;
	if (!decode_value(json_object_get(json, "since"), &info->since_ms) ||
		!decode_time_is_sane(decoding, info->since_ms) ||
		!decode_optional(json, "vcpus", INT32_MAX, &info->vcpus) ||
		!decode_optional(json, "memory_mib", INT32_MAX, &info->memory_mib) ||
		!decode_optional(json, "disk_gib", INT32_MAX, &info->disk_gib)) {
		REFUSE(decoding, REFUSAL_NUMBER, uuid,
			"a number of its description is out of range");
		decoding->batch->info_count--;
		return 0;
	}
	r = decode_info_texts(decoding, uuid, json, info);
	return r < 0 ? r : decode_ports(decoding, uuid, json_object_get(json, "ports"), info);
}

int decode_infos(struct decoding *decoding, const json_t *root)
{
	const json_t *instances = json_object_get(root, "instances");
	int r = decode_host(decoding, root);

	for (size_t i = 0; r == 0 && i < json_array_size(instances); i++)
		r = decode_info(decoding, json_array_get(instances, i));
	return r;
}

static int decode_gap(struct decoding *decoding, const json_t *json)
{
	const char *reason = decode_name(json_object_get(json, "reason"), INSTANCE_TEXT_MAX);
	const json_t *uuid = json_object_get(json, "uuid");
	struct gap gap = { .has_instance = uuid != NULL }, *added;

	if (!reason || (uuid && (!json_is_string(uuid) ||
					uuid_parse(json_string_value(uuid), &gap.instance) < 0))) {
		refuse(decoding->report, REFUSAL_NAME, "a gap without a reason, or with no UUID");
		return 0;
	}
	if (!decode_value(json_object_get(json, "from"), &gap.from_ms) ||
		!decode_value(json_object_get(json, "to"), &gap.to_ms) || gap.from_ms > gap.to_ms ||
		!decode_time_is_sane(decoding, gap.to_ms)) {
		refuse(decoding->report, REFUSAL_TIME, "a gap without a sane begin and end");
		return 0;
	}
	added = batch_add_gap(decoding->batch);
	if (!added)
		return -ENOMEM;
	*added = gap;
	return copy_text(decoding, reason, &added->reason);
}

int decode_gaps(struct decoding *decoding, const json_t *root)
{
	const json_t *gaps = json_object_get(root, "gaps");
	int r = decode_host(decoding, root);

	for (size_t i = 0; r == 0 && i < json_array_size(gaps); i++)
		r = decode_gap(decoding, json_array_get(gaps, i));
	return r;
}
