/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/*     STARTED            the run opens; it is read at once
 *     1, 2, 4 ... s      later it is read again, up to the interval of the rounds: however short
 * its life is, what is not measured of it is less than the rest SUSPENDED, ...     it is read at
 * once, the last time perhaps STOPPED            the run closes with the state 5, and its reason a
 * round            closes a run that is no longer there (reason 0, unknown), and opens one that no
 * event told
 *
 * Events and rounds overlap: libvirt tells of a STOPPED when a round has perhaps seen the next run
 * already. A round therefore waits a little for an event that would explain what it saw; the
 * STOPPED of a run that it closed all the same is unclaimed, and ignored when it comes.
 *
 * The trap: a domain is active for libvirt before its QEMU runs and after it is gone. Its state is
 * then SHUTOFF, and nothing is read of it. */

#include "collect/libvirt/lifecycle.h"

#include <string.h>

#include "collect/libvirt/epoch.h"
#include "collect/libvirt/external.h"
#include "collect/libvirt/questions.h"

enum { YOUNG_STEP_MS = 1000 };

/* virDomainEventStoppedDetailType to virDomainShutoffReason */
static int64_t reason_of_stop(int detail)
{
	static const int64_t reasons[] = {
		[VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN] = VIR_DOMAIN_SHUTOFF_SHUTDOWN,
		[VIR_DOMAIN_EVENT_STOPPED_DESTROYED] = VIR_DOMAIN_SHUTOFF_DESTROYED,
		[VIR_DOMAIN_EVENT_STOPPED_CRASHED] = VIR_DOMAIN_SHUTOFF_CRASHED,
		[VIR_DOMAIN_EVENT_STOPPED_MIGRATED] = VIR_DOMAIN_SHUTOFF_MIGRATED,
		[VIR_DOMAIN_EVENT_STOPPED_SAVED] = VIR_DOMAIN_SHUTOFF_SAVED,
		[VIR_DOMAIN_EVENT_STOPPED_FAILED] = VIR_DOMAIN_SHUTOFF_FAILED,
		[VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT] = VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT,
	};

	return detail >= 0 && detail < (int)ARRAY_SIZE(reasons) ? reasons[detail]
								: VIR_DOMAIN_SHUTOFF_UNKNOWN;
}

/* The state that an event stands for; false: it says none. */
static bool state_of_event(const struct event *event, struct state *ret_state)
{
	static const int64_t codes[] = {
		[EVENT_SUSPENDED] = VIR_DOMAIN_PAUSED,
		[EVENT_RESUMED] = VIR_DOMAIN_RUNNING,
		[EVENT_SHUTDOWN] = VIR_DOMAIN_SHUTDOWN,
		[EVENT_PMSUSPENDED] = VIR_DOMAIN_PMSUSPENDED,
		[EVENT_CRASHED] = VIR_DOMAIN_CRASHED,
	};

	if (event->kind >= ARRAY_SIZE(codes) || !codes[event->kind])
		return false;
	*ret_state = (struct state){ codes[event->kind], 0 };
	return true;
}

static void open_run(struct reader *reader, struct domain *domain, int id)
{
	struct run *run = &domain->run;

	devices_deinit(&run->devices);
	*run = (struct run){ .id = id,
		.start_ms = EPOCH_START_UNKNOWN,
		.opened_ms = clock_monotonic_ms(reader->context.clock) };
	domain->is_stale = true;
	domain->is_partial = false;
	domain->off_ms = 0;
	reader->lives.is_changed = true;
}

/* Returns when, which is not before its last reading. */
static int64_t close_run(
	struct reader *reader, struct domain *domain, int64_t reason, int64_t time_ms)
{
	const struct state off = { VIR_DOMAIN_SHUTOFF, reason };
	struct run *run = &domain->run;

	if (*run->epoch) {
		(void)readings_add_former_state(reader, domain, time_ms);
		(void)readings_add_state(reader, domain, &off, time_ms);
		time_ms = MAX_OF(time_ms, run->state_ms);
		external_end(reader, domain, time_ms);
	}
	devices_deinit(&run->devices);
	*run = (struct run){ .id = -1 };
	domain->is_stale = true;
	domain->memory_max_kib = 0;
	reader->lives.is_changed = true;
	return time_ms;
}

/* A run that no event closes (any more). */
static void close_unexplained(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	(void)close_run(reader, domain, VIR_DOMAIN_SHUTOFF_UNKNOWN, time_ms);
	if (!reader->is_new)
		domain->unclaimed++;
}

/* The run was replaced by another one, before which it ended. */
static void close_replaced(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	char epoch[EPOCH_TEXT_MAX + 1];
	int64_t start_ms = EPOCH_START_UNKNOWN;

	if (domain->described_ms)
		epoch_of_domain(reader->context.host, domain->metadata.info.name,
			reader->context.clock, epoch, sizeof(epoch), &start_ms);
	if (start_ms != EPOCH_START_UNKNOWN)
		time_ms = MIN_OF(time_ms, start_ms);
	close_unexplained(reader, domain, time_ms);
}

static bool name_run(struct reader *reader, struct domain *domain)
{
	char epoch[EPOCH_TEXT_MAX + 1];
	struct run *run = &domain->run;
	int64_t start_ms;

	if (*run->epoch && !reader->is_new)
		return true;
	epoch_of_domain(reader->context.host, domain->metadata.info.name, reader->context.clock,
		epoch, sizeof(epoch), &start_ms);
	if (*run->epoch)
		return strcmp(run->epoch, epoch) == 0;
	memcpy(run->epoch, epoch, sizeof(epoch));
	run->start_ms = start_ms;
	if (*run->epoch)
		lives_recall(&reader->lives, run);
	return true;
}

/* Its run is the one that libvirt has now, described and named. */
static bool follow(
	struct reader *reader, struct domain *domain, virDomainPtr handle, int64_t time_ms)
{
	int id = (int)virDomainGetID(handle);

	if (domain_is_running(domain) && domain->run.id != id)
		close_replaced(reader, domain, time_ms);
	if (!domain_is_running(domain))
		open_run(reader, domain, id);
	if (!domains_describe(&reader->domains, domain, handle))
		return false;
	if (name_run(reader, domain))
		return true;
	/* libvirt began to count anew, and another QEMU has the same number. */
	close_replaced(reader, domain, time_ms);
	open_run(reader, domain, id);
	return domains_describe(&reader->domains, domain, handle) && name_run(reader, domain);
}

static bool is_up(virDomainStatsRecordPtr record)
{
	int state = VIR_DOMAIN_NOSTATE;

	(void)virTypedParamsGetInt(record->params, record->nparams, "state.state", &state);
	return (int)virDomainGetID(record->dom) >= 0 && state != VIR_DOMAIN_SHUTOFF &&
	       state != VIR_DOMAIN_NOSTATE;
}

static bool see(struct reader *reader, virDomainStatsRecordPtr record, int64_t time_ms,
	const struct state *said)
{
	struct uuid uuid;
	struct domain *domain = virDomainGetUUID(record->dom, uuid.bytes) < 0
					? NULL
					: domains_get(&reader->domains, &uuid);
	struct batch *batch = reader_batch(reader);

	if (!domain || !batch)
		return false;
	domain->is_seen = true;
	if (!follow(reader, domain, record->dom, time_ms))
		return true; /* it went away */
	if (said && said->code != domain->run.state)
		(void)readings_add_former_state(reader, domain, time_ms);
	domain->unread_ms = 0;
	return domain_add_info(domain, batch, reader->context.host, time_ms) &&
	       readings_add_cheap(reader, domain, record, time_ms, said);
}

bool lifecycle_see_running(struct reader *reader, virDomainStatsRecordPtr record, int64_t time_ms)
{
	return !is_up(record) || see(reader, record, time_ms, NULL);
}

bool lifecycle_is_known(const struct reader *reader, virDomainStatsRecordPtr record)
{
	const struct domain *domain;
	struct uuid uuid;

	if (virDomainGetUUID(record->dom, uuid.bytes) < 0)
		return true;
	domain = domains_find(&reader->domains, &uuid);
	if (is_up(record))
		return domain && domain->run.id == (int)virDomainGetID(record->dom);
	return !domain || !domain_is_running(domain);
}

static void add_off(struct reader *reader, struct domain *domain, virDomainStatsRecordPtr record,
	int64_t time_ms)
{
	int reason = VIR_DOMAIN_SHUTOFF_UNKNOWN;
	struct batch *batch = reader_batch(reader);
	struct state state;

	(void)virTypedParamsGetInt(record->params, record->nparams, "state.reason", &reason);
	state = (struct state){ VIR_DOMAIN_SHUTOFF, reason };
	if (!batch || !domains_describe(&reader->domains, domain, record->dom) ||
		!domain->is_persistent)
		return;
	if (domain_add_info(domain, batch, reader->context.host, time_ms))
		(void)readings_add_off(reader, domain, &state, time_ms);
}

void lifecycle_see_off(struct reader *reader, virDomainStatsRecordPtr record, int64_t time_ms)
{
	struct uuid uuid;
	struct domain *domain = virDomainGetUUID(record->dom, uuid.bytes) < 0
					? NULL
					: domains_get(&reader->domains, &uuid);

	if (!domain)
		return;
	domain->is_seen = true;
	if (domain_is_running(domain))
		close_unexplained(reader, domain, time_ms);
	add_off(reader, domain, record, time_ms);
}

/* It is no longer defined. */
static void add_end(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	const struct state off = { VIR_DOMAIN_SHUTOFF, domain->off_reason };
	const struct state gone = { VIR_DOMAIN_NOSTATE, 0 };

	if (domain->off_ms && domain->off_ms < time_ms - 1 && reader->until_ms < time_ms - 1)
		(void)readings_add_off(reader, domain, &off, time_ms - 1);
	(void)readings_add_off(reader, domain, &gone, time_ms);
}

/* It started, and ended before it could be read. */
static void add_unread(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	if (domain->unread_ms)
		(void)readings_add_gap(reader, &domain->uuid, domain->unread_ms, time_ms, "unread");
	domain->unread_ms = 0;
}

static bool is_of_interest(const struct domain *domain)
{
	return domain_is_running(domain) || domain->unread_ms || domain->off_ms ||
	       domain->is_persistent || domain->unclaimed;
}

void lifecycle_miss(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	if (domain_is_running(domain))
		close_unexplained(reader, domain, time_ms);
	else
		domain->unclaimed = 0;
	if (domain->is_persistent)
		add_end(reader, domain, time_ms);
	domain->is_persistent = false;
	add_unread(reader, domain, time_ms);
	if (!is_of_interest(domain))
		domains_remove(&reader->domains, domain);
}

/* The domain's record, NULL if it went away. The list is freed by virDomainStatsRecordListFree. */
static virDomainStatsRecordPtr *look_up(struct reader *reader, const struct uuid *uuid)
{
	virDomainPtr domains[2] = { NULL, NULL };
	virDomainStatsRecordPtr *records = NULL;
	int count;

	if (!reader->connection)
		return NULL;
	domains[0] = virDomainLookupByUUID(connection_handle(reader->connection), uuid->bytes);
	if (!domains[0])
		return NULL;
	count = virDomainListGetStats(
		domains, VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_INTERFACE, &records, 0);
	virDomainFree(domains[0]);
	if (count == 1)
		return records;
	virDomainStatsRecordListFree(records);
	return NULL;
}

/* The run of which the event tells, if it is still there to be read; the child is asked meanwhile,
 * for QEMU may be about to go. */
static void read_now(struct reader *reader, struct domain *domain, const struct event *event)
{
	bool is_asked = questions_ask_one(reader, &event->uuid);
	virDomainStatsRecordPtr *records = look_up(reader, &event->uuid);
	struct state said;
	bool has_said = state_of_event(event, &said);

	if (records && is_up(records[0]) &&
		(event->id < 0 || event->id == (int)virDomainGetID(records[0]->dom)))
		(void)see(reader, records[0], event->time_ms, has_said ? &said : NULL);
	else if (domain_is_running(domain) && has_said && *domain->run.epoch)
		(void)readings_add_state(reader, domain, &said, event->time_ms);
	virDomainStatsRecordListFree(records);
	if (is_asked)
		questions_wait_one(reader, domain, event->time_ms);
}

static void on_started(struct reader *reader, struct domain *domain, const struct event *event)
{
	domain->unread_ms = event->time_ms; /* until it is read */
	domain->is_stale = true;
	read_now(reader, domain, event);
	if (domain_is_running(domain) && reader_interval_ms(reader) > YOUNG_STEP_MS) {
		domain->run.extra_step_ms = YOUNG_STEP_MS;
		domain->run.extra_ms = clock_monotonic_ms(reader->context.clock) + YOUNG_STEP_MS;
	}
}

static void read_young(struct reader *reader, struct domain *domain, int64_t now_ms)
{
	const struct event event = { domain->uuid, EVENT_CHANGED, 0, domain->run.id,
		clock_wall_ms(reader->context.clock), "" };
	struct run *run = &domain->run;

	run->extra_ms = now_ms + run->extra_step_ms;
	run->extra_step_ms *= 2;
	if (run->extra_step_ms >= reader_interval_ms(reader))
		run->extra_ms = 0;
	read_now(reader, domain, &event);
}

int lifecycle_read_young(struct reader *reader)
{
	int64_t now_ms = clock_monotonic_ms(reader->context.clock), next_ms = INT64_MAX;

	for (size_t i = 0; i < reader->domains.count; i++) {
		struct domain *domain = reader->domains.items[i];

		if (domain->run.extra_ms && domain->run.extra_ms <= now_ms)
			read_young(reader, domain, now_ms);
		if (domain->run.extra_ms)
			next_ms = MIN_OF(next_ms, domain->run.extra_ms);
	}
	return next_ms == INT64_MAX ? -1 : (int)MAX_OF(next_ms - now_ms, 1);
}

static void on_stopped(struct reader *reader, struct domain *domain, const struct event *event)
{
	virDomainStatsRecordPtr *records;
	int64_t time_ms = event->time_ms;

	if (domain->unclaimed) {
		domain->unclaimed--;
		return;
	}
	add_unread(reader, domain, event->time_ms);
	if (domain_is_running(domain))
		time_ms = close_run(reader, domain, reason_of_stop(event->detail), time_ms);
	records = look_up(reader, &event->uuid);
	if (records && (int)virDomainGetID(records[0]->dom) < 0)
		add_off(reader, domain, records[0], time_ms);
	virDomainStatsRecordListFree(records);
}

/* A domain that is undefined while it runs lives on as a transient one. */
static void on_undefined(struct reader *reader, struct domain *domain, const struct event *event)
{
	if (!domain_is_running(domain))
		add_end(reader, domain, event->time_ms);
	domain->is_persistent = false;
}

static void on_defined(struct reader *reader, struct domain *domain, const struct event *event)
{
	virDomainStatsRecordPtr *records = look_up(reader, &event->uuid);

	domain->is_stale = true;
	if (records && (int)virDomainGetID(records[0]->dom) < 0 && !domain_is_running(domain))
		add_off(reader, domain, records[0], event->time_ms);
	virDomainStatsRecordListFree(records);
}

static void on_removed(struct reader *reader, struct domain *domain, const struct event *event)
{
	const char *target = domain_disk_of_alias(domain, event->alias);

	if (target)
		reader->lives.is_changed |= devices_remove(
			&domain->run.devices, METRIC_GROUP_BLK, target, event->time_ms);
	domain->is_stale = true;
}

static void dispatch(struct reader *reader, struct domain *domain, const struct event *event)
{
	switch (event->kind) {
	case EVENT_CHANGED:
		domain->is_stale = true;
		break;
	case EVENT_DEFINED:
		on_defined(reader, domain, event);
		break;
	case EVENT_UNDEFINED:
		on_undefined(reader, domain, event);
		break;
	case EVENT_STARTED:
		on_started(reader, domain, event);
		break;
	case EVENT_STOPPED:
		on_stopped(reader, domain, event);
		break;
	case EVENT_DEVICE_REMOVED:
		on_removed(reader, domain, event);
		break;
	case EVENT_DEVICE_ADDED:
		domain->is_stale = true;
		read_now(reader, domain, event);
		break;
	case EVENT_SUSPENDED:
	case EVENT_RESUMED:
	case EVENT_SHUTDOWN:
	case EVENT_PMSUSPENDED:
	case EVENT_CRASHED:
		read_now(reader, domain, event);
		break;
	}
}

void lifecycle_handle(struct reader *reader, const struct event *event)
{
	struct domain *domain = domains_get(&reader->domains, &event->uuid);

	if (!domain)
		return;
	dispatch(reader, domain, event);
	if (!is_of_interest(domain))
		domains_remove(&reader->domains, domain);
}
