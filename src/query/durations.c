/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/durations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/accounting.h"

const char *state_name(int64_t state)
{
	/* libvirt include/libvirt/libvirt-domain.h, virDomainState */
	static const char *const names[STATE_NAMES] = { "nostate", "running", "blocked", "paused",
		"shutdown", "shutoff", "crashed", "pmsuspended" };

	return state >= 0 && state < STATE_NAMES ? names[state] : NULL;
}

enum column { STATE_TIME, VCPUS_TIME, MEMORY_TIME, DISK_TIME };

struct measuring {
	const struct duration_question *question;
	struct duration duration;
	/* The state of the piece that is measured. */
	int64_t state;
	bool is_run;
};

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

static bool is_counted(const struct measuring *measuring)
{
	const struct duration_question *question = measuring->question;
	const char *name = state_name(measuring->state);

	switch (question->metric->column) {
	case STATE_TIME:
		return name && (strcmp(question->parameter, "total") == 0 ||
				       strcmp(question->parameter, name) == 0);
	case DISK_TIME:
		return true;
	default:
		return measuring->is_run;
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

/* A piece of known time in the window; the flavor's changes in it are considered. */
static void weigh(void *context, struct span piece)
{
	struct measuring *measuring = context;
	__int128 sum = measuring->duration.value;

	while (piece.from_ms < piece.to_ms) {
		int64_t next_ms = MIN_OF(piece.to_ms,
			info_change_after(measuring->question->identity, piece.from_ms));

		sum += (__int128)(next_ms - piece.from_ms) * weight_at(measuring, piece.from_ms);
		piece.from_ms = next_ms;
	}
	measuring->duration.value = saturate(sum);
}

/* The instance was in a state for some time: what of it is known, in the window, counts. */
static void take_piece(struct measuring *measuring, struct span piece, int64_t state, bool is_run)
{
	const struct duration_question *question = measuring->question;

	piece.from_ms = MAX_OF(piece.from_ms, question->from_ms);
	piece.to_ms = MIN_OF(piece.to_ms, question->to_ms);
	measuring->state = state;
	measuring->is_run = is_run;
	if (piece.from_ms < piece.to_ms && is_counted(measuring))
		spans_subtract(piece, question->unknown, question->unknown_count, weigh, measuring);
}

static bool is_asked_for(const struct duration_question *question, const struct timeline_host *host)
{
	return !question->host || strcmp(question->host, host->name) == 0;
}

/* Runs that overlap do not count twice: the one that began first counts until it ends. */
static void take_run(struct measuring *measuring, const struct run *run, int64_t *reached_ms)
{
	int64_t time_ms = MAX_OF(run->begin_ms, *reached_ms);
	bool is_asked = is_asked_for(measuring->question, run->host);

	for (size_t i = 0; i < run->state_count; i++) {
		bool is_last = i + 1 == run->state_count;
		int64_t until_ms = run->states[is_last ? i : i + 1].at.time_ms;

		if (until_ms <= time_ms || (is_last && i > 0))
			continue;
		if (is_asked)
			take_piece(measuring, (struct span){ time_ms, until_ms },
				run->states[i].state, true);
		time_ms = *reached_ms = until_ms;
	}
}

static bool concerns(const struct duration_question *question, int64_t old, int64_t new)
{
	const char *before = state_name(old), *after = state_name(new);

	if (question->metric->column == VCPUS_TIME || question->metric->column == MEMORY_TIME)
		return (old == STATE_SHUTOFF) != (new == STATE_SHUTOFF);
	if (question->metric->column == DISK_TIME || strcmp(question->parameter, "total") == 0)
		return (old == STATE_UNDEFINED) != (new == STATE_UNDEFINED);
	return old != new && ((before && strcmp(question->parameter, before) == 0) ||
				     (after && strcmp(question->parameter, after) == 0));
}

/* A change is somewhere between its two samples: what that time would count. */
static void doubt(
	struct measuring *measuring, const struct state *states, size_t count, bool is_run)
{
	const struct duration_question *question = measuring->question;
	struct measuring doubted = { .question = question, .is_run = is_run };

	for (size_t i = 1; i < count; i++) {
		const struct span span = { MAX_OF(states[i - 1].at.time_ms, question->from_ms),
			MIN_OF(states[i].at.time_ms, question->to_ms) };

		if (span.from_ms < span.to_ms &&
			concerns(question, states[i - 1].state, states[i].state))
			weigh(&doubted, span);
	}
	measuring->duration.uncertainty =
		saturate((__int128)measuring->duration.uncertainty + doubted.duration.value);
}

/* While it is defined and off, outside of runs. */
static int take_off(struct measuring *measuring)
{
	const struct timeline *timeline = measuring->question->timeline;
	struct span *present;
	size_t count;
	int r = off_presence(timeline, measuring->question->host, &present, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < timeline->outside_count; i++)
		for (size_t j = 0; j < count; j++) {
			const struct span piece = { MAX_OF(present[j].from_ms,
							    timeline->outside[i].from_ms),
				MIN_OF(present[j].to_ms, timeline->outside[i].to_ms) };

			if (piece.from_ms < piece.to_ms)
				take_piece(measuring, piece, STATE_SHUTOFF, false);
		}
	free(present);
	return 0;
}

int durations_between(const struct duration_question *question, struct duration *ret_duration)
{
	const struct timeline *timeline = question->timeline;
	struct measuring measuring = { .question = question };
	int64_t reached_ms = INT64_MIN;
	int r;

	for (size_t i = 0; i < timeline->run_count; i++)
		take_run(&measuring, &timeline->runs[i], &reached_ms);
	r = take_off(&measuring);
	for (size_t i = 0; i < timeline->run_count; i++)
		if (is_asked_for(question, timeline->runs[i].host))
			doubt(&measuring, timeline->runs[i].states, timeline->runs[i].state_count,
				true);
	for (size_t i = 0; i < timeline->off_count; i++)
		if (is_asked_for(question, timeline->offs[i].host) &&
			(question->metric->column == STATE_TIME ||
				question->metric->column == DISK_TIME))
			doubt(&measuring, timeline->offs[i].states, timeline->offs[i].count, false);
	*ret_duration = measuring.duration;
	return r;
}
