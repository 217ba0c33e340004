/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/cassandra/private.h"

static const char UUID[] = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968";

static struct tuple tuples[] = {
	{ .group = METRIC_GROUP_CPU,
		.present = 1,
		.parameter = "total",
		.life = "",
		.values = { INT64_MAX } },
	{ .group = METRIC_GROUP_NIC,
		.present = 5,
		.parameter = "vnet0",
		.life = "3",
		.has_start = true,
		.start_ms = EPOCH_START_UNKNOWN,
		.values = { INT64_MIN, 77, -1 } },
};

static struct reading reading_of_two(void)
{
	return (struct reading){ .time_ms = 1700006400000,
		.epoch = "h1/boot/7/9",
		.start_ms = 1700000000000,
		.segment = UINT32_MAX,
		.tuples = tuples,
		.tuple_count = 2 };
}

struct found {
	struct decoded tuples[4];
	size_t count;
};

static int take(void *context, const struct decoded *decoded)
{
	struct found *found = context;

	assert_in_range(found->count, 0, 3);
	found->tuples[found->count++] = *decoded;
	return 0;
}

static int refuse(void *context, const struct decoded *decoded)
{
	return 7;
}

static void write_one(struct buffer *buffer, bool has_values)
{
	const struct reading reading = reading_of_two();

	buffer_init(buffer, READING_BYTES_MAX);
	if (has_values)
		reading_write(buffer, &reading);
	else
		shape_write(buffer, &reading);
	assert_int_equal(buffer_check(buffer), 0);
}

static void assert_tuples(const struct found *found)
{
	assert_int_equal(found->count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(found->tuples[i].epoch, "h1/boot/7/9");
		assert_int_equal(found->tuples[i].segment, UINT32_MAX);
		assert_int_equal(found->tuples[i].group, tuples[i].group);
		assert_string_equal(found->tuples[i].parameter, tuples[i].parameter);
		assert_string_equal(found->tuples[i].life, tuples[i].life);
		assert_int_equal(found->tuples[i].present, tuples[i].present);
	}
	assert_int_equal(found->tuples[0].start_ms, 1700000000000);
	assert_true(found->tuples[1].start_ms == EPOCH_START_UNKNOWN);
}

static void a_reading_comes_back_as_it_was(void **state)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	struct found found = { .count = 0 };

	write_one(&buffer, true);
	assert_int_equal(reading_read(buffer.bytes, buffer.size, take, &found), 0);
	assert_tuples(&found);
	assert_true(found.tuples[0].values[0] == INT64_MAX);
	assert_true(found.tuples[1].values[0] == INT64_MIN);
	assert_true(found.tuples[1].values[2] == -1);
	assert_int_equal(reading_read(buffer.bytes, buffer.size, refuse, NULL), 7);
}

static void a_shape_is_a_reading_without_its_values(void **state)
{
	CLEANUP(buffer_deinit) struct buffer one, other;
	struct found found = { .count = 0 };
	int64_t value = tuples[0].values[0];

	write_one(&one, false);
	tuples[0].values[0] = 5;
	write_one(&other, false);
	tuples[0].values[0] = value;
	assert_int_equal(shape_read(one.bytes, one.size, take, &found), 0);
	assert_tuples(&found);
	assert_int_equal(one.size, other.size);
	assert_memory_equal(one.bytes, other.bytes, one.size);
}

static int ignore(void *context, const struct decoded *decoded)
{
	return 0;
}

static void what_is_cut_or_too_long_is_refused(void **state)
{
	CLEANUP(buffer_deinit) struct buffer buffer;

	write_one(&buffer, true);
	for (size_t size = 0; size < buffer.size; size++)
		assert_int_equal(reading_read(buffer.bytes, size, ignore, NULL), -EBADMSG);
	buffer_write_u8(&buffer, 0);
	assert_int_equal(reading_read(buffer.bytes, buffer.size, ignore, NULL), -EBADMSG);
}

/* Under the sanitizers: it may be refused or read as something else, no more. */
static void any_bit_may_be_wrong(void **state)
{
	CLEANUP(buffer_deinit) struct buffer buffer;

	write_one(&buffer, true);
	for (size_t bit = 0; bit < buffer.size * 8; bit++) {
		uint8_t *copy = malloc(buffer.size);

		assert_non_null(copy);
		memcpy(copy, buffer.bytes, buffer.size);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		(void)!reading_read(copy, buffer.size, ignore, NULL);
		(void)!shape_read(copy, buffer.size, ignore, NULL);
		free(copy);
	}
}

static void bundle_two(struct buffer *bundle)
{
	CLEANUP(buffer_deinit) struct buffer reading;

	write_one(&reading, true);
	buffer_init(bundle, 2 * READING_BYTES_MAX);
	bundle_begin(bundle);
	bundle_add(bundle, UUID, reading.bytes, reading.size);
	bundle_add(bundle, "name:b", reading.bytes, reading.size);
	bundle_add(bundle, UUID, reading.bytes, reading.size);
	assert_int_equal(buffer_check(bundle), 0);
}

static struct cursor over_bundle(const struct buffer *bundle)
{
	return cursor_over(bundle->bytes + 1, bundle->size - 1);
}

static void an_instance_is_found_among_others(void **state)
{
	CLEANUP(buffer_deinit) struct buffer bundle;
	struct found found = { .count = 0 };
	struct bundled bundled;
	struct cursor cursor;

	bundle_two(&bundle);
	cursor = over_bundle(&bundle);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bundle_next(&cursor, &bundled), 1);
	assert_int_equal(bundle_next(&cursor, &bundled), 0);

	cursor = over_bundle(&bundle);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bundle_find(&cursor, UUID, &bundled), 1);
		assert_int_equal(reading_read(bundled.bytes, bundled.size, take, &found), 0);
	}
	assert_int_equal(bundle_find(&cursor, UUID, &bundled), 0);
	assert_int_equal(found.count, 4);

	cursor = over_bundle(&bundle);
	assert_int_equal(bundle_find(&cursor, "name:b", &bundled), 1);
	assert_int_equal(bundle_find(&cursor, "name:b", &bundled), 0);
	cursor = over_bundle(&bundle);
	assert_int_equal(bundle_find(&cursor, "name:", &bundled), 0);
}

/* Returns what came at the end. */
static int read_bundle(const uint8_t *bytes, size_t size)
{
	struct cursor cursor = cursor_over(bytes, size);
	struct bundled bundled;
	int r;

	while ((r = bundle_next(&cursor, &bundled)) == 1) {
		assert_in_range(bundled.id_size, 0, INSTANCE_ID_SIZE - 1);
		(void)!reading_read(bundled.bytes, bundled.size, ignore, NULL);
	}
	return r;
}

static void a_bundle_may_be_cut_or_wrong(void **state)
{
	CLEANUP(buffer_deinit) struct buffer bundle;
	size_t ends = 0;

	bundle_two(&bundle);
	for (size_t size = 0; size < bundle.size; size++) {
		uint8_t *copy = malloc(size + 1);

		assert_non_null(copy);
		memcpy(copy, bundle.bytes + 1, size);
		ends += read_bundle(copy, size) == 0;
		free(copy);
	}
	assert_int_equal(ends, 4); /* behind each, and before the first */
	for (size_t bit = 0; bit < bundle.size * 8; bit++) {
		bundle.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		(void)!read_bundle(bundle.bytes, bundle.size);
		bundle.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_digest_is_the_begin_of_sha_256(void **state)
{
	static const uint8_t of_abc[DIGEST_SIZE] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
		0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23 };
	CLEANUP(digester_deinit) struct digester digester;
	struct digest digest;

	assert_int_equal(digester_init(&digester), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(digester_of(&digester, "abc", 3, &digest), 0);
		assert_memory_equal(digest.bytes, of_abc, DIGEST_SIZE);
	}
}

static void instances_are_called_by_uuid_or_name(void **state)
{
	struct instance_key key = { .has_uuid = true }, came;
	char id[INSTANCE_ID_SIZE], name[INSTANCE_ID_SIZE];

	assert_int_equal(uuid_parse(UUID, &key.uuid), 0);
	assert_int_equal(instance_id_write(&key, id), 0);
	assert_string_equal(id, UUID);
	assert_int_equal(instance_id_read(id, &came), 0);
	assert_true(instance_key_equal(&key, &came));

	/* A name that looks like a UUID is none. */
	key = (struct instance_key){ .name = UUID };
	assert_int_equal(instance_id_write(&key, id), 0);
	assert_string_not_equal(id, UUID);
	assert_int_equal(instance_id_read(id, &came), 0);
	assert_true(instance_key_equal(&key, &came));

	assert_int_equal(instance_id_read("nothing", &came), -EBADMSG);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	key.name = name;
	assert_int_equal(instance_id_write(&key, id), -EMSGSIZE);
}

static void note_number(struct noted *noted, uint64_t number)
{
	struct digest digest = { 0 };

	number = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	memcpy(digest.bytes, &number, sizeof(number));
	noted_add(noted, &digest);
	assert_true(noted_has(noted, &digest));
}

static bool has_number(const struct noted *noted, uint64_t number)
{
	struct digest digest = { 0 };

	number = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	memcpy(digest.bytes, &number, sizeof(number));
	return noted_has(noted, &digest);
}

static void what_was_noted_long_ago_is_forgotten(void **state)
{
	struct noted noted = { 0 };
	uint64_t number = 0;

	assert_int_equal(noted_init(&noted), 0);
	assert_false(has_number(&noted, 0));
	while (number < 1000000)
		note_number(&noted, number++);
	for (uint64_t i = 0; i < number; i += 997)
		assert_true(has_number(&noted, i));
	while (number < 3500000)
		note_number(&noted, number++);
	assert_false(has_number(&noted, 0));
	assert_true(has_number(&noted, number - 1000000));
	assert_false(has_number(&noted, number));
	noted_deinit(&noted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reading_comes_back_as_it_was),
		cmocka_unit_test(a_shape_is_a_reading_without_its_values),
		cmocka_unit_test(what_is_cut_or_too_long_is_refused),
		cmocka_unit_test(any_bit_may_be_wrong),
		cmocka_unit_test(an_instance_is_found_among_others),
		cmocka_unit_test(a_bundle_may_be_cut_or_wrong),
		cmocka_unit_test(a_digest_is_the_begin_of_sha_256),
		cmocka_unit_test(instances_are_called_by_uuid_or_name),
		cmocka_unit_test(what_was_noted_long_ago_is_forgotten),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
