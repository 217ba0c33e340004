/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Instances that move between hosts, whose messages come late, twice, and in parts: random worlds
 * in memory and in another store, which must answer the same.
 *
 * usage: moving-test [CASSANDRA]: SQLite, or Cassandra at that host */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "store/cassandra/cassandra.h"
#include "store/store.h"

enum {
	WORLDS = 6,
	WORLDS_OF_CASSANDRA = 2,
	GUESTS = 14,
	OLD_GUEST = 5, /* known by its name only, and sent by a worker that tells no host */
	TICKS = 150,
	MAINTAINED_TICKS = 12,
	QUESTIONS = 60,
	WITHHELD_MAX = 64,
	TEXT_MAX = 16 * 1024 * 1024,
};

static const int64_t MIDNIGHT_MS = INT64_C(1700006400000);
static const int64_t TICK_MS = INT64_C(1800000);
static const char *const hosts[] = { "compute1", "compute2", "compute3" };

static const char *cassandra_hosts; /* of the command line */

struct guest {
	struct instance_key key;
	char name[32];
	const char *host; /* NULL: it does not run any more */
	char epoch[32];
	int64_t cpu, bytes;
};

struct world {
	struct store *memory, *other;
	char directory[64], keyspace[32];
	uint32_t seed;
	struct guest guests[GUESTS];
	struct batch *withheld[WITHHELD_MAX];
	size_t withheld_count;
	int64_t now_ms;
	struct buffer texts[2];
};

static uint32_t draw(struct world *world, uint32_t limit)
{
	world->seed = world->seed * 1664525u + 1013904223u;
	return (world->seed >> 8) % limit;
}

static int remove_path(const char *path, const struct stat *status, int type, struct FTW *place)
{
	return remove(path);
}

static void open_other(struct world *world)
{
	const struct sqlite_store_options sqlite = { world->directory, 1000 };
	const struct cassandra_store_options cassandra = { .cql = { .hosts = cassandra_hosts },
		.keyspace = world->keyspace,
		.replication = "1",
		.consistency = "LOCAL_QUORUM",
		.wait_ms = 60 * 1000,
		.now_ms = MIDNIGHT_MS };
	struct error err = { 0 };
	int r = cassandra_hosts ? cassandra_store_new(&cassandra, &world->other, &err)
				: sqlite_store_new(&sqlite, &world->other, &err);

	if (r != 0)
		fail_msg("%s", error_text(&err, r));
}

static void guest_init(struct world *world, size_t number)
{
	struct guest *guest = &world->guests[number];

	snprintf(guest->name, sizeof(guest->name), "instance-%zu@old", number);
	guest->key = (struct instance_key){ .name = guest->name };
	if (number != OLD_GUEST) {
		guest->key = (struct instance_key){ .has_uuid = true };
		for (size_t i = 0; i < sizeof(guest->key.uuid.bytes); i++)
			guest->key.uuid.bytes[i] = (uint8_t)draw(world, 256);
	}
	guest->host = hosts[draw(world, ARRAY_SIZE(hosts))];
	snprintf(guest->epoch, sizeof(guest->epoch), "e/%zu", number);
}

static void world_init(struct world *world, uint32_t seed)
{
	*world = (struct world){ .seed = seed, .now_ms = MIDNIGHT_MS };
	snprintf(world->directory, sizeof(world->directory), "/tmp/kanyun-moving-XXXXXX");
	snprintf(world->keyspace, sizeof(world->keyspace), "moving_%d_%u", (int)getpid(), seed);
	assert_non_null(mkdtemp(world->directory));
	assert_int_equal(memory_store_new(&world->memory), 0);
	open_other(world);
	for (size_t i = 0; i < GUESTS; i++)
		guest_init(world, i);
	for (size_t i = 0; i < ARRAY_SIZE(world->texts); i++)
		buffer_init(&world->texts[i], TEXT_MAX);
}

static void world_deinit(struct world *world)
{
	store_free(world->memory);
	store_free(world->other);
	nftw(world->directory, remove_path, 8, FTW_DEPTH | FTW_PHYS);
	for (size_t i = 0; i < ARRAY_SIZE(world->texts); i++)
		buffer_deinit(&world->texts[i]);
}

/* Mostly it stays where it is. */
static void guest_live(struct world *world, struct guest *guest)
{
	guest->cpu += draw(world, 1000);
	guest->bytes += draw(world, 100000);
	if (draw(world, 12) == 0)
		guest->host = hosts[draw(world, ARRAY_SIZE(hosts))];
	else if (draw(world, 40) == 0)
		guest->host = NULL;
	if (draw(world, 30) == 0)
		snprintf(guest->epoch, sizeof(guest->epoch), "e/%" PRIu32, world->seed);
}

static void add_tuple(struct batch *batch, struct reading *reading, enum metric_group group,
	const char *parameter, int64_t value)
{
	struct tuple *tuple = batch_add_tuple(batch, reading);

	assert_non_null(tuple);
	tuple->group = group;
	tuple->parameter = parameter;
	tuple->life = "";
	tuple_set(tuple, 0, value);
	if (group == METRIC_GROUP_NIC)
		tuple_set(tuple, 1, value / 2);
}

/* The part that tells the CPU, or the one that tells NICs. */
static void add_reading(
	struct batch *batch, const struct guest *guest, int64_t time_ms, bool is_nic)
{
	struct reading *reading = batch_add_reading(batch);

	assert_non_null(reading);
	reading->instance = guest->key;
	reading->time_ms = time_ms;
	reading->epoch = batch_text(batch, guest->epoch);
	reading->start_ms = EPOCH_START_UNKNOWN;
	if (is_nic)
		add_tuple(batch, reading, METRIC_GROUP_NIC, "vnet0", guest->bytes);
	else
		add_tuple(batch, reading, METRIC_GROUP_CPU, "total", guest->cpu);
}

static void append(struct world *world, const struct batch *batch)
{
	const struct store_commit commit = {
		.batches = &batch, .batch_count = 1, .now_ms = world->now_ms
	};
	struct store_tally tallies[2] = { 0 };
	struct error err = { 0 };

	assert_int_equal(store_append(world->memory, &commit, &tallies[0], &err), 0);
	assert_int_equal(store_append(world->other, &commit, &tallies[1], &err), 0);
}

/* At once, twice, or some time later. */
static void deliver(struct world *world, struct batch *batch)
{
	if (world->withheld_count < WITHHELD_MAX && draw(world, 6) == 0) {
		world->withheld[world->withheld_count++] = batch;
		return;
	}
	append(world, batch);
	if (draw(world, 10) == 0)
		append(world, batch);
	batch_free(batch);
}

static void deliver_withheld(struct world *world)
{
	size_t number = draw(world, (uint32_t)world->withheld_count);
	struct batch *batch = world->withheld[number];

	world->withheld[number] = world->withheld[--world->withheld_count];
	append(world, batch);
	batch_free(batch);
}

static bool is_sent_by(const struct guest *guest, const char *host)
{
	return guest->key.has_uuid ? guest->host == host : guest->host && !*host;
}

static void send(struct world *world, const char *host, bool is_nic)
{
	struct batch *batch;

	assert_int_equal(batch_new(&batch), 0);
	batch->host = host;
	for (size_t i = 0; i < GUESTS; i++)
		if (is_sent_by(&world->guests[i], host) && draw(world, 15))
			add_reading(batch, &world->guests[i], world->now_ms - (draw(world, 8) == 0),
				is_nic);
	deliver(world, batch);
}

static void maintain(struct world *world)
{
	struct error err = { 0 };
	bool more = true;

	while (more) {
		more = false;
		assert_int_equal(
			store_maintain(world->other, world->now_ms, INT64_MIN, &more, &err), 0);
	}
}

static void tick(struct world *world)
{
	world->now_ms += TICK_MS;
	for (size_t i = 0; i < GUESTS; i++)
		guest_live(world, &world->guests[i]);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		send(world, hosts[i], false);
		if (draw(world, 3))
			send(world, hosts[i], true);
	}
	send(world, "", false);
	if (world->withheld_count && draw(world, 3) == 0)
		deliver_withheld(world);
}

static int print_series(void *context, const struct store_series *series)
{
	struct buffer *text = context;

	buffer_print(text, "%s %s %s:", series->metric->name, series->parameter, series->epoch);
	for (size_t i = 0; i < series->count; i++)
		buffer_print(text, " %" PRId64 "=%" PRId64,
			(series->samples[i].time_ms - MIDNIGHT_MS) / 1000,
			series->samples[i].value);
	buffer_print(text, "\n");
	return 0;
}

static void print_key(struct buffer *text, const struct instance_key *key)
{
	char uuid[UUID_TEXT_SIZE];

	buffer_print(text, "%s ", key->has_uuid ? uuid_format(&key->uuid, uuid) : key->name);
}

static int print_instance(void *context, const struct store_instance *instance)
{
	struct buffer *text = context;

	print_key(text, &instance->key);
	buffer_print(text, "%" PRId64 " %" PRId64 " %" PRIx32 "\n",
		(instance->first_ms - MIDNIGHT_MS) / 1000, (instance->last_ms - MIDNIGHT_MS) / 1000,
		instance->groups);
	return 0;
}

static int compare_series(const void *a, const void *b)
{
	const struct store_series *one = a, *other = b;
	int order = strcmp(one->metric->name, other->metric->name);

	return order ? order : strcmp(one->epoch, other->epoch);
}

/* Its series are in no order. */
static int print_latest(void *context, const struct store_latest *latest)
{
	struct store_series *series = calloc(latest->count + 1, sizeof(*series));

	assert_non_null(series);
	if (latest->count) {
		memcpy(series, latest->series, latest->count * sizeof(*series));
		qsort(series, latest->count, sizeof(*series), compare_series);
	}
	print_instance(context, &latest->instance);
	for (size_t i = 0; i < latest->count; i++)
		print_series(context, &series[i]);
	free(series);
	return 0;
}

static void assert_same(struct world *world)
{
	for (size_t i = 0; i < ARRAY_SIZE(world->texts); i++) {
		buffer_write_u8(&world->texts[i], '\0');
		assert_int_equal(buffer_check(&world->texts[i]), 0);
	}
	assert_string_equal(
		(const char *)world->texts[1].bytes, (const char *)world->texts[0].bytes);
	for (size_t i = 0; i < ARRAY_SIZE(world->texts); i++)
		buffer_clear(&world->texts[i]);
}

static int64_t draw_time(struct world *world)
{
	return MIDNIGHT_MS + (int64_t)draw(world, TICKS + 4) * TICK_MS +
	       (draw(world, 2) ? 0 : (int64_t)draw(world, 1800) * 1000);
}

static void ask_scan(struct world *world)
{
	int64_t one_ms = draw_time(world), other_ms = draw_time(world);
	struct store_scan scan = { .instance = world->guests[draw(world, GUESTS)].key,
		.from_ms = MIN_OF(one_ms, other_ms),
		.to_ms = draw(world, 3) ? MIN_OF(one_ms, other_ms) : MAX_OF(one_ms, other_ms),
		.maximum = 1000000 };
	struct error err = { 0 };

	scan.columns[METRIC_GROUP_NIC] = draw(world, 2) ? 3 : 2;
	scan.columns[METRIC_GROUP_CPU] = draw(world, 2);
	assert_int_equal(store_scan(world->memory, &scan, print_series, &world->texts[0], &err), 0);
	assert_int_equal(store_scan(world->other, &scan, print_series, &world->texts[1], &err), 0);
	assert_same(world);
}

static void ask_instances(struct world *world)
{
	const struct store_filter everyone = { 0 };
	struct error err = { 0 };

	assert_int_equal(
		store_instances(world->memory, &everyone, print_instance, &world->texts[0], &err),
		0);
	assert_int_equal(
		store_instances(world->other, &everyone, print_instance, &world->texts[1], &err),
		0);
	assert_same(world);
}

/* SQLite has but what rests in memory, and Cassandra what is not older than its reach. */
static void ask_latest(struct world *world)
{
	struct store_recent recent = { .from_ms = draw_time(world), .count = 3, .maximum = 100000 };
	struct error err = { 0 };

	if (!cassandra_hosts)
		return;
	recent.from_ms = MAX_OF(recent.from_ms, world->now_ms - RECENT_REACH_MS);
	recent.columns[METRIC_GROUP_NIC] = 3;
	recent.columns[METRIC_GROUP_CPU] = 1;
	assert_int_equal(
		store_latest(world->memory, &recent, print_latest, &world->texts[0], &err), 0);
	assert_int_equal(
		store_latest(world->other, &recent, print_latest, &world->texts[1], &err), 0);
	assert_same(world);
}

static void ask(struct world *world)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		ask_scan(world);
	ask_instances(world);
	ask_latest(world);
}

static void wherever_an_instance_was_it_is_found(void **state)
{
	struct world world;

	for (uint32_t seed = 1; seed <= (cassandra_hosts ? WORLDS_OF_CASSANDRA : WORLDS); seed++) {
		world_init(&world, seed);
		for (size_t i = 1; i <= TICKS; i++) {
			tick(&world);
			if (i % MAINTAINED_TICKS == 0)
				maintain(&world);
			if (i % (TICKS / 3) == 0)
				ask(&world);
		}
		while (world.withheld_count)
			deliver_withheld(&world);
		ask(&world);
		world.now_ms += 2 * 24 * 60 * 60 * INT64_C(1000);
		maintain(&world);
		ask(&world);
		world_deinit(&world);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wherever_an_instance_was_it_is_found),
	};

	cassandra_hosts = argc > 1 ? argv[1] : NULL;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
