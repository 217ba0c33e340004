/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "http/server.h"

/* Handlers that do what a test wants, and a client that speaks bytes. */

enum { ANSWER_MAX = 4 * 1024 * 1024, PIECE = 100 * 1000 };

static struct clock_manual now;
static sem_t entered, may_leave;
static char answer[ANSWER_MAX];

static void say_hello(
	void *context, const struct http_request *request, struct http_response *response)
{
	const char *name = http_request_query(request, "name", 0);

	buffer_print(http_respond(response, "text/plain"), "hello %s%s",
		http_request_is_local(request) ? "local " : "", name ? name : "you");
}

static void block(void *context, const struct http_request *request, struct http_response *response)
{
	sem_post(&entered);
	sem_wait(&may_leave);
	buffer_print(http_respond(response, "text/plain"), "unblocked");
}

struct pieces {
	int left, refuse_at;
	bool moves_clock;
};

static bool next_piece(void *context, struct http_response *response, struct buffer *to)
{
	struct pieces *pieces = context;

	if (pieces->left == pieces->refuse_at) {
		http_refuse(response, 503, "the store is away");
		return false;
	}
	if (pieces->moves_clock && pieces->left == 1)
		clock_manual_advance(&now, 60 * 1000);
	memset(buffer_reserve(to, PIECE), 'x', PIECE);
	buffer_advance(to, PIECE);
	return --pieces->left > 0;
}

static void give_pieces(
	void *context, const struct http_request *request, struct http_response *response)
{
	const char *count = http_request_query(request, "count", 0);
	const char *refuse = http_request_query(request, "refuse", 0);
	struct pieces *pieces = calloc(1, sizeof(*pieces));

	pieces->left = (int)strtol(count ? count : "10", NULL, 10);
	pieces->refuse_at = refuse ? (int)strtol(refuse, NULL, 10) : -1;
	pieces->moves_clock = http_request_query(request, "late", 0);
	http_respond_in_pieces(response, "text/plain", next_piece, pieces, free);
}

static void overflow(
	void *context, const struct http_request *request, struct http_response *response)
{
	struct buffer *to = http_respond(response, "text/plain");

	while (buffer_check(to) == 0) {
		(void)buffer_reserve(to, PIECE);
		buffer_advance(to, PIECE);
	}
}

static const struct http_parameter hello_parameters[] = { { "name", false }, { NULL, false } };
static const struct http_parameter piece_parameters[] = { { "count", false }, { "refuse", false },
	{ "late", false }, { NULL, false } };
static const struct http_route routes[] = {
	{ "/hello", hello_parameters, say_hello, false },
	{ "/block", NULL, block, false },
	{ "/pieces", piece_parameters, give_pieces, false },
	{ "/overflow", NULL, overflow, false },
	{ "/public/{name}", NULL, say_hello, true },
};

static bool authorise(void *context, const struct http_request *request,
	struct http_response *response, const void **ret_scope)
{
	if (http_request_header(request, "X-Stranger")) {
		http_response_header(response, "WWW-Authenticate", "Bearer");
		http_refuse(response, 401, "who are you?");
		return false;
	}
	*ret_scope = routes;
	return true;
}

static int set_up(void **state)
{
	struct http_options options = { .host = "127.0.0.1",
		.routes = routes,
		.route_count = ARRAY_SIZE(routes),
		.authorise = authorise,
		.clock = &now.clock,
		.connections_max = 16,
		.connections_per_address_max = 16,
		.idle_seconds = 30,
		.working_max = 1,
		.timeout_ms = 30 * 1000 };
	struct http_server *server;
	struct error err = { 0 };

	clock_manual_init(&now, 1000);
	sem_init(&entered, 0, 0);
	sem_init(&may_leave, 0, 0);
	assert_int_equal(http_server_new(&options, &server, &err), 0);
	*state = server;
	return 0;
}

static int tear_down(void **state)
{
	http_server_free(*state);
	return 0;
}

static int connect_to(const struct http_server *server)
{
	const char *port = strrchr(http_server_url(server), ':') + 1;
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval most = { .tv_sec = 60 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* All until the end of the connection, in `answer`. */
static size_t receive(int fd)
{
	size_t size = 0;
	ssize_t more;

	while ((more = read(fd, answer + size, sizeof(answer) - 1 - size)) > 0)
		size += (size_t)more;
	answer[size] = '\0';
	close(fd);
	return size;
}

static int ask(const struct http_server *server, const char *text)
{
	int fd = connect_to(server);

	send_text(fd, text);
	receive(fd);
	assert_memory_equal(answer, "HTTP/1.", 7);
	return (int)strtol(answer + 9, NULL, 10);
}

static int get(const struct http_server *server, const char *target)
{
	char text[HTTP_URI_MAX + 100];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		target);
	return ask(server, text);
}

static void a_request_is_answered(void **state)
{
	assert_int_equal(get(*state, "/hello?name=a%20b"), 200);
	assert_non_null(strstr(answer, "\r\n\r\nhello local a b"));
	assert_non_null(strstr(answer, "Content-Length: 15\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
	assert_int_equal(http_server_counts(*state).succeeded, 1);
}

static void a_head_has_the_length_and_no_body(void **state)
{
	assert_int_equal(
		ask(*state, "HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
	assert_non_null(strstr(answer, "Content-Length: 15\r\n"));
	assert_null(strstr(answer, "hello"));
}

static void what_is_wrong_is_a_problem_with_its_status(void **state)
{
	static const struct {
		const char *target;
		int status;
	} wrong[] = { { "/none", 404 }, { "/hello?nam=x", 400 }, { "/hello?name=%ff", 400 },
		{ "/hello?name=a&name=a", 400 }, { "/%00", 400 } };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(get(*state, wrong[i].target), wrong[i].status);
		assert_non_null(strstr(answer, "Content-Type: application/problem+json\r\n"));
		assert_non_null(strstr(answer, "{\"type\":\"about:blank\",\"title\":\""));
	}
	assert_int_equal(http_server_counts(*state).refused, ARRAY_SIZE(wrong));
}

static void other_methods_and_bodies_are_refused(void **state)
{
	assert_int_equal(
		ask(*state, "DELETE /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 405);
	assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
	assert_int_equal(ask(*state, "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
				     "Connection: close\r\n\r\nhello"),
		413);
}

static void a_uri_that_is_too_long_is_refused(void **state)
{
	char target[HTTP_URI_MAX + 2];

	memset(target, 'a', sizeof(target) - 1);
	target[0] = '/';
	target[sizeof(target) - 1] = '\0';
	assert_int_equal(get(*state, target), 414);
	assert_non_null(strstr(answer, "application/problem+json"));
}

static void headers_that_are_too_large_are_refused(void **state)
{
	static char text[HTTP_HEADERS_MAX + 200];
	int used = snprintf(text, sizeof(text), "GET /hello HTTP/1.1\r\nHost: x\r\nX-Y: ");

	memset(text + used, 'a', HTTP_HEADERS_MAX);
	memcpy(text + used + HTTP_HEADERS_MAX, "\r\n\r\n", 5);
	assert_int_equal(ask(*state, text), 431);
}

/* What libmicrohttpd knows of it then has no room: it closes the connection, and tells nobody. That
 * nothing is left of it is seen by the leak checker. */
static void a_query_of_too_many_parts_is_given_up(void **state)
{
	static char text[HTTP_HEADERS_MAX];
	size_t used = (size_t)snprintf(text, sizeof(text), "GET /hello?");
	int fd = connect_to(*state);

	while (used < sizeof(text) / 2)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "name=a&");
	snprintf(text + used, sizeof(text) - used, " HTTP/1.1\r\nHost: x\r\n\r\n");
	send_text(fd, text);
	assert_int_equal(receive(fd), 0);
	assert_int_equal(get(*state, "/hello"), 200);
}

static void who_may_not_ask_is_not_told_what_there_is(void **state)
{
	assert_int_equal(ask(*state, "GET /none HTTP/1.1\r\nHost: x\r\nX-Stranger: 1\r\n"
				     "Connection: close\r\n\r\n"),
		401);
	assert_non_null(strstr(answer, "WWW-Authenticate: Bearer\r\n"));
}

static void what_is_public_is_answered_to_everybody_also_when_all_places_are_taken(void **state)
{
	int fd = connect_to(*state);

	send_text(fd, "GET /block HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	sem_wait(&entered);
	assert_int_equal(ask(*state, "GET /public/x HTTP/1.1\r\nHost: x\r\nX-Stranger: 1\r\n"
				     "Connection: close\r\n\r\n"),
		200);
	assert_int_equal(get(*state, "/public/x?name=a"), 400);
	assert_int_equal(ask(*state, "GET /public HTTP/1.1\r\nHost: x\r\nX-Stranger: 1\r\n"
				     "Connection: close\r\n\r\n"),
		401);
	sem_post(&may_leave);
	receive(fd);
}

static void one_request_too_many_is_told_to_come_again(void **state)
{
	int fd = connect_to(*state);

	send_text(fd, "GET /block HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	sem_wait(&entered);
	assert_int_equal(get(*state, "/hello"), 503);
	assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
	assert_int_equal(http_server_counts(*state).busy, 1);
	sem_post(&may_leave);
	receive(fd);
	assert_non_null(strstr(answer, "unblocked"));
	assert_int_equal(get(*state, "/hello"), 200);
}

static void a_long_answer_comes_in_chunks_and_a_short_one_does_not(void **state)
{
	assert_int_equal(get(*state, "/pieces?count=2"), 200);
	assert_non_null(strstr(answer, "Content-Length: 200000\r\n"));
	assert_int_equal(get(*state, "/pieces?count=20"), 200);
	assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n"));
	assert_string_equal(answer + strlen(answer) - 7, "\r\n0\r\n\r\n");
}

static void a_failure_before_the_first_byte_has_its_status(void **state)
{
	assert_int_equal(get(*state, "/pieces?refuse=9"), 503);
	assert_non_null(strstr(answer, "the store is away"));
}

static void a_failure_later_cuts_the_answer_so_that_it_shows(void **state)
{
	assert_int_equal(get(*state, "/pieces?count=20&refuse=5"), 200);
	assert_string_not_equal(answer + strlen(answer) - 7, "\r\n0\r\n\r\n");
	assert_int_equal(http_server_counts(*state).cut, 1);
	assert_int_equal(get(*state, "/pieces?count=20&late=1"), 200);
	assert_string_not_equal(answer + strlen(answer) - 7, "\r\n0\r\n\r\n");
	assert_int_equal(http_server_counts(*state).cut, 2);
}

static void an_old_client_gets_all_with_its_length_or_a_problem(void **state)
{
	assert_int_equal(ask(*state, "GET /pieces?count=20 HTTP/1.0\r\n\r\n"), 200);
	assert_non_null(strstr(answer, "Content-Length: 2000000\r\n"));
	assert_int_equal(ask(*state, "GET /pieces?count=20&refuse=5 HTTP/1.0\r\n\r\n"), 503);
}

static void a_whole_body_over_the_limit_is_a_problem(void **state)
{
	assert_int_equal(get(*state, "/overflow"), 413);
	assert_non_null(strstr(answer, "larger than 64 MiB"));
}

static void an_address_that_is_taken_is_an_error_with_words(void **state)
{
	const char *port = strrchr(http_server_url(*state), ':') + 1;
	struct http_options options = {
		.host = "127.0.0.1", .port = (uint16_t)strtoul(port, NULL, 10), .clock = &now.clock
	};
	struct http_server *server;
	struct error err = { 0 };

	assert_int_equal(http_server_new(&options, &server, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "cannot listen on '127.0.0.1'"));
	options.host = "no such host";
	assert_int_equal(http_server_new(&options, &server, &err), -EINVAL);
}

static void a_certificate_that_is_none_is_an_error_with_words(void **state)
{
	struct http_options options = { .host = "127.0.0.1",
		.certificate = "no",
		.private_key = "no",
		.connections_max = 4,
		.clock = &now.clock };
	struct http_server *server;
	struct error err = { 0 };

	assert_int_equal(http_server_new(&options, &server, &err), -EINVAL);
	assert_non_null(strstr(err.text, "PEM"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_head_has_the_length_and_no_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_is_a_problem_with_its_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			other_methods_and_bodies_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_uri_that_is_too_long_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			headers_that_are_too_large_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_query_of_too_many_parts_is_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			who_may_not_ask_is_not_told_what_there_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_public_is_answered_to_everybody_also_when_all_places_are_taken,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_request_too_many_is_told_to_come_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_long_answer_comes_in_chunks_and_a_short_one_does_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_failure_before_the_first_byte_has_its_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_failure_later_cuts_the_answer_so_that_it_shows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_old_client_gets_all_with_its_length_or_a_problem, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_whole_body_over_the_limit_is_a_problem, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_address_that_is_taken_is_an_error_with_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_certificate_that_is_none_is_an_error_with_words, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
