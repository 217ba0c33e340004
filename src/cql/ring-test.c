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

#include "base/buffer.h"
#include "cql/response.h"
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

/* --- a cluster --- */

enum { FIVE = 5, RECORDING_MAX = 4096 };

struct cluster {
	uint8_t bytes[3][RECORDING_MAX];
	int64_t tokens[FIVE][CQL_NODE_TOKENS_MAX];
	char datacenters[FIVE][CQL_NAME_SIZE], racks[FIVE][CQL_NAME_SIZE];
	struct cql_ring_node nodes[FIVE];
	size_t count;
};

static struct cql_rows load_rows(const char *name, uint8_t bytes[RECORDING_MAX])
{
	struct cql_response response;
	struct cql_frame frame;
	char path[4096];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
	file = fopen(path, "re");
	if (!file)
		fail_msg("cannot open %s", path);
	size = fread(bytes, 1, RECORDING_MAX, file);
	fclose(file);
	assert_int_equal(cql_frame_decode(bytes, &frame, NULL), 0);
	assert_int_equal(cql_response_decode(&frame, bytes + CQL_FRAME_HEADER_SIZE,
				 size - CQL_FRAME_HEADER_SIZE, &response, NULL),
		0);
	return response.reply.rows;
}

static struct cql_value column_of(
	const struct cql_rows *rows, const struct cql_value *values, const char *name)
{
	int index = cql_columns_find(&rows->columns, name);

	assert_true(index >= 0);
	return values[index];
}

/* Node 127.0.0.1 becomes number 0 and so on. */
static void add_node(
	struct cluster *cluster, const struct cql_rows *rows, const struct cql_value *values)
{
	struct cql_address address;
	size_t count, index;

	assert_int_equal(cql_read_inet(column_of(rows, values, "rpc_address"), &address), 0);
	index = address.bytes[3] - 1u;
	assert_true(index < FIVE);
	assert_int_equal(
		cql_tokens_read(column_of(rows, values, "tokens"), cluster->tokens[index], &count),
		0);
	assert_int_equal(cql_read_text(column_of(rows, values, "data_center"),
				 cluster->datacenters[index], CQL_NAME_SIZE),
		0);
	assert_int_equal(cql_read_text(column_of(rows, values, "rack"), cluster->racks[index],
				 CQL_NAME_SIZE),
		0);
	cluster->nodes[index] = (struct cql_ring_node){ cluster->datacenters[index],
		cluster->racks[index], cluster->tokens[index], count };
	cluster->count++;
}

static void add_nodes(struct cluster *cluster, const char *name, uint8_t *bytes)
{
	struct cql_value values[CQL_COLUMNS_MAX];
	struct cql_rows rows = load_rows(name, bytes);

	while (cql_rows_next(&rows, values))
		add_node(cluster, &rows, values);
}

static struct cql_replication find_replication(struct cluster *cluster, const char *keyspace)
{
	struct cql_rows rows = load_rows("keyspaces-five", cluster->bytes[2]);
	struct cql_value values[CQL_COLUMNS_MAX];
	struct cql_replication replication = { .factor = 0 };
	char name[64];

	while (cql_rows_next(&rows, values)) {
		assert_int_equal(cql_read_text(values[0], name, sizeof(name)), 0);
		if (strcmp(name, keyspace) == 0)
			assert_int_equal(cql_replication_read(values[1], &replication), 0);
	}
	return replication;
}

static void assert_order(const struct cql_ring *ring, const struct cql_replication *replication,
	int64_t token, const char *expected)
{
	uint16_t replicas[CQL_REPLICAS_MAX];
	size_t count = cql_ring_replicas(ring, replication, token, replicas);

	assert_int_equal(count, strlen(expected));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(replicas[i], expected[i] - '1');
}

/* Five nodes of Cassandra 5.0.9, in dc1 (racks r1, r1, r2) and dc2 (r1, r2), four tokens each: what
 * they say of themselves, and the replicas of `nodetool describering` for a keyspace with three
 * copies in dc1 and two in dc2, one with two and one, and one of SimpleStrategy with three. */
static void a_cluster_keeps_its_partitions_where_it_says(void **state)
{
	static const struct {
		int64_t token;
		const char *three_two, *two_one, *simple;
	} expected[] = {
		{ -7746014838752938012, "21453", "243", "214" },
		{ -7483039869546357466, "12453", "143", "124" },
		{ -6285890039875575060, "24531", "243", "245" },
		{ -4306307605772095575, "42531", "423", "425" },
		{ -4252961538128254291, "42531", "423", "425" },
		{ -3709963192641349891, "25341", "253", "253" },
		{ -3365796223499172565, "53412", "531", "534" },
		{ -3354873888239923408, "34512", "341", "345" },
		{ -1551117082307823696, "43512", "431", "435" },
		{ -1473154686763869276, "35142", "351", "351" },
		{ -1321359771218531263, "51342", "513", "513" },
		{ 50542068099503608, "13542", "135", "135" },
		{ 252498729252109526, "35412", "351", "354" },
		{ 1270991428379804699, "54123", "513", "541" },
		{ 2815192066244430848, "41253", "413", "412" },
		{ 4667826429773780776, "12534", "153", "125" },
		{ 6213066161291498402, "25314", "253", "253" },
		{ 6845632781579528932, "53124", "531", "531" },
		{ 7445823532453488151, "31245", "314", "312" },
		{ 8142098334082846396, "12453", "143", "124" },
	};
	static struct cluster cluster;
	CLEANUP(cql_ring_free) struct cql_ring *ring = NULL;
	struct cql_replication three_two = find_replication(&cluster, "n32");
	struct cql_replication two_one = find_replication(&cluster, "n21");
	struct cql_replication simple = find_replication(&cluster, "s3");

	add_nodes(&cluster, "local-five", cluster.bytes[0]);
	add_nodes(&cluster, "peers-five", cluster.bytes[1]);
	assert_int_equal(cluster.count, FIVE);
	ring = ring_of(cluster.nodes, FIVE);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_order(ring, &three_two, expected[i].token, expected[i].three_two);
		assert_order(ring, &two_one, expected[i].token, expected[i].two_one);
		assert_order(ring, &simple, expected[i].token, expected[i].simple);
	}
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
		cmocka_unit_test(a_cluster_keeps_its_partitions_where_it_says),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
