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
#include "base/buffer.h"
#include "base/checked.h"
#include "base/cursor.h"

static void what_was_written_is_read_back(void **state)
{
	static const int64_t numbers[] = { 0, 1, -1, 63, 64, -64, -65, 1 << 20, INT64_MAX,
		INT64_MIN };
	CLEANUP(buffer_deinit) struct buffer buffer;
	struct cursor cursor;
	char text[8];

	buffer_init(&buffer, 1024);
	buffer_write_u8(&buffer, 7);
	buffer_write_u16(&buffer, 0xcafe);
	buffer_write_u32(&buffer, 0xdeadbeef);
	buffer_write_u64(&buffer, UINT64_C(0x0102030405060708));
	buffer_write_varint(&buffer, UINT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		buffer_write_signed(&buffer, numbers[i]);
	buffer_write_string(&buffer, "vda");
	assert_int_equal(buffer_check(&buffer), 0);

	cursor = cursor_over(buffer.bytes, buffer.size);
	assert_int_equal(cursor_read_u8(&cursor), 7);
	assert_int_equal(cursor_read_u16(&cursor), 0xcafe);
	assert_int_equal(cursor_read_u32(&cursor), 0xdeadbeef);
	assert_true(cursor_read_u64(&cursor) == UINT64_C(0x0102030405060708));
	assert_true(cursor_read_varint(&cursor) == UINT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		assert_true(cursor_read_signed(&cursor) == numbers[i]);
	cursor_read_string(&cursor, text, sizeof(text) - 1);
	assert_string_equal(text, "vda");
	assert_false(cursor.is_broken);
	assert_int_equal(cursor_left(&cursor), 0);
}

static void every_read_after_a_broken_one_gives_zero(void **state)
{
	struct cursor cursor = cursor_over("\x01\x02\x03", 3);

	assert_int_equal(cursor_read_u32(&cursor), 0);
	assert_true(cursor.is_broken);
	assert_int_equal(cursor_read_u8(&cursor), 0);
	assert_null(cursor_read_bytes(&cursor, 1));
	assert_int_equal(cursor_read_varint(&cursor), 0);
}

static void a_number_longer_than_it_needs_is_broken(void **state)
{
	struct cursor longer = cursor_over("\x81\x00", 2);
	struct cursor endless = cursor_over("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	struct cursor overflowing = cursor_over("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);

	assert_int_equal(cursor_read_varint(&longer), 0);
	assert_true(longer.is_broken);
	assert_int_equal(cursor_read_varint(&endless), 0);
	assert_true(endless.is_broken);
	assert_int_equal(cursor_read_varint(&overflowing), 0);
	assert_true(overflowing.is_broken);
}

static void a_length_over_its_limit_is_broken(void **state)
{
	struct cursor cursor = cursor_over("\x05", 1);

	assert_int_equal(cursor_read_size(&cursor, 4), 0);
	assert_true(cursor.is_broken);
}

static void a_string_with_a_nul_inside_is_broken(void **state)
{
	struct cursor cursor = cursor_over("\x03"
					   "a\0b",
		4);
	char text[8] = "before";

	cursor_read_string(&cursor, text, sizeof(text) - 1);
	assert_true(cursor.is_broken);
}

static void a_buffer_over_its_maximum_fails_until_it_is_cleared(void **state)
{
	CLEANUP(buffer_deinit) struct buffer buffer;

	buffer_init(&buffer, 4);
	buffer_write_u32(&buffer, 1);
	assert_int_equal(buffer_check(&buffer), 0);
	buffer_write_u8(&buffer, 1);
	assert_int_equal(buffer_check(&buffer), -EMSGSIZE);
	buffer_clear(&buffer);
	assert_int_equal(buffer_check(&buffer), 0);
	buffer_print(&buffer, "%d", 123);
	assert_int_equal(buffer_check(&buffer), 0);
	assert_memory_equal(buffer.bytes, "123", 3);
	buffer_print(&buffer, "%s", "too long");
	assert_int_equal(buffer_check(&buffer), -EMSGSIZE);
}

static void sums_that_do_not_fit_are_told_and_change_nothing(void **state)
{
	int64_t result = 42;

	assert_false(checked_add(INT64_MAX, 1, &result));
	assert_false(checked_subtract(INT64_MIN, 1, &result));
	assert_int_equal(result, 42);
	assert_true(checked_add(40, 3, &result));
	assert_int_equal(result, 43);
}

static void division_rounds_down_below_zero_too(void **state)
{
	assert_int_equal(floor_divide(7, 2), 3);
	assert_int_equal(floor_divide(-7, 2), -4);
	assert_int_equal(floor_divide(-8, 2), -4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(every_read_after_a_broken_one_gives_zero),
		cmocka_unit_test(a_number_longer_than_it_needs_is_broken),
		cmocka_unit_test(a_length_over_its_limit_is_broken),
		cmocka_unit_test(a_string_with_a_nul_inside_is_broken),
		cmocka_unit_test(a_buffer_over_its_maximum_fails_until_it_is_cleared),
		cmocka_unit_test(sums_that_do_not_fit_are_told_and_change_nothing),
		cmocka_unit_test(division_rounds_down_below_zero_too),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
