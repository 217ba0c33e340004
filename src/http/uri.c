/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/uri.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static int wrong(const char *part, struct error *err)
{
	return error_set(err, -EINVAL, "'%s' is not UTF-8 with %%XX escapes", part);
}

/* In place: what is decoded is never longer. */
static int decode(char *part, bool plus_is_blank, struct error *err)
{
	char *to = part;

	for (const char *from = part; *from; from++, to++) {
		int high, low;

		*to = plus_is_blank && *from == '+' ? ' ' : *from;
		if (*from != '%')
			continue;
		high = text_hex_digit(from[1]);
		low = high < 0 ? -1 : text_hex_digit(from[2]);
		if (low < 0)
			return wrong(part, err);
		*to = (char)(high * 16 + low);
		from += 2;
	}
	for (const char *c = part; c < to; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return error_set(err, -EINVAL, "control characters are not accepted");
	*to = '\0';
	return text_is_utf8(part, (size_t)(to - part)) ? 0 : wrong("a part of the URI", err);
}

static int take_path(struct uri *uri, char *path, struct error *err)
{
	if (*path != '/')
		return error_set(err, -EINVAL, "the path does not begin with a slash");
	for (char *next = path + 1; next;) {
		char *segment = next;
		int r;

		next = strchr(segment, '/');
		if (next)
			*next++ = '\0';
		if (uri->segment_count == HTTP_SEGMENTS_MAX)
			return error_set(err, -EMSGSIZE, "the path has more than %d segments",
				HTTP_SEGMENTS_MAX);
		r = decode(segment, false, err);
		if (r < 0)
			return r;
		uri->segments[uri->segment_count++] = segment;
	}
	return 0;
}

static int take_pair(struct uri *uri, char *pair, struct error *err)
{
	char *value = strchr(pair, '=');
	int r;

	if (uri->query_count == HTTP_QUERY_MAX)
		return error_set(
			err, -EMSGSIZE, "there are more than %d parameters", HTTP_QUERY_MAX);
	if (value)
		*value++ = '\0';
	else
		value = pair + strlen(pair);
	r = decode(pair, true, err);
	if (r == 0)
		r = decode(value, true, err);
	if (r == 0)
		uri->query[uri->query_count++] = (struct uri_pair){ pair, value };
	return r;
}

static int take_query(struct uri *uri, char *query, struct error *err)
{
	int r = 0;

	for (char *next = query; next && r == 0;) {
		char *pair = next;

		next = strchr(pair, '&');
		if (next)
			*next++ = '\0';
		if (*pair)
			r = take_pair(uri, pair, err);
	}
	return r;
}

int uri_parse(const char *text, struct uri *ret_uri, struct error *err)
{
	char *query;
	int r;

	ret_uri->segment_count = ret_uri->query_count = 0;
	if (!text_copy(ret_uri->text, sizeof(ret_uri->text), text))
		return error_set(err, -EMSGSIZE, "the URI is longer than %d bytes", HTTP_URI_MAX);
	query = strchr(ret_uri->text, '?');
	if (query)
		*query++ = '\0';
	r = take_path(ret_uri, ret_uri->text, err);
	return r == 0 && query ? take_query(ret_uri, query, err) : r;
}
