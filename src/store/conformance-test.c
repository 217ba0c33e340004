/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What every backend must do. Each test runs against each backend; one that only makes sense where
 * something outlives the process runs against those that do.
 *
 * A scan is compared as text, "group/column parameter epoch segment: time=value ...", times
 * relative to BASE_MS, because a difference is then readable. */

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
#include "model/usage.h"
#include "store/cassandra/cassandra.h"
#include "store/gaps.h"
#include "store/horizon.h"
#include "store/store.h"

enum { SAMPLES = 600, TEXT_SIZE_MAX = 1024 * 1024 };

static const int64_t BASE_MS = INT64_C(1700006400000); /* a midnight */
static const int64_t HOUR_MS = INT64_C(3600000);
static const int64_t TEST_DAY_MS = INT64_C(86400000);
static const char UUID[] = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968";

enum backend { MEMORY, SQLITE, CASSANDRA };

struct fixture {
	struct store *store;
	enum backend backend;
	bool is_durable;
	char directory[64], keyspace[32];
	struct buffer text;
	int64_t seals;
};

/* One reading of one tuple. */
struct item {
	const char *uuid, *name; /* either */
	int64_t time_ms;         /* relative to BASE_MS */
	const char *epoch;
	uint32_t segment;
	enum metric_group group;
	const char *parameter;
	int64_t values[2];
	uint16_t present;
};

static const char *cassandra_hosts; /* of the command line */

/* Each fixture has a keyspace of its own. */
static int open_cassandra(struct fixture *fixture, struct error *err)
{
	const struct cassandra_store_options options = { .cql = { .hosts = cassandra_hosts },
		.keyspace = fixture->keyspace,
		.replication = "1",
		.consistency = "LOCAL_QUORUM",
		.retention_days = 500, /* what is kept 400 days must be there */
		.wait_ms = 60 * 1000,
		.now_ms = BASE_MS };

	return cassandra_store_new(&options, &fixture->store, err);
}

static void open_store(struct fixture *fixture)
{
	const struct sqlite_store_options options = { fixture->directory, 1000 };
	struct error err = { 0 };
	int r;

	if (fixture->backend == SQLITE)
		r = sqlite_store_new(&options, &fixture->store, &err);
	else if (fixture->backend == CASSANDRA)
		r = open_cassandra(fixture, &err);
	else
		r = memory_store_new(&fixture->store);
	if (r != 0)
		fail_msg("%s", error_text(&err, r));
}

/* Making tables takes long: those of a test that is over are emptied for the next one. */
static char spare_keyspaces[8][32];
static size_t spare_count;

static void spare_keyspace(struct fixture *fixture)
{
	static const char *const tables[] = { "readings", "days", "shapes", "summaries",
		"instances", "infos", "sources", "records", "record_parts" };
	const struct cql_options options = { .hosts = cassandra_hosts };
	CLEANUP(cql_session_free) struct cql_session *session = NULL;
	struct error err = { 0 };
	char text[64];
	const struct cql_statement statement = {
		.text = text, .consistency = CQL_LOCAL_QUORUM, .is_idempotent = true
	};
	int r = cql_session_new(&options, &session, &err);

	if (r == 0)
		r = cql_session_wait(session, 60 * 1000, &err);
	for (size_t i = 0; i < ARRAY_SIZE(tables) && r == 0; i++) {
		snprintf(text, sizeof(text), "TRUNCATE %s.%s", fixture->keyspace, tables[i]);
		r = cql_execute(session, &statement, NULL, &err);
	}
	if (r == 0 && spare_count < ARRAY_SIZE(spare_keyspaces))
		memcpy(spare_keyspaces[spare_count++], fixture->keyspace,
			sizeof(fixture->keyspace));
}

static struct fixture *fixture_new(enum backend backend)
{
	static unsigned int number;
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->backend = backend;
	fixture->is_durable = backend != MEMORY;
	if (backend == CASSANDRA && spare_count)
		memcpy(fixture->keyspace, spare_keyspaces[--spare_count],
			sizeof(fixture->keyspace));
	else
		snprintf(fixture->keyspace, sizeof(fixture->keyspace), "t%d_%u", (int)getpid(),
			++number);
	buffer_init(&fixture->text, TEXT_SIZE_MAX);
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/kanyun-store-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	open_store(fixture);
	return fixture;
}

static int remove_path(const char *path, const struct stat *status, int type, struct FTW *place)
{
	return remove(path);
}

static void fixture_free(struct fixture *fixture)
{
	fixture->store = store_free(fixture->store);
	if (fixture->backend == CASSANDRA)
		spare_keyspace(fixture);
	nftw(fixture->directory, remove_path, 8, FTW_DEPTH | FTW_PHYS);
	buffer_deinit(&fixture->text);
	free(fixture);
}

static int set_up_memory(void **state)
{
	*state = fixture_new(MEMORY);
	return 0;
}

static int set_up_sqlite(void **state)
{
	*state = fixture_new(SQLITE);
	return 0;
}

static int set_up_cassandra(void **state)
{
	*state = fixture_new(CASSANDRA);
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

static void restart(struct fixture *fixture)
{
	fixture->store = store_free(fixture->store);
	open_store(fixture);
}

static void add_item(struct batch *batch, const struct item *item)
{
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple;

	assert_non_null(reading);
	if (item->uuid) {
		reading->instance.has_uuid = true;
		assert_int_equal(uuid_parse(item->uuid, &reading->instance.uuid), 0);
	} else {
		reading->instance.name = batch_text(batch, item->name);
	}
	reading->time_ms = BASE_MS + item->time_ms;
	reading->epoch = batch_text(batch, item->epoch);
	reading->segment = item->segment;
	tuple = batch_add_tuple(batch, reading);
	assert_non_null(tuple);
	tuple->group = item->group;
	tuple->parameter = batch_text(batch, item->parameter);
	tuple->present = item->present;
	memcpy(tuple->values, item->values, sizeof(item->values));
}

static struct store_tally append_at(
	struct fixture *fixture, int64_t now_ms, const struct item *items, size_t count)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = now_ms };
	struct store_tally tally = { 0 };
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	for (size_t i = 0; i < count; i++)
		add_item(batch, &items[i]);
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
	return tally;
}

static struct store_tally append(struct fixture *fixture, const struct item *items, size_t count)
{
	return append_at(fixture, BASE_MS, items, count);
}

static struct item cpu_at(int64_t time_ms, int64_t value)
{
	return (struct item){ .uuid = UUID,
		.time_ms = time_ms,
		.epoch = "e",
		.group = METRIC_GROUP_CPU,
		.parameter = "total",
		.values = { value },
		.present = 1 };
}

static struct store_tally append_cpu(struct fixture *fixture, int64_t time_ms, int64_t value)
{
	const struct item item = cpu_at(time_ms, value);

	return append(fixture, &item, 1);
}

static int print_series(void *context, const struct store_series *series)
{
	struct buffer *text = context;

	buffer_print(text, "%s %s %s %" PRIu32 ":", series->metric->name, series->parameter,
		series->epoch, series->segment);
	for (size_t i = 0; i < series->count; i++)
		buffer_print(text, " %" PRId64 "=%" PRId64, series->samples[i].time_ms - BASE_MS,
			series->samples[i].value);
	buffer_print(text, "\n");
	return 0;
}

static struct store_scan scan_of(enum metric_group group, int64_t from_ms, int64_t to_ms)
{
	struct store_scan scan = {
		.from_ms = BASE_MS + from_ms, .to_ms = BASE_MS + to_ms, .maximum = 100000
	};

	scan.columns[group] = 0xffff;
	scan.instance.has_uuid = true;
	assert_int_equal(uuid_parse(UUID, &scan.instance.uuid), 0);
	return scan;
}

/* The scan's text; it lives until the next one. */
static const char *scan_text(struct fixture *fixture, const struct store_scan *scan)
{
	struct error err = { 0 };

	buffer_clear(&fixture->text);
	assert_int_equal(store_scan(fixture->store, scan, print_series, &fixture->text, &err), 0);
	buffer_write_u8(&fixture->text, '\0');
	assert_int_equal(buffer_check(&fixture->text), 0);
	return (const char *)fixture->text.bytes;
}

static const char *scan_cpu(struct fixture *fixture, int64_t from_ms, int64_t to_ms)
{
	const struct store_scan scan = scan_of(METRIC_GROUP_CPU, from_ms, to_ms);

	return scan_text(fixture, &scan);
}

static void maintain(struct fixture *fixture, int64_t now_ms, int64_t keep_from_ms)
{
	struct error err = { 0 };
	bool more = true;

	for (unsigned int rounds = 0; more && rounds < 1000; rounds++) {
		more = false;
		assert_int_equal(
			store_maintain(fixture->store, now_ms, keep_from_ms, &more, &err), 0);
	}
	assert_false(more);
}

/* Each time a day later. */
static void seal(struct fixture *fixture)
{
	maintain(fixture, BASE_MS + (400 + fixture->seals++) * TEST_DAY_MS, INT64_MIN);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Two NICs and the CPU, in two epochs, over three days and a half. */
static void make_items(struct item items[SAMPLES])
{
	for (int64_t i = 0; i < SAMPLES; i++)
		items[i] = (struct item){ .uuid = UUID,
			.time_ms = i * 500 * 1000,
			.epoch = i < SAMPLES / 2 ? "first" : "second",
			.segment = i % 100 == 99,
			.group = i % 3 ? METRIC_GROUP_NIC : METRIC_GROUP_CPU,
			.parameter = i % 3 == 0   ? "total"
				     : i % 3 == 1 ? "vnet0"
						  : "vnet1",
			.values = { i * 1000, i * i },
			.present = i % 3 ? (i % 7 ? 3 : 1) : 1 };
}

static void shuffle(struct item items[SAMPLES], uint32_t seed)
{
	for (size_t i = SAMPLES - 1; i > 0; i--) {
		size_t other = next_random(&seed) % (i + 1);
		struct item swapped = items[i];

		items[i] = items[other];
		items[other] = swapped;
	}
}

static void append_in_pieces(struct fixture *fixture, const struct item items[SAMPLES], size_t size)
{
	for (size_t i = 0; i < SAMPLES; i += size)
		append(fixture, &items[i], MIN_OF(size, SAMPLES - i));
}

/* All that the fixture holds of the groups above. The caller frees it. */
static char *dump(struct fixture *fixture)
{
	static const enum metric_group groups[] = { METRIC_GROUP_CPU, METRIC_GROUP_NIC };
	char *all = strdup("");

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const struct store_scan scan = scan_of(groups[i], 0, 400 * TEST_DAY_MS);
		char *longer;

		assert_true(asprintf(&longer, "%s%s", all, scan_text(fixture, &scan)) > 0);
		free(all);
		all = longer;
	}
	return all;
}

static void assert_dump(struct fixture *fixture, const char *expected)
{
	char *found = dump(fixture);

	assert_string_equal(found, expected);
	free(found);
}

static void appending_twice_stores_once(void **state)
{
	struct fixture *fixture = *state;
	struct item items[SAMPLES];
	char *once;

	make_items(items);
	append_in_pieces(fixture, items, 50);
	once = dump(fixture);
	append_in_pieces(fixture, items, 70);
	assert_dump(fixture, once);
	assert_int_equal(append_cpu(fixture, 5, 5).stored, 1);
	assert_int_equal(append_cpu(fixture, 5, 5).stored, 0);
	assert_int_equal(append_cpu(fixture, 5, 5).duplicate, 1);
	free(once);
}

static void any_order_of_arrival_gives_the_same(void **state)
{
	struct fixture *fixture = *state, *other;
	struct item items[SAMPLES];
	char *in_order;

	make_items(items);
	append_in_pieces(fixture, items, 100);
	in_order = dump(fixture);
	for (uint32_t seed = 1; seed <= 3; seed++) {
		other = fixture_new(fixture->backend);
		shuffle(items, seed);
		append_in_pieces(other, items, seed * 23);
		if (seed == 2)
			seal(other);
		assert_dump(other, in_order);
		fixture_free(other);
	}
	free(in_order);
}

static void of_two_values_the_larger_stays(void **state)
{
	struct fixture *fixture = *state;

	append_cpu(fixture, 1000, 7);
	assert_int_equal(append_cpu(fixture, 1000, 9).conflicting, 1);
	append_cpu(fixture, 1000, 8);
	assert_string_equal(scan_cpu(fixture, 0, 2000), "cpu total e 0: 1000=9\n");
	seal(fixture);
	append_cpu(fixture, 1000, 3);
	assert_string_equal(scan_cpu(fixture, 0, 2000), "cpu total e 0: 1000=9\n");
	append_cpu(fixture, 1000, 12);
	seal(fixture);
	assert_string_equal(scan_cpu(fixture, 0, 2000), "cpu total e 0: 1000=12\n");
}

static void a_scan_gives_one_sample_beyond_each_edge(void **state)
{
	struct fixture *fixture = *state;

	for (int64_t i = 0; i < 10; i++)
		append_cpu(fixture, i * TEST_DAY_MS + HOUR_MS, i);
	for (int round = 0; round < 2; round++) {
		assert_string_equal(scan_cpu(fixture, 3 * TEST_DAY_MS, 5 * TEST_DAY_MS),
			"cpu total e 0: 176400000=2 262800000=3 349200000=4 435600000=5\n");
		/* Both edges on samples: still one beyond each. */
		assert_string_equal(
			scan_cpu(fixture, 3 * TEST_DAY_MS + HOUR_MS, 3 * TEST_DAY_MS + HOUR_MS),
			"cpu total e 0: 176400000=2 262800000=3 349200000=4\n");
		assert_string_equal(scan_cpu(fixture, 20 * TEST_DAY_MS, 21 * TEST_DAY_MS),
			"cpu total e 0: 781200000=9\n");
		assert_string_equal(scan_cpu(fixture, -2 * TEST_DAY_MS, -TEST_DAY_MS),
			"cpu total e 0: 3600000=0\n");
		seal(fixture);
	}
}

static void groups_of_one_reading_complete_each_other(void **state)
{
	struct fixture *fixture = *state;
	struct item incoming = cpu_at(1000, 5), outgoing;
	const struct store_scan scan = scan_of(METRIC_GROUP_NIC, 0, 2000);

	incoming.group = METRIC_GROUP_NIC;
	incoming.parameter = "vnet0";
	outgoing = incoming;
	outgoing.present = 2;
	outgoing.values[1] = 6;
	append(fixture, &incoming, 1);
	append(fixture, &outgoing, 1);
	assert_string_equal(scan_text(fixture, &scan),
		"nic_incoming vnet0 e 0: 1000=5\nnic_outgoing vnet0 e 0: 1000=6\n");
	seal(fixture);
	assert_string_equal(scan_text(fixture, &scan),
		"nic_incoming vnet0 e 0: 1000=5\nnic_outgoing vnet0 e 0: 1000=6\n");
}

static void columns_and_parameter_choose_what_is_scanned(void **state)
{
	struct fixture *fixture = *state;
	struct store_scan scan = scan_of(METRIC_GROUP_NIC, 0, 3000);
	struct item item = cpu_at(1000, 5);

	item.group = METRIC_GROUP_NIC;
	item.present = 3;
	item.values[1] = 6;
	item.parameter = "vnet0";
	append(fixture, &item, 1);
	item.parameter = "vnet1";
	append(fixture, &item, 1);
	scan.columns[METRIC_GROUP_NIC] = 2;
	scan.parameter = "vnet1";
	assert_string_equal(scan_text(fixture, &scan), "nic_outgoing vnet1 e 0: 1000=6\n");
}

static void a_scan_over_its_maximum_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct store_scan scan = scan_of(METRIC_GROUP_CPU, 0, HOUR_MS);
	struct error err = { 0 };

	for (int64_t i = 0; i < 100; i++)
		append_cpu(fixture, i * 1000, i);
	scan.maximum = 50;
	for (int round = 0; round < 2; round++) {
		buffer_clear(&fixture->text);
		assert_int_equal(
			store_scan(fixture->store, &scan, print_series, &fixture->text, &err),
			STORE_TOO_MUCH);
		seal(fixture);
	}
}

static int stop_at_once(void *context, const struct store_series *series)
{
	++*(int *)context;
	return 1;
}

static void a_callback_can_stop_a_scan(void **state)
{
	struct fixture *fixture = *state;
	const struct store_scan scan = scan_of(METRIC_GROUP_CPU, 0, HOUR_MS);
	struct item items[] = { cpu_at(0, 1), cpu_at(0, 2) };
	struct error err = { 0 };
	int calls = 0;

	items[1].epoch = "another";
	append(fixture, items, 2);
	assert_int_equal(
		store_scan(fixture->store, &scan, stop_at_once, &calls, &err), STORE_STOPPED);
	assert_int_equal(calls, 1);
}

static void an_unknown_instance_has_nothing(void **state)
{
	assert_string_equal(scan_cpu(*state, 0, HOUR_MS), "");
}

struct counter_copy {
	struct sample samples[SAMPLES];
	size_t count;
};

static int copy_series(void *context, const struct store_series *series)
{
	struct counter_copy *copy = context;

	assert_in_range(series->count, 1, SAMPLES);
	memcpy(copy->samples, series->samples, series->count * sizeof(*series->samples));
	copy->count = series->count;
	return 0;
}

static void assert_usage_equal(struct counter_copy *all, struct counter_copy *thinned,
	int64_t from_ms, int64_t to_ms, int64_t step_ms)
{
	const struct usage_epoch a = { EPOCH_START_UNKNOWN, 0, all->samples, all->count };
	const struct usage_epoch b = { EPOCH_START_UNKNOWN, 0, thinned->samples, thinned->count };

	for (int64_t t = from_ms; t < to_ms; t += step_ms)
		assert_int_equal(
			usage_between(&a, BASE_MS + t, BASE_MS + MIN_OF(t + step_ms, to_ms)),
			usage_between(&b, BASE_MS + t, BASE_MS + MIN_OF(t + step_ms, to_ms)));
}

static void what_is_left_out_changes_no_usage_between_the_edges(void **state)
{
	static const int64_t steps[] = { 60000, 3600000, 86400000, 7777777 };
	static int64_t edges[5000];
	struct fixture *fixture = *state;
	struct store_scan scan = scan_of(METRIC_GROUP_CPU, HOUR_MS, 3 * TEST_DAY_MS);
	struct item items[SAMPLES];
	struct counter_copy all, thinned;
	struct error err = { 0 };
	uint32_t seed = 7;
	int64_t value = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		value = next_random(&seed) % 97 == 0 ? 3 : value + next_random(&seed) % 1000;
		items[i] = cpu_at((int64_t)i * 500 * 1000, value);
	}
	append_in_pieces(fixture, items, 100);
	for (int round = 0; round < 2; round++) {
		scan.edges_ms = NULL;
		assert_int_equal(store_scan(fixture->store, &scan, copy_series, &all, &err), 0);
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			scan.edges_ms = edges;
			scan.edge_count = 0;
			for (int64_t t = HOUR_MS; t < 3 * TEST_DAY_MS; t += steps[i])
				edges[scan.edge_count++] = BASE_MS + t;
			edges[scan.edge_count++] = BASE_MS + 3 * TEST_DAY_MS;
			assert_int_equal(
				store_scan(fixture->store, &scan, copy_series, &thinned, &err), 0);
			assert_usage_equal(&all, &thinned, HOUR_MS, 3 * TEST_DAY_MS, steps[i]);
			assert_true(steps[i] < 3600000 || thinned.count < all.count / 2);
		}
		seal(fixture);
	}
}

enum { MIDNIGHTS = 32 };

static void assert_days_equal(struct fixture *fixture)
{
	struct store_scan scan = scan_of(METRIC_GROUP_CPU, 0, MIDNIGHTS * TEST_DAY_MS);
	int64_t edges[MIDNIGHTS + 1];
	struct counter_copy all, thinned;
	struct error err = { 0 };

	for (int64_t i = 0; i <= MIDNIGHTS; i++)
		edges[i] = BASE_MS + i * TEST_DAY_MS;
	assert_int_equal(store_scan(fixture->store, &scan, copy_series, &all, &err), 0);
	scan.edges_ms = edges;
	scan.edge_count = MIDNIGHTS + 1;
	assert_int_equal(store_scan(fixture->store, &scan, copy_series, &thinned, &err), 0);
	assert_in_range(thinned.count, 2 * MIDNIGHTS, all.count / 2);
	assert_usage_equal(&all, &thinned, 0, MIDNIGHTS * TEST_DAY_MS, TEST_DAY_MS);
}

static void what_is_known_of_whole_days_is_true_however_late_they_are_changed(void **state)
{
	struct fixture *fixture = *state;
	struct item items[SAMPLES];
	uint32_t seed = 11;
	int64_t value = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		value = next_random(&seed) % 61 == 0 ? 2 : value + next_random(&seed) % 1000;
		items[i] = cpu_at((int64_t)i * 4800 * 1000 + (int64_t)i % 7, value);
	}
	shuffle(items, 3);
	append(fixture, items, SAMPLES - 60);
	for (int round = 0; round < 3; round++) {
		assert_days_equal(fixture);
		seal(fixture);
		assert_days_equal(fixture);
		if (round == 1 && fixture->is_durable)
			restart(fixture);
		append(fixture, &items[SAMPLES - 60 + round * 20], 20);
	}
	assert_days_equal(fixture);
}

/* One track says of another when it was read without it. */
static void what_is_left_out_is_not_around_the_ends_of_other_tracks(void **state)
{
	const int64_t edges[] = { BASE_MS, BASE_MS + 9000 };
	struct fixture *fixture = *state;
	struct store_scan scan = scan_of(METRIC_GROUP_BLK, 0, 9000);

	for (int64_t t = 0; t < 10; t++) {
		struct item item = { .uuid = UUID,
			.time_ms = t * 1000,
			.epoch = "e",
			.group = METRIC_GROUP_BLK,
			.parameter = "vda",
			.values = { t },
			.present = 1 };

		append(fixture, &item, 1);
		item.parameter = "vdb";
		if (t >= 4 && t <= 6)
			append(fixture, &item, 1);
	}
	scan.edges_ms = edges;
	scan.edge_count = 2;
	assert_string_equal(scan_text(fixture, &scan),
		"blk_read vda e 0: 0=0 1000=1 3000=3 4000=4 6000=6 7000=7 9000=9\n"
		"blk_read vdb e 0: 4000=4 6000=6\n");
}

static int print_numbered(void *context, size_t instance, const struct store_series *series)
{
	buffer_print(context, "%zu ", instance);
	return print_series(context, series);
}

static void a_survey_is_a_scan_of_each(void **state)
{
	static const char other[] = "11111111-93a5-4f0c-8f0e-3c1d2b4a5968";
	struct fixture *fixture = *state;
	struct store_scan scan = scan_of(METRIC_GROUP_CPU, 0, HOUR_MS);
	struct instance_key keys[] = { scan.instance, scan.instance, scan.instance };
	struct item item = cpu_at(1000, 5);
	struct error err = { 0 };

	assert_int_equal(uuid_parse(other, &keys[0].uuid), 0);
	keys[1].uuid.bytes[0] ^= 1; /* nobody */
	append(fixture, &item, 1);
	item.uuid = other;
	item.values[0] = 6;
	append(fixture, &item, 1);
	item.group = METRIC_GROUP_BLK;
	item.parameter = "vda";
	append(fixture, &item, 1);
	scan.columns[METRIC_GROUP_BLK] = 1;
	for (int round = 0; round < 2; round++) {
		buffer_clear(&fixture->text);
		assert_int_equal(store_survey(fixture->store, keys, 3, &scan, print_numbered,
					 &fixture->text, &err),
			0);
		buffer_write_u8(&fixture->text, '\0');
		assert_string_equal((const char *)fixture->text.bytes,
			"0 cpu total e 0: 1000=6\n0 blk_read vda e 0: 1000=6\n"
			"2 cpu total e 0: 1000=5\n");
		seal(fixture);
	}
}

/* Of each column, where the row next to the window lacks it, also days away. */
static void neighbours_are_found_column_by_column(void **state)
{
	struct fixture *fixture = *state;
	const struct store_scan scan = scan_of(METRIC_GROUP_NIC, 2 * TEST_DAY_MS, 3 * TEST_DAY_MS);

	for (int64_t day = 0; day < 6; day++) {
		const struct item item = { .uuid = UUID,
			.time_ms = day * TEST_DAY_MS + HOUR_MS,
			.epoch = "e",
			.group = METRIC_GROUP_NIC,
			.parameter = "vnet0",
			.values = { day, 10 * day },
			.present = day == 0 || day == 5 ? 3 : 1 };

		append(fixture, &item, 1);
	}
	for (int round = 0; round < 3; round++) {
		assert_string_equal(scan_text(fixture, &scan),
			"nic_incoming vnet0 e 0: 90000000=1 176400000=2 262800000=3\n"
			"nic_outgoing vnet0 e 0: 3600000=0 435600000=50\n");
		seal(fixture);
		if (fixture->is_durable && round)
			restart(fixture);
	}
}

static void commit_source(struct fixture *fixture, const struct store_source *source)
{
	const struct store_commit commit = {
		.sources = source, .source_count = 1, .now_ms = BASE_MS
	};
	struct store_tally tally;
	struct error err = { 0 };

	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
}

static int print_source(void *context, const struct store_source *source)
{
	buffer_print(context, "%s %s '%s' %" PRIu64 " %" PRId64 " %" PRId64 "\n", source->worker,
		source->spool, source->host, source->sequence, source->first_ms, source->until_ms);
	return 0;
}

static const char *sources_text(struct fixture *fixture, const char *host, const char *worker)
{
	struct error err = { 0 };

	buffer_clear(&fixture->text);
	assert_int_equal(
		store_sources(fixture->store, host, worker, print_source, &fixture->text, &err), 0);
	buffer_write_u8(&fixture->text, 0);
	return (const char *)fixture->text.bytes;
}

static void what_is_known_of_a_spool_only_moves_forward(void **state)
{
	static const struct store_source sources[] = {
		{ "w1", "a", "", 5, 0, 0, 9 },
		{ "w1", "b", "h1", 7, 700, 800, 9 },
		{ "w1", "a", "h1", 6, 300, 600, 9 },
		{ "w1", "a", "", 6, 200, 0, 9 },
		{ "w1", "a", "", 4, 400, 900, 9 },
		{ "w1", "b", "", 8, 0, 750, 8 }, /* its clock stepped back */
		{ "w2", "a", "h2", 1, 100, 100, 9 },
	};
	struct fixture *fixture = *state;

	assert_string_equal(sources_text(fixture, NULL, NULL), "");
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		commit_source(fixture, &sources[i]);
	for (int round = 0; round < 2; round++) {
		assert_string_equal(sources_text(fixture, NULL, "w1"),
			"w1 a 'h1' 6 200 600\nw1 b 'h1' 8 700 750\n");
		assert_string_equal(sources_text(fixture, "h2", NULL), "w2 a 'h2' 1 100 100\n");
		assert_string_equal(sources_text(fixture, "h1", "w2"), "");
		if (fixture->is_durable)
			restart(fixture);
	}
}

static void put(struct fixture *fixture, const char *kind, const char *key, const char *value)
{
	const struct store_record record = { kind, key, value, strlen(value) };
	const struct store_commit commit = {
		.records = &record, .record_count = 1, .now_ms = BASE_MS
	};
	struct store_tally tally;
	struct error err = { 0 };

	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
}

static int print_record(void *context, const struct store_record *record)
{
	buffer_print(context, "%s=%.*s\n", record->key, (int)record->size,
		record->size ? (const char *)record->value : "");
	return 0;
}

static const char *records_text(struct fixture *fixture, const char *kind, const char *prefix)
{
	struct error err = { 0 };

	buffer_clear(&fixture->text);
	assert_int_equal(
		store_records(fixture->store, kind, prefix, print_record, &fixture->text, &err), 0);
	buffer_write_u8(&fixture->text, 0);
	return (const char *)fixture->text.bytes;
}

static void records_are_found_by_kind_and_prefix_in_order(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "fruit", "b/2", "two");
	put(fixture, "fruit", "b/1", "one");
	put(fixture, "fruit", "a", "");
	put(fixture, "fruit", "c", "three");
	put(fixture, "stone", "b/1", "other");
	put(fixture, "fruit", "b/1", "uno");
	for (int round = 0; round < 2; round++) {
		assert_string_equal(records_text(fixture, "fruit", "b/"), "b/1=uno\nb/2=two\n");
		assert_string_equal(
			records_text(fixture, "fruit", ""), "a=\nb/1=uno\nb/2=two\nc=three\n");
		assert_string_equal(records_text(fixture, "fruit", "d"), "");
		if (fixture->is_durable)
			restart(fixture);
	}
}

static int know_no_record(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	return 0;
}

/* It read the horizon before the other one moved it, and writes its own after that. */
static void a_server_that_is_late_does_not_take_the_horizon_back(void **state)
{
	struct fixture *fixture = *state;
	const struct store_ops *ops = fixture->store->ops;
	struct store_ops late = *ops;
	struct error err = { 0 };
	int64_t horizon_ms;

	assert_int_equal(horizon_advance(fixture->store, BASE_MS, BASE_MS, &err), 0);
	late.records = know_no_record;
	fixture->store->ops = &late;
	assert_int_equal(horizon_advance(fixture->store, BASE_MS - 1, BASE_MS, &err), 0);
	fixture->store->ops = ops;
	assert_int_equal(horizon_read(fixture->store, &horizon_ms, &err), 0);
	assert_int_equal(horizon_ms, BASE_MS);
}

static void the_horizon_only_moves_forward(void **state)
{
	struct fixture *fixture = *state;
	struct error err = { 0 };
	int64_t horizon_ms = 0;

	assert_int_equal(horizon_read(fixture->store, &horizon_ms, &err), 0);
	assert_true(horizon_ms == INT64_MIN);
	assert_int_equal(horizon_advance(fixture->store, BASE_MS, BASE_MS, &err), 0);
	assert_int_equal(horizon_advance(fixture->store, BASE_MS - 1, BASE_MS, &err), 0);
	if (fixture->is_durable)
		restart(fixture);
	assert_int_equal(horizon_read(fixture->store, &horizon_ms, &err), 0);
	assert_int_equal(horizon_ms, BASE_MS);
}

static void the_gaps_of_a_batch_are_kept_once(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(batch_free) struct batch *batch = NULL;
	const struct batch *const batches[] = { NULL, NULL };
	struct store_commit commit = { .batches = batches, .batch_count = 2, .now_ms = BASE_MS };
	struct store_tally tally;
	struct error err = { 0 };
	struct gap came;

	assert_int_equal(batch_new(&batch), 0);
	batch->host = "h1";
	*batch_add_gap(batch) =
		(struct gap){ .from_ms = BASE_MS, .to_ms = BASE_MS + 5000, .reason = "libvirt" };
	commit.batches = (const struct batch *const[]){ batch, batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
	assert_string_equal(records_text(fixture, GAP_KIND, "h1\x1f"), "h1\x1f"
								       "1700006400000\x1f"
								       "1700006405000\x1f\x1f"
								       "libvirt=\n");
	assert_int_equal(gap_of_key("h1\x1f"
				    "1700006400000\x1f"
				    "1700006405000\x1f\x1flibvirt",
				 &came),
		0);
	assert_false(came.has_instance);
	assert_int_equal(came.to_ms, BASE_MS + 5000);
	assert_string_equal(came.reason, "libvirt");
	assert_true(gap_of_key("h1\x1f"
			       "17x\x1f"
			       "5\x1f\x1f",
			    &came) < 0);
	assert_true(gap_of_key("h1", &came) < 0);
}

static void append_started(struct fixture *fixture, int64_t time_ms, int64_t start_ms)
{
	const struct item item = cpu_at(time_ms, time_ms);
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = BASE_MS };
	struct store_tally tally;
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	add_item(batch, &item);
	batch->readings[0].start_ms = start_ms;
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
}

static int take_start(void *context, const struct store_series *series)
{
	*(int64_t *)context = series->start_ms;
	return 0;
}

static int64_t start_of_cpu(struct fixture *fixture)
{
	const struct store_scan scan = scan_of(METRIC_GROUP_CPU, 0, TEST_DAY_MS);
	struct error err = { 0 };
	int64_t start_ms = 1;

	assert_int_equal(store_scan(fixture->store, &scan, take_start, &start_ms, &err), 0);
	return start_ms;
}

static void a_start_is_that_of_the_earliest_reading_in_any_order(void **state)
{
	struct fixture *fixture = *state;

	append_started(fixture, 5000, BASE_MS + 1);
	assert_int_equal(start_of_cpu(fixture), BASE_MS + 1);
	append_started(fixture, 6000, BASE_MS - 9);
	assert_int_equal(start_of_cpu(fixture), BASE_MS + 1);
	append_started(fixture, 4000, EPOCH_START_UNKNOWN);
	assert_true(start_of_cpu(fixture) == EPOCH_START_UNKNOWN);
	append_started(fixture, 4000, BASE_MS + 7);
	append_started(fixture, 4000, BASE_MS + 8);
	append_started(fixture, 4000, EPOCH_START_UNKNOWN);
	assert_int_equal(start_of_cpu(fixture), BASE_MS + 7);
	if (!fixture->is_durable)
		return;
	restart(fixture);
	append_started(fixture, 4500, BASE_MS - 9);
	assert_int_equal(start_of_cpu(fixture), BASE_MS + 7);
	seal(fixture);
	restart(fixture);
	assert_int_equal(start_of_cpu(fixture), BASE_MS + 7);
}

static void append_info(struct fixture *fixture, int64_t since_ms, const char *flavor)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = BASE_MS };
	struct instance_info *info;
	struct store_tally tally;
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	info = batch_add_info(batch);
	assert_int_equal(uuid_parse(UUID, &info->uuid), 0);
	info->since_ms = BASE_MS + since_ms;
	info->flavor_name = flavor;
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
}

static int print_flavors(void *context, const struct store_instance *instance)
{
	for (size_t i = 0; i < instance->info_count; i++)
		buffer_print(context, "%" PRId64 "=%s ", instance->infos[i].since_ms - BASE_MS,
			instance->infos[i].flavor_name);
	return 0;
}

static void infos_are_listed_by_time_in_any_order(void **state)
{
	const struct store_filter filter = { 0 };
	struct fixture *fixture = *state;
	struct error err = { 0 };

	append_info(fixture, 100, "small");
	append_info(fixture, 300, "small");
	append_info(fixture, 200, "large");
	append_info(fixture, 100, "small");
	append_info(fixture, 50, "tiny");
	for (int round = 0; round < 3; round++) {
		buffer_clear(&fixture->text);
		assert_int_equal(store_instances(fixture->store, &filter, print_flavors,
					 &fixture->text, &err),
			0);
		buffer_write_u8(&fixture->text, 0);
		assert_string_equal((const char *)fixture->text.bytes,
			"50=tiny 100=small 200=large 300=small ");
		if (fixture->is_durable)
			restart(fixture);
		append_info(fixture, 200, "large");
	}
}

/* All texts as long, and all lists as many, as an info can have. */
struct large_info {
	char text[INSTANCE_TEXT_MAX + 1];
	const char *addresses[INSTANCE_ADDRESSES_MAX];
	struct instance_port ports[INSTANCE_PORTS_MAX];
	struct instance_info info;
};

static void make_large(struct large_info *large)
{
	memset(large, 0, sizeof(*large));
	memset(large->text, 'x', INSTANCE_TEXT_MAX);
	for (size_t i = 0; i < INSTANCE_ADDRESSES_MAX; i++)
		large->addresses[i] = large->text;
	for (size_t i = 0; i < INSTANCE_PORTS_MAX; i++)
		large->ports[i] = (struct instance_port){ large->text, large->text, large->text,
			large->addresses, INSTANCE_ADDRESSES_MAX };
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(&large->info, i) = large->text;
	large->info.vcpus = large->info.memory_mib = large->info.disk_gib = INT32_MAX;
	large->info.ports = large->ports;
	large->info.port_count = INSTANCE_PORTS_MAX;
	assert_int_equal(uuid_parse(UUID, &large->info.uuid), 0);
}

/* As many as make more than one answer of any backend has room for. */
enum { LARGE_INFOS = 64 };

static void append_large(struct fixture *fixture, const struct instance_info *info, int64_t since)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = BASE_MS };
	struct store_tally tally;
	struct error err = { 0 };
	struct instance_info *added;

	assert_int_equal(batch_new(&batch), 0);
	added = batch_add_info(batch);
	*added = *info;
	added->since_ms = BASE_MS + since;
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
}

struct large_search {
	const struct instance_info *info;
	size_t instances, found;
};

static int find_large(void *context, const struct store_instance *instance)
{
	struct large_search *search = context;

	search->instances++;
	search->found +=
		instance->info_count && instance_info_equal(&instance->infos[0], search->info);
	return 0;
}

static void the_largest_infos_are_listed_and_hide_nobody(void **state)
{
	const struct store_filter filter = { 0 };
	struct fixture *fixture = *state;
	struct item other = cpu_at(1000, 1);
	struct error err = { 0 };
	struct large_info large;

	make_large(&large);
	other.uuid = "11111111-93a5-4f0c-8f0e-3c1d2b4a5968";
	append(fixture, &other, 1);
	for (int64_t i = 0; i < LARGE_INFOS; i++)
		append_large(fixture, &large.info, i);
	for (int round = 0; round < 2; round++) {
		struct large_search search = { .info = &large.info };

		assert_int_equal(
			store_instances(fixture->store, &filter, find_large, &search, &err), 0);
		assert_int_equal(search.instances, 2);
		assert_int_equal(search.found, 1);
		if (fixture->is_durable)
			restart(fixture);
	}
}

/* What an old worker's message has room for: tuples of 20 bytes, each a reading, and at most 4096
 * of a name. */
enum { NAME_READINGS = 4096, MESSAGE_READINGS = 1024 * 1024 / 20, LATE_DAYS = 20 };

static void add_late_readings(struct batch *batch)
{
	for (int64_t i = 0; i < MESSAGE_READINGS; i++) {
		struct item item = cpu_at(i % LATE_DAYS * TEST_DAY_MS + i, 5);
		char name[16];

		snprintf(name, sizeof(name), "i%d", (int)(i / NAME_READINGS));
		item.uuid = NULL;
		item.name = name;
		item.epoch = "";
		add_item(batch, &item);
	}
}

static void a_message_of_nothing_but_late_readings_is_stored(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1,
		.now_ms = BASE_MS + 2 * LATE_DAYS * TEST_DAY_MS };
	struct store_tally tally = { 0 };
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	add_late_readings(batch);
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
	assert_int_equal(tally.stored, MESSAGE_READINGS);
}

static int print_latest(void *context, const struct store_latest *latest)
{
	buffer_print(context, "last %" PRId64 "\n", latest->instance.last_ms - BASE_MS);
	for (size_t i = 0; i < latest->count; i++)
		print_series(context, &latest->series[i]);
	return 0;
}

static const char *latest_text(struct fixture *fixture, int64_t from_ms, size_t count)
{
	const struct store_recent recent = { .from_ms = BASE_MS + from_ms,
		.columns = { [METRIC_GROUP_CPU] = 1, [METRIC_GROUP_NIC] = 2 },
		.count = count,
		.maximum = 100 };
	struct error err = { 0 };

	buffer_clear(&fixture->text);
	assert_int_equal(
		store_latest(fixture->store, &recent, print_latest, &fixture->text, &err), 0);
	buffer_write_u8(&fixture->text, '\0');
	return (const char *)fixture->text.bytes;
}

static void the_latest_samples_are_those_of_each_series(void **state)
{
	struct fixture *fixture = *state;
	struct item nic = { .uuid = UUID,
		.time_ms = 2000,
		.epoch = "e",
		.group = METRIC_GROUP_NIC,
		.parameter = "a",
		.values = { 7, 8 },
		.present = 3 };
	const struct store_recent recent = {
		.columns = { 1 }, .count = RECENT_COUNT_MAX, .maximum = 3
	};
	struct error err = { 0 };

	assert_string_equal(latest_text(fixture, 0, 2), "");
	for (int64_t i = 4; i > 0; i--)
		append_cpu(fixture, i * 1000, i);
	append(fixture, &nic, 1);
	nic.time_ms = 4500;
	nic.present = 1;
	append(fixture, &nic, 1);
	for (int round = 0; round < 2; round++) {
		assert_string_equal(latest_text(fixture, 0, 2),
			"last 4500\ncpu total e 0: 3000=3 4000=4\nnic_outgoing a e 0: 2000=8\n");
		assert_string_equal(
			latest_text(fixture, 4000, 2), "last 4500\ncpu total e 0: 4000=4\n");
		assert_string_equal(latest_text(fixture, 4500, 2), "last 4500\n");
		assert_string_equal(latest_text(fixture, 4501, 2), "");
		if (fixture->is_durable)
			restart(fixture);
	}
	assert_int_equal(store_latest(fixture->store, &recent, print_latest, &fixture->text, &err),
		STORE_TOO_MUCH);
	seal(fixture);
	assert_string_equal(latest_text(fixture, 0, 1),
		fixture->backend == MEMORY ? "last 4500\ncpu total e 0: 4000=4\n"
					     "nic_outgoing a e 0: 2000=8\n"
					   : "last 4500\n");
}

/* Where they are read from a disk, nobody's question makes the server read much of it. */
static void the_latest_samples_are_of_the_last_hours(void **state)
{
	struct fixture *fixture = *state;
	struct item old = cpu_at(HOUR_MS, 1);

	old.uuid = "00000000-0000-4000-8000-000000000001";
	append(fixture, &old, 1);
	append_cpu(fixture, HOUR_MS, 1);
	append_cpu(fixture, 9 * HOUR_MS, 9);
	append_cpu(fixture, 10 * HOUR_MS, 10);
	maintain(fixture, BASE_MS + 10 * HOUR_MS, INT64_MIN);
	assert_string_equal(latest_text(fixture, 0, 4),
		"last 3600000\nlast 36000000\ncpu total e 0: 32400000=9 36000000=10\n");
	assert_string_equal(latest_text(fixture, 2 * HOUR_MS, 1),
		"last 36000000\ncpu total e 0: 36000000=10\n");
}

static void the_latest_samples_are_not_sought_among_too_many(void **state)
{
	struct fixture *fixture = *state;
	const struct store_recent recent = { .from_ms = BASE_MS,
		.columns = { [METRIC_GROUP_CPU] = 1 },
		.count = 1,
		.maximum = SAMPLES / RECENT_STORED_FACTOR - 1 };
	struct item items[SAMPLES];
	struct error err = { 0 };

	for (int64_t i = 0; i < SAMPLES; i++)
		items[i] = cpu_at(i * 1000, i);
	append(fixture, items, SAMPLES);
	assert_int_equal(store_latest(fixture->store, &recent, print_latest, &fixture->text, &err),
		STORE_TOO_MUCH);
	assert_non_null(strstr(err.text, "stored samples"));
	assert_string_equal(latest_text(fixture, (SAMPLES - 100) * 1000, 1),
		"last 599000\ncpu total e 0: 599000=599\n");
}

static int print_instance(void *context, const struct store_instance *instance)
{
	char text[UUID_TEXT_SIZE];

	buffer_print(context, "%s %" PRId64 " %" PRId64 " %" PRIx32 "\n",
		instance_key_text(&instance->key, text), instance->first_ms - BASE_MS,
		instance->last_ms - BASE_MS, instance->groups);
	return 0;
}

static const char *instances_text(struct fixture *fixture, const struct store_filter *filter)
{
	struct error err = { 0 };

	buffer_clear(&fixture->text);
	assert_int_equal(
		store_instances(fixture->store, filter, print_instance, &fixture->text, &err), 0);
	buffer_write_u8(&fixture->text, '\0');
	return (const char *)fixture->text.bytes;
}

static void instances_are_listed_as_they_appeared_and_by_name(void **state)
{
	struct fixture *fixture = *state;
	struct store_filter filter = { 0 };
	struct item old = cpu_at(3000, 1);

	append_cpu(fixture, 2000, 1);
	append_cpu(fixture, 1000, 0);
	old.uuid = NULL;
	old.name = "instance-00000001@host";
	old.group = METRIC_GROUP_NIC;
	append(fixture, &old, 1);
	assert_string_equal(instances_text(fixture, &filter),
		"6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968 1000 2000 1\n"
		"instance-00000001@host 3000 3000 4\n");
	filter.name = "instance-00000001";
	assert_string_equal(
		instances_text(fixture, &filter), "instance-00000001@host 3000 3000 4\n");
	filter.name = "instance-00000001@host";
	assert_string_equal(
		instances_text(fixture, &filter), "instance-00000001@host 3000 3000 4\n");
	filter = (struct store_filter){ .groups = 1u << METRIC_GROUP_CPU };
	assert_string_equal(instances_text(fixture, &filter),
		"6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968 1000 2000 1\n");
}

enum { NEIGHBOURS = 64 };

/* A host's message of one instance. */
static void append_message(struct fixture *fixture, const char *uuid, int64_t time_ms)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = BASE_MS };
	struct item item = cpu_at(time_ms, 1);
	struct store_tally tally = { 0 };
	struct error err = { 0 };

	item.uuid = uuid;
	assert_int_equal(batch_new(&batch), 0);
	batch->host = batch_text(batch, "host");
	add_item(batch, &item);
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &tally, &err), 0);
}

static int count_read_last(void *context, const struct store_instance *instance)
{
	size_t *counts = context;

	counts[instance->last_ms == BASE_MS + 1000 && instance->first_ms == BASE_MS + 1000]++;
	return 0;
}

/* However many messages have them, and whatever is stored beside them. */
static void all_that_were_read_at_one_time_are_listed_so(void **state)
{
	struct fixture *fixture = *state;
	const struct store_filter everyone = { 0 };
	size_t counts[2] = { 0, 0 };
	struct error err = { 0 };
	char uuid[37];

	for (int i = 0; i < NEIGHBOURS; i++) {
		snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012x", i);
		append_message(fixture, uuid, 1000);
	}
	assert_int_equal(
		store_instances(fixture->store, &everyone, count_read_last, counts, &err), 0);
	assert_int_equal(counts[true], NEIGHBOURS);
	assert_int_equal(counts[false], 0);
}

static void sealing_changes_no_answer(void **state)
{
	struct fixture *fixture = *state;
	struct item items[SAMPLES];
	char *before, *after_late;

	make_items(items);
	shuffle(items, 5);
	append(fixture, items, SAMPLES / 2);
	before = dump(fixture);
	seal(fixture);
	assert_dump(fixture, before);
	/* Readings of days that are sealed already. */
	append(fixture, &items[SAMPLES / 2], SAMPLES / 2);
	after_late = dump(fixture);
	assert_string_not_equal(after_late, before);
	seal(fixture);
	assert_dump(fixture, after_late);
	append_in_pieces(fixture, items, 200);
	seal(fixture);
	assert_dump(fixture, after_late);
	free(before);
	free(after_late);
}

static void what_is_too_old_is_deleted_and_nothing_else(void **state)
{
	struct fixture *fixture = *state;

	for (int64_t i = 0; i < 10; i++)
		append_cpu(fixture, i * TEST_DAY_MS + HOUR_MS, i);
	maintain(fixture, BASE_MS + 10 * TEST_DAY_MS, BASE_MS + 7 * TEST_DAY_MS);
	maintain(fixture, BASE_MS + 10 * TEST_DAY_MS, BASE_MS + 7 * TEST_DAY_MS);
	assert_string_equal(scan_cpu(fixture, 0, 20 * TEST_DAY_MS),
		"cpu total e 0: 608400000=7 694800000=8 781200000=9\n");
	if (fixture->is_durable)
		restart(fixture);
	assert_string_equal(scan_cpu(fixture, 0, 20 * TEST_DAY_MS),
		"cpu total e 0: 608400000=7 694800000=8 781200000=9\n");
}

static void a_restart_loses_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct store_filter everyone = { 0 };
	struct item items[SAMPLES];
	char *before, *listed;

	make_items(items);
	append_in_pieces(fixture, items, 100);
	commit_source(fixture, &(struct store_source){ "w", "a", "h", 5, 100, 200, 300 });
	before = dump(fixture);
	listed = strdup(instances_text(fixture, &everyone));
	for (int round = 0; round < 3; round++) {
		restart(fixture);
		assert_dump(fixture, before);
		assert_string_equal(instances_text(fixture, &everyone), listed);
		assert_string_equal(sources_text(fixture, NULL, NULL), "w a 'h' 5 100 200\n");
		seal(fixture);
	}
	append_in_pieces(fixture, items, 100);
	assert_dump(fixture, before);
	free(before);
	free(listed);
}

static void a_row_that_later_commits_complete_outlives_the_first_ones_sealing(void **state)
{
	struct fixture *fixture = *state;
	const struct store_scan scan = scan_of(METRIC_GROUP_NIC, 0, 2000);
	struct item item = cpu_at(1000, 9);

	item.group = METRIC_GROUP_NIC;
	item.parameter = "vnet0";
	append_at(fixture, BASE_MS, &item, 1);
	item.present = 3;
	item.values[0] = 8; /* not the larger one */
	item.values[1] = 6;
	append_at(fixture, BASE_MS + HOUR_MS, &item, 1);
	maintain(fixture, BASE_MS + HOUR_MS / 2, INT64_MIN);
	restart(fixture);
	assert_string_equal(scan_text(fixture, &scan),
		"nic_incoming vnet0 e 0: 1000=9\nnic_outgoing vnet0 e 0: 1000=6\n");
	seal(fixture);
	restart(fixture);
	assert_string_equal(scan_text(fixture, &scan),
		"nic_incoming vnet0 e 0: 1000=9\nnic_outgoing vnet0 e 0: 1000=6\n");
}

/* What came late is sealed, or not yet, while what is farther away is not, or is. */
static void the_nearest_neighbours_are_found_wherever_they_are(void **state)
{
	static const struct {
		int64_t time_ms;
		bool is_sealed;
	} times[] = { { -3 * TEST_DAY_MS, false }, { -2 * TEST_DAY_MS, true }, { 0, true },
		{ 2 * TEST_DAY_MS, true }, { 3 * TEST_DAY_MS, false } };
	struct fixture *fixture = *state;
	const struct store_scan scan = scan_of(METRIC_GROUP_CPU, -1000, 1000);

	for (int late = 0; late < 2; late++) {
		for (size_t i = 0; i < ARRAY_SIZE(times); i++)
			if (times[i].is_sealed != late)
				append_cpu(fixture, times[i].time_ms + late, late);
		seal(fixture);
		for (size_t i = 0; i < ARRAY_SIZE(times); i++)
			if (times[i].is_sealed == late)
				append_cpu(fixture, times[i].time_ms + late, late);
		assert_string_equal(scan_text(fixture, &scan),
			late ? "cpu total e 0: -172799999=1 0=0 1=1 172800000=0\n"
			     : "cpu total e 0: -172800000=0 0=0 172800000=0\n");
	}
}

/* Two servers: the other one's clock says that the day is not over. It was started before a day was
 * summarized. */
static void what_a_server_whose_clock_is_late_adds_to_a_day_is_known(void **state)
{
	struct fixture *fixture = *state, late = *fixture;
	const int64_t edges[] = { BASE_MS, BASE_MS + TEST_DAY_MS };
	struct store_scan scan = scan_of(METRIC_GROUP_CPU, 0, TEST_DAY_MS);
	struct item item;

	scan.edges_ms = edges;
	scan.edge_count = ARRAY_SIZE(edges);
	open_store(&late);
	for (int64_t hour = 0; hour < 24; hour++) {
		item = cpu_at(hour * HOUR_MS, hour);
		append_at(fixture, BASE_MS + hour * HOUR_MS, &item, 1);
	}
	maintain(fixture, BASE_MS + TEST_DAY_MS + 3 * HOUR_MS, INT64_MIN);
	assert_null(strstr(scan_text(fixture, &scan), " 43200000=12 ")); /* it is a summary */
	maintain(&late, BASE_MS + 20 * HOUR_MS, INT64_MIN);
	item = cpu_at(TEST_DAY_MS - 1000, 24);
	append_at(&late, BASE_MS + 20 * HOUR_MS, &item, 1);
	store_free(late.store);
	assert_non_null(strstr(scan_text(fixture, &scan), " 86399000=24\n"));
}

static void a_second_owner_of_the_files_is_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct sqlite_store_options options = { fixture->directory, 1000 };
	struct store *second = NULL;
	struct error err = { 0 };

	assert_true(sqlite_store_new(&options, &second, &err) != 0);
	assert_null(second);
}

#define ON(backend, test)                                                                          \
	{                                                                                          \
#backend ": " #test, test, set_up_##backend, tear_down, NULL                       \
	}
#define ON_DURABLE(test) ON(sqlite, test), ON(cassandra, test)
#define ON_ALL(test)     ON(memory, test), ON_DURABLE(test)

/* Without an argument: the backends that need nothing else. With one: Cassandra, at that host. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(appending_twice_stores_once),
		ON_ALL(any_order_of_arrival_gives_the_same),
		ON_ALL(of_two_values_the_larger_stays),
		ON_ALL(a_scan_gives_one_sample_beyond_each_edge),
		ON_ALL(groups_of_one_reading_complete_each_other),
		ON_ALL(columns_and_parameter_choose_what_is_scanned),
		ON_ALL(a_scan_over_its_maximum_is_refused),
		ON_ALL(a_callback_can_stop_a_scan),
		ON_ALL(an_unknown_instance_has_nothing),
		ON_ALL(what_is_left_out_changes_no_usage_between_the_edges),
		ON_ALL(what_is_known_of_whole_days_is_true_however_late_they_are_changed),
		ON_ALL(what_is_left_out_is_not_around_the_ends_of_other_tracks),
		ON_ALL(a_survey_is_a_scan_of_each),
		ON_ALL(neighbours_are_found_column_by_column),
		ON_ALL(what_is_known_of_a_spool_only_moves_forward),
		ON_ALL(records_are_found_by_kind_and_prefix_in_order),
		ON_ALL(the_horizon_only_moves_forward),
		ON_ALL(a_server_that_is_late_does_not_take_the_horizon_back),
		ON_ALL(the_gaps_of_a_batch_are_kept_once),
		ON_ALL(a_start_is_that_of_the_earliest_reading_in_any_order),
		ON_ALL(infos_are_listed_by_time_in_any_order),
		ON_ALL(the_largest_infos_are_listed_and_hide_nobody),
		ON_ALL(a_message_of_nothing_but_late_readings_is_stored),
		ON_ALL(the_latest_samples_are_those_of_each_series),
		ON(cassandra, the_latest_samples_are_of_the_last_hours),
		ON(cassandra, the_latest_samples_are_not_sought_among_too_many),
		ON_ALL(instances_are_listed_as_they_appeared_and_by_name),
		ON_ALL(all_that_were_read_at_one_time_are_listed_so),
		ON_ALL(sealing_changes_no_answer),
		ON_ALL(what_is_too_old_is_deleted_and_nothing_else),
		ON_DURABLE(a_restart_loses_nothing),
		ON_DURABLE(a_row_that_later_commits_complete_outlives_the_first_ones_sealing),
		ON_DURABLE(the_nearest_neighbours_are_found_wherever_they_are),
		ON(cassandra, what_a_server_whose_clock_is_late_adds_to_a_day_is_known),
		ON(sqlite, a_second_owner_of_the_files_is_refused),
	};

	if (argc > 1) {
		cassandra_hosts = argv[1];
		cmocka_set_test_filter("cassandra: *");
	} else {
		cmocka_set_skip_filter("cassandra: *");
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
