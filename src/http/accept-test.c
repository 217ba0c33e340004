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
#include "http/accept.h"

static const char *const types[] = { "application/json", "text/csv", "application/x-ndjson" };

static int choose(const char *header)
{
	return accept_choose(header, types, ARRAY_SIZE(types));
}

static void without_a_wish_it_is_the_favourite(void **state)
{
	assert_int_equal(choose(NULL), 0);
	assert_int_equal(choose(""), 0);
	assert_int_equal(choose("*/*"), 0);
	assert_int_equal(choose("text/html, */*;q=0.1"), 0);
}

static void the_best_liked_type_is_chosen(void **state)
{
	assert_int_equal(choose("text/csv"), 1);
	assert_int_equal(choose("TEXT/CSV; header=present"), 1);
	assert_int_equal(choose("text/*"), 1);
	assert_int_equal(choose("application/json;q=0.4, text/csv;q=0.5"), 1);
	assert_int_equal(choose("application/json; q=0.999,application/x-ndjson"), 2);
	assert_int_equal(choose("application/json;q=0, */*"), 1);
}

static void the_most_exact_range_counts(void **state)
{
	assert_int_equal(choose("*/*;q=1, application/json;q=0.1, text/*;q=0.2"), 2);
	assert_int_equal(choose("text/csv;q=0.3, text/*;q=0.9, application/json;q=0.5"), 0);
}

static void what_none_of_them_satisfies_is_not_acceptable(void **state)
{
	assert_int_equal(choose("text/html"), -1);
	assert_int_equal(choose("application/json;q=0"), -1);
	assert_int_equal(choose("*/*;q=0.000"), -1);
}

static void nonsense_is_passed_over(void **state)
{
	assert_int_equal(choose(",,;;q=,/, text/csv"), 1);
	assert_int_equal(choose("text/csv;q"), 1);
	assert_int_equal(choose("/;q=9, ;, application"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_wish_it_is_the_favourite),
		cmocka_unit_test(the_best_liked_type_is_chosen),
		cmocka_unit_test(the_most_exact_range_counts),
		cmocka_unit_test(what_none_of_them_satisfies_is_not_acceptable),
		cmocka_unit_test(nonsense_is_passed_over),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
