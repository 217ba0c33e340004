/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "model/batch.h"
#include "store/imprint.h"
#include "store/lost-days.h"

/* Notes in the store that is copied to, of instances that were copied: the digest of what was. */
#define COPIED_KIND "copied"

enum {
	DAY_MS = 24 * 60 * 60 * 1000,
	SAMPLES_MAX = 50 * 1000 * 1000, /* of one instance and day */
	TEXTS_MAX = 64 * 1024 * 1024,
	COMMIT_READINGS = 2000,
	COMMIT_FACTS = 1000,
};

/* One sample, with all that it belongs to. */
struct cell {
	int64_t time_ms, start_ms, value;
	const char *epoch, *parameter, *life;
	uint32_t segment;
	enum metric_group group;
	uint8_t column;
};

/* Those of one instance and one day. */
struct cells {
	struct arena texts;
	struct cell *all;
	size_t count, room;
	int64_t from_ms, to_ms;  /* this one not included */
	struct imprint *imprint; /* or NULL */
	int r;
};

static void cells_init(struct cells *cells, int64_t from_ms, struct imprint *imprint)
{
	*cells =
		(struct cells){ .from_ms = from_ms, .to_ms = from_ms + DAY_MS, .imprint = imprint };
	arena_init(&cells->texts, TEXTS_MAX);
}

static void cells_deinit(struct cells *cells)
{
	free(cells->all);
	arena_deinit(&cells->texts);
}
CLEANUP_DEFINE_VALUE(struct cells, cells_deinit)

static int add_cell(struct cells *cells, const struct cell *cell)
{
	if (cells->count == cells->room) {
		size_t room = cells->room ? 2 * cells->room : 4096;
		struct cell *all = reallocarray(cells->all, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		cells->all = all;
		cells->room = room;
	}
	cells->all[cells->count++] = *cell;
	return 0;
}

static const char *keep(struct cells *cells, const char *text)
{
	return arena_copy_text(&cells->texts, text, strlen(text));
}

static int take_series(void *context, const struct store_series *series)
{
	struct cells *cells = context;
	struct cell cell = { .start_ms = series->start_ms,
		.epoch = keep(cells, series->epoch),
		.parameter = keep(cells, series->parameter),
		.life = keep(cells, series->life),
		.segment = series->segment,
		.group = series->metric->group,
		.column = series->metric->column };

	if (!cell.epoch || !cell.parameter || !cell.life)
		cells->r = -ENOMEM;
	if (cells->imprint)
		imprint_add_series(cells->imprint, series, cells->from_ms, cells->to_ms);
	for (size_t i = 0; i < series->count && cells->r == 0; i++) {
		cell.time_ms = series->samples[i].time_ms;
		cell.value = series->samples[i].value;
		if (cell.time_ms >= cells->from_ms && cell.time_ms < cells->to_ms)
			cells->r = add_cell(cells, &cell);
	}
	return cells->r;
}

static int compare_readings(const struct cell *one, const struct cell *other)
{
	int order = (one->time_ms > other->time_ms) - (one->time_ms < other->time_ms);

	if (order == 0)
		order = strcmp(one->epoch, other->epoch);
	return order ? order : (one->segment > other->segment) - (one->segment < other->segment);
}

static int compare_tuples(const struct cell *one, const struct cell *other)
{
	int order = (one->group > other->group) - (one->group < other->group);

	if (order == 0)
		order = strcmp(one->parameter, other->parameter);
	return order ? order : strcmp(one->life, other->life);
}

static int compare_cells(const void *a, const void *b)
{
	const struct cell *one = a, *other = b;
	int order = compare_readings(one, other);

	if (order == 0)
		order = compare_tuples(one, other);
	return order ? order : one->column - other->column;
}

static int read_day(struct store *store, const struct store_instance *instance, int64_t from_ms,
	store_series_fn each, void *context, struct error *err)
{
	struct store_scan scan = { .instance = instance->key,
		.from_ms = from_ms,
		.to_ms = from_ms + DAY_MS - 1,
		.maximum = SAMPLES_MAX };

	for (unsigned int i = 0; i < _METRIC_GROUP_COUNT; i++)
		scan.columns[i] = instance->groups >> i & 1 ? 0xffff : 0;
	return store_scan(store, &scan, each, context, err);
}

static int read_cells(struct store *store, const struct store_instance *instance,
	struct cells *cells, struct error *err)
{
	int r = read_day(store, instance, cells->from_ms, take_series, cells, err);

	if (cells->r)
		r = cells->r;
	if (r == 0 && cells->count)
		qsort(cells->all, cells->count, sizeof(*cells->all), compare_cells);
	return r;
}

/* With the time at which it is made: servers that share the store go by it. */
static int append(struct copy *copy, struct store_commit commit, struct error *err)
{
	struct store_tally ignored;

	commit.now_ms = clock_wall_ms(copy->clock);
	return store_append(copy->to, &commit, &ignored, err);
}

static int append_batch(struct copy *copy, const struct batch *batch, struct error *err)
{
	return append(copy, (struct store_commit){ .batches = &batch, .batch_count = 1 }, err);
}

/* What was written need not stay in the memory of the store that is copied to. */
static int tidy(struct copy *copy, struct error *err)
{
	bool ignored;

	copy->untidied = 0;
	return store_maintain(copy->to, clock_wall_ms(copy->clock), INT64_MIN, &ignored, err);
}

static struct tuple *add_tuple(
	struct batch *batch, struct reading *reading, const struct cell *cell)
{
	struct tuple *tuple = batch_add_tuple(batch, reading);

	if (!tuple)
		return NULL;
	tuple->group = cell->group;
	tuple->parameter = cell->parameter;
	tuple->life = cell->life;
	tuple->has_start = cell->start_ms != reading->start_ms;
	tuple->start_ms = cell->start_ms;
	return tuple;
}

/* The reading that begins with that cell. *place moves behind it. */
static int add_reading(struct batch *batch, const struct instance_key *key,
	const struct cells *cells, size_t *place)
{
	const struct cell *first = &cells->all[*place], *before = NULL;
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple = NULL;

	if (!reading)
		return -ENOMEM;
	reading->instance = *key;
	reading->time_ms = first->time_ms;
	reading->epoch = first->epoch;
	reading->segment = first->segment;
	reading->start_ms = first->start_ms;
	for (; *place < cells->count; ++*place) {
		const struct cell *cell = &cells->all[*place];

		if (compare_readings(first, cell) != 0)
			break;
		if (!before || compare_tuples(before, cell) != 0)
			tuple = add_tuple(batch, reading, cell);
		if (!tuple)
			return -ENOMEM;
		tuple_set(tuple, cell->column, cell->value);
		before = cell;
	}
	return 0;
}

static int write_cells(struct copy *copy, const struct instance_key *key, const struct cells *cells,
	struct error *err)
{
	size_t place = 0;
	int r = 0;

	while (place < cells->count && r == 0) {
		CLEANUP(batch_free) struct batch *batch = NULL;

		r = batch_new(&batch);
		while (r == 0 && place < cells->count && batch->reading_count < COMMIT_READINGS)
			r = add_reading(batch, key, cells, &place);
		if (r == 0)
			r = append_batch(copy, batch, err);
	}
	return r;
}

/* Is all of it there? There may be more, and of two values the larger one counts. */
static int check_cells(const struct cells *sent, const struct cells *found, struct error *err)
{
	size_t place = 0;

	for (size_t i = 0; i < sent->count; i++) {
		const struct cell *cell = &sent->all[i];

		while (place < found->count && compare_cells(&found->all[place], cell) < 0)
			place++;
		if (place == found->count || compare_cells(&found->all[place], cell) != 0 ||
			found->all[place].value < cell->value)
			return error_set(err, -EBADMSG,
				"a sample of '%s' is not there after it was copied",
				cell->parameter);
	}
	return 0;
}

static int copy_day(struct copy *copy, const struct store_instance *instance, int64_t from_ms,
	struct imprint *imprint, struct error *err)
{
	CLEANUP(cells_deinit) struct cells sent;
	CLEANUP(cells_deinit) struct cells found;
	int r;

	cells_init(&sent, from_ms, imprint);
	cells_init(&found, from_ms, NULL);
	r = read_cells(copy->from, instance, &sent, err);
	if (r != 0 || sent.count == 0)
		return r;
	r = write_cells(copy, &instance->key, &sent, err);
	if (r == 0)
		r = read_cells(copy->to, instance, &found, err);
	if (r == 0)
		r = check_cells(&sent, &found, err);
	copy->samples += sent.count;
	copy->untidied += sent.count;
	return r == 0 && copy->untidied >= copy->tidy_samples ? tidy(copy, err) : r;
}

static int copy_infos(struct copy *copy, const struct store_instance *instance, struct error *err)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	int r = batch_new(&batch);

	for (size_t i = 0; i < instance->info_count && r == 0; i++) {
		struct instance_info *info = batch_add_info(batch);

		if (!info)
			return -ENOMEM;
		*info = instance->infos[i];
		info->uuid = instance->key.uuid;
	}
	return r == 0 && instance->info_count ? append_batch(copy, batch, err) : r;
}

/* The stores' callbacks may hold their locks, so that nothing is asked within them. */
struct listed {
	struct arena arena;
	struct store_instance *all;
	size_t count, room;
};

static int list_instance(void *context, const struct store_instance *instance)
{
	struct listed *listed = context;
	struct store_instance *added;

	if (listed->count == listed->room) {
		size_t room = listed->room ? 2 * listed->room : 256;

		added = reallocarray(listed->all, room, sizeof(*added));
		if (!added)
			return 1;
		listed->all = added;
		listed->room = room;
	}
	added = &listed->all[listed->count];
	*added = *instance;
	added->infos = NULL;
	added->info_count = 0;
	if (!instance->key.has_uuid)
		added->key.name = arena_copy_text(
			&listed->arena, instance->key.name, strlen(instance->key.name));
	listed->count += instance->key.has_uuid || added->key.name;
	return instance->key.has_uuid || added->key.name ? 0 : 1;
}

/* An instance of the store that is copied from. */
struct copying {
	struct copy *copy;
	const struct store_instance *instance;
	bool only_looks;
	struct imprint imprint;
	struct error *err;
	int64_t day_ms;
	int r;
};

static int take_infos(void *context, const struct store_instance *instance)
{
	struct copying *copying = context;

	for (size_t i = 0; i < instance->info_count; i++)
		imprint_add_info(&copying->imprint, &instance->infos[i]);
	copying->r = copying->only_looks ? 0 : copy_infos(copying->copy, instance, copying->err);
	return copying->r;
}

static int look_at_series(void *context, const struct store_series *series)
{
	struct copying *copying = context;

	imprint_add_series(&copying->imprint, series, copying->day_ms, copying->day_ms + DAY_MS);
	return copying->imprint.r;
}

static int take_day(struct copying *copying)
{
	return copying->only_looks ? read_day(copying->copy->from, copying->instance,
					     copying->day_ms, look_at_series, copying, copying->err)
				   : copy_day(copying->copy, copying->instance, copying->day_ms,
					     &copying->imprint, copying->err);
}

static int take_all(struct copying *copying)
{
	const struct store_instance *instance = copying->instance;
	const struct store_filter filter = { .key = &instance->key };
	int r = store_instances(copying->copy->from, &filter, take_infos, copying, copying->err);

	if (copying->r)
		r = copying->r;
	copying->day_ms = floor_divide(instance->first_ms, DAY_MS) * DAY_MS;
	for (; r == 0 && instance->last_ms && copying->day_ms <= instance->last_ms;
		copying->day_ms += DAY_MS)
		r = take_day(copying);
	return copying->imprint.r ? copying->imprint.r : r;
}

/* Copies it, or only looks at it. */
static int take_instance(struct copy *copy, const struct store_instance *instance, bool only_looks,
	uint8_t ret_digest[IMPRINT_SIZE], struct error *err)
{
	struct copying copying = {
		.copy = copy, .instance = instance, .only_looks = only_looks, .err = err
	};
	int r = imprint_init(&copying.imprint);

	if (r == 0)
		r = take_all(&copying);
	if (r == 0)
		r = imprint_finish(&copying.imprint, ret_digest);
	imprint_deinit(&copying.imprint);
	return r;
}

struct note {
	bool is_there;
	uint8_t digest[IMPRINT_SIZE];
};

static int take_note(void *context, const struct store_record *record)
{
	struct note *note = context;

	note->is_there = record->size == sizeof(note->digest);
	if (note->is_there)
		memcpy(note->digest, record->value, sizeof(note->digest));
	return 1;
}

/* Was all that there is of it copied before? */
static int look_whether_done(struct copy *copy, const struct store_instance *instance,
	const char *key, bool *ret_is_done, struct error *err)
{
	struct note note = { .is_there = false };
	uint8_t digest[IMPRINT_SIZE];
	int r = store_records(copy->to, COPIED_KIND, key, take_note, &note, err);

	*ret_is_done = false;
	if (r == STORE_STOPPED)
		r = 0;
	if (r != 0 || !note.is_there)
		return r;
	r = take_instance(copy, instance, true, digest, err);
	*ret_is_done = r == 0 && memcmp(digest, note.digest, sizeof(digest)) == 0;
	return r;
}

static int copy_instance(
	struct copy *copy, const struct store_instance *instance, struct error *err)
{
	char key[RECORD_TEXT_MAX + 1], text[UUID_TEXT_SIZE];
	uint8_t digest[IMPRINT_SIZE];
	const struct store_record done = { COPIED_KIND, key, digest, sizeof(digest) };
	bool is_done;
	int r;

	if (snprintf(key, sizeof(key), "%s\x1f%s\x1f", copy->name,
		    instance_key_text(&instance->key, text)) >= (int)sizeof(key))
		return error_set(err, -EMSGSIZE, "the store's name is too long");
	r = look_whether_done(copy, instance, key, &is_done, err);
	copy->skipped += r == 0 && is_done;
	if (r != 0 || is_done)
		return r;
	r = take_instance(copy, instance, false, digest, err);
	return r == 0 ? append(copy, (struct store_commit){ .records = &done, .record_count = 1 },
				err)
		      : r;
}

int copy_instances(struct copy *copy, struct error *err)
{
	const struct store_filter everyone = { 0 };
	struct listed listed = { .count = 0 };
	int r;

	arena_init(&listed.arena, SIZE_MAX);
	r = store_instances(copy->from, &everyone, list_instance, &listed, err);
	if (r == STORE_STOPPED)
		r = -ENOMEM;
	copy->instance_count = listed.count;
	for (size_t i = 0; i < listed.count && r == 0; i++) {
		r = copy_instance(copy, &listed.all[i], err);
		copy->instances++;
		if (r == 0 && copy->progress)
			copy->progress(copy->context, copy);
	}
	if (r == 0)
		r = tidy(copy, err);
	free(listed.all);
	arena_deinit(&listed.arena);
	return r;
}

/* Copies of records or sources, sent when they are many. */
struct facts {
	struct copy *copy;
	struct arena arena;
	struct store_record *records;
	struct store_source *sources;
	size_t count;
};

static const char *keep_text(struct facts *facts, const char *text)
{
	return arena_copy_text(&facts->arena, text, strlen(text));
}

static int keep_record(void *context, const struct store_record *record)
{
	struct facts *facts = context;
	struct store_record *records = arena_grow(
		&facts->arena, facts->records, facts->count, SIZE_MAX / 2, sizeof(*records));
	const struct store_record copied = lost_days_copy(record);
	void *value = arena_take(&facts->arena, copied.size + 1);
	const char *kind = keep_text(facts, copied.kind), *key = keep_text(facts, copied.key);

	if (!records || !value || !kind || !key)
		return 1;
	if (copied.size)
		memcpy(value, copied.value, copied.size);
	facts->records = records;
	records[facts->count++] = (struct store_record){ kind, key, value, copied.size };
	return 0;
}

static int keep_source(void *context, const struct store_source *source)
{
	struct facts *facts = context;
	struct store_source *sources = arena_grow(
		&facts->arena, facts->sources, facts->count, SIZE_MAX / 2, sizeof(*sources));
	const char *worker = keep_text(facts, source->worker);
	const char *spool = keep_text(facts, source->spool), *host = keep_text(facts, source->host);

	if (!sources || !worker || !spool || !host)
		return 1;
	facts->sources = sources;
	sources[facts->count] = *source;
	sources[facts->count].worker = worker;
	sources[facts->count].spool = spool;
	sources[facts->count++].host = host;
	return 0;
}

static int send_facts(struct facts *facts, int r, struct error *err)
{
	if (r == STORE_STOPPED)
		r = -ENOMEM;
	for (size_t i = 0; i < facts->count && r == 0; i += COMMIT_FACTS) {
		size_t count = MIN_OF(facts->count - i, (size_t)COMMIT_FACTS);
		const struct store_commit commit = { .records = facts->records ? &facts->records[i]
									       : NULL,
			.record_count = facts->records ? count : 0,
			.sources = facts->sources ? &facts->sources[i] : NULL,
			.source_count = facts->sources ? count : 0 };

		r = append(facts->copy, commit, err);
	}
	arena_deinit(&facts->arena);
	return r;
}

int copy_records(struct copy *copy, const char *kind, struct error *err)
{
	struct facts facts = { .copy = copy };

	arena_init(&facts.arena, SIZE_MAX);
	return send_facts(
		&facts, store_records(copy->from, kind, "", keep_record, &facts, err), err);
}

int copy_sources(struct copy *copy, struct error *err)
{
	struct facts facts = { .copy = copy };

	arena_init(&facts.arena, SIZE_MAX);
	return send_facts(
		&facts, store_sources(copy->from, NULL, NULL, keep_source, &facts, err), err);
}
