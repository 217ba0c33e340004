/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* kanyun.conf: the table of all keys of all programs, and how a program loads it. The sections and
 * keys of the specification keep their names and meaning. */

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"

extern const struct config_key settings_keys[];
extern const size_t settings_key_count;

/* Loads path; or, if it is NULL, ./kanyun.conf, else /etc/kanyun.conf, else only defaults. Then the
 * environment (KANYUN_SECTION_KEY), then options[count] (section.key=value). *ret_path (may be
 * NULL) is a static text: the file that was read, or "" if there was none. */
MUST_CHECK int settings_load(const char *path, const char *const *options, size_t option_count,
	struct config **ret_config, const char **ret_path, size_t *ret_ignored, struct error *err);
