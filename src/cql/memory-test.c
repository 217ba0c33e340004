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
#include <stdatomic.h>
#include <stdio.h>

#include "base/buffer.h"
#include "cql/fake-node.h"
#include "cql/result.h"
#include "cql/session.h"

/* Each allocation of a session, in turn, fails once. Then something that was asked may fail too,
 * but the session goes on. */

enum { LONG_MS = 60 * 1000, ALLOCATIONS_MAX = 10000 };

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static _Atomic int until_failure; /* allocations; 0: none fails */

static bool fails(void)
{
	return !fake_node_is_here && until_failure > 0 && --until_failure == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

static struct fake_node node;
static char hosts[64];

static void accept_failure(int r)
{
	if (r != 0 && r != -ENOMEM && r != CQL_UNAVAILABLE)
		fail_msg("%d is not what a lack of memory leads to", r);
}

static int see_page(void *context, size_t index, struct cql_result *result)
{
	++*(size_t *)context;
	return cql_result_next(result) ? 0 : -EIO;
}

static void ask_all_kinds(struct cql_session *session)
{
	struct cql_value value = CQL_BIGINT(1);
	struct cql_statement prepared = { .text = "ok ?",
		.values = &value,
		.value_count = 1,
		.partition_key = "key",
		.partition_key_size = 3,
		.is_idempotent = true };
	struct cql_statement batch = { .parts = &prepared, .part_count = 1 };
	struct cql_statement pages[] = { { .text = "pages 3" }, { .text = "row" } };
	size_t seen = 0;
	int r;

	accept_failure(cql_execute(session, &prepared, NULL, NULL));
	accept_failure(cql_execute(session, &batch, NULL, NULL));
	r = cql_execute_all(session, pages, 2, see_page, &seen, NULL);
	accept_failure(r);
	assert_true(r != 0 || seen == 4);
}

/* The state that a failure may have left behind heals. */
static void expect_health(struct cql_session *session)
{
	struct cql_statement statement = { .text = "row", .is_idempotent = true };
	int r = CQL_UNAVAILABLE;

	for (int i = 0; i < 100 && r == CQL_UNAVAILABLE; i++) {
		assert_int_equal(cql_session_wait(session, LONG_MS, NULL), 0);
		r = cql_execute(session, &statement, NULL, NULL);
	}
	assert_int_equal(r, 0);
	assert_int_equal(cql_schema_agreement(session, LONG_MS, NULL), 0);
}

static int try_all(struct cql_session **ret_session)
{
	struct cql_options options = { .hosts = hosts,
		.keyspace = "data",
		.use_lz4 = true,
		.connect_timeout_ms = LONG_MS,
		.request_timeout_ms = LONG_MS };
	int r = cql_session_new(&options, ret_session, NULL);

	if (r == 0)
		ask_all_kinds(*ret_session);
	return r;
}

/* false: none failed, for there were not so many. */
static bool fail_allocation(int number)
{
	CLEANUP(cql_session_free) struct cql_session *session = NULL;
	bool has_failed;
	int r;

	until_failure = number;
	r = try_all(&session);
	has_failed = until_failure == 0;
	until_failure = 0;
	if (r == 0)
		expect_health(session);
	else
		assert_int_equal(r, -ENOMEM);
	return has_failed;
}

static void any_allocation_may_fail(void **state)
{
	int number = 1;

	node = (struct fake_node){ .number = 1, .peer_count = 1, .has_lz4 = true };
	node.peers[0].number = 1;
	node.peers[0].datacenter = "here";
	node.peers[0].token = "0";
	fake_node_start(&node);
	snprintf(hosts, sizeof(hosts), "localhost:%d", node.port);
	while (number < ALLOCATIONS_MAX && fail_allocation(number))
		number++;
	fake_node_stop(&node);
	assert_in_range(number, 30, ALLOCATIONS_MAX - 1);
	print_message("# %d allocations failed\n", number - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_allocation_may_fail),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
