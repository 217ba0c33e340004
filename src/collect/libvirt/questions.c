/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/questions.h"

#include <errno.h>

#include "collect/libvirt/readings.h"
#include "collect/libvirt/silence.h"

enum {
	QUESTIONS_MAX = 2, /* in one round: one that hangs, and the one after it */
	TRIES_MAX = 8,     /* for one domain */
	TRY_MS = 30,
	GROUPS = VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_BALLOON,
};

static void ask(struct reader *reader)
{
	reader->is_asking = monitor_ask(reader->monitor, MONITOR_ROUND, reader->groups, NULL);
	reader->asked_ms = clock_monotonic_ms(reader->context.clock);
	reader->questions++;
}

void questions_begin(struct reader *reader, int64_t time_ms)
{
	int64_t beat_ms = config_integer(reader->context.config, "worker", "vcpu_interval") * 1000;
	int64_t now_ms = clock_monotonic_ms(reader->context.clock);

	reader->groups = GROUPS;
	if (beat_ms && (!reader->vcpu_ms || now_ms - reader->vcpu_ms >= beat_ms)) {
		reader->groups |= VIR_DOMAIN_STATS_VCPU;
		reader->vcpu_ms = now_ms;
	}
	reader->questions = 0;
	reader->asked_tick_ms = time_ms;
	ask(reader);
}

/* The frontier may already be further: a later round did not wait for this one. */
static void end_round(struct reader *reader, struct batch **batch)
{
	int64_t until_ms = reader->asked_tick_ms;

	(*batch)->host = reader->context.host;
	if (until_ms > reader->until_ms)
		(*batch)->until_ms = reader->until_ms = until_ms;
	reader_save(reader);
	reader->context.deliver(reader->context.worker, batch);
}

/* Of domains that are known, and in the run in which they were asked. Nobody can tell which of two
 * answers is the older, if one was asked before the other one came: the second is not used. */
static void complete_answers(
	struct reader *reader, struct batch *batch, int64_t asked_ms, int64_t time_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < batch->reading_count; i++) {
		struct reading *reading = &batch->readings[i];
		struct domain *domain = domains_find(&reader->domains, &reading->instance.uuid);

		if (!domain || !domain_is_running(domain) || domain->run.opened_ms > asked_ms ||
			domain->run.used_ms >= asked_ms)
			continue;
		if (!readings_complete_answer(reader, domain, batch, reading, time_ms))
			continue;
		domain->run.used_ms = clock_monotonic_ms(reader->context.clock);
		batch->readings[kept++] = *reading;
	}
	batch->reading_count = kept;
}

void questions_do_without(struct reader *reader)
{
	CLEANUP(batch_free) struct batch *batch = NULL;

	if (batch_new(&batch) < 0)
		return;
	for (size_t i = 0; i < reader->domains.count; i++) {
		struct domain *domain = reader->domains.items[i];

		if (domain_is_running(domain) && domain->memory_max_kib > 0 &&
			!readings_add_memory(reader, batch, domain, reader->asked_tick_ms))
			return;
	}
	end_round(reader, &batch);
}

void questions_wait(struct reader *reader)
{
	struct batch *batch = NULL;
	int r = monitor_wait(reader->monitor, MONITOR_ROUND, SLICE_MS, &batch);

	if (r == 0) {
		reader->is_asking = false;
		complete_answers(reader, batch, reader->asked_ms, reader->asked_tick_ms);
		end_round(reader, &batch);
		return;
	}
	if (r == -EAGAIN && clock_monotonic_ms(reader->context.clock) - reader->asked_ms <
				    reader_patience_ms(reader))
		return;
	reader->is_asking = false;
	if (r == -EAGAIN) {
		monitor_give_up(reader->monitor, MONITOR_ROUND);
		if (reader->connection)
			silence_find(reader);
	}
	if (reader->questions < QUESTIONS_MAX)
		ask(reader);
	if (!reader->is_asking)
		questions_do_without(reader);
}

static enum monitor_lane lane_of(const struct reader *reader)
{
	return reader->is_asking ? MONITOR_EVENT : MONITOR_ROUND;
}

bool questions_ask_one(struct reader *reader, const struct uuid *uuid)
{
	return monitor_ask(reader->monitor, lane_of(reader), GROUPS, uuid);
}

/* 0; -EAGAIN: there is nothing of its disks in the answer, which is not used then. */
static int wait_one(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	int64_t patience_ms = MIN_OF(reader_patience_ms(reader), LATE_MS);
	CLEANUP(batch_free) struct batch *batch = NULL;
	int64_t answered_ms = domain->run.answered_ms, used_ms = domain->run.used_ms;
	int r = monitor_wait(reader->monitor, lane_of(reader), (int)patience_ms, &batch);

	if (r == -EAGAIN)
		monitor_give_up(reader->monitor, lane_of(reader));
	if (r < 0)
		return -EIO;
	batch->host = reader->context.host;
	complete_answers(reader, batch, INT64_MAX, time_ms); /* the round's waits for it */
	if (domain->is_partial) {
		domain->run.answered_ms = answered_ms;
		domain->run.used_ms = used_ms;
		return -EAGAIN;
	}
	reader_save(reader);
	if (batch->reading_count)
		reader->context.deliver(reader->context.worker, &batch);
	return 0;
}

void questions_wait_one(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	int tries = 1;

	/* While libvirt itself is at the domain, to save it for instance, NOWAIT passes it over. */
	while (wait_one(reader, domain, time_ms) == -EAGAIN && tries++ < TRIES_MAX &&
		domain_is_running(domain) && !reader_has_heard(reader, TRY_MS))
		if (!questions_ask_one(reader, &domain->uuid))
			return;
}
