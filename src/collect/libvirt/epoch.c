/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/batch.h"

enum { STAT_START_FIELD = 22 };

int epoch_parse_stat(const char *stat, int64_t *ret_ticks)
{
	const char *next = strrchr(stat, ')');
	char number[24];
	size_t length;

	for (int field = 2; next && field < STAT_START_FIELD; field++) {
		next = strchr(next, ' ');
		next = next ? next + 1 : NULL;
	}
	length = next ? strcspn(next, " \n") : 0;
	if (length == 0 || length >= sizeof(number))
		return -EINVAL;
	memcpy(number, next, length);
	number[length] = '\0';
	return text_to_i64(number, ret_ticks) < 0 ? -EINVAL : 0;
}

static bool find_process(const char *pid_file, int64_t *ret_pid, int64_t *ret_ticks)
{
	char text[1024], path[64];

	file_read_line(pid_file, text, sizeof(text));
	if (text_to_i64(text, ret_pid) < 0 || *ret_pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", *ret_pid);
	file_read_line(path, text, sizeof(text));
	return epoch_parse_stat(text, ret_ticks) == 0;
}

void epoch_of_pid_file(const char *path, char *to, size_t size)
{
	int64_t pid, ticks;

	*to = '\0';
	if (find_process(path, &pid, &ticks))
		snprintf(to, size, "%" PRId64 "/%" PRId64, pid, ticks);
}

void epoch_of_domain(const char *host, const char *name, const struct clock *clock, char *to,
	size_t size, int64_t *ret_start_ms)
{
	char path[512], boot_id[64];
	int64_t pid, ticks;

	*to = '\0';
	*ret_start_ms = EPOCH_START_UNKNOWN;
	if (snprintf(path, sizeof(path), "/run/libvirt/qemu/%s.pid", name) >= (int)sizeof(path))
		return;
	file_read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id));
	if (!*boot_id || !find_process(path, &pid, &ticks))
		return;
	if (snprintf(to, size, "%s/%s/%" PRId64 "/%" PRId64, host, boot_id, pid, ticks) >=
		(int)size) {
		*to = '\0';
		return;
	}
	/* What is before the clock's segment is INT64_MIN, as an unknown start is. */
	*ret_start_ms = clock_wall_of(clock, ticks * 1000 / sysconf(_SC_CLK_TCK));
}
