/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/batch.h"
#include "model/usage.h"

static const struct sample plain[] = { { 2000, 10 }, { 4000, 20 }, { 5000, 27 } };
static const struct sample falling[] = { { 1000, 100 }, { 2000, 150 }, { 3000, 30 }, { 4000, 40 } };

static struct usage_epoch epoch_of(int64_t start_ms, const struct sample *samples, size_t count)
{
	return (struct usage_epoch){ .start_ms = start_ms, .samples = samples, .count = count };
}

static void usage_between_samples_is_their_difference(void **state)
{
	struct usage_epoch epoch = epoch_of(1000, plain, 3);

	assert_int_equal(usage_between(&epoch, 2000, 4000), 10);
	assert_int_equal(usage_between(&epoch, 2000, 5000), 17);
	assert_int_equal(usage_between(&epoch, 0, 9000), 27);
}

static void usage_at_an_edge_is_the_floor_of_the_straight_line(void **state)
{
	struct usage_epoch epoch = epoch_of(1000, plain, 3);

	assert_int_equal(usage_until(&epoch, 1050), 0);
	assert_int_equal(usage_until(&epoch, 1150), 1);
	assert_int_equal(usage_until(&epoch, 2500), 12);
	assert_int_equal(usage_until(&epoch, 4999), 26);
}

static void the_first_sample_is_a_baseline_where_the_start_is_unknown(void **state)
{
	struct usage_epoch epoch = epoch_of(EPOCH_START_UNKNOWN, plain, 3);

	assert_int_equal(usage_until(&epoch, 2000), 0);
	assert_int_equal(usage_until(&epoch, 3000), 5);
	assert_int_equal(usage_between(&epoch, 0, 9000), 17);
}

static void a_segment_starts_at_its_start_value(void **state)
{
	struct usage_epoch epoch = epoch_of(1000, plain, 3);

	epoch.start_value = 4;
	assert_int_equal(usage_between(&epoch, 0, 9000), 23);
}

static void a_fall_begins_an_epoch_at_the_sample_before_it(void **state)
{
	struct usage_epoch epoch = epoch_of(EPOCH_START_UNKNOWN, falling, 4);

	assert_int_equal(usage_between(&epoch, 1000, 2000), 50);
	assert_int_equal(usage_between(&epoch, 2000, 3000), 30);
	assert_int_equal(usage_between(&epoch, 2000, 2500), 15);
	assert_int_equal(usage_between(&epoch, 0, 9000), 90);
}

static void nothing_is_used_before_the_start_or_after_the_last_sample(void **state)
{
	struct usage_epoch epoch = epoch_of(1000, plain, 3), empty = epoch_of(1000, NULL, 0);

	assert_int_equal(usage_between(&epoch, 0, 1000), 0);
	assert_int_equal(usage_between(&epoch, 5000, 900000), 0);
	assert_int_equal(usage_between(&empty, 0, 900000), 0);
}

static void large_numbers_do_not_overflow(void **state)
{
	static const struct sample samples[] = { { 0, 0 }, { INT64_C(4000000000000), INT64_MAX } };
	struct usage_epoch epoch = epoch_of(0, samples, 2);

	assert_true(usage_until(&epoch, INT64_C(2000000000000)) == INT64_MAX / 2);
	assert_true(usage_until(&epoch, INT64_MAX) == INT64_MAX);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

static void usage_adds_up_over_adjacent_windows(void **state)
{
	uint64_t seed = 1;

	for (unsigned int round = 0; round < 500; round++) {
		struct sample samples[20];
		struct usage_epoch epoch = epoch_of(
			round % 3 ? 500 : EPOCH_START_UNKNOWN, samples, ARRAY_SIZE(samples));
		int64_t edges[12], until[12], sum = 0, time_ms = 0;

		for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
			time_ms += 1 + (int64_t)(next_random(&seed) % 1000);
			samples[i] =
				(struct sample){ time_ms, (int64_t)(next_random(&seed) % 100000) };
		}
		edges[0] = 0;
		for (size_t i = 1; i < ARRAY_SIZE(edges); i++)
			edges[i] = edges[i - 1] + (int64_t)(next_random(&seed) % 2500);
		usage_until_each(&epoch, edges, ARRAY_SIZE(edges), until);
		for (size_t i = 1; i < ARRAY_SIZE(edges); i++) {
			int64_t part = usage_between(&epoch, edges[i - 1], edges[i]);

			assert_true(part >= 0);
			assert_true(part == until[i] - until[i - 1]);
			sum += part;
		}
		assert_true(sum == usage_between(&epoch, edges[0], edges[11]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_between_samples_is_their_difference),
		cmocka_unit_test(usage_at_an_edge_is_the_floor_of_the_straight_line),
		cmocka_unit_test(the_first_sample_is_a_baseline_where_the_start_is_unknown),
		cmocka_unit_test(a_segment_starts_at_its_start_value),
		cmocka_unit_test(a_fall_begins_an_epoch_at_the_sample_before_it),
		cmocka_unit_test(nothing_is_used_before_the_start_or_after_the_last_sample),
		cmocka_unit_test(large_numbers_do_not_overflow),
		cmocka_unit_test(usage_adds_up_over_adjacent_windows),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
