/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/horizon.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* One record, whose value is the time. */
#define HORIZON_KEY "until"

enum { TIME_SIZE = 24 };

static int take_horizon(void *context, const struct store_record *record)
{
	char text[TIME_SIZE] = "";
	int64_t *horizon_ms = context;

	if (record->size > 0 && record->size < sizeof(text))
		memcpy(text, record->value, record->size);
	if (text_to_i64(text, horizon_ms) < 0)
		*horizon_ms = INT64_MAX; /* not what was written: nothing is sure to be there */
	return 1;
}

int horizon_read(struct store *store, int64_t *ret_horizon_ms, struct error *err)
{
	int r;

	*ret_horizon_ms = INT64_MIN;
	r = store_records(store, HORIZON_KIND, HORIZON_KEY, take_horizon, ret_horizon_ms, err);
	return r == STORE_STOPPED ? 0 : r;
}

int horizon_advance(struct store *store, int64_t horizon_ms, int64_t now_ms, struct error *err)
{
	char text[TIME_SIZE];
	const struct store_record record = { HORIZON_KIND, HORIZON_KEY, text,
		(size_t)snprintf(text, sizeof(text), "%" PRId64, horizon_ms) };
	const struct store_commit commit = {
		.records = &record, .record_count = 1, .now_ms = now_ms
	};
	struct store_tally ignored;
	int64_t known_ms;
	int r = horizon_read(store, &known_ms, err);

	return r == 0 && known_ms < horizon_ms ? store_append(store, &commit, &ignored, err) : r;
}
