/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A request's target, "/v1/instances/a%20b?from=0&id=x&id=y", taken apart. What is not well formed
 * is refused, never guessed at. */

#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"

enum { HTTP_URI_MAX = 8192, HTTP_QUERY_MAX = 256, HTTP_SEGMENTS_MAX = 16 };

struct uri_pair {
	const char *name, *value;
};

/* All texts are decoded, UTF-8, without control characters, and live as long as the struct. */
struct uri {
	char text[HTTP_URI_MAX + 1];
	const char *segments[HTTP_SEGMENTS_MAX]; /* of the path, between the slashes */
	size_t segment_count;
	struct uri_pair query[HTTP_QUERY_MAX]; /* in the order in which they came */
	size_t query_count;
};

/* 0; -EMSGSIZE for one that is too long or has too many parts; -EINVAL for one that is wrong; with
 * a text for people. */
MUST_CHECK int uri_parse(const char *text, struct uri *ret_uri, struct error *err);
