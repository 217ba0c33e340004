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
#include "cql/ring.h"

/* Two data centres, racks of different sizes, four tokens a node. */
static const int64_t tokens[][4] = {
	{ -8332644676416592815, -1940164072735634120, 5926464585665818420, 8261657684473197625 },
	{ -7486979218489765844, -5262889593322647818, 1527169275425311225, 7557706015166760054 },
	{ -7637925360916934439, -4783923260488021104, -1509457273540090021, 941655628529072090 },
	{ -8132975676477322713, 1207407596419191984, 2409622854701559898, 8253990209213004836 },
	{ -8308610676175349227, -8082218665554145878, 1531022600948381366, 1577960769301841104 },
	{ -6766730261175167284, -5145132153672312115, -1491621378785028713, 1045282881270503345 },
	{ 750522153793611429, 1111550559870560825, 1308126745423487425, 3357357195551156272 },
	{ -7426095132898397692, -7322329754642410100, -5757763313810287288, 1313489138638634898 },
	{ -66140966465456672, 1187385434856157240, 2195339552552519093, 3912753013310683946 },
};

static const struct cql_ring_node nodes[] = {
	{ "dc1", "r1", tokens[0], 4 },
	{ "dc1", "r1", tokens[1], 4 },
	{ "dc1", "r1", tokens[2], 4 },
	{ "dc1", "r2", tokens[3], 4 },
	{ "dc1", "r3", tokens[4], 4 },
	{ "dc2", "r1", tokens[5], 4 },
	{ "dc2", "r1", tokens[6], 4 },
	{ "dc2", "r2", tokens[7], 4 },
	{ "dc2", "r2", tokens[8], 4 },
};

/* The map that Cassandra sends. NULL ends the list of keys and values. */
static struct cql_replication replication_of(const char *class, ...)
{
	CLEANUP(buffer_deinit) struct buffer map;
	struct cql_replication replication;
	const char *text = "class";
	uint32_t count = 0;
	va_list args;

	buffer_init(&map, 4096);
	buffer_write_u32(&map, 0);
	va_start(args, class);
	for (const char *next = class; text;
		text = next, next = next ? va_arg(args, char *) : NULL) {
		buffer_write_u32(&map, (uint32_t)strlen(text));
		buffer_write(&map, text, strlen(text));
		count++;
	}
	va_end(args);
	map.bytes[3] = (uint8_t)(count / 2);
	assert_int_equal(cql_replication_read(cql_blob(map.bytes, map.size), &replication), 0);
	return replication;
}

static int compare_nodes(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* `expected`: the first replica, then the others in any order, each one digit. */
static void assert_replicas(const struct cql_ring *ring, const struct cql_replication *replication,
	int64_t token, const char *expected)
{
	uint16_t replicas[CQL_REPLICAS_MAX], others[CQL_REPLICAS_MAX];
	size_t count = cql_ring_replicas(ring, replication, token, replicas);

	assert_int_equal(count, strlen(expected));
	for (size_t i = 0; i < count; i++)
		others[i] = (uint16_t)(expected[i] - '0');
	if (count)
		assert_int_equal(replicas[0], others[0]);
	qsort(replicas, count, sizeof(*replicas), compare_nodes);
	qsort(others, count, sizeof(*others), compare_nodes);
	assert_memory_equal(replicas, others, count * sizeof(*replicas));
}

static struct cql_ring *ring_of(const struct cql_ring_node *list, size_t count)
{
	struct cql_ring *ring = NULL;

	assert_int_equal(cql_ring_new(list, count, &ring), 0);
	return ring;
}

static const int64_t asked[] = { -INT64_MAX, -6000000000000000000, -3000000000000000000, 0,
	1234567890123456789, 5000000000000000000, INT64_MAX };

/* The sets of this and the next are those of cassandra.metadata in cassandra-driver 3.30.1, which
 * orders them by data centre. */
static void racks_take_turns_within_each_data_centre(void **state)
{
	static const char *const both[] = { "04375", "71345", "03458", "62348", "61437", "03475",
		"04375" };
	static const char *const repeated[] = { "0432", "1342", "0342", "2341", "1430", "0341",
		"0432" };
	static const char *const unknown[] = { "04758", "71358", "03586", "62385", "61478", "03758",
		"04758" };
	static const char *const all[] = { "7586", "7586", "5867", "6857", "6785", "7586", "7586" };
	const char *class = "org.apache.cassandra.locator.NetworkTopologyStrategy";
	const struct cql_replication replications[] = {
		replication_of(class, "dc1", "3", "dc2", "2", NULL),
		replication_of(class, "dc1", "4", NULL),
		replication_of(class, "dc1", "2", "dc2", "3", "dc9", "2", NULL),
		replication_of(class, "dc2", "9", "dc1", "0", NULL),
	};
	CLEANUP(cql_ring_free) struct cql_ring *ring = ring_of(nodes, ARRAY_SIZE(nodes));

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		assert_replicas(ring, &replications[0], asked[i], both[i]);
		assert_replicas(ring, &replications[1], asked[i], repeated[i]);
		assert_replicas(ring, &replications[2], asked[i], unknown[i]);
		assert_replicas(ring, &replications[3], asked[i], all[i]);
	}
}

static void the_simple_strategy_takes_the_next_nodes(void **state)
{
	static const char *const three[] = { "043", "715", "025", "625", "671", "013", "043" };
	const char *class = "org.apache.cassandra.locator.SimpleStrategy";
	const struct cql_replication by_three =
		replication_of(class, "replication_factor", "3", NULL);
	const struct cql_replication by_one =
		replication_of(class, "replication_factor", "1", NULL);
	const struct cql_replication by_many =
		replication_of(class, "replication_factor", "20", NULL);
	CLEANUP(cql_ring_free) struct cql_ring *ring = ring_of(nodes, ARRAY_SIZE(nodes));

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		const char first[] = { three[i][0], '\0' };

		assert_replicas(ring, &by_three, asked[i], three[i]);
		assert_replicas(ring, &by_one, asked[i], first);
	}
	assert_replicas(ring, &by_many, 0, "625837140");
}

static void a_token_belongs_to_the_node_that_has_it_and_wraps_after_the_last(void **state)
{
	static const int64_t low = -5, high = 5;
	const struct cql_ring_node two[] = { { "dc", "r", &high, 1 }, { "dc", "r", &low, 1 } };
	const struct cql_replication one =
		replication_of("SimpleStrategy", "replication_factor", "1", NULL);
	CLEANUP(cql_ring_free) struct cql_ring *ring = ring_of(two, 2);

	assert_replicas(ring, &one, INT64_MIN, "1");
	assert_replicas(ring, &one, -5, "1");
	assert_replicas(ring, &one, -4, "0");
	assert_replicas(ring, &one, 5, "0");
	assert_replicas(ring, &one, 6, "1");
	assert_replicas(ring, &one, INT64_MAX, "1");
}

static void other_strategies_name_no_replicas(void **state)
{
	const struct cql_replication others[] = {
		replication_of("org.apache.cassandra.locator.LocalStrategy", NULL),
		replication_of("NetworkTopologyStrategy", "dc1", "3/1", NULL),
		replication_of("NetworkTopologyStrategy", "dc1", "-1", NULL),
		replication_of("NetworkTopologyStrategy", NULL),
		replication_of("SimpleStrategy", NULL),
	};
	CLEANUP(cql_ring_free) struct cql_ring *ring = ring_of(nodes, ARRAY_SIZE(nodes));

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_replicas(ring, &others[i], 0, "");
}

static void a_node_without_tokens_counts_for_nothing(void **state)
{
	static const int64_t first = 1, second = 2;
	const struct cql_ring_node list[] = { { "dc", "r1", NULL, 0 }, { "dc", "r2", &first, 1 },
		{ "dc", "r2", &second, 1 } };
	const struct cql_replication two =
		replication_of("NetworkTopologyStrategy", "dc", "2", NULL);
	CLEANUP(cql_ring_free) struct cql_ring *ring = ring_of(list, ARRAY_SIZE(list));
	CLEANUP(cql_ring_free) struct cql_ring *none = ring_of(list, 1);
	CLEANUP(cql_ring_free) struct cql_ring *empty = ring_of(NULL, 0);

	assert_replicas(ring, &two, 0, "12");
	assert_replicas(none, &two, 0, "");
	assert_replicas(empty, &two, 0, "");
}

static void a_ring_has_its_maxima(void **state)
{
	static struct cql_ring_node many[CQL_RING_NODES_MAX + 1];
	static char names[CQL_DATACENTERS_MAX + 1][8];
	static const int64_t one = 1;
	static char long_name[CQL_NAME_SIZE + 1];
	const struct cql_ring_node long_named = { long_name, "r", &one, 1 };
	const struct cql_ring_node many_tokens = { "dc", "r", &one, CQL_NODE_TOKENS_MAX + 1 };
	struct cql_ring *ring = NULL;

	memset(long_name, 'a', CQL_NAME_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct cql_ring_node){ "dc", "r", &one, 1 };
	assert_int_equal(cql_ring_new(many, CQL_RING_NODES_MAX + 1, &ring), -EMSGSIZE);
	assert_int_equal(cql_ring_new(many, CQL_RING_NODES_MAX, &ring), 0);
	ring = cql_ring_free(ring);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		names[i][0] = (char)('A' + i);
		many[i].datacenter = names[i];
	}
	assert_int_equal(cql_ring_new(many, CQL_DATACENTERS_MAX + 1, &ring), -EMSGSIZE);
	assert_int_equal(cql_ring_new(many, CQL_DATACENTERS_MAX, &ring), 0);
	ring = cql_ring_free(ring);
	assert_int_equal(cql_ring_new(&long_named, 1, &ring), -EMSGSIZE);
	assert_int_equal(cql_ring_new(&many_tokens, 1, &ring), -EMSGSIZE);
	assert_null(ring);
}

static void tokens_are_numbers_in_text(void **state)
{
	static const char good[] = "\0\0\0\2\0\0\0\2-5\0\0\0\1"
				   "7";
	static const char other[] = "\0\0\0\1\0\0\0\2zz"; /* ByteOrderedPartitioner */
	int64_t numbers[CQL_NODE_TOKENS_MAX];
	size_t count;

	assert_int_equal(cql_tokens_read(cql_blob(good, sizeof(good) - 1), numbers, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(numbers[0], -5);
	assert_int_equal(numbers[1], 7);
	assert_int_equal(
		cql_tokens_read(cql_blob(other, sizeof(other) - 1), numbers, &count), -EPROTO);
	assert_int_equal(cql_tokens_read(cql_null(), numbers, &count), 0);
	assert_int_equal(count, 0);
}

static void a_node_has_at_most_so_many_tokens(void **state)
{
	CLEANUP(buffer_deinit) struct buffer set;
	int64_t numbers[CQL_NODE_TOKENS_MAX];
	size_t count;

	for (uint32_t size = CQL_NODE_TOKENS_MAX; size <= CQL_NODE_TOKENS_MAX + 1; size++) {
		buffer_init(&set, 1 << 20);
		buffer_write_u32(&set, size);
		for (uint32_t i = 0; i < size; i++)
			buffer_write(&set,
				"\0\0\0\1"
				"1",
				5);
		assert_int_equal(cql_tokens_read(cql_blob(set.bytes, set.size), numbers, &count),
			size == CQL_NODE_TOKENS_MAX ? 0 : -EPROTO);
		buffer_deinit(&set);
	}
}

static void what_is_no_map_is_refused(void **state)
{
	struct cql_replication replication;

	assert_int_equal(cql_replication_read(cql_blob("\0\0\0\1", 4), &replication), -EPROTO);
	assert_int_equal(cql_replication_read(cql_null(), &replication), 0);
	assert_int_equal(replication.strategy, CQL_STRATEGY_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(racks_take_turns_within_each_data_centre),
		cmocka_unit_test(the_simple_strategy_takes_the_next_nodes),
		cmocka_unit_test(a_token_belongs_to_the_node_that_has_it_and_wraps_after_the_last),
		cmocka_unit_test(other_strategies_name_no_replicas),
		cmocka_unit_test(a_node_without_tokens_counts_for_nothing),
		cmocka_unit_test(a_ring_has_its_maxima),
		cmocka_unit_test(tokens_are_numbers_in_text),
		cmocka_unit_test(a_node_has_at_most_so_many_tokens),
		cmocka_unit_test(what_is_no_map_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
