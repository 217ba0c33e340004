/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What a store that reads ahead answers is what the store behind it answers; and it asks that one
 * seldom. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "store/ahead/ahead.h"
#include "store/store.h"

enum { INSTANCES = 40, SAMPLES = 30 };

static const int64_t BASE_MS = INT64_C(1700006400000);

/* A store that counts what it is asked, and asks another one. */
struct counting {
	struct store store;
	struct store *behind;
	size_t scans, surveys, listings, sources, records;
};

static struct counting *of(struct store *store)
{
	return (struct counting *)store;
}

static int count_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	of(store)->listings++;
	return store_instances(of(store)->behind, filter, each, context, err);
}

static int count_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	of(store)->scans++;
	return store_scan(of(store)->behind, scan, each, context, err);
}

static int count_survey(struct store *store, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err)
{
	of(store)->surveys++;
	return store_survey(of(store)->behind, instances, count, scan, each, context, err);
}

static int count_sources(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	of(store)->sources++;
	return store_sources(of(store)->behind, host, worker, each, context, err);
}

static int count_records(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	of(store)->records++;
	return store_records(of(store)->behind, kind, prefix, each, context, err);
}

static const struct store_ops counting_ops = { .name = "counting",
	.instances = count_instances,
	.scan = count_scan,
	.survey = count_survey,
	.sources = count_sources,
	.records = count_records };

struct scene {
	struct counting counting;
	struct store *memory, *ahead;
	struct uuid uuids[INSTANCES];
	struct buffer expected, found;
};

static void add_reading(struct batch *batch, size_t number, int64_t i)
{
	static const enum metric_group groups[] = { METRIC_GROUP_CPU, METRIC_GROUP_NIC,
		METRIC_GROUP_STATE };
	struct reading *reading = batch_add_reading(batch);

	assert_non_null(reading);
	reading->instance.has_uuid = true;
	reading->instance.uuid.bytes[0] = (uint8_t)number;
	reading->time_ms = BASE_MS + i * 60000;
	reading->epoch = "h/1";
	for (size_t group = 0; group < ARRAY_SIZE(groups); group++) {
		struct tuple *tuple = batch_add_tuple(batch, reading);

		assert_non_null(tuple);
		tuple->group = groups[group];
		tuple->parameter = groups[group] == METRIC_GROUP_NIC ? "vnet0" : "total";
		tuple->life = "";
		tuple_set(tuple, 0,
			groups[group] == METRIC_GROUP_STATE ? i / 10 : i * (int64_t)(number + 1));
	}
}

static void add_info(struct batch *batch, size_t number)
{
	struct instance_info *info = batch_add_info(batch);
	char text[32];

	assert_non_null(info);
	info->uuid.bytes[0] = (uint8_t)number;
	info->since_ms = BASE_MS;
	snprintf(text, sizeof(text), "instance-%zu", number % 30); /* some names are of two */
	info->name = batch_text(batch, text);
	snprintf(text, sizeof(text), "vm@%zu", number);
	info->display_name = batch_text(batch, text);
	info->host = batch_text(batch, number < 30 ? "h" : "g");
}

static void add_old(struct batch *batch, const char *name)
{
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple;

	assert_non_null(reading);
	reading->instance.name = batch_text(batch, name);
	reading->time_ms = BASE_MS;
	reading->epoch = "";
	tuple = batch_add_tuple(batch, reading);
	assert_non_null(tuple);
	tuple->parameter = "total";
	tuple->life = "";
	tuple_set(tuple, 0, 1);
}

static void fill(struct scene *scene)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	const struct store_source source = { "w", "s", "h", 1, BASE_MS, BASE_MS, BASE_MS };
	const struct store_record records[] = { { "gap", "h/1", "one", 3 },
		{ "gap", "h/2", "two", 3 }, { "gap", "g/1", "", 0 } };
	const struct batch *batches[1];
	const struct store_commit commit = { .batches = batches,
		.batch_count = 1,
		.sources = &source,
		.source_count = 1,
		.records = records,
		.record_count = ARRAY_SIZE(records) };
	struct store_tally ignored;
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	for (size_t number = 0; number < INSTANCES; number++) {
		for (int64_t i = 0; i < SAMPLES; i++)
			add_reading(batch, number, i);
		add_info(batch, number);
	}
	add_old(batch, "instance-7");
	add_old(batch, "instance-8@h");
	batches[0] = batch;
	assert_int_equal(store_append(scene->memory, &commit, &ignored, &err), 0);
}

static int set_up(void **state)
{
	static struct scene scene;

	scene = (struct scene){ .counting = { .store = { &counting_ops } } };
	assert_int_equal(memory_store_new(&scene.memory), 0);
	scene.counting.behind = scene.memory;
	for (size_t i = 0; i < INSTANCES; i++)
		scene.uuids[i].bytes[0] = (uint8_t)i;
	assert_int_equal(
		ahead_store_new(&scene.counting.store, scene.uuids, INSTANCES, &scene.ahead), 0);
	buffer_init(&scene.expected, 1024 * 1024);
	buffer_init(&scene.found, 1024 * 1024);
	fill(&scene);
	*state = &scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	store_free(scene->ahead);
	store_free(scene->memory);
	buffer_deinit(&scene->expected);
	buffer_deinit(&scene->found);
	return 0;
}

static int print_series(void *context, const struct store_series *series)
{
	buffer_print(context, "%s %s %s:", series->metric->name, series->parameter, series->epoch);
	for (size_t i = 0; i < series->count; i++)
		buffer_print(context, " %" PRId64 "=%" PRId64, series->samples[i].time_ms - BASE_MS,
			series->samples[i].value);
	buffer_print(context, "\n");
	return 0;
}

static int print_instance(void *context, const struct store_instance *instance)
{
	char text[UUID_TEXT_SIZE];

	buffer_print(
		context, "%s %zu", instance_key_text(&instance->key, text), instance->info_count);
	for (size_t i = 0; i < instance->info_count; i++)
		buffer_print(context, " %s@%s", instance->infos[i].name, instance->infos[i].host);
	buffer_print(context, "\n");
	return 0;
}

static int print_record(void *context, const struct store_record *record)
{
	buffer_print(context, "%s %s %.*s\n", record->kind, record->key, (int)record->size,
		(const char *)record->value);
	return 0;
}

static int print_source(void *context, const struct store_source *source)
{
	buffer_print(context, "%s %s %s\n", source->worker, source->spool, source->host);
	return 0;
}

static void assert_same(struct scene *scene)
{
	assert_int_equal(buffer_check(&scene->expected), 0);
	assert_int_equal(scene->expected.size, scene->found.size);
	if (scene->found.size)
		assert_memory_equal(scene->expected.bytes, scene->found.bytes, scene->found.size);
	buffer_clear(&scene->expected);
	buffer_clear(&scene->found);
}

static void scan_both(struct scene *scene, const struct store_scan *scan)
{
	struct error err = { 0 };

	assert_int_equal(store_scan(scene->memory, scan, print_series, &scene->expected, &err), 0);
	assert_int_equal(store_scan(scene->ahead, scan, print_series, &scene->found, &err), 0);
	assert_same(scene);
}

static struct store_scan scan_of(
	const struct scene *scene, size_t number, enum metric_group group, const int64_t *edges)
{
	struct store_scan scan = { .instance = { .has_uuid = true, .uuid = scene->uuids[number] },
		.from_ms = BASE_MS + 60000,
		.to_ms = BASE_MS + 20 * 60000,
		.edges_ms = edges,
		.edge_count = edges ? 2 : 0,
		.thins_states = true,
		.maximum = 100000 };

	scan.columns[group] = 1;
	return scan;
}

static void what_one_instance_is_asked_is_read_of_all_at_once(void **state)
{
	const int64_t edges[] = { BASE_MS + 60000, BASE_MS + 20 * 60000 };
	struct scene *scene = *state;

	for (size_t i = 0; i < INSTANCES; i++) {
		struct store_scan ends = scan_of(scene, i, METRIC_GROUP_STATE, edges), scan;

		scan = scan_of(scene, i, METRIC_GROUP_STATE, edges);
		scan_both(scene, &scan);
		ends.from_ms = ends.to_ms = INT64_MAX;
		scan_both(scene, &ends);
		scan = scan_of(scene, i, METRIC_GROUP_CPU, edges);
		scan_both(scene, &scan);
		scan = scan_of(scene, i, METRIC_GROUP_NIC, edges);
		scan.parameter = i % 2 ? "vnet0" : "vnet1";
		scan_both(scene, &scan);
	}
	assert_int_equal(scene->counting.scans, 4); /* of the first one */
	assert_int_equal(scene->counting.surveys, 2);
}

/* An instance that is asked something else, and one that was not expected, get their answers. */
static void what_was_not_expected_is_asked_for(void **state)
{
	const int64_t edges[] = { BASE_MS + 60000, BASE_MS + 20 * 60000 };
	const int64_t other_edges[] = { BASE_MS + 60000, BASE_MS + 15 * 60000 };
	struct scene *scene = *state;
	struct store_scan scan;

	for (size_t i = 0; i < INSTANCES; i += 2) {
		scan = scan_of(scene, i, METRIC_GROUP_CPU, i % 10 ? edges : other_edges);
		scan_both(scene, &scan);
		scan = scan_of(scene, i, METRIC_GROUP_CPU, NULL);
		scan_both(scene, &scan);
		if (i >= 20) {
			scan = scan_of(scene, i, METRIC_GROUP_NIC, edges);
			scan_both(scene, &scan);
		}
		scan = scan_of(scene, i, METRIC_GROUP_STATE, edges);
		scan.thins_states = i % 3 == 0;
		scan_both(scene, &scan);
	}
	scan = scan_of(scene, 0, METRIC_GROUP_CPU, edges); /* behind by now */
	scan_both(scene, &scan);
	scan.instance.uuid.bytes[0] = 200; /* nobody */
	scan_both(scene, &scan);
}

static void list_both(struct scene *scene, const struct store_filter *filter)
{
	struct error err = { 0 };

	assert_int_equal(
		store_instances(scene->memory, filter, print_instance, &scene->expected, &err), 0);
	assert_int_equal(
		store_instances(scene->ahead, filter, print_instance, &scene->found, &err), 0);
	assert_same(scene);
}

static void instances_are_listed_once_for_all_filters(void **state)
{
	static const char *const names[] = { "instance-0", "instance-7", "instance-8",
		"instance-8@h", "instance-8@g", "instance-8@x", "vm@3", "vm", "", "nobody" };
	struct scene *scene = *state;
	struct store_filter filter = { 0 };
	struct instance_key key = { .has_uuid = true };

	list_both(scene, &filter);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		filter.name = names[i];
		filter.groups = i % 2 ? 1u << METRIC_GROUP_CPU : 0;
		list_both(scene, &filter);
	}
	for (size_t i = 0; i < INSTANCES + 1; i++) {
		key.uuid.bytes[0] = (uint8_t)i;
		filter = (struct store_filter){ .key = &key };
		list_both(scene, &filter);
	}
	key = (struct instance_key){ .name = "instance-8@h" };
	list_both(scene, &filter);
	assert_int_equal(scene->counting.listings, 1);
}

static void facts_are_asked_for_once(void **state)
{
	static const char *const prefixes[] = { "h/", "g/", "", "h/2", "x" };
	struct scene *scene = *state;
	struct error err = { 0 };

	for (size_t i = 0; i < 3 * ARRAY_SIZE(prefixes); i++) {
		const char *prefix = prefixes[i % ARRAY_SIZE(prefixes)];

		assert_int_equal(store_records(scene->memory, "gap", prefix, print_record,
					 &scene->expected, &err),
			0);
		assert_int_equal(store_records(scene->ahead, "gap", prefix, print_record,
					 &scene->found, &err),
			0);
		assert_same(scene);
	}
	assert_int_equal(scene->counting.records, ARRAY_SIZE(prefixes));
	for (size_t i = 0; i < 4; i++) {
		const char *host = i % 2 ? "h" : NULL, *worker = i / 2 ? "other" : NULL;

		assert_int_equal(store_sources(scene->memory, host, worker, print_source,
					 &scene->expected, &err),
			0);
		assert_int_equal(store_sources(scene->ahead, host, worker, print_source,
					 &scene->found, &err),
			0);
		assert_same(scene);
	}
	assert_int_equal(scene->counting.sources, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_one_instance_is_asked_is_read_of_all_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_not_expected_is_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			instances_are_listed_once_for_all_filters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(facts_are_asked_for_once, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
