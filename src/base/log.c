/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { LOG_LINE_MAX = 2048, LOG_PAUSE_FIRST_MS = 60 * 1000, LOG_PAUSE_MAX_MS = 64 * 60 * 1000 };

static struct {
	pthread_mutex_t lock;
	const char *program;
	enum log_level level;
	bool journal; /* standard error is read by systemd-journald */
	char *path;
	int fd;
} logger = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .program = "kanyun", .level = LOG_LEVEL_INFO, .fd = 2
};

void log_init(const char *program, enum log_level level)
{
	logger.program = program;
	logger.level = level;
	logger.journal = getenv("JOURNAL_STREAM") != NULL;
}

static int open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

int log_open_file(const char *path, struct error *err)
{
	int fd = open_path(path);
	char *copy;

	if (fd < 0)
		return error_set(err, fd, "cannot open log file '%s': %s", path, strerror(-fd));
	copy = strdup(path);
	if (!copy) {
		close(fd);
		return -ENOMEM;
	}
	pthread_mutex_lock(&logger.lock);
	if (logger.fd != STDERR_FILENO)
		close(logger.fd);
	free(logger.path);
	logger.path = copy;
	logger.fd = fd;
	logger.journal = false;
	pthread_mutex_unlock(&logger.lock);
	return 0;
}

void log_reopen(void)
{
	int fd;

	pthread_mutex_lock(&logger.lock);
	fd = logger.path ? open_path(logger.path) : -1;
	if (fd >= 0) {
		if (logger.fd != STDERR_FILENO)
			close(logger.fd);
		logger.fd = fd;
	}
	pthread_mutex_unlock(&logger.lock);
}

/* "2026-11-24T08:15:30.123Z kanyun-server[4711] warning: ", or "<4>" for journald, which adds the
 * rest itself. */
static size_t write_head(char *line, size_t size, enum log_level level)
{
	static const char *const names[] = { "error: ", "warning: ", "", "debug: " };
	static const int priorities[] = { 3, 4, 6, 7 };
	struct timespec now;
	struct tm utc;
	size_t used;

	if (logger.journal)
		return (size_t)snprintf(line, size, "<%d>", priorities[level]);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	return used + (size_t)snprintf(line + used, size - used, ".%03ldZ %s[%d] %s",
			      now.tv_nsec / 1000000, logger.program, getpid(), names[level]);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	int saved_errno = errno;
	size_t used;
	va_list args;

	if (level > logger.level)
		return;
	pthread_mutex_lock(&logger.lock);
	used = write_head(line, sizeof(line) - 1, level);
	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - 1 - used, format, args);
	va_end(args);
	text_make_printable(line);
	used = strlen(line);
	line[used++] = '\n';
	/* A log that cannot be written has nobody to be told to. */
	if (write(logger.fd, line, used) < 0)
		errno = saved_errno;
	pthread_mutex_unlock(&logger.lock);
	errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit, const struct clock *clock, uint64_t *ret_held_back)
{
	int64_t now_ms = clock_monotonic_ms(clock);

	if (limit->pause_ms && now_ms < limit->next_ms) {
		limit->held_back++;
		return false;
	}
	limit->pause_ms = limit->pause_ms ? MIN_OF(limit->pause_ms * 2, (int64_t)LOG_PAUSE_MAX_MS)
					  : LOG_PAUSE_FIRST_MS;
	limit->next_ms = now_ms + limit->pause_ms;
	*ret_held_back = limit->held_back;
	limit->held_back = 0;
	return true;
}

void log_limit_reset(struct log_limit *limit)
{
	*limit = (struct log_limit){ 0 };
}
