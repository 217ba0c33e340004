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

/* The neighbours of a time that lies strictly between two known points of an epoch. */
struct neighbours {
	int64_t before_ms, after_ms;
};

static bool find_neighbours(
	const struct usage_epoch *epoch, int64_t t_ms, struct neighbours *ret_neighbours)
{
	size_t low = 0, high = epoch->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (epoch->samples[middle].time_ms <= t_ms)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == epoch->count ||
		(low == 0 && (epoch->start_ms == EPOCH_START_UNKNOWN || epoch->start_ms > t_ms)))
		return false;
	ret_neighbours->before_ms = low ? epoch->samples[low - 1].time_ms : epoch->start_ms;
	ret_neighbours->after_ms = epoch->samples[low].time_ms;
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
		summary->sum = add_saturating(summary->sum, sample->value);
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
	summary->value = add_saturating(summary->value, until[1] - until[0]);
	if (series->metric->kind == METRIC_INCREMENT)
		summary->has_uncertainty = false;
	else
		summary->uncertainty = add_saturating(
			summary->uncertainty, uncertainty_of(&series->epoch, from_ms, to_ms));
}

static bool is_on_host(const struct summary_question *question, const char *epoch)
{
	size_t size = question->host ? strlen(question->host) : 0;

	return !question->host || (strncmp(epoch, question->host, size) == 0 && epoch[size] == '/');
}

bool summary_wants(const struct summary_question *question, const char *parameter)
{
	if (question->parameter)
		return strcmp(question->parameter, parameter) == 0;
	return !question->is_wanted ||
	       question->is_wanted(question->identity, parameter, question->whole);
}

static int take_account(const struct summary_question *question, const char *parameter,
	struct summary *summary, bool *is_first)
{
	const struct account_question asked = { question->timeline, question->from_ms,
		question->to_ms, question->series, question->count, parameter };
	struct account account;
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
			take_counter(summary, series, question->from_ms, question->to_ms);
		if (!last || strcmp(last, series->parameter) != 0)
			r = take_account(question, series->parameter, summary, &is_first);
		last = series->parameter;
	}
	return r;
}

static int take_durations(const struct summary_question *question, struct summary *summary)
{
	const struct duration_question asked = { question->timeline, question->identity,
		question->metric, question->parameter ? question->parameter : "total",
		question->host, question->from_ms, question->to_ms };
	const struct duration duration = durations_between(&asked);
	bool is_first = true;

	summary->value = duration.value;
	summary->uncertainty = duration.uncertainty;
	return take_account(question, NULL, summary, &is_first);
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
