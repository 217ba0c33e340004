/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Fills a store with a past of many instances, as a server would have: what workers of 30 instances
 * each send, committed every hour, and maintained as time goes by and a day after. Deterministic.
 *
 * usage: report-fill [-l] [-o SECTION.KEY=VALUE]... STORE INSTANCES FIRST_MS DAYS INTERVAL_SECONDS
 * -l: instances start anew and are off at times, and are not read on the very minute.
 * STORE: sqlite:DIRECTORY or cassandra:HOSTS/KEYSPACE. FIRST_MS is a full hour. */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "model/batch.h"
#include "model/settings.h"
#include "store/named/named.h"

enum {
	GUESTS_OF_A_HOST = 30,
	COUNTERS = 9,
	PROJECTS = 20,
	OPTIONS_MAX = 16,
	HOUR_MS = 60 * 60 * 1000,
	DAY_MS = 24 * HOUR_MS,
	REST_MS = DAY_MS + 3 * HOUR_MS, /* until the last day is as the others */
	GUESTS_MAX = 1000 * 1000,
	DAYS_MAX = 1000,
};

struct guest {
	struct uuid uuid;
	char name[32], project[64], host[32], epoch[96], off_epoch[64];
	uint64_t random; /* xorshift */
	int64_t counters[COUNTERS];
	int64_t since_ms; /* of this run */
	unsigned int runs, off_rounds;
	bool is_just_off;
	int64_t early_ms; /* how much before the round it is read */
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void guest_start(struct guest *guest, int64_t time_ms)
{
	guest->runs++;
	guest->since_ms = time_ms;
	memset(guest->counters, 0, sizeof(guest->counters));
	snprintf(guest->epoch, sizeof(guest->epoch), "%s/%s/%u", guest->host, guest->name,
		guest->runs);
}

static void guest_init(struct guest *guest, size_t number, int64_t start_ms)
{
	*guest = (struct guest){ .random = 88172645463325252u + number * 7919 };
	for (size_t i = 0; i < sizeof(guest->uuid.bytes); i++)
		guest->uuid.bytes[i] = (uint8_t)next_random(&guest->random);
	snprintf(guest->name, sizeof(guest->name), "instance-%08zx", number + 1);
	snprintf(guest->project, sizeof(guest->project), "project-%02zu", number % PROJECTS);
	snprintf(guest->host, sizeof(guest->host), "compute%03zu", number / GUESTS_OF_A_HOST);
	snprintf(guest->off_epoch, sizeof(guest->off_epoch), "%s/off", guest->host);
	guest_start(guest, start_ms);
}

/* What may have happened before a round: a start, or a stop for some rounds. */
static void guest_happen(struct guest *guest, int64_t time_ms)
{
	uint64_t chance = next_random(&guest->random) % 100;

	guest->is_just_off = false;
	if (guest->off_rounds && --guest->off_rounds == 0) {
		guest_start(guest, time_ms - guest->early_ms - 1000);
	} else if (guest->off_rounds == 0 && chance < 2) {
		guest_start(guest, time_ms - guest->early_ms - 5000);
	} else if (guest->off_rounds == 0 && chance < 4) {
		guest->off_rounds = 2 + (unsigned int)(next_random(&guest->random) % 40);
		guest->is_just_off = true;
	}
}

/* Four in ten are idle; the others use up to what their number says. */
static void guest_live(struct guest *guest, size_t number)
{
	for (size_t i = 0; i < COUNTERS; i++) {
		int64_t most =
			number % 10 < 4 ? 1000 : INT64_C(1000000) * (1 + (int64_t)number % 50);

		guest->counters[i] += (int64_t)(next_random(&guest->random) % (uint64_t)most);
	}
}

static int add_tuple(struct batch *batch, struct reading *reading, enum metric_group group,
	const char *parameter, const int64_t *values, const uint8_t *columns, size_t count)
{
	struct tuple *tuple = batch_add_tuple(batch, reading);

	if (!tuple)
		return -1;
	tuple->group = group;
	tuple->parameter = parameter;
	tuple->life = "";
	for (size_t i = 0; i < count; i++)
		tuple_set(tuple, columns[i], values[i]);
	return 0;
}

static int add_values(struct batch *batch, struct reading *reading, const struct guest *guest)
{
	static const uint8_t cpu_columns[] = { 0 }, nic_columns[] = { 0, 1, 2, 5 },
			     blk_columns[] = { 0, 1, 2, 4 };

	return add_tuple(batch, reading, METRIC_GROUP_CPU, "total", guest->counters, cpu_columns,
		       1) ||
	       add_tuple(batch, reading, METRIC_GROUP_NIC, "tap0", guest->counters + 1, nic_columns,
		       4) ||
	       add_tuple(batch, reading, METRIC_GROUP_BLK, "vda", guest->counters + 5, blk_columns,
		       4);
}

static int add_reading(
	struct batch *batch, const struct guest *guest, int64_t start_ms, int64_t time_ms)
{
	static const uint8_t state_columns[] = { 0, 1 };
	static const int64_t running[] = { 1, 1 }, off[] = { 5, 1 };
	struct reading *reading = batch_add_reading(batch);
	bool is_off = guest->off_rounds > 0, has_run = !is_off || guest->is_just_off;

	if (!reading)
		return -1;
	reading->instance = (struct instance_key){ .has_uuid = true, .uuid = guest->uuid };
	reading->time_ms = MAX_OF(time_ms - guest->early_ms, start_ms);
	reading->epoch = has_run ? guest->epoch : guest->off_epoch;
	reading->start_ms = has_run ? guest->since_ms : EPOCH_START_UNKNOWN;
	if (add_tuple(batch, reading, METRIC_GROUP_STATE, "total", is_off ? off : running,
		    state_columns, 2) < 0)
		return -1;
	return is_off ? 0 : add_values(batch, reading, guest);
}

static int add_info(struct batch *batch, const struct guest *guest, int64_t since_ms)
{
	struct instance_info *info = batch_add_info(batch);

	if (!info)
		return -1;
	info->uuid = guest->uuid;
	info->since_ms = since_ms;
	info->name = guest->name;
	info->display_name = guest->name;
	info->host = guest->host;
	info->project_id = info->project_name = guest->project;
	info->flavor_id = info->flavor_name = "m1.small";
	info->vcpus = 1;
	info->memory_mib = 2048;
	info->disk_gib = 20;
	return 0;
}

struct filling {
	struct store *store;
	struct guest *guests;
	size_t count, host_count;
	bool is_lively;
	int64_t start_ms, end_ms, interval_ms;
};

/* One round of a host. */
static struct batch *make_batch(
	const struct filling *filling, size_t first, size_t count, int64_t time_ms)
{
	struct guest *guests = filling->guests;
	int64_t start_ms = filling->start_ms;
	struct batch *batch;

	if (batch_new(&batch) < 0)
		return NULL;
	batch->host = guests[first].host;
	for (size_t i = first; i < first + count; i++) {
		if (filling->is_lively && time_ms != start_ms)
			guest_happen(&guests[i], time_ms);
		guest_live(&guests[i], i);
		if (add_reading(batch, &guests[i], start_ms, time_ms) != 0 ||
			(time_ms == start_ms && add_info(batch, &guests[i], start_ms) < 0))
			return batch_free(batch);
	}
	return batch;
}

/* What is committed together: batches of several rounds, each of all hosts. */
struct rounds {
	const struct filling *filling;
	struct batch **batches;
	size_t batch_count;
	struct store_source *sources;
};

static void rounds_deinit(struct rounds *rounds)
{
	for (size_t i = 0; i < rounds->batch_count; i++)
		batch_free(rounds->batches[i]);
	free(rounds->batches);
	free(rounds->sources);
}
CLEANUP_DEFINE_VALUE(struct rounds, rounds_deinit)

static int make_round(struct rounds *rounds, int64_t time_ms)
{
	const struct filling *filling = rounds->filling;

	for (size_t i = 0; i < filling->host_count; i++) {
		size_t first = i * GUESTS_OF_A_HOST;
		size_t some = MIN_OF(filling->count - first, (size_t)GUESTS_OF_A_HOST);
		struct batch *batch = make_batch(filling, first, some, time_ms);

		if (!batch)
			return -ENOMEM;
		rounds->batches[rounds->batch_count++] = batch;
	}
	return 0;
}

static void make_sources(struct rounds *rounds, int64_t time_ms)
{
	const struct filling *filling = rounds->filling;
	int64_t round = (time_ms - filling->start_ms) / filling->interval_ms;

	for (size_t i = 0; i < filling->host_count; i++) {
		const char *host = filling->guests[i * GUESTS_OF_A_HOST].host;

		rounds->sources[i] = (struct store_source){ host, "spool", host,
			(uint64_t)round + 1, filling->start_ms, time_ms, time_ms };
	}
}

static int append_rounds(
	const struct filling *filling, int64_t from_ms, int64_t to_ms, struct error *err)
{
	size_t hosts = filling->host_count;
	size_t count = (size_t)((to_ms - from_ms) / filling->interval_ms + 1) * hosts;
	CLEANUP(rounds_deinit)
	struct rounds rounds = { .filling = filling,
		.batches = calloc(count, sizeof(struct batch *)),
		.sources = calloc(hosts, sizeof(struct store_source)) };
	struct store_tally tally = { 0 };

	if (!rounds.batches || !rounds.sources)
		return -ENOMEM;
	for (int64_t time_ms = from_ms; time_ms <= to_ms; time_ms += filling->interval_ms)
		if (make_round(&rounds, time_ms) < 0)
			return -ENOMEM;
	make_sources(&rounds, to_ms);
	return store_append(filling->store,
		&(struct store_commit){ .batches = (const struct batch *const *)rounds.batches,
			.batch_count = rounds.batch_count,
			.sources = rounds.sources,
			.source_count = hosts,
			.now_ms = to_ms },
		&tally, err);
}

static int maintain(struct store *store, int64_t now_ms, struct error *err)
{
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		more = false;
		r = store_maintain(store, now_ms, INT64_MIN, &more, err);
	}
	return r;
}

/* Maintains the store on a thread of its own, as a server does. */
struct keeper {
	struct store *store;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int64_t now_ms, kept_ms; /* what time it is, and when it was at the end of the last work */
	bool is_ending;
	int r;
	struct error err; /* of r */
};

static void keeper_init(struct keeper *keeper, struct store *store, int64_t now_ms)
{
	*keeper = (struct keeper){ .store = store, .now_ms = now_ms, .kept_ms = now_ms };
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_cond_init(&keeper->changed, NULL);
}

static void keeper_deinit(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->is_ending = true;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
	if (keeper->has_thread)
		pthread_join(keeper->thread, NULL);
	pthread_cond_destroy(&keeper->changed);
	pthread_mutex_destroy(&keeper->lock);
}
CLEANUP_DEFINE_VALUE(struct keeper, keeper_deinit)

static void keeper_note(struct keeper *keeper, int64_t kept_ms, int r, const struct error *err)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->kept_ms = kept_ms;
	keeper->r = r;
	keeper->err = *err;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
}

/* Waits for another time; false at the end. */
static bool keeper_wait(struct keeper *keeper, int64_t *ret_now_ms)
{
	bool is_ending;

	pthread_mutex_lock(&keeper->lock);
	while (keeper->now_ms == keeper->kept_ms && !keeper->is_ending)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	*ret_now_ms = keeper->now_ms;
	is_ending = keeper->is_ending;
	pthread_mutex_unlock(&keeper->lock);
	return !is_ending;
}

static void *keeper_run(void *argument)
{
	struct keeper *keeper = argument;
	int64_t now_ms;
	int r = 0;

	while (r == 0 && keeper_wait(keeper, &now_ms)) {
		struct error err = { 0 };

		r = maintain(keeper->store, now_ms, &err);
		keeper_note(keeper, now_ms, r, &err);
	}
	return NULL;
}

static int keeper_start(struct keeper *keeper, struct error *err)
{
	int r = pthread_create(&keeper->thread, NULL, keeper_run, keeper);

	if (r != 0)
		return error_set(err, -r, "cannot start a thread: %s", strerror(r));
	keeper->has_thread = true;
	return 0;
}

/* It is now_ms; waits while the work is farther behind. */
static int keeper_tell(struct keeper *keeper, int64_t now_ms, int64_t behind_ms, struct error *err)
{
	int r;

	pthread_mutex_lock(&keeper->lock);
	keeper->now_ms = now_ms;
	pthread_cond_broadcast(&keeper->changed);
	while (keeper->r == 0 && keeper->kept_ms < now_ms - behind_ms)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	r = keeper->r;
	if (r != 0)
		*err = keeper->err;
	pthread_mutex_unlock(&keeper->lock);
	return r;
}

static void show_progress(const struct filling *filling, int64_t time_ms)
{
	int64_t all = (filling->end_ms - filling->start_ms) / DAY_MS;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%" PRId64 " of %" PRId64 " days of %zu instances%s",
			(time_ms - filling->start_ms) / DAY_MS, all, filling->count,
			time_ms == filling->end_ms ? "\n" : "");
}

/* The last round before the next full hour. */
static int64_t last_of_hour(const struct filling *filling, int64_t time_ms)
{
	int64_t until_ms = MIN_OF(filling->end_ms, (time_ms / HOUR_MS + 1) * HOUR_MS - 1);

	return time_ms + (until_ms - time_ms) / filling->interval_ms * filling->interval_ms;
}

static int fill(const struct filling *filling, struct error *err)
{
	CLEANUP(keeper_deinit) struct keeper keeper;
	int64_t last_ms;
	int r;

	keeper_init(&keeper, filling->store, filling->start_ms);
	r = keeper_start(&keeper, err);
	for (int64_t time_ms = filling->start_ms; time_ms <= filling->end_ms && r == 0;
		time_ms = last_ms + filling->interval_ms) {
		last_ms = last_of_hour(filling, time_ms);
		r = append_rounds(filling, time_ms, last_ms, err);
		if (r == 0)
			r = keeper_tell(&keeper, last_ms, DAY_MS, err);
		show_progress(filling, last_ms);
	}
	return r == 0 ? keeper_tell(&keeper, filling->end_ms + REST_MS, 0, err) : r;
}

static int read_arguments(struct filling *filling, char *const *arguments)
{
	int64_t count, days, seconds;

	if (text_to_i64(arguments[0], &count) < 0 || count < 1 || count > GUESTS_MAX ||
		text_to_i64(arguments[1], &filling->start_ms) < 0 || filling->start_ms < 0 ||
		text_to_i64(arguments[2], &days) < 0 || days < 1 || days > DAYS_MAX ||
		text_to_i64(arguments[3], &seconds) < 0 || seconds < 1 || seconds > 86400)
		return -EINVAL;
	filling->count = (size_t)count;
	filling->host_count = (filling->count + GUESTS_OF_A_HOST - 1) / GUESTS_OF_A_HOST;
	filling->end_ms = filling->start_ms + days * DAY_MS;
	filling->interval_ms = seconds * 1000;
	return 0;
}

static int open_and_fill(struct filling *filling, const char *name, const char *const *options,
	size_t option_count, struct error *err)
{
	CLEANUP(config_free) struct config *config = NULL;
	int r = settings_load("/dev/null", options, option_count, &config, NULL, NULL, err);

	filling->guests = calloc(filling->count, sizeof(struct guest));
	if (r == 0 && !filling->guests)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < filling->count; i++) {
		guest_init(&filling->guests[i], i, filling->start_ms);
		filling->guests[i].early_ms = filling->is_lively ? (int64_t)i * 7 % 60 * 1000 : 0;
	}
	if (r == 0)
		r = named_store_new(config, name, false, &filling->store, err);
	if (r == 0)
		r = fill(filling, err);
	store_free(filling->store);
	free(filling->guests);
	return r;
}

int main(int argc, char **argv)
{
	const char *options[OPTIONS_MAX];
	struct filling filling = { 0 };
	struct error err = { 0 };
	size_t option_count = 0;
	int option, r;

	while ((option = getopt(argc, argv, "lo:")) == 'l' ||
		(option == 'o' && option_count < OPTIONS_MAX)) {
		if (option == 'l')
			filling.is_lively = true;
		else
			options[option_count++] = optarg;
	}
	if (option != -1 || argc - optind != 5 || read_arguments(&filling, &argv[optind + 1]) < 0) {
		fprintf(stderr, "usage: report-fill [-l] [-o SECTION.KEY=VALUE]... STORE INSTANCES "
				"FIRST_MS DAYS INTERVAL_SECONDS\n");
		return 2;
	}
	r = open_and_fill(&filling, argv[optind], options, option_count, &err);
	if (r != 0)
		fprintf(stderr, "report-fill: %s\n", error_text(&err, r > 0 ? -EIO : r));
	return r != 0;
}
