/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/gaps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* "host", from, to, UUID or nothing, reason; none of them holds this byte. */
#define BETWEEN "\x1f"

enum { FIELDS = 5, NUMBER_SIZE = 24 };

bool gap_is_open(const struct gap *gap)
{
	size_t length = strlen(gap->reason), ending = strlen(GAP_OPEN);

	return length > ending && strcmp(gap->reason + length - ending, GAP_OPEN) == 0;
}

bool gap_is_withdrawn(const struct store_record *record)
{
	return record->size == strlen(GAP_WITHDRAWN) &&
	       memcmp(record->value, GAP_WITHDRAWN, record->size) == 0;
}

const char *gap_key(const char *host, const struct gap *gap, char key[GAP_KEY_SIZE])
{
	char uuid[UUID_TEXT_SIZE] = "";

	if (gap->has_instance)
		uuid_format(&gap->instance, uuid);
	if (snprintf(key, GAP_KEY_SIZE,
		    "%s" BETWEEN "%013" PRId64 BETWEEN "%013" PRId64 BETWEEN "%s" BETWEEN "%s",
		    host, gap->from_ms, gap->to_ms, uuid, gap->reason) >= GAP_KEY_SIZE)
		return NULL;
	return key;
}

const char *gap_key_of_host(const char *host, char key[GAP_KEY_SIZE])
{
	snprintf(key, GAP_KEY_SIZE, "%s" BETWEEN, host);
	return key;
}

/* The number that a field of the key is. */
static int field_number(const char *field, int64_t *ret_value)
{
	size_t size = strcspn(field, BETWEEN);
	char number[NUMBER_SIZE];

	if (size == 0 || size >= sizeof(number))
		return -EBADMSG;
	memcpy(number, field, size);
	number[size] = '\0';
	return text_to_i64(number, ret_value) < 0 ? -EBADMSG : 0;
}

static int field_uuid(const char *field, struct gap *gap)
{
	size_t size = strcspn(field, BETWEEN);
	char text[UUID_TEXT_SIZE];

	gap->has_instance = size > 0;
	if (size == 0)
		return 0;
	if (size >= sizeof(text))
		return -EBADMSG;
	memcpy(text, field, size);
	text[size] = '\0';
	return uuid_parse(text, &gap->instance) < 0 ? -EBADMSG : 0;
}

int gap_of_key(const char *key, struct gap *ret_gap)
{
	const char *fields[FIELDS] = { key };
	struct gap gap = { 0 };

	for (size_t i = 1; i < FIELDS; i++) {
		const char *next = strchr(fields[i - 1], BETWEEN[0]);

		if (!next)
			return -EBADMSG;
		fields[i] = next + 1;
	}
	if (field_number(fields[1], &gap.from_ms) < 0 || field_number(fields[2], &gap.to_ms) < 0 ||
		field_uuid(fields[3], &gap) < 0)
		return -EBADMSG;
	gap.reason = fields[4];
	*ret_gap = gap;
	return 0;
}

int gaps_each(const struct batch *batch, store_record_fn each, void *context)
{
	char key[GAP_KEY_SIZE];
	int r = 0;

	for (size_t i = 0; i < batch->gap_count && r == 0; i++) {
		const struct store_record record = { GAP_KIND,
			gap_key(batch->host, &batch->gaps[i], key), "", 0 };

		if (record.key)
			r = each(context, &record);
	}
	return r;
}
