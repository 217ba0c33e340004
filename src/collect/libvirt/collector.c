/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The libvirt collector. One thread, the reader, does a round for each tick:
 *
 *     1. what never asks QEMU: state and interfaces in bulk, CPU time by virDomainGetInfo;
 *        delivered at once
 *     2. the question to the child that asks QEMU for disks and balloons (monitor.h); its answer is
 *        delivered when it comes, and a new tick does not wait for it
 *
 * The trap: whatever calls libvirt may hang for ever, so nobody else waits for this thread, and
 * stop leaves a thread that hangs behind. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/time-text.h"
#include "collect/collector.h"
#include "collect/libvirt/connection.h"
#include "collect/libvirt/domains.h"
#include "collect/libvirt/monitor.h"
#include "collect/libvirt/stats.h"

#include <net/if.h>

enum {
	CHANGES_MAX = 256,
	SLICE_MS = 50,
	LATE_MS = 1000, /* a reading later than this is of no tick */
	BACKOFF_MAX_MS = 60000,
	STOP_MS = 900,
	QUESTIONS_MAX = 2, /* in one round: one that hangs, and the one after it */
};

struct reader {
	struct collector collector;
	struct collector_context context;
	struct connection_events events;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;

	/* Under the mutex. */
	bool is_stopping, is_lost, has_tick, is_urgent;
	int64_t tick_ms;
	struct uuid changes[CHANGES_MAX];
	size_t change_count;

	/* The thread's own. */
	struct connection *connection;
	int64_t retry_ms, backoff_ms;
	struct domains domains;
	struct monitor *monitor;
	bool is_asking;
	int questions;
	unsigned int groups;
	int64_t asked_ms, asked_tick_ms; /* CLOCK_BOOTTIME; the reading's time */
	int64_t vcpu_ms;
};

static void note(struct reader *reader, bool is_trouble, const char *subject, const char *text)
{
	const struct collector_notice notice = { is_trouble, subject, text };

	reader->context.notice(reader->context.worker, &notice);
}

static void on_change(void *context, const struct uuid *uuid, bool is_urgent)
{
	struct reader *reader = context;

	pthread_mutex_lock(&reader->mutex);
	if (reader->change_count < CHANGES_MAX)
		reader->changes[reader->change_count++] = *uuid;
	reader->is_urgent = reader->is_urgent || is_urgent;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->mutex);
}

static void on_lost(void *context)
{
	struct reader *reader = context;

	pthread_mutex_lock(&reader->mutex);
	reader->is_lost = true;
	pthread_mutex_unlock(&reader->mutex);
}

static void disconnect(struct reader *reader, const char *why)
{
	reader->connection = connection_close(reader->connection);
	domains_deinit(&reader->domains);
	reader->backoff_ms = MIN_OF(MAX_OF(reader->backoff_ms * 2, 1000), BACKOFF_MAX_MS);
	reader->retry_ms = clock_monotonic_ms(reader->context.clock) + reader->backoff_ms;
	note(reader, true, "libvirt", why);
}

static bool connect_to(struct reader *reader)
{
	const char *uri = config_text(reader->context.config, "worker", "libvirt_uri");
	char reason[512], text[1024];

	if (reader->connection)
		return true;
	if (clock_monotonic_ms(reader->context.clock) < reader->retry_ms)
		return false;
	reader->connection = connection_open(uri, &reader->events, reason, sizeof(reason));
	if (!reader->connection) {
		snprintf(text, sizeof(text), "cannot be reached at %s: %s", uri, reason);
		disconnect(reader, text);
		return false;
	}
	note(reader, false, "libvirt", "connected");
	return true;
}

static void name_nics(struct batch *batch, struct reading *reading)
{
	char life[32];

	for (size_t i = 0; i < reading->tuple_count; i++) {
		struct tuple *tuple = &reading->tuples[i];
		unsigned int index;

		if (tuple->group != METRIC_GROUP_NIC)
			continue;
		index = if_nametoindex(tuple->parameter);
		snprintf(life, sizeof(life), "if%u", index);
		tuple->life = index ? batch_text(batch, life) : "";
		if (!tuple->life)
			tuple->life = "";
	}
}

static void complete(struct reader *reader, struct batch *batch, struct reading *reading,
	const struct domain *domain, int64_t time_ms)
{
	struct clock_reading now = clock_read(reader->context.clock);
	int64_t delay_ms = now.wall_ms - time_ms;
	bool is_of_tick = delay_ms >= 0 && delay_ms <= LATE_MS; /* before it: the clock stepped */

	reading->instance.has_uuid = true;
	reading->instance.uuid = domain->uuid;
	reading->time_ms = is_of_tick ? time_ms : now.wall_ms;
	reading->delay_ms = is_of_tick ? delay_ms : 0;
	reading->segment = now.segment;
	reading->epoch = batch_text(batch, domain->epoch);
	if (!reading->epoch)
		reading->epoch = "";
	reading->start_ms = EPOCH_START_UNKNOWN;
	if (*domain->epoch && domain->segment == now.segment)
		reading->start_ms = domain->start_ms;
}

static bool add_cpu(
	struct batch *batch, struct reading *reading, struct domain *domain, virDomainPtr handle)
{
	virDomainInfo info;
	struct tuple *tuple;

	if (virDomainGetInfo(handle, &info) < 0)
		return true;
	domain->memory_max_kib = (int64_t)info.maxMem;
	domain->memory_kib = (int64_t)info.memory;
	tuple = batch_add_tuple(batch, reading);
	if (!tuple)
		return false;
	tuple->group = METRIC_GROUP_CPU;
	tuple->parameter = "total";
	tuple->life = "";
	if (info.cpuTime <= INT64_MAX)
		tuple_set(tuple, 0, (int64_t)info.cpuTime);
	return true;
}

static bool add_domain(
	struct reader *reader, struct batch *batch, virDomainStatsRecordPtr record, int64_t time_ms)
{
	struct domain *domain = domains_refresh(&reader->domains, record->dom);
	struct reading *reading;

	if (!domain)
		return true; /* it went away */
	if (!domain_add_info(domain, batch, reader->context.host, time_ms))
		return false;
	reading = batch_add_reading(batch);
	if (!reading || !stats_read(batch, reading, record->params, record->nparams) ||
		!add_cpu(batch, reading, domain, record->dom))
		return false;
	name_nics(batch, reading);
	complete(reader, batch, reading, domain, time_ms);
	return true;
}

/* Step 1. False: libvirt is in trouble, or there is no memory. */
static bool read_cheap(struct reader *reader, int64_t time_ms)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	virDomainStatsRecordPtr *records = NULL;
	bool is_ok = true;
	int count;

	if (batch_new(&batch) < 0)
		return false;
	batch->host = reader->context.host;
	count = virConnectGetAllDomainStats(connection_handle(reader->connection),
		VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_INTERFACE, &records,
		VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
	if (count < 0) {
		disconnect(reader, "does not answer any more; it is connected again");
		return false;
	}
	for (int i = 0; is_ok && i < count; i++)
		is_ok = add_domain(reader, batch, records[i], time_ms);
	virDomainStatsRecordListFree(records);
	domains_sweep(&reader->domains);
	reader->context.deliver(reader->context.worker, &batch);
	return is_ok;
}

static void ask(struct reader *reader)
{
	reader->is_asking = monitor_ask(reader->monitor, reader->groups);
	reader->asked_ms = clock_monotonic_ms(reader->context.clock);
	reader->questions++;
}

static void begin_question(struct reader *reader, int64_t time_ms)
{
	int64_t beat_ms = config_integer(reader->context.config, "worker", "vcpu_interval") * 1000;
	int64_t now_ms = clock_monotonic_ms(reader->context.clock);

	reader->groups = VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_BALLOON;
	if (beat_ms && (!reader->vcpu_ms || now_ms - reader->vcpu_ms >= beat_ms)) {
		reader->groups |= VIR_DOMAIN_STATS_VCPU;
		reader->vcpu_ms = now_ms;
	}
	reader->questions = 0;
	reader->asked_tick_ms = time_ms;
	ask(reader);
}

/* Says which VM it is, by what libvirt knows without asking QEMU. */
static void note_silence(struct reader *reader, struct domain *domain, bool is_silent)
{
	char since[TIME_TEXT_SIZE], text[256];

	if (is_silent && !domain->silent_ms)
		domain->silent_ms = clock_wall_ms(reader->context.clock);
	if (is_silent) {
		time_text_format(domain->silent_ms, since);
		snprintf(text, sizeof(text),
			"its QEMU has not answered since %s; its disks and guest memory are "
			"missing, the rest is read",
			since);
		note(reader, true, domain->metadata.info.name, text);
	} else if (domain->silent_ms) {
		note(reader, false, domain->metadata.info.name, "its QEMU answers again");
		domain->silent_ms = 0;
	}
}

static bool is_occupied(struct reader *reader, const struct domain *domain)
{
	virDomainPtr handle =
		virDomainLookupByUUID(connection_handle(reader->connection), domain->uuid.bytes);
	virDomainControlInfo info = { 0 };
	bool is_known = handle && virDomainGetControlInfo(handle, &info, 0) == 0;
	int64_t limit_ms =
		config_integer(reader->context.config, "worker", "monitor_timeout") * 1000;

	if (handle)
		virDomainFree(handle);
	return is_known && info.state == VIR_DOMAIN_CONTROL_OCCUPIED &&
	       (int64_t)info.stateTime >= limit_ms / 2;
}

/* Only while calls hang or answers are partial (somebody else's call may be the one that hangs, and
 * NOWAIT then passes the domain over), so that a round usually asks nothing per domain but GetInfo.
 */
static void find_silent(struct reader *reader)
{
	bool is_any = false, is_this;

	for (size_t i = 0; i < reader->domains.count; i++) {
		struct domain *domain = reader->domains.items[i];

		if (!monitor_hung_calls(reader->monitor) && !domain->silent_ms &&
			!domain->is_partial)
			continue;
		is_this = is_occupied(reader, domain);
		is_any = is_any || is_this;
		note_silence(reader, domain, is_this);
	}
	if (!is_any)
		monitor_forget_inherited(reader->monitor);
}

/* What GetInfo said about memory, where the child did not. */
static bool add_memory(
	struct reader *reader, struct batch *batch, const struct domain *domain, int64_t time_ms)
{
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple = reading ? batch_add_tuple(batch, reading) : NULL;

	if (!tuple)
		return false;
	tuple->group = METRIC_GROUP_MEM;
	tuple->parameter = "total";
	tuple->life = "";
	tuple_set(tuple, 0, domain->memory_max_kib);
	tuple_set(tuple, 2, domain->memory_kib);
	complete(reader, batch, reading, domain, time_ms);
	return true;
}

static void name_disks(struct reading *reading, const struct domain *domain, struct batch *batch)
{
	for (size_t i = 0; i < reading->tuple_count; i++) {
		struct tuple *tuple = &reading->tuples[i];
		const char *serial = "";

		if (tuple->group == METRIC_GROUP_BLK)
			serial = domain_disk_serial(domain, tuple->parameter);
		if (*serial)
			tuple->life = batch_text(batch, serial);
		if (!tuple->life)
			tuple->life = "";
	}
}

static bool has_disks(const struct reading *reading)
{
	for (size_t i = 0; i < reading->tuple_count; i++)
		if (reading->tuples[i].group == METRIC_GROUP_BLK)
			return true;
	return false;
}

/* Those that are not known (any more) are left out. */
static void deliver_answer(struct reader *reader, struct batch *batch)
{
	int64_t time_ms = reader->asked_tick_ms;
	size_t kept = 0;

	batch->host = reader->context.host;
	for (size_t i = 0; i < batch->reading_count; i++) {
		struct reading *reading = &batch->readings[i];
		struct domain *domain = domains_find(&reader->domains, &reading->instance.uuid);

		if (!domain || domain->id < 0)
			continue;
		domain->is_partial = domain->metadata.disk_count > 0 && !has_disks(reading);
		name_disks(reading, domain, batch);
		complete(reader, batch, reading, domain, time_ms);
		batch->readings[kept++] = *reading;
	}
	batch->reading_count = kept;
	batch->until_ms = reader->asked_tick_ms;
	reader->context.deliver(reader->context.worker, &batch);
}

static void deliver_memory(struct reader *reader)
{
	CLEANUP(batch_free) struct batch *batch = NULL;

	if (batch_new(&batch) < 0)
		return;
	batch->host = reader->context.host;
	batch->until_ms = reader->asked_tick_ms;
	for (size_t i = 0; i < reader->domains.count; i++) {
		const struct domain *domain = reader->domains.items[i];

		if (domain->id >= 0 && domain->memory_max_kib > 0 &&
			!add_memory(reader, batch, domain, reader->asked_tick_ms))
			return;
	}
	reader->context.deliver(reader->context.worker, &batch);
}

/* Step 2 goes on. */
static void wait_answer(struct reader *reader)
{
	int64_t limit_ms =
		config_integer(reader->context.config, "worker", "monitor_timeout") * 1000;
	struct batch *batch = NULL;
	int r = monitor_wait(reader->monitor, SLICE_MS, &batch);

	if (r == 0) {
		reader->is_asking = false;
		deliver_answer(reader, batch);
		return;
	}
	if (r == -EAGAIN && clock_monotonic_ms(reader->context.clock) - reader->asked_ms < limit_ms)
		return;
	reader->is_asking = false;
	if (r == -EAGAIN) {
		monitor_give_up(reader->monitor);
		find_silent(reader);
	}
	if (reader->questions < QUESTIONS_MAX)
		ask(reader);
	if (!reader->is_asking)
		deliver_memory(reader);
}

static void do_round(struct reader *reader, int64_t tick_ms)
{
	int64_t now_ms = clock_wall_ms(reader->context.clock);
	bool is_of_tick = tick_ms && tick_ms <= now_ms && now_ms - tick_ms <= LATE_MS;
	int64_t time_ms = is_of_tick ? tick_ms : now_ms;

	if (!connect_to(reader) || !read_cheap(reader, time_ms))
		return;
	reader->backoff_ms = 0;
	if (reader->is_asking)
		return;
	monitor_check(reader->monitor);
	find_silent(reader);
	begin_question(reader, time_ms);
	if (!reader->is_asking)
		deliver_memory(reader);
}

struct work {
	bool is_stop, is_round, is_lost;
	int64_t tick_ms;
};

static struct work take_work(struct reader *reader)
{
	struct work work;

	pthread_mutex_lock(&reader->mutex);
	while (!reader->is_stopping && !reader->has_tick && !reader->is_urgent &&
		!reader->is_asking)
		pthread_cond_wait(&reader->wake, &reader->mutex);
	work = (struct work){ reader->is_stopping, reader->has_tick || reader->is_urgent,
		reader->is_lost, reader->has_tick ? reader->tick_ms : 0 };
	for (size_t i = 0; i < reader->change_count; i++)
		domains_expire(&reader->domains, &reader->changes[i]);
	reader->change_count = 0;
	reader->has_tick = reader->is_urgent = reader->is_lost = false;
	pthread_mutex_unlock(&reader->mutex);
	return work;
}

static void *run_reader(void *argument)
{
	struct reader *reader = argument;
	struct work work;

	for (work = take_work(reader); !work.is_stop; work = take_work(reader)) {
		if (work.is_lost && reader->connection)
			disconnect(reader, "closed the connection");
		if (work.is_round)
			do_round(reader, work.tick_ms);
		if (reader->is_asking)
			wait_answer(reader);
	}
	connection_close(reader->connection);
	return NULL;
}

static void reader_collect(struct collector *collector, int64_t tick_ms)
{
	struct reader *reader = (struct reader *)collector;

	pthread_mutex_lock(&reader->mutex);
	reader->has_tick = true;
	reader->tick_ms = tick_ms;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->mutex);
}

static void reader_free(struct reader *reader)
{
	monitor_free(reader->monitor);
	domains_deinit(&reader->domains);
	pthread_mutex_destroy(&reader->mutex);
	pthread_cond_destroy(&reader->wake);
	free(reader);
}

static int reader_start(const struct collector_context *context, struct collector **ret_collector,
	struct error *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->collector.ops = &libvirt_collector;
	reader->context = *context;
	reader->events = (struct connection_events){ on_change, on_lost, reader };
	reader->domains = (struct domains){ .clock = context->clock, .host = context->host };
	pthread_mutex_init(&reader->mutex, NULL);
	pthread_cond_init(&reader->wake, NULL);
	r = monitor_new(config_text(context->config, "worker", "libvirt_uri"),
		config_text(context->config, "worker", "spool_dir"), &reader->monitor);
	if (r == 0 && connection_prepare() < 0)
		r = error_set(err, -EIO, "libvirt's library cannot be started");
	if (r == 0)
		r = -pthread_create(&reader->thread, NULL, run_reader, reader);
	if (r < 0) {
		reader_free(reader);
		return r;
	}
	*ret_collector = &reader->collector;
	return 0;
}

/* A thread that hangs in libvirt is left to the end of the process, with all that it uses. */
static void reader_stop(struct collector *collector)
{
	struct reader *reader = (struct reader *)collector;
	struct timespec until;

	pthread_mutex_lock(&reader->mutex);
	reader->is_stopping = true;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->mutex);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STOP_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	if (pthread_timedjoin_np(reader->thread, NULL, &until) == 0)
		reader_free(reader);
	else
		pthread_detach(reader->thread);
}

const struct collector_ops libvirt_collector = {
	.name = "libvirt",
	.start = reader_start,
	.collect = reader_collect,
	.stop = reader_stop,
};
