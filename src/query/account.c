/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *reason_kind_name(enum reason_kind kind)
{
	static const char *const names[_REASON_COUNT] = {
		[REASON_TAIL_UNMEASURED] = "tail-unmeasured",
		[REASON_BEGIN_UNMEASURED] = "begin-unmeasured",
		[REASON_GAP] = "gap",
		[REASON_WORKER_SILENT] = "worker-silent",
		[REASON_NOT_ANSWERING] = "not-answering",
		[REASON_MIGRATED_AWAY] = "migrated-away",
		[REASON_FUTURE] = "future",
		[REASON_FALL] = "fall",
		[REASON_LEGACY_WORKER] = "legacy-worker",
	};

	return names[kind];
}

struct span {
	int64_t from_ms, to_ms;
};

/* One account on its way. */
struct accounting {
	const struct account_question *question;
	struct account *account;
	struct span *unknown; /* pieces of the window */
	size_t unknown_count, unknown_room;
	bool is_out_of_memory;
};

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
	if (account->reason_count < REASONS_MAX)
		account->reasons[account->reason_count++] = *reason;
}

static void add_unknown(struct accounting *accounting, int64_t from_ms, int64_t to_ms)
{
	size_t room = accounting->unknown_room ? 2 * accounting->unknown_room : 16;
	struct span *larger = accounting->unknown;

	if (accounting->unknown_count == accounting->unknown_room) {
		larger = reallocarray(larger, room, sizeof(*larger));
		if (!larger) {
			accounting->is_out_of_memory = true;
			return;
		}
		accounting->unknown = larger;
		accounting->unknown_room = room;
	}
	larger[accounting->unknown_count++] = (struct span){ from_ms, to_ms };
}

/* A piece of time of which nothing is known; outside of the window it does not matter. */
static void add_piece(struct accounting *accounting, const struct reason *piece)
{
	const struct account_question *question = accounting->question;
	struct reason reason = *piece;
	const int64_t from_ms = MAX_OF(piece->from_ms, question->from_ms);
	const int64_t to_ms = MIN_OF(piece->to_ms, question->to_ms);

	if (from_ms >= to_ms)
		return;
	add_unknown(accounting, from_ms, to_ms);
	if (piece->to_ms == TIME_OPEN) {
		accounting->account->is_complete = false;
	} else {
		reason.from_ms = from_ms;
		reason.to_ms = to_ms;
	}
	add_reason(accounting->account, &reason);
}

static void add_tail(
	struct accounting *accounting, const struct run *run, int64_t from_ms, int64_t to_ms)
{
	const struct reason piece = { REASON_TAIL_UNMEASURED, from_ms, to_ms, run->epoch, "", "" };

	add_piece(accounting, &piece);
}

static int64_t frontier_of(const struct timeline_host *host)
{
	return host ? host->until_ms : INT64_MIN;
}

/* The window is final only when the host told of everything until then. */
static void require_frontier(
	struct accounting *accounting, const struct timeline_host *host, int64_t until_ms)
{
	const int64_t frontier_ms = frontier_of(host);
	const struct reason reason = { REASON_WORKER_SILENT, frontier_ms, TIME_OPEN, "",
		host ? host->name : "", "" };

	if (frontier_ms >= MIN_OF(until_ms, accounting->question->to_ms))
		return;
	accounting->account->is_complete = false;
	add_reason(accounting->account, &reason);
}

/* From its last sample on, an open run's counter may have done anything. */
static void add_pending(struct accounting *accounting, const struct run *run, int64_t from_ms)
{
	const struct reason piece = { REASON_NOT_ANSWERING, from_ms, TIME_OPEN, run->epoch, "",
		"" };

	if (from_ms >= accounting->question->to_ms)
		return;
	if (frontier_of(run->host) >= accounting->question->to_ms) {
		add_piece(accounting, &piece);
		return;
	}
	accounting->account->is_complete = false;
	add_unknown(accounting, MAX_OF(from_ms, accounting->question->from_ms),
		accounting->question->to_ms);
}

static int64_t last_of(const struct gathered *series)
{
	return series->epoch.samples[series->epoch.count - 1].time_ms;
}

static int64_t begin_of(const struct gathered *series)
{
	int64_t first_ms = series->epoch.samples[0].time_ms;

	return series->epoch.start_ms != EPOCH_START_UNKNOWN
		       ? MIN_OF(first_ms, series->epoch.start_ms)
		       : first_ms;
}

static bool is_begin_known(const struct gathered *series)
{
	return series->epoch.start_ms != EPOCH_START_UNKNOWN;
}

/* The series of one epoch, by parameter, life and segment. */
struct group {
	const struct gathered *const *series;
	size_t count;
};

/* A device's life in one run: the segments of it, taken together. */
struct life {
	const struct gathered *first, *last; /* by segment */
};

static bool is_life_of(const struct gathered *a, const struct gathered *b)
{
	return strcmp(a->parameter, b->parameter) == 0 && strcmp(a->life, b->life) == 0;
}

static bool is_asked_for(const struct accounting *accounting, const struct gathered *series)
{
	return strcmp(series->parameter, accounting->question->parameter) == 0;
}

/* Something of the group was read at each of these times, which is not of this life: for NICs the
 * state, for others another parameter or life. */
struct witnesses {
	int64_t after_ms, before_ms; /* looked for in between */
	int64_t first_ms, last_ms;   /* found; TIME_OPEN and INT64_MIN if none */
};

static void note_witness(struct witnesses *witnesses, int64_t time_ms)
{
	if (time_ms <= witnesses->after_ms || time_ms >= witnesses->before_ms)
		return;
	witnesses->first_ms = MIN_OF(witnesses->first_ms, time_ms);
	witnesses->last_ms = MAX_OF(witnesses->last_ms, time_ms);
}

static struct witnesses find_witnesses(const struct run *run, const struct group *group,
	const struct life *life, int64_t after_ms, int64_t before_ms)
{
	struct witnesses witnesses = { after_ms, before_ms, TIME_OPEN, INT64_MIN };
	bool is_nic = group->count && group->series[0]->metric->group == METRIC_GROUP_NIC;

	for (size_t i = 0; is_nic && i < run->stretch_count; i++)
		for (size_t j = 0; j < run->stretches[i].count; j++)
			if (run->stretches[i].states[j].value != STATE_SHUTOFF)
				note_witness(&witnesses, run->stretches[i].states[j].time_ms);
	if (is_nic && run->stretch_count)
		return witnesses;
	for (size_t i = 0; i < group->count; i++)
		for (size_t j = 0; !is_life_of(group->series[i], life->first) &&
				   j < group->series[i]->epoch.count;
			j++)
			note_witness(&witnesses, group->series[i]->epoch.samples[j].time_ms);
	return witnesses;
}

static void account_life_end(struct accounting *accounting, const struct run *run,
	const struct group *group, const struct life *life)
{
	int64_t last_ms = last_of(life->last);
	int64_t gone_ms = find_witnesses(run, group, life, last_ms, TIME_OPEN).first_ms;

	if (gone_ms != TIME_OPEN)
		add_tail(accounting, run, last_ms, gone_ms);
	else if (run->end_ms != TIME_OPEN)
		add_tail(accounting, run, last_ms, run->end_ms);
	else
		add_pending(accounting, run, last_ms);
}

/* Where its start is unknown, what it counted since it was not there is lost. */
static void account_life_begin(struct accounting *accounting, const struct run *run,
	const struct group *group, const struct life *life)
{
	int64_t first_ms = life->first->epoch.samples[0].time_ms;

	if (is_begin_known(life->first) || first_ms <= run->begin_ms)
		return;
	add_tail(accounting, run, find_witnesses(run, group, life, run->begin_ms, first_ms).last_ms,
		first_ms);
}

/* Nothing of the parameter in this run: it lacks the device, or nobody could read it. */
static void account_absence(
	struct accounting *accounting, const struct run *run, const struct group *group)
{
	bool is_nic = accounting->question->series[0].metric->group == METRIC_GROUP_NIC;

	if (group->count || (is_nic && run_is_seen(run)))
		return;
	if (run->end_ms != TIME_OPEN)
		add_tail(accounting, run, run->begin_ms, run->end_ms);
	else
		add_pending(accounting, run, run->begin_ms);
}

static void account_states(struct accounting *accounting, const struct run *run)
{
	if (run->end_ms != TIME_OPEN)
		add_tail(accounting, run, run->last_ms, run->end_ms);
	else
		add_pending(accounting, run, run->last_ms);
}

static void account_run(
	struct accounting *accounting, const struct run *run, const struct group *group)
{
	bool is_any = false;
	struct life life;

	if (run->begin_ms >= accounting->question->to_ms)
		return;
	require_frontier(accounting, run->host, run->end_ms);
	for (size_t i = 0; i < group->count; i++) {
		if (!is_asked_for(accounting, group->series[i]))
			continue;
		life = (struct life){ group->series[i], group->series[i] };
		for (; i + 1 < group->count && is_life_of(group->series[i + 1], life.first); i++)
			life.last = group->series[i + 1];
		is_any = true;
		account_life_begin(accounting, run, group, &life);
		account_life_end(accounting, run, group, &life);
	}
	if (!accounting->question->parameter)
		account_states(accounting, run);
	else if (!is_any)
		account_absence(accounting, run, group);
}

/* Runs of collectors that read no state: each sample says that the instance ran. */
static void account_stateless(struct accounting *accounting, const struct group *group)
{
	const struct timeline *timeline = accounting->question->timeline;
	struct run run = { .epoch = group->series[0]->epoch_name,
		.host = timeline_host(timeline, group->series[0]->epoch_name),
		.begin_ms = TIME_OPEN,
		.last_ms = INT64_MIN };

	for (size_t i = 0; i < group->count; i++) {
		run.begin_ms = MIN_OF(run.begin_ms, begin_of(group->series[i]));
		run.is_begin_known = run.is_begin_known || is_begin_known(group->series[i]);
		run.last_ms = MAX_OF(run.last_ms, last_of(group->series[i]));
	}
	run.end_ms = timeline_end_unseen(timeline, run.host, run.last_ms);
	account_run(accounting, &run, group);
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

/* All series of the question by epoch; what was dealt with is taken out (NULL). */
struct sorted {
	const struct gathered **series;
	size_t count;
};

static int sort_by_epoch(const struct account_question *question, struct sorted *ret_sorted)
{
	size_t count = question->parameter ? question->count : 0;

	ret_sorted->count = count;
	ret_sorted->series = calloc(count + 1, sizeof(*ret_sorted->series));
	if (!ret_sorted->series)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		ret_sorted->series[i] = &question->series[i];
	if (count > 1)
		qsort(ret_sorted->series, count, sizeof(*ret_sorted->series), compare_by_epoch);
	return 0;
}

static struct group group_at(const struct sorted *sorted, size_t place)
{
	struct group group = { &sorted->series[place], 0 };

	while (place + group.count < sorted->count &&
		strcmp(sorted->series[place + group.count]->epoch_name,
			sorted->series[place]->epoch_name) == 0)
		group.count++;
	return group;
}

static struct group group_of(const struct sorted *sorted, const char *epoch)
{
	size_t low = 0, high = sorted->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(sorted->series[middle]->epoch_name, epoch) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == sorted->count || strcmp(sorted->series[low]->epoch_name, epoch) != 0)
		return (struct group){ NULL, 0 };
	return group_at(sorted, low);
}

static int account_runs(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;
	struct sorted sorted;
	int r = sort_by_epoch(accounting->question, &sorted);

	for (size_t i = 0; i < timeline->run_count && r == 0; i++) {
		const struct group group = group_of(&sorted, timeline->runs[i].epoch);

		account_run(accounting, &timeline->runs[i], &group);
	}
	for (size_t i = 0; i < sorted.count && r == 0;) {
		const struct group group = group_at(&sorted, i);

		if (*group.series[0]->epoch_name &&
			!timeline_run(timeline, group.series[0]->epoch_name))
			account_stateless(accounting, &group);
		i += group.count;
	}
	free(sorted.series);
	return r;
}

/* Old workers: known between the first and the last sample of all that came under a name. */
static void account_legacy(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	int64_t first_ms = TIME_OPEN, last_ms = INT64_MIN;
	struct reason piece = { REASON_LEGACY_WORKER, question->from_ms, question->to_ms, "", "",
		"" };

	for (size_t i = 0; i < question->count; i++) {
		const struct gathered *series = &question->series[i];

		if (*series->epoch_name || !is_asked_for(accounting, series))
			continue;
		first_ms = MIN_OF(first_ms, begin_of(series));
		last_ms = MAX_OF(last_ms, last_of(series));
	}
	if (first_ms == TIME_OPEN)
		return;
	accounting->account->is_legacy = true;
	add_reason(accounting->account, &piece);
	piece = (struct reason){ REASON_BEGIN_UNMEASURED, INT64_MIN, first_ms, "", "", "" };
	add_piece(accounting, &piece);
	piece = (struct reason){ REASON_TAIL_UNMEASURED, last_ms, INT64_MAX - 1, "", "", "" };
	add_piece(accounting, &piece);
}

/* Where and when the instance was known for the first time. */
struct sign {
	const struct timeline_host *host;
	int64_t time_ms;
	bool is_whole; /* nothing of the instance was before it on that host */
};

static void note_first(
	struct sign *first, const struct timeline_host *host, int64_t time_ms, bool is_whole)
{
	if (time_ms < first->time_ms)
		*first = (struct sign){ host, time_ms, is_whole };
}

static void account_before(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	const struct timeline *timeline = question->timeline;
	struct sign first = { .time_ms = TIME_OPEN };
	struct reason piece = { REASON_BEGIN_UNMEASURED, INT64_MIN, INT64_MIN, "", "", "" };

	for (size_t i = 0; i < timeline->run_count; i++)
		note_first(&first, timeline->runs[i].host, timeline->runs[i].begin_ms,
			timeline->runs[i].is_begin_known);
	for (size_t i = 0; i < timeline->off_count; i++)
		note_first(
			&first, timeline->offs[i].host, timeline->offs[i].states[0].time_ms, true);
	for (size_t i = 0; question->parameter && i < question->count; i++)
		if (*question->series[i].epoch_name)
			note_first(&first, timeline_host(timeline, question->series[i].epoch_name),
				begin_of(&question->series[i]),
				is_begin_known(&question->series[i]));
	if (first.time_ms == TIME_OPEN)
		return;
	piece.to_ms = first.is_whole && first.host ? MIN_OF(first.host->first_ms, first.time_ms)
						   : first.time_ms;
	add_piece(accounting, &piece);
}

/* When the instance began to run on another host, after a time; TIME_OPEN if it did not. */
static int64_t first_run_elsewhere(
	const struct timeline *timeline, const struct timeline_host *host, int64_t after_ms)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].host != host && timeline->runs[i].begin_ms > after_ms)
			return timeline->runs[i].begin_ms;
	return TIME_OPEN;
}

/* The state of the instance on a host at or before a time: of the last sample that says one. */
static bool is_off_at(
	const struct timeline *timeline, const struct timeline_host *host, int64_t time_ms)
{
	int64_t found_ms = INT64_MIN;
	bool is_off = false;

	for (size_t i = 0; i < timeline->off_count; i++) {
		const struct off *off = &timeline->offs[i];

		for (size_t j = 0; off->host == host && j < off->count; j++)
			if (off->states[j].time_ms <= time_ms &&
				off->states[j].time_ms >= found_ms) {
				found_ms = off->states[j].time_ms;
				is_off = off->states[j].value == STATE_SHUTOFF;
			}
	}
	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];

		if (run->host == host && run->begin_ms <= time_ms && run->end_ms > found_ms &&
			run->end_ms > time_ms)
			return false;
		if (run->host == host && run->end_ms <= time_ms && run->end_ms > found_ms) {
			found_ms = run->end_ms;
			is_off = run->last_state == STATE_SHUTOFF;
		}
	}
	return is_off && first_run_elsewhere(timeline, host, found_ms) > time_ms;
}

static int64_t next_run_on(
	const struct timeline *timeline, const struct timeline_host *host, int64_t after_ms)
{
	for (size_t i = 0; i < timeline->run_count; i++)
		if (timeline->runs[i].host == host && timeline->runs[i].begin_ms > after_ms)
			return timeline->runs[i].begin_ms;
	return TIME_OPEN;
}

/* While nobody looked, an instance that was off could have lived unseen. */
static void account_gaps(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;

	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = &timeline->hosts[i];

		for (size_t j = 0; j < host->gap_count; j++) {
			const struct gap *gap = &host->gaps[j];
			const struct reason piece = { REASON_GAP, gap->from_ms,
				MIN_OF(gap->to_ms, next_run_on(timeline, host, gap->from_ms)), "",
				host->name, gap->reason };

			if (gap->has_instance || is_off_at(timeline, host, gap->from_ms))
				add_piece(accounting, &piece);
		}
	}
}

/* The last sign of an instance on a host where it does not run. */
struct last_sign {
	int64_t time_ms;
	int64_t moved_ms; /* a run elsewhere that began after it took the instance over */
	bool is_gone;     /* it is no longer defined there */
};

static bool find_last_sign(const struct timeline *timeline, const struct timeline_host *host,
	struct last_sign *ret_sign)
{
	struct last_sign sign = { .time_ms = INT64_MIN };

	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];

		if (run->host != host)
			continue;
		if (run->end_ms == TIME_OPEN)
			return false;
		if (run->end_ms < sign.time_ms)
			continue;
		sign.time_ms = run->end_ms;
		sign.moved_ms =
			run->last_state == STATE_SHUTOFF && run->last_reason == REASON_MIGRATED
				? run->begin_ms
				: run->end_ms;
	}
	for (size_t i = 0; i < timeline->off_count; i++) {
		const struct off *off = &timeline->offs[i];
		const struct sample *last = &off->states[off->count - 1];

		if (off->host == host && last->time_ms >= sign.time_ms)
			sign = (struct last_sign){ last->time_ms, last->time_ms,
				last->value == STATE_UNDEFINED };
	}
	*ret_sign = sign;
	return sign.time_ms != INT64_MIN;
}

/* What is off now may start again: it is known only as far as the host told. */
static void account_after(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	const struct timeline *timeline = question->timeline;

	for (size_t i = 0; i < timeline->host_count; i++) {
		const struct timeline_host *host = &timeline->hosts[i];
		struct reason piece = { REASON_WORKER_SILENT, 0, TIME_OPEN, "", host->name, "" };
		struct last_sign sign;

		if (!find_last_sign(timeline, host, &sign) || sign.is_gone ||
			host->until_ms == TIME_OPEN || sign.time_ms >= question->to_ms ||
			first_run_elsewhere(timeline, host, sign.moved_ms) != TIME_OPEN)
			continue;
		piece.from_ms = MAX_OF(host->until_ms, sign.time_ms);
		add_piece(accounting, &piece);
	}
}

static void account_migrations(struct accounting *accounting)
{
	const struct timeline *timeline = accounting->question->timeline;

	for (size_t i = 0; i < timeline->run_count; i++) {
		const struct run *run = &timeline->runs[i];
		const struct reason piece = { REASON_MIGRATED_AWAY, run->end_ms, TIME_OPEN,
			run->epoch, "", "" };

		if (run->last_state == STATE_SHUTOFF && run->last_reason == REASON_MIGRATED &&
			first_run_elsewhere(timeline, run->host, run->begin_ms) == TIME_OPEN)
			add_piece(accounting, &piece);
	}
}

static void account_falls(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;

	for (size_t i = 0; i < question->count; i++) {
		const struct gathered *series = &question->series[i];
		const struct sample *samples = series->epoch.samples;

		if (!*series->epoch_name || !is_asked_for(accounting, series))
			continue;
		for (size_t j = 1; j < series->epoch.count; j++) {
			const struct reason reason = { REASON_FALL, samples[j].time_ms,
				samples[j].time_ms, series->epoch_name, "", "" };

			if (samples[j].value < samples[j - 1].value &&
				samples[j].time_ms > question->from_ms &&
				samples[j - 1].time_ms < question->to_ms)
				add_reason(accounting->account, &reason);
		}
	}
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *left = a, *right = b;

	return (left->from_ms > right->from_ms) - (left->from_ms < right->from_ms);
}

/* The length of the union. */
static int64_t measure(struct span *spans, size_t count)
{
	int64_t reached_ms = INT64_MIN, length_ms = 0;

	if (count > 1)
		qsort(spans, count, sizeof(*spans), compare_spans);
	for (size_t i = 0; i < count; i++) {
		int64_t from_ms = MAX_OF(spans[i].from_ms, reached_ms);

		if (spans[i].to_ms <= from_ms)
			continue;
		length_ms += spans[i].to_ms - from_ms;
		reached_ms = spans[i].to_ms;
	}
	return length_ms;
}

static void account_future(struct accounting *accounting)
{
	const struct account_question *question = accounting->question;
	const struct reason reason = { REASON_FUTURE, question->timeline->now_ms, TIME_OPEN, "", "",
		"" };

	if (question->to_ms <= question->timeline->now_ms)
		return;
	accounting->account->is_complete = false;
	add_reason(accounting->account, &reason);
}

int account_make(const struct account_question *question, struct account *ret_account)
{
	struct accounting accounting = { .question = question, .account = ret_account };
	int r;

	*ret_account = (struct account){ .window_ms = question->to_ms - question->from_ms,
		.is_complete = true };
	account_before(&accounting);
	r = account_runs(&accounting);
	account_gaps(&accounting);
	account_after(&accounting);
	account_migrations(&accounting);
	account_future(&accounting);
	if (question->parameter) {
		account_falls(&accounting);
		account_legacy(&accounting);
	}
	ret_account->unknown_ms = measure(accounting.unknown, accounting.unknown_count);
	free(accounting.unknown);
	return accounting.is_out_of_memory ? -ENOMEM : r;
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
