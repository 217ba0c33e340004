/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collect/libvirt/devices.h"

struct scene {
	struct devices devices;
	struct batch *batch;
	struct reading *reading;
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	*state = scene;
	return scene && batch_new(&scene->batch) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	devices_deinit(&scene->devices);
	batch_free(scene->batch);
	free(scene);
	return 0;
}

/* Reads one disk, or none; its tuple, or NULL. */
static const struct tuple *read_disk(
	struct scene *scene, const char *target, const char *serial, int64_t time_ms)
{
	struct reading *reading = batch_add_reading(scene->batch);
	struct tuple *tuple = target ? batch_add_tuple(scene->batch, reading) : NULL;

	if (tuple)
		*tuple = (struct tuple){
			.group = METRIC_GROUP_BLK, .parameter = target, .life = serial
		};
	(void)devices_name(&scene->devices, METRIC_GROUP_BLK, scene->batch, reading, time_ms);
	return tuple;
}

static void expect(const struct tuple *tuple, const char *life, int64_t start_ms)
{
	assert_string_equal(tuple->life, life);
	assert_int_equal(tuple->has_start, start_ms != 0);
	assert_int_equal(tuple->start_ms, start_ms);
}

static void a_device_of_the_beginning_has_the_start_of_its_run(void **state)
{
	expect(read_disk(*state, "vda", "s", 10), "s", 0);
	expect(read_disk(*state, "vda", "s", 20), "s", 0);
}

static void a_device_that_appears_later_starts_when_it_was_absent(void **state)
{
	read_disk(*state, "vda", "", 10);
	expect(read_disk(*state, "vdb", "s", 20), "s", 10);
	expect(read_disk(*state, "vdb", "s", 30), "s", 10);
}

static void a_device_that_comes_back_has_another_life(void **state)
{
	expect(read_disk(*state, "vda", "", 10), "", 0);
	read_disk(*state, NULL, NULL, 20);
	read_disk(*state, NULL, NULL, 30);
	expect(read_disk(*state, "vda", "", 40), "#2", 30);
	read_disk(*state, NULL, NULL, 50);
	expect(read_disk(*state, "vda", "", 60), "#3", 50);
	expect(read_disk(*state, "vda", "", 70), "#3", 50);
}

static void a_device_taken_away_between_two_readings_has_another_life(void **state)
{
	struct scene *scene = *state;

	read_disk(scene, "vda", "s", 10);
	assert_true(devices_remove(&scene->devices, METRIC_GROUP_BLK, "vda", 15));
	assert_false(devices_remove(&scene->devices, METRIC_GROUP_BLK, "vda", 16));
	expect(read_disk(scene, "vda", "s", 20), "s#2", 15);
}

static void an_answer_of_before_the_removal_is_of_the_old_life(void **state)
{
	struct scene *scene = *state;

	read_disk(scene, "vda", "s", 10);
	(void)devices_remove(&scene->devices, METRIC_GROUP_BLK, "vda", 25);
	expect(read_disk(scene, "vda", "s", 20), "s", 0);
	expect(read_disk(scene, "vda", "s", 30), "s#2", 25);
}

static void another_serial_is_another_device(void **state)
{
	read_disk(*state, "vdb", "one", 10);
	expect(read_disk(*state, "vdb", "two", 20), "two", 10);
	expect(read_disk(*state, "vdb", "one", 30), "one#2", 20);
}

static void so_many_nics_may_come_and_go(void **state)
{
	struct scene *scene = *state;
	char identity[16];

	for (int i = 0; i < 3 * DEVICES_MAX; i++) {
		struct reading *reading = batch_add_reading(scene->batch);
		struct tuple *tuple = batch_add_tuple(scene->batch, reading);

		(void)snprintf(identity, sizeof(identity), "if%d", i);
		*tuple = (struct tuple){
			.group = METRIC_GROUP_NIC, .parameter = "vnet0", .life = identity
		};
		assert_true(devices_name(
			&scene->devices, METRIC_GROUP_NIC, scene->batch, reading, 10 + i));
		assert_int_equal(tuple->start_ms, i ? 9 + i : 0);
	}
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(a_device_of_the_beginning_has_the_start_of_its_run),
		SCENE(a_device_that_appears_later_starts_when_it_was_absent),
		SCENE(a_device_that_comes_back_has_another_life),
		SCENE(a_device_taken_away_between_two_readings_has_another_life),
		SCENE(an_answer_of_before_the_removal_is_of_the_old_life),
		SCENE(another_serial_is_another_device),
		SCENE(so_many_nics_may_come_and_go),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
