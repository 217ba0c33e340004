/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cql/streams.h"

static struct cql_streams streams;
static struct cql_question questions[CQL_STREAMS + 1];

static int set_up(void **state)
{
	cql_streams_init(&streams);
	memset(questions, 0, sizeof(questions));
	return 0;
}

static void all_streams_are_given_once(void **state)
{
	static bool is_given[CQL_STREAMS];

	for (size_t i = 0; i < CQL_STREAMS; i++) {
		assert_true(cql_streams_take(&streams, &questions[i], 0, 10));
		assert_in_range(questions[i].stream, 0, CQL_STREAMS - 1);
		assert_false(is_given[questions[i].stream]);
		is_given[questions[i].stream] = true;
	}
	assert_false(cql_streams_take(&streams, &questions[CQL_STREAMS], 0, 10));
	assert_int_equal(cql_streams_in_flight(&streams), CQL_STREAMS);
}

static void an_answer_finds_its_question_and_frees_its_stream(void **state)
{
	struct cql_question *answered = NULL;

	assert_true(cql_streams_take(&streams, &questions[0], 0, 10));
	assert_true(cql_streams_take(&streams, &questions[1], 0, 10));
	assert_int_equal(cql_streams_answered(&streams, questions[1].stream, &answered), 0);
	assert_ptr_equal(answered, &questions[1]);
	assert_int_equal(cql_streams_answered(&streams, questions[1].stream, &answered),
		CQL_STREAMS_UNKNOWN);
	assert_int_equal(cql_streams_in_flight(&streams), 1);
}

static void an_answer_to_nothing_is_unknown(void **state)
{
	static const int16_t strays[] = { 0, 1, CQL_STREAMS - 1, CQL_STREAMS, INT16_MAX, -1,
		INT16_MIN };
	struct cql_question *answered;

	for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); i++)
		assert_int_equal(
			cql_streams_answered(&streams, strays[i], &answered), CQL_STREAMS_UNKNOWN);
}

static void a_stream_that_was_given_up_is_free_after_its_late_answer_alone(void **state)
{
	struct cql_question *answered;
	int16_t stream;

	assert_true(cql_streams_take(&streams, &questions[0], 0, 10));
	stream = questions[0].stream;
	assert_null(cql_streams_expire(&streams, 9));
	assert_ptr_equal(cql_streams_expire(&streams, 10), &questions[0]);
	assert_null(cql_streams_expire(&streams, 10));
	for (size_t i = 1; i < CQL_STREAMS; i++) {
		assert_true(cql_streams_take(&streams, &questions[i], 0, 20));
		assert_int_not_equal(questions[i].stream, stream);
	}
	assert_false(cql_streams_take(&streams, &questions[0], 0, 20));
	assert_int_equal(cql_streams_answered(&streams, stream, &answered), CQL_STREAMS_LATE);
	assert_true(cql_streams_take(&streams, &questions[0], 0, 20));
	assert_int_equal(questions[0].stream, stream);
}

static void questions_expire_in_their_order(void **state)
{
	struct cql_question *answered;

	assert_int_equal(cql_streams_deadline(&streams), INT64_MAX);
	for (int i = 0; i < 4; i++)
		assert_true(cql_streams_take(&streams, &questions[i], 0, 10 + i));
	assert_true(cql_streams_take(&streams, &questions[4], 0, 0));
	assert_int_equal(cql_streams_answered(&streams, questions[1].stream, &answered), 0);
	assert_int_equal(cql_streams_answered(&streams, questions[3].stream, &answered), 0);
	assert_int_equal(cql_streams_deadline(&streams), 10);
	assert_ptr_equal(cql_streams_expire(&streams, 100), &questions[0]);
	assert_ptr_equal(cql_streams_expire(&streams, 100), &questions[2]);
	assert_null(cql_streams_expire(&streams, INT64_MAX));
	assert_int_equal(cql_streams_in_flight(&streams), 1);
}

static void at_the_end_each_question_in_flight_is_dropped_once(void **state)
{
	size_t dropped = 0;

	for (int i = 0; i < 10; i++)
		assert_true(cql_streams_take(&streams, &questions[i], 0, i < 5 ? 10 : 20));
	while (cql_streams_expire(&streams, 10))
		;
	while (cql_streams_drop(&streams))
		dropped++;
	assert_int_equal(dropped, 5);
	assert_int_equal(cql_streams_deadline(&streams), INT64_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_streams_are_given_once, set_up),
		cmocka_unit_test_setup(an_answer_finds_its_question_and_frees_its_stream, set_up),
		cmocka_unit_test_setup(an_answer_to_nothing_is_unknown, set_up),
		cmocka_unit_test_setup(
			a_stream_that_was_given_up_is_free_after_its_late_answer_alone, set_up),
		cmocka_unit_test_setup(questions_expire_in_their_order, set_up),
		cmocka_unit_test_setup(at_the_end_each_question_in_flight_is_dropped_once, set_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
