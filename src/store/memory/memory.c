/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A store in memory, for tests: what the semantics of store.h come to without a disk. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/store.h"
#include "store/tracks.h"

enum { WATERMARKS_MAX = 1024 };

struct memory_watermark {
	char worker[INSTANCE_TEXT_MAX + 1], spool[INSTANCE_TEXT_MAX + 1];
	uint64_t sequence;
};

struct memory_store {
	struct store store;
	pthread_mutex_t lock;
	struct tracks tracks;
	struct memory_watermark watermarks[WATERMARKS_MAX];
	size_t watermark_count;
};

static int add_reading(
	struct memory_store *memory, const struct reading *reading, struct store_tally *tally)
{
	struct resident *resident = tracks_resident(&memory->tracks, &reading->instance);
	int r = resident ? 0 : -ENOMEM;

	for (size_t i = 0; i < reading->tuple_count && r == 0; i++) {
		const struct tuple *tuple = &reading->tuples[i];
		const struct track_key key = { resident, tuple->group, tuple->parameter,
			reading->epoch, tuple->life, reading->segment };
		struct track *track =
			tracks_track(&memory->tracks, &key, tuple_start_ms(reading, tuple));

		r = track ? track_add_row(track, reading->time_ms, tuple->present, tuple->values, 1,
				    tally)
			  : -ENOMEM;
	}
	return r;
}

static int add_batch(
	struct memory_store *memory, const struct batch *batch, struct store_tally *tally)
{
	int r = 0;

	for (size_t i = 0; i < batch->info_count && r >= 0; i++) {
		const struct instance_key key = { .has_uuid = true, .uuid = batch->infos[i].uuid };
		struct resident *resident = tracks_resident(&memory->tracks, &key);

		r = resident ? resident_add_info(resident, &batch->infos[i]) : -ENOMEM;
	}
	for (size_t i = 0; i < batch->reading_count && r >= 0; i++)
		r = add_reading(memory, &batch->readings[i], tally);
	return MIN_OF(r, 0);
}

static struct memory_watermark *find_watermark(
	struct memory_store *memory, const char *worker, const char *spool)
{
	for (size_t i = 0; i < memory->watermark_count; i++)
		if (strcmp(memory->watermarks[i].worker, worker) == 0 &&
			strcmp(memory->watermarks[i].spool, spool) == 0)
			return &memory->watermarks[i];
	return NULL;
}

static int set_watermark(struct memory_store *memory, const struct store_watermark *watermark)
{
	struct memory_watermark *kept = find_watermark(memory, watermark->worker, watermark->spool);

	if (!kept) {
		if (memory->watermark_count == WATERMARKS_MAX)
			return STORE_FULL;
		kept = &memory->watermarks[memory->watermark_count++];
		text_copy(kept->worker, sizeof(kept->worker), watermark->worker);
		text_copy(kept->spool, sizeof(kept->spool), watermark->spool);
	}
	kept->sequence = MAX_OF(kept->sequence, watermark->sequence);
	return 0;
}

static int memory_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = add_batch(memory, commit->batches[i], ret_tally);
	for (size_t i = 0; i < commit->watermark_count && r == 0; i++)
		r = set_watermark(memory, &commit->watermarks[i]);
	pthread_mutex_unlock(&memory->lock);
	return r;
}

static int memory_watermark(struct store *store, const char *worker, const char *spool,
	uint64_t *ret_sequence, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	const struct memory_watermark *kept;

	pthread_mutex_lock(&memory->lock);
	kept = find_watermark(memory, worker, spool);
	*ret_sequence = kept ? kept->sequence : 0;
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static int memory_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; i < memory->tracks.resident_count && r == 0; i++) {
		const struct store_instance instance = resident_listed(memory->tracks.residents[i]);

		if (resident_matches(memory->tracks.residents[i], filter) &&
			each(context, &instance) != 0)
			r = STORE_STOPPED;
	}
	pthread_mutex_unlock(&memory->lock);
	return r;
}

static int memory_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	CLEANUP(gathering_deinit) struct gathering gathering;
	int r;

	pthread_mutex_lock(&memory->lock);
	r = gathering_init(&gathering, &memory->tracks, scan);
	pthread_mutex_unlock(&memory->lock);
	return r == 0 ? gathering_finish(&gathering, each, context) : r;
}

static int memory_maintain(struct store *store, int64_t now_ms, int64_t keep_from_ms,
	bool *ret_more, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;

	if (keep_from_ms == INT64_MIN)
		return 0;
	pthread_mutex_lock(&memory->lock);
	tracks_drop_before(&memory->tracks, keep_from_ms);
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static void memory_close(struct store *store)
{
	struct memory_store *memory = (struct memory_store *)store;

	tracks_deinit(&memory->tracks);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static const struct store_ops memory_ops = { .name = "memory",
	.append = memory_append,
	.watermark = memory_watermark,
	.instances = memory_instances,
	.scan = memory_scan,
	.maintain = memory_maintain,
	.close = memory_close };

int memory_store_new(struct store **ret_store)
{
	struct memory_store *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	memory->store.ops = &memory_ops;
	pthread_mutex_init(&memory->lock, NULL);
	if (tracks_init(&memory->tracks) < 0) {
		memory_close(&memory->store);
		return -ENOMEM;
	}
	*ret_store = &memory->store;
	return 0;
}
