/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/when.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/time-text.h"

static int64_t unit_ms(char unit)
{
	switch (unit) {
	case 's':
		return 1000;
	case 'm':
		return 60 * 1000;
	case 'h':
		return 3600 * 1000;
	case 'd':
		return 24 * 3600 * 1000;
	default:
		return 0;
	}
}

static int parse_age(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	char number[16];
	size_t size = strlen(text);
	int64_t count, unit;
	int r;

	if (size < 2 || size > sizeof(number))
		return -EINVAL;
	memcpy(number, text, size - 1);
	number[size - 1] = '\0';
	unit = unit_ms(text[size - 1]);
	r = text_to_i64(number, &count);
	if (r < 0 || !unit || count < 0 || count > now_ms / unit)
		return -EINVAL;
	*ret_ms = now_ms - count * unit;
	return 0;
}

int when_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	if (strcmp(text, "now") == 0 || strcmp(text, "0") == 0) {
		*ret_ms = now_ms;
		return 0;
	}
	if (text[0] == '-')
		return parse_age(text + 1, now_ms, ret_ms);
	return time_text_parse(text, ret_ms);
}

int when_set(json_t *args, const char *name, int64_t ms)
{
	char text[TIME_TEXT_SIZE];

	return json_object_set_new(args, name, json_string(time_text_format(ms, text))) < 0
		       ? -ENOMEM
		       : 0;
}
