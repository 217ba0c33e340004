/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/crew.h"
#include "store/store.h"

enum { INSTANCES = 1500 };

static const int64_t BASE_MS = INT64_C(1700006400000);

struct scene {
	struct methods methods;
	json_t *args, *ids;
};

static void add_reading(struct batch *batch, uint16_t number, int64_t time_ms, int64_t value)
{
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple;

	assert_non_null(reading);
	reading->instance.has_uuid = true;
	memcpy(reading->instance.uuid.bytes, &number, sizeof(number));
	reading->time_ms = time_ms;
	reading->epoch = "h/1";
	tuple = batch_add_tuple(batch, reading);
	assert_non_null(tuple);
	tuple->group = METRIC_GROUP_CPU;
	tuple->parameter = "total";
	tuple->life = "";
	tuple_set(tuple, 0, value);
}

/* Each instance used its number and 1. */
static void fill(struct scene *scene)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	const struct batch *batches[1];
	const struct store_commit commit = { .batches = batches, .batch_count = 1 };
	struct store_tally ignored;
	char text[UUID_TEXT_SIZE];
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	for (uint16_t number = 0; number < INSTANCES; number++) {
		struct uuid uuid = { { 0 } };

		add_reading(batch, number, BASE_MS, 0);
		add_reading(batch, number, BASE_MS + 60000, number + 1);
		memcpy(uuid.bytes, &number, sizeof(number));
		json_array_append_new(scene->ids, json_string(uuid_format(&uuid, text)));
	}
	batches[0] = batch;
	assert_int_equal(store_append(scene->methods.store, &commit, &ignored, &err), 0);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	assert_int_equal(memory_store_new(&scene->methods.store), 0);
	scene->methods.clock = clock_system();
	scene->ids = json_array();
	scene->args = json_pack("{s:s, s:I, s:I}", "metric", "cpu", "from",
		(json_int_t)(BASE_MS / 1000), "to", (json_int_t)(BASE_MS / 1000 + 60));
	fill(scene);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	store_free(scene->methods.store);
	json_decref(scene->ids);
	json_decref(scene->args);
	free(scene);
	return 0;
}

static struct crew *start(const struct scene *scene)
{
	struct crew *crew = crew_new(&scene->methods, "usage", scene->args, scene->ids);

	assert_non_null(crew);
	return crew;
}

static void assert_next(const struct scene *scene, struct crew *crew, size_t number)
{
	struct error err = { 0 };
	const json_t *usage;
	json_t *data;

	assert_int_equal(crew_next(crew, &data, &err), ANSWER_SUCCESS);
	assert_string_equal(json_string_value(json_object_get(data, "id")),
		json_string_value(json_array_get(scene->ids, number)));
	usage = json_array_get(json_object_get(data, "usages"), 0);
	assert_int_equal(json_integer_value(json_object_get(usage, "value")), number + 1);
	json_decref(data);
}

static void answers_come_in_the_order_of_the_ids(void **state)
{
	const struct scene *scene = *state;
	struct crew *crew = start(scene);
	struct error err = { 0 };
	json_t *data;

	for (size_t i = 0; i < INSTANCES; i++)
		assert_next(scene, crew, i);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(crew_next(crew, &data, &err), ANSWER_SUCCESS);
		assert_null(data);
	}
	crew_free(crew);
}

static void a_failure_comes_where_it_stands_and_ends_it(void **state)
{
	const struct scene *scene = *state;
	struct error err = { 0 };
	struct crew *crew;
	json_t *data;

	json_array_set_new(scene->ids, 1000, json_string("nobody"));
	crew = start(scene);
	for (size_t i = 0; i < 1000; i++)
		assert_next(scene, crew, i);
	assert_int_equal(crew_next(crew, &data, &err), ANSWER_NOT_FOUND);
	assert_non_null(strstr(err.text, "nobody"));
	assert_null(data);
	assert_int_equal(crew_next(crew, &data, &err), ANSWER_SUCCESS);
	assert_null(data);
	crew_free(crew);
}

static void it_may_end_before_its_end(void **state)
{
	const struct scene *scene = *state;
	struct crew *crew = start(scene);

	crew_free(crew);
	crew = start(scene);
	for (size_t i = 0; i < 100; i++)
		assert_next(scene, crew, i);
	crew_free(crew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			answers_come_in_the_order_of_the_ids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_failure_comes_where_it_stands_and_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_may_end_before_its_end, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
