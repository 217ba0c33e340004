/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "query/loading.h"

enum { HOSTS = 5000 };

static struct timeline_host *host_of(struct timeline *timeline, int i, const char *rest)
{
	char epoch[64];

	snprintf(epoch, sizeof(epoch), "compute-%d%s", i, rest);
	return loading_host(timeline, epoch);
}

static void each_host_is_one_however_many_there_are(void **state)
{
	CLEANUP(timeline_deinit) struct timeline timeline = { 0 };
	char name[32];

	arena_init(&timeline.arena, 64 * 1024 * 1024);
	for (int i = 0; i < HOSTS; i++)
		assert_non_null(host_of(&timeline, i, ""));
	for (int i = 0; i < HOSTS; i++) {
		snprintf(name, sizeof(name), "compute-%d", i);
		assert_string_equal(timeline.hosts[i]->name, name);
		assert_ptr_equal(host_of(&timeline, i, "/boot/4711/2"), timeline.hosts[i]);
		assert_ptr_equal(host_of(&timeline, i, "/off"), timeline.hosts[i]);
	}
	assert_int_equal(timeline.host_count, HOSTS);
}

static void too_many_hosts_are_refused(void **state)
{
	CLEANUP(timeline_deinit) struct timeline timeline = { 0 };
	struct timeline_host *last = NULL;

	arena_init(&timeline.arena, (size_t)1024 * 1024 * 1024);
	for (int i = 0; i < TIMELINE_HOSTS_MAX; i++)
		last = host_of(&timeline, i, "");
	assert_non_null(last);
	assert_null(host_of(&timeline, TIMELINE_HOSTS_MAX, ""));
	assert_ptr_equal(host_of(&timeline, TIMELINE_HOSTS_MAX - 1, ""), last);
}

static void without_memory_there_is_no_host(void **state)
{
	CLEANUP(timeline_deinit) struct timeline timeline = { 0 };

	arena_init(&timeline.arena, 16);
	assert_null(host_of(&timeline, 1, ""));
	assert_int_equal(timeline.host_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_host_is_one_however_many_there_are),
		cmocka_unit_test(too_many_hosts_are_refused),
		cmocka_unit_test(without_memory_there_is_no_host),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
