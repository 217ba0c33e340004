/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the daemons have in common before and after their work: the command line, the configuration,
 * the log, and telling whoever started them that they are ready. */

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"

enum { PROGRAM_OPTIONS_MAX = 64 };

/* Exit statuses. */
enum { PROGRAM_OK = 0, PROGRAM_FAILED = 1, PROGRAM_USAGE = 2 };

struct program {
	const char *name;    /* kanyun-server */
	const char *summary; /* one line for --help */
	const char *section; /* its own section of the configuration, whose `log` key it may have */
	/* One more option without an argument, e.g. "once"; NULL: none. */
	const char *flag;
	const char *flag_help;

	/* Filled by program_start: */
	struct config *config; /* owned */
	bool has_flag;         /* that option was given */
	int ready_fd;          /* -1: none */
};

/* How the program loads its configuration (model/settings.h: settings_load). */
typedef int (*program_load_fn)(const char *path, const char *const *options, size_t option_count,
	struct config **ret_config, const char **ret_path, size_t *ret_ignored, struct error *err);

/* Reads the command line (-c FILE, -o SECTION.KEY=VALUE, --ready-fd N, --print-config,
 * --check-config, -v, -V, -h), loads the configuration and starts the log. Returns true if the
 * program is to go on; else *ret_status is its exit status and everything has been said. */
bool program_start(
	struct program *program, int argc, char **argv, program_load_fn load, int *ret_status);

/* Writes one line "word value" to the ready fd, e.g. "pull tcp://127.0.0.1:5551". */
void program_tell(struct program *program, const char *word, const char *value);

/* Writes the line READY, closes the ready fd, and tells systemd. */
void program_ready(struct program *program);

/* Tells systemd that the program is about to end, and frees the configuration. */
void program_end(struct program *program);
