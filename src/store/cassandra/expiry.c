/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* When rows expire. What is written gets the expiry that its table has at that time, so that after
 * a change of retention_days, rows of several expiries lie side by side; each change is recorded
 * before it is made, with the expiry that ends. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/cassandra/private.h"

enum {
	/* Databases before 5.0 know no expiry after January 2038. */
	EXPIRY_DAYS_MAX = 5 * 366,
	DAY_SECONDS = 24 * 60 * 60,
};

#define EXPIRY_KEY "expiry:"

int64_t expiry_wanted(const struct cassandra_store *store)
{
	int64_t days = store->retention_days + EXPIRY_MARGIN_DAYS;

	return store->retention_days && days <= EXPIRY_DAYS_MAX ? days * DAY_SECONDS : 0;
}

/* 0 is never. */
static bool is_shorter(int64_t seconds, int64_t than)
{
	return seconds && (!than || seconds < than);
}

void expiry_found(struct cassandra_store *store, int64_t seconds)
{
	struct expiry_state *expiry = &store->expiry;

	expiry->is_mixed = expiry->is_found && (expiry->is_mixed || seconds != expiry->seconds);
	if (!expiry->is_found || is_shorter(seconds, expiry->seconds))
		expiry->seconds = seconds;
	expiry->is_found = true;
}

/* Of more than there is room for, the latest count. */
static void add_past(struct expiry_state *expiry, const struct past_expiry *past)
{
	struct past_expiry *last = expiry->count ? &expiry->past[expiry->count - 1] : NULL;

	if (last && last->seconds == past->seconds) {
		last->until_ms = past->until_ms;
		return;
	}
	if (expiry->count == EXPIRIES_MAX)
		memmove(expiry->past, expiry->past + 1, --expiry->count * sizeof(*expiry->past));
	expiry->past[expiry->count++] = *past;
}

static int take_past(void *context, const struct store_record *record)
{
	struct past_expiry past;
	char text[32] = "";

	if (record->size >= sizeof(text))
		return 0;
	memcpy(text, record->value, record->size);
	if (text_to_i64(text, &past.seconds) == 0 &&
		text_to_i64(record->key + strlen(EXPIRY_KEY), &past.until_ms) == 0)
		add_past(context, &past);
	return 0;
}

int expiry_load(struct cassandra_store *store, struct error *err)
{
	expiry_found(store, store->expiry.is_found ? store->expiry.seconds : expiry_wanted(store));
	return ledger_own(store, EXPIRY_KEY, take_past, &store->expiry, err);
}

static int record_end(struct cassandra_store *store, int64_t now_ms, struct error *err)
{
	const struct past_expiry past = { now_ms, store->expiry.seconds };
	char key[64];
	int r;

	snprintf(key, sizeof(key), EXPIRY_KEY "%013" PRId64, now_ms);
	r = ledger_advance(store, key, past.seconds, err);
	if (r == 0)
		add_past(&store->expiry, &past);
	return r;
}

int expiry_settle(
	struct cassandra_store *store, int64_t now_ms, bool may_shorten, struct error *err)
{
	struct expiry_state *expiry = &store->expiry;
	int64_t wanted = expiry_wanted(store);
	int r;

	if (wanted == expiry->seconds && !expiry->is_mixed)
		return 0;
	if (is_shorter(wanted, expiry->seconds) && !may_shorten)
		return 0;
	r = record_end(store, now_ms, err);
	if (r == 0)
		r = schema_set_expiry(store, wanted, err);
	if (r == 0) {
		expiry->seconds = wanted;
		expiry->is_mixed = false;
	}
	return r;
}

/* Readings use rows that were written up to SHAPE_DAYS before them. */
static int64_t gone_before(int64_t seconds, int64_t now_ms)
{
	return seconds ? now_ms - seconds * 1000 + SHAPE_DAYS * DAY_MS : INT64_MIN;
}

int64_t expiry_gone_before(const struct cassandra_store *store, int64_t now_ms)
{
	const struct expiry_state *expiry = &store->expiry;
	int64_t since_ms = INT64_MIN, before_ms = INT64_MIN, gone_ms;

	for (size_t i = 0; i < expiry->count; i++) {
		const struct past_expiry *past = &expiry->past[i];

		gone_ms = gone_before(past->seconds, now_ms);
		if (gone_ms > since_ms)
			before_ms = MAX_OF(
				before_ms, MIN_OF(gone_ms, past->until_ms + SHAPE_DAYS * DAY_MS));
		since_ms = past->until_ms;
	}
	gone_ms = gone_before(expiry->seconds, now_ms);
	return gone_ms > since_ms ? MAX_OF(before_ms, gone_ms) : before_ms;
}
