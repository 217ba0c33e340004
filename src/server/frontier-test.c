/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/frontier.h"

static void a_frontier_moves_with_the_numbers_that_came(void **state)
{
	struct frontier frontier = { 0 };

	frontier_note(&frontier, 1, 1000);
	assert_int_equal(frontier.until_ms, 0);
	frontier_reach(&frontier, 1);
	assert_int_equal(frontier.until_ms, 1000);
}

static void what_a_message_above_a_hole_says_waits_for_the_hole(void **state)
{
	struct frontier frontier = { 0 };

	frontier_note(&frontier, 4, 4000);
	frontier_note(&frontier, 3, 3000);
	frontier_reach(&frontier, 1);
	assert_int_equal(frontier.until_ms, 0);
	frontier_reach(&frontier, 3);
	assert_int_equal(frontier.until_ms, 3000);
	frontier_reach(&frontier, 4);
	assert_int_equal(frontier.until_ms, 4000);
	assert_int_equal(frontier.count, 0);
}

static void a_message_that_says_nothing_moves_nothing(void **state)
{
	struct frontier frontier = { 0 };

	frontier_note(&frontier, 1, 1000);
	frontier_note(&frontier, 2, 0);
	frontier_reach(&frontier, 2);
	assert_int_equal(frontier.until_ms, 1000);
}

static void the_last_word_counts_also_when_a_clock_stepped_back(void **state)
{
	struct frontier frontier = { 0 };

	frontier_note(&frontier, 1, 9000);
	frontier_note(&frontier, 2, 2000);
	frontier_reach(&frontier, 2);
	assert_int_equal(frontier.until_ms, 2000);
}

static void too_much_above_a_hole_costs_only_the_lowest(void **state)
{
	struct frontier frontier = { 0 };

	for (uint64_t i = 2; i < 3 * FRONTIER_AHEAD_MAX; i++)
		frontier_note(&frontier, i, (int64_t)i * 1000);
	frontier_reach(&frontier, 3 * FRONTIER_AHEAD_MAX);
	assert_int_equal(frontier.until_ms, (3 * FRONTIER_AHEAD_MAX - 1) * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frontier_moves_with_the_numbers_that_came),
		cmocka_unit_test(what_a_message_above_a_hole_says_waits_for_the_hole),
		cmocka_unit_test(a_message_that_says_nothing_moves_nothing),
		cmocka_unit_test(the_last_word_counts_also_when_a_clock_stepped_back),
		cmocka_unit_test(too_much_above_a_hole_costs_only_the_lowest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
