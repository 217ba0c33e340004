/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A store in memory, for tests: what the semantics of store.h come to without a disk. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/gaps.h"
#include "store/gathering.h"
#include "store/latest.h"
#include "store/sources.h"
#include "store/tracks.h"

struct memory_record {
	char *kind, *key;
	void *value;
	size_t size;
};

struct memory_store {
	struct store store;
	pthread_mutex_t lock;
	struct tracks tracks;
	struct sources sources;
	struct memory_record *records; /* by kind and key */
	size_t record_count;
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
		struct track *track = tracks_track(&memory->tracks, &key);

		if (!track)
			return -ENOMEM;
		track_note_start(track, reading->time_ms, tuple_start_ms(reading, tuple));
		r = track_add_row(track, reading->time_ms, tuple->present, tuple->values, 1, tally);
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

static int compare(const struct memory_record *record, const char *kind, const char *key)
{
	int order = strcmp(record->kind, kind);

	return order ? order : strcmp(record->key, key);
}

static size_t record_place(const struct memory_store *memory, const char *kind, const char *key)
{
	size_t place = 0;

	while (place < memory->record_count && compare(&memory->records[place], kind, key) < 0)
		place++;
	return place;
}

static void free_record(struct memory_record *record)
{
	free(record->kind);
	free(record->key);
	free(record->value);
}

static int put_record(void *context, const struct store_record *record)
{
	struct memory_store *memory = context;
	size_t place = record_place(memory, record->kind, record->key);
	struct memory_record *records, added = { strdup(record->kind), strdup(record->key),
		malloc(record->size + 1), record->size };

	records = reallocarray(memory->records, memory->record_count + 1, sizeof(*records));
	if (records)
		memory->records = records;
	if (!records || !added.kind || !added.key || !added.value) {
		free_record(&added);
		return -ENOMEM;
	}
	if (record->size)
		memcpy(added.value, record->value, record->size);
	if (place < memory->record_count &&
		compare(&records[place], record->kind, record->key) == 0) {
		free_record(&records[place]);
	} else {
		memmove(&records[place + 1], &records[place],
			(memory->record_count - place) * sizeof(*records));
		memory->record_count++;
	}
	records[place] = added;
	return 0;
}

static int add_facts(struct memory_store *memory, const struct store_commit *commit)
{
	int r = 0;

	for (size_t i = 0; i < commit->source_count && r == 0; i++)
		r = sources_advance(&memory->sources, &commit->sources[i]);
	for (size_t i = 0; i < commit->record_count && r == 0; i++)
		r = put_record(memory, &commit->records[i]);
	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = gaps_each(commit->batches[i], put_record, memory);
	return r;
}

static int memory_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = add_batch(memory, commit->batches[i], ret_tally);
	if (r == 0)
		r = add_facts(memory, commit);
	pthread_mutex_unlock(&memory->lock);
	return r;
}

static int memory_sources(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	int r;

	pthread_mutex_lock(&memory->lock);
	r = sources_each(&memory->sources, host, worker, each, context);
	pthread_mutex_unlock(&memory->lock);
	return r;
}

static int memory_records(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (size_t i = record_place(memory, kind, prefix); i < memory->record_count && r == 0;
		i++) {
		const struct memory_record *kept = &memory->records[i];
		const struct store_record record = { kept->kind, kept->key, kept->value,
			kept->size };

		if (strcmp(kept->kind, kind) != 0 ||
			strncmp(kept->key, prefix, strlen(prefix)) != 0)
			break;
		if (each(context, &record) != 0)
			r = STORE_STOPPED;
	}
	pthread_mutex_unlock(&memory->lock);
	return r;
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

static int memory_latest(struct store *store, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	struct memory_store *memory = (struct memory_store *)store;
	int r;

	pthread_mutex_lock(&memory->lock);
	r = latest_each(&memory->tracks, recent, each, context, err);
	pthread_mutex_unlock(&memory->lock);
	return r;
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
	sources_deinit(&memory->sources);
	for (size_t i = 0; i < memory->record_count; i++)
		free_record(&memory->records[i]);
	free(memory->records);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static const struct store_ops memory_ops = { .name = "memory",
	.append = memory_append,
	.sources = memory_sources,
	.records = memory_records,
	.instances = memory_instances,
	.scan = memory_scan,
	.latest = memory_latest,
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
