/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "store/cassandra/private.h"
#include "store/packed.h"

enum {
	READINGS = 3,
	TUPLES = 4096, /* of the first of them */
	ARENA_MAX = 256 << 20,
	ROW_BYTES = 64 * 1024, /* of a row of readings: 1000 of them are nearly a frame */
	CELL_BYTES = 4,
	READING_CELLS = 3 * CELL_BYTES + 8 + DIGEST_SIZE, /* at, digest, readings: besides these */
};

struct fixture {
	struct cassandra_store store;
	struct statements statements;
	struct arena arena;
	struct batch *batch;
	char epoch[EPOCH_TEXT_MAX + 1], parameter[PARAMETER_TEXT_MAX + 1];
	size_t rows, largest; /* of readings */
	size_t pieces, added, tuples;
};

static char *longest(char *text, size_t size)
{
	memset(text, 'x', size);
	text[size] = '\0';
	return text;
}

/* As large as it may be. */
static void add_tuples(struct fixture *fixture, struct reading *reading, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tuple *tuple = batch_add_tuple(fixture->batch, reading);

		assert_non_null(tuple);
		tuple->group = METRIC_GROUP_NIC;
		tuple->parameter = fixture->parameter;
		tuple->life = fixture->epoch;
		tuple->has_start = true;
		tuple->start_ms = EPOCH_START_UNKNOWN;
		for (unsigned int k = 0; k < metric_group_info(tuple->group)->columns; k++)
			tuple_set(tuple, k, INT64_MIN + (int64_t)fixture->added);
		fixture->added++;
	}
}

static void add_reading(struct fixture *fixture, size_t tuple_count)
{
	struct reading *reading = batch_add_reading(fixture->batch);

	assert_non_null(reading);
	reading->instance.has_uuid = true;
	reading->time_ms = TIME_MS_MAX;
	reading->epoch = fixture->epoch;
	reading->start_ms = EPOCH_START_UNKNOWN;
	reading->segment = UINT32_MAX;
	add_tuples(fixture, reading, tuple_count);
}

static int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(digester_init(&fixture->store.digester), 0);
	buffer_init(&fixture->store.scratch, READING_BYTES_MAX);
	buffer_init(&fixture->store.bundle, READING_BYTES_MAX);
	statements_init(&fixture->statements, &fixture->store);
	arena_init(&fixture->arena, ARENA_MAX);
	assert_int_equal(batch_new(&fixture->batch), 0);
	fixture->batch->host = "h1";
	longest(fixture->epoch, EPOCH_TEXT_MAX);
	longest(fixture->parameter, PARAMETER_TEXT_MAX);
	*state = fixture;
	return 0;
}

static int finish(void **state)
{
	struct fixture *fixture = *state;

	batch_free(fixture->batch);
	arena_deinit(&fixture->arena);
	statements_deinit(&fixture->statements);
	buffer_deinit(&fixture->store.scratch);
	buffer_deinit(&fixture->store.bundle);
	digester_deinit(&fixture->store.digester);
	free(fixture);
	return 0;
}

/* They are numbered by their values. */
static int take_tuple(void *context, const struct decoded *decoded)
{
	struct fixture *fixture = context;

	assert_true(decoded->values[0] == INT64_MIN + (int64_t)fixture->tuples);
	fixture->tuples++;
	return 0;
}

static void take_row(struct fixture *fixture, const struct cql_value *values)
{
	struct cursor cursor = cursor_over(values[5].bytes, (size_t)values[5].size);
	struct bundled bundled;

	cursor_read_u8(&cursor);
	while (bundle_next(&cursor, &bundled) == 1)
		assert_int_equal(reading_read(bundled.bytes, bundled.size, take_tuple, fixture), 0);
	assert_false(cursor.is_broken);
	fixture->rows++;
	fixture->largest = MAX_OF(fixture->largest, (size_t)values[5].size);
}

static void write_all(struct fixture *fixture)
{
	struct filing filing;
	uint64_t bytes = 0;

	assert_int_equal(filing_make(&fixture->arena, fixture->batch, &filing), 0);
	assert_int_equal(filing.reading_count, fixture->batch->reading_count);
	fixture->pieces = filing.count;
	assert_int_equal(filing_write(&filing, &fixture->statements, &bytes), 0);
	for (size_t i = 0; i < fixture->statements.count; i++) {
		const struct cql_statement *statement = &fixture->statements.items[i];

		if (statement->part_count == 0)
			take_row(fixture, statement->values);
		for (size_t k = 0; k < statement->part_count; k++)
			take_row(fixture, statement->parts[k].values);
	}
}

static void a_large_reading_is_in_rows_of_a_bounded_size(void **state)
{
	struct fixture *fixture = *state;

	add_reading(fixture, TUPLES);
	for (size_t i = 1; i < READINGS; i++)
		add_reading(fixture, 1);
	write_all(fixture);
	assert_int_equal(fixture->tuples, TUPLES + READINGS - 1);
	assert_in_range(fixture->rows, TUPLES * PARAMETER_TEXT_MAX / ROW_BYTES, TUPLES);
	assert_in_range(fixture->largest, BUNDLE_BYTES, ROW_BYTES);
}

static void readings_of_a_size_that_occurs_are_not_taken_apart(void **state)
{
	struct fixture *fixture = *state;

	fixture->epoch[60] = fixture->parameter[12] = '\0';
	for (size_t i = 0; i < 30; i++)
		add_reading(fixture, 60);
	write_all(fixture);
	assert_int_equal(fixture->tuples, 30 * 60);
	assert_int_equal(fixture->pieces, 30);
}

static void assert_page_fits(enum statement statement, size_t row_bytes)
{
	assert_in_range(statements_page_rows(statement) * row_bytes, 1, CQL_RESPONSE_MAX - 65536);
}

static void a_page_of_the_largest_readings_and_shapes_fits_into_a_frame(void **state)
{
	struct fixture *fixture = *state;
	struct filing filing;
	size_t largest = 0;

	add_reading(fixture, TUPLES);
	assert_int_equal(filing_make(&fixture->arena, fixture->batch, &filing), 0);
	for (size_t i = 0; i < filing.count; i++) {
		buffer_clear(&fixture->store.scratch);
		shape_write(&fixture->store.scratch, filing.all[i].reading);
		largest = MAX_OF(largest, fixture->store.scratch.size);
	}
	assert_page_fits(GET_SHAPES, largest + 2 * CELL_BYTES + DIGEST_SIZE);
	write_all(fixture);
	assert_page_fits(GET_READINGS, fixture->largest + READING_CELLS);
	assert_page_fits(GET_READINGS_DOWN, fixture->largest + READING_CELLS);
	/* So many that those of usual sizes need no more questions than with no limit. */
	assert_int_equal(statements_page_rows(GET_READINGS), 1000);
	assert_int_equal(statements_page_rows(GET_SHAPES), 1000);
}

/* What every text of it is. */
static struct instance_info largest_info(char text[INSTANCE_TEXT_MAX + 1])
{
	static const char *addresses[INSTANCE_ADDRESSES_MAX];
	static struct instance_port ports[INSTANCE_PORTS_MAX];
	struct instance_info info = { .since_ms = INT64_MAX,
		.vcpus = INT64_MAX,
		.memory_mib = INT64_MAX,
		.disk_gib = INT64_MAX,
		.ports = ports,
		.port_count = INSTANCE_PORTS_MAX };

	longest(text, INSTANCE_TEXT_MAX);
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(&info, i) = text;
	for (size_t i = 0; i < INSTANCE_ADDRESSES_MAX; i++)
		addresses[i] = text;
	for (size_t i = 0; i < INSTANCE_PORTS_MAX; i++)
		ports[i] = (struct instance_port){ text, text, text, addresses,
			INSTANCE_ADDRESSES_MAX };
	return info;
}

static void a_page_of_the_largest_of_all_else_fits_into_a_frame(void **state)
{
	struct fixture *fixture = *state;
	char text[INSTANCE_TEXT_MAX + 1];
	const struct instance_info info = largest_info(text);
	struct buffer *scratch = &fixture->store.scratch;

	packed_write_info(scratch, &info);
	assert_int_equal(buffer_check(scratch), 0);
	assert_page_fits(GET_INFOS, INSTANCE_ID_SIZE + scratch->size + 2 * CELL_BYTES);
	assert_page_fits(GET_INSTANCE_INFOS, INSTANCE_ID_SIZE + scratch->size + 2 * CELL_BYTES);
	assert_page_fits(GET_SUMMARIES, SUMMARY_BYTES_MAX + 4 * CELL_BYTES + 5 + DIGEST_SIZE);
	assert_page_fits(
		GET_RECORDS, RECORD_TEXT_MAX + PART_SIZE + 4 * CELL_BYTES + 4 + DIGEST_SIZE);
	assert_page_fits(GET_RECORD_PARTS, PART_SIZE + CELL_BYTES);
	/* A month in one page. */
	assert_in_range(statements_page_rows(GET_SUMMARIES), 31, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_large_reading_is_in_rows_of_a_bounded_size, begin, finish),
		cmocka_unit_test_setup_teardown(
			readings_of_a_size_that_occurs_are_not_taken_apart, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_page_of_the_largest_readings_and_shapes_fits_into_a_frame, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_page_of_the_largest_of_all_else_fits_into_a_frame, begin, finish),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
