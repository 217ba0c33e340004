/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "cql/request.h"

static const uint8_t id[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const struct cql_bytes prepared = { id, sizeof(id) };

enum { ROOM = 32 * 1024 * 1024 };

static void assert_frame(const struct buffer *frame, const char *hex)
{
	assert_int_equal(buffer_check(frame), 0);
	assert_int_equal(frame->size, strlen(hex) / 2);
	for (size_t i = 0; i < frame->size; i++) {
		const char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		if (frame->bytes[i] != strtoul(digits, NULL, 16))
			fail_msg("byte %zu is %02x, not %s", i, frame->bytes[i], digits);
	}
}

/* The frames of these tests, but that of STARTUP, are what cassandra-driver 3.30.1 sends. */
static void options_have_no_body(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_options(&frame);
	assert_frame(&frame, "040000000500000000");
}

static void a_login_is_sasl_plain(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_login(&frame, "cassandra", "secret");
	assert_frame(&frame, "040000000f00000015000000110063617373616e64726100736563726574");
}

static void a_query_says_only_what_it_was_told(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_query(&frame, "SELECT * FROM system.local",
		&(struct cql_parameters){ .consistency = CQL_LOCAL_QUORUM });
	assert_frame(&frame,
		"0400000007000000210000001a53454c454354202a2046524f4d2073797374656d2e6c6f63616c0006"
		"00");
	buffer_clear(&frame);
	cql_request_query(&frame, "SELECT * FROM system.local",
		&(struct cql_parameters){
			.consistency = CQL_ONE,
			.page_size = 100,
			.paging_state = { (const uint8_t *)"\1\2\3", 3 },
			.timestamp_us = 1700000000000001,
		});
	assert_frame(&frame,
		"0400000007000000340000001a53454c454354202a2046524f4d2073797374656d2e6c6f63616c0001"
		"2c000000640000000301020300060a24181e4001");
}

static void a_text_is_prepared(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_prepare(&frame, "INSERT INTO t (a, b) VALUES (?, ?)");
	assert_frame(&frame, "04000000090000002600000022494e5345525420494e544f20742028612c206229205"
			     "6414c55455320283f2c203f29");
}

static void null_unset_and_empty_values_differ(void **state)
{
	const struct cql_value values[] = { CQL_INT(7), cql_null(), cql_unset(), cql_text(""),
		cql_text("abc") };
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_execute(&frame, prepared,
		&(struct cql_parameters){
			.consistency = CQL_QUORUM,
			.serial_consistency = CQL_LOCAL_SERIAL,
			.values = values,
			.value_count = ARRAY_SIZE(values),
			.page_size = 5000,
			.paging_state = { (const uint8_t *)"\xff\0", 2 },
			.timestamp_us = 1700000000000001,
		});
	assert_frame(&frame,
		"040000000a000000460010000102030405060708090a0b0c0d0e0f00043d0005000000040000000"
		"7fffffffffffffffe00000000000000036162630000138800000002ff00000900060a24181e4001");
}

static void a_batch_is_unlogged_and_mixes_ids_and_texts(void **state)
{
	const struct cql_value values[] = { CQL_INT(7), cql_null() };
	const struct cql_batch_part parts[] = {
		{ .id = prepared, .values = values, .value_count = ARRAY_SIZE(values) },
		{ .text = "DELETE FROM t WHERE a = 1" },
	};
	const struct cql_batch_part short_id = { .id = { (const uint8_t *)"id", 2 } };
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_batch(&frame, parts, ARRAY_SIZE(parts),
		&(struct cql_parameters){
			.consistency = CQL_LOCAL_QUORUM, .timestamp_us = 1700000000000001 });
	assert_frame(&frame,
		"040000000d0000004f010002010010000102030405060708090a0b0c0d0e0f00020000000400000"
		"007ffffffff000000001944454c4554452046524f4d20742057484552452061203d2031000000062"
		"000060a24181e4001");
	buffer_clear(&frame);
	cql_request_batch(&frame, &short_id, 1,
		&(struct cql_parameters){
			.consistency = CQL_QUORUM, .serial_consistency = CQL_SERIAL });
	assert_frame(&frame, "040000000d0000000f010001010002696400000004100008");
}

static void a_registration_names_the_events(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frame;

	buffer_init(&frame, ROOM);
	cql_request_register(&frame, CQL_EVENTS_ALL);
	assert_frame(&frame,
		"040000000b000000310003000f544f504f4c4f47595f4348414e4745000d5354415455535f4348414e"
		"4745000d534348454d415f4348414e4745");
	buffer_clear(&frame);
	cql_request_register(&frame, CQL_EVENTS_STATUS);
	assert_frame(&frame, "040000000b000000110001000d5354415455535f4348414e4745");
}

static void a_startup_names_the_compression_only_if_it_is_used(void **state)
{
	CLEANUP(buffer_deinit) struct buffer plain, packed;

	buffer_init(&plain, ROOM);
	buffer_init(&packed, ROOM);
	cql_request_startup(&plain, false);
	cql_request_startup(&packed, true);
	assert_int_equal(buffer_check(&plain), 0);
	assert_int_equal(plain.bytes[CQL_FRAME_HEADER_SIZE + 1], 3);
	assert_int_equal(packed.bytes[CQL_FRAME_HEADER_SIZE + 1], 4);
	assert_null(memmem(plain.bytes, plain.size, "COMPRESSION", 11));
	assert_memory_equal(packed.bytes + packed.size - 18,
		"\0\x0b"
		"COMPRESSION\0\3lz4",
		18);
}

static void frames_follow_each_other(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frames;

	buffer_init(&frames, ROOM);
	cql_request_options(&frames);
	cql_request_register(&frames, CQL_EVENTS_STATUS);
	cql_frame_set_stream(frames.bytes + CQL_FRAME_HEADER_SIZE, 0x1234);
	assert_frame(&frames, "040000000500000000"
			      "040012340b000000110001000d5354415455535f4348414e4745");
}

static void what_is_too_much_sticks_and_makes_no_frame(void **state)
{
	static const char text[] = "x";
	CLEANUP(buffer_deinit) struct buffer frame;
	char *large = calloc(1, CQL_REQUEST_MAX + 1);
	struct cql_value value = cql_blob(large, CQL_REQUEST_MAX);
	const struct cql_parameters one_value = { .values = &value, .value_count = 1 };
	const struct cql_parameters many = { .values = &value, .value_count = CQL_VALUES_MAX + 1 };
	const struct cql_batch_part part = { .text = text };

	assert_non_null(large);
	memset(large, 'a', CQL_REQUEST_MAX);
	large[CQL_REQUEST_MAX] = '\0';
	buffer_init(&frame, ROOM);
	cql_request_execute(&frame, prepared, &one_value);
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	buffer_clear(&frame);
	cql_request_query(&frame, text, &many);
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	buffer_clear(&frame);
	cql_request_batch(&frame, &part, CQL_BATCH_MAX + 1, &(struct cql_parameters){ 0 });
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	buffer_clear(&frame);
	cql_request_prepare(&frame, large);
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	buffer_clear(&frame);
	cql_request_login(&frame, "name", large);
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	buffer_clear(&frame);
	cql_request_execute(&frame, (struct cql_bytes){ (uint8_t *)large, UINT16_MAX + 1 },
		&(struct cql_parameters){ 0 });
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	buffer_clear(&frame);
	/* Header, id, consistency, flags, count of values, size of the value. */
	value.size = CQL_REQUEST_MAX - CQL_FRAME_HEADER_SIZE - 18 - 2 - 1 - 2 - 4;
	cql_request_execute(&frame, prepared, &one_value);
	assert_int_equal(buffer_check(&frame), 0);
	assert_int_equal(frame.size, CQL_REQUEST_MAX);
	buffer_clear(&frame);
	value.size++;
	cql_request_execute(&frame, prepared, &one_value);
	assert_int_equal(buffer_check(&frame), -EMSGSIZE);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_have_no_body),
		cmocka_unit_test(a_login_is_sasl_plain),
		cmocka_unit_test(a_query_says_only_what_it_was_told),
		cmocka_unit_test(a_text_is_prepared),
		cmocka_unit_test(null_unset_and_empty_values_differ),
		cmocka_unit_test(a_batch_is_unlogged_and_mixes_ids_and_texts),
		cmocka_unit_test(a_registration_names_the_events),
		cmocka_unit_test(a_startup_names_the_compression_only_if_it_is_used),
		cmocka_unit_test(frames_follow_each_other),
		cmocka_unit_test(what_is_too_much_sticks_and_makes_no_frame),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
