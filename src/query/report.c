/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/batch.h"

static const char *const statistic_names[] = { "sum", "max", "min", "avg", "sam" };

/* Work is bounded by the times of every series that is followed; beyond this it would take minutes.
 */
#define REPORT_STEPS_MAX (INT64_C(2) * 1000 * 1000 * 1000)

const char *statistic_name(enum statistic statistic)
{
	return statistic_names[statistic];
}

int statistic_parse(const char *text)
{
	int64_t number;

	for (int i = 0; i < _STATISTIC_COUNT; i++)
		if (strcmp(statistic_names[i], text) == 0)
			return i;
	if (text_to_i64(text, &number) == 0 && number >= 0 && number < _STATISTIC_COUNT)
		return (int)number;
	return -1;
}

static int64_t add_saturating(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* Increments count from their time on, whole. */
static void add_increments(
	const struct usage_epoch *epoch, const int64_t *times_ms, size_t count, int64_t *ret_until)
{
	int64_t total = 0;
	size_t next = 0;

	for (size_t i = 0; i < count; i++) {
		while (next < epoch->count && epoch->samples[next].time_ms <= times_ms[i])
			total = add_saturating(total, epoch->samples[next++].value);
		ret_until[i] = add_saturating(ret_until[i], total);
	}
}

void report_add_until(
	const struct gathered *series, const int64_t *times_ms, size_t count, int64_t *ret_until)
{
	CLEANUP(string_free) char *memory = NULL;
	int64_t part[256];

	if (series->metric->kind == METRIC_INCREMENT) {
		add_increments(&series->epoch, times_ms, count, ret_until);
		return;
	}
	/* In one pass where the memory for it can be had, else piece by piece. */
	memory = malloc(count * sizeof(int64_t) + 1);
	for (size_t done = 0; done < count;) {
		size_t some = memory ? count : MIN_OF(count - done, ARRAY_SIZE(part));
		int64_t *until = memory ? (int64_t *)memory : part;

		usage_until_each(&series->epoch, times_ms + done, some, until);
		for (size_t i = 0; i < some; i++)
			ret_until[done + i] = add_saturating(ret_until[done + i], until[i]);
		done += some;
	}
}

/* What usage_until counts from. */
static int64_t base_value(const struct gathered *series)
{
	if (series->metric->kind == METRIC_INCREMENT ||
		series->epoch.start_ms != EPOCH_START_UNKNOWN)
		return series->epoch.start_value;
	return series->epoch.samples[0].value;
}

struct span {
	int64_t from_ms, to_ms;
};

/* One point of the union of all series' times. */
struct point {
	int64_t time_ms;
	int64_t value; /* gauges */
	bool is_later; /* some series has an earlier point, so this is the end of an increment */
};

static int compare_points(const void *a, const void *b)
{
	const struct point *left = a, *right = b;

	return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

/* Points of the same time become one; the gauges of several parameters add up. */
static size_t merge(struct point *points, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (kept && points[kept - 1].time_ms == points[i].time_ms) {
			points[kept - 1].value =
				add_saturating(points[kept - 1].value, points[i].value);
			points[kept - 1].is_later |= points[i].is_later;
		} else {
			points[kept++] = points[i];
		}
	}
	return kept;
}

static struct point *collect_points(const struct gather *gather, size_t *ret_count)
{
	struct point *points;
	size_t count = 0;

	for (size_t i = 0; i < gather->count; i++)
		count += gather->series[i].epoch.count;
	points = malloc((count + 1) * sizeof(*points));
	count = 0;
	for (size_t i = 0; points && i < gather->count; i++) {
		const struct gathered *series = &gather->series[i];
		bool is_counted = series->metric->kind == METRIC_INCREMENT ||
				  series->epoch.start_ms != EPOCH_START_UNKNOWN;

		for (size_t j = 0; j < series->epoch.count; j++)
			points[count++] = (struct point){ series->epoch.samples[j].time_ms,
				series->epoch.samples[j].value, j > 0 || is_counted };
	}
	if (points)
		qsort(points, count, sizeof(*points), compare_points);
	*ret_count = points ? merge(points, count) : 0;
	return points;
}

static void take_point(struct bucket *bucket, int64_t value)
{
	if (!bucket->has_points || value > bucket->max)
		bucket->max = value;
	if (!bucket->has_points || value < bucket->min)
		bucket->min = value;
	bucket->has_points = true;
	bucket->points_sum = add_saturating(bucket->points_sum, value);
	bucket->point_count++;
}

static struct bucket *bucket_at(struct report *report, int64_t period_ms, int64_t t_ms)
{
	int64_t from_ms = report->buckets[0].start_ms;
	size_t place;

	if (t_ms < from_ms)
		return NULL;
	place = (size_t)((t_ms - from_ms) / period_ms);
	return place < report->count ? &report->buckets[place] : NULL;
}

/* Samples of gauges; of counters the increments between points. */
static void take_points(struct report *report, const struct point *points, size_t count,
	const int64_t *until, int64_t period_ms, int64_t to_ms)
{
	for (size_t i = 0; i < count && points[i].time_ms < to_ms; i++) {
		struct bucket *bucket = bucket_at(report, period_ms, points[i].time_ms);

		if (!bucket)
			continue;
		if (!until)
			take_point(bucket, points[i].value);
		else if (points[i].is_later)
			take_point(bucket, until[i] - (i ? until[i - 1] : 0));
	}
}

/* Which values sam gives for each bucket: those at its points, baselines included. */
static void place_values(
	struct report *report, const struct point *points, size_t count, int64_t period_ms)
{
	for (size_t i = count; i-- > 0;) {
		struct bucket *bucket = bucket_at(report, period_ms, points[i].time_ms);

		if (bucket)
			bucket->first_point = i;
	}
}

/* A counter is known from its start or first sample to its last; an increment is used before its
 * time, so that the last one says nothing of what follows. */
static void mark_covered(
	struct report *report, const struct gathered *series, int64_t period_ms, int64_t to_ms)
{
	const struct usage_epoch *epoch = &series->epoch;
	bool is_increment = series->metric->kind == METRIC_INCREMENT;
	int64_t begin_ms = epoch->samples[0].time_ms - is_increment;
	int64_t end_ms = epoch->samples[epoch->count - 1].time_ms - is_increment;
	int64_t from_ms = report->buckets[0].start_ms;
	size_t first;

	if (epoch->start_ms != EPOCH_START_UNKNOWN && epoch->start_ms < begin_ms)
		begin_ms = epoch->start_ms;
	if (begin_ms >= to_ms)
		return;
	first = begin_ms <= from_ms ? 0 : (size_t)((begin_ms - from_ms) / period_ms);
	for (size_t i = first; i < report->count && report->buckets[i].start_ms <= end_ms; i++)
		report->buckets[i].is_present = true;
}

static int sum_counters(
	struct report *report, const struct gather *gather, int64_t period_ms, int64_t to_ms)
{
	int64_t *times_ms = malloc((report->count + 1) * sizeof(*times_ms));
	int64_t *until = calloc(report->count + 1, sizeof(*until));
	int r = times_ms && until ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < report->count; i++)
		times_ms[i] = report->buckets[i].start_ms;
	if (r == 0)
		times_ms[report->count] = to_ms;
	for (size_t i = 0; r == 0 && i < gather->count; i++) {
		report_add_until(&gather->series[i], times_ms, report->count + 1, until);
		mark_covered(report, &gather->series[i], period_ms, to_ms);
	}
	for (size_t i = 0; r == 0 && i < report->count; i++)
		report->buckets[i].sum = until[i + 1] - until[i];
	free(times_ms);
	free(until);
	return r;
}

static int take_counters(struct report *report, const struct gather *gather,
	const struct point *points, size_t count, int64_t period_ms, int64_t to_ms)
{
	int64_t *until = calloc(count + 1, sizeof(*until));
	int64_t *times_ms = malloc((count + 1) * sizeof(*times_ms));
	int64_t base = 0;
	int r = until && times_ms ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		times_ms[i] = points[i].time_ms;
	for (size_t i = 0; r == 0 && i < gather->count; i++) {
		report_add_until(&gather->series[i], times_ms, count, until);
		base = add_saturating(base, base_value(&gather->series[i]));
	}
	if (r == 0)
		take_points(report, points, count, until, period_ms, to_ms);
	for (size_t i = 0; r == 0 && i < count; i++)
		report->values[i] = (struct sample){ times_ms[i], add_saturating(base, until[i]) };
	free(times_ms);
	free(until);
	return r == 0 ? sum_counters(report, gather, period_ms, to_ms) : r;
}

static void take_gauges(struct report *report, const struct point *points, size_t count,
	int64_t period_ms, int64_t to_ms)
{
	take_points(report, points, count, NULL, period_ms, to_ms);
	for (size_t i = 0; i < count; i++)
		report->values[i] = (struct sample){ points[i].time_ms, points[i].value };
	for (size_t i = 0; i < report->count; i++) {
		report->buckets[i].is_present = report->buckets[i].has_points;
		report->buckets[i].sum = report->buckets[i].points_sum;
	}
}

/* sam wants the number of values, which differs from that of increments by the baselines. */
static void count_values(struct report *report, size_t count, int64_t to_ms)
{
	for (size_t i = 0; i < report->count; i++) {
		struct bucket *bucket = &report->buckets[i];
		int64_t end_ms = i + 1 < report->count ? report->buckets[i + 1].start_ms : to_ms;
		size_t last = bucket->first_point;

		/* A bucket without a point has none of another's either. */
		if (last >= count || report->values[last].time_ms < bucket->start_ms)
			continue;
		while (last < count && report->values[last].time_ms < end_ms)
			last++;
		bucket->value_count = last - bucket->first_point;
	}
}

/* From when to when buckets can have anything: from the first start or sample to the last sample.
 */
static bool find_extent(const struct gather *gather, int64_t *ret_begin_ms, int64_t *ret_end_ms)
{
	*ret_begin_ms = INT64_MAX;
	*ret_end_ms = INT64_MIN;
	for (size_t i = 0; i < gather->count; i++) {
		const struct usage_epoch *epoch = &gather->series[i].epoch;

		*ret_begin_ms = MIN_OF(*ret_begin_ms, epoch->samples[0].time_ms);
		if (epoch->start_ms != EPOCH_START_UNKNOWN)
			*ret_begin_ms = MIN_OF(*ret_begin_ms, epoch->start_ms);
		*ret_end_ms = MAX_OF(*ret_end_ms, epoch->samples[epoch->count - 1].time_ms);
	}
	return gather->count > 0;
}

/* Only the buckets that may be present, so that a question may begin years before its instance.
 * The one before the first sample is among them: an increment at a bucket's start is used by it. */
static int make_buckets(struct report *report, const struct gather *gather, struct span *span,
	int64_t period_ms, struct error *err)
{
	int64_t begin_ms, end_ms, first, last;

	if (!find_extent(gather, &begin_ms, &end_ms) || end_ms < span->from_ms ||
		begin_ms - 1 >= span->to_ms)
		return 0;
	first = begin_ms <= span->from_ms ? 0 : (begin_ms - 1 - span->from_ms) / period_ms;
	last = (MIN_OF(end_ms, span->to_ms - 1) - span->from_ms) / period_ms;
	if (last - first >= REPORT_BUCKETS_MAX)
		return error_set(err, -E2BIG, "%lld periods are asked for; at most %d are answered",
			(long long)(last - first + 1), REPORT_BUCKETS_MAX);
	report->count = (size_t)(last - first + 1);
	report->buckets = calloc(report->count, sizeof(*report->buckets));
	if (!report->buckets)
		return -ENOMEM;
	for (int64_t i = 0; i <= last - first; i++)
		report->buckets[i].start_ms = span->from_ms + (first + i) * period_ms;
	span->from_ms += first * period_ms;
	span->to_ms = MIN_OF(span->to_ms, span->from_ms + (int64_t)report->count * period_ms);
	return 0;
}

int report_make(const struct gather *gather, int64_t from_ms, int64_t to_ms, int64_t period_ms,
	struct report *ret_report, struct error *err)
{
	struct span span = { from_ms, to_ms };
	struct point *points = NULL;
	size_t count = 0;
	int r;

	*ret_report = (struct report){ 0 };
	r = make_buckets(ret_report, gather, &span, period_ms, err);
	if (r < 0 || ret_report->count == 0)
		return r;
	to_ms = span.to_ms;
	points = collect_points(gather, &count);
	ret_report->values = malloc((count + 1) * sizeof(*ret_report->values));
	if (!points || !ret_report->values)
		r = -ENOMEM;
	else if ((int64_t)gather->count * (int64_t)(count + ret_report->count) > REPORT_STEPS_MAX)
		r = error_set(err, -E2BIG, "%zu series of %zu times are too much for one answer",
			gather->count, count);
	else if (gather->series[0].metric->kind == METRIC_GAUGE)
		take_gauges(ret_report, points, count, period_ms, to_ms);
	else
		r = take_counters(ret_report, gather, points, count, period_ms, to_ms);
	if (r == 0) {
		place_values(ret_report, points, count, period_ms);
		count_values(ret_report, count, to_ms);
	}
	free(points);
	return r;
}

void report_deinit(struct report *report)
{
	free(report->buckets);
	free(report->values);
	*report = (struct report){ 0 };
}
