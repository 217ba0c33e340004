/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/workers.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/time-text.h"

enum {
	REMIND_AFTER_MS = 60 * 1000,
	SPOOL_OVERLAP_MS = 60 * 1000,
	CLOCKS_DIFFER_MS = 5 * 1000, /* those of the servers; more would be reported of workers */
};

struct worker {
	char name[INSTANCE_TEXT_MAX + 1];
	char spool[INSTANCE_TEXT_MAX + 1];
	char other_spool[INSTANCE_TEXT_MAX + 1]; /* another one heard under the same name */
	int64_t heard_ms;                        /* here; monotonic */
	int64_t heard_wall_ms;                   /* here; 0: never */
	int64_t known_wall_ms; /* by any server, as far as the store knows; 0: it does not */
	bool has_left;         /* only kept until the store knows */
	int64_t spool_heard_ms, other_heard_ms; /* monotonic */
	int64_t clock_offset_ms;                /* its clock minus ours, when it last said */
	int64_t reported_ms;                    /* monotonic; 0: alive as far as anyone was told */
	bool clock_reported, spools_reported;
	bool has_sent;
	struct worker_sent sent;
	int64_t sent_ms; /* wall clock */
	uint64_t durable;
	int64_t until_ms;
};

struct workers {
	pthread_mutex_t lock;
	const struct clock *clock;
	int64_t dead_after_ms;
	zhashx_t *table; /* name -> struct worker */
};

static void destroy_worker(void **item)
{
	free(*item);
	*item = NULL;
}

int workers_new(const struct clock *clock, int64_t dead_after_ms, struct workers **ret_workers)
{
	struct workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		return -ENOMEM;
	workers->clock = clock;
	workers->dead_after_ms = dead_after_ms;
	workers->table = zhashx_new();
	if (!workers->table) {
		free(workers);
		return -ENOMEM;
	}
	zhashx_set_destructor(workers->table, destroy_worker);
	pthread_mutex_init(&workers->lock, NULL);
	*ret_workers = workers;
	return 0;
}

struct workers *workers_free(struct workers *workers)
{
	if (!workers)
		return NULL;
	zhashx_destroy(&workers->table);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
	return NULL;
}

static struct worker *find_or_add(struct workers *workers, const char *name)
{
	struct worker *worker = zhashx_lookup(workers->table, name);

	if (worker || zhashx_size(workers->table) >= WORKERS_MAX)
		return worker;
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	snprintf(worker->name, sizeof(worker->name), "%s", name);
	zhashx_insert(workers->table, name, worker);
	return worker;
}

/* Those that are watched, one after the other; NULL behind the last. */
static struct worker *first_watched(struct workers *workers)
{
	struct worker *worker = zhashx_first(workers->table);

	while (worker && worker->has_left)
		worker = zhashx_next(workers->table);
	return worker;
}

static struct worker *next_watched(struct workers *workers)
{
	struct worker *worker = zhashx_next(workers->table);

	while (worker && worker->has_left)
		worker = zhashx_next(workers->table);
	return worker;
}

static int64_t seen_ms(const struct worker *worker)
{
	return MAX_OF(worker->heard_wall_ms, worker->known_wall_ms);
}

/* For how long nobody heard it. */
static int64_t silence_ms(
	const struct workers *workers, const struct worker *worker, int64_t now_ms)
{
	int64_t here_ms = worker->heard_wall_ms ? now_ms - worker->heard_ms : INT64_MAX;
	int64_t known_ms = clock_wall_ms(workers->clock) - worker->known_wall_ms;

	if (known_ms < -CLOCKS_DIFFER_MS)
		return here_ms; /* our clock stepped back since */
	return MIN_OF(here_ms, MAX_OF(known_ms, (int64_t)0));
}

static bool is_dead(const struct workers *workers, const struct worker *worker, int64_t now_ms)
{
	return silence_ms(workers, worker, now_ms) >= workers->dead_after_ms;
}

static void revive(struct worker *worker)
{
	if (worker->reported_ms)
		log_info("worker '%s' is alive again", worker->name);
	worker->reported_ms = 0;
}

/* A configuration copied to many hosts gives them all one id: two spools then live under one name
 * and take turns, while a restart changes it once. */
static void hear_spool(struct worker *worker, const char *spool, int64_t now_ms)
{
	if (strcmp(worker->spool, spool) == 0) {
		worker->spool_heard_ms = now_ms;
	} else if (strcmp(worker->other_spool, spool) == 0) {
		bool both = now_ms - worker->spool_heard_ms < SPOOL_OVERLAP_MS &&
			    now_ms - worker->other_heard_ms < SPOOL_OVERLAP_MS;

		worker->other_heard_ms = now_ms;
		if (both && !worker->spools_reported)
			log_warning("two workers call themselves '%s' (spools '%s' and '%s'): give "
				    "each host a [worker] id of its own",
				worker->name, worker->spool, spool);
		worker->spools_reported = worker->spools_reported || both;
	} else {
		memcpy(worker->other_spool, worker->spool, sizeof(worker->spool));
		worker->other_heard_ms = worker->spool_heard_ms;
		snprintf(worker->spool, sizeof(worker->spool), "%s", spool);
		worker->spool_heard_ms = now_ms;
	}
}

static void hear_clock(struct worker *worker, int64_t offset_ms)
{
	bool wrong = offset_ms > WORKER_CLOCK_LIMIT_MS || offset_ms < -WORKER_CLOCK_LIMIT_MS;

	worker->clock_offset_ms = offset_ms;
	if (wrong && !worker->clock_reported)
		log_warning(
			"the clock of worker '%s' is %lld ms %s: its readings carry wrong times",
			worker->name, (long long)llabs(offset_ms),
			offset_ms > 0 ? "ahead" : "behind");
	if (!wrong && worker->clock_reported)
		log_info("the clock of worker '%s' is right again", worker->name);
	worker->clock_reported = wrong;
}

void workers_hear(struct workers *workers, const char *name, int64_t time_ms, const char *spool)
{
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	worker = find_or_add(workers, name);
	if (worker) {
		if (!seen_ms(worker) || worker->has_left)
			log_info("worker '%s' appears", name);
		worker->has_left = false;
		worker->heard_ms = clock_monotonic_ms(workers->clock);
		worker->heard_wall_ms = clock_wall_ms(workers->clock);
		revive(worker);
		if (time_ms)
			hear_clock(worker, time_ms - worker->heard_wall_ms);
		if (spool)
			hear_spool(worker, spool, worker->heard_ms);
	}
	pthread_mutex_unlock(&workers->lock);
}

static void leave(const struct workers *workers, struct worker *worker)
{
	worker->has_left = true;
	worker->heard_wall_ms = clock_wall_ms(workers->clock);
}

void workers_farewell(struct workers *workers, const char *name)
{
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	worker = zhashx_lookup(workers->table, name);
	if (worker && !worker->has_left) {
		log_info("worker '%s' says goodbye", name);
		leave(workers, worker);
	}
	pthread_mutex_unlock(&workers->lock);
}

void workers_note_sent(struct workers *workers, const char *name, const struct worker_sent *sent)
{
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	worker = zhashx_lookup(workers->table, name);
	if (worker) {
		worker->has_sent = true;
		worker->sent = *sent;
		worker->sent_ms = clock_wall_ms(workers->clock);
	}
	pthread_mutex_unlock(&workers->lock);
}

void workers_note_durable(
	struct workers *workers, const char *name, uint64_t durable, int64_t until_ms)
{
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	worker = zhashx_lookup(workers->table, name);
	if (worker) {
		worker->durable = durable;
		worker->until_ms = until_ms;
	}
	pthread_mutex_unlock(&workers->lock);
}

static bool is_news(const struct worker *worker, int64_t newer_by_ms)
{
	return worker->has_left ||
	       (worker->heard_wall_ms &&
		       worker->heard_wall_ms - worker->known_wall_ms > newer_by_ms);
}

size_t workers_news(
	struct workers *workers, int64_t newer_by_ms, struct worker_news *news, size_t room)
{
	size_t count = 0;

	pthread_mutex_lock(&workers->lock);
	for (const struct worker *worker = zhashx_first(workers->table); worker && count < room;
		worker = zhashx_next(workers->table)) {
		if (!is_news(worker, newer_by_ms))
			continue;
		memcpy(news[count].name, worker->name, sizeof(worker->name));
		news[count].wall_ms = worker->heard_wall_ms;
		news[count++].has_left = worker->has_left;
	}
	pthread_mutex_unlock(&workers->lock);
	return count;
}

void workers_note_told(struct workers *workers, const struct worker_news *news)
{
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	worker = zhashx_lookup(workers->table, news->name);
	if (worker && !news->has_left)
		worker->known_wall_ms = MAX_OF(worker->known_wall_ms, news->wall_ms);
	else if (worker && worker->has_left && worker->heard_wall_ms == news->wall_ms)
		zhashx_delete(workers->table, news->name);
	pthread_mutex_unlock(&workers->lock);
}

/* Whether it left after it was last heard by anyone. */
static bool is_gone(const struct worker *worker, const struct worker_word *word)
{
	return word->left_ms && word->left_ms + CLOCKS_DIFFER_MS >= word->heard_ms &&
	       (!worker || word->left_ms >= worker->heard_wall_ms);
}

static void follow(struct workers *workers, struct worker *worker, const struct worker_word *word)
{
	worker->known_wall_ms = MAX_OF(worker->known_wall_ms, word->heard_ms);
	if (word->heard_ms > worker->heard_wall_ms) {
		worker->until_ms = word->until_ms;
		snprintf(worker->spool, sizeof(worker->spool), "%s", word->spool);
	}
	if (!is_dead(workers, worker, clock_monotonic_ms(workers->clock)))
		revive(worker);
}

void workers_follow(struct workers *workers, const struct worker_word *word)
{
	int64_t age_ms = clock_wall_ms(workers->clock) - word->heard_ms;
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	worker = zhashx_lookup(workers->table, word->name);
	if (is_gone(worker, word)) {
		if (worker)
			zhashx_delete(workers->table, word->name);
	} else {
		if (!worker && age_ms < WORKER_KNOWN_MS)
			worker = find_or_add(workers, word->name);
		if (worker && !worker->has_left)
			follow(workers, worker, word);
	}
	pthread_mutex_unlock(&workers->lock);
}

void workers_check(struct workers *workers)
{
	int64_t now_ms = clock_monotonic_ms(workers->clock);

	pthread_mutex_lock(&workers->lock);
	for (struct worker *worker = first_watched(workers); worker;
		worker = next_watched(workers)) {
		char heard[TIME_TEXT_SIZE];

		if (!is_dead(workers, worker, now_ms) ||
			(worker->reported_ms && now_ms - worker->reported_ms < REMIND_AFTER_MS))
			continue;
		worker->reported_ms = MAX_OF(now_ms, (int64_t)1);
		log_warning("worker '%s' is dead: silent since %s", worker->name,
			time_text_format(seen_ms(worker), heard));
	}
	pthread_mutex_unlock(&workers->lock);
}

static size_t count_watched(struct workers *workers)
{
	size_t count = 0;

	for (const struct worker *worker = first_watched(workers); worker;
		worker = next_watched(workers))
		count++;
	return count;
}

void workers_log(struct workers *workers)
{
	int64_t now_ms = clock_monotonic_ms(workers->clock);

	pthread_mutex_lock(&workers->lock);
	log_info("%zu workers are watched", count_watched(workers));
	for (struct worker *worker = first_watched(workers); worker; worker = next_watched(workers))
		log_info("worker '%s' %s, heard %lld s ago", worker->name,
			is_dead(workers, worker, now_ms) ? "is dead" : "is alive",
			(long long)silence_ms(workers, worker, now_ms) / 1000);
	pthread_mutex_unlock(&workers->lock);
}

size_t workers_forget_dead(struct workers *workers)
{
	int64_t now_ms = clock_monotonic_ms(workers->clock);
	size_t forgotten = 0;

	pthread_mutex_lock(&workers->lock);
	for (struct worker *worker = first_watched(workers); worker;
		worker = next_watched(workers)) {
		if (!is_dead(workers, worker, now_ms))
			continue;
		leave(workers, worker);
		forgotten++;
	}
	pthread_mutex_unlock(&workers->lock);
	return forgotten;
}

void workers_count(struct workers *workers, size_t *ret_alive, size_t *ret_dead)
{
	int64_t now_ms = clock_monotonic_ms(workers->clock);

	*ret_alive = *ret_dead = 0;
	pthread_mutex_lock(&workers->lock);
	for (struct worker *worker = first_watched(workers); worker; worker = next_watched(workers))
		++*(is_dead(workers, worker, now_ms) ? ret_dead : ret_alive);
	pthread_mutex_unlock(&workers->lock);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct worker_view *)a)->name, ((const struct worker_view *)b)->name);
}

static void view(struct workers *workers, const struct worker *worker, int64_t now_ms,
	struct worker_view *ret_view)
{
	memcpy(ret_view->name, worker->name, sizeof(worker->name));
	ret_view->is_dead = is_dead(workers, worker, now_ms);
	ret_view->silent_ms = silence_ms(workers, worker, now_ms);
	ret_view->clock_offset_ms = worker->clock_offset_ms;
	ret_view->has_sent = worker->has_sent && worker->heard_wall_ms >= worker->known_wall_ms;
	ret_view->sent = worker->sent;
	ret_view->sent_ms = worker->sent_ms;
	ret_view->durable = worker->durable;
	ret_view->until_ms = worker->until_ms;
}

struct worker_view *workers_view(struct workers *workers, size_t *ret_count)
{
	int64_t now_ms = clock_monotonic_ms(workers->clock);
	struct worker_view *views;
	size_t count = 0;

	pthread_mutex_lock(&workers->lock);
	views = calloc(zhashx_size(workers->table), sizeof(*views));
	for (struct worker *worker = views ? first_watched(workers) : NULL; worker;
		worker = next_watched(workers))
		view(workers, worker, now_ms, &views[count++]);
	pthread_mutex_unlock(&workers->lock);
	if (count)
		qsort(views, count, sizeof(*views), compare_names);
	*ret_count = count;
	return views;
}

static json_t *worker_to_json(
	const struct workers *workers, const struct worker *worker, int64_t now_ms)
{
	char heard[TIME_TEXT_SIZE];

	return json_pack("{s:s, s:b, s:s, s:I, s:I, s:s, s:b}", "id", worker->name, "alive",
		!is_dead(workers, worker, now_ms), "last_seen",
		time_text_format(seen_ms(worker), heard), "silent_seconds",
		(json_int_t)silence_ms(workers, worker, now_ms) / 1000, "clock_offset_ms",
		(json_int_t)worker->clock_offset_ms, "spool", worker->spool, "id_is_shared",
		worker->spools_reported);
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "id")),
		json_string_value(json_object_get(*(json_t *const *)b, "id")));
}

json_t *workers_to_json(struct workers *workers)
{
	int64_t now_ms = clock_monotonic_ms(workers->clock);
	json_t *array = json_array(), **sorted;
	size_t count = 0;

	pthread_mutex_lock(&workers->lock);
	sorted = calloc(zhashx_size(workers->table) + 1, sizeof(json_t *));
	for (struct worker *worker = sorted ? first_watched(workers) : NULL; worker;
		worker = next_watched(workers)) {
		sorted[count] = worker_to_json(workers, worker, now_ms);
		count += sorted[count] != NULL;
	}
	pthread_mutex_unlock(&workers->lock);
	if (sorted)
		qsort(sorted, count, sizeof(*sorted), compare_ids);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, sorted[i]);
	free(sorted);
	return array;
}
