/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Once a day, when the day before has rested, and when a server starts, all instances are gone
 * through, and their finished days summarized that are not: first the last days of all, then the
 * older ones. Each server does it, beginning anywhere; what one has done the others find done. An
 * instance whose days cannot be summarized now is not in the way of the others. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

enum { DAYS_AT_ONCE = 4, LAST_DAYS = 16, INSTANCES_AT_ONCE = 64 };

void sweep_deinit(struct sweep *sweep)
{
	for (size_t i = 0; i < sweep->count; i++)
		free(sweep->ids[i]);
	free(sweep->ids);
	sweep->ids = NULL;
	sweep->count = sweep->next = sweep->put_off = 0;
	sweep->from = INT64_MIN;
	sweep->is_old = false;
}

/* By chance: servers in containers may have all else alike, even their process ids. */
static size_t anywhere(size_t count)
{
	uint64_t chance = 0;

	if (count == 0 || getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
		return 0;
	return (size_t)(chance % count);
}

static int take_ids(struct sweep *sweep, const struct listing *listing, int64_t kept)
{
	size_t first = anywhere(listing->count);

	sweep->ids = calloc(listing->count + 1, sizeof(*sweep->ids));
	if (!sweep->ids)
		return -ENOMEM;
	for (size_t i = 0; i < listing->count; i++) {
		const struct listed *listed = listing->items[(first + i) % listing->count];

		if (listed->last_day < kept || listed->last_day == INT64_MIN)
			continue;
		sweep->ids[sweep->count] = strdup(listed->id);
		if (!sweep->ids[sweep->count])
			return -ENOMEM;
		sweep->count++;
	}
	return 0;
}

static int begin(struct cassandra_store *store, int64_t until, int64_t now_ms, struct error *err)
{
	struct listing listing;
	int r = listing_init(&listing, store);

	/* For whoever appends with a clock that is behind. */
	if (r == 0)
		r = cassandra_outcome(ledger_advance(store, TIDIED, now_ms, err));
	sweep_deinit(&store->sweep);
	if (r == 0)
		r = listing_load(&listing, NULL, err);
	if (r == 0)
		r = take_ids(&store->sweep, &listing, cassandra_kept_day(store));
	listing_deinit(&listing);
	if (r == 0) {
		store->sweep.until = until;
		store->sweep.is_swept = false;
	}
	return r;
}

/* Days without a summary that counts. */
struct missing {
	int64_t days[LAST_DAYS];
	size_t count;
};

static int note_missing(void *context, int64_t day, int64_t time_ms, const void *bytes, size_t size)
{
	struct missing *missing = context;

	if (!bytes && missing->count < LAST_DAYS)
		missing->days[missing->count++] = day;
	return 0;
}

/* A day that cannot be read is counted; whoever needs it is told. */
static int make_missing(struct cassandra_store *store, const char *id,
	const struct missing *missing, int64_t now_ms, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < missing->count && r == 0; i++) {
		r = summary_make(store, id, missing->days[i], now_ms, err);
		if (r == -EBADMSG || r == -ENOMEM)
			r = 0;
	}
	return r;
}

/* Its next finished days that lack a summary: of the last ones, or of the older ones. */
static int find_missing(struct cassandra_store *store, struct missing *missing, struct error *err)
{
	const struct sweep *sweep = &store->sweep;
	const char *id = sweep->ids[sweep->next];
	int64_t kept = cassandra_kept_day(store);
	CLEANUP(stays_deinit) struct stays stays;
	int64_t *days;
	size_t count, last, first;
	int r;

	stays_init(&stays);
	r = stays_load(store, id, MAX_OF(kept, sweep->from), sweep->until, &stays, err);
	if (r != 0)
		return r == -EBADMSG ? 0 : r;
	days = stays_days(&stays, &count);
	if (!days)
		return -ENOMEM;
	last = count > LAST_DAYS ? count - LAST_DAYS : 0;
	first = sweep->is_old ? 0 : last;
	count = sweep->is_old ? last : count;
	if (count > first)
		r = summary_read(
			store, id, &days[first], count - first, note_missing, missing, err);
	return r == -EBADMSG ? 0 : r;
}

static int sweep_instance(
	struct cassandra_store *store, int64_t now_ms, size_t *days_left, struct error *err)
{
	struct sweep *sweep = &store->sweep;
	struct missing missing = { .count = 0 };
	int r = find_missing(store, &missing, err);

	if (r == 0)
		r = make_missing(store, sweep->ids[sweep->next], &missing, now_ms, err);
	if (r == 0 && missing.count == LAST_DAYS) {
		sweep->from = missing.days[LAST_DAYS - 1] + 1; /* there may be more */
	} else if (r == 0) {
		sweep->from = INT64_MIN;
		sweep->next++;
	}
	*days_left -= MIN_OF(*days_left, missing.count);
	return r;
}

/* What could not be reached comes once more when all others had their turn; all else that failed is
 * passed over until the next pass. */
static void put_off(struct sweep *sweep, int r)
{
	char *id = sweep->ids[sweep->next];
	size_t behind = sweep->count - sweep->next - 1;

	sweep->from = INT64_MIN;
	if (r != STORE_UNAVAILABLE || behind < sweep->put_off) {
		sweep->next++;
		return;
	}
	memmove(&sweep->ids[sweep->next], &sweep->ids[sweep->next + 1], behind * sizeof(id));
	sweep->ids[sweep->count - 1] = id;
	sweep->put_off++;
}

/* Returns the last failure, after which it went on, or STORE_UNAVAILABLE at once. */
static int sweep_instances(struct cassandra_store *store, int64_t now_ms, struct error *err)
{
	struct sweep *sweep = &store->sweep;
	size_t days_left = DAYS_AT_ONCE, instances_left = INSTANCES_AT_ONCE;
	int failure = 0;

	while (failure != STORE_UNAVAILABLE && sweep->next < sweep->count && days_left &&
		instances_left--) {
		int r = sweep_instance(store, now_ms, &days_left, err);

		if (r != 0) {
			put_off(sweep, r);
			failure = r;
		}
	}
	return failure;
}

static bool is_done(struct sweep *sweep)
{
	if (sweep->next < sweep->count)
		return false;
	if (sweep->is_old)
		return true;
	sweep->is_old = true;
	sweep->next = sweep->put_off = 0;
	return sweep->count == 0;
}

int sweep_some(struct cassandra_store *store, int64_t now_ms, bool *ret_more, struct error *err)
{
	struct sweep *sweep = &store->sweep;
	int64_t until = floor_divide(now_ms - SUMMARY_REST_MS, DAY_MS) - 1;
	int r = 0;

	if (sweep->is_swept && sweep->until >= until)
		return 0;
	if (!sweep->ids || sweep->until < until)
		r = begin(store, until, now_ms, err);
	if (r != 0)
		return r;
	r = sweep_instances(store, now_ms, err);
	sweep->is_swept = is_done(sweep);
	*ret_more = r == 0 && !sweep->is_swept;
	return r;
}
