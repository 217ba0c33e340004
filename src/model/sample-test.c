/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/sample.h"

static void samples_are_sorted_by_time(void **state)
{
	struct sample samples[] = { { 3, 30 }, { 1, 10 }, { 2, 20 } };

	assert_int_equal(sample_sort(samples, 3, NULL), 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(samples[i].time_ms, i + 1);
}

static void duplicates_count_once(void **state)
{
	struct sample samples[] = { { 2, 20 }, { 1, 10 }, { 2, 20 }, { 1, 10 } };
	size_t conflicts = 9;

	assert_int_equal(sample_sort(samples, 4, &conflicts), 2);
	assert_int_equal(conflicts, 0);
	assert_int_equal(samples[1].value, 20);
}

static void of_two_values_at_one_time_the_larger_stays(void **state)
{
	struct sample samples[] = { { 1, 10 }, { 1, 12 }, { 1, 11 }, { 0, 1 } };
	size_t conflicts = 0;

	assert_int_equal(sample_sort(samples, 4, &conflicts), 2);
	assert_int_equal(samples[1].value, 12);
	assert_int_equal(conflicts, 2);
}

static void nothing_is_sorted_too(void **state)
{
	assert_int_equal(sample_sort(NULL, 0, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_sorted_by_time),
		cmocka_unit_test(duplicates_count_once),
		cmocka_unit_test(of_two_values_at_one_time_the_larger_stays),
		cmocka_unit_test(nothing_is_sorted_too),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
