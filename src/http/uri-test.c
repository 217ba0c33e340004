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
#include "http/uri.h"

static struct uri uri; /* large */

static void a_path_and_a_query_are_taken_apart_and_decoded(void **state)
{
	assert_int_equal(
		uri_parse("/v1/instances/a%20b%2Fc?from=-1h&id=x+y&id=%e4%ba%91&&flag", &uri, NULL),
		0);
	assert_int_equal(uri.segment_count, 3);
	assert_string_equal(uri.segments[0], "v1");
	assert_string_equal(uri.segments[2], "a b/c");
	assert_int_equal(uri.query_count, 4);
	assert_string_equal(uri.query[0].name, "from");
	assert_string_equal(uri.query[0].value, "-1h");
	assert_string_equal(uri.query[1].value, "x y");
	assert_string_equal(uri.query[2].value, "\xe4\xba\x91");
	assert_string_equal(uri.query[3].name, "flag");
	assert_string_equal(uri.query[3].value, "");
}

static void a_plus_in_a_path_is_a_plus(void **state)
{
	assert_int_equal(uri_parse("/a+b", &uri, NULL), 0);
	assert_string_equal(uri.segments[0], "a+b");
}

static void what_is_not_well_formed_is_refused(void **state)
{
	static const char *const texts[] = { "", "x", "*", "http://host/", "/%", "/%4", "/%zz",
		"/%00", "/%0a", "/%ff", "/a?b=%0d%0a", "/a?%ff=1", "/a?b=%c0%80", "/a?b=\x7f" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = { 0 };

		assert_int_equal(uri_parse(texts[i], &uri, &err), -EINVAL);
		assert_true(*err.text);
	}
}

static void what_is_too_much_is_refused(void **state)
{
	char text[HTTP_URI_MAX + 2] = "/";

	memset(text + 1, 'a', HTTP_URI_MAX);
	assert_int_equal(uri_parse(text, &uri, NULL), -EMSGSIZE);
	text[HTTP_URI_MAX] = '\0';
	assert_int_equal(uri_parse(text, &uri, NULL), 0);
	memset(text, '/', HTTP_SEGMENTS_MAX + 1);
	text[HTTP_SEGMENTS_MAX + 1] = '\0';
	assert_int_equal(uri_parse(text, &uri, NULL), -EMSGSIZE);
	text[HTTP_SEGMENTS_MAX] = '\0';
	assert_int_equal(uri_parse(text, &uri, NULL), 0);
}

static void more_parameters_than_the_maximum_are_refused(void **state)
{
	char text[HTTP_URI_MAX] = "/?";

	for (size_t i = 0; i <= HTTP_QUERY_MAX; i++)
		memcpy(text + 2 + 2 * i, "a&", 3);
	assert_int_equal(uri_parse(text, &uri, NULL), -EMSGSIZE);
	text[2 + 2 * HTTP_QUERY_MAX] = '\0';
	assert_int_equal(uri_parse(text, &uri, NULL), 0);
	assert_int_equal(uri.query_count, HTTP_QUERY_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_and_a_query_are_taken_apart_and_decoded),
		cmocka_unit_test(a_plus_in_a_path_is_a_plus),
		cmocka_unit_test(what_is_not_well_formed_is_refused),
		cmocka_unit_test(what_is_too_much_is_refused),
		cmocka_unit_test(more_parameters_than_the_maximum_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
