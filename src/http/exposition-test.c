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
#include <stdio.h>

#include "http/exposition.h"
#include "http/questions.h"

static struct buffer buffer;
static struct exposition exposition;

static int set_up(void **state)
{
	buffer_init(&buffer, 64 * 1024);
	exposition_init(&exposition, &buffer);
	return 0;
}

static int tear_down(void **state)
{
	buffer_deinit(&buffer);
	return 0;
}

static void assert_text(const char *expected)
{
	buffer_write_u8(&buffer, 0);
	assert_int_equal(buffer_check(&buffer), 0);
	assert_string_equal((const char *)buffer.bytes, expected);
}

/* What is written of it, alone. */
static void assert_decimal(int64_t value, unsigned int places, const char *expected)
{
	char whole[64];

	buffer_clear(&buffer);
	snprintf(whole, sizeof(whole), "a %s\n", expected);
	exposition_decimal(&exposition, NULL, 0, value, places);
	assert_text(whole);
}

static void a_family_has_its_head_once_and_its_samples_behind_it(void **state)
{
	const struct exposition_label labels[] = { { "worker", "w1" }, { "state", "" } };

	exposition_family(&exposition, "a_total", EXPOSITION_COUNTER, "What it is.");
	exposition_integer(&exposition, NULL, 0, 7);
	exposition_integer(&exposition, labels, 2, 8);
	exposition_single(&exposition, "b_bytes", EXPOSITION_GAUGE, "Another.", -1);
	assert_text("# HELP a_total What it is.\n# TYPE a_total counter\na_total 7\n"
		    "a_total{worker=\"w1\",state=\"\"} 8\n"
		    "# HELP b_bytes Another.\n# TYPE b_bytes gauge\nb_bytes -1\n");
}

static void every_digit_is_written(void **state)
{
	exposition_family(&exposition, "a", EXPOSITION_GAUGE, "h");
	assert_decimal(INT64_MAX, 0, "9223372036854775807");
	assert_decimal(INT64_MIN, 0, "-9223372036854775808");
	assert_decimal(INT64_MAX, 9, "9223372036.854775807");
	assert_decimal(INT64_MIN, 18, "-9.223372036854775808");
	assert_decimal(9007199254740993, 0, "9007199254740993");
	assert_decimal(1, 9, "0.000000001");
	assert_decimal(-1, 3, "-0.001");
	assert_decimal(0, 9, "0");
	assert_decimal(1500000000, 9, "1.5");
	assert_decimal(12000000000, 9, "12");
	assert_decimal(1000000001, 9, "1.000000001");
	assert_decimal(100, 1, "10");
}

static void a_label_may_be_any_text(void **state)
{
	const struct exposition_label hostile[] = { { "a", "\"} 1\nb 2\\" },
		{ "b", "网站\t\r\x01" }, { "c", "x\xff\xc3(\n" }, { "d", "\xed\xa0\x80" } };

	exposition_family(&exposition, "a", EXPOSITION_GAUGE, "h");
	buffer_clear(&buffer);
	exposition_integer(&exposition, hostile, 4, 1);
	assert_text("a{a=\"\\\"} 1\\nb 2\\\\\",b=\"网站\t\r\x01\",c=\"x?\?(\\n\",d=\"???\"} 1\n");
}

static void a_histogram_is_cumulative_and_ends_with_all(void **state)
{
	struct histogram histogram = { 0 };
	const struct exposition_label label = { "method", "usage" };
	const char *text;

	histogram_add(&histogram, 0);
	histogram_add(&histogram, 500);
	histogram_add(&histogram, 501);
	histogram_add(&histogram, 30 * 1000 * 1000);
	histogram_add(&histogram, 30 * 1000 * 1000 + 1);
	exposition_family(&exposition, "took_seconds", EXPOSITION_HISTOGRAM, "h");
	exposition_histogram(&exposition, &label, 1, &histogram);
	buffer_write_u8(&buffer, 0);
	text = (const char *)buffer.bytes;
	assert_non_null(strstr(text, "# TYPE took_seconds histogram\n"
				     "took_seconds_bucket{method=\"usage\",le=\"0.0005\"} 2\n"
				     "took_seconds_bucket{method=\"usage\",le=\"0.001\"} 3\n"));
	assert_non_null(strstr(text, "took_seconds_bucket{method=\"usage\",le=\"20\"} 3\n"
				     "took_seconds_bucket{method=\"usage\",le=\"30\"} 4\n"
				     "took_seconds_bucket{method=\"usage\",le=\"+Inf\"} 5\n"
				     "took_seconds_sum{method=\"usage\"} 60.001002\n"
				     "took_seconds_count{method=\"usage\"} 5\n"));
}

static void a_histogram_needs_no_labels(void **state)
{
	const struct histogram histogram = { 0 };

	exposition_family(&exposition, "took_seconds", EXPOSITION_HISTOGRAM, "h");
	exposition_histogram(&exposition, NULL, 0, &histogram);
	buffer_write_u8(&buffer, 0);
	assert_non_null(
		strstr((const char *)buffer.bytes, "took_seconds_bucket{le=\"+Inf\"} 0\n"
						   "took_seconds_sum 0\ntook_seconds_count 0\n"));
}

static void what_is_larger_than_the_maximum_has_failed(void **state)
{
	exposition_family(&exposition, "a", EXPOSITION_GAUGE, "h");
	for (int i = 0; i < 64 * 1024; i++)
		exposition_integer(&exposition, NULL, 0, i);
	assert_int_equal(buffer_check(&buffer), -EMSGSIZE);
	assert_true(buffer.size <= 64 * 1024);
}

static void questions_are_counted_by_method_and_code(void **state)
{
	static const char *const names[] = { "usage", "status" };
	static struct questions questions;
	const char *text;

	questions_count(&questions, 0, 0, 100);
	questions_count(&questions, 0, 404, 100);
	questions_count(&questions, 0, 404, 100);
	questions_count(&questions, SIZE_MAX, 400, 100);
	questions_count(&questions, SIZE_MAX, 999, 100);
	questions_expose(&questions, names, 2, "q_total", "q_seconds", &exposition);
	buffer_write_u8(&buffer, 0);
	text = (const char *)buffer.bytes;
	assert_non_null(strstr(text, "q_total{method=\"usage\",code=\"0\"} 1\n"
				     "q_total{method=\"usage\",code=\"404\"} 2\n"
				     "q_total{method=\"other\",code=\"400\"} 1\n"
				     "q_total{method=\"other\",code=\"500\"} 1\n# HELP"));
	assert_non_null(strstr(text, "q_seconds_count{method=\"usage\"} 3\n"));
	assert_null(strstr(text, "status"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_family_has_its_head_once_and_its_samples_behind_it),
		TEST(every_digit_is_written),
		TEST(a_label_may_be_any_text),
		TEST(a_histogram_is_cumulative_and_ends_with_all),
		TEST(a_histogram_needs_no_labels),
		TEST(what_is_larger_than_the_maximum_has_failed),
		TEST(questions_are_counted_by_method_and_code),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
