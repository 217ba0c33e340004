/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Files that are in the program: tools/embed makes a table NAME of them, and NAME_count. */

#include <stddef.h>

struct http_file {
	const char *name, *type;
	const unsigned char *bytes;
	size_t size;
};
