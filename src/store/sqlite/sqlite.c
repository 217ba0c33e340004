/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The embedded store: SQLite as the container of a journal and of chunks (private.h has the files
 * and the invariants). What rests in the journal is also in memory (store/tracks.h), where
 * questions find it; opening the store replays the journal. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/text.h"
#include "store/latest.h"
#include "store/sqlite/private.h"

static struct sqlite_store *of(struct store *store)
{
	return (struct sqlite_store *)store;
}

static int lock_directory(struct sqlite_store *store, struct error *err)
{
	char path[PATH_MAX_BYTES + 32];

	snprintf(path, sizeof(path), "%s/lock", store->data_dir);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (store->lock_fd < 0)
		return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(
			err, -EBUSY, "'%s' is in use by another kanyun-server", store->data_dir);
	return 0;
}

/* After the commit: what became durable now becomes visible. */
static int publish_reading(struct sqlite_store *store, const struct reading *reading,
	uint64_t journal, struct store_tally *tally)
{
	struct resident *resident = tracks_resident(&store->tracks, &reading->instance);
	int r = resident ? 0 : -ENOMEM;

	if (r == 0)
		resident->is_stored = true;
	for (size_t i = 0; i < reading->tuple_count && r == 0; i++) {
		const struct tuple *tuple = &reading->tuples[i];
		const struct track_key key = { resident, tuple->group, tuple->parameter,
			reading->epoch, tuple->life, reading->segment };
		struct track *track = tracks_track(&store->tracks, &key);

		if (!track)
			return -ENOMEM;
		track->is_stored = true;
		r = track_add_row(
			track, reading->time_ms, tuple->present, tuple->values, journal, tally);
	}
	return r;
}

static int publish(struct sqlite_store *store, const struct store_commit *commit, uint64_t journal,
	struct store_tally *tally)
{
	int r = 0;

	for (size_t i = 0; i < commit->batch_count; i++) {
		const struct batch *batch = commit->batches[i];

		for (size_t j = 0; j < batch->info_count; j++) {
			const struct instance_key key = { .has_uuid = true,
				.uuid = batch->infos[j].uuid };
			struct resident *resident = tracks_find_resident(&store->tracks, &key);

			if (resident) {
				resident->is_stored = true;
				resident->infos_stored = resident->info_count;
			}
		}
		for (size_t j = 0; j < batch->reading_count && r == 0; j++)
			r = publish_reading(store, &batch->readings[j], journal, tally);
	}
	for (size_t i = 0; i < commit->source_count && r == 0; i++)
		r = sources_advance(&store->sources, &commit->sources[i]);
	return r;
}

static int sqlite_append(struct store *base, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	struct sqlite_store *store = of(base);
	int r;

	pthread_mutex_lock(&store->write_lock);
	r = catalogue_append(store, commit, store->journal + 1, err);
	if (r == 0) {
		pthread_mutex_lock(&store->lock);
		store->journal++;
		store->counters.journal_rows++;
		store->counters.journal_bytes += store->packed.size;
		r = publish(store, commit, store->journal, ret_tally);
		pthread_mutex_unlock(&store->lock);
	}
	pthread_mutex_unlock(&store->write_lock);
	return r;
}

static int sqlite_sources(struct store *base, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	struct sqlite_store *store = of(base);
	int r;

	pthread_mutex_lock(&store->lock);
	r = sources_each(&store->sources, host, worker, each, context);
	pthread_mutex_unlock(&store->lock);
	return r;
}

static int sqlite_records(struct store *base, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	struct sqlite_store *store = of(base);
	int r;

	pthread_mutex_lock(&store->write_lock);
	r = facts_records(store, kind, prefix, each, context, err);
	pthread_mutex_unlock(&store->write_lock);
	return r;
}

static int sqlite_instances(struct store *base, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	struct sqlite_store *store = of(base);
	int r = 0;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < store->tracks.resident_count && r == 0; i++) {
		const struct resident *resident = store->tracks.residents[i];
		const struct store_instance instance = resident_listed(resident);

		if (resident->is_stored && resident_matches(resident, filter) &&
			each(context, &instance) != 0)
			r = STORE_STOPPED;
	}
	pthread_mutex_unlock(&store->lock);
	return r;
}

static int sqlite_scan(struct store *base, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	struct sqlite_store *store = of(base);
	CLEANUP(gathering_deinit) struct gathering gathering;
	int r;

	/* Memory first: what is sealed in between is then found twice rather than never. */
	pthread_mutex_lock(&store->lock);
	r = gathering_init(&gathering, &store->tracks, scan);
	pthread_mutex_unlock(&store->lock);
	if (r == 0)
		r = days_gather(store, &gathering, 1, err);
	return r == 0 ? gathering_finish(&gathering, each, context) : r;
}

struct numbered {
	store_survey_fn each;
	void *context;
	size_t instance;
};

static int hand_on(void *context, const struct store_series *series)
{
	const struct numbered *numbered = context;

	return numbered->each(numbered->context, numbered->instance, series);
}

static int survey(struct sqlite_store *store, struct store_scan *scans,
	struct gathering *gatherings, size_t count, struct numbered *numbered, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < count && r == 0; i++)
		r = gathering_init(&gatherings[i], &store->tracks, &scans[i]);
	pthread_mutex_unlock(&store->lock);
	if (r == 0)
		r = days_gather(store, gatherings, count, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		numbered->instance = i;
		r = gathering_finish(&gatherings[i], hand_on, numbered);
	}
	return r;
}

static int sqlite_survey(struct store *base, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err)
{
	struct gathering *gatherings = calloc(count + 1, sizeof(*gatherings));
	struct store_scan *scans = calloc(count + 1, sizeof(*scans));
	struct numbered numbered = { each, context, 0 };
	int r = gatherings && scans ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		scans[i] = *scan;
		scans[i].instance = instances[i];
	}
	if (r == 0 && count)
		r = survey(of(base), scans, gatherings, count, &numbered, err);
	for (size_t i = 0; gatherings && i < count; i++)
		gathering_deinit(&gatherings[i]);
	free(gatherings);
	free(scans);
	return r;
}

static int sqlite_latest(struct store *base, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	struct sqlite_store *store = of(base);
	int r;

	pthread_mutex_lock(&store->lock);
	r = latest_each(&store->tracks, recent, each, context, err);
	pthread_mutex_unlock(&store->lock);
	return r;
}

static int sqlite_maintain(
	struct store *base, int64_t now_ms, int64_t keep_from_ms, bool *ret_more, struct error *err)
{
	struct sqlite_store *store = of(base);
	uint64_t rested = 0;
	int r;

	pthread_mutex_lock(&store->write_lock);
	r = catalogue_rested(store, now_ms, &rested, err);
	pthread_mutex_unlock(&store->write_lock);
	if (r == 0 && rested)
		r = days_seal(store, rested, err);
	if (r == 0 && rested) {
		pthread_mutex_lock(&store->write_lock);
		r = catalogue_forget(store, rested, err);
		pthread_mutex_unlock(&store->write_lock);
	}
	if (r == 0 && rested) {
		pthread_mutex_lock(&store->lock);
		tracks_drop_journal(&store->tracks, rested);
		pthread_mutex_unlock(&store->lock);
	}
	if (r == 0 && keep_from_ms != INT64_MIN)
		r = days_delete_before(store, keep_from_ms, err);
	/* Until then what was read in the day is sealed, if it came in time. */
	return r == 0 ? days_pack(store, now_ms - 2 * store->seal_after_ms, ret_more, err) : r;
}

static void sqlite_counters(struct store *base, store_counter_fn each, void *context)
{
	struct sqlite_store *store = of(base);
	struct sqlite_counters counters;
	size_t instances, tracks;

	pthread_mutex_lock(&store->lock);
	counters = store->counters;
	instances = store->tracks.resident_count;
	tracks = store->tracks.track_count;
	pthread_mutex_unlock(&store->lock);
	each(context, "store_instances", instances);
	each(context, "store_tracks", tracks);
	each(context, "store_journal_rows", counters.journal_rows);
	each(context, "store_journal_bytes", counters.journal_bytes);
	each(context, "store_chunks_written", counters.chunks_written);
	each(context, "store_chunk_bytes", counters.chunk_bytes);
	each(context, "store_packed", counters.packed);
	each(context, "store_corrupt", counters.corrupt);
	each(context, "store_days_deleted", counters.days_deleted);
}

static int sqlite_damaged(
	struct store *base, store_damage_fn each, void *context, struct error *err)
{
	struct sqlite_store *store = of(base);
	int r;

	pthread_mutex_lock(&store->days_lock);
	r = damage_each(store, each, context, err);
	pthread_mutex_unlock(&store->days_lock);
	return r;
}

static void sqlite_close(struct store *base)
{
	struct sqlite_store *store = of(base);

	days_close(store);
	catalogue_close(store);
	tracks_deinit(&store->tracks);
	sources_deinit(&store->sources);
	buffer_deinit(&store->scratch);
	buffer_deinit(&store->day_scratch);
	buffer_deinit(&store->packed);
	ZSTD_freeCCtx(store->compressor);
	ZSTD_freeDCtx(store->decompressor);
	free(store->noted);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_mutex_destroy(&store->write_lock);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->days_lock);
	free(store);
}

static const struct store_ops sqlite_ops = { .name = "sqlite",
	.append = sqlite_append,
	.sources = sqlite_sources,
	.records = sqlite_records,
	.instances = sqlite_instances,
	.scan = sqlite_scan,
	.survey = sqlite_survey,
	.latest = sqlite_latest,
	.maintain = sqlite_maintain,
	.counters = sqlite_counters,
	.damaged = sqlite_damaged,
	.close = sqlite_close };

int sqlite_sync_names(struct sqlite_store *store, struct error *err)
{
	int r = directory_sync(store->data_dir);

	return r < 0 ? error_set(err, r, "cannot sync the directory: %s", strerror(-r)) : 0;
}

static int open_all(struct sqlite_store *store, struct error *err)
{
	int r = directory_make(store->data_dir, 0750, err);

	store->compressor = blob_compressor_new(BLOB_SMALL);
	store->decompressor = ZSTD_createDCtx();
	if (r == 0)
		r = store->compressor && store->decompressor ? tracks_init(&store->tracks)
							     : -ENOMEM;
	if (r == 0)
		r = lock_directory(store, err);
	if (r < 0)
		return r;
	r = catalogue_open(store, err);
	if (r == 0)
		r = sqlite_sync_names(store, err);
	if (r == 0)
		r = catalogue_load(store, err);
	if (r == 0)
		r = days_load(store, err);
	if (r > 0)
		r = -EIO;
	return r < 0 ? error_prefix(err, r, "cannot open the store in '%s'", store->data_dir) : 0;
}

int sqlite_store_new(
	const struct sqlite_store_options *options, struct store **ret_store, struct error *err)
{
	struct sqlite_store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return -ENOMEM;
	store->store.ops = &sqlite_ops;
	store->lock_fd = -1;
	store->crowded = -1;
	store->seal_after_ms = options->seal_after_ms;
	pthread_mutex_init(&store->write_lock, NULL);
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->days_lock, NULL);
	buffer_init(&store->scratch, BLOB_MAX);
	buffer_init(&store->day_scratch, BLOB_MAX);
	buffer_init(&store->packed, BLOB_MAX);
	r = text_copy(store->data_dir, sizeof(store->data_dir), options->data_dir)
		    ? open_all(store, err)
		    : error_set(err, -ENAMETOOLONG, "data_dir is too long");
	if (r < 0) {
		sqlite_close(&store->store);
		return r;
	}
	*ret_store = &store->store;
	return 0;
}
