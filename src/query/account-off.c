/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The time outside of runs: known to be off, or not. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/accounting.h"

/* Of the time outside of runs, what a doubt takes. */
static void doubt_outside(struct accounting *accounting, const struct reason *doubt)
{
	const struct timeline *timeline = accounting->question->timeline;

	for (size_t i = 0; i < timeline->outside_count; i++) {
		struct reason part = *doubt;

		part.from_ms = MAX_OF(doubt->from_ms, timeline->outside[i].from_ms);
		part.to_ms = MIN_OF(doubt->to_ms, timeline->outside[i].to_ms);
		accounting_add(accounting, &part);
	}
}

static struct reason gap_reason(const struct timeline_host *host, const struct gap *gap)
{
	return (struct reason){ REASON_GAP, gap->from_ms, gap->to_ms, "", host->name, gap->reason };
}

/* Could the instance have lived in the gap? It was there when it began, or came in it. */
static bool could_live_in(const struct timeline_host *host, const struct gap *gap)
{
	int64_t before_ms = TIME_NEVER;
	bool was_here = false;

	for (size_t i = 0; i < host->state_count; i++) {
		const struct state *state = &host->states[i];
		int64_t time_ms = state->at.time_ms;

		if (time_ms > gap->from_ms && time_ms <= gap->to_ms)
			return true;
		if (time_ms <= gap->from_ms && time_ms >= before_ms) {
			was_here = state->state != STATE_UNDEFINED;
			before_ms = time_ms;
		}
	}
	return was_here;
}

static bool is_unread(const struct gap *gap)
{
	return gap->has_instance && strcmp(gap->reason, "unread") == 0;
}

static void account_gaps(struct accounting *accounting, const struct timeline_host *host)
{
	for (size_t i = 0; i < host->gap_count; i++) {
		const struct reason reason = gap_reason(host, &host->gaps[i]);

		if (is_unread(&host->gaps[i]))
			accounting_add(accounting, &reason);
		else if (could_live_in(host, &host->gaps[i]))
			doubt_outside(accounting, &reason);
	}
}

/* What a host had in its first reading may have lived there before. */
static void account_first(struct accounting *accounting, const struct timeline_host *host)
{
	const struct reason reason = { REASON_BEGIN_UNMEASURED, TIME_NEVER, host->first_ms, "", "",
		"" };

	for (size_t i = 0; host->first_ms != TIME_NEVER && i < host->state_count; i++)
		if (host->states[i].at.time_ms <= host->first_ms) {
			doubt_outside(accounting, &reason);
			return;
		}
}

/* What is off may start again: it is known only as far as the host told. */
static int64_t off_limit(const struct timeline *timeline, const struct timeline_host *host)
{
	const struct state *last = host->state_count ? &host->states[host->state_count - 1] : NULL;
	int64_t sign_ms;

	if (!last || last->state == STATE_UNDEFINED || host->retired_ms != TIME_OPEN)
		return TIME_OPEN;
	sign_ms = last->at.time_ms;
	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].host == host && timeline->runs[i].end_ms != TIME_OPEN)
			sign_ms = MAX_OF(sign_ms, timeline->runs[i].end_ms);
	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].host != host && timeline->runs[i].begin_ms > sign_ms)
			return TIME_OPEN;
	return host->frontier_ms;
}

/* A run that appears in a gap may have begun in it, and counted. */
static void account_beginning(struct accounting *accounting, const struct run *run)
{
	const struct timeline_host *host = run->host;
	int64_t since_ms = TIME_NEVER;

	for (size_t i = 0; i < host->state_count; i++)
		if (moment_compare(host->states[i].at, run->first) < 0)
			since_ms = host->states[i].at.time_ms;
	for (size_t i = 0; i < host->gap_count; i++) {
		struct reason reason = gap_reason(host, &host->gaps[i]);

		if (host->gaps[i].has_instance || reason.from_ms >= run->begin_ms ||
			reason.to_ms < run->begin_ms)
			continue;
		reason.from_ms = MAX_OF(reason.from_ms, since_ms);
		reason.to_ms = run->begin_ms;
		accounting_add(accounting, &reason);
	}
}

static void account_migrations(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;

	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];
		const struct reason reason = { REASON_MIGRATED_AWAY, run->end_ms,
			timeline_next_run(timeline, run), run->epoch, "", "" };

		if (run->is_migrated)
			doubt_outside(accounting, &reason);
		if (!run->is_begin_known)
			account_beginning(accounting, run);
	}
}

/* Until when a state on a host says that the instance is there: until the next one, or the end of a
 * gap, in which all was read again. */
static int64_t present_until(const struct timeline_host *host, size_t place)
{
	int64_t time_ms = host->states[place].at.time_ms;
	int64_t until_ms =
		place + 1 < host->state_count ? host->states[place + 1].at.time_ms : TIME_OPEN;

	for (size_t i = 0; i < host->gap_count; i++) {
		const struct gap *gap = &host->gaps[i];

		if (!gap->has_instance && gap->to_ms > time_ms && gap->to_ms <= host->told_ms)
			until_ms = MIN_OF(until_ms, gap->to_ms);
	}
	return until_ms;
}

int off_presence(const struct timeline *timeline, const char *only_host, struct span **ret_spans,
	size_t *ret_count)
{
	size_t most = 0, count = 0;
	struct span *spans;

	for (size_t i = 0; i < timeline->host_count; i++)
		most += timeline->hosts[i]->state_count;
	spans = calloc(most + 1, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = timeline->hosts[i];

		if (only_host && strcmp(host->name, only_host) != 0)
			continue;
		for (size_t j = 0; j < host->state_count; j++)
			if (host->states[j].state == STATE_SHUTOFF)
				spans[count++] = (struct span){ host->states[j].at.time_ms,
					present_until(host, j) };
	}
	*ret_spans = spans;
	*ret_count = spans_unite(spans, count);
	return 0;
}

struct dead {
	struct accounting *accounting;
	struct reason reason;
};

static void take_dead_piece(void *context, struct span piece)
{
	const struct dead *dead = context;
	struct reason reason = dead->reason;

	reason.from_ms = piece.from_ms;
	reason.to_ms = piece.to_ms;
	doubt_outside(dead->accounting, &reason);
}

/* While it is defined nowhere, it may have lived on a host that died untold. */
static void account_dead_hosts(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;
	struct span *present = NULL;
	size_t count = 0;

	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = timeline->hosts[i];
		const struct gap *gap = host->gap_count ? &host->gaps[host->gap_count - 1] : NULL;
		struct dead dead = { .accounting = accounting };

		if (host->retired_ms == TIME_OPEN || !gap || strcmp(gap->reason, "retired") != 0)
			continue;
		if (!present && off_presence(timeline, NULL, &present, &count) < 0) {
			accounting->is_out_of_memory = true;
			return;
		}
		dead.reason = gap_reason(host, gap);
		spans_subtract((struct span){ gap->from_ms, gap->to_ms }, present, count,
			take_dead_piece, &dead);
	}
	free(present);
}

void account_off(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;
	struct reason limit = { REASON_NONE, TIME_OPEN, TIME_OPEN, "", "", "" };

	accounting_add(accounting, &(struct reason){ REASON_BEGIN_UNMEASURED, TIME_NEVER,
					   timeline->known_from_ms, "", "", "" });
	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = timeline->hosts[i];

		if (!host->is_mine)
			continue;
		account_gaps(accounting, host);
		account_first(accounting, host);
		limit.from_ms = MIN_OF(limit.from_ms, off_limit(timeline, host));
	}
	doubt_outside(accounting, &limit);
	account_migrations(accounting);
	account_dead_hosts(accounting);
}
