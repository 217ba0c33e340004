/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/durations.h"

#include <string.h>

const char *state_name(int64_t state)
{
	/* libvirt include/libvirt/libvirt-domain.h, virDomainState */
	static const char *const names[STATE_NAMES] = { NULL, "running", "blocked", "paused",
		"shutdown", "shutoff", "crashed", "pmsuspended" };

	return state >= 0 && state < STATE_NAMES ? names[state] : NULL;
}

/* The instance was in one state for some time, within a run or off. */
struct hold {
	int64_t from_ms, to_ms;
	int64_t state, next_state; /* next_state is the same where nothing is known to change */
	bool is_run;
};

struct measuring {
	const struct duration_question *question;
	struct duration duration;
};

enum column { STATE_TIME, VCPUS_TIME, MEMORY_TIME, DISK_TIME };

static int64_t saturate(__int128 value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* How many infos began at a time or before. */
static size_t infos_until(const struct identity *identity, int64_t time_ms)
{
	size_t low = 0, high = identity->info_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (identity->infos[middle].since_ms <= time_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The info of a time; the first one also before it. */
static const struct instance_info *info_at(const struct identity *identity, int64_t time_ms)
{
	size_t count = infos_until(identity, time_ms);

	return identity->info_count ? &identity->infos[count ? count - 1 : 0] : NULL;
}

static int64_t info_change_after(const struct identity *identity, int64_t time_ms)
{
	size_t count = infos_until(identity, time_ms);

	return count < identity->info_count ? identity->infos[count].since_ms : TIME_OPEN;
}

static bool is_counted(const struct measuring *measuring, int64_t state, bool is_run)
{
	const char *name = state_name(state);

	switch (measuring->question->metric->column) {
	case STATE_TIME:
		return name && (strcmp(measuring->question->parameter, "total") == 0 ||
				       strcmp(measuring->question->parameter, name) == 0);
	case DISK_TIME:
		return state != STATE_UNDEFINED;
	default:
		return is_run && state != STATE_SHUTOFF;
	}
}

static int64_t weight_at(const struct measuring *measuring, int64_t time_ms)
{
	const struct instance_info *info = info_at(measuring->question->identity, time_ms);
	int64_t weight = 1;

	if (measuring->question->metric->column != STATE_TIME && !info)
		return 0;
	if (measuring->question->metric->column == VCPUS_TIME)
		weight = info->vcpus;
	else if (measuring->question->metric->column == MEMORY_TIME)
		weight = info->memory_mib;
	else if (measuring->question->metric->column == DISK_TIME)
		weight = info->disk_gib;
	return MAX_OF(weight, 0);
}

/* What a time weighs, the flavor's changes in it considered. */
static int64_t weigh(const struct measuring *measuring, int64_t from_ms, int64_t to_ms)
{
	__int128 sum = 0;

	while (from_ms < to_ms) {
		int64_t next_ms =
			MIN_OF(to_ms, info_change_after(measuring->question->identity, from_ms));

		sum += (__int128)(next_ms - from_ms) * weight_at(measuring, from_ms);
		from_ms = next_ms;
	}
	return saturate(sum);
}

static void take_hold(struct measuring *measuring, const struct hold *hold)
{
	int64_t from_ms = MAX_OF(hold->from_ms, measuring->question->from_ms);
	int64_t to_ms = MIN_OF(hold->to_ms, measuring->question->to_ms);
	bool is_used = is_counted(measuring, hold->state, hold->is_run);
	bool is_used_next = is_counted(measuring, hold->next_state, hold->is_run);
	struct duration *duration = &measuring->duration;
	int64_t weight;

	if (from_ms >= to_ms)
		return;
	weight = weigh(measuring, from_ms, to_ms);
	if (is_used)
		duration->value = saturate((__int128)duration->value + weight);
	if (is_used != is_used_next)
		duration->uncertainty = saturate((__int128)duration->uncertainty + weight);
}

static void take_stretch(
	struct measuring *measuring, const struct run *run, const struct stretch *stretch)
{
	for (size_t i = 0; i + 1 < stretch->count; i++) {
		const struct sample *state = &stretch->states[i];
		const struct hold hold = { state->time_ms, state[1].time_ms, state->value,
			state[1].value, true };

		take_hold(measuring, &hold);
	}
	if (stretch == run->stretches && run->is_begin_known) {
		const struct sample *first = &stretch->states[0];
		const struct hold hold = { run->begin_ms, first->time_ms, first->value,
			first->value, true };

		take_hold(measuring, &hold);
	}
}

/* When the next run on that host began; *place, which only grows, is where it was looked for. */
static int64_t next_run(const struct timeline *timeline, const struct timeline_host *host,
	int64_t after_ms, size_t *place)
{
	while (*place < timeline->run_count && (timeline->runs[*place].host != host ||
						       timeline->runs[*place].begin_ms <= after_ms))
		++*place;
	return *place < timeline->run_count ? timeline->runs[*place].begin_ms : TIME_OPEN;
}

/* Off holds from each of its samples to the next one, or to the beginning of a run. */
static void take_off(
	struct measuring *measuring, const struct timeline *timeline, const struct off *off)
{
	size_t place = 0;

	for (size_t i = 0; i + 1 < off->count; i++) {
		const struct sample *state = &off->states[i];
		int64_t run_ms = next_run(timeline, off->host, state->time_ms, &place);
		struct hold hold = { state->time_ms, state[1].time_ms, state->value, state[1].value,
			false };

		if (run_ms < hold.to_ms) {
			hold.to_ms = run_ms;
			hold.next_state = hold.state;
		}
		take_hold(measuring, &hold);
	}
}

/* From the end of a run until the instance's next word on that host: off, if that is off, too. */
static void take_end(
	struct measuring *measuring, const struct timeline *timeline, const struct run *run)
{
	struct hold hold = { run->end_ms, TIME_OPEN, STATE_SHUTOFF, STATE_SHUTOFF, false };
	size_t place = 0;
	int64_t run_ms = next_run(timeline, run->host, run->end_ms, &place);

	for (size_t i = 0; i < timeline->off_count; i++) {
		const struct off *off = &timeline->offs[i];

		for (size_t j = 0; off->host == run->host && j < off->count; j++) {
			if (off->states[j].time_ms <= run->end_ms)
				continue;
			if (off->states[j].time_ms < hold.to_ms) {
				hold.to_ms = off->states[j].time_ms;
				hold.next_state = off->states[j].value;
			}
			break;
		}
	}
	if (run_ms < hold.to_ms) {
		hold.to_ms = run_ms;
		hold.next_state = hold.state;
	}
	if (hold.to_ms != TIME_OPEN)
		take_hold(measuring, &hold);
}

static bool is_asked_for(const struct duration_question *question, const struct timeline_host *host)
{
	return !question->host || strcmp(question->host, host->name) == 0;
}

struct duration durations_between(const struct duration_question *question)
{
	const struct timeline *timeline = question->timeline;
	struct measuring measuring = { question, { 0, 0 } };

	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];

		if (!is_asked_for(question, run->host))
			continue;
		for (size_t j = 0; j < run->stretch_count; j++)
			take_stretch(&measuring, run, &run->stretches[j]);
		if (run->last_state == STATE_SHUTOFF)
			take_end(&measuring, timeline, run);
	}
	for (size_t i = 0; i < timeline->off_count; i++)
		if (is_asked_for(question, timeline->offs[i].host))
			take_off(&measuring, timeline, &timeline->offs[i]);
	return measuring.duration;
}
