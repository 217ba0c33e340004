/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What a question gets of packed days is enough: random lives of one instance, in memory and in a
 * store whose days are sealed and packed in between, asked the same. Of all samples that memory
 * has, the other may leave out only what store/thinning.h says.
 *
 * usage: thinned-test [CASSANDRA]: SQLite, or Cassandra at that host */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/cassandra/cassandra.h"
#include "store/store.h"

enum {
	WORLDS = 12,
	WORLDS_OF_CASSANDRA = 2,
	SCANS = 60,
	TIMES_MAX = 2000,
	SERIES_MAX = 64,
	EDGES_MAX = 8
};

/* 2023-10-30; the months that begin after it. */
static const int64_t MIDNIGHT_MS = INT64_C(1698624000000);
static const int64_t MONTHS_MS[] = { INT64_C(1698796800000), INT64_C(1701388800000) };
static const int64_t A_DAY_MS = INT64_C(86400000);
static const char UUID[] = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968";

static const char *cassandra_hosts; /* of the command line */

/* A thing that is read: when, and by which epoch. */
struct thing {
	enum metric_group group;
	const char *parameter, *epoch;
	int64_t from_ms, to_ms;
	unsigned int columns;
	int64_t values[4];
};

struct world {
	struct store *memory, *packed;
	char directory[64];
	uint32_t seed;
	uint32_t days; /* few, or more than a month */
	struct uuid uuid;
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

static int open_cassandra(struct store **ret_store, struct error *err)
{
	char keyspace[32];
	struct cassandra_store_options options = { .cql = { .hosts = cassandra_hosts },
		.keyspace = keyspace,
		.replication = "1",
		.consistency = "LOCAL_QUORUM",
		.wait_ms = 60 * 1000,
		.now_ms = MIDNIGHT_MS };

	snprintf(keyspace, sizeof(keyspace), "thinned_%d", (int)getpid());
	return cassandra_store_new(&options, ret_store, err);
}

/* In Cassandra, all of them share the tables. */
static void world_init(struct world *world, uint32_t seed)
{
	struct sqlite_store_options options = { world->directory, 1000 };
	struct error err = { 0 };

	*world = (struct world){ .seed = seed, .days = seed % 2 ? 4 : 34 };
	snprintf(world->directory, sizeof(world->directory), "/tmp/kanyun-thinned-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	assert_int_equal(uuid_parse(UUID, &world->uuid), 0);
	world->uuid.bytes[0] = (uint8_t)seed;
	assert_int_equal(memory_store_new(&world->memory), 0);
	assert_int_equal(cassandra_hosts ? open_cassandra(&world->packed, &err)
					 : sqlite_store_new(&options, &world->packed, &err),
		0);
}

static void world_deinit(struct world *world)
{
	store_free(world->memory);
	store_free(world->packed);
	nftw(world->directory, remove_path, 8, FTW_DEPTH | FTW_PHYS);
}

static void seal(struct world *world)
{
	struct error err = { 0 };
	bool more = true;

	while (more)
		assert_int_equal(store_maintain(world->packed, MIDNIGHT_MS + 400 * A_DAY_MS,
					 INT64_MIN, &more, &err),
			0);
}

/* Counters grow, and fall now and then; states mostly stay. */
static void live(struct world *world, struct thing *thing)
{
	for (unsigned int i = 0; i < thing->columns; i++)
		if (thing->group == METRIC_GROUP_STATE)
			thing->values[i] = draw(world, 40) ? thing->values[i] : draw(world, 4);
		else
			thing->values[i] =
				draw(world, 60) ? thing->values[i] + draw(world, 1000) : 1;
}

static void append(struct world *world, struct thing *thing, int64_t time_ms)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = MIDNIGHT_MS };
	struct store_tally ignored;
	struct reading *reading;
	struct tuple *tuple;
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	batch->host = draw(world, 4) ? "compute1" : "compute2";
	reading = batch_add_reading(batch);
	assert_non_null(reading);
	reading->instance = (struct instance_key){ .has_uuid = true, .uuid = world->uuid };
	reading->time_ms = time_ms;
	reading->epoch = thing->epoch;
	reading->start_ms = EPOCH_START_UNKNOWN;
	tuple = batch_add_tuple(batch, reading);
	assert_non_null(tuple);
	tuple->group = thing->group;
	tuple->parameter = thing->parameter;
	tuple->life = "";
	for (unsigned int i = 0; i < thing->columns; i++)
		if (i == 0 || draw(world, 10))
			tuple_set(tuple, i, thing->values[i]);
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(world->memory, &commit, &ignored, &err), 0);
	assert_int_equal(store_append(world->packed, &commit, &ignored, &err), 0);
}

static int64_t draw_time(struct world *world)
{
	int64_t day = draw(world, world->days + 1);

	if (world->days > 30 && draw(world, 4) == 0)
		return MONTHS_MS[draw(world, 2)];
	return MIDNIGHT_MS + day * A_DAY_MS +
	       (draw(world, 2) ? 0 : (int64_t)draw(world, 86400) * 1000);
}

/* Everything is read in the course of the days, but for what comes late. */
static void fill(struct world *world)
{
	struct thing things[] = {
		{ METRIC_GROUP_STATE, "total", "h/1", 0, INT64_MAX, 2, { 1, 1 } },
		{ METRIC_GROUP_CPU, "total", "h/1", 0, INT64_MAX, 1, { 0 } },
		{ METRIC_GROUP_NIC, "vnet0", "h/1", 0, INT64_MAX, 2, { 0 } },
		{ METRIC_GROUP_NIC, "vnet1", "h/1", draw_time(world), draw_time(world), 2, { 0 } },
		{ METRIC_GROUP_BLK, "vda", "h/2", draw_time(world), INT64_MAX, 3, { 0 } },
	};
	int64_t step_ms = (600000 + (int64_t)draw(world, 3000) * 1000) * world->days / 4;

	for (int64_t t = MIDNIGHT_MS; t < MIDNIGHT_MS + world->days * A_DAY_MS; t += step_ms) {
		for (size_t i = 0; i < ARRAY_SIZE(things); i++) {
			live(world, &things[i]);
			if (t >= things[i].from_ms && t <= things[i].to_ms && draw(world, 20))
				append(world, &things[i], t);
		}
		if (draw(world, 30) == 0)
			seal(world);
		if (draw(world, 30) == 0)
			append(world, &things[draw(world, ARRAY_SIZE(things))],
				MIDNIGHT_MS + (int64_t)draw(world, world->days * 86400) * 1000);
	}
}

/* The series of one scan. */
struct answer {
	struct series {
		char name[160];
		enum metric_kind kind;
		bool is_state, is_always; /* the column that every row has */
		struct sample samples[TIMES_MAX];
		size_t count;
	} series[SERIES_MAX];
	size_t count;
};

static int take(void *context, const struct store_series *from)
{
	struct answer *answer = context;
	struct series *series = &answer->series[answer->count++];

	assert_in_range(answer->count, 1, SERIES_MAX);
	assert_in_range(from->count, 1, TIMES_MAX);
	snprintf(series->name, sizeof(series->name), "%s %s %s", from->metric->name,
		from->parameter, from->epoch);
	series->kind = from->metric->kind;
	series->is_state = from->metric->group == METRIC_GROUP_STATE;
	series->is_always = from->metric->column == 0;
	memcpy(series->samples, from->samples, from->count * sizeof(*from->samples));
	series->count = from->count;
	return 0;
}

static int take_numbered(void *context, size_t instance, const struct store_series *from)
{
	assert_int_equal(instance, 0);
	return take(context, from);
}

static bool has(const struct series *series, const struct sample *sample)
{
	for (size_t i = 0; i < series->count; i++)
		if (series->samples[i].time_ms == sample->time_ms &&
			series->samples[i].value == sample->value)
			return true;
	return false;
}

static bool has_edge(const struct store_scan *scan, int64_t from_ms, int64_t to_ms)
{
	for (size_t i = 0; i < scan->edge_count; i++)
		if (scan->edges_ms[i] >= from_ms && scan->edges_ms[i] < to_ms)
			return true;
	return false;
}

/* Was another thing read first or last in [from, to)? Where that is outside of the window, the
 * answer does not tell. */
static bool has_end(
	const struct answer *all, const struct store_scan *scan, int64_t from_ms, int64_t to_ms)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct series *other = &all->series[i];
		int64_t first_ms = other->samples[0].time_ms;
		int64_t last_ms = other->samples[other->count - 1].time_ms;

		if (other->is_always && first_ms >= scan->from_ms && first_ms > from_ms &&
			first_ms <= to_ms)
			return true;
		if (other->is_always && last_ms <= scan->to_ms && last_ms >= from_ms &&
			last_ms < to_ms)
			return true;
	}
	return false;
}

static bool matters(const struct answer *all, const struct series *series, size_t i,
	const struct store_scan *scan)
{
	const struct sample *one = &series->samples[i], *next = one + 1;

	if (series->kind == METRIC_COUNTER && next->value < one->value)
		return true;
	if (series->is_state && next->value != one->value)
		return true;
	return has_edge(scan, one->time_ms, next->time_ms) ||
	       has_end(all, scan, one->time_ms, next->time_ms);
}

static void assert_enough(
	const struct answer *all, const struct answer *some, const struct store_scan *scan)
{
	assert_int_equal(some->count, all->count);
	for (size_t i = 0; i < all->count; i++) {
		const struct series *whole = &all->series[i], *part = &some->series[i];

		assert_string_equal(part->name, whole->name);
		for (size_t j = 0; j < part->count; j++)
			assert_true(has(whole, &part->samples[j]));
		assert_true(has(part, &whole->samples[0]));
		assert_true(has(part, &whole->samples[whole->count - 1]));
		for (size_t j = 0; j + 1 < whole->count; j++)
			if (matters(all, whole, j, scan)) {
				assert_true(has(part, &whole->samples[j]));
				assert_true(has(part, &whole->samples[j + 1]));
			}
	}
}

static void assert_same(const struct answer *one, const struct answer *other)
{
	assert_int_equal(one->count, other->count);
	for (size_t i = 0; i < one->count; i++) {
		assert_string_equal(one->series[i].name, other->series[i].name);
		assert_int_equal(one->series[i].count, other->series[i].count);
		assert_memory_equal(one->series[i].samples, other->series[i].samples,
			one->series[i].count * sizeof(struct sample));
	}
}

static struct store_scan draw_scan(struct world *world, int64_t edges[EDGES_MAX])
{
	struct store_scan scan = { .instance = { .has_uuid = true, .uuid = world->uuid },
		.from_ms = draw_time(world),
		.to_ms = draw_time(world),
		.edges_ms = edges,
		.edge_count = 2 + draw(world, EDGES_MAX - 1),
		.thins_states = true,
		.maximum = 1000000 };

	if (scan.from_ms > scan.to_ms) {
		int64_t from_ms = scan.to_ms;

		scan.to_ms = scan.from_ms;
		scan.from_ms = from_ms;
	}
	for (size_t i = 0; i < scan.edge_count; i++)
		edges[i] = i ? draw_time(world) : scan.from_ms;
	edges[scan.edge_count - 1] = scan.to_ms;
	for (size_t i = 1; i < scan.edge_count; i++)
		for (size_t j = i; j > 0 && edges[j] < edges[j - 1]; j--) {
			int64_t swapped = edges[j];

			edges[j] = edges[j - 1];
			edges[j - 1] = swapped;
		}
	for (size_t group = 0; group < _METRIC_GROUP_COUNT; group++)
		scan.columns[group] = 0xffff;
	return scan;
}

static void ask(struct world *world, struct answer answers[3])
{
	int64_t edges[EDGES_MAX];
	struct store_scan scan = draw_scan(world, edges), whole = scan;
	struct error err = { 0 };

	whole.edges_ms = NULL;
	for (size_t i = 0; i < 3; i++)
		answers[i].count = 0;
	assert_int_equal(store_scan(world->memory, &whole, take, &answers[0], &err), 0);
	assert_int_equal(store_scan(world->packed, &scan, take, &answers[1], &err), 0);
	assert_enough(&answers[0], &answers[1], &scan);
	assert_int_equal(store_survey(world->packed, &scan.instance, 1, &scan, take_numbered,
				 &answers[2], &err),
		0);
	assert_same(&answers[1], &answers[2]);
	answers[2].count = 0;
	assert_int_equal(store_scan(world->packed, &whole, take, &answers[2], &err), 0);
	assert_same(&answers[0], &answers[2]);
}

static void what_is_read_of_packed_days_is_enough(void **state)
{
	struct answer *answers = calloc(3, sizeof(*answers));
	struct world world;

	assert_non_null(answers);
	for (uint32_t seed = 1; seed <= (cassandra_hosts ? WORLDS_OF_CASSANDRA : WORLDS); seed++) {
		world_init(&world, seed);
		fill(&world);
		for (size_t i = 0; i < SCANS; i++) {
			ask(&world, answers);
			if (i == SCANS / 2)
				seal(&world);
		}
		world_deinit(&world);
	}
	free(answers);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_of_packed_days_is_enough),
	};

	cassandra_hosts = argc > 1 ? argv[1] : NULL;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
