/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/json.h"

#include <errno.h>

static int take_piece(const char *piece, size_t size, void *to)
{
	buffer_write(to, piece, size);
	return 0;
}

int json_write(const json_t *value, struct buffer *to)
{
	if (json_dump_callback(
		    value, take_piece, to, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) < 0)
		return -ENOMEM;
	return buffer_check(to);
}
