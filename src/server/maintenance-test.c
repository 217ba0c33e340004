/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>

#include "model/settings.h"
#include "server/maintenance.h"

enum { PIECES = 5, CHECKS = 2, CHECK_MS = 1000 };

static const int64_t BASE_MS = INT64_C(1700006400000);

/* What maintenance did until the last piece of a check. */
struct done {
	size_t lists, deletions;
};

/* A store whose maintenance is of several pieces, and the clock: the next check is due when one is
 * over. All is called by one thread but for the first look at the clock. */
struct world {
	struct store store;
	struct clock clock;
	size_t looks, pieces, checks;
	struct done done, done_of[CHECKS];
	sem_t is_checked;
};

static int no_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	((struct world *)store)->done.lists++;
	return 0;
}

static int maintain(struct store *store, int64_t now_ms, int64_t keep_from_ms, bool *ret_more,
	struct error *err)
{
	struct world *world = (struct world *)store;

	world->done.deletions += keep_from_ms != INT64_MIN;
	*ret_more = ++world->pieces % PIECES != 0;
	if (!*ret_more && world->checks < CHECKS) {
		world->done_of[world->checks++] = world->done;
		sem_post(&world->is_checked);
	}
	return 0;
}

static const struct store_ops ops = { .instances = no_instances, .maintain = maintain };

static int64_t wall_ms(const struct clock *clock)
{
	return BASE_MS;
}

static int64_t monotonic_ms(const struct clock *clock)
{
	struct world *world =
		(struct world *)((char *)(uintptr_t)clock - offsetof(struct world, clock));

	return world->looks++ ? CHECK_MS * (int64_t)(1 + world->checks) : 0;
}

static void what_is_too_old_is_looked_for_once_a_check_however_much_else_there_is_to_do(
	void **state)
{
	struct world world = { .store.ops = &ops,
		.clock = { .wall_ms = wall_ms, .monotonic_ms = monotonic_ms } };
	CLEANUP(config_free) struct config *config = NULL;
	struct maintenance *maintenance;
	struct error err = { 0 };

	assert_int_equal(sem_init(&world.is_checked, 0, 0), 0);
	assert_int_equal(config_new(settings_keys, settings_key_count, &config), 0);
	assert_int_equal(config_read_option(config, "server.retention_check_seconds=1", &err), 0);
	assert_int_equal(
		maintenance_new(&world.store, &world.clock, config, &maintenance, &err), 0);
	for (size_t i = 0; i < CHECKS; i++)
		assert_int_equal(sem_wait(&world.is_checked), 0);
	maintenance_free(maintenance);
	for (size_t i = 0; i < CHECKS; i++) {
		assert_int_equal(world.done_of[i].lists, i + 1);
		assert_int_equal(world.done_of[i].deletions, i + 1);
	}
	sem_destroy(&world.is_checked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_too_old_is_looked_for_once_a_check_however_much_else_there_is_to_do),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
