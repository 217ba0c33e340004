/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/child.h"
#include "base/cursor.h"
#include "collect/libvirt/child.h"

struct lane {
	struct child child;
	struct buffer answer;
	bool is_busy;
};

struct monitor {
	char *uri;
	struct hangs hangs;
	struct lane lanes[_MONITOR_LANES];
	struct child aside[HANGS_MAX];
};

static int run_here(void *uri)
{
	return monitor_child_main(uri);
}

/* As long as we have one thread it may go on from here: it then shares with us what the dynamic
 * linker wrote into libvirt's many libraries, a fifth of both. */
static int start_child(char *uri, struct child *child)
{
	char name[] = "kanyun-worker", argument[] = MONITOR_CHILD_ARGUMENT;
	char *const arguments[] = { name, argument, uri, NULL };
	int r;

	if (child->pid)
		return 0;
	r = child_branch(child, run_here, uri);
	return r == -EAGAIN ? child_start(child, "/proc/self/exe", arguments) : r;
}

int monitor_new(const char *uri, const char *directory, struct monitor **ret_monitor)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return -ENOMEM;
	monitor->uri = strdup(uri);
	if (!monitor->uri) {
		free(monitor);
		return -ENOMEM;
	}
	for (size_t i = 0; i < _MONITOR_LANES; i++)
		buffer_init(&monitor->lanes[i].answer, MONITOR_ANSWER_MAX + 16);
	hangs_load(&monitor->hangs, directory);
	/* If it does not start, the first question tries again. */
	(void)start_child(monitor->uri, &monitor->lanes[MONITOR_ROUND].child);
	*ret_monitor = monitor;
	return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	for (size_t i = 0; i < _MONITOR_LANES; i++) {
		child_end(&monitor->lanes[i].child);
		buffer_deinit(&monitor->lanes[i].answer);
	}
	for (size_t i = 0; i < HANGS_MAX; i++)
		child_end(&monitor->aside[i]);
	free(monitor->uri);
	free(monitor);
	return NULL;
}

static int under_way(const struct monitor *monitor)
{
	int count = 0;

	for (size_t i = 0; i < _MONITOR_LANES; i++)
		count += monitor->lanes[i].is_busy;
	return count;
}

bool monitor_ask(struct monitor *monitor, enum monitor_lane number, unsigned int groups,
	const struct uuid *uuid)
{
	struct lane *lane = &monitor->lanes[number];
	char line[32 + UUID_TEXT_SIZE], text[UUID_TEXT_SIZE] = "";
	int size = snprintf(
		line, sizeof(line), "%u %s\n", groups, uuid ? uuid_format(uuid, text) : "");

	if (monitor->hangs.count + under_way(monitor) >= HANGS_MAX ||
		start_child(monitor->uri, &lane->child) < 0)
		return false;
	buffer_clear(&lane->answer);
	lane->is_busy = child_send(&lane->child, line, (size_t)size, 0) == 0;
	if (!lane->is_busy)
		child_end(&lane->child);
	return lane->is_busy;
}

static bool read_tuple(struct cursor *cursor, struct batch *batch, struct reading *reading)
{
	char parameter[PARAMETER_TEXT_MAX + 1], life[EPOCH_TEXT_MAX + 1];
	struct tuple *tuple = batch_add_tuple(batch, reading);

	if (!tuple)
		return false;
	tuple->group = (enum metric_group)cursor_read_u8(cursor);
	cursor_read_string(cursor, parameter, PARAMETER_TEXT_MAX);
	cursor_read_string(cursor, life, EPOCH_TEXT_MAX);
	tuple->present = (uint16_t)cursor_read_size(cursor, UINT16_MAX);
	for (unsigned int column = 0; column < METRIC_COLUMNS_MAX; column++)
		if (tuple_has(tuple, column))
			tuple->values[column] = cursor_read_signed(cursor);
	tuple->parameter = batch_text(batch, parameter);
	tuple->life = batch_text(batch, life);
	return tuple->group < _METRIC_GROUP_COUNT && tuple->parameter && tuple->life &&
	       !cursor->is_broken;
}

static int decode(const struct buffer *answer, struct batch **ret_batch)
{
	struct cursor cursor = cursor_over(answer->bytes + 4, answer->size - 4);
	size_t count = cursor_read_size(&cursor, 1 << 20), tuple_count;
	CLEANUP(batch_free) struct batch *batch = NULL;
	const uint8_t *uuid;
	int r = batch_new(&batch);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct reading *reading = batch_add_reading(batch);

		uuid = cursor_read_bytes(&cursor, sizeof(reading->instance.uuid.bytes));
		tuple_count = cursor_read_size(&cursor, 1 << 16);
		if (!reading || !uuid)
			return -EPROTO;
		reading->instance.has_uuid = true;
		memcpy(reading->instance.uuid.bytes, uuid, sizeof(reading->instance.uuid.bytes));
		for (size_t k = 0; k < tuple_count; k++)
			if (!read_tuple(&cursor, batch, reading))
				return -EPROTO;
	}
	if (r < 0)
		return r;
	if (cursor.is_broken)
		return -EPROTO; /* the child's libvirt failed */
	*ret_batch = batch;
	batch = NULL;
	return 0;
}

int monitor_wait(
	struct monitor *monitor, enum monitor_lane number, int timeout_ms, struct batch **ret_batch)
{
	struct lane *lane = &monitor->lanes[number];
	int r = child_receive(&lane->child, &lane->answer, timeout_ms);

	if (r == -EAGAIN)
		return r;
	lane->is_busy = false;
	if (r < 0)
		child_end(&lane->child);
	return r < 0 ? r : decode(&lane->answer, ret_batch);
}

void monitor_give_up(struct monitor *monitor, enum monitor_lane number)
{
	struct lane *lane = &monitor->lanes[number];

	lane->is_busy = false;
	hangs_change(&monitor->hangs, 1);
	for (size_t i = 0; i < HANGS_MAX; i++) {
		if (monitor->aside[i].pid)
			continue;
		monitor->aside[i] = lane->child;
		lane->child.pid = 0;
		return;
	}
	child_end(&lane->child);
}

void monitor_check(struct monitor *monitor)
{
	bool is_new_life = hangs_refresh(&monitor->hangs);

	for (size_t i = 0; i < HANGS_MAX; i++) {
		struct child *child = &monitor->aside[i];
		struct pollfd item = { child->from, POLLIN, 0 };

		if (!child->pid || (!is_new_life && poll(&item, 1, 0) <= 0))
			continue;
		child_end(child);
		if (!is_new_life)
			hangs_change(&monitor->hangs, -1);
	}
}

void monitor_forget_inherited(struct monitor *monitor)
{
	int own = 0;

	for (size_t i = 0; i < HANGS_MAX; i++)
		own += monitor->aside[i].pid != 0;
	if (monitor->hangs.count > own)
		hangs_change(&monitor->hangs, own - monitor->hangs.count);
}

int monitor_hung_calls(const struct monitor *monitor)
{
	return monitor->hangs.count;
}
