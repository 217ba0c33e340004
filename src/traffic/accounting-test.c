/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include "traffic/accounting.h"

#define COMMENT(text) "-m comment --comment \"" text "\"\n"
#define OWN           COMMENT(" 112 10.0.0.3 accounting rule ")

static struct accounting parse(const char *text)
{
	struct accounting accounting;

	assert_int_equal(accounting_parse(text, strlen(text), &accounting), 0);
	return accounting;
}

/* Where there is one entry, all of it as text. */
static const char *only_entry(const struct accounting *accounting)
{
	const struct accounting_entry *entry = accounting->entries;
	static char text[256];
	char address[TRAFFIC_LABEL_MAX + 1], in[32] = "-", out[32] = "-";

	assert_int_equal(accounting->count, 1);
	if (entry->has_in)
		snprintf(in, sizeof(in), "%llu", (unsigned long long)entry->in_bytes);
	if (entry->has_out)
		snprintf(out, sizeof(out), "%llu", (unsigned long long)entry->out_bytes);
	snprintf(text, sizeof(text), "%lld %s in %s out %s", (long long)entry->id,
		traffic_address_format(&entry->address, address), in, out);
	return text;
}

static void assert_only(const char *text, const char *expected)
{
	CLEANUP(accounting_deinit) struct accounting accounting = parse(text);

	assert_int_equal(accounting.refused, 0);
	assert_string_equal(only_entry(&accounting), expected);
}

static void assert_refused(const char *text)
{
	CLEANUP(accounting_deinit) struct accounting accounting = parse(text);

	if (accounting.count != 0 || accounting.refused != 1)
		fail_msg("%zu read, %zu refused: %s", accounting.count, accounting.refused, text);
}

static void a_rule_without_an_address_goes_by_its_interface(void **state)
{
	assert_only(
		"[12:3456] -A nova-compute-f-inst-112 -o eth0 " OWN, "112 10.0.0.3 in - out 3456");
	assert_only("[1:60] -A nova-compute-f-inst-112 -i eth0 " OWN, "112 10.0.0.3 in 60 out -");
	assert_only("[1:60] -A FORWARD -i br100 -o eth0 " OWN, "112 10.0.0.3 in - out 60");
	assert_only("[1:60] -A FORWARD -i br100 ! -o eth0 " OWN, "112 10.0.0.3 in 60 out -");
}

static void a_rule_with_the_address_goes_by_the_end_that_has_it(void **state)
{
	assert_only("[1:60] -A f -s 10.0.0.3/32 -i eth0 " OWN, "112 10.0.0.3 in - out 60");
	assert_only("[1:60] -A f -d 10.0.0.3 -o eth0 -p tcp -m tcp --dport 80 " OWN,
		"112 10.0.0.3 in 60 out -");
	assert_only("[1:60] -A f -d fd00:0::3/128 " COMMENT("7 fd00::0:3 accounting rule"),
		"7 fd00::3 in 60 out -");
}

static void both_directions_of_an_address_are_one_entry(void **state)
{
	assert_only("*filter\n:INPUT ACCEPT [2:284]\n"
		    "[9223372036854775807:9223372036854775807] -A a -o eth0 " OWN
		    "[0:0] -A b -j a\n[0:0] -A b -i eth0 " OWN "COMMIT\n",
		"112 10.0.0.3 in 0 out 9223372036854775807");
}

static void a_comment_may_lack_its_blanks_and_stand_beside_others(void **state)
{
	assert_only("[1:2] -A f -o e " COMMENT("112 10.0.0.3 accounting rule"),
		"112 10.0.0.3 in - out 2");
	assert_only("[1:2] -A f -o e -m comment --comment two -m comment --comment \"a \\\" b\" "
		    "-m comment --comment \"\\ 1 10.0.0.3/32 accounting rule \" -j RETURN\n",
		"1 10.0.0.3 in - out 2");
}

static void lines_without_the_words_are_not_looked_at(void **state)
{
	CLEANUP(accounting_deinit)
	struct accounting accounting = parse("# Generated\n*filter\n:a - [0:0]\n[1:2] -A f -o e\n"
					     "[1:2] -A f -o e -m comment --comment \"\n\n"
					     "[x:2] -A f -m comment --comment accounting\n");

	assert_int_equal(accounting.count, 0);
	assert_int_equal(accounting.refused, 0);
}

static void what_may_not_be_just_that_address_is_refused(void **state)
{
	assert_refused("[1:2] -A f ! -s 10.0.0.3/32 -o e " OWN);
	assert_refused("[1:2] -A f ! -d 10.0.0.9/32 -o e " OWN);
	assert_refused("[1:2] -A f -s 10.0.0.4/32 -o e " OWN);
	assert_refused("[1:2] -A f -s 10.0.0.3/32 -d 10.0.0.4/32 " OWN);
	assert_refused("[1:2] -A f -s 10.0.0.3/32 -d 10.0.0.3/32 " OWN);
	assert_refused("[1:2] -A f -s 10.0.0.0/24 -o e " OWN);
	assert_refused("[1:2] -A f -s ::ffff:10.0.0.3/128 " OWN);
	assert_refused("[1:2] -A f " OWN);
	assert_refused("[1:2] -A f ! -o e " OWN);
}

static void options_behind_a_match_give_no_direction(void **state)
{
	assert_refused("[1:2] -A f -m comment --comment \"-o e\" " OWN);
	assert_refused("[1:2] -A f -m string --string -o " OWN);
}

static void damaged_rules_are_refused(void **state)
{
	static const char *const texts[] = {
		"-A f -o e " OWN,
		"[1] -A f -o e " OWN,
		"[1:] -A f -o e " OWN,
		"[1:-2] -A f -o e " OWN,
		"[:2] -A f -o e " OWN,
		"[1:2 -A f -o e " OWN,
		"[1:2]] -A f -o e " OWN,
		"[1]:2 -A f -o e " OWN,
		"[1:9223372036854775808] -A f -o e " OWN,
		"[1:2] -I f -o e " OWN,
		"[1:2] -A f -o " OWN,
		"[1:2] -A f - o e " OWN,
		"[1:2] -A f ! " OWN,
		"[1:2] -A f -o e accounting rule\n",
		"[1:2] -A f -o e -m comment --comment \" 112 10.0.0.3 accounting rule \n",
		"[1:2] -A f -o e " COMMENT(" 112 10.0.0.3 accounting rules "),
		"[1:2] -A f -o e " COMMENT(" 112 10.0.0 accounting rule "),
		"[1:2] -A f -o e " COMMENT(" 112 10.0.0.0/24 accounting rule "),
		"[1:2] -A f -o e " COMMENT(" 112  accounting rule "),
		"[1:2] -A f -o e " COMMENT(" -1 10.0.0.3 accounting rule "),
		"[1:2] -A f -o e " COMMENT(" 0x70 10.0.0.3 accounting rule "),
		"[1:2] -A f -o e " COMMENT(" 112 10.0.0.3  accounting rule "),
		"[1:2] -A f -o e -m comment --comment \" 1 10.0.0.3 accounting rule \" " OWN,
		"[1:2] -A f -o e -m comment --comment \" 112 10.0.0.3 accounting rule \"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_refused(texts[i]);
}

static void a_zero_byte_is_damage(void **state)
{
	static const char text[] = "[1:2] -A f -o e\0 " OWN;
	CLEANUP(accounting_deinit) struct accounting accounting;

	assert_int_equal(accounting_parse(text, sizeof(text) - 1, &accounting), 0);
	assert_int_equal(accounting.refused, 1);
}

static void of_rules_for_the_same_the_first_one_counts(void **state)
{
	CLEANUP(accounting_deinit)
	struct accounting accounting =
		parse("[1:10] -A a -o e " OWN "[1:20] -A b -o e " OWN "[1:30] -A b -i e " OWN
		      "[1:40] -A c -i e " OWN "[1:50] -A c -s 10.0.0.3/32 " OWN);

	assert_int_equal(accounting.refused, 3);
	assert_string_equal(only_entry(&accounting), "112 10.0.0.3 in 30 out 10");
}

static void entries_are_sorted_and_apart_by_instance_and_address(void **state)
{
	static const char *const owners[] = { "20 10.0.0.3", "3 fd00::3", "3 10.0.0.4",
		"3 10.0.0.3" };
	CLEANUP(accounting_deinit) struct accounting accounting = { 0 };
	char text[1024];
	size_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size,
			"[1:%zu] -A f -o e -m comment --comment \"%s accounting rule\"\n", i,
			owners[i]);
	accounting = parse(text);
	assert_int_equal(accounting.count, ARRAY_SIZE(owners));
	for (size_t i = 0; i < accounting.count; i++)
		assert_int_equal(accounting.entries[i].out_bytes, accounting.count - 1 - i);
}

static void a_line_that_is_too_long_is_refused(void **state)
{
	static const char rule[] = "[1:2] -A f -o e " OWN;
	char text[ACCOUNTING_LINE_MAX + 3];

	memset(text, ' ', sizeof(text));
	memcpy(text + sizeof(text) - sizeof(rule), rule, sizeof(rule));
	assert_refused(text);
	assert_only(text + 1, "112 10.0.0.3 in - out 2");
}

/* Also says that reading is not quadratic: it would take many times the limit of the test. */
static void more_addresses_than_the_maximum_are_refused(void **state)
{
	enum { LINES = 2 * ACCOUNTING_MAX + 8, LINE_SIZE = 128 };
	char *text = malloc(LINES * LINE_SIZE);
	CLEANUP(accounting_deinit) struct accounting accounting = { 0 };
	size_t size = 0;

	assert_non_null(text);
	for (unsigned int i = 0; i < LINES; i++) {
		unsigned int n = (ACCOUNTING_MAX - i / 2) * 7919 % 65536;

		size += (size_t)snprintf(text + size, LINE_SIZE,
			"[1:%u] -A f -%c e -m comment --comment \" %u 10.9.%u.%u accounting rule "
			"\"\n",
			i, i % 2 ? 'o' : 'i', n, n / 256, n % 256);
	}
	assert_int_equal(accounting_parse(text, size, &accounting), 0);
	assert_int_equal(accounting.count, ACCOUNTING_MAX);
	assert_int_equal(accounting.refused, 8);
	for (size_t i = 0; i < accounting.count; i++)
		assert_true(accounting.entries[i].has_in && accounting.entries[i].has_out);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_without_an_address_goes_by_its_interface),
		cmocka_unit_test(a_rule_with_the_address_goes_by_the_end_that_has_it),
		cmocka_unit_test(both_directions_of_an_address_are_one_entry),
		cmocka_unit_test(a_comment_may_lack_its_blanks_and_stand_beside_others),
		cmocka_unit_test(lines_without_the_words_are_not_looked_at),
		cmocka_unit_test(what_may_not_be_just_that_address_is_refused),
		cmocka_unit_test(options_behind_a_match_give_no_direction),
		cmocka_unit_test(damaged_rules_are_refused),
		cmocka_unit_test(a_zero_byte_is_damage),
		cmocka_unit_test(of_rules_for_the_same_the_first_one_counts),
		cmocka_unit_test(entries_are_sorted_and_apart_by_instance_and_address),
		cmocka_unit_test(a_line_that_is_too_long_is_refused),
		cmocka_unit_test(more_addresses_than_the_maximum_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
