/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/hosts.h"

static void check(const struct host *host, const char *name, uint16_t port, uint16_t second)
{
	assert_string_equal(host->name, name);
	assert_int_equal(host->port, port);
	assert_int_equal(host->second_port, second);
}

static void a_list_has_names_addresses_and_ports(void **state)
{
	struct hosts hosts;

	assert_int_equal(hosts_parse(" a,b:5551 c.example.org:1:65535,\t[::1] , [fe80::1%eth0]:7,",
				 &hosts, NULL),
		0);
	assert_int_equal(hosts.count, 5);
	check(&hosts.items[0], "a", 0, 0);
	check(&hosts.items[1], "b", 5551, 0);
	check(&hosts.items[2], "c.example.org", 1, 65535);
	check(&hosts.items[3], "::1", 0, 0);
	check(&hosts.items[4], "fe80::1%eth0", 7, 0);
}

static void what_is_no_host_is_refused(void **state)
{
	static const char *const wrong[] = { "", " ,", ":5551", "a:", "a:0", "a:65536", "a:-1",
		"a:1:2:3", "a:b", "::1", "fe80::1", "[]", "[::1", "[::1]5551", "[::1]:", "a[b]",
		"a:123456789012345678901234567890" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct hosts hosts = { .count = 77 };
		struct error err = { 0 };

		assert_int_equal(hosts_parse(wrong[i], &hosts, &err), -EINVAL);
		assert_true(err.text[0]);
		assert_int_equal(hosts.count, 77);
	}
}

static void a_list_and_a_name_have_a_maximum(void **state)
{
	char text[1024] = "";
	struct hosts hosts;

	for (size_t i = 0; i < HOSTS_MAX; i++)
		memcpy(text + strlen(text), "a,", sizeof("a,"));
	assert_int_equal(hosts_parse(text, &hosts, NULL), 0);
	memcpy(text + strlen(text), "a", sizeof("a"));
	assert_int_equal(hosts_parse(text, &hosts, NULL), -EINVAL);
	memset(text, 'a', HOST_TEXT_SIZE - 1);
	text[HOST_TEXT_SIZE - 1] = '\0';
	assert_int_equal(hosts_parse(text, &hosts, NULL), 0);
	memset(text, 'a', sizeof(text) - 1);
	text[HOST_TEXT_SIZE] = '\0';
	assert_int_equal(hosts_parse(text, &hosts, NULL), -EINVAL);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(hosts_parse(text, &hosts, NULL), -EINVAL);
}

static void an_endpoint_has_brackets_where_it_must(void **state)
{
	char text[HOST_ENDPOINT_SIZE];

	assert_string_equal(
		host_endpoint(&(struct host){ .name = "::1" }, 5551, text), "tcp://[::1]:5551");
	assert_string_equal(host_endpoint(&(struct host){ .name = "a" }, 1, text), "tcp://a:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_has_names_addresses_and_ports),
		cmocka_unit_test(what_is_no_host_is_refused),
		cmocka_unit_test(a_list_and_a_name_have_a_maximum),
		cmocka_unit_test(an_endpoint_has_brackets_where_it_must),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
