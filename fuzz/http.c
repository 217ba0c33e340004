/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What we read ourselves of an HTTP request: its target. */

#include <string.h>

#include "fuzz/target.h"
#include "http/uri.h"

enum { TEXT_MAX = 2 * HTTP_URI_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct uri uri;
	static char text[TEXT_MAX + 1];
	struct error err = { 0 };

	size = MIN_OF(size, (size_t)TEXT_MAX);
	memcpy(text, bytes, size);
	text[size] = '\0';
	(void)!uri_parse(text, &uri, &err);
	return 0;
}
