/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/horizon.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Records whose values are times, of which the latest counts: one for each, so that of several
 * servers none takes back what another one wrote. There is about one a day. */
#define HORIZON_KEY "until"

enum { TIME_SIZE = 24 };

static int take_horizon(void *context, const struct store_record *record)
{
	char text[TIME_SIZE] = "";
	int64_t *horizon_ms = context, ms;

	if (record->size > 0 && record->size < sizeof(text))
		memcpy(text, record->value, record->size);
	if (text_to_i64(text, &ms) < 0)
		ms = INT64_MAX; /* not what was written: nothing is sure to be there */
	*horizon_ms = MAX_OF(*horizon_ms, ms);
	return 0;
}

int horizon_read(struct store *store, int64_t *ret_horizon_ms, struct error *err)
{
	*ret_horizon_ms = INT64_MIN;
	return store_records(store, HORIZON_KIND, HORIZON_KEY, take_horizon, ret_horizon_ms, err);
}

int horizon_advance(struct store *store, int64_t horizon_ms, int64_t now_ms, struct error *err)
{
	char key[sizeof(HORIZON_KEY) + TIME_SIZE], text[TIME_SIZE];
	const struct store_record record = { HORIZON_KIND, key, text,
		(size_t)snprintf(text, sizeof(text), "%" PRId64, horizon_ms) };
	const struct store_commit commit = {
		.records = &record, .record_count = 1, .now_ms = now_ms
	};
	struct store_tally ignored;
	int64_t known_ms;
	int r = horizon_read(store, &known_ms, err);

	snprintf(key, sizeof(key), HORIZON_KEY " %013" PRId64, horizon_ms);
	return r == 0 && known_ms < horizon_ms ? store_append(store, &commit, &ignored, err) : r;
}
