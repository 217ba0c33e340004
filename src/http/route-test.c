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
#include "http/route.h"

static const struct http_parameter parameters[] = { { "id", true }, { "from", false },
	{ NULL, false } };
static const struct http_route routes[] = {
	{ "/v1/instances", parameters, NULL, false },
	{ "/v1/instances/{id}", NULL, NULL, false },
	{ "/v1/instances/{id}/more", NULL, NULL, false },
};
static struct uri uri;

static int find(const char *text, const char **ret_argument)
{
	const struct http_route *route;

	assert_int_equal(uri_parse(text, &uri, NULL), 0);
	route = route_find(routes, ARRAY_SIZE(routes), &uri, ret_argument);
	return route ? (int)(route - routes) : -1;
}

static void a_path_finds_its_route_and_argument(void **state)
{
	const char *argument;

	assert_int_equal(find("/v1/instances?id=1", &argument), 0);
	assert_null(argument);
	assert_int_equal(find("/v1/instances/a%2fb", &argument), 1);
	assert_string_equal(argument, "a/b");
	assert_int_equal(find("/v1/instances/x/more", &argument), 2);
	assert_string_equal(argument, "x");
}

static void other_paths_find_none(void **state)
{
	static const char *const paths[] = { "/", "/v1", "/v1/instances/", "/v1/instancesx",
		"/v1/instances/x/", "/v1/instances/x/more/y", "//v1/instances", "/V1/instances" };
	const char *argument;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(find(paths[i], &argument), -1);
}

static int check(size_t route, const char *text)
{
	struct error err = { 0 };
	int r;

	assert_int_equal(uri_parse(text, &uri, NULL), 0);
	r = route_check(&routes[route], &uri, &err);
	assert_true((r < 0) == (*err.text != 0));
	return r;
}

static void parameters_that_the_table_does_not_name_are_refused(void **state)
{
	assert_int_equal(check(0, "/?id=1&from=2"), 0);
	assert_int_equal(check(0, "/?ID=1"), -EINVAL);
	assert_int_equal(check(1, "/?id=1"), -EINVAL);
	assert_int_equal(check(1, "/"), 0);
}

static void only_lists_may_be_given_twice(void **state)
{
	assert_int_equal(check(0, "/?id=1&id=1&id=2"), 0);
	assert_int_equal(check(0, "/?from=1&from=1"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_finds_its_route_and_argument),
		cmocka_unit_test(other_paths_find_none),
		cmocka_unit_test(parameters_that_the_table_does_not_name_are_refused),
		cmocka_unit_test(only_lists_may_be_given_twice),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
