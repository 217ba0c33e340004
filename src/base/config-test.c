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
#include "base/config.h"

static const char *const colours[] = { "red", "green", NULL };
static const struct config_key keys[] = {
	{ "a", "text", CONFIG_TEXT, "none", 0, 0, NULL, "A text." },
	{ "a", "number", CONFIG_INTEGER, "5", 1, 10, NULL, "A number." },
	{ "b", "flag", CONFIG_BOOLEAN, "no", 0, 0, NULL, "A flag." },
	{ "b", "colour", CONFIG_CHOICE, "red", 0, 0, colours, "A colour." },
};

static struct config *new_config(void)
{
	struct config *config = NULL;

	assert_int_equal(config_new(keys, ARRAY_SIZE(keys), &config), 0);
	return config;
}

static void an_empty_file_gives_the_defaults(void **state)
{
	CLEANUP(config_free) struct config *config = new_config();

	assert_int_equal(config_read_text(config, "f", "", NULL, NULL), 0);
	assert_string_equal(config_text(config, "a", "text"), "none");
	assert_int_equal(config_integer(config, "a", "number"), 5);
	assert_false(config_boolean(config, "b", "flag"));
	assert_string_equal(config_text(config, "b", "colour"), "red");
	assert_false(config_is_set(config, "a", "number"));
}

static void a_colon_means_the_same_as_an_equals_sign(void **state)
{
	CLEANUP(config_free) struct config *config = new_config();
	static const char text[] = "# comment\n[a]\ntext: x\n  number=7\n[b]\nflag = yes\n";

	assert_int_equal(config_read_text(config, "f", text, NULL, NULL), 0);
	assert_string_equal(config_text(config, "a", "text"), "x");
	assert_int_equal(config_integer(config, "a", "number"), 7);
	assert_true(config_boolean(config, "b", "flag"));
	assert_true(config_is_set(config, "a", "number"));
}

static void lines_before_the_first_section_are_ignored_and_counted(void **state)
{
	CLEANUP(config_free) struct config *config = new_config();
	size_t ignored = 0;

	assert_int_equal(
		config_read_text(config, "f", "stray words\n\n; no\n[a]\n", &ignored, NULL), 0);
	assert_int_equal(ignored, 1);
}

static void an_unknown_key_is_an_error_that_names_file_and_line(void **state)
{
	CLEANUP(config_free) struct config *config = new_config();
	struct error err = { 0 };

	assert_true(config_read_text(config, "f.conf", "[a]\n\nnmber: 7\n", NULL, &err) < 0);
	assert_non_null(strstr(err.text, "f.conf:3"));
	assert_non_null(strstr(err.text, "nmber"));
	assert_true(config_read_text(config, "f.conf", "[c]\nx: 7\n", NULL, NULL) < 0);
}

static void a_value_outside_its_limits_is_an_error(void **state)
{
	static const char *const texts[] = { "[a]\nnumber: 0\n", "[a]\nnumber: 11\n",
		"[a]\nnumber: many\n", "[b]\nflag: maybe\n", "[b]\ncolour: blue\n",
		"[a]\ntext: \xff\n", "[a\n", "[a]\nwords without a sign\n" };
	CLEANUP(config_free) struct config *config = new_config();

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(config_read_text(config, "f", texts[i], NULL, NULL), -EINVAL);
}

static void later_layers_win(void **state)
{
	CLEANUP(config_free) struct config *config = new_config();

	assert_int_equal(config_read_text(config, "f", "[a]\nnumber: 2\n", NULL, NULL), 0);
	setenv("TESTED_A_NUMBER", "3", 1);
	assert_int_equal(config_read_environment(config, "TESTED", NULL), 0);
	assert_int_equal(config_integer(config, "a", "number"), 3);
	assert_int_equal(config_read_option(config, "a.number=4", NULL), 0);
	assert_int_equal(config_integer(config, "a", "number"), 4);
	assert_int_equal(config_read_option(config, "a.number", NULL), -EINVAL);
	unsetenv("TESTED_A_NUMBER");
}

static void what_is_printed_is_read_back(void **state)
{
	CLEANUP(config_free) struct config *config = new_config(), *other = new_config();
	CLEANUP(string_free) char *text = NULL;
	size_t size;
	FILE *to;

	assert_int_equal(config_read_option(config, "b.colour=green", NULL), 0);
	to = open_memstream(&text, &size);
	config_print(config, to);
	fclose(to);
	assert_int_equal(config_read_text(other, "f", text, NULL, NULL), 0);
	assert_string_equal(config_text(other, "b", "colour"), "green");
}

static void a_file_that_is_not_there_is_named(void **state)
{
	CLEANUP(config_free) struct config *config = new_config();
	struct error err = { 0 };

	assert_int_equal(config_read_file(config, "/nonexistent/x.conf", NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x.conf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(a_colon_means_the_same_as_an_equals_sign),
		cmocka_unit_test(lines_before_the_first_section_are_ignored_and_counted),
		cmocka_unit_test(an_unknown_key_is_an_error_that_names_file_and_line),
		cmocka_unit_test(a_value_outside_its_limits_is_an_error),
		cmocka_unit_test(later_layers_win),
		cmocka_unit_test(what_is_printed_is_read_back),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
