/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What the writer commits together. The store is one that stands still in its first commit until
 * all else waits. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <stdlib.h>

#include "server/writer.h"

enum { COMMITS_MAX = 64 };

struct slow_store {
	struct store store;
	sem_t begun, may_go_on;
	size_t batches[COMMITS_MAX]; /* of each commit */
	size_t count;
};

struct fixture {
	struct slow_store slow;
	struct clock_manual clock;
	struct histogram committed;
	struct writer *writer;
	size_t submitted;
};

static int slow_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	struct slow_store *slow = (struct slow_store *)store;

	assert_true(slow->count < COMMITS_MAX);
	if (slow->count == 0) {
		sem_post(&slow->begun);
		sem_wait(&slow->may_go_on);
	}
	slow->batches[slow->count++] = commit->batch_count;
	return 0;
}

static const struct store_ops slow_ops = { .name = "slow", .append = slow_append };

/* A message of so many readings, infos and gaps. */
static void submit(struct fixture *fixture, size_t readings, size_t infos, size_t gaps)
{
	struct writer_item item = { 0 };

	assert_int_equal(batch_new(&item.batch), 0);
	for (size_t i = 0; i < readings; i++)
		assert_non_null(batch_add_reading(item.batch));
	for (size_t i = 0; i < infos; i++)
		assert_non_null(batch_add_info(item.batch));
	for (size_t i = 0; i < gaps; i++)
		assert_non_null(batch_add_gap(item.batch));
	assert_false(writer_is_full(fixture->writer));
	writer_submit(fixture->writer, &item);
	fixture->submitted++;
}

static int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = { 0 };

	assert_non_null(fixture);
	fixture->slow.store.ops = &slow_ops;
	sem_init(&fixture->slow.begun, 0, 0);
	sem_init(&fixture->slow.may_go_on, 0, 0);
	clock_manual_init(&fixture->clock, INT64_C(1700006400000));
	assert_int_equal(writer_new(&(const struct writer_options){ &fixture->slow.store,
					    &fixture->clock.clock, &fixture->committed },
				 &fixture->writer, &err),
		0);
	submit(fixture, 1, 0, 0);
	sem_wait(&fixture->slow.begun);
	*state = fixture;
	return 0;
}

static int finish(void **state)
{
	struct fixture *fixture = *state;

	writer_free(fixture->writer);
	sem_destroy(&fixture->slow.begun);
	sem_destroy(&fixture->slow.may_go_on);
	free(fixture);
	return 0;
}

/* Of all but the first commit. */
static void assert_groups(struct fixture *fixture, const size_t *sizes, size_t count)
{
	struct writer_item items[WRITER_QUEUE_MAX];
	struct store_tally tally = { 0 };

	sem_post(&fixture->slow.may_go_on);
	writer_finish(fixture->writer);
	assert_int_equal(fixture->slow.count, 1 + count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fixture->slow.batches[1 + i], sizes[i]);
	assert_int_equal(writer_collect(fixture->writer, items, WRITER_QUEUE_MAX, &tally),
		fixture->submitted);
}

static void what_waits_is_committed_together(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < WRITER_COMMIT_MAX + 2; i++)
		submit(fixture, 3, 1, 1);
	assert_groups(fixture, (const size_t[]){ WRITER_COMMIT_MAX, 2 }, 2);
}

static void heavy_messages_are_not_all_committed_together(void **state)
{
	static const size_t sizes[] = { 1, 3, 2, 1, 1, 1 };
	struct fixture *fixture = *state;

	submit(fixture, STORE_COMMIT_PARTS_MAX, 0, 0); /* no room for another one */
	submit(fixture, 1, 0, 0);
	submit(fixture, STORE_COMMIT_PARTS_MAX - 2, 0, 0);
	submit(fixture, 1, 0, 0);
	submit(fixture, STORE_COMMIT_PARTS_MAX / 2, 0, 0);
	submit(fixture, 0, STORE_COMMIT_PARTS_MAX / 2, 0);
	submit(fixture, 0, 0, STORE_COMMIT_PARTS_MAX / 2 + 1);
	submit(fixture, STORE_COMMIT_PARTS_MAX / 2, 0, 0);
	submit(fixture, STORE_COMMIT_PARTS_MAX + 1, 0, 0); /* alone, it is taken all the same */
	assert_groups(fixture, sizes, ARRAY_SIZE(sizes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_waits_is_committed_together, begin, finish),
		cmocka_unit_test_setup_teardown(
			heavy_messages_are_not_all_committed_together, begin, finish),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
