/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void what_is_taken_is_zeroed_and_aligned(void **state)
{
	CLEANUP(arena_deinit) struct arena arena;

	arena_init(&arena, 1 << 20);
	for (size_t size = 1; size < 5000; size += 77) {
		uint8_t *bytes = arena_take(&arena, size);

		assert_non_null(bytes);
		assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(bytes[i], 0);
		memset(bytes, 0xff, size);
	}
	arena_clear(&arena);
	assert_int_equal(*(uint8_t *)arena_take(&arena, 1), 0);
}

static void more_than_the_maximum_is_refused(void **state)
{
	CLEANUP(arena_deinit) struct arena arena;

	arena_init(&arena, 64 * 1024);
	assert_null(arena_take(&arena, 64 * 1024 + 1));
	assert_non_null(arena_take(&arena, 40 * 1024));
	assert_null(arena_take(&arena, 40 * 1024));
	assert_null(arena_take_array(&arena, SIZE_MAX / 2, 4));
}

static void a_copied_text_ends(void **state)
{
	CLEANUP(arena_deinit) struct arena arena;

	arena_init(&arena, 64 * 1024);
	assert_string_equal(arena_copy_text(&arena, "vnet0-and-more", 5), "vnet0");
}

static void an_array_grows_up_to_its_maximum(void **state)
{
	CLEANUP(arena_deinit) struct arena arena;
	int *numbers = NULL;

	arena_init(&arena, 64 * 1024);
	for (int i = 0; i < 100; i++) {
		numbers = arena_grow(&arena, numbers, (size_t)i, 100, sizeof(*numbers));
		assert_non_null(numbers);
		numbers[i] = i;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(numbers[i], i);
	assert_null(arena_grow(&arena, numbers, 100, 100, sizeof(*numbers)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_is_zeroed_and_aligned),
		cmocka_unit_test(more_than_the_maximum_is_refused),
		cmocka_unit_test(a_copied_text_ends),
		cmocka_unit_test(an_array_grows_up_to_its_maximum),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
