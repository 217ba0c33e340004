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

#include "cql/frame.h"
#include "cql/request.h"

static int decode(const char *bytes, struct cql_frame *ret_frame, struct error *err)
{
	return cql_frame_decode((const uint8_t *)bytes, ret_frame, err);
}

static void the_header_of_an_answer_is_read(void **state)
{
	struct cql_frame frame;

	assert_int_equal(decode("\x84\x09\x7f\xfe\x08\0\1\0\2", &frame, NULL), 0);
	assert_int_equal(frame.flags, CQL_FRAME_COMPRESSED | CQL_FRAME_WARNED);
	assert_int_equal(frame.stream, 32766);
	assert_int_equal(frame.opcode, CQL_RESULT);
	assert_int_equal(frame.size, 65538);
	assert_int_equal(decode("\x84\0\xff\xff\x0c\0\0\0\0", &frame, NULL), 0);
	assert_int_equal(frame.stream, CQL_STREAM_EVENTS);
}

static void a_header_that_is_no_answer_is_refused(void **state)
{
	struct cql_frame frame;

	assert_int_equal(decode("HTTP/1.1 ", &frame, NULL), -EPROTO);
	assert_int_equal(decode("\4\0\0\0\x08\0\0\0\0", &frame, NULL), -EPROTO);
	assert_int_equal(decode("\x84\0\0\0\x07\0\0\0\0", &frame, NULL), -EPROTO);
	assert_int_equal(decode("\x84\0\0\0\xff\0\0\0\0", &frame, NULL), -EPROTO);
}

static void another_version_is_told(void **state)
{
	struct error err = { "" };
	struct cql_frame frame;

	assert_int_equal(decode("\x83\0\0\0\0\0\0\0\0", &frame, &err), -EPROTONOSUPPORT);
	assert_string_equal(
		err.text, "the server answers in version 3 of CQL's protocol, not in 4");
}

static void a_body_over_the_maximum_is_refused(void **state)
{
	struct cql_frame frame;

	assert_int_equal(decode("\x84\0\0\0\x08\x04\0\0\0", &frame, NULL), 0);
	assert_int_equal(frame.size, CQL_RESPONSE_MAX);
	assert_int_equal(decode("\x84\0\0\7\x08\x04\0\0\1", &frame, NULL), -EMSGSIZE);
	assert_int_equal(frame.stream, 7);
	assert_int_equal(decode("\x84\0\0\0\x08\xff\xff\xff\xff", &frame, NULL), -EMSGSIZE);
}

static void what_was_compressed_is_the_same_again(void **state)
{
	static char text[100000];
	CLEANUP(buffer_deinit) struct buffer frame, packed, plain;

	for (size_t i = 0; i + 1 < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 7);
	buffer_init(&frame, CQL_REQUEST_MAX);
	buffer_init(&packed, CQL_REQUEST_MAX);
	buffer_init(&plain, CQL_RESPONSE_MAX);
	cql_request_prepare(&frame, text);
	cql_frame_compress(frame.bytes, frame.size, 513, &packed);
	assert_int_equal(buffer_check(&packed), 0);
	assert_true(packed.size < frame.size / 10);
	assert_memory_equal(packed.bytes, "\4\1\2\1\x09", 5);
	assert_int_equal(cql_frame_decompress(packed.bytes + CQL_FRAME_HEADER_SIZE,
				 packed.size - CQL_FRAME_HEADER_SIZE, &plain, NULL),
		0);
	assert_int_equal(plain.size, frame.size - CQL_FRAME_HEADER_SIZE);
	assert_memory_equal(plain.bytes, frame.bytes + CQL_FRAME_HEADER_SIZE, plain.size);
	assert_int_equal((packed.bytes[5] << 24) + (packed.bytes[6] << 16) +
				 (packed.bytes[7] << 8) + packed.bytes[8],
		packed.size - CQL_FRAME_HEADER_SIZE);
}

static void what_would_not_be_smaller_stays_plain(void **state)
{
	CLEANUP(buffer_deinit) struct buffer frame, packed;

	buffer_init(&frame, CQL_REQUEST_MAX);
	buffer_init(&packed, CQL_REQUEST_MAX);
	cql_request_options(&frame);
	cql_request_prepare(&frame, "abcdefgh");
	cql_frame_compress(frame.bytes, CQL_FRAME_HEADER_SIZE, 1, &packed);
	cql_frame_compress(frame.bytes + CQL_FRAME_HEADER_SIZE, frame.size - CQL_FRAME_HEADER_SIZE,
		2, &packed);
	assert_int_equal(buffer_check(&packed), 0);
	assert_int_equal(packed.size, frame.size);
	assert_memory_equal(packed.bytes,
		"\4\0\0\1\5\0\0\0\0"
		"\4\0\0\2\x09\0\0\0\x0c\0\0\0\x08"
		"abcdefgh",
		packed.size);
}

static void a_damaged_body_is_refused(void **state)
{
	static const char *const bodies[] = {
		"\0\0\0\3\060ab",        /* a literal is missing */
		"\0\0\0\2\060abc",       /* one too many */
		"\0\0\0\4\060abc",       /* the size is wrong */
		"\0\0\0\011\024z\2\0\0", /* a match from before the beginning */
		"\0\1\0\0\060abc",       /* so much cannot be inside */
	};
	static const size_t sizes[] = { 7, 8, 8, 9, 8 };
	CLEANUP(buffer_deinit) struct buffer plain;

	buffer_init(&plain, CQL_RESPONSE_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_int_equal(
			cql_frame_decompress((const uint8_t *)bodies[i], sizes[i], &plain, NULL),
			-EPROTO);
	assert_int_equal(cql_frame_decompress((const uint8_t *)"\0\0\0", 3, &plain, NULL), -EPROTO);
	assert_int_equal(
		cql_frame_decompress((const uint8_t *)"\4\0\0\1\0", 5, &plain, NULL), -EMSGSIZE);
	assert_int_equal(plain.size, 0);
	assert_int_equal(
		cql_frame_decompress((const uint8_t *)"\0\0\0\3\060abc", 8, &plain, NULL), 0);
	assert_memory_equal(plain.bytes, "abc", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_of_an_answer_is_read),
		cmocka_unit_test(a_header_that_is_no_answer_is_refused),
		cmocka_unit_test(another_version_is_told),
		cmocka_unit_test(a_body_over_the_maximum_is_refused),
		cmocka_unit_test(what_was_compressed_is_the_same_again),
		cmocka_unit_test(what_would_not_be_smaller_stays_plain),
		cmocka_unit_test(a_damaged_body_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
