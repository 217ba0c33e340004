/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One line an event, to standard error (with journald's priority prefix where systemd reads it) or
 * to the file that the configuration names. Only programs log; libraries return. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program is kept, not copied. Nothing else may run yet. */
void log_init(const char *program, enum log_level level);

/* Appends to this file from now on; it is opened again on log_reopen (log rotation). */
MUST_CHECK int log_open_file(const char *path, struct error *err);
void log_reopen(void);

/* Keeps errno. Control characters in the text become '?'. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Lets a repeating event be logged the first time and then at a slowing rate: after 1, 2, 4, ...
 * up to 64 minutes. Zeroed memory is a new limit. One thread at a time. */
struct log_limit {
	int64_t next_ms;
	int64_t pause_ms;
	uint64_t held_back;
};

/* May this occurrence be logged? If so, *ret_held_back is how many were not since the last one. */
bool log_limit_pass(struct log_limit *limit, const struct clock *clock, uint64_t *ret_held_back);

/* The trouble is over: the next occurrence is logged at once. */
void log_limit_reset(struct log_limit *limit);
