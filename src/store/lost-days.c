/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/lost-days.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "store/gaps.h"

enum { MEMORY_MAX = 256 * 1024 * 1024, HOSTS_MAX = 1 << 20, DAYS_MAX = 1 << 16 };

static const char reason[] = "damaged";

struct host {
	const char *name;
	int64_t first_ms;
};

struct day {
	int64_t from_ms, to_ms;
};

struct recording {
	struct arena arena;
	store_damage_fn each;
	void *context;
	struct host *hosts;
	size_t host_count;
	struct day *days;
	size_t day_count;
	const struct host *host; /* whose gaps are read */
	bool *is_known;          /* of each day: that host has its gap */
	struct store_record *records;
	size_t record_count;
	int r;
};

/* Makes room for one more in an array that doubles. */
static void *grow(
	struct recording *recording, void *array, size_t count, size_t maximum, size_t size)
{
	void *larger = array;

	if (count >= maximum)
		larger = NULL;
	else if ((count & (count - 1)) == 0) {
		larger = arena_take_array(&recording->arena, count ? 2 * count : 1, size);
		if (larger && count)
			memcpy(larger, array, count * size);
	}
	recording->r = larger ? 0 : STORE_TOO_MUCH;
	return larger;
}

static int take_day(void *context, int64_t from_ms, int64_t to_ms, const char *what)
{
	struct recording *recording = context;
	struct day *days =
		grow(recording, recording->days, recording->day_count, DAYS_MAX, sizeof(*days));

	if (!days)
		return 1;
	recording->days = days;
	days[recording->day_count++] = (struct day){ from_ms, to_ms };
	return recording->each ? recording->each(recording->context, from_ms, to_ms, what) : 0;
}

static int take_host(void *context, const struct store_source *source)
{
	struct recording *recording = context;
	struct host *hosts;

	if (!*source->host || !source->first_ms)
		return 0;
	for (size_t i = 0; i < recording->host_count; i++)
		if (strcmp(recording->hosts[i].name, source->host) == 0) {
			recording->hosts[i].first_ms =
				MIN_OF(recording->hosts[i].first_ms, source->first_ms);
			return 0;
		}
	hosts = grow(recording, recording->hosts, recording->host_count, HOSTS_MAX, sizeof(*hosts));
	if (!hosts)
		return 1;
	recording->hosts = hosts;
	hosts[recording->host_count] = (struct host){ arena_copy_text(&recording->arena,
							      source->host, strlen(source->host)),
		source->first_ms };
	recording->r = hosts[recording->host_count++].name ? 0 : -ENOMEM;
	return recording->r;
}

static int add_record(struct recording *recording, const char *key, const char *value)
{
	struct store_record *records = grow(
		recording, recording->records, recording->record_count, SIZE_MAX, sizeof(*records));
	const char *copy = key ? arena_copy_text(&recording->arena, key, strlen(key)) : NULL;

	if (!records || !copy)
		return recording->r = STORE_TOO_MUCH;
	recording->records = records;
	records[recording->record_count++] =
		(struct store_record){ GAP_KIND, copy, value, strlen(value) };
	return 0;
}

/* From before the day's first reading to after its last one. */
static struct gap gap_of(const struct day *day)
{
	return (struct gap){ .from_ms = day->from_ms - 1, .to_ms = day->to_ms, .reason = reason };
}

static int take_gap(void *context, const struct store_record *record)
{
	struct recording *recording = context;
	struct gap gap;

	if (gap_is_withdrawn(record) || gap_of_key(record->key, &gap) < 0 ||
		strcmp(gap.reason, reason) != 0)
		return 0;
	for (size_t i = 0; i < recording->day_count; i++)
		if (gap.from_ms == gap_of(&recording->days[i]).from_ms) {
			recording->is_known[i] = true;
			return 0;
		}
	return add_record(recording, record->key, GAP_WITHDRAWN);
}

static int record_host(struct store *store, struct recording *recording, const struct host *host,
	struct error *err)
{
	char key[GAP_KEY_SIZE];
	int r;

	if (recording->day_count)
		memset(recording->is_known, 0, recording->day_count * sizeof(bool));
	r = store_records(
		store, GAP_KIND, gap_key_of_host(host->name, key), take_gap, recording, err);
	if (r == STORE_STOPPED)
		r = recording->r;
	for (size_t i = 0; i < recording->day_count && r == 0; i++) {
		const struct gap gap = gap_of(&recording->days[i]);

		if (!recording->is_known[i] && host->first_ms < gap.to_ms)
			r = add_record(recording, gap_key(host->name, &gap, key), "");
	}
	return r;
}

static int record(
	struct store *store, struct recording *recording, int64_t now_ms, struct error *err)
{
	struct store_tally ignored;
	int r = store_damaged(store, take_day, recording, err);

	if (r == 0)
		r = store_sources(store, NULL, NULL, take_host, recording, err);
	if (r == STORE_STOPPED && recording->r != 0)
		r = recording->r;
	recording->is_known = arena_take_array(
		&recording->arena, recording->day_count + 1, sizeof(*recording->is_known));
	if (r == 0 && !recording->is_known)
		r = -ENOMEM;
	for (size_t i = 0; i < recording->host_count && r == 0; i++)
		r = record_host(store, recording, &recording->hosts[i], err);
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
