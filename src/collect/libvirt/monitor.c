/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "collect/libvirt/child.h"

extern char **environ;

struct child {
	pid_t pid; /* 0: none */
	int to, from;
};

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

static void end_child(struct child *child)
{
	if (!child->pid)
		return;
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->to);
	close(child->from);
	child->pid = 0;
}

/* Descriptors of ours are all close-on-exec; signals are as at a program's start. */
static int spawn(const char *uri, int in, int out, pid_t *ret_pid)
{
	char name[] = "kanyun-worker", argument[] = MONITOR_CHILD_ARGUMENT;
	char *arguments[] = { name, argument, (char *)(uintptr_t)uri, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	r = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* The kernel counts the folders in a folder as links, and each thread has one. */
static bool has_one_thread(void)
{
	struct stat status;

	return stat("/proc/self/task", &status) == 0 && status.st_nlink == 3;
}

/* The same without exec: it shares with us what the dynamic linker wrote into libvirt's many
 * libraries, a fifth of both. Safe only where no other thread can hold a lock. */
static int branch(const char *uri, int in, int out, pid_t *ret_pid)
{
	pid_t pid = fork();
	sigset_t none;

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		*ret_pid = pid;
		return 0;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(EXIT_FAILURE);
	closefrom(STDERR_FILENO + 1);
	_exit(monitor_child_main(uri));
}

static int start_child(const char *uri, struct child *child)
{
	int to[2], from[2], r;

	if (child->pid)
		return 0;
	if (pipe2(to, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) < 0) {
		r = -errno;
		close(to[0]);
		close(to[1]);
		return r;
	}
	r = has_one_thread() ? branch(uri, to[0], from[1], &child->pid)
			     : spawn(uri, to[0], from[1], &child->pid);
	close(to[0]);
	close(from[1]);
	child->to = to[1];
	child->from = from[0];
	if (r < 0) {
		child->pid = 0;
		close(to[1]);
		close(from[0]);
	}
	return r;
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
		end_child(&monitor->lanes[i].child);
		buffer_deinit(&monitor->lanes[i].answer);
	}
	for (size_t i = 0; i < HANGS_MAX; i++)
		end_child(&monitor->aside[i]);
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
	lane->is_busy = write(lane->child.to, line, (size_t)size) == size;
	if (!lane->is_busy)
		end_child(&lane->child);
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

static bool is_whole(const struct buffer *answer)
{
	struct cursor cursor = cursor_over(answer->bytes, answer->size);

	return answer->size >= 4 && cursor_read_u32(&cursor) <= answer->size - 4;
}

static int receive(struct lane *lane, int timeout_ms)
{
	const struct clock *clock = clock_system();
	int64_t end_ms = clock_monotonic_ms(clock) + timeout_ms, left_ms;
	struct pollfd item = { lane->child.from, POLLIN, 0 };
	uint8_t *room;
	ssize_t n;

	while (!is_whole(&lane->answer)) {
		left_ms = end_ms - clock_monotonic_ms(clock);
		if (poll(&item, 1, (int)MAX_OF(left_ms, 0)) <= 0 && left_ms <= 0)
			return -EAGAIN;
		if (!item.revents)
			continue;
		room = buffer_reserve(&lane->answer, 65536);
		n = room ? read(lane->child.from, room, 65536) : -1;
		if (n <= 0)
			return -EPIPE;
		buffer_advance(&lane->answer, (size_t)n);
	}
	return 0;
}

int monitor_wait(
	struct monitor *monitor, enum monitor_lane number, int timeout_ms, struct batch **ret_batch)
{
	struct lane *lane = &monitor->lanes[number];
	int r = receive(lane, timeout_ms);

	if (r == -EAGAIN)
		return r;
	lane->is_busy = false;
	if (r < 0)
		end_child(&lane->child);
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
	end_child(&lane->child);
}

void monitor_check(struct monitor *monitor)
{
	bool is_new_life = hangs_refresh(&monitor->hangs);

	for (size_t i = 0; i < HANGS_MAX; i++) {
		struct child *child = &monitor->aside[i];
		struct pollfd item = { child->from, POLLIN, 0 };

		if (!child->pid || (!is_new_life && poll(&item, 1, 0) <= 0))
			continue;
		end_child(child);
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
