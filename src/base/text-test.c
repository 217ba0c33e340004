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
#include "base/error.h"
#include "base/text.h"

static void well_formed_utf8_is_accepted(void **state)
{
	assert_true(text_is_utf8("", 0));
	assert_true(text_is_utf8("plain", 5));
	assert_true(text_is_utf8("\xe4\xba\x91", 3));
	assert_true(text_is_utf8("\xf0\x9f\x98\x80", 4));
}

static void ill_formed_utf8_is_refused(void **state)
{
	static const char *const texts[] = { "\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xe4\xba", "\x80" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(text_is_utf8(texts[i], strlen(texts[i])));
}

static void whole_numbers_are_read_to_the_last_one_that_fits(void **state)
{
	int64_t value = 5;

	assert_int_equal(text_to_i64("9223372036854775807", &value), 0);
	assert_true(value == INT64_MAX);
	assert_int_equal(text_to_i64("-9223372036854775808", &value), 0);
	assert_true(value == INT64_MIN);
	assert_int_equal(text_to_i64("9223372036854775808", &value), -ERANGE);
	assert_true(value == INT64_MIN);
}

static void what_is_no_whole_number_is_refused(void **state)
{
	static const char *const texts[] = { "", "-", " 1", "1 ", "+1", "0x10", "1.0", "1e3",
		"NaN" };
	int64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(text_to_i64(texts[i], &value), -EINVAL);
}

static void decimals_are_scaled_and_cut_off(void **state)
{
	int64_t value;

	assert_int_equal(text_to_scaled("1332400088.1499", 3, &value), 0);
	assert_true(value == INT64_C(1332400088149));
	assert_int_equal(text_to_scaled("7", 3, &value), 0);
	assert_int_equal(value, 7000);
	assert_int_equal(text_to_scaled("1.2.3", 3, &value), -EINVAL);
}

static void a_copy_always_ends_and_says_whether_it_fitted(void **state)
{
	char to[4];

	assert_true(text_copy(to, sizeof(to), "abc"));
	assert_string_equal(to, "abc");
	assert_false(text_copy(to, sizeof(to), "abcd"));
	assert_string_equal(to, "abc");
}

static void an_error_keeps_its_code_and_prints_no_control_characters(void **state)
{
	struct error err = { 0 };

	assert_int_equal(error_set(&err, -EINVAL, "key '%s'", "a\nb"), -EINVAL);
	assert_string_equal(error_text(&err, -EINVAL), "key 'a?b'");
	assert_int_equal(error_prefix(&err, -EINVAL, "line %d", 3), -EINVAL);
	assert_string_equal(err.text, "line 3: key 'a?b'");
	assert_int_equal(error_set(NULL, -EIO, "nobody listens"), -EIO);
}

static void an_error_without_words_has_those_of_its_number(void **state)
{
	struct error err = { 0 };

	assert_string_equal(error_text(&err, -ENOENT), strerror(ENOENT));
	assert_string_equal(error_text(NULL, -ENOENT), strerror(ENOENT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_utf8_is_accepted),
		cmocka_unit_test(ill_formed_utf8_is_refused),
		cmocka_unit_test(whole_numbers_are_read_to_the_last_one_that_fits),
		cmocka_unit_test(what_is_no_whole_number_is_refused),
		cmocka_unit_test(decimals_are_scaled_and_cut_off),
		cmocka_unit_test(a_copy_always_ends_and_says_whether_it_fitted),
		cmocka_unit_test(an_error_keeps_its_code_and_prints_no_control_characters),
		cmocka_unit_test(an_error_without_words_has_those_of_its_number),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
