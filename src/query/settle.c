/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What follows from a timeline's states: the ends of runs, and what is outside of them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/timeline.h"

static int compare_spans(const void *a, const void *b)
{
	const struct span *left = a, *right = b;

	return (left->from_ms > right->from_ms) - (left->from_ms < right->from_ms);
}

size_t spans_unite(struct span *spans, size_t count)
{
	size_t kept = 0;

	if (count > 1)
		qsort(spans, count, sizeof(*spans), compare_spans);
	for (size_t i = 0; i < count; i++) {
		if (spans[i].from_ms >= spans[i].to_ms)
			continue;
		if (kept && spans[i].from_ms <= spans[kept - 1].to_ms)
			spans[kept - 1].to_ms = MAX_OF(spans[kept - 1].to_ms, spans[i].to_ms);
		else
			spans[kept++] = spans[i];
	}
	return kept;
}

bool spans_overlap(const struct span *spans, size_t count, struct span span)
{
	for (size_t i = 0; i < count; i++)
		if (span.from_ms < spans[i].to_ms && span.to_ms > spans[i].from_ms)
			return true;
	return false;
}

void spans_subtract(struct span span, const struct span *holes, size_t count,
	void (*each)(void *context, struct span piece), void *context)
{
	for (size_t i = 0; i < count && span.from_ms < span.to_ms; i++) {
		if (holes[i].to_ms <= span.from_ms || holes[i].from_ms >= span.to_ms)
			continue;
		if (holes[i].from_ms > span.from_ms)
			each(context, (struct span){ span.from_ms, holes[i].from_ms });
		span.from_ms = MAX_OF(span.from_ms, holes[i].to_ms);
	}
	if (span.from_ms < span.to_ms)
		each(context, span);
}

static int compare_runs(const void *a, const void *b)
{
	const struct run *left = a, *right = b;

	if (left->begin_ms != right->begin_ms)
		return left->begin_ms < right->begin_ms ? -1 : 1;
	return strcmp(left->epoch, right->epoch);
}

static int compare_states(const void *a, const void *b)
{
	const struct state *left = a, *right = b;
	int order = moment_compare(left->at, right->at);

	return order ? order : (left->state > right->state) - (left->state < right->state);
}

/* The earliest sign that a run is over. */
struct evidence {
	struct moment at;
	int64_t end_ms;
	bool is_any;
};

static void note(struct evidence *evidence, struct moment at, int64_t end_ms)
{
	int order = evidence->is_any ? moment_compare(at, evidence->at) : -1;

	if (order < 0 || (order == 0 && end_ms < evidence->end_ms))
		*evidence = (struct evidence){ at, end_ms, true };
}

static void look_at_runs(
	struct evidence *evidence, const struct timeline *timeline, const struct run *run)
{
	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *other = &timeline->runs[i];

		if (other != run && other->host == run->host &&
			moment_compare(other->first, run->last) > 0)
			note(evidence, (struct moment){ other->first.segment, other->begin_ms },
				other->begin_ms);
	}
}

static void look_at_off(
	struct evidence *evidence, const struct timeline *timeline, const struct run *run)
{
	for (size_t i = 0; i < timeline->off_count; i++) {
		const struct off *off = &timeline->offs[i];

		for (size_t j = 0; off->host == run->host && j < off->count; j++)
			if (moment_compare(off->states[j].at, run->last) > 0) {
				note(evidence, off->states[j].at, off->states[j].at.time_ms);
				break;
			}
	}
}

static void look_at_host(struct evidence *evidence, const struct run *run)
{
	const struct timeline_host *host = run->host;

	for (size_t i = 0; i < host->gap_count; i++) {
		const struct gap *gap = &host->gaps[i];

		if (!gap->has_instance && gap->to_ms > run->last.time_ms &&
			gap->to_ms <= host->told_ms)
			note(evidence, (struct moment){ run->last.segment, gap->to_ms },
				gap->to_ms);
	}
	if (host->retired_ms != TIME_OPEN) {
		int64_t end_ms = MAX_OF(run->last.time_ms, host->retired_ms);

		note(evidence, (struct moment){ run->last.segment, end_ms }, end_ms);
	}
}

static void find_end(const struct timeline *timeline, struct run *run)
{
	struct evidence evidence = { .is_any = false };
	int64_t last_ms = run->last.time_ms, end_ms;

	run->end_ms = run->tail_from_ms = TIME_OPEN;
	run->is_migrated = false;
	if (run->state_count && run->states[run->state_count - 1].state == STATE_SHUTOFF) {
		run->end_ms = last_ms;
		run->is_migrated = run->last_reason == REASON_MIGRATED;
		return;
	}
	look_at_runs(&evidence, timeline, run);
	look_at_off(&evidence, timeline, run);
	look_at_host(&evidence, run);
	if (!evidence.is_any)
		return;
	end_ms = moment_compare(evidence.at, run->last) < 0 ? last_ms : evidence.end_ms;
	run->tail_from_ms = MIN_OF(last_ms, end_ms);
	run->end_ms = MAX_OF(last_ms, end_ms);
}

/* All states of the instance on each of its hosts, in order. */
static int collect_states(struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->host_count; i++)
		timeline->hosts[i]->state_count = 0;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < timeline->run_count + timeline->off_count; i++) {
			bool is_run = i < timeline->run_count;
			const struct run *run = is_run ? &timeline->runs[i] : NULL;
			const struct off *off =
				is_run ? NULL : &timeline->offs[i - timeline->run_count];
			struct timeline_host *host = is_run ? run->host : off->host;
			const struct state *states = is_run ? run->states : off->states;
			size_t count = is_run ? run->state_count : off->count;

			if (round && count)
				memcpy(&host->states[host->state_count], states,
					count * sizeof(*states));
			host->state_count += count;
		}
		for (size_t i = 0; i < timeline->host_count; i++) {
			struct timeline_host *host = timeline->hosts[i];

			if (round && host->state_count > 1)
				qsort(host->states, host->state_count, sizeof(*host->states),
					compare_states);
			if (round || !host->state_count)
				continue;
			host->states = arena_take_array(
				&timeline->arena, host->state_count, sizeof(*host->states));
			if (!host->states)
				return -ENOMEM;
			host->state_count = 0;
		}
	}
	return 0;
}

/* When it was known first, and from when on it is known that nothing was before. */
static void find_beginning(struct timeline *timeline)
{
	const struct timeline_host *host = NULL;
	bool reaches_back = false;

	timeline->first_known_ms = timeline->known_from_ms = TIME_OPEN;
	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].begin_ms < timeline->first_known_ms) {
			timeline->first_known_ms = timeline->runs[i].begin_ms;
			reaches_back = timeline->runs[i].is_begin_known;
			host = timeline->runs[i].host;
		}
	for (size_t i = 0; i < timeline->off_count; i++)
		if (timeline->offs[i].states[0].at.time_ms < timeline->first_known_ms) {
			timeline->first_known_ms = timeline->offs[i].states[0].at.time_ms;
			reaches_back = true;
			host = timeline->offs[i].host;
		}
	timeline->known_from_ms = timeline->first_known_ms;
	if (host && reaches_back && host->first_ms != TIME_NEVER)
		timeline->known_from_ms = MIN_OF(timeline->first_known_ms, host->first_ms);
}

static int find_outside(struct timeline *timeline)
{
	int64_t time_ms = timeline->known_from_ms;
	struct span *outside =
		arena_take_array(&timeline->arena, timeline->run_count + 1, sizeof(*outside));

	if (!outside)
		return -ENOMEM;
	timeline->outside = outside;
	timeline->outside_count = 0;
	if (time_ms == TIME_OPEN)
		return 0;
	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];

		if (run->begin_ms > time_ms)
			outside[timeline->outside_count++] =
				(struct span){ time_ms, run->begin_ms };
		time_ms = MAX_OF(time_ms, run->end_ms);
	}
	if (time_ms < TIME_OPEN)
		outside[timeline->outside_count++] = (struct span){ time_ms, TIME_OPEN };
	return 0;
}

int timeline_settle(struct timeline *timeline)
{
	int r;

	if (timeline->run_count > 1)
		qsort(timeline->runs, timeline->run_count, sizeof(*timeline->runs), compare_runs);
	for (size_t i = 0; i < timeline->run_count; i++)
		find_end(timeline, &timeline->runs[i]);
	r = collect_states(timeline);
	if (r < 0)
		return r;
	find_beginning(timeline);
	return find_outside(timeline);
}

int64_t timeline_next_run(const struct timeline *timeline, const struct run *run)
{
	int64_t next_ms = TIME_OPEN;

	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].begin_ms > run->begin_ms &&
			timeline->runs[i].end_ms > run->end_ms)
			next_ms = MIN_OF(next_ms, timeline->runs[i].begin_ms);
	return next_ms;
}
