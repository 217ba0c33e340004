/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/frontier.h"

enum { NOW = 77 };

static void take(struct frontier *frontier, uint64_t sequence, int64_t until_ms)
{
	const struct frontier_note note = { .sequence = sequence,
		.previous = sequence - 1,
		.last_ms = until_ms,
		.until_ms = until_ms,
		.heard_ms = NOW };

	frontier_take(frontier, &note);
}

/* No gap is expected. */
static void reach(struct frontier *frontier, uint64_t sequence)
{
	struct frontier_gap gap;

	assert_false(frontier_reach(frontier, sequence, &gap));
}

static void a_frontier_moves_with_the_numbers_that_came(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };

	take(&frontier, 1, 1000);
	assert_int_equal(frontier.until_ms, 0);
	reach(&frontier, 1);
	assert_int_equal(frontier.until_ms, 1000);
	assert_int_equal(frontier.first_ms, 1000);
	assert_int_equal(frontier.heard_ms, NOW);
}

static void what_a_message_above_a_hole_says_waits_for_the_hole(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };

	take(&frontier, 1, 1000);
	reach(&frontier, 1);
	take(&frontier, 4, 4000);
	take(&frontier, 3, 3000);
	reach(&frontier, 1);
	assert_int_equal(frontier.until_ms, 1000);
	take(&frontier, 2, 0);
	reach(&frontier, 3);
	assert_int_equal(frontier.until_ms, 3000);
	reach(&frontier, 4);
	assert_int_equal(frontier.until_ms, 4000);
	assert_int_equal(frontier.count, 0);
}

static void the_last_word_counts_also_when_a_clock_stepped_back(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };

	take(&frontier, 1, 9000);
	take(&frontier, 2, 2000);
	reach(&frontier, 2);
	assert_int_equal(frontier.until_ms, 2000);
	assert_int_equal(frontier.first_ms, 9000);
}

static void a_hole_that_stays_is_a_gap_until_all_was_read_again(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };
	struct frontier_gap gap;

	take(&frontier, 1, 1000);
	frontier_take(&frontier, &(struct frontier_note){ 3, 2, 2500, 0, NOW, false });
	assert_false(frontier_reach(&frontier, 3, &gap));
	assert_true(frontier_lost(&frontier, &gap));
	assert_int_equal(gap.from_ms, 1000);
	assert_int_equal(gap.to_ms, 2500);
	take(&frontier, 4, 2000);
	assert_false(frontier_reach(&frontier, 4, &gap));
	take(&frontier, 5, 3000);
	take(&frontier, 6, 4000);
	assert_true(frontier_reach(&frontier, 6, &gap));
	assert_string_equal(gap.reason, "missing");
	assert_int_equal(gap.from_ms, 1000);
	assert_int_equal(gap.to_ms, 3000);
	assert_false(frontier_reach(&frontier, 6, &gap));
	assert_int_equal(frontier.until_ms, 4000);
	assert_false(frontier_lost(&frontier, &gap));
}

static void what_was_refused_is_a_gap(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };
	struct frontier_gap gap;

	take(&frontier, 1, 1000);
	frontier_take(&frontier, &(struct frontier_note){ 2, 1, 2000, 2000, NOW, true });
	reach(&frontier, 2);
	assert_int_equal(frontier.until_ms, 1000);
	take(&frontier, 3, 2000); /* of the same round: some of it may have been refused */
	reach(&frontier, 3);
	take(&frontier, 4, 3000);
	assert_true(frontier_reach(&frontier, 4, &gap));
	assert_string_equal(gap.reason, "refused");
	assert_int_equal(gap.from_ms, 1000);
	assert_int_equal(gap.to_ms, 3000);
}

static void what_is_lost_is_remembered_through_a_restart(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };
	CLEANUP(frontier_deinit) struct frontier next = { .last = 3, .until_ms = 1000 };
	struct frontier_gap open, gap;

	take(&frontier, 1, 1000);
	frontier_take(&frontier, &(struct frontier_note){ 3, 2, 0, 0, NOW, false });
	reach(&frontier, 3);
	assert_true(frontier_lost(&frontier, &open));
	frontier_resume(&next, &(struct frontier_gap){ "missing", 1000, 2000 });
	assert_null(next.lost.reason);
	frontier_resume(&next, &open);
	take(&next, 4, 3000);
	assert_true(frontier_reach(&next, 4, &gap));
	assert_string_equal(gap.reason, "missing");
	assert_int_equal(gap.from_ms, 1000);
	assert_int_equal(gap.to_ms, 3000);
}

static void thinned_numbers_are_no_gap(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };

	take(&frontier, 1, 1000);
	frontier_take(&frontier, &(struct frontier_note){ 9, 1, 9000, 9000, NOW, false });
	reach(&frontier, 9);
	assert_int_equal(frontier.until_ms, 9000);
}

static void too_many_above_a_hole_make_no_gap_of_their_own(void **state)
{
	CLEANUP(frontier_deinit) struct frontier frontier = { 0 };

	take(&frontier, 1, 1000);
	reach(&frontier, 1);
	for (uint64_t i = 3; i < 3 * FRONTIER_AHEAD_MAX; i++)
		take(&frontier, i, (int64_t)i * 1000);
	take(&frontier, 2, 2000);
	reach(&frontier, 3 * FRONTIER_AHEAD_MAX);
	assert_int_equal(frontier.until_ms, (3 * FRONTIER_AHEAD_MAX - 1) * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frontier_moves_with_the_numbers_that_came),
		cmocka_unit_test(what_a_message_above_a_hole_says_waits_for_the_hole),
		cmocka_unit_test(the_last_word_counts_also_when_a_clock_stepped_back),
		cmocka_unit_test(a_hole_that_stays_is_a_gap_until_all_was_read_again),
		cmocka_unit_test(what_was_refused_is_a_gap),
		cmocka_unit_test(what_is_lost_is_remembered_through_a_restart),
		cmocka_unit_test(thinned_numbers_are_no_gap),
		cmocka_unit_test(too_many_above_a_hole_make_no_gap_of_their_own),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
