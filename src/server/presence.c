/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/presence.h"

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/background.h"
#include "base/log.h"
#include "base/text.h"
#include "query/timeline.h"
#include "store/heard.h"

enum { PERIOD_MAX_MS = 10 * 1000, PERIOD_MIN_MS = 500, NEWS_MAX = 256, TIME_SIZE = 24 };

struct presence {
	struct store *store;
	const struct clock *clock;
	struct workers *workers;
	int64_t dead_after_ms;
	struct log_limit trouble;
	struct background background;
};

/* What the store knows of one worker. */
struct known {
	int64_t heard_ms, left_ms, until_ms;
	char spool[INSTANCE_TEXT_MAX + 1];
};

struct roll {
	zhashx_t *known;   /* worker -> struct known */
	zhashx_t *retired; /* host -> int64_t, when */
};

static void free_item(void **item)
{
	free(*item);
	*item = NULL;
}

static int roll_init(struct roll *roll)
{
	roll->known = zhashx_new();
	roll->retired = zhashx_new();
	if (!roll->known || !roll->retired)
		return -ENOMEM;
	zhashx_set_destructor(roll->known, free_item);
	zhashx_set_destructor(roll->retired, free_item);
	return 0;
}

static void roll_deinit(struct roll *roll)
{
	zhashx_destroy(&roll->known);
	zhashx_destroy(&roll->retired);
}
CLEANUP_DEFINE_VALUE(struct roll, roll_deinit)

/* A zeroed item if there was none; NULL: no memory, or too many. */
static void *find_or_add(zhashx_t *table, const char *name, size_t size)
{
	void *item = zhashx_lookup(table, name);

	if (item || zhashx_size(table) >= WORKERS_MAX)
		return item;
	item = calloc(1, size);
	if (item)
		zhashx_insert(table, name, item);
	return item;
}

static bool time_of(const struct store_record *record, int64_t *ret_ms)
{
	char text[TIME_SIZE] = "";

	if (record->size == 0 || record->size >= sizeof(text))
		return false;
	memcpy(text, record->value, record->size);
	return text_to_i64(text, ret_ms) == 0;
}

static int take_retired(void *context, const struct store_record *record)
{
	struct roll *roll = context;
	int64_t *at_ms = find_or_add(roll->retired, record->key, sizeof(*at_ms));

	if (at_ms)
		(void)!time_of(record, at_ms);
	return 0;
}

/* Nobody waits for a host that was retired, unless it told of later times since. */
static bool is_retired(const struct roll *roll, const struct store_source *source)
{
	const int64_t *at_ms = zhashx_lookup(roll->retired, source->host);

	return at_ms && source->until_ms <= *at_ms;
}

static int take_source(void *context, const struct store_source *source)
{
	struct roll *roll = context;
	struct known *known;

	if (!source->heard_ms || is_retired(roll, source))
		return 0;
	known = find_or_add(roll->known, source->worker, sizeof(*known));
	if (known && source->heard_ms > known->heard_ms) {
		known->heard_ms = source->heard_ms;
		known->until_ms = source->until_ms;
		(void)text_copy(known->spool, sizeof(known->spool), source->spool);
	}
	return 0;
}

static int take_heard(void *context, const struct store_record *record)
{
	struct roll *roll = context;
	struct known *known = find_or_add(roll->known, record->key, sizeof(*known));
	int64_t ms;

	if (known && time_of(record, &ms))
		known->heard_ms = MAX_OF(known->heard_ms, ms);
	return 0;
}

static int take_left(void *context, const struct store_record *record)
{
	struct roll *roll = context;
	struct known *known = find_or_add(roll->known, record->key, sizeof(*known));

	if (known)
		(void)!time_of(record, &known->left_ms);
	return 0;
}

static int read_roll(struct store *store, struct roll *roll, struct error *err)
{
	int r = store_records(store, RETIRED_KIND, "", take_retired, roll, err);

	if (r == 0)
		r = store_sources(store, NULL, NULL, take_source, roll, err);
	if (r == 0)
		r = store_records(store, HEARD_KIND, "", take_heard, roll, err);
	if (r == 0)
		r = store_records(store, LEFT_KIND, "", take_left, roll, err);
	return r;
}

static int follow(struct store *store, struct workers *workers, struct error *err)
{
	CLEANUP(roll_deinit) struct roll roll = { 0 };
	int r = roll_init(&roll);

	if (r == 0)
		r = read_roll(store, &roll, err);
	if (r != 0)
		return r;
	for (const struct known *known = zhashx_first(roll.known); known;
		known = zhashx_next(roll.known)) {
		const struct worker_word word = { zhashx_cursor(roll.known), known->heard_ms,
			known->left_ms, known->spool, known->until_ms };

		workers_follow(workers, &word);
	}
	return 0;
}

/* All in one commit. */
static int put(struct store *store, const struct worker_news *news, size_t count, struct error *err)
{
	char times[NEWS_MAX][TIME_SIZE];
	struct store_record records[NEWS_MAX];
	const struct store_commit commit = { .records = records, .record_count = count };
	struct store_tally ignored = { 0 };

	for (size_t i = 0; i < count; i++) {
		int size = snprintf(times[i], TIME_SIZE, "%" PRId64, news[i].wall_ms);

		records[i] = (struct store_record){ news[i].has_left ? LEFT_KIND : HEARD_KIND,
			news[i].name, times[i], (size_t)size };
	}
	return store_append(store, &commit, &ignored, err);
}

static int tell(
	struct store *store, struct workers *workers, int64_t newer_by_ms, struct error *err)
{
	CLEANUP(string_free) char *memory = malloc(NEWS_MAX * sizeof(struct worker_news));
	struct worker_news *news = (struct worker_news *)memory;
	size_t count = NEWS_MAX;
	int r = news ? 0 : -ENOMEM;

	while (r == 0 && count == NEWS_MAX) {
		count = workers_news(workers, newer_by_ms, news, NEWS_MAX);
		r = count ? put(store, news, count, err) : 0;
		for (size_t i = 0; i < count && r == 0; i++)
			workers_note_told(workers, &news[i]);
	}
	return r;
}

int presence_share(
	struct store *store, struct workers *workers, int64_t dead_after_ms, struct error *err)
{
	int r = follow(store, workers, err);

	return r == 0 ? tell(store, workers, dead_after_ms / 4, err) : r;
}

static void share(struct presence *presence)
{
	struct error err = { 0 };
	uint64_t held_back;
	int r = presence_share(presence->store, presence->workers, presence->dead_after_ms, &err);

	if (r == 0)
		log_limit_reset(&presence->trouble);
	else if (log_limit_pass(&presence->trouble, presence->clock, &held_back))
		log_warning("cannot share with other servers which workers were heard: %s; trying "
			    "again",
			error_text(&err, r));
}

static void *run(void *argument)
{
	struct presence *presence = argument;
	int64_t period_ms = MIN_OF(presence->dead_after_ms / 8, (int64_t)PERIOD_MAX_MS);

	while (!background_pause(&presence->background, MAX_OF(period_ms, (int64_t)PERIOD_MIN_MS)))
		share(presence);
	share(presence);
	return NULL;
}

int presence_new(struct store *store, const struct clock *clock, struct workers *workers,
	int64_t dead_after_ms, struct presence **ret_presence, struct error *err)
{
	struct presence *presence = calloc(1, sizeof(*presence));
	int r;

	if (!presence)
		return -ENOMEM;
	presence->store = store;
	presence->clock = clock;
	presence->workers = workers;
	presence->dead_after_ms = dead_after_ms;
	background_init(&presence->background);
	share(presence);
	r = background_start(&presence->background, run, presence, err);
	if (r < 0) {
		presence_free(presence);
		return r;
	}
	*ret_presence = presence;
	return 0;
}

struct presence *presence_free(struct presence *presence)
{
	if (!presence)
		return NULL;
	background_deinit(&presence->background);
	free(presence);
	return NULL;
}
