/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Messages of workers written from the specification: one JSON object, whose keys are instances.
 *
 *     {"instance-00000001": ["10.0.0.2", 1332409327, "0"]}                    traffic
 *     {"instance-000000ba@sws-yz-5": [["cpu", "total", [1332400088.15, 5]],   an agent's
 *                                     ["nic", "vnet8", [1332400088.15, 427360746, 174445810]]]}
 *
 * Every tuple has a time of its own, so each becomes a reading. Nobody names an epoch here. */

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "wire/decoding.h"

enum { BYTES_PER_KB = 1024 };

#define REFUSE(decoding, refusal, subject, text)                                                   \
	refuse((decoding)->report, refusal, "'%.*s': %s", INSTANCE_TEXT_MAX, subject, text)

/* A reading of one tuple at a time. */
static int add_reading(struct decoding *decoding, const char *name, int64_t time_ms,
	struct reading **ret_reading, struct tuple **ret_tuple)
{
	struct reading *reading = batch_add_reading(decoding->batch);

	if (!reading)
		return -ENOMEM;
	reading->instance.name = name;
	reading->time_ms = time_ms;
	*ret_tuple = batch_add_tuple(decoding->batch, reading);
	*ret_reading = reading;
	return *ret_tuple ? 0 : -ENOMEM;
}

static bool decode_time(
	struct decoding *decoding, const char *name, const json_t *json, int64_t *ret_time_ms)
{
	if (!decode_scaled(json, 1000, ret_time_ms)) {
		REFUSE(decoding, REFUSAL_NUMBER, name, "a time is no number");
		return false;
	}
	if (!decode_time_is_sane(decoding, *ret_time_ms)) {
		REFUSE(decoding, REFUSAL_TIME, name, "an absurd time");
		return false;
	}
	return true;
}

/* One form of an address, so that one address is one series. */
static bool normalise_address(const char *text, char to[INET6_ADDRSTRLEN])
{
	uint8_t address[sizeof(struct in6_addr)];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	return inet_pton(family, text, address) == 1 &&
	       inet_ntop(family, address, to, INET6_ADDRSTRLEN) != NULL;
}

/* ["10.0.0.2", time, "value in KB since the message before"] */
static int decode_traffic(struct decoding *decoding, const char *name, const json_t *json)
{
	char address[INET6_ADDRSTRLEN];
	struct reading *reading;
	struct tuple *tuple;
	int64_t time_ms, bytes;
	int r;

	if (json_array_size(json) != 3) {
		REFUSE(decoding, REFUSAL_SHAPE, name, "traffic is [IP, time, value]");
		return 0;
	}
	if (!normalise_address(json_string_value(json_array_get(json, 0)), address)) {
		REFUSE(decoding, REFUSAL_NAME, name, "traffic of something that is no IP address");
		return 0;
	}
	if (!decode_time(decoding, name, json_array_get(json, 1), &time_ms))
		return 0;
	if (!decode_scaled(json_array_get(json, 2), BYTES_PER_KB, &bytes)) {
		REFUSE(decoding, REFUSAL_NUMBER, name, "traffic is no number of KB");
		return 0;
	}
	r = add_reading(decoding, name, time_ms, &reading, &tuple);
	if (r < 0)
		return r;
	tuple->group = METRIC_GROUP_VMNETWORK_INCREMENT;
	tuple_set(tuple, 0, bytes);
	tuple->parameter = batch_text(decoding->batch, address);
	return tuple->parameter ? 0 : -ENOMEM;
}

/* The values behind the time, into the group's first columns. */
static bool decode_columns(struct decoding *decoding, const char *name, const json_t *values,
	unsigned int columns, struct tuple *tuple)
{
	for (unsigned int i = 0; i < columns; i++) {
		const json_t *value = json_array_get(values, i + 1);
		int64_t number;

		if (json_is_null(value))
			continue;
		if (decode_value(value, &number))
			tuple_set(tuple, i, number);
		else
			REFUSE(decoding, REFUSAL_NUMBER, name,
				"a value is no number from 0 to 2^63-1");
	}
	return tuple->present != 0;
}

static bool decode_percent(
	struct decoding *decoding, const char *name, const json_t *values, struct tuple *tuple)
{
	int64_t thousandths;

	if (!decode_scaled(json_array_get(values, 1), 1000, &thousandths)) {
		REFUSE(decoding, REFUSAL_NUMBER, name, "a CPU percentage is no number");
		return false;
	}
	tuple->group = METRIC_GROUP_CPU_PERCENT;
	tuple_set(tuple, 0, thousandths);
	return true;
}

/* ["nic", "vnet0", [time, incoming, outgoing]] */
static int decode_agent_tuple(struct decoding *decoding, const char *name, const json_t *json)
{
	static const struct {
		enum metric_group group;
		unsigned int columns;
	} forms[] = { { METRIC_GROUP_CPU, 1 }, { METRIC_GROUP_MEM, 2 }, { METRIC_GROUP_NIC, 2 },
		{ METRIC_GROUP_BLK, 2 } };
	const char *group = json_string_value(json_array_get(json, 0));
	const char *parameter = decode_name(json_array_get(json, 1), PARAMETER_TEXT_MAX);
	const json_t *values = json_array_get(json, 2);
	struct reading *reading;
	struct tuple *tuple;
	int64_t time_ms;
	size_t form = 0;
	bool valid;
	int r;

	while (group && form < ARRAY_SIZE(forms) &&
		strcmp(group, metric_group_info(forms[form].group)->name) != 0)
		form++;
	if (!group || form == ARRAY_SIZE(forms) || !parameter) {
		REFUSE(decoding, REFUSAL_NAME, name,
			"a tuple of no known group, or without a device");
		return 0;
	}
	if (json_array_size(values) != forms[form].columns + 1) {
		REFUSE(decoding, REFUSAL_SHAPE, name, "a tuple with too few or too many values");
		return 0;
	}
	if (!decode_time(decoding, name, json_array_get(values, 0), &time_ms))
		return 0;
	r = add_reading(decoding, name, time_ms, &reading, &tuple);
	if (r < 0)
		return r;
	tuple->group = forms[form].group;
	tuple->parameter = batch_text(decoding->batch, parameter);
	if (!tuple->parameter)
		return -ENOMEM;
	if (tuple->group == METRIC_GROUP_CPU && decoding->options->cpu_is_percent)
		valid = decode_percent(decoding, name, values, tuple);
	else
		valid = decode_columns(decoding, name, values, forms[form].columns, tuple);
	if (!valid)
		decoding->batch->reading_count--;
	return 0;
}

static int decode_agent(struct decoding *decoding, const char *name, const json_t *tuples)
{
	int r = 0;

	if (json_array_size(tuples) > WIRE_TUPLES_MAX) {
		REFUSE(decoding, REFUSAL_SIZE, name, "too many tuples");
		return 0;
	}
	for (size_t i = 0; r == 0 && i < json_array_size(tuples); i++)
		r = decode_agent_tuple(decoding, name, json_array_get(tuples, i));
	return r;
}

/* A key: as the old worker wrote it. */
static int decode_key(struct decoding *decoding, const char *key, const char **ret_name)
{
	size_t size = strlen(key);

	*ret_name = NULL;
	if (size == 0 || size > INSTANCE_TEXT_MAX) {
		REFUSE(decoding, REFUSAL_NAME, key, "an instance without a usable name");
		return 0;
	}
	for (const char *c = key; *c; c++) {
		if ((uint8_t)*c >= 0x20 && *c != 0x7f)
			continue;
		REFUSE(decoding, REFUSAL_NAME, key, "an instance without a usable name");
		return 0;
	}
	*ret_name = batch_text(decoding->batch, key);
	return *ret_name ? 0 : -ENOMEM;
}

int decode_legacy(struct decoding *decoding, const json_t *root)
{
	const char *key, *name;
	json_t *value;
	int r = 0;

	if (!json_is_object(root)) {
		refuse(decoding->report, REFUSAL_SHAPE, "the data is no JSON object");
		return 0;
	}
	json_object_foreach((json_t *)root, key, value)
	{
		if (r == 0)
			r = decode_key(decoding, key, &name);
		if (r < 0)
			return r;
		if (!name)
			continue;
		if (!json_is_array(value))
			REFUSE(decoding, REFUSAL_SHAPE, name, "its data is no array");
		else if (json_is_string(json_array_get(value, 0)))
			r = decode_traffic(decoding, name, value);
		else
			r = decode_agent(decoding, name, value);
	}
	return r;
}
