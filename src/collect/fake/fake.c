/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Plays a script instead of reading VMs, for tests and demonstrations.
 *
 *     {"instances": [{"uuid": "...", "name": "instance-00000001",
 *                     "info": {"project_id": "p1", "display_name": "web"}, "vcpus": 2,
 *                     "readings": {"cpu": {"total": [1000000]},
 *                                  "nic": {"vnet0": [100, 200, null]}}}]}
 *
 * A reading's numbers are what a second adds: the value at a tick is the number times the seconds
 * since 2020-01-01, so it is the same for every run. With "steady": true beside "instances" it is
 * the number times the seconds since the boot, as of an epoch that began then, whatever the wall
 * clock says. Gauges (mem, state) are given as they are. null is absent. An instance's
 * "taps": {"vnet-a": ["10.0.0.2"]} are devices of this host whose traffic is metered for real. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/collector.h"
#include "collect/traffic/traffic.h"

#define FAKE_START_MS INT64_C(1577836800000)

struct fake {
	struct collector collector;
	struct collector_context context;
	json_t *script;
	struct traffic *traffic;
	char epoch[EPOCH_TEXT_MAX + 1];
	bool is_steady;
};

/* How long the counters have run. */
static int64_t age_ms(const struct fake *fake, const struct clock_reading *now, int64_t time_ms)
{
	return fake->is_steady ? now->monotonic_ms : time_ms - FAKE_START_MS;
}

static int64_t start_ms(const struct fake *fake, const struct clock_reading *now)
{
	if (fake->is_steady)
		return clock_wall_of(fake->context.clock, 0);
	return now->segment ? EPOCH_START_UNKNOWN : FAKE_START_MS;
}

static void read_tuple(struct tuple *tuple, json_t *values, int64_t seconds)
{
	const struct metric *metric;
	json_t *value;
	size_t i;

	json_array_foreach(values, i, value)
	{
		metric = metric_of_column(tuple->group, (unsigned int)i);
		if (!metric || !json_is_integer(value))
			continue;
		tuple_set(tuple, (unsigned int)i,
			metric->kind == METRIC_COUNTER ? json_integer_value(value) * seconds
						       : json_integer_value(value));
	}
}

static bool add_group(struct batch *batch, struct reading *reading, const char *name,
	json_t *parameters, int64_t seconds)
{
	enum metric_group group = metric_group_by_name(name, strlen(name));
	const char *parameter;
	struct tuple *tuple;
	json_t *values;

	if (group == _METRIC_GROUP_COUNT)
		return true;
	json_object_foreach(parameters, parameter, values)
	{
		tuple = batch_add_tuple(batch, reading);
		if (!tuple)
			return false;
		tuple->group = group;
		tuple->parameter = batch_text(batch, parameter);
		if (!tuple->parameter)
			return false;
		read_tuple(tuple, values, seconds);
	}
	return true;
}

/* A batch may outlive the script. */
static const char *copy_text(struct batch *batch, const json_t *json)
{
	const char *text = json_is_string(json) ? batch_text(batch, json_string_value(json)) : NULL;

	return text ? text : "";
}

static bool add_info(struct fake *fake, struct batch *batch, json_t *instance,
	const struct uuid *uuid, int64_t tick_ms)
{
	struct instance_info *info = batch_add_info(batch);
	json_t *texts = json_object_get(instance, "info"), *number;

	if (!info)
		return false;
	info->uuid = *uuid;
	info->since_ms = tick_ms;
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(info, i) =
			copy_text(batch, json_object_get(texts, instance_fields[i].name));
	info->name = copy_text(batch, json_object_get(instance, "name"));
	info->host = fake->context.host;
	number = json_object_get(instance, "vcpus");
	info->vcpus = json_is_integer(number) ? json_integer_value(number) : -1;
	return true;
}

static bool uuid_of(const json_t *instance, struct uuid *ret_uuid)
{
	const char *text = json_string_value(json_object_get(instance, "uuid"));

	return text && uuid_parse(text, ret_uuid) == 0;
}

static struct reading *add_reading(struct fake *fake, struct batch *batch, const struct uuid *uuid,
	const struct clock_reading *now, int64_t time_ms)
{
	struct reading *reading = batch_add_reading(batch);

	if (!reading)
		return NULL;
	reading->instance = (struct instance_key){ .has_uuid = true, .uuid = *uuid };
	reading->time_ms = time_ms;
	reading->segment = now->segment;
	reading->epoch = batch_text(batch, fake->epoch);
	reading->start_ms = start_ms(fake, now);
	return reading->epoch ? reading : NULL;
}

static bool add_instance(struct fake *fake, struct batch *batch, json_t *instance,
	const struct clock_reading *now, int64_t time_ms)
{
	struct reading *reading;
	struct uuid uuid;
	json_t *parameters;
	const char *name;

	if (!uuid_of(instance, &uuid))
		return true;
	reading = add_reading(fake, batch, &uuid, now, time_ms);
	if (!reading || !add_info(fake, batch, instance, &uuid, time_ms))
		return false;
	json_object_foreach(json_object_get(instance, "readings"), name, parameters)
	{
		if (!add_group(batch, reading, name, parameters, age_ms(fake, now, time_ms) / 1000))
			return false;
	}
	return true;
}

static void want_taps(struct fake *fake, const json_t *instance, const struct uuid *uuid)
{
	json_t *taps = json_object_get(instance, "taps"), *addresses, *address;
	const char *texts[INSTANCE_ADDRESSES_MAX], *nic;
	size_t i;

	json_object_foreach(taps, nic, addresses)
	{
		struct instance_port port = { nic, "", "", texts, 0 };

		json_array_foreach(addresses, i, address)
		{
			if (port.address_count < INSTANCE_ADDRESSES_MAX && json_is_string(address))
				texts[port.address_count++] = json_string_value(address);
		}
		traffic_want(fake->traffic, uuid,
			json_string_value(json_object_get(instance, "name")), &port);
	}
}

/* What ended was last read just before what counts on. */
static bool add_traffic(
	struct fake *fake, struct batch *batch, const struct clock_reading *now, int64_t time_ms)
{
	const struct traffic_answer *answer;
	struct reading *reading;
	json_t *instance;
	struct uuid uuid;
	size_t i;

	traffic_begin(fake->traffic);
	json_array_foreach(json_object_get(fake->script, "instances"), i, instance)
	{
		if (uuid_of(instance, &uuid))
			want_taps(fake, instance, &uuid);
	}
	answer = traffic_ask(fake->traffic);
	for (i = 0; answer && i < answer->count; i++) {
		const struct traffic_counter *counter = &answer->counters[i];

		if (!traffic_owner(fake->traffic, counter, &uuid))
			continue;
		reading = add_reading(fake, batch, &uuid, now, time_ms - counter->is_final);
		if (!reading || !traffic_add(fake->traffic, batch, reading, counter))
			return false;
	}
	return true;
}

static void fake_collect(struct collector *collector, int64_t tick_ms)
{
	struct fake *fake = (struct fake *)collector;
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct clock_reading now = clock_read(fake->context.clock);
	json_t *instance;
	size_t i;

	if (batch_new(&batch) < 0)
		return;
	if (!tick_ms || tick_ms > now.wall_ms)
		tick_ms = now.wall_ms;
	batch->host = fake->context.host;
	batch->until_ms = tick_ms;
	json_array_foreach(json_object_get(fake->script, "instances"), i, instance)
	{
		if (!add_instance(fake, batch, instance, &now, tick_ms))
			return;
	}
	if (!add_traffic(fake, batch, &now, tick_ms))
		return;
	fake->context.deliver(fake->context.worker, &batch);
}

static int fake_start(const struct collector_context *context, struct collector **ret_collector,
	struct error *err)
{
	const char *path = config_text(context->config, "worker", "fake_script");
	struct fake *fake = calloc(1, sizeof(*fake));
	json_error_t problem;
	int r;

	if (!fake)
		return -ENOMEM;
	fake->collector.ops = &fake_collector;
	fake->context = *context;
	snprintf(fake->epoch, sizeof(fake->epoch), "%s/fake", context->host);
	fake->script = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
	if (!fake->script) {
		free(fake);
		return error_set(
			err, -EINVAL, "'%s' line %d: %s", path, problem.line, problem.text);
	}
	r = traffic_new(context, &fake->traffic, err);
	if (r < 0) {
		json_decref(fake->script);
		free(fake);
		return r;
	}
	fake->is_steady = json_is_true(json_object_get(fake->script, "steady"));
	*ret_collector = &fake->collector;
	return 0;
}

static void fake_stop(struct collector *collector)
{
	struct fake *fake = (struct fake *)collector;

	traffic_free(fake->traffic);
	json_decref(fake->script);
	free(fake);
}

const struct collector_ops fake_collector = {
	.name = "fake",
	.start = fake_start,
	.collect = fake_collect,
	.stop = fake_stop,
};
