/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A commit: all its readings are on their way together; records follow when they are there, and
 * sources after those. What is written about a reading besides itself is the same for many
 * readings, and written once by each server (noted.c). */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"
#include "store/packed.h"

enum {
	IN_FLIGHT_MAX = 16384, /* statements that are made before they are sent, */
	IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024,
	LATES_MAX = 2 * STORE_COMMIT_PARTS_MAX,
	COMMIT_MEMORY_MAX = 256 * 1024 * 1024, /* less than 1 KiB of each of these is kept */
};

/* Above all times: the smaller one of two has the larger timestamp. */
static const int64_t FIRST_FROM_MS = TIME_MS_MAX + 1;

struct appending {
	struct cassandra_store *store;
	int64_t now_ms;
	struct statements statements;
	uint64_t readings, bytes;
	struct arena arena;
	struct late *lates; /* readings of days that may have been summarized */
	size_t late_count;
	struct error *err;
};

struct late {
	const char *id;
	int64_t day;
	struct digest note;
};

/* Of one reading. */
struct place {
	const char *id;   /* lives as long as the commit */
	const char *host; /* as in stays.c */
	struct cql_value instance, bucket;
	int64_t day;
};

/* Has what the scratch buffer names been written? */
static int look(struct appending *appending, struct digest *ret_digest, bool *ret_is_new)
{
	struct cassandra_store *store = appending->store;
	int r = buffer_check(&store->scratch);

	if (r == 0)
		r = digester_of(
			&store->digester, store->scratch.bytes, store->scratch.size, ret_digest);
	if (r == 0)
		*ret_is_new = !noted_has(&store->noted, ret_digest);
	return r;
}

/* The same; if not, it will have been when the commit is there. */
static int note(struct appending *appending, bool *ret_is_new)
{
	struct digest digest;
	int r = look(appending, &digest, ret_is_new);

	if (r == 0 && *ret_is_new)
		noted_add(&appending->store->noted, &digest);
	return r;
}

/* Begins what is noted: `what` keeps the kinds of notes apart. */
static struct buffer *begin_note(struct appending *appending, char what, const char *id)
{
	struct buffer *scratch = &appending->store->scratch;

	buffer_clear(scratch);
	buffer_write_u8(scratch, (uint8_t)what);
	buffer_write_string(scratch, id);
	return scratch;
}

static int send_all(struct appending *appending)
{
	int r = statements_run(&appending->statements, NULL, NULL, appending->err);

	statements_clear(&appending->statements);
	return r;
}

static int64_t next_appearance_us(struct appending *appending)
{
	struct cassandra_store *store = appending->store;

	store->appeared_us = MAX_OF(appending->now_ms * 1000, store->appeared_us + 1);
	return store->appeared_us;
}

static int note_appearance(struct appending *appending, const struct place *place)
{
	struct statements *statements = &appending->statements;
	bool is_new = false;
	int r;

	begin_note(appending, 'a', place->id);
	r = note(appending, &is_new);
	if (r == 0 && is_new) {
		int64_t appeared_us = next_appearance_us(appending);
		const struct cql_value values[] = { statements_bigint(statements, appeared_us),
			place->bucket, place->instance };

		statements_add(statements, NOTE_APPEARANCE, values, ARRAY_SIZE(values), 0)
			->timestamp_us = MAX_OF(FIRST_FROM_MS * 1000 - appeared_us, 1);
	}
	return r;
}

static int note_host(struct appending *appending, const struct place *place)
{
	struct statements *statements = &appending->statements;
	struct buffer *scratch = begin_note(appending, 'h', place->id);
	bool is_new = false;
	int r;

	buffer_write_string(scratch, place->host);
	buffer_write_signed(scratch, place->day);
	r = note(appending, &is_new);
	if (r == 0 && is_new) {
		const struct cql_value values[] = { statements_text(statements, place->host),
			statements_day(statements, place->day), place->bucket, place->instance };

		statements_add(statements, NOTE_HOST, values, ARRAY_SIZE(values), 0)->timestamp_us =
			MAX_OF(place->day, 1);
	}
	return r;
}

static int note_groups(
	struct appending *appending, const struct place *place, const struct reading *reading)
{
	struct statements *statements = &appending->statements;
	uint32_t groups = 0;
	int r = 0;

	for (size_t i = 0; i < reading->tuple_count; i++)
		groups |= 1u << reading->tuples[i].group;
	for (unsigned int i = 0; i < _METRIC_GROUP_COUNT && r == 0; i++) {
		bool is_new;

		if (!(groups >> i & 1))
			continue;
		buffer_write_u8(begin_note(appending, 'g', place->id), (uint8_t)i);
		r = note(appending, &is_new);
		if (r == 0 && is_new) {
			const char *name = metric_group_info((enum metric_group)i)->name;
			const struct cql_value values[] = { statements_set(statements, name),
				place->bucket, place->instance };

			statements_add(statements, NOTE_GROUPS, values, ARRAY_SIZE(values), 0);
		}
	}
	return r;
}

/* The first time of an instance moves back only if this server knows none that is earlier. */
static void note_first(
	struct appending *appending, const struct place *place, const struct reading *reading)
{
	struct cassandra_store *store = appending->store;
	struct statements *statements = &appending->statements;
	const struct resident *resident;
	bool is_known;

	pthread_mutex_lock(&store->lock);
	resident = tracks_find_resident(&store->recent, &reading->instance);
	is_known = resident && resident->last_ms && resident->first_ms <= reading->time_ms;
	pthread_mutex_unlock(&store->lock);
	if (!is_known) {
		const struct cql_value values[] = { statements_bigint(statements, reading->time_ms),
			place->bucket, place->instance };

		statements_add(statements, NOTE_FIRST, values, ARRAY_SIZE(values), 0)
			->timestamp_us = MAX_OF(FIRST_FROM_MS - reading->time_ms, 1);
	}
}

/* The shape, and that it occurs on that day. */
static int note_shape(struct appending *appending, const struct place *place,
	const struct reading *reading, bool *ret_is_new)
{
	struct cassandra_store *store = appending->store;
	struct statements *statements = &appending->statements;
	struct buffer *scratch = begin_note(appending, 'd', place->id);
	struct cql_value shape, content;
	struct digest digest;
	bool is_new = false;
	size_t begin;
	int r;

	buffer_write_signed(scratch, place->day);
	buffer_write_string(scratch, place->host);
	begin = scratch->size;
	shape_write(scratch, reading);
	r = note(appending, ret_is_new);
	if (r < 0 || !*ret_is_new)
		return r;
	r = digester_of(&store->digester, scratch->bytes + begin, scratch->size - begin, &digest);
	if (r < 0)
		return r;
	shape = statements_blob(statements, digest.bytes, DIGEST_SIZE);
	content = statements_blob(statements, scratch->bytes + begin, scratch->size - begin);
	buffer_write_signed(begin_note(appending, 's', place->id), place->day / SHAPE_DAYS);
	buffer_write(scratch, digest.bytes, DIGEST_SIZE);
	r = note(appending, &is_new);
	if (r < 0)
		return r;
	if (is_new)
		statements_add(statements, ADD_SHAPE,
			(const struct cql_value[]){ place->instance, shape, content }, 3, 1);
	statements_add(statements, ADD_DAY,
		(const struct cql_value[]){ place->instance, statements_day(statements, place->day),
			statements_text(statements, place->host), shape },
		4, 1);
	if (is_new)
		statements_join(statements, 2);
	return 0;
}

static struct place place_of(struct appending *appending, const char *id)
{
	return (struct place){ .id = id,
		.instance = cql_text(id),
		.bucket = statements_int(&appending->statements, instance_bucket(id)) };
}

/* Its mark, if there is none of this time yet, is written when the reading is there. */
static int note_late(struct appending *appending, const struct place *place)
{
	struct buffer *scratch = begin_note(appending, 'm', place->id);
	struct late *lates, late = { .id = place->id, .day = place->day };
	bool is_new = false;
	int r;

	buffer_write_signed(scratch, place->day);
	buffer_write_signed(scratch, summary_slot(appending->now_ms));
	r = look(appending, &late.note, &is_new);
	if (r < 0 || !is_new)
		return r;
	lates = arena_grow(&appending->arena, appending->lates, appending->late_count, LATES_MAX,
		sizeof(*lates));
	if (!lates)
		return -ENOMEM;
	appending->lates = lates;
	lates[appending->late_count++] = late;
	return 0;
}

static int compare_lates(const void *a, const void *b)
{
	return memcmp(((const struct late *)a)->note.bytes, ((const struct late *)b)->note.bytes,
		DIGEST_SIZE);
}

static void add_late_marks(struct appending *appending)
{
	const struct late *lates = appending->lates;

	if (appending->late_count)
		qsort(appending->lates, appending->late_count, sizeof(*lates), compare_lates);
	for (size_t i = 0; i < appending->late_count; i++) {
		if (i && compare_lates(&lates[i - 1], &lates[i]) == 0)
			continue;
		summary_add_late_mark(&appending->statements, lates[i].id, lates[i].day,
			summary_slot(appending->now_ms));
		noted_add(&appending->store->noted, &lates[i].note);
	}
}

/* With the day's first reading of a shape. */
static int note_instance(
	struct appending *appending, const struct place *place, const struct reading *reading)
{
	int r = note_host(appending, place);

	if (r == 0)
		r = note_groups(appending, place, reading);
	return r == 0 ? note_appearance(appending, place) : r;
}

/* All that is written about a reading besides itself. */
static int note_reading(struct appending *appending, const struct filed *filed)
{
	struct place place = place_of(appending, filed->id);
	bool is_new = false;
	int r = 0;

	place.host = filed->slot.host;
	place.day = floor_divide(filed->reading->time_ms, DAY_MS);
	if (summary_may_exist(place.day, appending->now_ms))
		r = note_late(appending, &place);
	if (r == 0)
		r = note_shape(appending, &place, filed->reading, &is_new);
	if (r < 0)
		return r;
	note_first(appending, &place, filed->reading);
	return is_new ? note_instance(appending, &place, filed->reading) : 0;
}

static int add_info(struct appending *appending, const struct instance_info *info)
{
	const struct instance_key key = { .has_uuid = true, .uuid = info->uuid };
	struct cassandra_store *store = appending->store;
	struct statements *statements = &appending->statements;
	char id[INSTANCE_ID_SIZE];
	const char *kept;
	struct place place;
	struct digest digest;
	struct buffer *scratch;
	size_t begin;
	bool is_new = false;
	int r = instance_id_write(&key, id);

	if (r < 0)
		return r;
	kept = arena_copy_text(&appending->arena, id, strlen(id));
	if (!kept)
		return -ENOMEM;
	place = place_of(appending, kept);
	scratch = begin_note(appending, 'i', place.id);
	begin = scratch->size;
	packed_write_info(scratch, info);
	r = note(appending, &is_new);
	if (r < 0 || !is_new)
		return r;
	r = digester_of(&store->digester, scratch->bytes + begin, scratch->size - begin, &digest);
	if (r < 0)
		return r;
	statements_add(statements, ADD_INFO,
		(const struct cql_value[]){ place.bucket, place.instance,
			statements_bigint(statements, info->since_ms),
			statements_blob(statements, digest.bytes, DIGEST_SIZE),
			statements_blob(
				statements, scratch->bytes + begin, scratch->size - begin) },
		5, 1);
	return note_appearance(appending, &place);
}

static int send_if_many(struct appending *appending)
{
	return appending->statements.count >= IN_FLIGHT_MAX ||
			       appending->statements.arena.total >= IN_FLIGHT_BYTES_MAX
		       ? send_all(appending)
		       : 0;
}

static int add_batch(struct appending *appending, const struct batch *batch)
{
	struct filing filing = { .count = 0 };
	int r = 0;

	for (size_t i = 0; i < batch->info_count && r == 0; i++) {
		r = add_info(appending, &batch->infos[i]);
		if (r == 0)
			r = send_if_many(appending);
	}
	if (r == 0)
		r = filing_make(&appending->arena, batch, &filing);
	appending->readings += filing.reading_count;
	for (size_t i = 0; i < filing.count && r == 0; i++) {
		r = note_reading(appending, &filing.all[i]);
		if (r == 0)
			r = send_if_many(appending);
	}
	return r == 0 ? filing_write(&filing, &appending->statements, &appending->bytes) : r;
}

static int append_all(struct appending *appending, const struct store_commit *commit)
{
	struct cassandra_store *store = appending->store;
	struct statements *statements = &appending->statements;
	int r = 0;

	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = add_batch(appending, commit->batches[i]);
	if (r == 0)
		r = ledger_add_parts(statements, &store->digester, commit);
	if (r == 0)
		r = send_all(appending);
	if (r != 0)
		return r;
	add_late_marks(appending);
	r = ledger_add_records(statements, &store->digester, commit, appending->err);
	if (r == 0)
		r = send_all(appending);
	if (r != 0)
		return r;
	ledger_add_sources(statements, commit);
	return send_all(appending);
}

int append_commit(struct cassandra_store *store, const struct store_commit *commit,
	struct store_tally *tally, struct error *err)
{
	struct appending appending = { .store = store, .err = err };
	int64_t tidied_ms;
	int r;

	pthread_mutex_lock(&store->append_lock);
	tidied_ms = cassandra_tidied(store); /* days were summarized then */
	appending.now_ms = MAX_OF(commit->now_ms, tidied_ms);
	arena_init(&appending.arena, COMMIT_MEMORY_MAX);
	statements_init(&appending.statements, store);
	r = append_all(&appending, commit);
	statements_deinit(&appending.statements);
	arena_deinit(&appending.arena);
	if (r != 0) /* what was noted may not be there */
		noted_clear(&store->noted);
	if (r == 0) {
		pthread_mutex_lock(&store->lock);
		store->counters.readings += appending.readings;
		store->counters.bytes += appending.bytes;
		r = recent_add(store, commit, tally);
		pthread_mutex_unlock(&store->lock);
	}
	pthread_mutex_unlock(&store->append_lock);
	return r;
}
