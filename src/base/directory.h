/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/macros.h"

enum { DIRECTORY_PATH_MAX = 4096 };

/* Makes a directory and those that lead to it, as mkdir -p does, durably: whoever syncs a file in
 * it cannot lose it with its directory. `mode` is for the last one, the others get 0755. Returns 0,
 * also where all are there, or negative. */
MUST_CHECK int directory_make(const char *path, mode_t mode, struct error *err);

/* Makes the names in a directory durable. 0 or -errno. */
MUST_CHECK int directory_sync(const char *path);
