/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Points in time as people and programs write them. */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum { TIME_TEXT_SIZE = 32 };

/* ISO 8601 (2012-02-20T12:12:12, with an optional fraction and Z or +hh:mm; a blank for the T; a
 * date alone means its midnight; without a zone it is UTC) or seconds since 1970 (1332897600,
 * 1332897600.5). Years 1970 to 9999. Digits below a millisecond are cut off.
 * Returns 0; -EINVAL if it is no such time; -ERANGE outside those years. */
MUST_CHECK int time_text_parse(const char *text, int64_t *ret_ms);

/* "2012-02-20T12:12:12Z", with ".123" only where the milliseconds are not zero. Returns text. */
char *time_text_format(int64_t ms, char text[TIME_TEXT_SIZE]);

/* The same with ".000" too, so that all such texts are as long. */
char *time_text_format_whole(int64_t ms, char text[TIME_TEXT_SIZE]);

/* A month in UTC, "2026-10": its first instant and that of the next one. 0 or -EINVAL. */
MUST_CHECK int time_text_parse_month(const char *text, int64_t *ret_from_ms, int64_t *ret_to_ms);

/* "2026-10", the month in UTC that a time is in. Returns text. */
char *time_text_format_month(int64_t ms, char text[TIME_TEXT_SIZE]);
