/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void clear(struct device *device)
{
	free(device->parameter);
	free(device->identity);
}

void devices_deinit(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		clear(&devices->items[i]);
	free(devices->items);
	*devices = (struct devices){ 0 };
}

static struct device *find(
	const struct devices *devices, enum metric_group group, const struct tuple *tuple)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->items[i];

		if (device->group == group && strcmp(device->parameter, tuple->parameter) == 0 &&
			strcmp(device->identity, tuple->life) == 0)
			return device;
	}
	return NULL;
}

const char *devices_present(
	const struct devices *devices, enum metric_group group, const char *parameter)
{
	for (size_t i = 0; i < devices->count; i++) {
		const struct device *device = &devices->items[i];

		if (device->group == group && device->is_present &&
			strcmp(device->parameter, parameter) == 0)
			return device->identity;
	}
	return NULL;
}

static bool make_room(struct devices *devices)
{
	struct device *larger;
	size_t room = devices->room ? devices->room * 2 : 8;

	if (devices->count < devices->room)
		return true;
	if (devices->count == DEVICES_MAX)
		return false;
	larger = realloc(devices->items, room * sizeof(*larger));
	if (!larger)
		return false;
	devices->items = larger;
	devices->room = room;
	return true;
}

/* An index of the kernel's does not come back, so a NIC that went away need not be remembered. */
static void forget_nics(struct devices *devices)
{
	size_t kept = 0;

	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->items[i];

		if (device->group == METRIC_GROUP_NIC && !device->is_present)
			clear(device);
		else
			devices->items[kept++] = *device;
	}
	devices->count = kept;
}

bool devices_add(struct devices *devices, const struct device *device)
{
	struct device copy = *device;

	if (devices->count == DEVICES_MAX)
		forget_nics(devices);
	copy.parameter = strdup(device->parameter);
	copy.identity = strdup(device->identity);
	if (!copy.parameter || !copy.identity || !make_room(devices)) {
		clear(&copy);
		return false;
	}
	devices->items[devices->count++] = copy;
	return true;
}

static void tell(const struct device *device, struct batch *batch, struct tuple *tuple)
{
	char life[EPOCH_TEXT_MAX + 16];
	const char *copy;

	tuple->has_start = device->start_ms != 0;
	tuple->start_ms = device->start_ms;
	if (device->count == 1)
		return;
	snprintf(life, sizeof(life), "%.*s#%d", EPOCH_TEXT_MAX - 12, device->identity,
		device->count);
	copy = batch_text(batch, life);
	if (copy)
		tuple->life = copy;
}

/* seen_ms: when all devices of its kind were last seen. */
static bool name(struct devices *devices, struct batch *batch, struct tuple *tuple, int64_t time_ms,
	int64_t seen_ms)
{
	struct device *device = find(devices, tuple->group, tuple);
	bool is_news = true;

	if (!device) {
		const struct device new = { .group = tuple->group,
			.parameter = (char *)(uintptr_t)tuple->parameter,
			.identity = (char *)(uintptr_t)tuple->life,
			.count = 1,
			.is_present = true,
			.start_ms = seen_ms };

		if (!devices_add(devices, &new))
			return false;
		device = &devices->items[devices->count - 1];
	} else if (!device->is_present && time_ms > device->absent_ms) {
		device->is_present = true;
		device->count++;
		device->start_ms = device->absent_ms;
	} else {
		is_news = false; /* the same, or asked before it was taken away */
	}
	tell(device, batch, tuple);
	return is_news;
}

static bool has(const struct reading *reading, const struct device *device)
{
	for (size_t i = 0; i < reading->tuple_count; i++) {
		const struct tuple *tuple = &reading->tuples[i];

		if (tuple->group == device->group &&
			strcmp(tuple->parameter, device->parameter) == 0 &&
			strcmp(tuple->life, device->identity) == 0)
			return true;
	}
	return false;
}

static bool note_absent(struct devices *devices, enum metric_group group,
	const struct reading *reading, int64_t time_ms)
{
	bool is_news = false;

	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->items[i];

		if (device->group != group || has(reading, device))
			continue;
		is_news = is_news || device->is_present;
		device->is_present = false;
		device->absent_ms = MAX_OF(device->absent_ms, time_ms);
	}
	return is_news;
}

bool devices_name(struct devices *devices, enum metric_group group, struct batch *batch,
	struct reading *reading, int64_t time_ms)
{
	int64_t *seen_ms = group == METRIC_GROUP_NIC ? &devices->nics_ms : &devices->disks_ms;
	bool is_news = note_absent(devices, group, reading, time_ms);

	for (size_t i = 0; i < reading->tuple_count; i++)
		if (reading->tuples[i].group == group)
			is_news |= name(devices, batch, &reading->tuples[i], time_ms, *seen_ms);
	*seen_ms = MAX_OF(*seen_ms, time_ms);
	return is_news;
}

void devices_begin_segment(struct devices *devices, int64_t now_ms)
{
	devices->nics_ms = MIN_OF(devices->nics_ms, now_ms);
	devices->disks_ms = MIN_OF(devices->disks_ms, now_ms);
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->items[i];

		device->absent_ms = MIN_OF(device->absent_ms, now_ms);
		if (device->start_ms)
			device->start_ms = EPOCH_START_UNKNOWN;
	}
}

bool devices_remove(
	struct devices *devices, enum metric_group group, const char *parameter, int64_t time_ms)
{
	bool is_news = false;

	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->items[i];

		if (device->group != group || strcmp(device->parameter, parameter) != 0 ||
			!device->is_present)
			continue;
		device->is_present = false;
		device->absent_ms = time_ms;
		is_news = true;
	}
	return is_news;
}
