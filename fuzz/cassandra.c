/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What is read from Cassandra's tables: a `r`eading, a `b`undle of them, a `s`hape, the name of an
 * `i`nstance. */

#include <string.h>

#include "fuzz/target.h"
#include "store/cassandra/private.h"

static int check(void *context, const struct decoded *decoded)
{
	unsigned int columns = metric_group_info(decoded->group)->columns;

	if (decoded->present >> columns || strlen(decoded->parameter) > PARAMETER_TEXT_MAX)
		__builtin_trap();
	return 0;
}

static void read_id(const uint8_t *bytes, size_t size)
{
	char id[INSTANCE_ID_SIZE], again[INSTANCE_ID_SIZE];
	struct instance_key key, same;

	if (size >= sizeof(id))
		return;
	memcpy(id, bytes, size);
	id[size] = '\0';
	if (instance_id_read(id, &key) < 0)
		return;
	if (instance_id_write(&key, again) < 0 || instance_id_read(again, &same) < 0 ||
		!instance_key_equal(&key, &same))
		__builtin_trap();
}

static void read_bundle(const uint8_t *bytes, size_t size)
{
	struct cursor cursor = cursor_over(bytes, size);
	struct bundled bundled;

	while (bundle_next(&cursor, &bundled) == 1) {
		if (bundled.id_size >= INSTANCE_ID_SIZE)
			__builtin_trap();
		(void)!reading_read(bundled.bytes, bundled.size, check, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0)
		return 0;
	switch (bytes[0]) {
	case 'r':
		(void)!reading_read(bytes + 1, size - 1, check, NULL);
		break;
	case 'b':
		read_bundle(bytes + 1, size - 1);
		break;
	case 's':
		(void)!shape_read(bytes + 1, size - 1, check, NULL);
		break;
	case 'i':
		read_id(bytes + 1, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
