/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "model/batch.h"
#include "query/report.h"

/* Times are minutes here, values whatever is easy to add. */
enum { MINUTE = 60 * 1000 };

static struct gathered counter(const struct sample *samples, size_t count, int64_t start_ms)
{
	return (struct gathered){ .metric = metric_by_name("cpu"),
		.parameter = "total",
		.epoch_name = "e",
		.epoch = { .start_ms = start_ms, .samples = samples, .count = count } };
}

static struct report make(
	struct gathered *series, size_t count, int64_t from, int64_t to, int64_t period)
{
	const struct gather gather = { .series = series, .count = count };
	struct report report;

	assert_int_equal(
		report_make(&gather, from * MINUTE, to * MINUTE, period * MINUTE, &report, NULL),
		0);
	return report;
}

static void a_bucket_has_the_usage_between_its_ends(void **state)
{
	const struct sample samples[] = { { 0, 10 }, { 10 * MINUTE, 110 }, { 20 * MINUTE, 310 } };
	struct gathered series = counter(samples, 3, EPOCH_START_UNKNOWN);
	struct report report = make(&series, 1, 0, 20, 5);

	assert_int_equal(report.count, 4);
	assert_int_equal(report.buckets[0].sum, 50);
	assert_int_equal(report.buckets[1].sum, 50);
	assert_int_equal(report.buckets[2].sum, 100);
	assert_int_equal(report.buckets[3].sum, 100);
	report_deinit(&report);
}

static void increments_belong_to_the_bucket_of_their_later_sample(void **state)
{
	const struct sample samples[] = { { 0, 10 }, { 3 * MINUTE, 20 }, { 5 * MINUTE, 50 },
		{ 6 * MINUTE, 51 } };
	struct gathered series = counter(samples, 4, EPOCH_START_UNKNOWN);
	struct report report = make(&series, 1, 0, 10, 5);

	assert_int_equal(report.buckets[0].point_count, 1);
	assert_int_equal(report.buckets[0].max, 10);
	assert_int_equal(report.buckets[1].point_count, 2);
	assert_int_equal(report.buckets[1].max, 30);
	assert_int_equal(report.buckets[1].min, 1);
	report_deinit(&report);
}

static void a_baseline_is_no_increment_but_a_known_start_makes_it_one(void **state)
{
	const struct sample samples[] = { { 2 * MINUTE, 10 } };
	struct gathered series = counter(samples, 1, EPOCH_START_UNKNOWN);
	struct report report = make(&series, 1, 0, 5, 5);

	assert_true(report.buckets[0].is_present);
	assert_false(report.buckets[0].has_points);
	assert_int_equal(report.buckets[0].sum, 0);
	report_deinit(&report);
	series.epoch.start_ms = MINUTE;
	report = make(&series, 1, 0, 5, 5);
	assert_int_equal(report.buckets[0].sum, 10);
	assert_int_equal(report.buckets[0].max, 10);
	report_deinit(&report);
}

static void only_buckets_that_may_have_something_are_made(void **state)
{
	const int64_t far = INT64_C(30) * 366 * 24 * 60;
	const struct sample samples[] = { { far * MINUTE, 1 }, { (far + 7) * MINUTE, 8 } };
	struct gathered series = counter(samples, 2, EPOCH_START_UNKNOWN);
	struct report report = make(&series, 1, 0, far + 100 * 24 * 60, 5);

	assert_in_range(report.count, 2, 3);
	report_deinit(&report);
	report = make(&series, 1, 0, 1000, 5);
	assert_int_equal(report.count, 0);
	report_deinit(&report);
}

static void too_many_buckets_are_refused(void **state)
{
	const int64_t long_ms = (INT64_C(5) * REPORT_BUCKETS_MAX + 5) * MINUTE;
	const struct sample samples[] = { { 0, 1 }, { long_ms, 8 } };
	struct gathered series = counter(samples, 2, EPOCH_START_UNKNOWN);
	const struct gather gather = { .series = &series, .count = 1 };
	struct report report;

	assert_int_equal(report_make(&gather, 0, long_ms + 1, 5 * MINUTE, &report, NULL), -E2BIG);
	report_deinit(&report);
}

static void an_increment_was_used_before_its_time(void **state)
{
	const struct sample samples[] = { { 5 * MINUTE, 7 }, { 10 * MINUTE, 9 } };
	struct gathered series = { .metric = metric_by_name("vmnetwork_increment"),
		.parameter = "10.0.0.2",
		.epoch_name = "",
		.epoch = { .start_ms = EPOCH_START_UNKNOWN, .samples = samples, .count = 2 } };
	struct report report = make(&series, 1, 0, 15, 5);

	assert_true(report.count >= 2);
	assert_int_equal(report.buckets[0].sum, 7);
	assert_int_equal(report.buckets[1].sum, 9);
	assert_true(report.count < 3 || !report.buckets[2].is_present);
	report_deinit(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_has_the_usage_between_its_ends),
		cmocka_unit_test(increments_belong_to_the_bucket_of_their_later_sample),
		cmocka_unit_test(a_baseline_is_no_increment_but_a_known_start_makes_it_one),
		cmocka_unit_test(only_buckets_that_may_have_something_are_made),
		cmocka_unit_test(too_many_buckets_are_refused),
		cmocka_unit_test(an_increment_was_used_before_its_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
