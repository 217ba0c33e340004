/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What is measured in runs: the lives of a device, their tails, falls, and whether it is settled
 * how much was used until the window's end. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/accounting.h"

/* The series of one epoch, by parameter, life and segment; all are of one metric. */
struct group {
	const struct gathered *const *series;
	size_t count;
	struct moment *witnesses; /* when devices of the group were read, in order */
	size_t witness_count;
};

/* A device's life in one run: its segments. */
struct life {
	const struct gathered *const *series;
	size_t count;
};

static struct moment first_of(const struct gathered *series)
{
	return (struct moment){ series->segment, series->epoch.samples[0].time_ms };
}

static struct moment last_of(const struct gathered *series)
{
	return (struct moment){ series->segment,
		series->epoch.samples[series->epoch.count - 1].time_ms };
}

static struct moment life_last(const struct life *life)
{
	return last_of(life->series[life->count - 1]);
}

static bool is_device(enum metric_group group)
{
	return group == METRIC_GROUP_NIC || group == METRIC_GROUP_BLK ||
	       group == METRIC_GROUP_VCPU || group == METRIC_GROUP_VMNETWORK;
}

static int compare_moments(const void *a, const void *b)
{
	return moment_compare(*(const struct moment *)a, *(const struct moment *)b);
}

/* A NIC is in every reading that has the state of a QEMU that lives. */
static int find_witnesses(
	const struct accounting *accounting, const struct run *run, struct group *group)
{
	const struct account_question *question = accounting->question;
	bool is_nic = question->count && question->series[0].metric->group == METRIC_GROUP_NIC;
	size_t most = is_nic ? run->state_count : 0, count = 0;

	if (!question->count || !is_device(question->series[0].metric->group))
		return 0;
	for (size_t i = 0; i < group->count; i++)
		most += group->series[i]->epoch.count;
	group->witnesses = calloc(most + 1, sizeof(*group->witnesses));
	if (!group->witnesses)
		return -ENOMEM;
	for (size_t i = 0; i < group->count; i++)
		for (size_t j = 0; j < group->series[i]->epoch.count; j++)
			group->witnesses[count++] = (struct moment){ group->series[i]->segment,
				group->series[i]->epoch.samples[j].time_ms };
	for (size_t i = 0; is_nic && i < run->state_count; i++)
		if (run->states[i].state != STATE_SHUTOFF)
			group->witnesses[count++] = run->states[i].at;
	if (count > 1)
		qsort(group->witnesses, count, sizeof(*group->witnesses), compare_moments);
	group->witness_count = count;
	return 0;
}

/* How many witnesses are before a moment, or (with `is_at`) not after it. */
static size_t witnesses_until(const struct group *group, struct moment at, bool is_at)
{
	size_t low = 0, high = group->witness_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (moment_compare(group->witnesses[middle], at) < (is_at ? 1 : 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct moment *witness_after(const struct group *group, struct moment at)
{
	size_t place = witnesses_until(group, at, true);

	return place < group->witness_count ? &group->witnesses[place] : NULL;
}

static void add_tail(
	struct accounting *accounting, const struct run *run, int64_t from_ms, int64_t to_ms)
{
	const struct reason reason = { REASON_TAIL_UNMEASURED, MIN_OF(from_ms, to_ms),
		MAX_OF(from_ms, to_ms), run->epoch, "", "" };

	accounting_add(accounting, &reason);
}

/* Between two samples; where the clock stepped back, also what it read a second time. */
static void add_tail_between(struct accounting *accounting, const struct run *run,
	struct moment first, struct moment last)
{
	int64_t low_ms = MIN_OF(first.time_ms, last.time_ms);

	for (size_t i = 0; i < run->state_count; i++)
		if (run->states[i].at.segment > first.segment &&
			run->states[i].at.segment <= last.segment)
			low_ms = MIN_OF(low_ms, run->states[i].at.time_ms);
	add_tail(accounting, run, low_ms, MAX_OF(first.time_ms, last.time_ms));
}

/* After the last sample, or the last reading in which the device was not. */
static void account_behind(struct accounting *accounting, const struct run *run, int64_t last_ms)
{
	if (run->end_ms == TIME_OPEN) {
		accounting_add(accounting,
			&(struct reason){ REASON_NONE, last_ms, TIME_OPEN, "", "", "" });
		return;
	}
	if (run->tail_from_ms != TIME_OPEN)
		last_ms = MIN_OF(last_ms, run->tail_from_ms);
	if (last_ms < run->end_ms)
		add_tail(accounting, run, last_ms, run->end_ms);
}

/* A device with an unknown start may have counted since the reading before. */
static void account_before(struct accounting *accounting, const struct run *run,
	const struct group *group, const struct life *life)
{
	struct moment first = first_of(life->series[0]);
	struct moment since = { run->first.segment, run->begin_ms };
	size_t before = witnesses_until(group, first, false);

	if (life->series[0]->epoch.start_ms != EPOCH_START_UNKNOWN)
		return;
	if (before)
		since = group->witnesses[before - 1];
	add_tail_between(accounting, run, since, first);
}

static void account_fall(
	struct accounting *accounting, const struct run *run, int64_t before_ms, int64_t after_ms)
{
	const struct reason reason = { REASON_FALL, MIN_OF(before_ms, after_ms),
		MAX_OF(before_ms, after_ms), run->epoch, "", "" };

	accounting_add(accounting, &reason);
}

static void account_falls(
	struct accounting *accounting, const struct run *run, const struct life *life)
{
	for (size_t i = 0; i < life->count; i++) {
		const struct usage_epoch *epoch = &life->series[i]->epoch;

		if (life->series[i]->is_fallen && i)
			account_fall(accounting, run, last_of(life->series[i - 1]).time_ms,
				epoch->samples[0].time_ms);
		for (size_t j = 1; j < epoch->count; j++)
			if (epoch->samples[j].value < epoch->samples[j - 1].value)
				account_fall(accounting, run, epoch->samples[j - 1].time_ms,
					epoch->samples[j].time_ms);
	}
}

static void account_life(struct accounting *accounting, const struct run *run,
	const struct group *group, const struct life *life)
{
	const struct moment *gone = witness_after(group, life_last(life));

	account_before(accounting, run, group, life);
	account_falls(accounting, run, life);
	if (!gone) {
		account_behind(accounting, run, life_last(life).time_ms);
		return;
	}
	add_tail_between(accounting, run, life_last(life), *gone);
	account_behind(accounting, run, group->witnesses[group->witness_count - 1].time_ms);
}

/* Is it settled how much was used until the window's end? The time of what decides it; TIME_OPEN:
 * not yet. */
struct settling {
	int64_t latest_ms;
	bool is_open;
	int64_t last_ms; /* of what was read of it */
};

static void settle_by(struct settling *settling, int64_t found_ms)
{
	if (found_ms == TIME_OPEN)
		settling->is_open = true;
	else
		settling->latest_ms = MAX_OF(settling->latest_ms, found_ms);
}

/* The first sample at the time or later, or the start that is. */
static int64_t next_sample(const struct gathered *series, int64_t time_ms)
{
	const struct usage_epoch *epoch = &series->epoch;

	if (epoch->start_ms != EPOCH_START_UNKNOWN && epoch->start_ms >= time_ms &&
		epoch->start_ms < epoch->samples[0].time_ms)
		return epoch->start_ms;
	for (size_t i = 0; i < epoch->count; i++)
		if (epoch->samples[i].time_ms >= time_ms)
			return epoch->samples[i].time_ms;
	return TIME_OPEN;
}

static int64_t reached_witness(const struct group *group, int64_t time_ms)
{
	struct moment at = { 0, time_ms };
	size_t place;

	if (!group->witness_count)
		return TIME_OPEN;
	at.segment = group->witnesses[group->witness_count - 1].segment;
	place = witnesses_until(group, at, false);
	return place < group->witness_count ? group->witnesses[place].time_ms : TIME_OPEN;
}

static void settle_gone(struct settling *settling, const struct run *run, const struct group *group,
	bool is_gone, int64_t time_ms)
{
	int64_t reached_ms = is_gone ? reached_witness(group, time_ms) : TIME_OPEN;

	settle_by(settling, MIN_OF(reached_ms, run->end_ms));
}

static void settle_life(struct settling *settling, const struct run *run, const struct group *group,
	const struct life *life, int64_t time_ms)
{
	struct moment last = life_last(life);
	int64_t found_ms;

	settling->last_ms = MAX_OF(settling->last_ms, last.time_ms);
	if (last.time_ms < time_ms) {
		settle_gone(settling, run, group, witness_after(group, last) != NULL, time_ms);
		return;
	}
	found_ms = next_sample(life->series[life->count - 1], time_ms);
	if (first_of(life->series[0]).time_ms > time_ms)
		found_ms = MIN_OF(found_ms, reached_witness(group, time_ms));
	settle_by(settling, found_ms);
}

/* Waits for the host where what settles it has not arrived; or says what does not answer. */
static void judge(
	struct accounting *accounting, const struct run *run, const struct settling *settling)
{
	int64_t frontier_ms = run->host->frontier_ms, to_ms = accounting->question->to_ms;
	const struct reason reason = { REASON_NOT_ANSWERING, settling->last_ms, TIME_OPEN,
		run->epoch, "", "" };

	if (!settling->is_open && settling->latest_ms <= frontier_ms)
		return;
	accounting->account->is_complete = false;
	if (frontier_ms < to_ms || !settling->is_open)
		accounting_wait(accounting, run->host);
	if (settling->is_open && settling->last_ms < MIN_OF(to_ms, frontier_ms))
		accounting_tell(accounting, &reason);
}

/* Since when a run is, for a window: its start; or its last reading before. */
static int64_t known_since(const struct run *run, int64_t from_ms)
{
	int64_t since_ms = run->begin_ms;

	for (size_t i = 0; i < run->state_count && !run->is_begin_known; i++)
		if (run->states[i].at.segment == run->first.segment &&
			run->states[i].at.time_ms <= from_ms)
			since_ms = MAX_OF(since_ms, run->states[i].at.time_ms);
	return since_ms;
}

static bool is_asked_for(const struct accounting *accounting, const struct gathered *series)
{
	return strcmp(series->parameter, accounting->question->parameter) == 0;
}

static bool is_same_life(const struct gathered *a, const struct gathered *b)
{
	return strcmp(a->parameter, b->parameter) == 0 && strcmp(a->life, b->life) == 0;
}

static void account_group(
	struct accounting *accounting, const struct run *run, const struct group *group)
{
	struct settling settling = { TIME_NEVER, false, TIME_NEVER };
	int64_t to_ms = accounting->question->to_ms;

	for (size_t i = 0, next; i < group->count; i = next) {
		struct life life = { &group->series[i], 1 };

		while (i + life.count < group->count &&
			is_same_life(group->series[i + life.count], group->series[i]))
			life.count++;
		next = i + life.count;
		if (!is_asked_for(accounting, group->series[i]))
			continue;
		account_life(accounting, run, group, &life);
		settle_life(&settling, run, group, &life, to_ms);
	}
	if (settling.last_ms == TIME_NEVER) {
		size_t count = group->witness_count;

		account_behind(accounting, run,
			count ? group->witnesses[count - 1].time_ms : run->begin_ms);
		settle_gone(&settling, run, group, true, to_ms);
		settling.last_ms = known_since(run, accounting->question->from_ms);
	}
	if (run->begin_ms < to_ms)
		judge(accounting, run, &settling);
}

/* The states themselves, which say how long it ran. */
static void account_states(struct accounting *accounting, const struct run *run)
{
	struct settling settling = { TIME_NEVER, false, run->last.time_ms };
	int64_t to_ms = accounting->question->to_ms, next_ms = TIME_OPEN;

	account_behind(accounting, run, run->state_count ? run->last.time_ms : run->begin_ms);
	if (run->begin_ms >= to_ms)
		return;
	for (size_t i = 0; i < run->state_count; i++)
		if (run->states[i].at.segment == run->last.segment &&
			run->states[i].at.time_ms >= to_ms)
			next_ms = MIN_OF(next_ms, run->states[i].at.time_ms);
	settle_by(&settling, MIN_OF(next_ms, run->last.time_ms >= to_ms ? TIME_OPEN : run->end_ms));
	judge(accounting, run, &settling);
}

static int compare_by_epoch(const void *a, const void *b)
{
	const struct gathered *left = *(const struct gathered *const *)a;
	const struct gathered *right = *(const struct gathered *const *)b;
	int order = strcmp(left->epoch_name, right->epoch_name);

	if (order == 0)
		order = strcmp(left->parameter, right->parameter);
	if (order == 0)
		order = strcmp(left->life, right->life);
	if (order == 0)
		order = (left->segment > right->segment) - (left->segment < right->segment);
	return order;
}

/* All series of the question by epoch. */
struct sorted {
	const struct gathered **series;
	size_t count;
};

static int sort_by_epoch(const struct account_question *question, struct sorted *ret_sorted)
{
	ret_sorted->count = question->count;
	ret_sorted->series = calloc(question->count + 1, sizeof(*ret_sorted->series));
	if (!ret_sorted->series)
		return -ENOMEM;
	for (size_t i = 0; i < question->count; i++)
		ret_sorted->series[i] = &question->series[i];
	if (question->count > 1)
		qsort(ret_sorted->series, question->count, sizeof(*ret_sorted->series),
			compare_by_epoch);
	return 0;
}

static struct group group_of(const struct sorted *sorted, const char *epoch)
{
	struct group group = { NULL, 0, NULL, 0 };
	size_t low = 0, high = sorted->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(sorted->series[middle]->epoch_name, epoch) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	group.series = &sorted->series[low];
	while (low + group.count < sorted->count &&
		strcmp(sorted->series[low + group.count]->epoch_name, epoch) == 0)
		group.count++;
	return group;
}

int account_runs(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	const struct timeline *timeline = question->timeline;
	struct sorted sorted = { NULL, 0 };
	int r = sort_by_epoch(question, &sorted);

	for (size_t i = 0; i < timeline->run_count && r == 0; i++) {
		const struct run *run = &timeline->runs[i];
		struct group group;

		if (!question->parameter) {
			account_states(accounting, run);
			continue;
		}
		group = group_of(&sorted, run->epoch);
		r = find_witnesses(accounting, run, &group);
		if (r == 0)
			account_group(accounting, run, &group);
		free(group.witnesses);
	}
	free(sorted.series);
	return r;
}
