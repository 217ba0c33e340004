/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum { RETRY_FIRST_MS = 200, RETRY_MAX_MS = 10 * 1000 };

struct writer {
	struct writer_options options;
	pthread_t thread;
	bool has_thread;
	int event_fd;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool is_ending;
	/* A ring: [done, committing) is committed and not yet collected, [committing, waiting) is
	 * being committed, [waiting, end) waits. */
	struct writer_item ring[WRITER_QUEUE_MAX];
	uint64_t done, committing, waiting, end;
	struct store_tally tally;
	struct writer_counters counters;
};

static struct writer_item *slot(struct writer *writer, uint64_t place)
{
	return &writer->ring[place % WRITER_QUEUE_MAX];
}

/* What store_append is given of ring[from, to). */
struct group {
	const struct batch *batches[WRITER_COMMIT_MAX];
	struct store_source sources[WRITER_COMMIT_MAX];
	struct store_commit commit;
};

/* Only the last word on each spool matters: it says more than those before. */
static void add_source(struct group *group, const struct store_source *source)
{
	size_t i = 0;

	while (i < group->commit.source_count &&
		(strcmp(group->sources[i].worker, source->worker) != 0 ||
			strcmp(group->sources[i].spool, source->spool) != 0))
		i++;
	group->sources[i] = *source;
	group->commit.source_count = MAX_OF(group->commit.source_count, i + 1);
}

static void make_group(struct writer *writer, uint64_t from, uint64_t to, struct group *group)
{
	group->commit = (struct store_commit){ .batches = group->batches,
		.sources = group->sources,
		.now_ms = clock_wall_ms(writer->options.clock) };
	for (uint64_t i = from; i < to; i++) {
		const struct writer_item *item = slot(writer, i);

		if (item->batch)
			group->batches[group->commit.batch_count++] = item->batch;
		if (item->source.worker)
			add_source(group, &item->source);
	}
}

static size_t parts_of(const struct writer_item *item)
{
	const struct batch *batch = item->batch;

	return batch ? batch->reading_count + batch->info_count + batch->gap_count : 0;
}

/* Where the group ends that begins with what was not committed yet: it has one item at least. A
 * store that has no room for a group would get the same one for ever. Called with the lock. */
static uint64_t group_end(struct writer *writer)
{
	uint64_t maximum = MIN_OF(writer->end, writer->committing + WRITER_COMMIT_MAX),
		 end = writer->committing;
	size_t parts = 0;

	do
		parts += parts_of(slot(writer, end++));
	while (end < maximum && parts + parts_of(slot(writer, end)) <= STORE_COMMIT_PARTS_MAX);
	return end;
}

/* Sleeps, but not longer than until the writer is to end. Called with the lock. */
static void wait_ms(struct writer *writer, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!writer->is_ending &&
		pthread_cond_timedwait(&writer->wake, &writer->lock, &until) != ETIMEDOUT)
		;
}

/* Appends ring[committing, waiting) until it succeeds. Called with the lock, which it gives up
 * while the store works. Returns 0, or the error if the writer is to end meanwhile. */
static int commit_group(struct writer *writer)
{
	int64_t pause_ms = RETRY_FIRST_MS;
	struct store_tally tally = { 0 };
	struct group group;

	for (;;) {
		struct error err = { 0 };
		uint64_t begin_us = stopwatch_us(), took_us;
		int r;

		make_group(writer, writer->committing, writer->waiting, &group);
		pthread_mutex_unlock(&writer->lock);
		r = store_append(writer->options.store, &group.commit, &tally, &err);
		pthread_mutex_lock(&writer->lock);
		took_us = stopwatch_us() - begin_us;
		writer->counters.commit_us += took_us;
		if (r == 0) {
			histogram_add(writer->options.committed, took_us);
			if (writer->counters.is_failing)
				log_info("the store takes readings again");
			writer->counters.is_failing = false;
			writer->counters.commits++;
			writer->tally.stored += tally.stored;
			writer->tally.duplicate += tally.duplicate;
			writer->tally.conflicting += tally.conflicting;
			writer->tally.late += tally.late;
			return 0;
		}
		if (!writer->counters.is_failing)
			log_error(
				"cannot append to the store: %s; nothing is acknowledged until it "
				"works again",
				error_text(&err, r));
		writer->counters.is_failing = true;
		writer->counters.failures++;
		if (writer->is_ending)
			return r;
		wait_ms(writer, pause_ms);
		pause_ms = MIN_OF(pause_ms * 2, (int64_t)RETRY_MAX_MS);
	}
}

/* Frees the batches and lets the loop know. Called with the lock. */
static void finish_group(struct writer *writer)
{
	static const uint64_t one = 1;

	for (; writer->committing < writer->waiting; writer->committing++) {
		struct writer_item *item = slot(writer, writer->committing);

		item->batch = batch_free(item->batch);
	}
	if (write(writer->event_fd, &one, sizeof(one)) < 0)
		log_error("cannot wake the loop: %s", strerror(errno));
}

static void *run(void *argument)
{
	struct writer *writer = argument;

	pthread_mutex_lock(&writer->lock);
	for (;;) {
		while (writer->waiting == writer->end && !writer->is_ending)
			pthread_cond_wait(&writer->wake, &writer->lock);
		if (writer->waiting == writer->end)
			break;
		writer->waiting = group_end(writer);
		if (commit_group(writer) != 0)
			break;
		finish_group(writer);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

static int start(struct writer *writer, struct error *err)
{
	pthread_condattr_t attributes;
	int r;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&writer->lock, NULL);
	writer->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (writer->event_fd < 0)
		return error_set(err, -errno, "cannot make an eventfd: %s", strerror(errno));
	r = pthread_create(&writer->thread, NULL, run, writer);
	if (r != 0)
		return error_set(err, -r, "cannot start the writer's thread: %s", strerror(r));
	writer->has_thread = true;
	return 0;
}

int writer_new(const struct writer_options *options, struct writer **ret_writer, struct error *err)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	writer->options = *options;
	r = start(writer, err);
	if (r < 0) {
		writer_free(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

void writer_finish(struct writer *writer)
{
	if (!writer || !writer->has_thread)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->is_ending = true;
	pthread_cond_broadcast(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	writer->has_thread = false;
}

struct writer *writer_free(struct writer *writer)
{
	if (!writer)
		return NULL;
	writer_finish(writer);
	for (uint64_t i = writer->committing; i < writer->end; i++)
		batch_free(slot(writer, i)->batch);
	if (writer->event_fd >= 0)
		close(writer->event_fd);
	pthread_cond_destroy(&writer->wake);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
	return NULL;
}

bool writer_is_full(struct writer *writer)
{
	bool is_full;

	pthread_mutex_lock(&writer->lock);
	is_full = writer->end - writer->done >= WRITER_QUEUE_MAX;
	pthread_mutex_unlock(&writer->lock);
	return is_full;
}

void writer_submit(struct writer *writer, struct writer_item *item)
{
	pthread_mutex_lock(&writer->lock);
	*slot(writer, writer->end++) = *item;
	item->batch = NULL;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
}

int writer_event_fd(const struct writer *writer)
{
	return writer->event_fd;
}

size_t writer_collect(
	struct writer *writer, struct writer_item *items, size_t count, struct store_tally *tally)
{
	size_t collected = 0;
	uint64_t events;

	pthread_mutex_lock(&writer->lock);
	for (; writer->done < writer->committing && collected < count; writer->done++)
		items[collected++] = *slot(writer, writer->done);
	if (writer->done == writer->committing &&
		read(writer->event_fd, &events, sizeof(events)) < 0 && errno != EAGAIN)
		log_error("cannot read an eventfd: %s", strerror(errno));
	tally->stored += writer->tally.stored;
	tally->duplicate += writer->tally.duplicate;
	tally->conflicting += writer->tally.conflicting;
	tally->late += writer->tally.late;
	writer->tally = (struct store_tally){ 0 };
	pthread_mutex_unlock(&writer->lock);
	return collected;
}

void writer_read_counters(struct writer *writer, struct writer_counters *ret_counters)
{
	pthread_mutex_lock(&writer->lock);
	*ret_counters = writer->counters;
	ret_counters->queued = writer->end - writer->committing;
	pthread_mutex_unlock(&writer->lock);
}
