/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/remote/line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/request.h"

enum {
	CONNECT_MS = 2000,
	UNACKNOWLEDGED_MS = 10 * 1000, /* bytes that the other host's kernel does not take */
	IDLE_SECONDS = 5,
	IDLE_PROBES = 3,
};

struct line {
	zsock_t *socket;  /* DEALER: unlike REQ it tells whether it may send, and that is whether it
			     is connected */
	zsock_t *monitor; /* what libzmq says of the connection */
	bool is_connected, has_ended;
};

static const int ends = ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
			ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
			ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

static bool watch(struct line *line)
{
	static atomic_uint_fast64_t number;
	char endpoint[64];

	snprintf(endpoint, sizeof(endpoint), "inproc://line-%" PRIu64,
		(uint64_t)atomic_fetch_add(&number, 1));
	if (zmq_socket_monitor(zsock_resolve(line->socket), endpoint,
		    ends | ZMQ_EVENT_HANDSHAKE_SUCCEEDED) < 0)
		return false;
	line->monitor = zsock_new(ZMQ_PAIR);
	if (!line->monitor)
		return false;
	zsock_set_linger(line->monitor, 0);
	return zsock_connect(line->monitor, "%s", endpoint) == 0;
}

static void configure(zsock_t *socket, const struct host *host)
{
	zsock_set_linger(socket, 0);
	zsock_set_immediate(socket, 1);
	zsock_set_ipv6(socket, host_is_ipv6(host));
	zsock_set_maxmsgsize(socket, ANSWER_SIZE_MAX);
	zsock_set_handshake_ivl(socket, CONNECT_MS);
	zsock_set_reconnect_ivl(socket, -1);
	zsock_set_tcp_maxrt(socket, UNACKNOWLEDGED_MS);
	zsock_set_tcp_keepalive(socket, 1);
	zsock_set_tcp_keepalive_idle(socket, IDLE_SECONDS);
	zsock_set_tcp_keepalive_intvl(socket, IDLE_SECONDS);
	zsock_set_tcp_keepalive_cnt(socket, IDLE_PROBES);
}

struct line *line_new(const struct host *host)
{
	CLEANUP(line_free) struct line *line = calloc(1, sizeof(*line));
	char endpoint[HOST_ENDPOINT_SIZE];
	struct line *made;

	if (!line)
		return NULL;
	line->socket = zsock_new(ZMQ_DEALER);
	if (!line->socket || !watch(line))
		return NULL;
	configure(line->socket, host);
	if (zsock_connect(line->socket, "%s", host_endpoint(host, host->port, endpoint)) < 0)
		line->has_ended = true;
	made = line;
	line = NULL;
	return made;
}

struct line *line_free(struct line *line)
{
	if (!line)
		return NULL;
	if (line->socket)
		zmq_socket_monitor(zsock_resolve(line->socket), NULL, 0);
	zsock_destroy(&line->monitor);
	zsock_destroy(&line->socket);
	free(line);
	return NULL;
}

/* An event is the number of its kind, 16 bits in the host's order, and what does not matter here;
 * the second frame is the address. */
static void take_event(struct line *line)
{
	zmsg_t *message = zmsg_recv(line->monitor);
	zframe_t *frame = message ? zmsg_first(message) : NULL;
	uint16_t event = 0;

	if (frame && zframe_size(frame) >= sizeof(event))
		memcpy(&event, zframe_data(frame), sizeof(event));
	if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
		line->is_connected = true;
	else if (event & ends)
		line->has_ended = true;
	zmsg_destroy(&message);
}

/* Waits until the socket has an answer (*ret_is_readable) or something happened to the connection.
 * False: the end came, or the program is to end. */
static bool wait_for(struct line *line, int64_t end_ms, bool *ret_is_readable)
{
	zmq_pollitem_t items[] = {
		{ .socket = zsock_resolve(line->monitor), .events = ZMQ_POLLIN },
		{ .socket = zsock_resolve(line->socket), .events = ZMQ_POLLIN },
	};
	int64_t left_ms = end_ms - clock_monotonic_ms(clock_system());
	int r = zmq_poll(items, 2, left_ms > 0 ? (long)left_ms : 0);

	if (r > 0 && items[0].revents)
		take_event(line);
	*ret_is_readable = r > 0 && items[1].revents;
	return r > 0 || (r < 0 && errno == EINTR && !zsys_interrupted && left_ms > 0);
}

static bool connect_by(struct line *line, int64_t end_ms)
{
	bool is_readable;

	while (!line->is_connected && !line->has_ended && wait_for(line, end_ms, &is_readable))
		;
	/* A line that was kept may have ended since. */
	while (!line->has_ended && zsock_events(line->monitor) & ZMQ_POLLIN)
		take_event(line);
	return line->is_connected && !line->has_ended;
}

/* Without the empty frame in front, which a REP side sends back. */
static zmsg_t *receive(struct line *line)
{
	zmsg_t *message = zmsg_recv(line->socket);
	zframe_t *empty = message ? zmsg_pop(message) : NULL;

	zframe_destroy(&empty);
	return message;
}

enum line_outcome line_ask(
	struct line *line, const char *body, int64_t timeout_ms, zmsg_t **ret_answer)
{
	int64_t begin_ms = clock_monotonic_ms(clock_system());
	bool is_readable = false;

	if (!connect_by(line, begin_ms + MIN_OF(timeout_ms, (int64_t)CONNECT_MS)))
		return LINE_UNREACHABLE;
	if (!(zsock_events(line->socket) & ZMQ_POLLOUT) ||
		zstr_sendx(line->socket, "", "kanyun", "", body, NULL) < 0)
		return LINE_UNREACHABLE;
	while (!is_readable && !line->has_ended)
		if (!wait_for(line, begin_ms + timeout_ms, &is_readable))
			return LINE_SILENT;
	if (!(zsock_events(line->socket) & ZMQ_POLLIN))
		return LINE_UNREACHABLE;
	*ret_answer = receive(line);
	return *ret_answer ? LINE_ANSWERED : LINE_UNREACHABLE;
}
