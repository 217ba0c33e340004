/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "worker/board.h"

static const int64_t BASE_MS = INT64_C(1700006400000);

static struct clock_manual now;
static struct board *board;
static struct batch *batch;
static struct reading *reading;

static int set_up(void **state)
{
	clock_manual_init(&now, BASE_MS);
	assert_int_equal(board_new(&now.clock, &board), 0);
	assert_int_equal(batch_new(&batch), 0);
	return 0;
}

static int tear_down(void **state)
{
	board = board_free(board);
	batch = batch_free(batch);
	return 0;
}

/* Begins a reading of the instance whose UUID ends with `number`, in that run of it. */
static void read_instance(uint8_t number, const char *epoch)
{
	reading = batch_add_reading(batch);
	reading->instance = (struct instance_key){ .has_uuid = true, .uuid.bytes[15] = number };
	reading->time_ms = now.wall_ms;
	reading->epoch = epoch;
}

static void read_value(enum metric_group group, const char *parameter, int64_t value)
{
	struct tuple *tuple = batch_add_tuple(batch, reading);

	tuple->group = group;
	tuple->parameter = parameter;
	tuple->life = "life";
	tuple_set(tuple, 0, value);
}

static void tell(uint8_t number, const char *name, const char *project_id)
{
	struct instance_info *info = batch_add_info(batch);

	info->uuid = (struct uuid){ .bytes[15] = number };
	info->name = name;
	info->project_id = project_id;
}

/* Gives the batch, as the last one of a round or not, and begins the next. */
static void give(bool is_last)
{
	batch->until_ms = is_last ? now.wall_ms : 0;
	board_take(board, batch);
	batch = batch_free(batch);
	assert_int_equal(batch_new(&batch), 0);
	clock_manual_advance(&now, 1000);
}

static void write_down(void *context, const struct board_view *view)
{
	struct buffer *to = context;

	for (size_t i = 0; i < view->count; i++) {
		const struct board_instance *instance = view->instances[i];

		buffer_print(to, "%s:", instance->name);
		if (instance->info)
			buffer_print(to, " project %s", instance->info->project_id);
		for (unsigned int g = 0; g < _METRIC_GROUP_COUNT; g++)
			for (size_t k = 0; instance->parts[g] && k < instance->parts[g]->count; k++)
				buffer_print(to, " %s=%lld",
					instance->parts[g]->tuples[k].parameter,
					(long long)instance->parts[g]->tuples[k].values[0]);
		buffer_print(to, "\n");
	}
	buffer_write_u8(to, 0);
}

/* "name: project p parameter=value ..." a line. */
static void assert_board(const char *expected)
{
	CLEANUP(buffer_deinit) struct buffer buffer;

	buffer_init(&buffer, 64 * 1024);
	board_look(board, write_down, &buffer);
	assert_string_equal((const char *)buffer.bytes, expected);
}

static void what_was_read_stands_there_by_name(void **state)
{
	assert_board("");
	read_instance(1, "run");
	read_value(METRIC_GROUP_CPU, "total", 7);
	read_instance(2, "run");
	read_value(METRIC_GROUP_NIC, "vnet0", 8);
	tell(1, "b", "p1");
	tell(2, "a", "p2");
	give(true);
	assert_board("a: project p2 vnet0=8\nb: project p1 total=7\n");
}

static void an_instance_of_which_nothing_was_told_is_named_by_its_uuid(void **state)
{
	read_instance(1, "run");
	read_value(METRIC_GROUP_CPU, "total", 7);
	give(true);
	assert_board("00000000-0000-0000-0000-000000000001: total=7\n");
	tell(1, "", "p1");
	give(false);
	assert_board("00000000-0000-0000-0000-000000000001: project p1 total=7\n");
}

static void the_last_reading_of_a_group_stands_there_whole(void **state)
{
	tell(1, "a", "");
	read_instance(1, "run");
	read_value(METRIC_GROUP_NIC, "vnet0", 1);
	read_value(METRIC_GROUP_NIC, "vnet1", 2);
	read_value(METRIC_GROUP_BLK, "vda", 3);
	give(true);
	read_instance(1, "run");
	read_value(METRIC_GROUP_NIC, "vnet1", 4);
	give(true);
	assert_board("a: project  vnet1=4 vda=3\n");
}

static void a_device_that_is_named_twice_stands_there_once(void **state)
{
	tell(1, "a", "");
	read_instance(1, "run");
	read_value(METRIC_GROUP_NIC, "vnet0", 1);
	read_value(METRIC_GROUP_NIC, "vnet0", 2);
	give(true);
	assert_board("a: project  vnet0=2\n");
}

static void the_next_run_pushes_out_the_last_one(void **state)
{
	tell(1, "a", "");
	read_instance(1, "run");
	read_value(METRIC_GROUP_CPU, "total", 100);
	read_value(METRIC_GROUP_BLK, "vda", 3);
	give(true);
	read_instance(1, "next");
	read_value(METRIC_GROUP_CPU, "total", 1);
	give(false);
	assert_board("a: project  total=1\n");
	/* The answer of the child about the run before. */
	read_instance(1, "run");
	reading->time_ms -= 1500;
	read_value(METRIC_GROUP_BLK, "vda", 4);
	give(true);
	assert_board("a: project  total=1\n");
}

static void who_is_in_two_rounds_no_more_is_forgotten(void **state)
{
	tell(1, "a", "");
	tell(2, "b", "");
	for (int round = 0; round < 3; round++) {
		read_instance(1, "run");
		read_value(METRIC_GROUP_CPU, "total", round);
		if (round == 0) {
			read_instance(2, "run");
			read_value(METRIC_GROUP_CPU, "total", 9);
		}
		give(true);
		assert_board(round == 0   ? "a: project  total=0\nb: project  total=9\n"
			     : round == 1 ? "a: project  total=1\nb: project  total=9\n"
					  : "a: project  total=2\n");
	}
}

static void while_no_round_ends_everything_stays(void **state)
{
	tell(1, "a", "");
	read_instance(1, "run");
	read_value(METRIC_GROUP_CPU, "total", 1);
	give(true);
	for (int i = 0; i < 10; i++)
		give(false);
	assert_board("a: project  total=1\n");
}

static void of_two_with_one_name_the_later_is_shown(void **state)
{
	tell(1, "a", "old");
	read_instance(1, "run");
	read_value(METRIC_GROUP_CPU, "total", 1);
	give(true);
	tell(2, "a", "new");
	read_instance(2, "run");
	read_value(METRIC_GROUP_CPU, "total", 2);
	give(true);
	assert_board("a: project new total=2\n");
}

static void look_for_left_out(void *context, const struct board_view *view)
{
	*(uint64_t *)context = view->left_out;
	assert_true(view->count * sizeof(struct board_instance) <= BOARD_BYTES_MAX);
}

static void beyond_the_maximum_nothing_new_is_kept(void **state)
{
	uint64_t left_out = 0;

	for (unsigned int i = 0; i < 4000; i++) {
		read_instance((uint8_t)i, "run");
		reading->instance.uuid.bytes[14] = (uint8_t)(i >> 8);
		for (int k = 0; k < 200; k++)
			read_value(METRIC_GROUP_NIC, k % 2 ? "vnet0" : "vnet1", k);
		if (i % 100 == 99)
			give(false);
	}
	board_look(board, look_for_left_out, &left_out);
	assert_true(left_out > 0);
	/* What is there already goes on. */
	tell(0, "a", "");
	read_instance(0, "run");
	read_value(METRIC_GROUP_NIC, "vnet0", 77);
	give(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_read_stands_there_by_name),
		TEST(an_instance_of_which_nothing_was_told_is_named_by_its_uuid),
		TEST(the_last_reading_of_a_group_stands_there_whole),
		TEST(a_device_that_is_named_twice_stands_there_once),
		TEST(the_next_run_pushes_out_the_last_one),
		TEST(who_is_in_two_rounds_no_more_is_forgotten),
		TEST(while_no_round_ends_everything_stays),
		TEST(of_two_with_one_name_the_later_is_shown),
		TEST(beyond_the_maximum_nothing_new_is_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
