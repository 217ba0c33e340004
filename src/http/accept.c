/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* How exactly a range names a type. */
enum { MATCH_NONE, MATCH_ANY, MATCH_KIND, MATCH_TYPE };

static int match(const char *range, size_t size, const char *type)
{
	size_t kind = strcspn(type, "/") + 1;

	if (size == 3 && memcmp(range, "*/*", 3) == 0)
		return MATCH_ANY;
	if (size == kind + 1 && range[kind] == '*' && strncasecmp(range, type, kind) == 0)
		return MATCH_KIND;
	return size == strlen(type) && strncasecmp(range, type, size) == 0 ? MATCH_TYPE
									   : MATCH_NONE;
}

/* Thousandths: "1", "0.5", "0.333"; 1000 for what is none. */
static int parse_quality(const char *text)
{
	int quality = 0, scale = 1000;

	if (*text != '0' && *text != '1')
		return 1000;
	quality = (*text++ - '0') * scale;
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9' && scale > 1; text++)
			quality += (*text - '0') * (scale /= 10);
	return quality > 1000 ? 1000 : quality;
}

/* Of the parameters behind a range, the one named q. */
static int quality_of(const char *parameters, const char *end)
{
	for (const char *c = parameters; c < end; c++) {
		if (*c != ';')
			continue;
		c += 1 + strspn(c + 1, " \t");
		if ((*c == 'q' || *c == 'Q') && c[1] == '=')
			return parse_quality(c + 2);
	}
	return 1000;
}

/* The quality that the range which names the type most exactly gives it. */
static int quality_for(const char *header, const char *type)
{
	int best = MATCH_NONE, quality = 0;

	for (const char *part = header; *part;) {
		const char *end = part + strcspn(part, ",");
		const char *range = part + strspn(part, " \t");
		int how = match(range, strcspn(range, " \t;,"), type);

		if (how > best) {
			best = how;
			quality = quality_of(range, end);
		}
		part = *end ? end + 1 : end;
	}
	return quality;
}

int accept_choose(const char *header, const char *const *types, size_t count)
{
	int best = -1, best_quality = 0;

	if (!header || !*header)
		return count ? 0 : -1;
	for (size_t i = 0; i < count; i++) {
		int quality = quality_for(header, types[i]);

		if (quality > best_quality) {
			best = (int)i;
			best_quality = quality;
		}
	}
	return best;
}
