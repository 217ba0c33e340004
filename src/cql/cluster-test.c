/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cql/cluster.h"

/* One node of the local data centre, that will not be tried again for a long time. */

static struct cql_peer peer = { .address = { .bytes = { 192, 0, 2, 7 }, .size = 4, .port = 9042 } };
static struct cql_node *node;
static struct cql_cluster cluster;

static int set_up(void **state)
{
	node = cql_node_new(&peer);
	assert_non_null(node);
	node->retry_at_ms = INT64_MAX;
	cluster = (struct cql_cluster){
		.connecting.clock = clock_system(), .nodes = &node, .count = 1
	};
	return 0;
}

static int tear_down(void **state)
{
	node = cql_node_free(node);
	return 0;
}

static void a_node_that_went_up_is_tried_at_once(void **state)
{
	cql_cluster_note_up(&cluster, &peer.address);
	assert_true(node->retry_at_ms < INT64_MAX);
}

/* Nodes tell the port that they have themselves; clients may see another one. */
static void a_node_is_known_whatever_port_is_told(void **state)
{
	struct cql_address told = peer.address;

	told.port = 9142;
	cql_cluster_note_up(&cluster, &told);
	assert_true(node->retry_at_ms < INT64_MAX);
}

static void news_of_others_change_nothing(void **state)
{
	struct cql_address longer = peer.address, other = peer.address;

	other.bytes[3]++;
	longer.size = 16;
	cql_cluster_note_up(&cluster, &other);
	cql_cluster_note_up(&cluster, &longer);
	assert_true(node->retry_at_ms == INT64_MAX);
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_NODE(a_node_that_went_up_is_tried_at_once),
		WITH_NODE(a_node_is_known_whatever_port_is_told),
		WITH_NODE(news_of_others_change_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
