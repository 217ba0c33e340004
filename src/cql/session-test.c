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
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "cql/fake-node.h"
#include "cql/murmur3.h"
#include "cql/result.h"
#include "cql/session.h"

/* Sessions with nodes that misbehave (cql/fake-node.h). Two nodes share the ring: the first has the
 * tokens up to 0, the second those above. */

enum { LONG_MS = 20 * 1000, SHORT_MS = 1500 };

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_infos);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_infos);

static sem_t slow_name_is_over;

/* "slow.invalid" takes as long as the test likes. */
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_infos)
{
	if (strcmp(name, "slow.invalid") != 0)
		return __real_getaddrinfo(name, service, hints, ret_infos);
	sem_wait(&slow_name_is_over);
	return EAI_AGAIN;
}

static struct fake_node nodes[2];
static struct cql_options options;
static struct cql_session *session;
static struct error err;
static char hosts[64];

static void init_peer(struct fake_node *node, size_t i, uint8_t number)
{
	node->peers[i].number = number;
	node->peers[i].datacenter = "here";
	node->peers[i].token = number == 1 ? "0" : "9223372036854775807";
	node->peers[i].schema = 7;
}

static int set_up(void **state)
{
	memset(nodes, 0, sizeof(nodes));
	for (uint8_t i = 0; i < 2; i++) {
		nodes[i].number = i + 1;
		nodes[i].peer_count = 1;
		init_peer(&nodes[i], 0, i + 1);
		init_peer(&nodes[i], 1, 2 - i);
	}
	options = (struct cql_options){ .hosts = hosts,
		.keyspace = "data",
		.connect_timeout_ms = LONG_MS,
		.request_timeout_ms = LONG_MS };
	memset(&err, 0, sizeof(err));
	return 0;
}

static void start_node(void)
{
	fake_node_start(&nodes[0]);
	snprintf(hosts, sizeof(hosts), "127.0.0.1:%d", nodes[0].port);
	options.port = nodes[0].port;
}

static void start_both_nodes(void)
{
	nodes[0].peer_count = nodes[1].peer_count = 2;
	start_node();
	nodes[1].port = nodes[0].port;
	fake_node_start(&nodes[1]);
}

static void name_both_nodes(void)
{
	snprintf(hosts, sizeof(hosts), "127.0.0.1:%d,127.0.0.2:%d", nodes[0].port, nodes[1].port);
}

static void start_session(void)
{
	assert_int_equal(cql_session_new(&options, &session, &err), 0);
}

static void connect_session(void)
{
	start_session();
	assert_int_equal(cql_session_wait(session, LONG_MS, &err), 0);
}

static int tear_down(void **state)
{
	session = cql_session_free(session);
	for (size_t i = 0; i < 2; i++)
		if (nodes[i].thread)
			fake_node_stop(&nodes[i]);
	return 0;
}

static struct cql_counters count(void)
{
	struct cql_counters counters;

	cql_session_counters(session, &counters);
	return counters;
}

/* For what comes without being asked for. */
static void wait_until(bool (*is_so)(void))
{
	int64_t end_ms = clock_monotonic_ms(clock_system()) + LONG_MS;

	while (!is_so()) {
		assert_true(clock_monotonic_ms(clock_system()) < end_ms);
		poll(NULL, 0, 5);
	}
}

static int execute(const char *text, bool is_idempotent)
{
	struct cql_statement statement = {
		.text = text, .consistency = CQL_LOCAL_QUORUM, .is_idempotent = is_idempotent
	};

	memset(&err, 0, sizeof(err));
	return cql_execute(session, &statement, NULL, &err);
}

static int execute_prepared(const char *text)
{
	struct cql_value value = CQL_BIGINT(1);
	struct cql_statement statement = { .text = text, .values = &value, .value_count = 1 };

	memset(&err, 0, sizeof(err));
	return cql_execute(session, &statement, NULL, &err);
}

static void assert_error_has(const char *text)
{
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static bool both_are_connected(void)
{
	return count().nodes_connected == 2;
}

static void a_row_is_read(void **state)
{
	CLEANUP(cql_result_free) struct cql_result *result = NULL;
	struct cql_statement statement = { .text = "row" };
	int64_t value = -1;

	start_node();
	connect_session();
	assert_int_equal(cql_execute(session, &statement, &result, &err), 0);
	assert_int_equal(cql_result_rows(result), 1);
	assert_int_equal(cql_result_find(result, "page"), 0);
	assert_true(cql_is_null(cql_result_value(result, 0)));
	assert_true(cql_result_next(result));
	assert_int_equal(cql_read_bigint(cql_result_value(result, 0), &value), 0);
	assert_int_equal(value, 0);
	assert_true(cql_is_null(cql_result_value(result, 1)));
	assert_false(cql_result_next(result));
	assert_false(cql_result_has_more(result));
}

static void a_host_may_be_a_name(void **state)
{
	start_node();
	snprintf(hosts, sizeof(hosts), "nowhere.invalid,localhost:%d", nodes[0].port);
	connect_session();
	assert_int_equal(execute("ok", true), 0);
}

static void a_name_that_is_not_found_is_told(void **state)
{
	snprintf(hosts, sizeof(hosts), "nowhere.invalid");
	start_session();
	assert_int_equal(execute("ok", true), CQL_UNAVAILABLE);
	assert_error_has("'nowhere.invalid' is not found");
}

static void what_is_asked_before_a_node_is_connected_waits_for_it(void **state)
{
	start_node();
	start_session();
	assert_int_equal(execute("ok", false), 0);
}

static void a_refusal_is_an_error_with_the_servers_text(void **state)
{
	start_node();
	connect_session();
	assert_int_equal(execute("invalid", true), -EIO);
	assert_error_has("no such column");
	assert_int_equal(count().retries, 0);
	assert_int_equal(count().failures, 1);
}

static void a_stream_is_used_again_only_after_its_late_answer(void **state)
{
	start_node();
	options.request_timeout_ms = SHORT_MS;
	connect_session();
	assert_int_equal(execute("silent", false), CQL_UNAVAILABLE);
	assert_error_has("in time");
	for (int i = 0; i < 3000; i++)
		assert_int_equal(execute("ok", false), 0);
	assert_false(nodes[0].has_reused_stream);
	assert_int_equal(execute("release", false), 0);
	assert_int_equal(count().late_answers, 1);
	assert_int_equal(count().timeouts, 1);
	assert_int_equal(count().disconnects, 0);
}

static bool is_disconnected(void)
{
	return count().disconnects == 1;
}

static void a_node_that_falls_silent_is_given_up(void **state)
{
	start_node();
	options.request_timeout_ms = options.connect_timeout_ms = SHORT_MS;
	connect_session();
	nodes[0].is_mute = true;
	assert_int_equal(execute("ok", false), CQL_UNAVAILABLE);
	wait_until(is_disconnected);
}

static void a_forgotten_statement_is_prepared_again(void **state)
{
	start_node();
	connect_session();
	assert_int_equal(execute_prepared("unprepared 1 ?"), 0);
	assert_int_equal(count().unprepared, 1);
	assert_int_equal(count().prepares, 2);
	assert_int_equal(nodes[0].statements, 2);
	assert_int_equal(execute_prepared("unprepared 1 ?"), 0);
	assert_int_equal(count().prepares, 2);
}

static void a_node_that_forgets_each_time_is_not_asked_for_ever(void **state)
{
	start_node();
	connect_session();
	assert_int_equal(execute_prepared("unprepared 1000000 ?"), CQL_UNAVAILABLE);
	assert_true(nodes[0].statements < 10);
}

static void what_cannot_be_prepared_is_refused(void **state)
{
	start_node();
	connect_session();
	assert_int_equal(execute_prepared("unpreparable ?"), -EIO);
	assert_error_has("what is that?");
	assert_int_equal(execute_prepared("unpreparable ?"), -EIO);
	assert_int_equal(nodes[0].prepares, 2);
}

static void an_overloaded_node_is_asked_again_after_a_pause(void **state)
{
	start_node();
	connect_session();
	assert_int_equal(execute("overloaded 2", true), 0);
	assert_int_equal(count().overloads, 2);
	assert_int_equal(count().retries, 2);
	nodes[0].refusals = 0;
	assert_int_equal(execute("overloaded 3", true), CQL_UNAVAILABLE);
	assert_error_has("overloaded");
}

static void what_is_not_idempotent_is_sent_once(void **state)
{
	start_both_nodes();
	connect_session();
	assert_int_equal(execute("overloaded 1", false), CQL_UNAVAILABLE);
	assert_int_equal(execute("half", false), CQL_UNAVAILABLE);
	assert_int_equal(nodes[0].statements + nodes[1].statements, 2);
	assert_int_equal(count().retries, 0);
}

static void what_was_surely_not_done_is_sent_again_in_any_case(void **state)
{
	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	nodes[0].refusals = 0;
	nodes[1].refusals = 1000;
	for (int i = 0; i < 4; i++)
		assert_int_equal(execute("bootstrapping 1000", false), 0);
	assert_true(count().retries > 0);
}

static void what_one_node_cannot_do_another_does(void **state)
{
	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	nodes[1].refusals = 1000;
	for (int i = 0; i < 4; i++)
		assert_int_equal(execute("unavailable 1000", true), 0);
	assert_true(count().retries > 0);
	nodes[1].refusals = 0;
	assert_int_equal(execute("unavailable 1000", true), CQL_UNAVAILABLE);
	assert_error_has("not now");
}

static bool is_connected_again(void)
{
	return count().nodes_connected == 1 && count().disconnects == 1;
}

/* The second node is being connected all the time, which is no reason for anybody to wait. */
static void who_was_refused_by_all_that_are_connected_is_told_at_once(void **state)
{
	int64_t begin_ms = clock_monotonic_ms(clock_system());

	nodes[1].manner = FAKE_MUTE;
	start_both_nodes();
	connect_session();
	assert_int_equal(execute("unavailable 1000", true), CQL_UNAVAILABLE);
	assert_error_has("not now");
	assert_int_equal(execute("ok", true), 0);
	assert_true(clock_monotonic_ms(clock_system()) - begin_ms < LONG_MS / 2);
}

/* Each of these ends the connection, and nothing else. */
static void whatever_a_node_sends_the_session_goes_on(void **state)
{
	static const char *const texts[] = { "half", "close", "garbage", "stray", "news" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		set_up(state);
		start_node();
		connect_session();
		assert_int_equal(execute(texts[i], false), CQL_UNAVAILABLE);
		assert_error_has("127.0.0.1 port");
		wait_until(is_connected_again);
		assert_int_equal(execute("ok", false), 0);
		tear_down(state);
	}
	set_up(state);
	nodes[0].thread = 0;
}

static void a_damaged_answer_fails_alone(void **state)
{
	start_node();
	connect_session();
	assert_int_equal(execute("damaged", true), -EPROTO);
	assert_int_equal(execute("ok", true), 0);
	assert_int_equal(count().disconnects, 0);
}

/* All would answer so: it is sent once, although it may be sent again. */
static void an_answer_that_is_too_large_is_not_asked_for_again(void **state)
{
	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	assert_int_equal(execute("huge", true), -EMSGSIZE);
	assert_error_has("an answer of 2147483647 bytes");
	assert_int_equal(nodes[0].statements + nodes[1].statements, 1);
	assert_int_equal(count().retries, 0);
	assert_int_equal(execute("ok", true), 0);
	assert_int_equal(count().disconnects, 1);
}

static void a_password_is_given(void **state)
{
	nodes[0].login = FAKE_PASSWORD;
	options.username = "user";
	options.password = "secret";
	start_node();
	connect_session();
	assert_int_equal(execute("ok", true), 0);
}

static void expect_no_connection(const char *why)
{
	start_node();
	start_session();
	assert_int_equal(execute("ok", true), CQL_UNAVAILABLE);
	assert_error_has(why);
	assert_int_equal(cql_session_wait(session, 1, &err), CQL_UNAVAILABLE);
	assert_error_has(why);
}

static void a_wrong_password_is_told(void **state)
{
	nodes[0].login = FAKE_PASSWORD;
	options.username = "user";
	options.password = "Secret";
	expect_no_connection("wrong user or password");
}

static void a_missing_password_is_told(void **state)
{
	nodes[0].login = FAKE_PASSWORD;
	expect_no_connection("asks for a user name");
}

static void another_way_to_log_in_is_told(void **state)
{
	nodes[0].login = FAKE_CHALLENGE;
	options.username = "user";
	options.password = "secret";
	expect_no_connection("another way to log in");
}

static void another_version_is_told(void **state)
{
	nodes[0].manner = FAKE_VERSION_5;
	expect_no_connection("version 5");
}

static void what_is_no_cassandra_is_told(void **state)
{
	nodes[0].manner = FAKE_NO_SERVER;
	expect_no_connection("no answer of a CQL server");
}

static void a_node_that_never_speaks_is_told(void **state)
{
	nodes[0].manner = FAKE_MUTE;
	options.connect_timeout_ms = SHORT_MS;
	expect_no_connection("did not answer in time");
}

static void a_host_that_never_speaks_keeps_nobody_from_the_next(void **state)
{
	nodes[0].manner = FAKE_MUTE;
	start_both_nodes();
	name_both_nodes();
	start_session();
	assert_int_equal(cql_session_wait(session, LONG_MS / 2, &err), 0);
	assert_int_equal(execute("ok", true), 0);
}

/* As one who opens a store does until it can be opened. */
static void who_begins_again_before_a_host_is_given_up_connects(void **state)
{
	int r = CQL_UNAVAILABLE;

	nodes[0].manner = FAKE_MUTE;
	start_both_nodes();
	name_both_nodes();
	options.connect_timeout_ms = SHORT_MS;
	for (int i = 0; i < 10 && r != 0; i++) {
		start_session();
		r = cql_session_wait(session, SHORT_MS, &err);
		session = cql_session_free(session);
	}
	assert_int_equal(r, 0);
}

static void a_name_that_takes_long_keeps_nobody_from_the_next(void **state)
{
	int r;

	sem_init(&slow_name_is_over, 0, 0);
	start_node();
	snprintf(hosts, sizeof(hosts), "slow.invalid,localhost:%d", nodes[0].port);
	start_session();
	r = cql_session_wait(session, LONG_MS / 2, &err);
	sem_post(&slow_name_is_over);
	assert_int_equal(r, 0);
}

static void a_node_that_cannot_tell_of_the_nodes_is_not_the_only_one_asked(void **state)
{
	nodes[0].manner = FAKE_REFUSES_PEERS;
	start_both_nodes();
	name_both_nodes();
	start_session();
	assert_int_equal(cql_session_wait(session, LONG_MS / 2, &err), 0);
	assert_int_equal(execute("ok", true), 0);
}

static void a_node_that_does_not_tell_of_the_nodes_is_left_before_the_wait_is_over(void **state)
{
	nodes[0].manner = FAKE_HOLDS_PEERS;
	options.connect_timeout_ms = 2 * SHORT_MS;
	start_both_nodes();
	name_both_nodes();
	start_session();
	assert_int_equal(cql_session_wait(session, options.connect_timeout_ms, &err), 0);
}

static void that_no_node_tells_of_the_nodes_is_told(void **state)
{
	nodes[0].manner = FAKE_REFUSES_PEERS;
	expect_no_connection("no peers today");
}

static bool has_both_again(void)
{
	return count().nodes_known == 2;
}

/* The first one told of the nodes once. */
static void a_node_that_can_tell_of_the_nodes_no_more_is_left(void **state)
{
	start_both_nodes();
	nodes[0].peer_count = 1;
	name_both_nodes();
	connect_session();
	assert_int_equal(count().nodes_known, 1);
	nodes[0].manner = FAKE_REFUSES_PEERS;
	fake_node_announce(&nodes[0]);
	wait_until(has_both_again);
}

/* In less than the time-out of a statement. */
static void where_nobody_listens_it_is_known_at_once(void **state)
{
	int64_t begin_ms = clock_monotonic_ms(clock_system());

	start_node();
	fake_node_stop(&nodes[0]);
	nodes[0].thread = 0;
	start_session();
	assert_int_equal(execute("ok", true), CQL_UNAVAILABLE);
	assert_error_has("Connection refused");
	assert_true(clock_monotonic_ms(clock_system()) - begin_ms < LONG_MS / 2);
}

static void a_node_that_comes_back_is_used_again(void **state)
{
	start_node();
	connect_session();
	fake_node_stop(&nodes[0]);
	assert_int_equal(execute("ok", true), CQL_UNAVAILABLE);
	fake_node_start(&nodes[0]);
	assert_int_equal(cql_session_wait(session, LONG_MS, &err), 0);
	assert_int_equal(execute("ok", true), 0);
}

static void a_statement_goes_to_its_replica(void **state)
{
	int expected[2] = { 0, 0 };

	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	for (uint8_t key = 0; key < 50; key++) {
		struct cql_statement statement = {
			.text = "ok", .partition_key = &key, .partition_key_size = 1
		};

		expected[cql_murmur3_token(&key, 1) > 0]++;
		assert_int_equal(cql_execute(session, &statement, NULL, &err), 0);
	}
	assert_int_equal(nodes[0].statements, expected[0]);
	assert_int_equal(nodes[1].statements, expected[1]);
	assert_true(expected[0] > 0 && expected[1] > 0);
}

static void without_a_key_all_nodes_are_used(void **state)
{
	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	for (int i = 0; i < 20; i++)
		assert_int_equal(execute("ok", true), 0);
	assert_int_equal(nodes[0].statements, 10);
	assert_int_equal(nodes[1].statements, 10);
}

static void nodes_of_another_data_centre_are_left_alone(void **state)
{
	nodes[0].peers[1].datacenter = nodes[1].peers[0].datacenter = "there";
	options.local_dc = "there";
	start_both_nodes();
	connect_session();
	for (int i = 0; i < 20; i++)
		assert_int_equal(execute("ok", true), 0);
	assert_int_equal(nodes[0].statements, 0);
	assert_int_equal(nodes[1].statements, 20);
	assert_int_equal(count().nodes_known, 1);
}

static void a_data_centre_without_nodes_is_told(void **state)
{
	options.local_dc = "elsewhere";
	expect_no_connection("no node in the data centre 'elsewhere'");
}

static void a_new_node_is_learnt_of_by_an_event(void **state)
{
	start_both_nodes();
	nodes[0].peer_count = 1;
	connect_session();
	assert_int_equal(count().nodes_known, 1);
	nodes[0].peer_count = 2;
	fake_node_announce(&nodes[0]);
	wait_until(both_are_connected);
	assert_int_equal(count().events, 1);
}

static void the_death_of_one_node_is_not_seen(void **state)
{
	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	fake_node_stop(&nodes[0]);
	nodes[0].thread = 0;
	for (int i = 0; i < 20; i++)
		assert_int_equal(execute("ok", true), 0);
}

/* Long before the time-out of a statement, which is sent again. */
static void a_node_that_stands_still_is_left_soon(void **state)
{
	int64_t begin_ms = clock_monotonic_ms(clock_system());

	options.connect_timeout_ms = SHORT_MS;
	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	nodes[0].is_mute = true;
	for (int i = 0; i < 20; i++)
		assert_int_equal(execute("ok", true), 0);
	assert_true(clock_monotonic_ms(clock_system()) - begin_ms < LONG_MS / 2);
	assert_int_equal(count().timeouts, 0);
}

static void nodes_agree_on_a_schema(void **state)
{
	start_both_nodes();
	nodes[0].peers[1].schema = nodes[1].peers[1].schema = 8;
	connect_session();
	wait_until(both_are_connected);
	assert_int_equal(cql_schema_agreement(session, SHORT_MS, &err), CQL_UNAVAILABLE);
	assert_error_has("agree");
	nodes[0].peers[1].schema = nodes[1].peers[1].schema = 7;
	assert_int_equal(cql_schema_agreement(session, LONG_MS, &err), 0);
}

/* Its version is that which it had when it was last seen. */
static void a_node_elsewhere_that_is_down_is_not_waited_for(void **state)
{
	start_node();
	nodes[0].peer_count = 2;
	nodes[0].peers[1].datacenter = "there";
	nodes[0].peers[1].schema = 8;
	connect_session();
	assert_int_equal(cql_schema_agreement(session, SHORT_MS, &err), 0);
}

/* The first node tells of the cluster; the second makes the change, of which the first has not
 * heard. */
static void nodes_that_agree_on_the_schema_before_do_not_agree(void **state)
{
	struct cql_statement change = { .text = "keyspace", .partition_key_size = 1 };
	uint8_t key = 0;

	start_both_nodes();
	connect_session();
	wait_until(both_are_connected);
	while (cql_murmur3_token(&key, 1) <= 0)
		key++;
	change.partition_key = &key;
	assert_int_equal(cql_execute(session, &change, NULL, &err), 0);
	assert_int_equal(nodes[1].statements, 1);
	assert_int_equal(cql_schema_agreement(session, SHORT_MS, &err), CQL_UNAVAILABLE);
	nodes[0].peers[1].schema = 9;
	assert_int_equal(cql_schema_agreement(session, SHORT_MS, &err), CQL_UNAVAILABLE);
	nodes[0].peers[0].schema = 9;
	assert_int_equal(cql_schema_agreement(session, LONG_MS, &err), 0);
}

static void compression_is_used_where_both_have_it(void **state)
{
	char text[1000];

	options.use_lz4 = true;
	nodes[0].has_lz4 = true;
	start_node();
	connect_session();
	snprintf(text, sizeof(text), "row %0900d", 0);
	assert_int_equal(execute(text, true), 0);
	assert_true(nodes[0].saw_lz4);
}

static void compression_is_not_used_where_the_node_lacks_it(void **state)
{
	options.use_lz4 = true;
	start_node();
	connect_session();
	assert_int_equal(execute("row", true), 0);
	assert_false(nodes[0].saw_lz4);
}

struct seen {
	size_t pages[64];
	bool is_in_order;
	int stop_after;
};

static int see_page(void *context, size_t index, struct cql_result *result)
{
	struct seen *seen = context;
	int64_t page = -1;

	assert_true(cql_result_next(result));
	assert_int_equal(cql_read_bigint(cql_result_value(result, 0), &page), 0);
	seen->is_in_order = seen->is_in_order && page == (int64_t)seen->pages[index];
	seen->pages[index]++;
	return --seen->stop_after == 0 ? 42 : 0;
}

static void all_pages_of_many_statements_come_in_order(void **state)
{
	struct cql_statement statements[64];
	struct seen seen = { .is_in_order = true };

	for (size_t i = 0; i < 64; i++)
		statements[i] = (struct cql_statement){ .text = i % 2 ? "pages 7" : "pages 1" };
	options.pending_max = 5;
	start_node();
	connect_session();
	assert_int_equal(cql_execute_all(session, statements, 64, see_page, &seen, &err), 0);
	assert_true(seen.is_in_order);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(seen.pages[i], i % 2 ? 7 : 1);
	assert_int_equal(count().pending, 0);
}

static void a_caller_may_have_seen_enough(void **state)
{
	struct cql_statement statements[64];
	struct seen seen = { .is_in_order = true, .stop_after = 3 };

	for (size_t i = 0; i < 64; i++)
		statements[i] = (struct cql_statement){ .text = "pages 7" };
	start_node();
	connect_session();
	assert_int_equal(cql_execute_all(session, statements, 64, see_page, &seen, &err), 42);
	assert_int_equal(count().pending, 0);
}

static void one_failure_among_many_is_told(void **state)
{
	struct cql_statement statements[64];

	for (size_t i = 0; i < 64; i++)
		statements[i] = (struct cql_statement){ .text = i == 40 ? "invalid" : "ok" };
	start_node();
	connect_session();
	assert_int_equal(cql_execute_all(session, statements, 64, NULL, NULL, &err), -EIO);
	assert_error_has("no such column");
	assert_int_equal(count().pending, 0);
}

static void a_batch_prepares_what_it_needs(void **state)
{
	struct cql_value value = CQL_BIGINT(1);
	struct cql_statement parts[] = {
		{ .text = "ok 1 ?", .values = &value, .value_count = 1 },
		{ .text = "ok 2 ?", .values = &value, .value_count = 1 },
		{ .text = "ok 1 ?", .values = &value, .value_count = 1 },
		{ .text = "plain" },
	};
	struct cql_statement statement = { .parts = parts, .part_count = ARRAY_SIZE(parts) };

	start_node();
	connect_session();
	assert_int_equal(cql_execute(session, &statement, NULL, &err), 0);
	assert_int_equal(nodes[0].batches, 1);
	assert_int_equal(nodes[0].prepares, 2);
}

static void what_is_too_large_is_refused(void **state)
{
	static uint8_t bytes[CQL_REQUEST_MAX];
	struct cql_value value = cql_blob(bytes, sizeof(bytes));
	struct cql_statement statement = { .text = "ok ?", .values = &value, .value_count = 1 };

	start_node();
	connect_session();
	assert_int_equal(cql_execute(session, &statement, NULL, &err), -EMSGSIZE);
	value.size -= 20;
	assert_int_equal(cql_execute(session, &statement, NULL, &err), -EMSGSIZE);
	value.size -= 1000;
	assert_int_equal(cql_execute(session, &statement, NULL, &err), 0);
	assert_int_equal(count().pending, 0);
}

static sem_t done;
static int last_r;

static void on_done(void *context, int r, struct cql_result *result, const struct error *reason)
{
	last_r = r;
	cql_result_free(result);
	sem_post(&done);
}

static void *execute_ok(void *context)
{
	static struct cql_statement statement = { .text = "ok" };

	return (void *)(intptr_t)cql_execute(session, &statement, NULL, NULL);
}

static void statements_that_are_large_wait_for_each_other(void **state)
{
	static uint8_t bytes[15 * 1024 * 1024];
	struct cql_value value = cql_blob(bytes, sizeof(bytes));
	struct cql_statement silent = { .text = "silent ?", .values = &value, .value_count = 1 };
	size_t accepted = 0;
	int r;

	sem_init(&done, 0, 0);
	start_node();
	connect_session();
	while ((r = cql_submit(session, &silent, on_done, NULL, &err)) == 0)
		accepted++;
	assert_int_equal(r, CQL_BUSY);
	assert_int_equal(accepted, CQL_PENDING_BYTES_MAX / sizeof(bytes));
	cql_session_stop(session);
	for (size_t i = 0; i < accepted; i++)
		sem_wait(&done);
	sem_destroy(&done);
}

static void more_than_may_be_pending_waits_or_is_refused(void **state)
{
	struct cql_statement silent = { .text = "silent" };
	pthread_t thread;
	void *r;

	sem_init(&done, 0, 0);
	options.pending_max = 3;
	options.request_timeout_ms = SHORT_MS;
	start_node();
	connect_session();
	for (int i = 0; i < 3; i++)
		assert_int_equal(cql_submit(session, &silent, on_done, NULL, &err), 0);
	assert_int_equal(cql_submit(session, &silent, on_done, NULL, &err), CQL_BUSY);
	pthread_create(&thread, NULL, execute_ok, NULL);
	for (int i = 0; i < 3; i++)
		sem_wait(&done);
	pthread_join(thread, &r);
	assert_int_equal((intptr_t)r, 0);
	assert_int_equal(last_r, CQL_UNAVAILABLE);
	sem_destroy(&done);
}

enum { IN_FLIGHT = 1024, STEADY_MS = 1000 }; /* as in connection.c and node.c */
enum { APART_MS = 2000 };                    /* the ends of two waits, on a busy machine, too */

static int64_t next_ms;
static char late[] = "A", again[] = "B";
static char ended[3]; /* who, in their order */

static void on_end(void *context, int r, struct cql_result *result, const struct error *reason)
{
	size_t size = strlen(ended);

	if (context && size < sizeof(ended) - 1)
		ended[size] = *(const char *)context;
	cql_result_free(result);
	sem_post(&done);
}

static bool is_next(void)
{
	return clock_monotonic_ms(clock_system()) >= next_ms;
}

static bool all_are_in_flight(void)
{
	return nodes[0].statements == IN_FLIGHT;
}

/* One that was in flight waits before the one that had no room, and may wait longer. */
static void who_waits_is_told_in_time_whoever_waits_before(void **state)
{
	struct cql_statement silent = { .text = "silent", .is_idempotent = true };
	struct cql_statement ok = { .text = "ok" };

	sem_init(&done, 0, 0);
	memset(ended, 0, sizeof(ended));
	options.pending_max = 2 * IN_FLIGHT;
	options.request_timeout_ms = 2 * APART_MS;
	start_node();
	connect_session();
	next_ms = clock_monotonic_ms(clock_system()) + STEADY_MS;
	wait_until(is_next);
	next_ms = clock_monotonic_ms(clock_system()) + APART_MS;
	assert_int_equal(cql_submit(session, &silent, on_end, again, &err), 0);
	silent.is_idempotent = false;
	for (int i = 1; i < IN_FLIGHT; i++)
		assert_int_equal(cql_submit(session, &silent, on_end, NULL, &err), 0);
	assert_int_equal(cql_submit(session, &ok, on_end, late, &err), 0);
	wait_until(all_are_in_flight);
	wait_until(is_next);
	fake_node_stop(&nodes[0]);
	nodes[0].manner = FAKE_MUTE;
	fake_node_start(&nodes[0]);
	for (int i = 0; i < IN_FLIGHT + 1; i++)
		sem_wait(&done);
	assert_string_equal(ended, "AB");
	sem_destroy(&done);
}

static void a_stopped_session_lets_nobody_wait(void **state)
{
	struct cql_statement silent = { .text = "silent" };

	sem_init(&done, 0, 0);
	start_node();
	connect_session();
	for (int i = 0; i < 10; i++)
		assert_int_equal(cql_submit(session, &silent, on_done, NULL, &err), 0);
	cql_session_stop(session);
	for (int i = 0; i < 10; i++)
		sem_wait(&done);
	assert_int_equal(last_r, CQL_UNAVAILABLE);
	assert_int_equal(execute("ok", true), CQL_UNAVAILABLE);
	assert_int_equal(cql_session_wait(session, LONG_MS, &err), CQL_UNAVAILABLE);
	assert_int_equal(cql_schema_agreement(session, LONG_MS, &err), CQL_UNAVAILABLE);
	sem_destroy(&done);
}

static void wrong_options_are_refused(void **state)
{
	static const struct {
		struct cql_options options;
		const char *why;
	} wrong[] = {
		{ { .hosts = "" }, "no host" },
		{ { .hosts = "a:0" }, "port" },
		{ { .hosts = "a", .keyspace = "a'b" }, "keyspace" },
		{ { .hosts = "a", .use_tls = true, .ca_file = "/nowhere" }, "/nowhere" },
		{ { .hosts = "a", .use_tls = true, .cert_file = "/nowhere" }, "key" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_true(cql_session_new(&wrong[i].options, &session, &err) < 0);
		assert_error_has(wrong[i].why);
	}
}

#define WITH_NODES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_NODES(a_row_is_read),
		WITH_NODES(a_host_may_be_a_name),
		WITH_NODES(a_name_that_is_not_found_is_told),
		WITH_NODES(what_is_asked_before_a_node_is_connected_waits_for_it),
		WITH_NODES(a_refusal_is_an_error_with_the_servers_text),
		WITH_NODES(a_stream_is_used_again_only_after_its_late_answer),
		WITH_NODES(a_node_that_falls_silent_is_given_up),
		WITH_NODES(a_forgotten_statement_is_prepared_again),
		WITH_NODES(a_node_that_forgets_each_time_is_not_asked_for_ever),
		WITH_NODES(what_cannot_be_prepared_is_refused),
		WITH_NODES(an_overloaded_node_is_asked_again_after_a_pause),
		WITH_NODES(what_is_not_idempotent_is_sent_once),
		WITH_NODES(what_was_surely_not_done_is_sent_again_in_any_case),
		WITH_NODES(what_one_node_cannot_do_another_does),
		WITH_NODES(who_was_refused_by_all_that_are_connected_is_told_at_once),
		WITH_NODES(whatever_a_node_sends_the_session_goes_on),
		WITH_NODES(a_damaged_answer_fails_alone),
		WITH_NODES(an_answer_that_is_too_large_is_not_asked_for_again),
		WITH_NODES(a_password_is_given),
		WITH_NODES(a_wrong_password_is_told),
		WITH_NODES(a_missing_password_is_told),
		WITH_NODES(another_way_to_log_in_is_told),
		WITH_NODES(another_version_is_told),
		WITH_NODES(what_is_no_cassandra_is_told),
		WITH_NODES(a_node_that_never_speaks_is_told),
		WITH_NODES(a_host_that_never_speaks_keeps_nobody_from_the_next),
		WITH_NODES(who_begins_again_before_a_host_is_given_up_connects),
		WITH_NODES(a_name_that_takes_long_keeps_nobody_from_the_next),
		WITH_NODES(a_node_that_cannot_tell_of_the_nodes_is_not_the_only_one_asked),
		WITH_NODES(a_node_that_does_not_tell_of_the_nodes_is_left_before_the_wait_is_over),
		WITH_NODES(that_no_node_tells_of_the_nodes_is_told),
		WITH_NODES(a_node_that_can_tell_of_the_nodes_no_more_is_left),
		WITH_NODES(where_nobody_listens_it_is_known_at_once),
		WITH_NODES(a_node_that_comes_back_is_used_again),
		WITH_NODES(a_statement_goes_to_its_replica),
		WITH_NODES(without_a_key_all_nodes_are_used),
		WITH_NODES(nodes_of_another_data_centre_are_left_alone),
		WITH_NODES(a_data_centre_without_nodes_is_told),
		WITH_NODES(a_new_node_is_learnt_of_by_an_event),
		WITH_NODES(the_death_of_one_node_is_not_seen),
		WITH_NODES(a_node_that_stands_still_is_left_soon),
		WITH_NODES(nodes_agree_on_a_schema),
		WITH_NODES(a_node_elsewhere_that_is_down_is_not_waited_for),
		WITH_NODES(nodes_that_agree_on_the_schema_before_do_not_agree),
		WITH_NODES(compression_is_used_where_both_have_it),
		WITH_NODES(compression_is_not_used_where_the_node_lacks_it),
		WITH_NODES(all_pages_of_many_statements_come_in_order),
		WITH_NODES(a_caller_may_have_seen_enough),
		WITH_NODES(one_failure_among_many_is_told),
		WITH_NODES(a_batch_prepares_what_it_needs),
		WITH_NODES(what_is_too_large_is_refused),
		WITH_NODES(statements_that_are_large_wait_for_each_other),
		WITH_NODES(more_than_may_be_pending_waits_or_is_refused),
		WITH_NODES(who_waits_is_told_in_time_whoever_waits_before),
		WITH_NODES(a_stopped_session_lets_nobody_wait),
		WITH_NODES(wrong_options_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
