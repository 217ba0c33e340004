/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* An INI file read by a table.
 *
 * The table names every key there is: section, name, type, default, limits, help. Parser, defaults,
 * --print-config, the error messages and the test of the manual come from it. `key: value` and
 * `key=value` mean the same; unknown sections and keys are errors that name file and line. Later
 * layers win: default, file, environment (PREFIX_SECTION_KEY), command line (section.key=value).
 * Nothing is half applied: a configuration that does not load does not exist. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/macros.h"

enum { CONFIG_FILE_MAX = 256 * 1024, CONFIG_VALUE_MAX = 1024 };

enum config_type {
	CONFIG_TEXT,
	CONFIG_INTEGER,
	CONFIG_BOOLEAN, /* yes, no */
	CONFIG_CHOICE,  /* one of `choices` */
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	const char *fallback;       /* the default, as it would stand in the file */
	int64_t minimum, maximum;   /* CONFIG_INTEGER */
	const char *const *choices; /* CONFIG_CHOICE: ends with NULL */
	const char *help;           /* one line */
};

struct config;

/* keys[count] is kept, not copied. */
MUST_CHECK int config_new(const struct config_key *keys, size_t count, struct config **ret_config);
struct config *config_free(struct config *config);
CLEANUP_DEFINE(struct config, config_free)

/* Each reads one layer on top of what is there. 0, or negative with a text for people. Lines before
 * the first section that are no comment are ignored, and counted in *ret_ignored (may be NULL). */
MUST_CHECK int config_read_file(
	struct config *config, const char *path, size_t *ret_ignored, struct error *err);
MUST_CHECK int config_read_text(struct config *config, const char *name, const char *text,
	size_t *ret_ignored, struct error *err);
MUST_CHECK int config_read_environment(
	struct config *config, const char *prefix, struct error *err);
MUST_CHECK int config_read_option(struct config *config, const char *option, struct error *err);

/* Asking for a key that the table does not have, or has with another type, is our own bug. Texts
 * live until the next config_read_... or config_free. */
const char *config_text(const struct config *config, const char *section, const char *name);
int64_t config_integer(const struct config *config, const char *section, const char *name);
bool config_boolean(const struct config *config, const char *section, const char *name);

/* "tcp://HOST:PORT" of two keys, for sockets; a port of 0 becomes *, any that is free. Returns
 * text. */
enum { CONFIG_ENDPOINT_SIZE = CONFIG_VALUE_MAX + 32 };
char *config_endpoint(const struct config *config, const char *section, const char *host,
	const char *port, char text[CONFIG_ENDPOINT_SIZE]);

/* Was it given by a layer, or is it the table's default? */
bool config_is_set(const struct config *config, const char *section, const char *name);

/* The whole configuration as a file, each key with its help above it. */
void config_print(const struct config *config, FILE *to);
