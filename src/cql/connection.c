/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/connection.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cql/greeting.h"
#include "cql/request.h"
#include "cql/transport.h"

/* OPENING -> GREETING -> READY; from each of them to CLOSED, which is the end. */
enum state { OPENING, GREETING, READY, CLOSED };

enum {
	SUSPECT_MS = 1000,
	IN_FLIGHT_MAX = 1024,
	ABANDONED_MAX = 512, /* unanswered questions that make a node one that does not answer */
	PIECES_MAX = 64,     /* read at one event, so that no node starves the others */
	INPUT_KEPT = 1024 * 1024,
	INPUT_MAX = CQL_FRAME_HEADER_SIZE + CQL_RESPONSE_MAX + INPUT_KEPT,
};

struct cql_connection {
	struct cql_connection_options options;
	char address[CQL_ADDRESS_TEXT_SIZE];
	struct cql_transport *transport;
	enum state state;
	struct cql_greeting greeting;
	bool has_lz4; /* what goes out now is compressed */
	int64_t opened_ms, heard_ms;
	uint64_t sent_bytes; /* that were counted */

	struct buffer input, plain, frame;
	struct cql_streams streams;
	struct cql_question beginning, heartbeat;
	bool heartbeat_is_out;

	int failure;
	struct error reason;
};

static int64_t now_ms(const struct cql_connection *connection)
{
	return clock_monotonic_ms(connection->options.clock);
}

static void count_end(struct cql_connection *connection)
{
	if (connection->state == READY)
		connection->options.counts->disconnects++;
	else
		connection->options.counts->connect_failures++;
}

static void lose_questions(struct cql_connection *connection)
{
	struct cql_answer answer = { .outcome = CQL_LOST, .reason = &connection->reason };
	struct cql_question *question;

	while ((question = cql_streams_drop(&connection->streams)))
		question->answer(question, &answer);
}

/* err holds the text. The transport goes at once: no event comes any more. */
static void close_connection(struct cql_connection *connection, int r, const struct error *err)
{
	if (connection->state == CLOSED)
		return;
	count_end(connection);
	connection->state = CLOSED;
	connection->failure = r;
	error_set(&connection->reason, r, "%s port %u: %s", connection->address,
		connection->options.address.port, error_text(err, r));
	connection->transport = cql_transport_free(connection->transport);
	lose_questions(connection);
}

static void close_with(struct cql_connection *connection, int r, const char *text)
{
	struct error err;

	error_set(&err, r, "%s", text);
	close_connection(connection, r, &err);
}

/* A failure sticks to the queue, which may then hold half a frame: the next advance closes. */
static void put_frame(struct cql_connection *connection, const struct buffer *frame, int16_t stream)
{
	struct buffer *queue = cql_transport_queue(connection->transport);
	size_t begin = queue->size;

	if (connection->has_lz4) {
		cql_frame_compress(frame->bytes, frame->size, stream, queue);
	} else {
		buffer_write(queue, frame->bytes, frame->size);
		if (buffer_check(queue) == 0)
			cql_frame_set_stream(queue->bytes + begin, stream);
	}
}

/* deadline_ms 0: none. */
static bool ask(struct cql_connection *connection, struct cql_question *question,
	const struct buffer *frame, int64_t deadline_ms)
{
	if (connection->state == CLOSED || buffer_check(frame) < 0 ||
		!cql_streams_take(&connection->streams, question, now_ms(connection), deadline_ms))
		return false;
	put_frame(connection, frame, question->stream);
	return true;
}

/* What the greeting says next. The answer to STARTUP may be compressed, STARTUP itself not. */
static void greet(struct cql_connection *connection)
{
	if (!ask(connection, &connection->beginning, &connection->frame, 0))
		close_with(connection, -ENOMEM, "no memory");
	connection->has_lz4 = connection->greeting.has_lz4;
}

static void begin(struct cql_connection *connection)
{
	connection->state = GREETING;
	cql_greeting_begin(&connection->greeting, &connection->frame);
	greet(connection);
}

static void go_on(struct cql_connection *connection, const struct cql_response *response)
{
	struct error err = { 0 };
	int r = cql_greeting_answer(&connection->greeting, response, &connection->frame, &err);

	if (r < 0) {
		close_connection(connection, r, &err);
	} else if (r == CQL_GREETING_READY) {
		connection->state = READY;
		connection->options.counts->connects++;
	} else {
		greet(connection);
	}
}

static void on_beginning(struct cql_question *question, const struct cql_answer *answer)
{
	struct cql_connection *connection =
		(struct cql_connection *)((char *)question -
					  offsetof(struct cql_connection, beginning));
	struct cql_response response;
	struct error err = { 0 };
	int r;

	if (answer->outcome != CQL_ANSWERED)
		return;
	r = cql_response_decode(&answer->frame, answer->body, answer->size, &response, &err);
	if (r < 0)
		close_connection(connection, r, &err);
	else
		go_on(connection, &response);
}

static void on_heartbeat(struct cql_question *question, const struct cql_answer *answer)
{
	struct cql_connection *connection =
		(struct cql_connection *)((char *)question -
					  offsetof(struct cql_connection, heartbeat));

	connection->heartbeat_is_out = false;
}

static void beat(struct cql_connection *connection)
{
	if (connection->heartbeat_is_out)
		return;
	buffer_clear(&connection->frame);
	cql_request_options(&connection->frame);
	connection->heartbeat_is_out =
		ask(connection, &connection->heartbeat, &connection->frame, 0);
}

int cql_connection_open(const struct cql_connection_options *options,
	struct cql_connection **ret_connection, struct error *err)
{
	CLEANUP(cql_connection_free)
	struct cql_connection *connection = calloc(1, sizeof(*connection));
	struct cql_transport_options transport = { .address = options->address,
		.tls = options->tls,
		.name = options->name,
		.epoll_fd = options->epoll_fd,
		.data = connection };
	int r;

	if (!connection)
		return -ENOMEM;
	connection->options = *options;
	connection->options.name = NULL;
	connection->greeting = (struct cql_greeting){ .username = options->username,
		.password = options->password,
		.wants_lz4 = options->use_lz4 };
	cql_address_print(&options->address, connection->address);
	connection->opened_ms = connection->heard_ms = now_ms(connection);
	connection->beginning.answer = on_beginning;
	connection->heartbeat.answer = on_heartbeat;
	buffer_init(&connection->input, INPUT_MAX);
	buffer_init(&connection->plain, CQL_RESPONSE_MAX);
	buffer_init(&connection->frame, CQL_REQUEST_MAX);
	cql_streams_init(&connection->streams);
	r = cql_transport_open(&transport, &connection->transport, err);
	if (r < 0)
		return error_prefix(
			err, r, "%s port %u", connection->address, options->address.port);
	*ret_connection = connection;
	connection = NULL;
	return 0;
}

struct cql_connection *cql_connection_free(struct cql_connection *connection)
{
	if (!connection)
		return NULL;
	if (connection->transport)
		close_with(connection, -ECANCELED, "the connection was given up");
	buffer_deinit(&connection->input);
	buffer_deinit(&connection->plain);
	buffer_deinit(&connection->frame);
	free(connection);
	return NULL;
}

static void tell_event(struct cql_connection *connection, const struct cql_frame *frame,
	const uint8_t *body, size_t size)
{
	struct cql_response response;
	struct error err = { 0 };
	int r = cql_response_decode(frame, body, size, &response, &err);

	if (r < 0) {
		close_connection(connection, r, &err);
	} else if (response.opcode != CQL_EVENT) {
		close_with(connection, -EPROTO, "an answer to nothing that was asked");
	} else if (!connection->options.on_event) {
		close_with(connection, -EPROTO, "news that nobody asked for");
	} else {
		connection->options.counts->events++;
		connection->options.on_event(connection->options.context, &response.event);
	}
}

static void tell_answer(struct cql_connection *connection, const struct cql_frame *frame,
	const uint8_t *body, size_t size)
{
	struct cql_answer answer = { .frame = *frame, .body = body, .size = size };
	struct cql_question *question;
	int r;

	if (frame->stream == CQL_STREAM_EVENTS) {
		tell_event(connection, frame, body, size);
		return;
	}
	r = cql_streams_answered(&connection->streams, frame->stream, &question);
	if (r == 0)
		question->answer(question, &answer);
	else if (r == CQL_STREAMS_LATE)
		connection->options.counts->late_answers++;
	else
		close_with(connection, -EPROTO, "an answer to nothing that was asked");
}

/* Whoever asked is told before the connection ends, so that nobody asks for the same again. */
static void refuse_large(
	struct cql_connection *connection, const struct cql_frame *frame, const struct error *err)
{
	struct cql_answer answer = { .outcome = CQL_TOO_LARGE, .reason = err };
	struct cql_question *question;

	if (cql_streams_answered(&connection->streams, frame->stream, &question) == 0)
		question->answer(question, &answer);
	close_connection(connection, -EMSGSIZE, err);
}

/* A body as it came, packed or not. */
static void take_body(struct cql_connection *connection, const struct cql_frame *frame,
	const uint8_t *body, size_t size)
{
	struct error err = { 0 };
	int r;

	if (!(frame->flags & CQL_FRAME_COMPRESSED)) {
		tell_answer(connection, frame, body, size);
		return;
	}
	if (!connection->has_lz4) {
		close_with(connection, -EPROTO, "compression that was not agreed upon");
		return;
	}
	r = cql_frame_decompress(body, size, &connection->plain, &err);
	if (r == -EMSGSIZE)
		refuse_large(connection, frame, &err);
	else if (r < 0)
		close_connection(connection, r, &err);
	else
		tell_answer(connection, frame, connection->plain.bytes, connection->plain.size);
}

/* Returns the bytes of the whole frame that stood there; 0 if there is none yet. */
static size_t take_frame(struct cql_connection *connection, const uint8_t *bytes, size_t size)
{
	struct cql_frame frame;
	struct error err = { 0 };
	int r;

	if (size < CQL_FRAME_HEADER_SIZE)
		return 0;
	r = cql_frame_decode(bytes, &frame, &err);
	if (r == -EMSGSIZE) {
		refuse_large(connection, &frame, &err);
		return 0;
	}
	if (r < 0) {
		close_connection(connection, r, &err);
		return 0;
	}
	if (size - CQL_FRAME_HEADER_SIZE < frame.size)
		return 0;
	take_body(connection, &frame, bytes + CQL_FRAME_HEADER_SIZE, frame.size);
	return CQL_FRAME_HEADER_SIZE + (size_t)frame.size;
}

/* Rare large answers do not keep their memory. */
static void shrink(struct buffer *buffer)
{
	size_t maximum = buffer->maximum;

	if (buffer->size == 0 && buffer->room > INPUT_KEPT) {
		buffer_deinit(buffer);
		buffer_init(buffer, maximum);
	}
}

static void take_frames(struct cql_connection *connection)
{
	struct buffer *input = &connection->input;
	size_t taken = 0, size;

	do {
		size = take_frame(connection, input->bytes + taken, input->size - taken);
		taken += size;
	} while (size && connection->state != CLOSED);
	if (taken)
		memmove(input->bytes, input->bytes + taken, input->size - taken);
	input->size -= taken;
	shrink(input);
	buffer_clear(&connection->plain);
	shrink(&connection->plain);
}

static void receive(struct cql_connection *connection)
{
	struct error err = { 0 };
	size_t before;
	int r = 0;

	for (int i = 0; r == 0 && connection->state != CLOSED &&
			(i < PIECES_MAX || cql_transport_holds_input(connection->transport));
		i++) {
		before = connection->input.size;
		r = cql_transport_read(connection->transport, &connection->input, &err);
		if (r < 0) {
			close_connection(connection, r, &err);
		} else if (r == 0) {
			connection->heard_ms = now_ms(connection);
			connection->options.counts->received_bytes +=
				connection->input.size - before;
			take_frames(connection);
		}
	}
}

static void advance(struct cql_connection *connection)
{
	struct error err = { 0 };
	int r;

	if (buffer_check(cql_transport_queue(connection->transport)) < 0) {
		close_with(connection, -ENOMEM, "no memory for what is to be sent");
		return;
	}
	r = cql_transport_advance(connection->transport, &err);
	if (r < 0) {
		close_connection(connection, r, &err);
		return;
	}
	connection->options.counts->sent_bytes +=
		cql_transport_sent_bytes(connection->transport) - connection->sent_bytes;
	connection->sent_bytes = cql_transport_sent_bytes(connection->transport);
	if (connection->state == OPENING && cql_transport_is_open(connection->transport)) {
		begin(connection);
		if (connection->state != CLOSED)
			advance(connection);
	}
}

void cql_connection_handle(struct cql_connection *connection)
{
	if (connection->state != CLOSED)
		advance(connection);
	if (connection->state != CLOSED && cql_transport_is_open(connection->transport))
		receive(connection);
}

static void expire(struct cql_connection *connection)
{
	static const struct error reason = { "the node did not answer in time" };
	struct cql_answer answer = { .outcome = CQL_TIMED_OUT, .reason = &reason };
	struct cql_question *question;

	while ((question = cql_streams_expire(&connection->streams, now_ms(connection)))) {
		connection->options.counts->timeouts++;
		question->answer(question, &answer);
	}
}

static bool is_silent(const struct cql_connection *connection)
{
	int64_t since_ms = MAX_OF(connection->heartbeat.asked_ms, connection->heard_ms);

	return connection->heartbeat_is_out &&
	       now_ms(connection) - since_ms >= connection->options.connect_timeout_ms;
}

/* When it becomes suspect if nothing is heard. */
static int64_t suspect_ms(const struct cql_connection *connection)
{
	const struct cql_question *oldest = connection->streams.first;

	return oldest ? MAX_OF(oldest->asked_ms, connection->heard_ms) + SUSPECT_MS : INT64_MAX;
}

bool cql_connection_is_suspect(const struct cql_connection *connection)
{
	return connection->state == READY && suspect_ms(connection) <= now_ms(connection);
}

static int64_t beat_ms(const struct cql_connection *connection)
{
	return MIN_OF(
		suspect_ms(connection), connection->heard_ms + connection->options.heartbeat_ms);
}

static void tick_ready(struct cql_connection *connection)
{
	expire(connection);
	if (is_silent(connection) || connection->streams.abandoned_count > ABANDONED_MAX)
		close_with(connection, -ETIMEDOUT, "the node does not answer any more");
	else if (beat_ms(connection) <= now_ms(connection))
		beat(connection);
}

void cql_connection_tick(struct cql_connection *connection)
{
	if (connection->state == READY)
		tick_ready(connection);
	else if (connection->state != CLOSED && now_ms(connection) - connection->opened_ms >=
							connection->options.connect_timeout_ms)
		close_with(connection, -ETIMEDOUT, "the node did not answer in time");
	if (connection->state != CLOSED && connection->state != OPENING)
		advance(connection);
}

int64_t cql_connection_deadline_ms(const struct cql_connection *connection)
{
	int64_t next_ms;

	if (connection->state == CLOSED)
		return INT64_MAX;
	if (connection->state != READY)
		return connection->opened_ms + connection->options.connect_timeout_ms;
	next_ms = connection->heartbeat_is_out
			  ? MAX_OF(connection->heartbeat.asked_ms, connection->heard_ms) +
				    connection->options.connect_timeout_ms
			  : beat_ms(connection);
	return MIN_OF(next_ms, cql_streams_deadline(&connection->streams));
}

bool cql_connection_is_ready(const struct cql_connection *connection)
{
	return connection->state == READY;
}

bool cql_connection_is_closed(const struct cql_connection *connection)
{
	return connection->state == CLOSED;
}

int cql_connection_failure(const struct cql_connection *connection, struct error *err)
{
	return error_set(err, connection->failure, "%s", connection->reason.text);
}

bool cql_connection_has_room(const struct cql_connection *connection)
{
	return connection->state == READY &&
	       cql_streams_in_flight(&connection->streams) < IN_FLIGHT_MAX &&
	       cql_transport_has_room(connection->transport);
}

bool cql_connection_ask(struct cql_connection *connection, struct cql_question *question,
	const struct buffer *frame)
{
	return connection->state == READY &&
	       ask(connection, question, frame,
		       now_ms(connection) + connection->options.request_timeout_ms);
}
