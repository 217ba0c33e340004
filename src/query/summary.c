/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/summary.h"

#include <string.h>

#include "query/durations.h"
#include "query/report.h"

static int64_t add_saturating(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* The first sample at that time or later. */
static size_t first_from(const struct usage_epoch *epoch, int64_t t_ms)
{
	size_t low = 0, high = epoch->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (epoch->samples[middle].time_ms < t_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The neighbours of a time that lies strictly between two known points of an epoch. */
struct neighbours {
	int64_t before_ms, after_ms;
};

static bool find_neighbours(
	const struct usage_epoch *epoch, int64_t t_ms, struct neighbours *ret_neighbours)
{
	size_t after = first_from(epoch, t_ms + 1);

	if (after == epoch->count ||
		(after == 0 && (epoch->start_ms == EPOCH_START_UNKNOWN || epoch->start_ms > t_ms)))
		return false;
	ret_neighbours->before_ms = after ? epoch->samples[after - 1].time_ms : epoch->start_ms;
	ret_neighbours->after_ms = epoch->samples[after].time_ms;
	return ret_neighbours->before_ms < t_ms;
}

/* By how much the usage between a known point and a time between two of them could be wrong. */
static int64_t error_at(const struct usage_epoch *epoch, const struct neighbours *at, int64_t t_ms)
{
	const int64_t times_ms[3] = { at->before_ms, t_ms, at->after_ms };
	int64_t until[3];

	usage_until_each(epoch, times_ms, 3, until);
	return MAX_OF(until[1] - until[0], until[2] - until[1]);
}

/* Interpolation may be wrong at both edges; between the same two neighbours the counter may have
 * grown by nothing or by all of it. */
static int64_t uncertainty_of(const struct usage_epoch *epoch, int64_t from_ms, int64_t to_ms)
{
	struct neighbours at_from = { 0, 0 }, at_to = { 0, 0 };
	bool is_from = find_neighbours(epoch, from_ms, &at_from);
	bool is_to = find_neighbours(epoch, to_ms, &at_to);
	int64_t used, rise;

	if (is_from && is_to && at_from.before_ms == at_to.before_ms) {
		used = usage_between(epoch, from_ms, to_ms);
		rise = usage_between(epoch, at_from.before_ms, at_from.after_ms);
		return MAX_OF(used, rise - used);
	}
	return add_saturating(is_from ? error_at(epoch, &at_from, from_ms) : 0,
		is_to ? error_at(epoch, &at_to, to_ms) : 0);
}

/* What the first samples of later segments count happened somewhere in between: where an edge is
 * strictly within the times of its life, all of it is uncertain. */
static int64_t uncertainty_of_jumps(
	const struct summary_question *question, const struct gathered *series)
{
	int64_t low_ms = INT64_MAX, high_ms = INT64_MIN, jump;

	if (series->segment == 0 || series->epoch.start_ms != series->epoch.samples[0].time_ms)
		return 0;
	jump = series->epoch.samples[0].value - series->epoch.start_value;
	for (size_t i = 0; jump && i < question->count; i++) {
		const struct gathered *other = &question->series[i];
		const struct usage_epoch *epoch = &other->epoch;

		if (strcmp(other->parameter, series->parameter) != 0 ||
			strcmp(other->epoch_name, series->epoch_name) != 0 ||
			strcmp(other->life, series->life) != 0)
			continue;
		low_ms = MIN_OF(low_ms, epoch->samples[0].time_ms);
		if (epoch->start_ms != EPOCH_START_UNKNOWN)
			low_ms = MIN_OF(low_ms, epoch->start_ms);
		high_ms = MAX_OF(high_ms, epoch->samples[epoch->count - 1].time_ms);
	}
	if ((low_ms < question->from_ms && question->from_ms < high_ms) ||
		(low_ms < question->to_ms && question->to_ms < high_ms))
		return jump;
	return 0;
}

static void take_gauge(
	struct summary *summary, const struct usage_epoch *epoch, int64_t from_ms, int64_t to_ms)
{
	for (size_t i = first_from(epoch, from_ms);
		i < epoch->count && epoch->samples[i].time_ms < to_ms; i++) {
		const struct sample *sample = &epoch->samples[i];

		if (!summary->count || sample->value < summary->min)
			summary->min = sample->value;
		if (!summary->count || sample->value > summary->max)
			summary->max = sample->value;
		summary->sum = add_saturating(summary->sum, sample->value);
		summary->value = sample->value;
		summary->count++;
	}
}

static void take_counter(struct summary *summary, const struct summary_question *question,
	const struct gathered *series)
{
	const int64_t times_ms[2] = { question->from_ms, question->to_ms };
	int64_t until[2] = { 0, 0 };

	report_add_until(series, times_ms, 2, until);
	summary->value = add_saturating(summary->value, until[1] - until[0]);
	if (series->metric->kind == METRIC_INCREMENT)
		summary->has_uncertainty = false;
	else
		summary->uncertainty = add_saturating(summary->uncertainty,
			add_saturating(uncertainty_of(&series->epoch, times_ms[0], times_ms[1]),
				uncertainty_of_jumps(question, series)));
}

static bool is_on_host(const struct summary_question *question, const char *epoch)
{
	return !question->host || timeline_is_host_of(question->host, epoch);
}

bool summary_wants(const struct summary_question *question, const char *parameter)
{
	if (question->parameter)
		return strcmp(question->parameter, parameter) == 0;
	return !question->is_wanted ||
	       question->is_wanted(question->identity, parameter, question->whole);
}

/* All metrics of time but the first are the flavor's. */
static bool lacks_flavor(const struct summary_question *question)
{
	return question->metric->group == METRIC_GROUP_TIME && question->metric->column != 0 &&
	       question->identity->info_count == 0;
}

static int take_account(const struct summary_question *question, const char *parameter,
	struct summary *summary, bool *is_first)
{
	const struct account_question asked = { question->timeline, question->from_ms,
		question->to_ms, question->series, question->count, parameter,
		lacks_flavor(question) };
	CLEANUP(account_deinit) struct account account = { 0 };
	int r = account_make(&asked, *is_first ? &summary->account : &account);

	if (r == 0 && !*is_first)
		account_add(&summary->account, &account);
	*is_first = false;
	return r;
}

/* Series come parameter by parameter. */
static int take_series(const struct summary_question *question, struct summary *summary)
{
	const char *last = NULL;
	bool is_first = true;
	int r = 0;

	for (size_t i = 0; i < question->count && r == 0; i++) {
		const struct gathered *series = &question->series[i];

		if (!summary_wants(question, series->parameter))
			continue;
		if (question->metric->kind == METRIC_GAUGE) {
			take_gauge(summary, &series->epoch, question->from_ms, question->to_ms);
			continue;
		}
		if (is_on_host(question, series->epoch_name))
			take_counter(summary, question, series);
		if (!last || strcmp(last, series->parameter) != 0)
			r = take_account(question, series->parameter, summary, &is_first);
		last = series->parameter;
	}
	return r;
}

static int take_durations(const struct summary_question *question, struct summary *summary)
{
	struct duration_question asked = { question->timeline, question->identity, question->metric,
		question->parameter ? question->parameter : "total", question->host,
		question->from_ms, question->to_ms, NULL, 0 };
	struct duration duration = { 0, 0 };
	bool is_first = true;
	int r = take_account(question, NULL, summary, &is_first);

	asked.unknown = summary->account.unknown;
	asked.unknown_count = summary->account.unknown_count;
	if (r == 0)
		r = durations_between(&asked, &duration);
	summary->value = duration.value;
	summary->uncertainty = duration.uncertainty;
	return r;
}

int summary_make(const struct summary_question *question, struct summary *ret_summary)
{
	int r;

	*ret_summary = (struct summary){ .has_uncertainty = true };
	r = question->metric->group == METRIC_GROUP_TIME ? take_durations(question, ret_summary)
							 : take_series(question, ret_summary);
	if (ret_summary->account.unknown_ms)
		ret_summary->has_uncertainty = false;
	return r;
}

void summary_append(struct summary *to, const struct summary *next)
{
	to->value = add_saturating(to->value, next->value);
	to->has_uncertainty = to->has_uncertainty && next->has_uncertainty;
	to->uncertainty = add_saturating(to->uncertainty, next->uncertainty);
	account_append(&to->account, &next->account);
}

void summary_append_gauge(struct summary *to, const struct summary *next)
{
	if (!next->count)
		return;
	to->min = to->count ? MIN_OF(to->min, next->min) : next->min;
	to->max = to->count ? MAX_OF(to->max, next->max) : next->max;
	to->sum = add_saturating(to->sum, next->sum);
	to->value = next->value;
	to->count += next->count;
}

void summary_deinit(struct summary *summary)
{
	account_deinit(&summary->account);
}
