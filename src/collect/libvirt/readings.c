/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A reading carries the time that it was wanted for: its tick's or its event's. But
 *
 *     1. never a time more than LATE_MS before it was really taken,
 *     2. nor one at or before that of the last reading of the same kind in the same run, or a
 *        counter would seem to fall,
 *     3. nor one of before the run, or of what was told to be complete (until_ms).
 *
 * It then carries the time at which it was taken. */

#include "collect/libvirt/readings.h"

#include <net/if.h>
#include <stdio.h>

#include "collect/libvirt/stats.h"

static int64_t time_of(const struct reader *reader, const struct clock_reading *now,
	const struct run *run, int64_t last_ms, int64_t wanted_ms)
{
	int64_t now_ms = now->wall_ms, floor_ms = MAX_OF(reader->until_ms, last_ms);

	if (now->segment != reader->segment)
		return now_ms; /* what else is known is of another clock */
	if (now_ms - wanted_ms <= LATE_MS && wanted_ms - now_ms <= LATE_MS &&
		wanted_ms > floor_ms && wanted_ms > run->start_ms)
		return wanted_ms;
	return MAX_OF(now_ms, floor_ms + 1);
}

static void complete(struct batch *batch, struct reading *reading, const struct domain *domain,
	const struct clock_reading *now, int64_t time_ms)
{
	reading->instance.has_uuid = true;
	reading->instance.uuid = domain->uuid;
	reading->time_ms = time_ms;
	reading->segment = now->segment;
	reading->delay_ms = MAX_OF(now->wall_ms - time_ms, 0);
	reading->epoch = batch_text(batch, domain->run.epoch);
	if (!reading->epoch)
		reading->epoch = "";
	reading->start_ms = *domain->run.epoch ? domain->run.start_ms : EPOCH_START_UNKNOWN;
}

/* A tap that is gone already had the index that it had. */
static const char *name_nic(struct batch *batch, const struct domain *domain, const char *nic)
{
	unsigned int index = if_nametoindex(nic);
	const char *known = devices_present(&domain->run.devices, METRIC_GROUP_NIC, nic);
	char life[32];

	snprintf(life, sizeof(life), "if%u", index);
	return batch_text(batch, index ? life : known ? known : "");
}

static bool name_nics(
	struct reader *reader, struct batch *batch, struct reading *reading, struct domain *domain)
{
	for (size_t i = 0; i < reading->tuple_count; i++) {
		struct tuple *tuple = &reading->tuples[i];

		if (tuple->group == METRIC_GROUP_NIC)
			tuple->life = name_nic(batch, domain, tuple->parameter);
		if (!tuple->life)
			return false;
	}
	reader->lives.is_changed |= devices_name(
		&domain->run.devices, METRIC_GROUP_NIC, batch, reading, reading->time_ms);
	return true;
}

static bool add_cpu(
	struct batch *batch, struct reading *reading, struct domain *domain, virDomainPtr handle)
{
	virDomainInfo info;
	struct tuple *tuple;

	/* Of a QEMU that is gone it says 0. */
	if (virDomainGetInfo(handle, &info) < 0 || info.cpuTime > INT64_MAX ||
		(int64_t)info.cpuTime < domain->run.cpu_ns)
		return true;
	domain->run.cpu_ns = (int64_t)info.cpuTime;
	domain->memory_max_kib = (int64_t)info.maxMem;
	domain->memory_kib = (int64_t)info.memory;
	tuple = batch_add_tuple(batch, reading);
	if (!tuple)
		return false;
	tuple->group = METRIC_GROUP_CPU;
	tuple->parameter = "total";
	tuple->life = "";
	tuple_set(tuple, 0, domain->run.cpu_ns);
	return true;
}

static void set_state(struct tuple *tuple, const struct state *state)
{
	tuple->group = METRIC_GROUP_STATE;
	tuple->parameter = "total";
	tuple->life = "";
	tuple_set(tuple, 0, state->code);
	tuple_set(tuple, 1, state->reason);
}

/* What was read may already be of after the event. */
static void correct_state(struct reading *reading, const struct state *said)
{
	for (size_t i = 0; said && i < reading->tuple_count; i++)
		if (reading->tuples[i].group == METRIC_GROUP_STATE &&
			reading->tuples[i].values[0] != said->code)
			set_state(&reading->tuples[i], said);
}

static void keep_state(struct run *run, const struct reading *reading)
{
	for (size_t i = 0; i < reading->tuple_count; i++) {
		const struct tuple *tuple = &reading->tuples[i];

		if (tuple->group != METRIC_GROUP_STATE)
			continue;
		run->state_ms = reading->time_ms;
		run->state = tuple->values[0];
		run->reason = tuple_has(tuple, 1) ? tuple->values[1] : 0;
	}
}

bool readings_add_cheap(struct reader *reader, struct domain *domain,
	virDomainStatsRecordPtr record, int64_t time_ms, const struct state *said)
{
	struct clock_reading now = clock_read(reader->context.clock);
	struct batch *batch = reader_batch(reader);
	struct reading *reading = batch ? batch_add_reading(batch) : NULL;

	if (!reading || !stats_read(batch, reading, record->params, record->nparams) ||
		!add_cpu(batch, reading, domain, record->dom))
		return false;
	correct_state(reading, said);
	time_ms = time_of(reader, &now, &domain->run, domain->run.read_ms, time_ms);
	complete(batch, reading, domain, &now, time_ms);
	if (!name_nics(reader, batch, reading, domain))
		return false;
	keep_state(&domain->run, reading);
	domain->run.read_ms = time_ms;
	return true;
}

bool readings_add_state(
	struct reader *reader, struct domain *domain, const struct state *state, int64_t time_ms)
{
	struct clock_reading now = clock_read(reader->context.clock);
	struct batch *batch = reader_batch(reader);
	struct reading *reading = batch ? batch_add_reading(batch) : NULL;
	struct tuple *tuple = reading ? batch_add_tuple(batch, reading) : NULL;
	struct run *run = &domain->run;

	if (!tuple)
		return false;
	set_state(tuple, state);
	time_ms = MAX_OF(time_ms, MAX_OF(reader->until_ms, run->read_ms) + 1);
	time_ms = MAX_OF(time_ms, MAX_OF(run->answered_ms, run->state_ms) + 1);
	if (now.segment != reader->segment)
		time_ms = now.wall_ms;
	complete(batch, reading, domain, &now, time_ms);
	keep_state(run, reading);
	run->read_ms = time_ms;
	return true;
}

bool readings_add_former_state(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	const struct run *run = &domain->run;
	const struct state former = { run->state, run->reason };

	if (!run->state_ms || run->state_ms >= time_ms - 1 || run->read_ms >= time_ms - 1 ||
		run->answered_ms >= time_ms - 1 || reader->until_ms >= time_ms - 1)
		return true;
	return readings_add_state(reader, domain, &former, time_ms - 1);
}

static const char *off_epoch(struct reader *reader, struct batch *batch)
{
	char epoch[EPOCH_TEXT_MAX + 1];
	const char *copy;

	snprintf(epoch, sizeof(epoch), "%s/off", reader->context.host);
	copy = batch_text(batch, epoch);
	return copy ? copy : "";
}

bool readings_add_off(
	struct reader *reader, struct domain *domain, const struct state *state, int64_t time_ms)
{
	struct clock_reading now = clock_read(reader->context.clock);
	struct batch *batch = reader_batch(reader);
	struct reading *reading = batch ? batch_add_reading(batch) : NULL;
	struct tuple *tuple = reading ? batch_add_tuple(batch, reading) : NULL;

	if (!tuple)
		return false;
	set_state(tuple, state);
	time_ms = MAX_OF(time_ms, MAX_OF(reader->until_ms, domain->off_ms) + 1);
	if (now.segment != reader->segment)
		time_ms = now.wall_ms;
	reading->instance.has_uuid = true;
	reading->instance.uuid = domain->uuid;
	reading->time_ms = time_ms;
	reading->segment = now.segment;
	reading->epoch = off_epoch(reader, batch);
	reader->lives.is_changed |= !domain->off_ms || !state->code;
	domain->off_ms = state->code ? time_ms : 0;
	domain->off_reason = state->reason;
	return true;
}

bool readings_add_gap(struct reader *reader, const struct uuid *uuid, int64_t from_ms,
	int64_t to_ms, const char *reason)
{
	struct batch *batch = reader_batch(reader);
	struct gap *gap = batch ? batch_add_gap(batch) : NULL;

	if (!gap)
		return false;
	gap->has_instance = uuid != NULL;
	if (uuid)
		gap->instance = *uuid;
	gap->from_ms = from_ms;
	gap->to_ms = MAX_OF(to_ms, from_ms);
	gap->reason = reason;
	return true;
}

/* Of a QEMU that does not answer libvirt knows the sizes of its disks only; a disk without counters
 * would look like one that was taken away. */
static void drop_silent_disks(struct reading *reading)
{
	size_t kept = 0;

	for (size_t i = 0; i < reading->tuple_count; i++) {
		const struct tuple *tuple = &reading->tuples[i];

		if (tuple->group != METRIC_GROUP_BLK || tuple_has(tuple, 0) || tuple_has(tuple, 1))
			reading->tuples[kept++] = *tuple;
	}
	reading->tuple_count = kept;
}

/* Whether it has any, and there was memory. */
static bool name_disks(struct domain *domain, struct batch *batch, struct reading *reading)
{
	bool has_disks = false;

	for (size_t i = 0; i < reading->tuple_count; i++) {
		struct tuple *tuple = &reading->tuples[i];

		if (tuple->group == METRIC_GROUP_BLK) {
			tuple->life =
				batch_text(batch, domain_disk_serial(domain, tuple->parameter));
			has_disks = true;
		}
		if (!tuple->life)
			return false;
	}
	return has_disks;
}

bool readings_complete_answer(struct reader *reader, struct domain *domain, struct batch *batch,
	struct reading *reading, int64_t time_ms)
{
	struct clock_reading now = clock_read(reader->context.clock);
	struct run *run = &domain->run;
	bool has_disks;

	drop_silent_disks(reading);
	has_disks = name_disks(domain, batch, reading);
	/* By the time of the question: what was taken away since is not back. */
	if (has_disks)
		reader->lives.is_changed |=
			devices_name(&run->devices, METRIC_GROUP_BLK, batch, reading, time_ms);
	domain->is_partial = domain->metadata.disk_count > 0 && !has_disks;
	if (!reading->tuple_count)
		return false;
	run->answered_ms = time_of(reader, &now, run, run->answered_ms, time_ms);
	complete(batch, reading, domain, &now, run->answered_ms);
	return true;
}

bool readings_add_memory(
	struct reader *reader, struct batch *batch, struct domain *domain, int64_t time_ms)
{
	struct clock_reading now = clock_read(reader->context.clock);
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple = reading ? batch_add_tuple(batch, reading) : NULL;

	if (!tuple)
		return false;
	tuple->group = METRIC_GROUP_MEM;
	tuple->parameter = "total";
	tuple->life = "";
	tuple_set(tuple, 0, domain->memory_max_kib);
	tuple_set(tuple, 2, domain->memory_kib);
	domain->run.answered_ms =
		time_of(reader, &now, &domain->run, domain->run.answered_ms, time_ms);
	complete(batch, reading, domain, &now, domain->run.answered_ms);
	return true;
}

struct reading *readings_begin_traffic(
	struct reader *reader, struct domain *domain, int64_t time_ms, bool is_end)
{
	struct clock_reading now = clock_read(reader->context.clock);
	struct batch *batch = reader_batch(reader);
	struct reading *reading = batch ? batch_add_reading(batch) : NULL;
	struct run *run = &domain->run;

	if (!reading)
		return NULL;
	if (!is_end || time_ms <= run->traffic_ms || now.segment != reader->segment)
		time_ms = time_of(reader, &now, run, run->traffic_ms, time_ms);
	run->traffic_ms = time_ms;
	complete(batch, reading, domain, &now, time_ms);
	return reading;
}
