/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The texts of an HTTP request that we read ourselves: the first line is its target, the rest its
 * Accept header. */

#include <string.h>

#include "fuzz/target.h"
#include "http/accept.h"
#include "http/uri.h"

enum { TEXT_MAX = 2 * HTTP_URI_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const types[] = { "application/json", "text/csv" };
	static struct uri uri;
	static char text[TEXT_MAX + 1];
	struct error err = { 0 };
	char *header;

	size = MIN_OF(size, (size_t)TEXT_MAX);
	memcpy(text, bytes, size);
	text[size] = '\0';
	header = strchr(text, '\n');
	if (header)
		*header++ = '\0';
	(void)!uri_parse(text, &uri, &err);
	(void)accept_choose(header, types, ARRAY_SIZE(types));
	return 0;
}
