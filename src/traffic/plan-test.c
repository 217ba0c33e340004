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
#include "base/text.h"
#include "traffic/plan.h"

#define RULES "kanyun 1 0123456789abcdef"
#define LIFE  "01234567.5.1000"

static const struct plan_context both_ways = { false, "01234567", RULES, 2000 };
static const struct plan_context one_way = { true, "01234567", RULES, 2000 };

struct world {
	struct arena arena;
	struct kernel_layout layout;
	struct kernel_chain chains[8];
	struct kernel_element items[64];
	struct kernel_elements elements;
	struct traffic_port ports[8];
	struct plan_port wanted[8];
	size_t wanted_count;
	struct plan_row *rows;
	size_t row_count;
	struct buffer text;
};

static void add_chain(struct world *world, const char *name, unsigned int rules)
{
	struct kernel_chain *chain = &world->chains[world->layout.chain_count++];

	assert_true(text_copy(chain->name, sizeof(chain->name), name));
	chain->rules = chain->right_rules = rules;
}

/* In the order of their names, as the kernel's are sorted. */
static void begin(struct world *world)
{
	*world = (struct world){ .layout = { .has_table = true, .handle = 5 } };
	arena_init(&world->arena, 1 << 20);
	buffer_init(&world->text, 1 << 20);
	world->layout.chains = world->chains;
	world->elements.items = world->items;
	add_chain(world, "from_instance", 4);
	add_chain(world, "in7", 1);
	add_chain(world, "out7", 1);
	add_chain(world, "to_instance", 4);
}

static void end(struct world *world)
{
	arena_deinit(&world->arena);
	buffer_deinit(&world->text);
}

static struct traffic_address address_of(const char *text)
{
	struct traffic_address address;

	assert_int_equal(traffic_address_parse(text, &address), 0);
	return address;
}

static void count(struct world *world, uint32_t index, const char *address, const char *comment)
{
	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++) {
		struct kernel_element *element = &world->items[world->elements.count++];

		*element = (struct kernel_element){ .index = index,
			.address = address_of(address),
			.kind = kind,
			.packets = 10,
			.bytes = 1000 + kind };
		assert_true(text_copy(element->comment, sizeof(element->comment), comment));
	}
}

static void want(struct world *world, uint32_t index, const char *address, const char *label)
{
	struct traffic_port *port = &world->ports[world->wanted_count];

	snprintf(port->nic, sizeof(port->nic), "vnet%u", index);
	port->index = index;
	port->address = address_of(address);
	assert_true(text_copy(port->label, sizeof(port->label), label));
	world->wanted[world->wanted_count++].port = port;
}

/* The transaction, "": there is nothing to do. */
static const char *plan(struct world *world, const struct plan_context *context)
{
	assert_int_equal(plan_rows(&world->elements, context, &world->layout, &world->arena,
				 &world->rows, &world->row_count),
		0);
	plan_match(world->rows, world->row_count, world->wanted, world->wanted_count,
		&world->layout, context);
	plan_write_changes(&world->text, world->rows, world->row_count, world->wanted,
		world->wanted_count, &world->layout, context);
	buffer_write_u8(&world->text, 0);
	assert_int_equal(buffer_check(&world->text), 0);
	return (const char *)world->text.bytes;
}

static void assert_has(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text ? text : "");
}

static void assert_has_not(const char *text, const char *part)
{
	if (!text || strstr(text, part))
		fail_msg("there is '%s' in:\n%s", part, text ? text : "");
}

static void what_is_as_wanted_is_left_alone(void **state)
{
	struct world world;

	begin(&world);
	count(&world, 7, "10.0.0.2", LIFE " whole");
	count(&world, 7, "2001:db8::2", LIFE " as 203.0.113.7");
	want(&world, 7, "10.0.0.2", "");
	want(&world, 7, "2001:db8::2", "203.0.113.7");
	assert_string_equal(plan(&world, &both_ways), "");
	assert_int_equal(world.row_count, 2);
	assert_true(world.rows[0].is_kept && world.rows[0].is_whole);
	assert_true(world.rows[1].is_kept && !world.rows[1].is_whole);
	end(&world);
}

static void headers_of_incoming_frames_do_not_count(void **state)
{
	struct traffic_counter counter;
	struct world world;

	begin(&world);
	count(&world, 7, "10.0.0.2", LIFE);
	world.items[TRAFFIC_INTERNAL_IN].bytes = 100; /* less than its headers */
	want(&world, 7, "10.0.0.2", "");
	plan(&world, &both_ways);
	counter = plan_counter(&world.rows[0]);
	assert_int_equal(counter.bytes[TRAFFIC_EXTERNAL_IN], 1000 + TRAFFIC_EXTERNAL_IN - 140);
	assert_int_equal(counter.bytes[TRAFFIC_EXTERNAL_OUT], 1000 + TRAFFIC_EXTERNAL_OUT);
	assert_int_equal(counter.bytes[TRAFFIC_INTERNAL_OUT], 1000 + TRAFFIC_INTERNAL_OUT);
	assert_int_equal(counter.bytes[TRAFFIC_INTERNAL_IN], 0);
	assert_false(counter.is_final);
	end(&world);
}

/* A row with that comment gets a new life, in a new element. */
static void assert_replaced(const char *comment, bool has_life)
{
	struct world world;
	const char *text;

	begin(&world);
	count(&world, 7, "10.0.0.2", comment);
	want(&world, 7, "10.0.0.2", "");
	text = plan(&world, &both_ways);
	assert_has(text, "delete element netdev kanyun external_in4 { 7 . 10.0.0.2 }\n");
	assert_has(text, "add element netdev kanyun external_in4 { 7 . 10.0.0.2 counter comment "
			 "\"01234567.5.2000\" }\n");
	assert_true(strstr(text, "delete") < strstr(text, "add"));
	assert_has_not(text, "chain");
	if (has_life != (*world.rows[0].life != '\0'))
		fail_msg("life of '%s': '%s'", comment, world.rows[0].life);
	end(&world);
}

static void what_is_not_of_our_making_is_replaced(void **state)
{
	assert_replaced("", false);
	assert_replaced("01234567.5.", false);
	assert_replaced("01234567.5.10x", false);
	assert_replaced("01234567.4.1000", false); /* of another table */
	assert_replaced("76543210.5.1000", false); /* of another boot */
	assert_replaced(LIFE " wholly", false);
	assert_replaced(LIFE " as nobody", false);
	assert_replaced(LIFE " as 203.0.113.7", true); /* under another address */
}

static void sets_that_disagree_have_no_life(void **state)
{
	struct world world;

	begin(&world);
	count(&world, 7, "10.0.0.2", LIFE);
	world.items[TRAFFIC_EXTERNAL_OUT].comment[0] = '1';
	count(&world, 7, "10.0.0.3", LIFE);
	world.elements.count--; /* one set lacks it */
	want(&world, 7, "10.0.0.2", "");
	want(&world, 7, "10.0.0.3", "");
	assert_has(plan(&world, &both_ways), "10.0.0.3 counter");
	assert_string_equal(world.rows[0].life, "");
	assert_string_equal(world.rows[1].life, "");
	end(&world);
}

static void a_tap_without_its_rules_ends_its_lives(void **state)
{
	struct world world;
	const char *text;

	begin(&world);
	world.chains[1].right_rules = 0; /* in7 */
	count(&world, 7, "10.0.0.2", LIFE);
	want(&world, 7, "10.0.0.2", "");
	text = plan(&world, &both_ways);
	assert_false(world.rows[0].is_kept);
	assert_string_equal(world.rows[0].life, LIFE);
	assert_has(text, "flush chain netdev kanyun in7\n"
			 "add rule netdev kanyun in7 jump to_instance comment \"" RULES "\"\n");
	assert_has(text, "{ type filter hook egress device \"vnet7\" priority -300;");
	end(&world);
}

static void taps_come_and_go(void **state)
{
	struct world world;
	const char *text;

	begin(&world);
	count(&world, 7, "10.0.0.2", LIFE);
	want(&world, 8, "10.0.0.2", "");
	world.wanted[0].is_whole = true;
	text = plan(&world, &both_ways);
	assert_has(text, "delete chain netdev kanyun in7\n");
	assert_has(text, "delete chain netdev kanyun out7\n");
	assert_has(
		text, "add chain netdev kanyun out8 { type filter hook ingress device \"vnet8\"");
	assert_has(text, "delete element netdev kanyun internal_out4 { 7 . 10.0.0.2 }\n");
	assert_has(text, "{ 8 . 10.0.0.2 counter comment \"01234567.5.2000 whole\" }\n");
	assert_true(plan_counter(&world.rows[0]).is_final);
	end(&world);
}

static void without_an_egress_hook_nothing_incoming_is_counted(void **state)
{
	struct traffic_counter counter;
	struct world world;
	const char *text;

	begin(&world);
	world.chains[3].rules = world.chains[3].right_rules = 0; /* to_instance */
	assert_false(plan_is_sound(&world.layout, &both_ways));
	assert_true(plan_is_sound(&world.layout, &one_way));
	want(&world, 8, "10.0.0.2", "");
	text = plan(&world, &one_way);
	assert_has(text, "add element netdev kanyun external_out4 {");
	assert_has_not(text, "_in4");
	assert_has_not(text, "egress");
	buffer_clear(&world.text);
	world.items[0] = (struct kernel_element){ .index = 7,
		.address = address_of("10.0.0.2"),
		.kind = TRAFFIC_EXTERNAL_OUT,
		.comment = LIFE };
	world.items[1] = world.items[0];
	world.items[1].kind = TRAFFIC_INTERNAL_OUT;
	world.elements.count = 2;
	plan(&world, &one_way);
	assert_string_equal(world.rows[0].life, LIFE);
	counter = plan_counter(&world.rows[0]);
	assert_true(counter.has[TRAFFIC_EXTERNAL_OUT] && !counter.has[TRAFFIC_EXTERNAL_IN]);
	end(&world);
}

static void a_table_is_sound_only_as_we_made_it(void **state)
{
	struct world world;

	begin(&world);
	assert_true(plan_is_sound(&world.layout, &both_ways));
	world.chains[0].rules++; /* one more rule, of somebody else */
	assert_false(plan_is_sound(&world.layout, &both_ways));
	world.chains[0].rules--;
	world.layout.flags = 1; /* dormant */
	assert_false(plan_is_sound(&world.layout, &both_ways));
	world.layout.flags = 0;
	world.layout.has_table = false;
	assert_false(plan_is_sound(&world.layout, &both_ways));
	end(&world);
}

static void prefixes_stand_in_the_rules(void **state)
{
	struct traffic_prefix prefixes[2];
	struct world world;
	const char *text;

	begin(&world);
	assert_int_equal(traffic_prefix_parse("10.0.0.0/8", &prefixes[0]), 0);
	assert_int_equal(traffic_prefix_parse("192.168.0.0/16", &prefixes[1]), 0);
	plan_write_table(&world.text, prefixes, 2, &both_ways);
	buffer_write_u8(&world.text, 0);
	text = (const char *)world.text.bytes;
	assert_has(text,
		"add rule netdev kanyun from_instance ip daddr != { 10.0.0.0/8, "
		"192.168.0.0/16 } meta iif . ip saddr @external_out4 comment \"" RULES "\"\n");
	assert_has(text, "to_instance ip6 saddr != { :: } meta oif . ip6 daddr @external_in6");
	end(&world);
}

static void a_prefix_ends_where_it_says(void **state)
{
	static const char *const wrong[] = { "", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33",
		"10.0.0.0/0", "10.0.0.0/-1", "10.0.0/8", "fc00::/129", "fc00::1/7", "/8",
		"10.0.0.0/8 " };
	struct traffic_prefix prefix;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (traffic_prefix_parse(wrong[i], &prefix) == 0)
			fail_msg("'%s' is taken", wrong[i]);
	assert_int_equal(traffic_prefix_parse("fc00::/7", &prefix), 0);
	assert_int_equal(prefix.length, 7);
	assert_int_equal(traffic_prefix_parse("255.255.255.255/32", &prefix), 0);
}

static void names_that_nft_would_misread_are_refused(void **state)
{
	static const char *const wrong[] = { "", "vnet*", "a b", "a\"b", "a;b", "a\nb",
		"sixteen-letters-", "a{b" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (traffic_nic_is_plain(wrong[i]))
			fail_msg("'%s' is taken", wrong[i]);
	assert_true(traffic_nic_is_plain("tap1a2b3c4d-5e"));
}

/* What was said is heard, and half of it is not. */
static void messages_are_heard_as_they_were_said(void **state)
{
	struct traffic_port port = { "vnet7", 7, address_of("2001:db8::2"), "203.0.113.7" };
	struct traffic_prefix prefix;
	struct traffic_wish wish = { TRAFFIC_READ, &prefix, 1, &port, 1 }, heard;
	struct traffic_counter counter = { .index = 7,
		.address = address_of("10.0.0.2"),
		.life = LIFE,
		.is_whole = true,
		.has = { true, false, true, false },
		.bytes = { 5, 0, INT64_MAX, 0 } };
	struct traffic_answer answer = { .problem = "none", .counters = &counter, .count = 1 };
	struct traffic_answer answered;
	struct cursor cursor;
	struct world world;

	begin(&world);
	assert_int_equal(traffic_prefix_parse("10.0.0.0/8", &prefix), 0);
	traffic_encode_wish(&world.text, &wish);
	cursor = cursor_over(world.text.bytes + 4, world.text.size - 4);
	assert_int_equal(traffic_decode_wish(&cursor, &world.arena, &heard), 0);
	assert_int_equal(heard.question, TRAFFIC_READ);
	assert_memory_equal(&heard.internal[0], &prefix, sizeof(prefix));
	assert_memory_equal(&heard.ports[0], &port, sizeof(port));
	for (size_t size = 4; size < world.text.size; size++) {
		cursor = cursor_over(world.text.bytes + 4, size - 4);
		assert_true(traffic_decode_wish(&cursor, &world.arena, &heard) < 0);
	}
	traffic_encode_answer(&world.text, &answer);
	cursor = cursor_over(world.text.bytes + 4, world.text.size - 4);
	assert_int_equal(traffic_decode_answer(&cursor, &world.arena, &answered), 0);
	assert_memory_equal(&answered.counters[0], &counter, sizeof(counter));
	assert_string_equal(answered.problem, "none");
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_wanted_is_left_alone),
		cmocka_unit_test(headers_of_incoming_frames_do_not_count),
		cmocka_unit_test(what_is_not_of_our_making_is_replaced),
		cmocka_unit_test(sets_that_disagree_have_no_life),
		cmocka_unit_test(a_tap_without_its_rules_ends_its_lives),
		cmocka_unit_test(taps_come_and_go),
		cmocka_unit_test(without_an_egress_hook_nothing_incoming_is_counted),
		cmocka_unit_test(a_table_is_sound_only_as_we_made_it),
		cmocka_unit_test(prefixes_stand_in_the_rules),
		cmocka_unit_test(a_prefix_ends_where_it_says),
		cmocka_unit_test(names_that_nft_would_misread_are_refused),
		cmocka_unit_test(messages_are_heard_as_they_were_said),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
