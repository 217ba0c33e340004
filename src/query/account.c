/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/accounting.h"

const char *reason_kind_name(enum reason_kind kind)
{
	static const char *const names[_REASON_COUNT] = {
		[REASON_NONE] = "",
		[REASON_TAIL_UNMEASURED] = "tail-unmeasured",
		[REASON_BEGIN_UNMEASURED] = "begin-unmeasured",
		[REASON_GAP] = "gap",
		[REASON_WORKER_SILENT] = "worker-silent",
		[REASON_NOT_ANSWERING] = "not-answering",
		[REASON_MIGRATED_AWAY] = "migrated-away",
		[REASON_FUTURE] = "future",
		[REASON_FALL] = "fall",
		[REASON_LEGACY_WORKER] = "legacy-worker",
		[REASON_NO_FLAVOR] = "no-flavor",
	};

	return names[kind];
}

static bool is_same_reason(const struct reason *a, const struct reason *b)
{
	return a->kind == b->kind && a->from_ms == b->from_ms && a->to_ms == b->to_ms &&
	       strcmp(a->epoch, b->epoch) == 0 && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->cause, b->cause) == 0;
}

static void add_reason(struct account *account, const struct reason *reason)
{
	for (size_t i = 0; i < account->reason_count; i++)
		if (is_same_reason(&account->reasons[i], reason))
			return;
	if (reason->kind != REASON_NONE && account->reason_count < REASONS_MAX)
		account->reasons[account->reason_count++] = *reason;
}

void accounting_tell(struct accounting *accounting, const struct reason *reason)
{
	add_reason(accounting->account, reason);
}

static void add_unknown(struct accounting *accounting, struct span span)
{
	struct account *account = accounting->account;
	size_t room = accounting->unknown_room ? 2 * accounting->unknown_room : 16;
	struct span *larger = account->unknown;

	if (account->unknown_count == accounting->unknown_room) {
		larger = reallocarray(larger, room, sizeof(*larger));
		if (!larger) {
			accounting->is_out_of_memory = true;
			return;
		}
		account->unknown = larger;
		accounting->unknown_room = room;
	}
	larger[account->unknown_count++] = span;
}

void accounting_add(struct accounting *accounting, const struct reason *reason)
{
	const struct span span = { MAX_OF(reason->from_ms, accounting->question->from_ms),
		MIN_OF(reason->to_ms, accounting->question->to_ms) };

	if (span.from_ms >= span.to_ms)
		return;
	add_unknown(accounting, span);
	add_reason(accounting->account, reason);
}

void accounting_wait(struct accounting *accounting, const struct timeline_host *host)
{
	const struct reason reason = { REASON_WORKER_SILENT, host->silent_ms, TIME_OPEN, "",
		host->name, "" };

	accounting->account->is_complete = false;
	add_reason(accounting->account, &reason);
}

/* What a host did not tell of yet could be of any instance. Of hosts that the instance was never
 * on, the one that is farthest behind is named. */
static void wait_for_hosts(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	const struct timeline *timeline = question->timeline;
	const struct timeline_host *other = NULL;
	int64_t needed_ms = question->to_ms;

	/* Before an instance was known, it depends on which host knew it first. */
	if (question->from_ms < timeline->first_known_ms)
		needed_ms = MAX_OF(needed_ms, timeline->first_known_ms);
	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = timeline->hosts[i];

		if (host->frontier_ms >= needed_ms)
			continue;
		if (host->is_mine)
			accounting_wait(accounting, host);
		else if (!other || host->frontier_ms < other->frontier_ms)
			other = host;
	}
	if (other)
		accounting_wait(accounting, other);
}

static void wait_for_migrations(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;

	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];
		const struct reason reason = { REASON_MIGRATED_AWAY, run->end_ms, TIME_OPEN,
			run->epoch, "", "" };

		if (!run->is_migrated || run->end_ms >= accounting->question->to_ms ||
			timeline_next_run(timeline, run) != TIME_OPEN)
			continue;
		accounting->account->is_complete = false;
		add_reason(accounting->account, &reason);
	}
}

static void wait_for_the_future(struct accounting *accounting)
{
	const struct reason reason = { REASON_FUTURE, accounting->question->timeline->now_ms,
		TIME_OPEN, "", "", "" };

	if (accounting->question->to_ms <= reason.from_ms)
		return;
	accounting->account->is_complete = false;
	add_reason(accounting->account, &reason);
}

/* The flavor may still be told. */
static void wait_for_the_flavor(struct accounting *accounting)
{
	const struct reason reason = { REASON_NO_FLAVOR, TIME_NEVER, TIME_OPEN, "", "", "" };

	accounting->account->is_complete = false;
	add_reason(accounting->account, &reason);
}

/* Old workers: known between the first and the last sample of all that came under a name. */
static bool account_legacy(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	const struct reason legacy = { REASON_LEGACY_WORKER, TIME_NEVER, TIME_OPEN, "", "", "" };
	int64_t first_ms = TIME_OPEN, last_ms = TIME_NEVER;

	for (size_t i = 0; i < question->count; i++) {
		const struct gathered *series = &question->series[i];

		if (*series->epoch_name || strcmp(series->parameter, question->parameter) != 0)
			continue;
		first_ms = MIN_OF(first_ms, series->epoch.samples[0].time_ms);
		last_ms = MAX_OF(last_ms, series->epoch.samples[series->epoch.count - 1].time_ms);
	}
	if (first_ms == TIME_OPEN)
		return false;
	accounting->account->is_legacy = true;
	add_reason(accounting->account, &legacy);
	accounting_add(accounting,
		&(struct reason){ REASON_BEGIN_UNMEASURED, TIME_NEVER, first_ms, "", "", "" });
	accounting_add(accounting,
		&(struct reason){ REASON_TAIL_UNMEASURED, last_ms, question->to_ms, "", "", "" });
	return true;
}

static int64_t measure(const struct span *spans, size_t count)
{
	int64_t length_ms = 0;

	for (size_t i = 0; i < count; i++)
		length_ms += spans[i].to_ms - spans[i].from_ms;
	return length_ms;
}

int account_make(const struct account_question *question, struct account *ret_account)
{
	struct accounting accounting = { .question = question, .account = ret_account };
	int r = 0;

	*ret_account = (struct account){ .window_ms = question->to_ms - question->from_ms,
		.is_complete = true };
	wait_for_the_future(&accounting);
	if (question->lacks_flavor)
		wait_for_the_flavor(&accounting);
	if (!question->parameter || !account_legacy(&accounting)) {
		wait_for_hosts(&accounting);
		wait_for_migrations(&accounting);
		account_off(&accounting);
		r = account_runs(&accounting);
	}
	ret_account->unknown_count = spans_unite(ret_account->unknown, ret_account->unknown_count);
	ret_account->unknown_ms = measure(ret_account->unknown, ret_account->unknown_count);
	return accounting.is_out_of_memory ? -ENOMEM : r;
}

void account_deinit(struct account *account)
{
	free(account->unknown);
	account->unknown = NULL;
	account->unknown_count = 0;
}

void account_add(struct account *to, const struct account *other)
{
	to->unknown_ms = MAX_OF(to->unknown_ms, other->unknown_ms);
	to->is_complete = to->is_complete && other->is_complete;
	to->is_legacy = to->is_legacy || other->is_legacy;
	for (size_t i = 0; i < other->reason_count; i++)
		add_reason(to, &other->reasons[i]);
}

void account_append(struct account *to, const struct account *next)
{
	int64_t window_ms = to->window_ms + next->window_ms;
	int64_t unknown_ms = to->unknown_ms + next->unknown_ms;

	account_add(to, next);
	to->window_ms = window_ms;
	to->unknown_ms = unknown_ms;
}
