/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The sweep alone: the other files of the store are replaced by what stands here. Each instance has
 * one day, which lacks a summary until one is made. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/cassandra/private.h"

enum { INSTANCES = 200, CALLS_MAX = 4 * INSTANCES, BROKEN = 70, PASSES = 16 };

static const int64_t BASE_MS = INT64_C(1700006400000);

static struct {
	struct cassandra_store store;
	int64_t day; /* the last one that is over */
	unsigned int made[INSTANCES], asked[INSTANCES];
	size_t first, made_count; /* of the pass */
	int failure;              /* of BROKEN */
	unsigned int failures;    /* that are left */
	unsigned int failed;      /* calls */
} world;

int ledger_advance(struct cassandra_store *store, const char *key, int64_t value, struct error *err)
{
	return 0;
}

int cassandra_outcome(int r)
{
	return r;
}

int64_t cassandra_kept_day(struct cassandra_store *store)
{
	return 0;
}

int listing_init(struct listing *listing, struct cassandra_store *store)
{
	*listing = (struct listing){ .store = store };
	return 0;
}

void listing_deinit(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->items[i]);
	free(listing->items);
}

int listing_load(struct listing *listing, const struct instance_key *key, struct error *err)
{
	listing->items = calloc(INSTANCES, sizeof(*listing->items));
	assert_non_null(listing->items);
	for (; listing->count < INSTANCES; listing->count++) {
		struct listed *listed = calloc(1, sizeof(*listed) + INSTANCE_ID_SIZE);

		assert_non_null(listed);
		listed->last_day = world.day;
		snprintf(listed->id, INSTANCE_ID_SIZE, "%zu", listing->count);
		listing->items[listing->count] = listed;
	}
	return 0;
}

void stays_init(struct stays *stays)
{
	*stays = (struct stays){ .count = 0 };
}

void stays_deinit(struct stays *stays)
{
}

int stays_load(struct cassandra_store *store, const char *id, int64_t from, int64_t to,
	struct stays *stays, struct error *err)
{
	return 0;
}

int64_t *stays_days(struct stays *stays, size_t *ret_count)
{
	*ret_count = 1;
	return &world.day;
}

static size_t number_of(const char *id)
{
	int64_t number;

	assert_int_equal(text_to_i64(id, &number), 0);
	return (size_t)number;
}

int summary_read(struct cassandra_store *store, const char *id, const int64_t *days, size_t count,
	summary_fn each, void *context, struct error *err)
{
	return each(context, days[0], 0, world.made[number_of(id)] ? "" : NULL, 0);
}

int summary_make(struct cassandra_store *store, const char *id, int64_t day, int64_t now_ms,
	struct error *err)
{
	size_t number = number_of(id);

	world.asked[number]++;
	if (number == BROKEN && world.failures) {
		world.failures--;
		return world.failure;
	}
	if (world.made_count++ == 0)
		world.first = number;
	world.made[number]++;
	return 0;
}

static int begin(void **state)
{
	memset(&world, 0, sizeof(world));
	return 0;
}

static int finish(void **state)
{
	sweep_deinit(&world.store.sweep);
	return 0;
}

/* As maintenance does it, until there is no more to be done. */
static void sweep_day(int64_t day)
{
	bool more = true;

	world.day = day;
	world.made_count = 0;
	memset(world.made, 0, sizeof(world.made));
	memset(world.asked, 0, sizeof(world.asked));
	for (size_t i = 0; more; i++) {
		struct error err = { 0 };
		int r = sweep_some(&world.store, (day + 1) * DAY_MS + SUMMARY_REST_MS, &more, &err);

		assert_in_range(i, 0, CALLS_MAX);
		assert_true(r == 0 || r == world.failure);
		world.failed += r != 0;
		more = r != 0 || more;
	}
}

static void assert_made(bool also_broken)
{
	for (size_t i = 0; i < INSTANCES; i++)
		assert_int_equal(world.made[i], i != BROKEN || also_broken);
}

static void break_one(int failure, unsigned int times)
{
	world.failure = failure;
	world.failures = times;
}

static void an_instance_that_fails_is_in_nobodys_way(void **state)
{
	break_one(-EPROTO, UINT32_MAX);
	sweep_day(BASE_MS / DAY_MS);
	assert_made(false);
	assert_int_equal(world.asked[BROKEN], 1);
	assert_int_equal(world.failed, 1); /* and somebody is told */
	break_one(0, 0);
	sweep_day(BASE_MS / DAY_MS + 1);
	assert_made(true);
}

static void what_cannot_be_reached_comes_once_more_behind_the_others(void **state)
{
	break_one(STORE_UNAVAILABLE, 1);
	sweep_day(BASE_MS / DAY_MS);
	assert_made(true);
	assert_int_equal(world.failed, 1);
}

static void what_can_never_be_reached_ends_no_pass(void **state)
{
	break_one(STORE_UNAVAILABLE, UINT32_MAX);
	for (int64_t i = 0; i < 3; i++) {
		sweep_day(BASE_MS / DAY_MS + i);
		assert_made(false);
		assert_int_equal(world.asked[BROKEN], 2);
	}
}

static void each_pass_begins_with_any_instance(void **state)
{
	size_t others = 0, first = 0;

	for (int64_t i = 0; i < PASSES; i++) {
		sweep_day(BASE_MS / DAY_MS + i);
		assert_made(true);
		others += i && world.first != first;
		first = world.first;
	}
	assert_in_range(others, PASSES / 2, PASSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_instance_that_fails_is_in_nobodys_way, begin, finish),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_reached_comes_once_more_behind_the_others, begin, finish),
		cmocka_unit_test_setup_teardown(
			what_can_never_be_reached_ends_no_pass, begin, finish),
		cmocka_unit_test_setup_teardown(each_pass_begins_with_any_instance, begin, finish),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
