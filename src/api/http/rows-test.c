/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/rows.h"

static const struct field fields[] = { { "text", FIELD_PLAIN, NULL, false },
	{ "amount", FIELD_AMOUNT, NULL, false }, { "time", FIELD_TIME, NULL, false },
	{ "words", FIELD_LIST, "word", false }, { "inner", FIELD_TIME, NULL, true } };
static const struct table table = { NULL, false, fields, ARRAY_SIZE(fields) };
static const struct table table_of_samples = { "series", true, fields, 1 };

static const struct presentation as_csv = { FORM_CSV, false, true };
static const struct presentation as_seconds = { FORM_CSV, false, false };
static const struct presentation as_lines = { FORM_JSONL, false, false };
static const struct presentation as_texts = { FORM_JSONL, true, true };

static char written[1024];

/* Takes `element`. */
static const char *write_row(const struct presentation *presentation, json_t *element)
{
	CLEANUP(buffer_deinit) struct buffer to = { .maximum = sizeof(written) - 1 };
	const struct row row = { .inner = element };

	assert_non_null(element);
	rows_write(presentation, &table, &row, &to);
	assert_int_equal(buffer_check(&to), 0);
	memcpy(written, to.bytes, to.size);
	written[to.size] = '\0';
	json_decref(element);
	return written;
}

static const char *write_csv_text(const char *text)
{
	return write_row(&as_csv, json_pack("{s:s}", "text", text));
}

static void a_text_stands_as_it_is(void **state)
{
	assert_string_equal(write_csv_text("a b"), "a b,,,\r\n");
	assert_string_equal(write_csv_text(""), ",,,\r\n");
	assert_string_equal(
		write_csv_text("\xe4\xba\x91 \xc3\xa9"), "\xe4\xba\x91 \xc3\xa9,,,\r\n");
	assert_string_equal(write_csv_text("1-2=3"), "1-2=3,,,\r\n");
}

static void what_would_end_a_field_is_quoted(void **state)
{
	assert_string_equal(write_csv_text("a,b"), "\"a,b\",,,\r\n");
	assert_string_equal(write_csv_text("a\"b"), "\"a\"\"b\",,,\r\n");
	assert_string_equal(write_csv_text("a\r\nb"), "\"a\r\nb\",,,\r\n");
	assert_string_equal(write_csv_text("\""), "\"\"\"\",,,\r\n");
}

static void what_would_be_a_formula_is_marked(void **state)
{
	static const char *const begins[] = { "=", "+", "-", "@", "\t" };
	char text[8], expected[16];

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
		snprintf(text, sizeof(text), "%s1", begins[i]);
		snprintf(expected, sizeof(expected), "'%s,,,\r\n", text);
		assert_string_equal(write_csv_text(text), expected);
	}
	assert_string_equal(write_csv_text("=\"a\""), "\"'=\"\"a\"\"\",,,\r\n");
	assert_string_equal(write_csv_text("\n=1"), "\"'\n=1\",,,\r\n");
	assert_string_equal(write_row(&as_lines, json_pack("{s:s}", "text", "=1")),
		"{\"text\":\"=1\",\"amount\":null,\"time\":null,\"words\":null}\n");
}

static json_t *number(const char *name, const char *json)
{
	return json_pack("{s:o}", name, json_loads(json, JSON_DECODE_ANY, NULL));
}

static void numbers_are_numbers(void **state)
{
	assert_string_equal(write_row(&as_csv, number("amount", "9223372036854775807")),
		",9223372036854775807,,\r\n");
	assert_string_equal(write_row(&as_csv, number("amount", "-5")), ",-5,,\r\n");
	assert_string_equal(write_row(&as_csv, number("text", "0.1")), "0.1,,,\r\n");
	assert_string_equal(write_row(&as_csv, number("text", "0.30000000000000004")),
		"0.30000000000000004,,,\r\n");
	assert_string_equal(write_row(&as_csv, number("text", "true")), "true,,,\r\n");
	assert_string_equal(write_row(&as_csv, number("text", "null")), ",,,\r\n");
}

static void digits_of_an_amount_are_a_number_unless_texts_are_wanted(void **state)
{
	json_t *huge = json_pack("{s:s}", "amount", "18446744073709551616");

	assert_non_null(strstr(write_row(&as_csv, json_incref(huge)), ",18446744073709551616,"));
	assert_non_null(strstr(
		write_row(&as_lines, json_incref(huge)), "\"amount\":18446744073709551616,"));
	assert_non_null(strstr(write_row(&as_texts, huge), "\"amount\":\"18446744073709551616\","));
	assert_non_null(strstr(write_row(&as_texts, number("amount", "7")), "\"amount\":\"7\","));
}

static void times_are_exact(void **state)
{
	assert_string_equal(write_row(&as_csv, number("time", "1329739932")),
		",,2012-02-20T12:12:12.000Z,\r\n");
	assert_string_equal(write_row(&as_csv, number("time", "1329739932.007")),
		",,2012-02-20T12:12:12.007Z,\r\n");
	assert_string_equal(
		write_row(&as_seconds, number("time", "1329739932.007")), ",,1329739932.007,\r\n");
	assert_string_equal(write_row(&as_csv, number("time", "\"2012-02-20T12:12:12Z\"")),
		",,2012-02-20T12:12:12.000Z,\r\n");
	assert_non_null(strstr(write_row(&as_texts, number("time", "1329739932")),
		"\"time\":\"2012-02-20T12:12:12.000Z\""));
}

static void a_list_is_its_words(void **state)
{
	assert_string_equal(write_row(&as_csv, number("words", "[]")), ",,,\r\n");
	assert_string_equal(
		write_row(&as_csv, number("words", "[{\"word\":\"a\"},{\"word\":\"b\"}]")),
		",,,a b\r\n");
	assert_string_equal(
		write_row(&as_csv,
			number("words", "[{\"word\":[\"=a\",\"b\"]},{\"word\":[\"c,\"]}]")),
		",,,\"'=a b c,\"\r\n");
}

static void each_sample_is_a_row(void **state)
{
	json_t *answer = json_loads("{\"series\":[{\"samples\":[[1,2],[3,4]]},{\"samples\":[]},"
				    "{\"samples\":[[5,6]]},{}]}",
		0, NULL);
	struct rows rows = { .table = &table_of_samples, .answer = answer };
	struct row row;

	for (json_int_t time = 1; time <= 5; time += 2) {
		assert_true(rows_next(&rows, &row));
		assert_int_equal(json_integer_value(json_array_get(row.sample, 0)), time);
	}
	assert_false(rows_next(&rows, &row));
	assert_false(rows_next(&rows, &row));
	json_decref(answer);
}

static void the_header_names_the_columns(void **state)
{
	CLEANUP(buffer_deinit) struct buffer to = { .maximum = 100 };

	rows_write_header(&as_lines, &table, &to);
	assert_int_equal(to.size, 0);
	rows_write_header(&as_csv, &table, &to);
	buffer_write(&to, "", 1);
	assert_string_equal(to.bytes, "text,amount,time,words\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_stands_as_it_is),
		cmocka_unit_test(what_would_end_a_field_is_quoted),
		cmocka_unit_test(what_would_be_a_formula_is_marked),
		cmocka_unit_test(numbers_are_numbers),
		cmocka_unit_test(digits_of_an_amount_are_a_number_unless_texts_are_wanted),
		cmocka_unit_test(times_are_exact),
		cmocka_unit_test(a_list_is_its_words),
		cmocka_unit_test(each_sample_is_a_row),
		cmocka_unit_test(the_header_names_the_columns),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
