/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/when.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/time-text.h"

static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;
static const int64_t SPAN_MAX_MS = INT64_C(8000) * 365 * 24 * 3600 * 1000;
static const int64_t LAST_MS = 253402300799999; /* the last millisecond of 9999 */

static int64_t unit_ms(char unit)
{
	switch (unit) {
	case '\0':
	case 's':
		return 1000;
	case 'm':
		return 60 * 1000;
	case 'h':
		return 3600 * 1000;
	case 'd':
		return DAY_MS;
	case 'w':
		return 7 * DAY_MS;
	default:
		return 0;
	}
}

int when_parse_span(const char *text, int64_t *ret_ms)
{
	size_t digits = strspn(text, "0123456789");
	char number[16];
	int64_t count, unit = unit_ms(text[digits]);

	if (digits == 0 || digits >= sizeof(number) || !unit || (text[digits] && text[digits + 1]))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (text_to_i64(number, &count) < 0)
		return -EINVAL;
	if (count > SPAN_MAX_MS / unit)
		return -ERANGE;
	*ret_ms = count * unit;
	return 0;
}

static int64_t month_of(int64_t ms)
{
	char text[TIME_TEXT_SIZE];
	int64_t from_ms = 0, to_ms = 0;

	(void)!time_text_parse_month(time_text_format_month(ms, text), &from_ms, &to_ms);
	return from_ms;
}

/* The time of a word, which ends where a span may begin; NULL if it is none. */
static const char *read_word(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	int64_t this_month_ms = month_of(now_ms);
	const struct {
		const char *name;
		int64_t ms;
	} words[] = {
		{ "now", now_ms },
		{ "today", now_ms - now_ms % DAY_MS },
		{ "yesterday", now_ms - now_ms % DAY_MS - DAY_MS },
		{ "this-month", this_month_ms },
		{ "last-month", month_of(this_month_ms - 1) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t size = strlen(words[i].name);

		if (strncmp(text, words[i].name, size) != 0)
			continue;
		*ret_ms = words[i].ms;
		return text + size;
	}
	return NULL;
}

int when_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	int64_t ms = now_ms, span_ms = 0;
	const char *rest = *text == '-' ? text : read_word(text, now_ms, &ms);
	int r = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ms = now_ms;
		return 0;
	}
	if (!rest)
		return time_text_parse(text, ret_ms);
	if (*rest == '-' || *rest == '+')
		r = when_parse_span(rest + 1, &span_ms);
	else if (*rest)
		r = -EINVAL;
	ms += *rest == '-' ? -span_ms : span_ms;
	if (r == 0 && (ms < 0 || ms > LAST_MS))
		r = -ERANGE;
	if (r == 0)
		*ret_ms = ms;
	return r;
}
