/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The libvirt collector: one thread, the reader, and what it is told by libvirt's event thread.
 *
 *     events.c      what happened to domains, in order
 *     lifecycle.c   what follows from that: runs begin and end, and are read at once
 *     rounds.c      all domains, for each tick
 *     readings.c    from libvirt's numbers to readings
 *     questions.c   what asks QEMU, through the child behind monitor.c
 *     external.c    external traffic, through the child behind collect/traffic
 *     domains.c     what is known of each domain; devices.c: of its NICs and disks; lives.c: of
 *                   those over restarts of the worker
 *
 * The trap: whatever calls libvirt may hang for ever, so nobody else waits for this thread, and
 * stop leaves a thread that hangs behind. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collect/libvirt/external.h"
#include "collect/libvirt/lifecycle.h"
#include "collect/libvirt/questions.h"
#include "collect/libvirt/rounds.h"

enum { BACKOFF_MAX_MS = 60000, STOP_MS = 900 };

void reader_note(struct reader *reader, bool is_trouble, const char *subject, const char *text)
{
	const struct collector_notice notice = { is_trouble, subject, text };

	reader->context.notice(reader->context.worker, &notice);
}

struct batch *reader_batch(struct reader *reader)
{
	if (!reader->batch && batch_new(&reader->batch) == 0)
		reader->batch->host = reader->context.host;
	return reader->batch;
}

void reader_save(struct reader *reader)
{
	int r = reader->has_seen_all ? lives_save(&reader->lives, &reader->domains) : 0;

	if (r < 0)
		reader_note(reader, true, reader->lives.path, strerror(-r));
}

void reader_flush(struct reader *reader)
{
	struct batch *batch = reader->batch;

	reader_save(reader);
	if (!batch)
		return;
	reader->batch = NULL;
	if (batch->reading_count || batch->info_count || batch->gap_count || batch->until_ms)
		reader->context.deliver(reader->context.worker, &batch);
	batch_free(batch);
}

/* The time is taken under the lock: what is heard after a round was taken is of after it. */
static void on_event(void *context, const struct event *event)
{
	struct reader *reader = context;

	pthread_mutex_lock(&reader->mutex);
	events_add(&reader->heard, event, clock_wall_ms(reader->context.clock));
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->mutex);
}

static void on_lost(void *context)
{
	struct reader *reader = context;

	pthread_mutex_lock(&reader->mutex);
	reader->is_lost = true;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->mutex);
}

/* What was known is kept: the first round of the next connection finds out what changed. */
void reader_disconnect(struct reader *reader, const char *why)
{
	reader->connection = connection_close(reader->connection);
	reader->is_hindered = true;
	reader->backoff_ms = MIN_OF(MAX_OF(reader->backoff_ms * 2, 1000), BACKOFF_MAX_MS);
	reader->retry_ms = clock_monotonic_ms(reader->context.clock) + reader->backoff_ms;
	reader_note(reader, true, "libvirt", why);
}

static void begin_anew(struct reader *reader)
{
	reader->is_new = true;
	domains_expire(&reader->domains);
	for (size_t i = 0; i < reader->domains.count; i++)
		reader->domains.items[i]->unclaimed = 0;
}

static bool connect_to(struct reader *reader)
{
	const char *uri = config_text(reader->context.config, "worker", "libvirt_uri");
	char reason[512], text[1024];

	if (reader->connection)
		return true;
	if (clock_monotonic_ms(reader->context.clock) < reader->retry_ms)
		return false;
	reader->connection = connection_open(uri, &reader->callbacks, reason, sizeof(reason));
	if (!reader->connection) {
		snprintf(text, sizeof(text), "cannot be reached at %s: %s", uri, reason);
		reader_disconnect(reader, text);
		return false;
	}
	begin_anew(reader);
	reader_note(reader, false, "libvirt", "connected");
	return true;
}

/* Under the mutex. Until work comes (a tick only for one who is idle), or the time is over;
 * wait_ms < 0: however long. */
static void wait_locked(struct reader *reader, bool is_idle, int wait_ms)
{
	struct timespec end;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += wait_ms * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000L;
	end.tv_nsec %= 1000000000L;
	while (!reader->heard.count && !reader->is_stopping && !reader->is_lost &&
		(!is_idle || !reader->has_tick) && r != ETIMEDOUT)
		r = wait_ms < 0 ? pthread_cond_wait(&reader->wake, &reader->mutex)
				: pthread_cond_timedwait(&reader->wake, &reader->mutex, &end);
}

static void take_events_locked(struct reader *reader)
{
	events_move(&reader->heard, &reader->events);
	if (reader->events.is_overflown)
		begin_anew(reader);
}

bool reader_take_events(struct reader *reader, int wait_ms)
{
	pthread_mutex_lock(&reader->mutex);
	wait_locked(reader, false, wait_ms);
	take_events_locked(reader);
	pthread_mutex_unlock(&reader->mutex);
	return reader->events.count > 0;
}

/* The wall clock stepped back: times of before it say nothing about those after it. */
static void note_segment(struct reader *reader)
{
	uint32_t segment = clock_segment(reader->context.clock);

	if (segment == reader->segment)
		return;
	reader->segment = segment;
	reader->until_ms = reader->whole_ms = 0;
	domains_begin_segment(&reader->domains);
}

bool reader_has_heard(struct reader *reader, int wait_ms)
{
	bool has_heard;

	pthread_mutex_lock(&reader->mutex);
	wait_locked(reader, false, wait_ms);
	has_heard = reader->heard.count > 0 || reader->is_stopping;
	pthread_mutex_unlock(&reader->mutex);
	return has_heard;
}

struct work {
	bool is_stop, is_round, is_lost;
	int64_t time_ms; /* of the round */
};

static struct work take_work(struct reader *reader)
{
	struct work work;
	bool is_of_tick;
	int64_t now_ms;

	pthread_mutex_lock(&reader->mutex);
	if (!reader->is_asking)
		wait_locked(reader, true, reader->young_ms);
	take_events_locked(reader);
	note_segment(reader);
	now_ms = clock_wall_ms(reader->context.clock);
	is_of_tick =
		reader->tick_ms && reader->tick_ms <= now_ms && now_ms - reader->tick_ms <= LATE_MS;
	work = (struct work){ reader->is_stopping, reader->has_tick, reader->is_lost,
		is_of_tick ? reader->tick_ms : now_ms };
	reader->has_tick = reader->is_lost = false;
	pthread_mutex_unlock(&reader->mutex);
	return work;
}

static void do_work(struct reader *reader, const struct work *work)
{
	for (size_t i = 0; i < reader->events.count; i++)
		lifecycle_handle(reader, &reader->events.items[i]);
	if (reader->events.count && reader->has_seen_all)
		external_read(reader, clock_wall_ms(reader->context.clock));
	reader_flush(reader);
	if (work->is_lost && reader->connection)
		reader_disconnect(reader, "closed the connection");
	if (work->is_round && connect_to(reader))
		rounds_do(reader, work->time_ms);
	reader->young_ms = lifecycle_read_young(reader);
	reader_flush(reader);
	if (reader->is_asking)
		questions_wait(reader);
}

static void *run_reader(void *argument)
{
	struct reader *reader = argument;
	struct work work;

	for (work = take_work(reader); !work.is_stop; work = take_work(reader))
		do_work(reader, &work);
	reader->lives.is_changed = true; /* until when no other device was there */
	reader_save(reader);
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
	batch_free(reader->batch);
	monitor_free(reader->monitor);
	traffic_free(reader->traffic);
	lives_deinit(&reader->lives);
	domains_deinit(&reader->domains);
	pthread_mutex_destroy(&reader->mutex);
	pthread_cond_destroy(&reader->wake);
	free(reader);
}

static struct reader *reader_new(const struct collector_context *context)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	pthread_condattr_t attributes;

	if (!reader)
		return NULL;
	reader->collector.ops = &libvirt_collector;
	reader->context = *context;
	reader->young_ms = -1;
	reader->callbacks = (struct connection_events){ on_event, on_lost, reader };
	reader->domains = (struct domains){ .clock = context->clock, .host = context->host };
	lives_load(&reader->lives, config_text(context->config, "worker", "spool_dir"),
		&reader->domains);
	pthread_mutex_init(&reader->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&reader->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return reader;
}

static int reader_start(const struct collector_context *context, struct collector **ret_collector,
	struct error *err)
{
	struct reader *reader = reader_new(context);
	int r;

	if (!reader)
		return -ENOMEM;
	r = monitor_new(config_text(context->config, "worker", "libvirt_uri"),
		config_text(context->config, "worker", "spool_dir"), &reader->monitor);
	if (r == 0)
		r = traffic_new(context, &reader->traffic, err);
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
