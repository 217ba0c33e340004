/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collect/libvirt/events.h"
#include "collect/libvirt/lives.h"

static char directory[32];

static int set_up(void **state)
{
	memcpy(directory, "/tmp/lives.XXXXXX", sizeof("/tmp/lives.XXXXXX"));
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/lives", directory);
	(void)unlink(path);
	return rmdir(directory);
}

static const struct uuid first = { "0123456789abcde" }, second = { "0123456789ABCDE" };

/* One domain that runs with a disk in its second life, and one that is off. */
static void save(void)
{
	struct domains domains = { 0 };
	struct lives lives;
	struct domain *domain;
	const struct device disk = { METRIC_GROUP_BLK, (char[]){ "vdb" }, (char[]){ "s" }, 2, true,
		30, 20 };

	lives_load(&lives, directory, &domains);
	domain = domains_get(&domains, &first);
	domain->run.id = 1;
	memcpy(domain->run.epoch, "host/1", sizeof("host/1"));
	domain->run.devices.disks_ms = 40;
	assert_true(devices_add(&domain->run.devices, &disk));
	domains_get(&domains, &second)->off_ms = 50;
	lives.is_changed = true;
	assert_int_equal(lives_save(&lives, &domains), 0);
	lives_deinit(&lives);
	domains_deinit(&domains);
}

static void what_was_kept_is_known_again(void **state)
{
	struct domains domains = { 0 };
	struct run run = { .epoch = "host/1" }, other = { .epoch = "host/2" };
	struct lives lives;

	save();
	lives_load(&lives, directory, &domains);
	lives_recall(&lives, &run);
	lives_recall(&lives, &other);
	assert_int_equal(other.devices.count, 0);
	assert_true(run.is_told && !other.is_told);
	assert_int_equal(run.devices.count, 1);
	assert_int_equal(run.devices.disks_ms, 40);
	assert_int_equal(run.devices.items[0].count, 2);
	assert_int_equal(run.devices.items[0].start_ms, 30);
	assert_string_equal(run.devices.items[0].identity, "s");
	assert_int_equal(domains.count, 1);
	assert_true(domains_find(&domains, &second)->is_persistent);
	devices_deinit(&run.devices);
	lives_deinit(&lives);
	domains_deinit(&domains);
}

static void a_file_that_says_something_else_counts_as_none(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "{\"runs\":7,\"off\":{}}",
		"{\"runs\":{\"host/"
		"1\":{\"nics\":1,\"disks\":2,\"devices\":[[],[\"cpu\",\"a\",\"b\","
		"1,true,0,0],[\"blk\",\"a\",\"b\",0,true,0,0]]}},\"off\":[1,\"x\"]}" };
	char path[64];

	snprintf(path, sizeof(path), "%s/lives", directory);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct domains domains = { 0 };
		struct run run = { .epoch = "host/1" };
		struct lives lives;
		FILE *file = fopen(path, "we");

		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		lives_load(&lives, directory, &domains);
		lives_recall(&lives, &run);
		assert_int_equal(run.devices.count, 0);
		assert_int_equal(domains.count, 0);
		lives_deinit(&lives);
	}
}

static void no_two_events_are_at_one_time(void **state)
{
	static struct events heard, taken;
	const struct event event = { .kind = EVENT_STARTED };

	events_add(&heard, &event, 1000);
	events_add(&heard, &event, 1000);
	events_add(&heard, &event, 900);
	events_move(&heard, &taken);
	assert_int_equal(heard.count, 0);
	assert_int_equal(taken.count, 3);
	assert_int_equal(taken.items[1].time_ms, 1001);
	assert_int_equal(taken.items[2].time_ms, 1002);
}

static void lost_events_are_noticed(void **state)
{
	static struct events heard, taken;
	const struct event event = { .kind = EVENT_STARTED };

	for (int i = 0; i < EVENTS_MAX; i++)
		events_add(&heard, &event, 1000);
	assert_false(heard.is_overflown);
	events_add(&heard, &event, 1000);
	events_move(&heard, &taken);
	assert_true(taken.is_overflown);
	assert_false(heard.is_overflown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_kept_is_known_again),
		cmocka_unit_test(a_file_that_says_something_else_counts_as_none),
		cmocka_unit_test(no_two_events_are_at_one_time),
		cmocka_unit_test(lost_events_are_noticed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
