/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/summary.h"

#include <string.h>

#include "model/batch.h"
#include "query/report.h"

const char *summary_reason_name(unsigned int bit)
{
	static const char *const names[] = { "tail-unmeasured", "begin-unmeasured", "gap",
		"legacy-worker" };

	return names[bit];
}

static int64_t begin_of(const struct usage_epoch *epoch)
{
	int64_t first_ms = epoch->samples[0].time_ms;

	return epoch->start_ms != EPOCH_START_UNKNOWN && epoch->start_ms < first_ms
		       ? epoch->start_ms
		       : first_ms;
}

static int64_t end_of(const struct usage_epoch *epoch)
{
	return epoch->samples[epoch->count - 1].time_ms;
}

/* At an edge between two samples the counter may have had any value between theirs. */
static int64_t uncertainty_at(const struct usage_epoch *epoch, int64_t t_ms)
{
	int64_t before_ms = begin_of(epoch), value, low, high;

	if (t_ms <= before_ms || t_ms >= end_of(epoch))
		return 0;
	for (size_t i = 0; i < epoch->count; i++) {
		int64_t time_ms = epoch->samples[i].time_ms;

		if (time_ms == t_ms)
			return 0;
		if (time_ms > t_ms) {
			low = usage_until(epoch, before_ms);
			high = usage_until(epoch, time_ms);
			value = usage_until(epoch, t_ms);
			return MAX_OF(value - low, high - value);
		}
		before_ms = time_ms;
	}
	return 0;
}

/* Series are sorted by their first sample within a parameter; of several parameters the coverage is
 * that of the one that is covered least. */
static void measure_coverage(struct summary *summary, const struct gathered *series, size_t count,
	int64_t from_ms, int64_t to_ms)
{
	int64_t reached_ms = from_ms, covered_ms = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t begin_ms = MAX_OF(begin_of(&series[i].epoch), reached_ms);
		int64_t end_ms = MIN_OF(end_of(&series[i].epoch), to_ms);

		if (end_ms <= begin_ms)
			continue;
		if (begin_ms > reached_ms)
			summary->reasons |= covered_ms ? REASON_GAP : REASON_BEGIN_UNMEASURED;
		covered_ms += end_ms - begin_ms;
		reached_ms = end_ms;
	}
	if (reached_ms < to_ms)
		summary->reasons |= REASON_TAIL_UNMEASURED;
	summary->covered_ms = MIN_OF(summary->covered_ms, covered_ms);
}

static void take_gauge(
	struct summary *summary, const struct usage_epoch *epoch, int64_t from_ms, int64_t to_ms)
{
	for (size_t i = 0; i < epoch->count; i++) {
		const struct sample *sample = &epoch->samples[i];

		if (sample->time_ms < from_ms || sample->time_ms >= to_ms)
			continue;
		if (!summary->count || sample->value < summary->min)
			summary->min = sample->value;
		if (!summary->count || sample->value > summary->max)
			summary->max = sample->value;
		if (__builtin_add_overflow(summary->sum, sample->value, &summary->sum))
			summary->sum = INT64_MAX;
		summary->value = sample->value;
		summary->count++;
	}
}

static void take_counter(
	struct summary *summary, const struct gathered *series, int64_t from_ms, int64_t to_ms)
{
	const int64_t times_ms[2] = { from_ms, to_ms };
	int64_t until[2] = { 0, 0 };

	report_add_until(series, times_ms, 2, until);
	if (__builtin_add_overflow(summary->value, until[1] - until[0], &summary->value))
		summary->value = INT64_MAX;
	if (series->metric->kind == METRIC_INCREMENT)
		summary->has_uncertainty = false;
	else
		summary->uncertainty += uncertainty_at(&series->epoch, from_ms) +
					uncertainty_at(&series->epoch, to_ms);
}

static size_t same_parameter(const struct gathered *series, size_t count)
{
	size_t same = 1;

	while (same < count && strcmp(series[same].parameter, series[0].parameter) == 0)
		same++;
	return same;
}

struct summary summary_make(
	const struct gathered *series, size_t count, int64_t from_ms, int64_t to_ms)
{
	struct summary summary = { .has_uncertainty = true, .covered_ms = to_ms - from_ms };
	size_t done = 0, some;

	for (size_t i = 0; i < count; i++) {
		if (series[i].metric->kind == METRIC_GAUGE)
			take_gauge(&summary, &series[i].epoch, from_ms, to_ms);
		else
			take_counter(&summary, &series[i], from_ms, to_ms);
		if (series[i].is_legacy)
			summary.reasons |= REASON_LEGACY;
	}
	for (; done < count; done += some) {
		some = same_parameter(series + done, count - done);
		measure_coverage(&summary, series + done, some, from_ms, to_ms);
	}
	if (summary.reasons & (REASON_TAIL_UNMEASURED | REASON_GAP))
		summary.has_uncertainty = false;
	summary.is_complete = summary.reasons == 0;
	return summary;
}
