/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/*     1. what never asks QEMU: state and interfaces in bulk, of those that are off too, CPU time by
 *        virDomainGetInfo; delivered at once
 *     2. the question to the child that asks QEMU for disks and balloons (questions.h); its answer
 *        is delivered when it comes, and a new tick does not wait for it
 *
 * What a round read is complete until its time when both have been delivered; or when step 1 of a
 * later round has, for an answer that comes after that carries a later time (readings.c). */

#include "collect/libvirt/rounds.h"

#include "collect/libvirt/external.h"
#include "collect/libvirt/lifecycle.h"
#include "collect/libvirt/questions.h"
#include "collect/libvirt/silence.h"

/* How long an event may take that explains what a round saw. */
enum { EVENT_WAIT_MS = 200, WAITS_MAX = 4 };

struct records {
	virDomainStatsRecordPtr *items;
	int count;
};

static bool fetch(struct reader *reader, struct records *records)
{
	int64_t begin_ms = clock_monotonic_ms(reader->context.clock);

	records->items = NULL;
	records->count = virConnectGetAllDomainStats(connection_handle(reader->connection),
		VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_INTERFACE, &records->items,
		VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE |
			VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE);
	if (clock_monotonic_ms(reader->context.clock) - begin_ms > reader_interval_ms(reader))
		reader->is_hindered = true;
	if (records->count < 0)
		reader_disconnect(reader, "does not answer any more; it is connected again");
	return records->count >= 0;
}

static void mark_seen(struct reader *reader, const struct records *records)
{
	struct domain *domain;
	struct uuid uuid;

	for (size_t i = 0; i < reader->domains.count; i++)
		reader->domains.items[i]->is_seen = false;
	for (int i = 0; i < records->count; i++) {
		if (virDomainGetUUID(records->items[i]->dom, uuid.bytes) < 0)
			continue;
		domain = domains_find(&reader->domains, &uuid);
		if (domain)
			domain->is_seen = true;
	}
}

static bool is_as_known(struct reader *reader, const struct records *records)
{
	for (int i = 0; i < records->count; i++)
		if (!lifecycle_is_known(reader, records->items[i]))
			return false;
	for (size_t i = 0; i < reader->domains.count; i++)
		if (!reader->domains.items[i]->is_seen)
			return false;
	return true;
}

/* If something changed of which no event told yet, waits for that, and reads again. */
static bool fetch_settled(struct reader *reader, struct records *records)
{
	if (!fetch(reader, records))
		return false;
	mark_seen(reader, records);
	if (reader->is_new || is_as_known(reader, records))
		return true;
	virDomainStatsRecordListFree(records->items);
	for (int i = 0; i < WAITS_MAX && reader_take_events(reader, EVENT_WAIT_MS); i++)
		for (size_t k = 0; k < reader->events.count; k++)
			lifecycle_handle(reader, &reader->events.items[k]);
	if (!reader->connection || !fetch(reader, records))
		return false;
	mark_seen(reader, records);
	return true;
}

static bool add_records(struct reader *reader, const struct records *records, int64_t time_ms)
{
	bool is_ok = true;

	for (int i = 0; is_ok && i < records->count; i++) {
		virDomainStatsRecordPtr record = records->items[i];

		if ((int)virDomainGetID(record->dom) < 0)
			lifecycle_see_off(reader, record, time_ms);
		else
			is_ok = lifecycle_see_running(reader, record, time_ms);
	}
	return is_ok;
}

static void add_missing(struct reader *reader, int64_t time_ms)
{
	for (size_t i = reader->domains.count; i-- > 0;)
		if (!reader->domains.items[i]->is_seen)
			lifecycle_miss(reader, reader->domains.items[i], time_ms);
}

/* Step 1. False: libvirt is in trouble, or there is no memory. */
static bool read_cheap(struct reader *reader, int64_t time_ms)
{
	struct records records;
	int64_t now_ms;
	bool is_ok;

	if (!fetch_settled(reader, &records)) {
		reader->is_hindered = true;
		return false;
	}
	now_ms = clock_wall_ms(reader->context.clock);
	if (now_ms - time_ms > LATE_MS)
		time_ms = now_ms; /* it took so long */
	is_ok = add_records(reader, &records, time_ms);
	virDomainStatsRecordListFree(records.items);
	add_missing(reader, time_ms);
	external_read(reader, time_ms);
	if (!is_ok)
		return false;
	if (reader->is_hindered && reader->whole_ms && reader->whole_ms < time_ms)
		is_ok = readings_add_gap(reader, NULL, reader->whole_ms, time_ms, "libvirt");
	if (is_ok) {
		reader->whole_ms = time_ms;
		reader->is_hindered = reader->is_new = false;
		reader->has_seen_all = true;
	}
	return is_ok;
}

/* The answer to an earlier question is not waited for. */
static void pass_by(struct reader *reader, int64_t time_ms)
{
	struct batch *batch = reader_batch(reader);

	if (batch && time_ms > reader->until_ms)
		batch->until_ms = reader->until_ms = time_ms;
	reader_flush(reader);
}

void rounds_do(struct reader *reader, int64_t time_ms)
{
	if (!read_cheap(reader, time_ms)) {
		reader_flush(reader);
		return;
	}
	reader->backoff_ms = 0;
	if (reader->is_asking) {
		pass_by(reader, time_ms);
		return;
	}
	reader_flush(reader);
	monitor_check(reader->monitor);
	silence_find(reader);
	questions_begin(reader, time_ms);
	if (!reader->is_asking)
		questions_do_without(reader);
}
