/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Times and spans as people give them. */

#include <stdint.h>

#include "base/macros.h"

/* A time of base/time-text.h; or now, today, yesterday, this-month, last-month (their first
 * instant, in UTC), each also with a span added or taken: "now-1h", "today+30m"; "-1h" is "now-1h",
 * and "0" is now. Returns 0; -EINVAL; -ERANGE if it is not within the years 1970 to 9999. */
MUST_CHECK int when_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

/* "90s", "30m", "24h", "7d", "2w", or seconds without a letter. 0; -EINVAL; -ERANGE over 8000
 * years. */
MUST_CHECK int when_parse_span(const char *text, int64_t *ret_ms);
