/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/lost-days.h"

#include <string.h>

#include "base/arena.h"
#include "store/gaps.h"

enum { MEMORY_MAX = 256 * 1024 * 1024, RECORDS_MAX = 1 << 24, DAYS_MAX = 1 << 16 };

static const char reason[] = "damaged";

struct recording {
	struct arena arena;
	store_damage_fn each;
	void *context;
	struct gap *days; /* as each host has them */
	size_t day_count;
	struct store_record *records;
	size_t record_count;
	int r;
};

static int take_day(void *context, int64_t from_ms, int64_t to_ms, const char *what)
{
	struct recording *recording = context;
	struct gap *days = arena_grow(
		&recording->arena, recording->days, recording->day_count, DAYS_MAX, sizeof(*days));

	if (!days)
		return recording->r = STORE_TOO_MUCH;
	recording->days = days;
	/* From before the first reading to after the last one. */
	days[recording->day_count++] =
		(struct gap){ .from_ms = from_ms - 1, .to_ms = to_ms, .reason = reason };
	return recording->each ? recording->each(recording->context, from_ms, to_ms, what) : 0;
}

static int add_record(struct recording *recording, const char *key, const char *value)
{
	struct store_record *records = arena_grow(&recording->arena, recording->records,
		recording->record_count, RECORDS_MAX, sizeof(*records));
	const char *copy = key ? arena_copy_text(&recording->arena, key, strlen(key)) : NULL;

	if (!records || !copy)
		return recording->r = STORE_TOO_MUCH;
	recording->records = records;
	records[recording->record_count++] =
		(struct store_record){ GAP_KIND, copy, value, strlen(value) };
	return 0;
}

/* A host with several spools is told several times, which makes no difference. */
static int take_source(void *context, const struct store_source *source)
{
	struct recording *recording = context;
	char key[GAP_KEY_SIZE];

	for (size_t i = 0; *source->host && source->first_ms && i < recording->day_count; i++)
		if (source->first_ms < recording->days[i].to_ms &&
			add_record(recording, gap_key(source->host, &recording->days[i], key),
				"") != 0)
			return recording->r;
	return 0;
}

/* Was it this store that lost what is not withdrawn? */
static bool is_own(const struct store_record *record, struct gap *ret_gap)
{
	return strcmp(record->kind, GAP_KIND) == 0 && record->size == 0 &&
	       gap_of_key(record->key, ret_gap) == 0 && strcmp(ret_gap->reason, reason) == 0;
}

struct store_record lost_days_copy(const struct store_record *record)
{
	struct store_record copy = *record;
	struct gap gap;

	if (is_own(record, &gap)) {
		copy.value = GAP_ELSEWHERE;
		copy.size = strlen(GAP_ELSEWHERE);
	}
	return copy;
}

static int take_gap(void *context, const struct store_record *record)
{
	struct recording *recording = context;
	struct gap gap;

	if (!is_own(record, &gap))
		return 0;
	for (size_t i = 0; i < recording->day_count; i++)
		if (gap.from_ms == recording->days[i].from_ms)
			return 0;
	return add_record(recording, record->key, GAP_WITHDRAWN);
}

static int record(
	struct store *store, struct recording *recording, int64_t now_ms, struct error *err)
{
	struct store_tally ignored;
	int r = store_damaged(store, take_day, recording, err);

	if (r == 0 && !store->ops->damaged) /* what is there was copied from elsewhere */
		return 0;
	if (r == 0)
		r = store_records(store, GAP_KIND, "", take_gap, recording, err);
	if (r == 0 && recording->day_count)
		r = store_sources(store, NULL, NULL, take_source, recording, err);
	if (r == STORE_STOPPED && recording->r != 0)
		r = recording->r;
	if (r == 0 && recording->record_count) {
		const struct store_commit commit = { .records = recording->records,
			.record_count = recording->record_count,
			.now_ms = now_ms };

		r = store_append(store, &commit, &ignored, err);
	}
	return r;
}

int lost_days_record(
	struct store *store, int64_t now_ms, store_damage_fn each, void *context, struct error *err)
{
	struct recording recording = { .each = each, .context = context };
	int r;

	arena_init(&recording.arena, MEMORY_MAX);
	r = record(store, &recording, now_ms, err);
	arena_deinit(&recording.arena);
	return r;
}
