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
#include <unistd.h>

#include "worker/steady-clock.h"

static const int64_t BASE_MS = INT64_C(1700006400000);
static const int64_t HOUR_MS = INT64_C(3600000);
static const char DIRECTORY[] = "/tmp/kanyun-clock-XXXXXX";

struct fixture {
	struct clock_manual system;
	struct steady_clock *steady;
	const struct clock *clock;
	char directory[sizeof(DIRECTORY)];
	char path[64];
};

static void begin(struct fixture *fixture, const char *boot_id)
{
	fixture->steady = steady_clock_free(fixture->steady);
	assert_int_equal(
		steady_clock_new(&fixture->system.clock, fixture->path, boot_id, &fixture->steady),
		0);
	fixture->clock = steady_clock_clock(fixture->steady);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	memcpy(fixture->directory, DIRECTORY, sizeof(DIRECTORY));
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->path, sizeof(fixture->path), "%s/clock", fixture->directory);
	clock_manual_init(&fixture->system, BASE_MS);
	fixture->system.monotonic_ms = 50 * HOUR_MS;
	begin(fixture, "boot-a");
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	steady_clock_free(fixture->steady);
	(void)unlink(fixture->path);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

static void set_wall(struct fixture *fixture, int64_t by_ms)
{
	fixture->system.wall_ms += by_ms;
}

static void assert_reads(struct fixture *fixture, int64_t wall_ms, uint32_t segment)
{
	struct clock_reading now = clock_read(fixture->clock);

	assert_int_equal(now.wall_ms, wall_ms);
	assert_int_equal(now.segment, segment);
	assert_int_equal(now.monotonic_ms, fixture->system.monotonic_ms);
}

static void it_goes_with_the_wall_clock(void **state)
{
	struct fixture *fixture = *state;
	int64_t by_ms;

	assert_reads(fixture, BASE_MS, 0);
	clock_manual_advance(&fixture->system, 10000);
	assert_reads(fixture, BASE_MS + 10000, 0);
	assert_false(steady_clock_take_step(fixture->steady, &by_ms));
}

static void a_step_forward_is_followed_at_once_and_told(void **state)
{
	struct fixture *fixture = *state;
	int64_t by_ms;

	set_wall(fixture, 1000);
	assert_reads(fixture, BASE_MS + 1000, 0);
	assert_false(steady_clock_take_step(fixture->steady, &by_ms));
	set_wall(fixture, HOUR_MS);
	assert_reads(fixture, BASE_MS + 1000 + HOUR_MS, 0);
	assert_true(steady_clock_take_step(fixture->steady, &by_ms));
	assert_int_equal(by_ms, HOUR_MS);
	assert_false(steady_clock_take_step(fixture->steady, &by_ms));
}

static void a_step_back_begins_a_segment(void **state)
{
	struct fixture *fixture = *state;
	int64_t by_ms;

	set_wall(fixture, -1001);
	assert_reads(fixture, BASE_MS - 1001, 1);
	set_wall(fixture, -2 * HOUR_MS);
	assert_reads(fixture, BASE_MS - 1001 - 2 * HOUR_MS, 2);
	assert_true(steady_clock_take_step(fixture->steady, &by_ms));
	assert_int_equal(by_ms, -1001 - 2 * HOUR_MS);
}

static void slightly_behind_it_gives_way_and_never_steps_back(void **state)
{
	struct fixture *fixture = *state;
	int64_t last_ms = clock_wall_ms(fixture->clock), now_ms;

	set_wall(fixture, -1000);
	for (int i = 0; i < 9999; i++) {
		clock_manual_advance(&fixture->system, i % 3);
		now_ms = clock_wall_ms(fixture->clock);
		assert_true(now_ms >= last_ms);
		last_ms = now_ms;
	}
	assert_true(now_ms > fixture->system.wall_ms);
	clock_manual_advance(&fixture->system, 60000);
	assert_reads(fixture, fixture->system.wall_ms, 0);
}

static void an_instant_before_the_segment_has_no_time_in_it(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(clock_wall_of(fixture->clock, 0), BASE_MS - 50 * HOUR_MS);
	set_wall(fixture, -HOUR_MS);
	assert_int_equal(clock_wall_of(fixture->clock, 50 * HOUR_MS - 1), INT64_MIN);
	assert_int_equal(clock_wall_of(fixture->clock, 50 * HOUR_MS), BASE_MS - HOUR_MS);
	assert_int_equal(clock_wall_of(fixture->clock, 51 * HOUR_MS), BASE_MS);
}

static void segments_go_on_after_a_restart(void **state)
{
	struct fixture *fixture = *state;
	int64_t by_ms;

	set_wall(fixture, -HOUR_MS);
	assert_int_equal(steady_clock_save(fixture->steady), 0);
	clock_manual_advance(&fixture->system, 5000);
	begin(fixture, "boot-a");
	assert_reads(fixture, BASE_MS - HOUR_MS + 5000, 1);
	assert_int_equal(clock_wall_of(fixture->clock, 50 * HOUR_MS - 1), INT64_MIN);
	assert_false(steady_clock_take_step(fixture->steady, &by_ms));
	/* A step while nobody looked. */
	set_wall(fixture, -HOUR_MS);
	begin(fixture, "boot-a");
	assert_reads(fixture, BASE_MS - 2 * HOUR_MS + 5000, 2);
	assert_true(steady_clock_take_step(fixture->steady, &by_ms));
	assert_int_equal(by_ms, -HOUR_MS);
}

static void another_boot_begins_a_segment(void **state)
{
	struct fixture *fixture = *state;

	set_wall(fixture, -HOUR_MS);
	assert_int_equal(steady_clock_save(fixture->steady), 0);
	fixture->system.monotonic_ms = 1000;
	begin(fixture, "boot-b");
	assert_reads(fixture, BASE_MS - HOUR_MS, 2);
	assert_false(steady_clock_is_state_lost(fixture->steady));
}

static void a_damaged_state_never_gives_an_older_segment(void **state)
{
	struct fixture *fixture = *state;
	char text[256];
	FILE *file;
	size_t size;

	for (int i = 0; i < 3; i++) {
		set_wall(fixture, -HOUR_MS);
		assert_reads(fixture, BASE_MS - (i + 1) * HOUR_MS, (uint32_t)i + 1);
	}
	assert_int_equal(steady_clock_save(fixture->steady), 0);
	file = fopen(fixture->path, "r");
	size = fread(text, 1, sizeof(text), file);
	fclose(file);
	for (size_t i = 0; i + 1 < size; i++) {
		text[i] ^= 1;
		file = fopen(fixture->path, "w");
		fwrite(text, 1, size, file);
		fclose(file);
		text[i] ^= 1;
		begin(fixture, "boot-a");
		assert_true(steady_clock_is_state_lost(fixture->steady));
		assert_true(clock_read(fixture->clock).segment > 3);
	}
}

static void a_state_that_cannot_be_kept_is_told_of(void **state)
{
	struct fixture *fixture = *state;

	(void)unlink(fixture->path);
	snprintf(fixture->path, sizeof(fixture->path), "/nonexistent/clock");
	begin(fixture, "boot-a");
	assert_true(steady_clock_save(fixture->steady) < 0);
	assert_reads(fixture, BASE_MS, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_goes_with_the_wall_clock),
		TEST(a_step_forward_is_followed_at_once_and_told),
		TEST(a_step_back_begins_a_segment),
		TEST(slightly_behind_it_gives_way_and_never_steps_back),
		TEST(an_instant_before_the_segment_has_no_time_in_it),
		TEST(segments_go_on_after_a_restart),
		TEST(another_boot_begins_a_segment),
		TEST(a_damaged_state_never_gives_an_older_segment),
		TEST(a_state_that_cannot_be_kept_is_told_of),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
