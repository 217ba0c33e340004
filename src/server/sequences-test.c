/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/sequences.h"

static struct sequence_claim claim(uint64_t number, uint64_t oldest)
{
	return (struct sequence_claim){ number, oldest, number - 1 };
}

static enum sequences_outcome take(struct sequences *sequences, uint64_t number, uint64_t oldest)
{
	const struct sequence_claim taken = claim(number, oldest);

	return sequences_take(sequences, &taken);
}

static enum sequences_outcome look(
	const struct sequences *sequences, uint64_t number, uint64_t oldest)
{
	const struct sequence_claim seen = claim(number, oldest);

	return sequences_look(sequences, &seen);
}

static void numbers_in_order_are_all_until(void **state)
{
	struct sequences sequences = { 0 };

	for (uint64_t n = 1; n <= 3 * SEQUENCES_WINDOW; n++) {
		assert_int_equal(take(&sequences, n, 1), SEQUENCES_NEW);
		assert_int_equal(sequences.until, n);
	}
	assert_int_equal(sequences.gone, 0);
}

static void a_hole_holds_until_back_and_its_filling_frees_it(void **state)
{
	struct sequences sequences = { 0 };

	assert_int_equal(take(&sequences, 1, 1), SEQUENCES_NEW);
	assert_int_equal(take(&sequences, 3, 1), SEQUENCES_NEW);
	assert_int_equal(take(&sequences, 4, 1), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 1);
	assert_int_equal(take(&sequences, 2, 1), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 4);
}

static void what_came_before_is_known(void **state)
{
	struct sequences sequences = { 0 };

	(void)take(&sequences, 1, 1);
	(void)take(&sequences, 3, 1);
	assert_int_equal(look(&sequences, 1, 1), SEQUENCES_KNOWN);
	assert_int_equal(look(&sequences, 2, 1), SEQUENCES_NEW);
	assert_int_equal(look(&sequences, 3, 1), SEQUENCES_KNOWN);
	assert_int_equal(take(&sequences, 3, 1), SEQUENCES_KNOWN);
	assert_int_equal(sequences.until, 1);
}

static void numbers_that_the_worker_no_longer_keeps_are_gone(void **state)
{
	struct sequences sequences = { 0 };

	(void)take(&sequences, 1, 1);
	(void)take(&sequences, 4, 1);
	assert_int_equal(take(&sequences, 6, 6), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 6);
	assert_int_equal(sequences.gone, 3); /* 2, 3 and 5 */
}

static void a_known_number_that_tells_of_a_loss_frees_what_waits(void **state)
{
	struct sequences sequences = { 0 };

	(void)sequences_take(&sequences, &(struct sequence_claim){ 1, 1, 0 });
	(void)sequences_take(&sequences, &(struct sequence_claim){ 3, 1, 2 });
	assert_int_equal(
		sequences_look(&sequences, &(struct sequence_claim){ 3, 1, 2 }), SEQUENCES_KNOWN);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ 3, 3, 2 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 3);
	assert_int_equal(sequences.gone, 1);
	assert_int_equal(
		sequences_look(&sequences, &(struct sequence_claim){ 3, 3, 2 }), SEQUENCES_KNOWN);
}

static void a_number_beyond_the_window_must_come_again(void **state)
{
	struct sequences sequences = { 0 };
	uint64_t far = 2 * SEQUENCES_WINDOW;

	(void)take(&sequences, 1, 1);
	assert_int_equal(take(&sequences, far, 1), SEQUENCES_TOO_FAR);
	assert_int_equal(sequences.until, 1);
	assert_int_equal(take(&sequences, far, far), SEQUENCES_NEW);
	assert_int_equal(sequences.until, far);
	assert_int_equal(sequences.gone, far - 2);
}

static void a_jump_leaves_no_trace_of_the_window_before(void **state)
{
	struct sequences sequences = { 0 };
	uint64_t jump = 5 * SEQUENCES_WINDOW;

	for (uint64_t n = 3; n < SEQUENCES_WINDOW; n += 2)
		(void)take(&sequences, n, 1);
	(void)take(&sequences, jump, jump);
	for (uint64_t n = jump + 2; n < jump + SEQUENCES_WINDOW; n += 2)
		assert_int_equal(look(&sequences, n, jump), SEQUENCES_NEW);
	assert_int_equal(take(&sequences, jump + 1, jump), SEQUENCES_NEW);
	assert_int_equal(sequences.until, jump + 1);
}

static void numbers_that_were_thinned_out_are_not_waited_for(void **state)
{
	struct sequences sequences = { 0 };

	(void)take(&sequences, 1, 1);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ 5, 1, 1 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 5);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ 9, 1, 7 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 5);
	assert_int_equal(take(&sequences, 7, 1), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 5);
	assert_int_equal(take(&sequences, 6, 1), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 9);
	assert_int_equal(sequences.gone, 0);
}

static void what_was_thinned_since_is_told_by_a_number_that_came(void **state)
{
	struct sequences sequences = { 0 };

	(void)take(&sequences, 1, 1);
	(void)take(&sequences, 5, 1);
	assert_int_equal(sequences.until, 1);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ 5, 1, 1 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 5);
	assert_int_equal(sequences.gone, 0);
}

static void what_was_thinned_below_the_oldest_is_not_gone(void **state)
{
	struct sequences sequences = { 0 };

	(void)take(&sequences, 1, 1);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ 10, 10, 1 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 10);
	assert_int_equal(sequences.gone, 0);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ 16, 16, 13 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, 16);
	assert_int_equal(sequences.gone, 3); /* 11 to 13 */
}

static void a_thinned_stretch_may_be_longer_than_the_window(void **state)
{
	struct sequences sequences = { 0 };
	uint64_t far = 9 * SEQUENCES_WINDOW;

	(void)take(&sequences, 1, 1);
	(void)take(&sequences, 3, 1);
	assert_int_equal(sequences_take(&sequences, &(struct sequence_claim){ far, 1, 3 }),
		SEQUENCES_TOO_FAR);
	(void)take(&sequences, 2, 1);
	assert_int_equal(
		sequences_take(&sequences, &(struct sequence_claim){ far, 1, 3 }), SEQUENCES_NEW);
	assert_int_equal(sequences.until, far);
	assert_int_equal(sequences.gone, 0);
	for (uint64_t n = far + 2; n < far + SEQUENCES_WINDOW; n++)
		assert_int_equal(look(&sequences, n, 1), SEQUENCES_NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_order_are_all_until),
		cmocka_unit_test(a_hole_holds_until_back_and_its_filling_frees_it),
		cmocka_unit_test(what_came_before_is_known),
		cmocka_unit_test(numbers_that_the_worker_no_longer_keeps_are_gone),
		cmocka_unit_test(a_known_number_that_tells_of_a_loss_frees_what_waits),
		cmocka_unit_test(a_number_beyond_the_window_must_come_again),
		cmocka_unit_test(numbers_that_were_thinned_out_are_not_waited_for),
		cmocka_unit_test(what_was_thinned_since_is_told_by_a_number_that_came),
		cmocka_unit_test(what_was_thinned_below_the_oldest_is_not_gone),
		cmocka_unit_test(a_thinned_stretch_may_be_longer_than_the_window),
		cmocka_unit_test(a_jump_leaves_no_trace_of_the_window_before),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
