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

#include <stdio.h>

#include "cql/value.h"

static struct cql_value bytes(const void *from, int32_t size)
{
	return (struct cql_value){ .bytes = from, .size = size };
}

static void what_was_made_is_read_back(void **state)
{
	static const int64_t numbers[] = { 0, 1, -1, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
	char text[8];

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int64_t big;
		int32_t small;

		assert_int_equal(cql_read_bigint(CQL_BIGINT(numbers[i]), &big), 0);
		assert_true(big == numbers[i]);
		assert_int_equal(cql_read_int(CQL_INT((int32_t)numbers[i]), &small), 0);
		assert_int_equal(small, (int32_t)numbers[i]);
	}
	assert_int_equal(cql_read_text(cql_text("vda"), text, sizeof(text)), 0);
	assert_string_equal(text, "vda");
}

static void booleans_and_uuids_are_read(void **state)
{
	static const uint8_t uuid[16] = { 1, 2, 3, [15] = 0xff };
	uint8_t same[16];
	bool boolean = false;

	assert_int_equal(cql_read_boolean(bytes("\1", 1), &boolean), 0);
	assert_true(boolean);
	assert_int_equal(cql_read_uuid(bytes(uuid, sizeof(uuid)), same), 0);
	assert_memory_equal(uuid, same, sizeof(uuid));
}

static void numbers_are_big_endian(void **state)
{
	assert_memory_equal(CQL_INT(0x01020304).bytes, "\1\2\3\4", 4);
	assert_memory_equal(CQL_BIGINT(-2).bytes, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
}

static void another_size_and_null_are_no_numbers(void **state)
{
	int32_t small = 42;
	int64_t big = 42;
	bool boolean;
	uint8_t uuid[16];
	struct cql_address address;

	assert_int_equal(cql_read_int(CQL_BIGINT(1), &small), -EPROTO);
	assert_int_equal(cql_read_int(bytes("", 0), &small), -EPROTO);
	assert_int_equal(cql_read_int(cql_null(), &small), -EPROTO);
	assert_int_equal(cql_read_bigint(CQL_INT(1), &big), -EPROTO);
	assert_int_equal(cql_read_bigint(cql_unset(), &big), -EPROTO);
	assert_int_equal(cql_read_boolean(CQL_INT(1), &boolean), -EPROTO);
	assert_int_equal(cql_read_uuid(bytes("123456789012345", 15), uuid), -EPROTO);
	assert_int_equal(cql_read_inet(bytes("12345", 5), &address), -EPROTO);
	assert_int_equal(cql_read_inet(cql_null(), &address), -EPROTO);
	assert_int_equal(small, 42);
	assert_int_equal(big, 42);
}

static void a_text_must_be_text_and_fit(void **state)
{
	char text[4] = "old";

	assert_int_equal(cql_read_text(bytes("abc", 3), text, sizeof(text)), 0);
	assert_string_equal(text, "abc");
	assert_int_equal(cql_read_text(bytes("", 0), text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(cql_read_text(bytes("abcd", 4), text, sizeof(text)), -EMSGSIZE);
	assert_int_equal(cql_read_text(bytes("a\0b", 3), text, sizeof(text)), -EPROTO);
	assert_int_equal(cql_read_text(bytes("\xff", 1), text, sizeof(text)), -EPROTO);
	assert_int_equal(cql_read_text(cql_null(), text, sizeof(text)), -EPROTO);
}

static void an_address_is_printed_without_its_port(void **state)
{
	struct cql_address four, six;
	char text[CQL_ADDRESS_TEXT_SIZE];

	assert_int_equal(cql_read_inet(bytes("\xc0\0\2\1", 4), &four), 0);
	cql_address_print(&four, text);
	assert_string_equal(text, "192.0.2.1");
	assert_int_equal(
		cql_read_inet(bytes("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16), &six), 0);
	cql_address_print(&six, text);
	assert_string_equal(text, "2001:db8::1");
	assert_false(cql_address_equal(&four, &six));
	assert_true(cql_address_equal(&six, &six));
}

static void a_list_is_read_to_its_end(void **state)
{
	static const char list[] = "\0\0\0\3"
				   "\0\0\0\1a"
				   "\xff\xff\xff\xff"
				   "\0\0\0\0";
	struct cql_items items;
	struct cql_value item;

	assert_int_equal(cql_read_list(bytes(list, sizeof(list) - 1), &items), 0);
	assert_true(cql_items_next(&items, &item));
	assert_int_equal(item.size, 1);
	assert_true(cql_items_next(&items, &item));
	assert_true(cql_is_null(item));
	assert_true(cql_items_next(&items, &item));
	assert_int_equal(item.size, 0);
	assert_false(cql_items_next(&items, &item));
}

static void in_a_map_keys_and_values_alternate(void **state)
{
	static const char map[] = "\0\0\0\1"
				  "\0\0\0\1k"
				  "\0\0\0\2vv";
	struct cql_items items;
	struct cql_value key, value, more;

	assert_int_equal(cql_read_map(bytes(map, sizeof(map) - 1), &items), 0);
	assert_true(cql_items_next(&items, &key) && cql_items_next(&items, &value));
	assert_memory_equal(key.bytes, "k", 1);
	assert_int_equal(value.size, 2);
	assert_false(cql_items_next(&items, &more));
}

static void a_null_collection_is_empty(void **state)
{
	struct cql_items items;
	struct cql_value item;

	assert_int_equal(cql_read_list(cql_null(), &items), 0);
	assert_false(cql_items_next(&items, &item));
}

static void a_collection_that_is_not_whole_is_refused(void **state)
{
	struct cql_items items;

	assert_int_equal(cql_read_list(bytes("", 0), &items), -EPROTO);
	assert_int_equal(cql_read_list(bytes("\0\0\0\1", 4), &items), -EPROTO);
	assert_int_equal(cql_read_list(bytes("\0\0\0\1\0\0\0\1", 8), &items), -EPROTO);
	assert_int_equal(cql_read_list(bytes("\0\0\0\0x", 5), &items), -EPROTO);
	assert_int_equal(cql_read_list(bytes("\xff\xff\xff\xff\0\0\0\0", 8), &items), -EPROTO);
	assert_int_equal(cql_read_map(bytes("\0\0\0\1\0\0\0\0", 8), &items), -EPROTO);
	assert_int_equal(cql_read_map(bytes("\x80\0\0\0\0\0\0\0\0\0\0\0", 12), &items), -EPROTO);
}

static void one_column_is_a_key_as_it_is_and_several_are_framed(void **state)
{
	const struct cql_value columns[] = { cql_text("ab"), CQL_INT(7), cql_text("") };
	CLEANUP(buffer_deinit) struct buffer key;

	buffer_init(&key, 100);
	assert_int_equal(cql_key_write(&key, columns, 1), 0);
	assert_int_equal(key.size, 2);
	assert_memory_equal(key.bytes, "ab", 2);
	buffer_clear(&key);
	assert_int_equal(cql_key_write(&key, columns, 3), 0);
	assert_int_equal(key.size, 15);
	assert_memory_equal(key.bytes, "\0\2ab\0\0\4\0\0\0\7\0\0\0\0", 15);
}

static void what_is_no_key_is_refused(void **state)
{
	CLEANUP(buffer_deinit) struct buffer key;
	char *large = calloc(1, 65536);
	const struct cql_value one = cql_blob(large, 65535), more = cql_blob(large, 65536);
	const struct cql_value two[] = { cql_blob(large, 65529), cql_text("") };
	const struct cql_value over[] = { cql_blob(large, 65529), cql_text("a") };
	const struct cql_value with_null[] = { cql_text("a"), cql_null() };
	const struct cql_value with_unset[] = { cql_unset(), cql_text("a") };

	assert_non_null(large);
	buffer_init(&key, 1 << 20);
	assert_int_equal(cql_key_write(&key, NULL, 0), -EINVAL);
	assert_int_equal(cql_key_write(&key, &more, 1), -EINVAL);
	assert_int_equal(cql_key_write(&key, over, 2), -EINVAL);
	assert_int_equal(cql_key_write(&key, with_null, 2), -EINVAL);
	assert_int_equal(cql_key_write(&key, with_unset, 2), -EINVAL);
	assert_int_equal(key.size, 0);
	assert_int_equal(cql_key_write(&key, &one, 1), 0);
	assert_int_equal(cql_key_write(&key, two, 2), 0);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_made_is_read_back),
		cmocka_unit_test(booleans_and_uuids_are_read),
		cmocka_unit_test(numbers_are_big_endian),
		cmocka_unit_test(another_size_and_null_are_no_numbers),
		cmocka_unit_test(a_text_must_be_text_and_fit),
		cmocka_unit_test(an_address_is_printed_without_its_port),
		cmocka_unit_test(a_list_is_read_to_its_end),
		cmocka_unit_test(in_a_map_keys_and_values_alternate),
		cmocka_unit_test(a_null_collection_is_empty),
		cmocka_unit_test(a_collection_that_is_not_whole_is_refused),
		cmocka_unit_test(one_column_is_a_key_as_it_is_and_several_are_framed),
		cmocka_unit_test(what_is_no_key_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
