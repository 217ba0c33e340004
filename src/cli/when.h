/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Times as people give them on a command line. */

#include <jansson.h>
#include <stdint.h>

#include "base/macros.h"

/* ISO 8601 or seconds (base/time-text.h), "now", "0" for now, or an age: -90s, -30m, -24h, -7d.
 * Returns 0 or negative. */
MUST_CHECK int when_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

/* Sets a time as an argument of a method. */
MUST_CHECK int when_set(json_t *args, const char *name, int64_t ms);
