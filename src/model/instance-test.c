/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/batch.h"
#include "model/instance.h"

static const char text_form[] = "5f9a3a2c-8d0e-4b8e-9c55-0123456789ab";

static void a_uuid_is_the_same_with_and_without_hyphens(void **state)
{
	struct uuid a, b;
	char text[UUID_TEXT_SIZE];

	assert_int_equal(uuid_parse(text_form, &a), 0);
	assert_int_equal(uuid_parse("5F9A3A2C8D0E4B8E9C550123456789AB", &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_string_equal(uuid_format(&b, text), text_form);
}

static void what_is_no_uuid_is_refused(void **state)
{
	static const char *const texts[] = { "", "instance-00000001",
		"5f9a3a2c8d0e4b8e9c550123456789a", "5f9a3a2c8d0e4b8e9c550123456789abc",
		"5f9a3a2c-8d0e-4b8e-9c55-0123456789ag", "5f9a3a2c-8d0e-4b8e-9c550-123456789ab" };
	struct uuid uuid;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_true(uuid_parse(texts[i], &uuid) < 0);
}

static void a_name_is_never_equal_to_a_uuid(void **state)
{
	struct instance_key by_uuid = { .has_uuid = true }, by_name = { .name = text_form },
			    same_name = { .name = text_form };
	char text[UUID_TEXT_SIZE];

	assert_int_equal(uuid_parse(text_form, &by_uuid.uuid), 0);
	assert_false(instance_key_equal(&by_uuid, &by_name));
	assert_true(instance_key_equal(&by_name, &same_name));
	assert_true(instance_key_hash(&by_name) == instance_key_hash(&same_name));
	assert_string_equal(instance_key_text(&by_uuid, text), text_form);
}

static void infos_differ_by_what_held_and_not_by_when_it_was_learned(void **state)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct instance_info a, b;

	assert_int_equal(batch_new(&batch), 0);
	a = *batch_add_info(batch);
	b = a;
	b.since_ms = 5;
	assert_true(instance_info_equal(&a, &b));
	b.flavor_name = "m1.small";
	assert_false(instance_info_equal(&a, &b));
}

static void a_batch_counts_only_values_that_were_given(void **state)
{
	CLEANUP(batch_free) struct batch *batch = NULL;

	assert_int_equal(batch_new(&batch), 0);
	for (unsigned int i = 0; i < 100; i++) {
		struct reading *reading = batch_add_reading(batch);

		assert_true(reading->start_ms == EPOCH_START_UNKNOWN);
		for (unsigned int k = 0; k < 3; k++) {
			struct tuple *tuple = batch_add_tuple(batch, reading);

			tuple_set(tuple, 0, 0);
			tuple_set(tuple, 2, 5);
			assert_false(tuple_has(tuple, 1));
		}
	}
	assert_int_equal(batch->reading_count, 100);
	assert_int_equal(batch_sample_count(batch), 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uuid_is_the_same_with_and_without_hyphens),
		cmocka_unit_test(what_is_no_uuid_is_refused),
		cmocka_unit_test(a_name_is_never_equal_to_a_uuid),
		cmocka_unit_test(infos_differ_by_what_held_and_not_by_when_it_was_learned),
		cmocka_unit_test(a_batch_counts_only_values_that_were_given),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
