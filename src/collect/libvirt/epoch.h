/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The name of one life of a QEMU process: raw identifiers only, so that it comes out the same after
 * the worker restarts. */

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"

/* "host/boot id/pid/start ticks" of the domain called name; `to` is "" if it is not known (no pid
 * file, no such process). *ret_start_ms is when it began, or EPOCH_START_UNKNOWN. */
void epoch_of_domain(const char *host, const char *name, const struct clock *clock, char *to,
	size_t size, int64_t *ret_start_ms);

/* Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and parentheses. 0 or -EINVAL. */
MUST_CHECK int epoch_parse_stat(const char *stat, int64_t *ret_ticks);

/* The pid and start of a pid file's process as one text, "" if there is none. */
void epoch_of_pid_file(const char *path, char *to, size_t size);
