/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/settings.h"
#include "worker/servers.h"

enum { WORKERS = 1200 };

static struct servers load(const char *hosts, const char *more, const char *worker)
{
	CLEANUP(config_free) struct config *config = NULL;
	struct servers servers = { 0 };
	char option[256];

	snprintf(option, sizeof(option), "worker.dataserver_host=%s", hosts);
	assert_int_equal(config_new(settings_keys, settings_key_count, &config), 0);
	assert_int_equal(config_read_option(config, option, NULL), 0);
	assert_int_equal(config_read_option(config, more, NULL), 0);
	assert_int_equal(servers_load(&servers, config, worker, NULL), 0);
	return servers;
}

static const char *const no_option = "worker.dataserver_port=5551";

static const char *preferred(const char *hosts, unsigned int number)
{
	static struct servers servers;
	char worker[32];

	snprintf(worker, sizeof(worker), "compute%u", number);
	servers = load(hosts, no_option, worker);
	return servers.items[0].push;
}

static void workers_spread_evenly(void **state)
{
	static const char *const names[] = { "tcp://a:5551", "tcp://b:5551", "tcp://c:5551" };
	unsigned int counts[3] = { 0 };

	for (unsigned int i = 0; i < WORKERS; i++)
		for (unsigned int j = 0; j < 3; j++)
			counts[j] += strcmp(preferred("a, b, c", i), names[j]) == 0;
	for (unsigned int j = 0; j < 3; j++)
		assert_in_range(counts[j], WORKERS / 3 * 85 / 100, WORKERS / 3 * 115 / 100);
}

static void a_server_that_dies_leaves_its_workers_to_all_others(void **state)
{
	unsigned int moved[2] = { 0 };

	for (unsigned int i = 0; i < WORKERS; i++) {
		struct servers servers;
		char worker[32];

		snprintf(worker, sizeof(worker), "compute%u", i);
		servers = load("a, b, c", no_option, worker);
		if (strcmp(servers.items[0].name, "a") == 0)
			moved[strcmp(servers.items[1].name, "b") == 0]++;
		else
			assert_string_equal(preferred("b, c", i), servers.items[0].push);
	}
	for (unsigned int j = 0; j < 2; j++)
		assert_in_range(moved[j], WORKERS / 6 * 75 / 100, WORKERS / 6 * 125 / 100);
}

static void the_order_of_the_list_does_not_matter(void **state)
{
	for (unsigned int i = 0; i < 100; i++) {
		char first[HOST_ENDPOINT_SIZE];

		snprintf(first, sizeof(first), "%s", preferred("a, b, c", i));
		assert_string_equal(preferred("c,b a:5551", i), first);
	}
}

static void ports_are_the_servers_own_or_those_of_all(void **state)
{
	const struct {
		const char *host, *option, *name, *push, *sub;
	} cases[] = {
		{ "a", no_option, "a", "tcp://a:5551", "tcp://a:5552" },
		{ "a", "worker.dataserver_port=7000", "a", "tcp://a:7000", "tcp://a:7001" },
		{ "a", "worker.dataserver_pub_port=9", "a", "tcp://a:5551", "tcp://a:9" },
		{ "a:7000", "worker.dataserver_pub_port=9", "a:7000", "tcp://a:7000",
			"tcp://a:7001" },
		{ "a:7000:9", no_option, "a:7000", "tcp://a:7000", "tcp://a:9" },
		{ "[::1]", no_option, "::1", "tcp://[::1]:5551", "tcp://[::1]:5552" },
		{ "[::1]:7000", no_option, "[::1]:7000", "tcp://[::1]:7000", "tcp://[::1]:7001" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct servers servers = load(cases[i].host, cases[i].option, "w");

		assert_int_equal(servers.count, 1);
		assert_string_equal(servers.items[0].name, cases[i].name);
		assert_string_equal(servers.items[0].push, cases[i].push);
		assert_string_equal(servers.items[0].sub, cases[i].sub);
	}
}

static void a_list_that_is_none_is_an_error(void **state)
{
	CLEANUP(config_free) struct config *config = NULL;
	struct servers servers = { 0 };
	struct error err = { 0 };

	assert_int_equal(config_new(settings_keys, settings_key_count, &config), 0);
	assert_int_equal(config_read_option(config, "worker.dataserver_host=::1", NULL), 0);
	assert_int_equal(servers_load(&servers, config, "w", &err), -EINVAL);
	assert_non_null(strstr(err.text, "[worker] dataserver_host: '::1' is no host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_spread_evenly),
		cmocka_unit_test(a_server_that_dies_leaves_its_workers_to_all_others),
		cmocka_unit_test(the_order_of_the_list_does_not_matter),
		cmocka_unit_test(ports_are_the_servers_own_or_those_of_all),
		cmocka_unit_test(a_list_that_is_none_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
