/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include "base/macros.h"
#include "base/time-text.h"

static void all_forms_of_one_time_are_one_time(void **state)
{
	static const char *const texts[] = { "2012-02-20T12:12:12", "2012-02-20 12:12:12",
		"2012-02-20T12:12:12Z", "2012-02-20T20:12:12+08:00", "2012-02-20T12:12:12.000",
		"1329739932", "1329739932.0004" };
	int64_t ms;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(time_text_parse(texts[i], &ms), 0);
		assert_true(ms == INT64_C(1329739932000));
	}
}

static void a_date_alone_is_its_midnight(void **state)
{
	int64_t ms;

	assert_int_equal(time_text_parse("1970-01-02", &ms), 0);
	assert_int_equal(ms, 86400000);
}

static void days_that_do_not_exist_are_refused(void **state)
{
	static const char *const texts[] = { "2011-02-29", "2012-13-01", "2012-00-01", "2012-04-31",
		"2012-02-20T24:00:00", "2012-02-20T12:60:00", "2012-02-20X", "2012-2-20", "",
		"yesterday", "2012-02-20T12:12:12+8" };
	int64_t ms;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(time_text_parse(texts[i], &ms), -EINVAL);
	assert_int_equal(time_text_parse("2012-02-29", &ms), 0);
}

static void times_before_1970_are_out_of_range(void **state)
{
	int64_t ms;

	assert_int_equal(time_text_parse("1969-12-31", &ms), -ERANGE);
	assert_int_equal(time_text_parse("-1", &ms), -ERANGE);
}

static void what_is_formatted_is_parsed_back(void **state)
{
	static const int64_t times[] = { 0, 1, 999, 1000, 1329739932123, 253402300799999 };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char text[TIME_TEXT_SIZE];
		int64_t ms;

		assert_int_equal(time_text_parse(time_text_format(times[i], text), &ms), 0);
		assert_true(ms == times[i]);
	}
}

static void a_month_is_from_its_first_to_the_next_first_instant(void **state)
{
	static const struct {
		const char *month, *from, *to;
	} cases[] = { { "2026-10", "2026-10-01", "2026-11-01" },
		{ "2026-12", "2026-12-01", "2027-01-01" },
		{ "2024-02", "2024-02-01", "2024-03-01" },
		{ "1970-01", "1970-01-01", "1970-02-01" } };
	static const char *const wrong[] = { "", "2026", "2026-13", "2026-1", "2026-10-01", "now" };
	int64_t from_ms, to_ms, expected_ms;
	char text[TIME_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(time_text_parse_month(cases[i].month, &from_ms, &to_ms), 0);
		assert_int_equal(time_text_parse(cases[i].from, &expected_ms), 0);
		assert_int_equal(from_ms, expected_ms);
		assert_int_equal(time_text_parse(cases[i].to, &expected_ms), 0);
		assert_int_equal(to_ms, expected_ms);
		assert_string_equal(time_text_format_month(to_ms - 1, text), cases[i].month);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_true(time_text_parse_month(wrong[i], &from_ms, &to_ms) < 0);
}

static void whole_texts_have_their_milliseconds(void **state)
{
	char text[TIME_TEXT_SIZE];

	assert_string_equal(
		time_text_format_whole(1329739932000, text), "2012-02-20T12:12:12.000Z");
	assert_string_equal(
		time_text_format_whole(1329739932007, text), "2012-02-20T12:12:12.007Z");
	assert_string_equal(time_text_format(1329739932007, text), "2012-02-20T12:12:12.007Z");
	assert_string_equal(time_text_format(1329739932000, text), "2012-02-20T12:12:12Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_month_is_from_its_first_to_the_next_first_instant),
		cmocka_unit_test(all_forms_of_one_time_are_one_time),
		cmocka_unit_test(a_date_alone_is_its_midnight),
		cmocka_unit_test(days_that_do_not_exist_are_refused),
		cmocka_unit_test(times_before_1970_are_out_of_range),
		cmocka_unit_test(what_is_formatted_is_parsed_back),
		cmocka_unit_test(whole_texts_have_their_milliseconds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
