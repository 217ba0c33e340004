/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/time-text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static const int64_t LAST_MS = 253402300799999; /* the last millisecond of 9999 */

/* Reads exactly `digits` digits and, if `after` is not NUL, that character. */
static bool read_part(const char **text, int digits, char after, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < digits; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (**text - '0');
	}
	if (after && *(*text)++ != after)
		return false;
	*ret_value = value;
	return true;
}

static bool read_fraction(const char **text, int *ret_ms)
{
	int scale = 100;

	*ret_ms = 0;
	if (**text != '.')
		return true;
	(*text)++;
	if (**text < '0' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; (*text)++, scale /= 10)
		*ret_ms += (**text - '0') * scale;
	return true;
}

/* What must be subtracted from the local reading to have UTC. */
static bool read_zone(const char **text, int64_t *ret_ms)
{
	int sign, hours, minutes;

	*ret_ms = 0;
	if (!**text)
		return true;
	if (**text == 'Z' || **text == 'z') {
		(*text)++;
		return true;
	}
	if (**text != '+' && **text != '-')
		return false;
	sign = *(*text)++ == '-' ? -1 : 1;
	if (!read_part(text, 2, '\0', &hours))
		return false;
	if (**text == ':')
		(*text)++;
	if (!read_part(text, 2, '\0', &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_ms = sign * (hours * 60 + minutes) * INT64_C(60000);
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static int parse_calendar(const char *text, int64_t *ret_ms)
{
	int year, month, day, hour = 0, minute = 0, second = 0, fraction_ms = 0;
	int64_t zone_ms = 0;
	struct tm utc;

	if (!read_part(&text, 4, '-', &year) || !read_part(&text, 2, '-', &month) ||
		!read_part(&text, 2, '\0', &day))
		return -EINVAL;
	if (*text) {
		if (*text != 'T' && *text != ' ' && *text != 't')
			return -EINVAL;
		text++;
		if (!read_part(&text, 2, ':', &hour) || !read_part(&text, 2, '\0', &minute))
			return -EINVAL;
		if (*text == ':') {
			text++;
			if (!read_part(&text, 2, '\0', &second) ||
				!read_fraction(&text, &fraction_ms))
				return -EINVAL;
		}
		if (!read_zone(&text, &zone_ms) || *text)
			return -EINVAL;
	}
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
		minute > 59 || second > 59)
		return -EINVAL;
	if (year < 1970)
		return -ERANGE;
	utc = (struct tm){ .tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_sec = second };
	*ret_ms = (int64_t)timegm(&utc) * 1000 + fraction_ms - zone_ms;
	return 0;
}

int time_text_parse(const char *text, int64_t *ret_ms)
{
	size_t digits = strspn(text, "0123456789");
	int64_t ms;
	int r;

	if (digits == 4 && text[4] == '-')
		r = parse_calendar(text, &ms);
	else
		r = text_to_scaled(text, 3, &ms);
	if (r < 0)
		return r;
	if (ms < 0 || ms > LAST_MS)
		return -ERANGE;
	*ret_ms = ms;
	return 0;
}

char *time_text_format_whole(int64_t ms, char text[TIME_TEXT_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm utc;
	size_t used;

	gmtime_r(&seconds, &utc);
	used = strftime(text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + used, TIME_TEXT_SIZE - used, ".%03dZ", (int)(ms % 1000));
	return text;
}

char *time_text_format(int64_t ms, char text[TIME_TEXT_SIZE])
{
	time_text_format_whole(ms, text);
	if (ms % 1000 == 0)
		memcpy(strchr(text, '.'), "Z", sizeof("Z"));
	return text;
}

int time_text_parse_month(const char *text, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	char day[TIME_TEXT_SIZE], again[TIME_TEXT_SIZE];
	int64_t from_ms, to_ms;

	if (strlen(text) != strlen("2026-10") ||
		snprintf(day, sizeof(day), "%s-01", text) >= (int)sizeof(day) ||
		time_text_parse(day, &from_ms) < 0)
		return -EINVAL;
	/* 31 days on is the next month, whose first day is looked for from there. */
	time_text_format_month(from_ms + INT64_C(31) * 86400000, again);
	if (snprintf(day, sizeof(day), "%s-01", again) >= (int)sizeof(day) ||
		time_text_parse(day, &to_ms) < 0)
		return -EINVAL;
	*ret_from_ms = from_ms;
	*ret_to_ms = to_ms;
	return 0;
}

char *time_text_format_month(int64_t ms, char text[TIME_TEXT_SIZE])
{
	time_text_format(ms, text);
	text[strlen("2026-10")] = '\0';
	return text;
}
