/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "query/timeline.h"
#include "server/presence.h"
#include "store/heard.h"

enum { DEAD_AFTER_MS = 120 * 1000, SERVERS = 2 };

static const int64_t BASE_MS = INT64_C(1700006400000);

struct world {
	struct clock_manual clock;
	struct store *store;
	struct workers *servers[SERVERS];
};

static int begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	clock_manual_init(&world->clock, BASE_MS);
	assert_int_equal(memory_store_new(&world->store), 0);
	for (size_t i = 0; i < SERVERS; i++)
		assert_int_equal(
			workers_new(&world->clock.clock, DEAD_AFTER_MS, &world->servers[i]), 0);
	*state = world;
	return 0;
}

static int finish(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < SERVERS; i++)
		workers_free(world->servers[i]);
	store_free(world->store);
	free(world);
	return 0;
}

static void pass(struct world *world, int64_t seconds)
{
	clock_manual_advance(&world->clock, seconds * 1000);
}

/* Twice, so that the first one has what the others told. */
static void share(struct world *world)
{
	for (size_t i = 0; i < 2 * SERVERS; i++)
		assert_int_equal(presence_share(world->store, world->servers[i % SERVERS],
					 DEAD_AFTER_MS, NULL),
			0);
}

static void expect(struct world *world, size_t server, size_t alive, size_t dead)
{
	size_t is_alive, is_dead;

	workers_count(world->servers[server], &is_alive, &is_dead);
	assert_int_equal(is_alive, alive);
	assert_int_equal(is_dead, dead);
}

static void expect_all(struct world *world, size_t alive, size_t dead)
{
	for (size_t i = 0; i < SERVERS; i++)
		expect(world, i, alive, dead);
}

static void hear(struct world *world, size_t server)
{
	workers_hear(world->servers[server], "w1", 0, NULL);
}

static void put(
	struct world *world, const struct store_source *source, const struct store_record *record)
{
	const struct store_commit commit = { .sources = source,
		.source_count = source != NULL,
		.records = record,
		.record_count = record != NULL };
	struct store_tally ignored = { 0 };

	assert_int_equal(store_append(world->store, &commit, &ignored, NULL), 0);
}

static int count_record(void *context, const struct store_record *record)
{
	++*(size_t *)context;
	return 0;
}

static size_t count_records(struct world *world, const char *kind)
{
	size_t count = 0;

	assert_int_equal(store_records(world->store, kind, "", count_record, &count, NULL), 0);
	return count;
}

static void what_one_server_hears_all_know(void **state)
{
	struct world *world = *state;

	hear(world, 0);
	expect(world, 1, 0, 0);
	share(world);
	expect_all(world, 1, 0);
	pass(world, 119);
	expect_all(world, 1, 0);
	pass(world, 1);
	expect_all(world, 0, 1);
}

static void a_worker_that_went_to_another_server_is_not_dead(void **state)
{
	struct world *world = *state;
	struct worker_view *view;
	size_t count;

	hear(world, 0);
	workers_note_sent(world->servers[0], "w1", &(struct worker_sent){ 5, 1, 0 });
	for (int i = 0; i < 10; i++) {
		pass(world, 60);
		hear(world, 1);
		share(world);
		expect_all(world, 1, 0);
	}
	view = workers_view(world->servers[0], &count);
	assert_int_equal(count, 1);
	assert_int_equal(view->silent_ms, 0);
	assert_false(view->has_sent); /* it may have sent the rest to the other one */
	free(view);
	pass(world, 130);
	expect_all(world, 0, 1);
	hear(world, 0);
	share(world);
	expect_all(world, 1, 0);
}

static void a_farewell_to_one_is_a_farewell_to_all(void **state)
{
	struct world *world = *state;

	hear(world, 0);
	share(world);
	pass(world, 10);
	hear(world, 1);
	share(world);
	pass(world, 10);
	workers_farewell(world->servers[1], "w1");
	expect(world, 1, 0, 0);
	share(world);
	expect_all(world, 0, 0);
	pass(world, 60);
	hear(world, 0);
	share(world);
	expect_all(world, 1, 0);
}

static void who_is_forgotten_stays_forgotten(void **state)
{
	struct world *world = *state;

	hear(world, 0);
	share(world);
	pass(world, 200);
	expect_all(world, 0, 1);
	assert_int_equal(workers_forget_dead(world->servers[1]), 1);
	assert_int_equal(workers_forget_dead(world->servers[1]), 0);
	share(world);
	expect_all(world, 0, 0);
}

static void readings_are_a_sign_of_life_without_a_record(void **state)
{
	struct world *world = *state;

	for (uint64_t i = 1; i < 10; i++) {
		const struct store_source source = { "w1", "s1", "h1", i, BASE_MS, BASE_MS,
			world->clock.wall_ms };

		hear(world, 0);
		put(world, &source, NULL);
		share(world);
		expect_all(world, 1, 0);
		pass(world, 60);
	}
	assert_int_equal(count_records(world, HEARD_KIND), 0);
	hear(world, 0); /* a heartbeat alone */
	share(world);
	assert_int_equal(count_records(world, HEARD_KIND), 1);
}

static void a_server_that_restarts_knows_who_was_there(void **state)
{
	struct world *world = *state;

	hear(world, 0);
	share(world);
	workers_free(world->servers[0]);
	assert_int_equal(workers_new(&world->clock.clock, DEAD_AFTER_MS, &world->servers[0]), 0);
	pass(world, 200);
	expect(world, 0, 0, 0);
	share(world);
	expect_all(world, 0, 1);
}

static void nobody_waits_for_who_is_retired_or_long_gone(void **state)
{
	struct world *world = *state;
	const struct store_source retired = { "w1", "s1", "h1", 1, 1000, 1000, BASE_MS };
	const struct store_source gone = { "w2", "s2", "h2", 1, 1000, 1000,
		BASE_MS - WORKER_KNOWN_MS };
	const struct store_source back = { "w1", "s1", "h1", 2, 1000, 3000, BASE_MS };

	put(world, &retired, &(struct store_record){ RETIRED_KIND, "h1", "2000", 4 });
	put(world, &gone, NULL);
	share(world);
	expect_all(world, 0, 0);
	put(world, &back, NULL);
	share(world);
	expect_all(world, 1, 0);
}

static void a_farewell_that_was_not_told_yet_is_void_when_it_is_back(void **state)
{
	struct world *world = *state;

	hear(world, 0);
	share(world);
	workers_farewell(world->servers[0], "w1");
	hear(world, 0);
	share(world);
	expect_all(world, 1, 0);
	assert_int_equal(count_records(world, LEFT_KIND), 0);
}

static void records_that_are_no_times_harm_nothing(void **state)
{
	static const char *const kinds[] = { HEARD_KIND, LEFT_KIND, RETIRED_KIND };
	static const char *const values[] = { "", "x", "123456789012345678901234567890", "-5" };
	struct world *world = *state;

	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 4; j++) {
			put(world, NULL,
				&(struct store_record){
					kinds[i], "w1", values[j], strlen(values[j]) });
			share(world);
		}
	expect_all(world, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_one_server_hears_all_know, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_worker_that_went_to_another_server_is_not_dead, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_farewell_to_one_is_a_farewell_to_all, begin, finish),
		cmocka_unit_test_setup_teardown(who_is_forgotten_stays_forgotten, begin, finish),
		cmocka_unit_test_setup_teardown(
			readings_are_a_sign_of_life_without_a_record, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_server_that_restarts_knows_who_was_there, begin, finish),
		cmocka_unit_test_setup_teardown(
			nobody_waits_for_who_is_retired_or_long_gone, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_farewell_that_was_not_told_yet_is_void_when_it_is_back, begin, finish),
		cmocka_unit_test_setup_teardown(
			records_that_are_no_times_harm_nothing, begin, finish),
	};

	log_init("presence-test", LOG_LEVEL_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
