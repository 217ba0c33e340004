/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"

extern char **environ;

enum { READ_SIZE = 65536, HEAD_SIZE = 4 };

/* Both pipes; [0] is read from. All are close-on-exec, and ours do not block. */
struct pipes {
	int to[2], from[2];
};

static int open_pipes(struct pipes *pipes)
{
	int r;

	if (pipe2(pipes->to, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(pipes->from, O_CLOEXEC) == 0) {
		if (fcntl(pipes->to[1], F_SETFL, O_NONBLOCK) == 0)
			return 0;
		r = -errno;
		close(pipes->from[0]);
		close(pipes->from[1]);
	} else {
		r = -errno;
	}
	close(pipes->to[0]);
	close(pipes->to[1]);
	return r;
}

/* r < 0: there is no child after all. */
static int keep_pipes(struct child *child, const struct pipes *pipes, int r)
{
	close(pipes->to[0]);
	close(pipes->from[1]);
	child->to = pipes->to[1];
	child->from = pipes->from[0];
	if (r < 0) {
		child->pid = 0;
		close(child->to);
		close(child->from);
	}
	return r;
}

static int spawn(
	const struct pipes *pipes, const char *path, char *const *arguments, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_adddup2(&actions, pipes->to[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pipes->from[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	r = posix_spawn(ret_pid, path, &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

int child_start(struct child *child, const char *path, char *const *arguments)
{
	struct pipes pipes;
	int r = open_pipes(&pipes);

	return r < 0 ? r
		     : keep_pipes(child, &pipes, spawn(&pipes, path, arguments, &child->pid));
}

/* The kernel counts the folders in a folder as links, and each thread has one. */
static bool has_one_thread(void)
{
	struct stat status;

	return stat("/proc/self/task", &status) == 0 && status.st_nlink == 3;
}

static void run_branch(const struct pipes *pipes, int (*run)(void *context), void *context)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(pipes->to[0], STDIN_FILENO) < 0 || dup2(pipes->from[1], STDOUT_FILENO) < 0)
		_exit(EXIT_FAILURE);
	closefrom(STDERR_FILENO + 1);
	_exit(run(context));
}

/* Safe only where no other thread can hold a lock. */
int child_branch(struct child *child, int (*run)(void *context), void *context)
{
	struct pipes pipes;
	int r;

	if (!has_one_thread())
		return -EAGAIN;
	r = open_pipes(&pipes);
	if (r < 0)
		return r;
	child->pid = fork();
	if (child->pid == 0)
		run_branch(&pipes, run, context);
	return keep_pipes(child, &pipes, child->pid < 0 ? -errno : 0);
}

void child_end(struct child *child)
{
	if (!child->pid)
		return;
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->to);
	close(child->from);
	child->pid = 0;
}

/* Whether there is something to do at fd before the time is over. */
static bool wait_for(int fd, short events, int64_t end_ms)
{
	struct pollfd item = { fd, events, 0 };
	int64_t left_ms;

	do {
		left_ms = end_ms - clock_monotonic_ms(clock_system());
		if (poll(&item, 1, (int)MAX_OF(left_ms, 0)) > 0)
			return true;
	} while (left_ms > 0);
	return false;
}

int child_send(struct child *child, const void *bytes, size_t size, int timeout_ms)
{
	int64_t end_ms = clock_monotonic_ms(clock_system()) + timeout_ms;
	const char *next = bytes;
	ssize_t n;

	while (size) {
		n = write(child->to, next, size);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -EPIPE;
		if (n < 0 && !wait_for(child->to, POLLOUT, end_ms))
			return -EAGAIN;
		next += MAX_OF(n, 0);
		size -= (size_t)MAX_OF(n, 0);
	}
	return 0;
}

static bool is_whole(const struct buffer *answer)
{
	struct cursor cursor = cursor_over(answer->bytes, answer->size);

	return answer->size >= HEAD_SIZE && cursor_read_u32(&cursor) <= answer->size - HEAD_SIZE;
}

int child_receive(struct child *child, struct buffer *answer, int timeout_ms)
{
	int64_t end_ms = clock_monotonic_ms(clock_system()) + timeout_ms;
	uint8_t *room;
	ssize_t n;

	while (!is_whole(answer)) {
		if (!wait_for(child->from, POLLIN, end_ms))
			return -EAGAIN;
		room = buffer_reserve(answer, READ_SIZE);
		if (!room)
			return -EMSGSIZE;
		n = read(child->from, room, READ_SIZE);
		if (n <= 0)
			return -EPIPE;
		buffer_advance(answer, (size_t)n);
	}
	return 0;
}

static int read_to_end(struct child *child, struct buffer *output, int64_t end_ms)
{
	uint8_t *room;
	ssize_t n;

	while (wait_for(child->from, POLLIN, end_ms)) {
		room = buffer_reserve(output, READ_SIZE);
		if (!room)
			return -EMSGSIZE;
		n = read(child->from, room, READ_SIZE);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buffer_advance(output, (size_t)n);
	}
	return -EAGAIN;
}

int child_finish(struct child *child, struct buffer *output, int timeout_ms)
{
	int64_t end_ms = clock_monotonic_ms(clock_system()) + timeout_ms;
	int r = read_to_end(child, output, end_ms), status;

	if (r < 0) {
		child_end(child);
		return r;
	}
	if (waitpid(child->pid, &status, 0) < 0)
		r = -errno;
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
		r = -EIO;
	close(child->to);
	close(child->from);
	child->pid = 0;
	return r;
}
