/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/fake-node.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "cql/frame.h"
#include "cql/response.h"

enum { INPUT_MAX = 32 * 1024 * 1024, TEXT_SIZE = 128, TEXTS_MAX = 32 };

_Thread_local bool fake_node_is_here;

struct held {
	int16_t stream;
	bool is_used;
};

struct fake_connection {
	int fd;
	struct buffer input;
	bool has_lz4, wants_events;
	struct held held[FAKE_HELD_MAX]; /* asked and not answered */
};

struct request {
	struct fake_node *node;
	struct fake_connection *connection;
	int16_t stream;
	uint8_t opcode;
	struct cursor body;
};

/* Texts that were prepared by any node of the process; their id is their place. */
static char texts[TEXTS_MAX][TEXT_SIZE];
static size_t text_count;
static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t number_of(const char *text)
{
	size_t i;

	pthread_mutex_lock(&texts_lock);
	for (i = 0; i < text_count && strcmp(texts[i], text) != 0; i++)
		;
	if (i == text_count && text_count < TEXTS_MAX)
		snprintf(texts[text_count++], TEXT_SIZE, "%s", text);
	pthread_mutex_unlock(&texts_lock);
	return (uint32_t)i;
}

static void write_all(int fd, const void *bytes, size_t size)
{
	const char *next = bytes;
	ssize_t n;

	for (; size; next += n, size -= (size_t)n) {
		n = send(fd, next, size, MSG_NOSIGNAL);
		if (n <= 0)
			return;
	}
}

static void begin_frame(struct buffer *frame, uint8_t opcode)
{
	buffer_init(frame, INPUT_MAX);
	buffer_write_u8(frame, 0x80 | CQL_PROTOCOL_VERSION);
	buffer_write_u8(frame, 0);
	buffer_write_u16(frame, 0);
	buffer_write_u8(frame, opcode);
	buffer_write_u32(frame, 0);
}

static void send_on(const struct fake_connection *connection, struct buffer *frame, int16_t stream)
{
	uint32_t size = htonl((uint32_t)(frame->size - CQL_FRAME_HEADER_SIZE));
	struct buffer packed;

	memcpy(frame->bytes + 5, &size, sizeof(size));
	buffer_init(&packed, INPUT_MAX);
	if (connection->has_lz4) {
		cql_frame_compress(frame->bytes, frame->size, stream, &packed);
		write_all(connection->fd, packed.bytes, packed.size);
	} else {
		cql_frame_set_stream(frame->bytes, stream);
		write_all(connection->fd, frame->bytes, frame->size);
	}
	buffer_deinit(&packed);
	buffer_deinit(frame);
}

static void hold(const struct request *request)
{
	for (size_t i = 0; i < FAKE_HELD_MAX; i++) {
		struct held *held = &request->connection->held[i];

		if (!held->is_used) {
			*held = (struct held){ request->stream, true };
			return;
		}
	}
}

static void note_reuse(const struct request *request)
{
	for (size_t i = 0; i < FAKE_HELD_MAX; i++)
		if (request->connection->held[i].is_used &&
			request->connection->held[i].stream == request->stream)
			request->node->has_reused_stream = true;
}

static void answer(const struct request *request, struct buffer *frame)
{
	send_on(request->connection, frame, request->stream);
}

static void answer_empty(const struct request *request, uint8_t opcode)
{
	struct buffer frame;

	begin_frame(&frame, opcode);
	answer(request, &frame);
}

static void write_string(struct buffer *to, const char *text)
{
	buffer_write_u16(to, (uint16_t)strlen(text));
	buffer_write(to, text, strlen(text));
}

static void write_cell(struct buffer *to, const void *bytes, size_t size)
{
	buffer_write_u32(to, (uint32_t)size);
	buffer_write(to, bytes, size);
}

static void refuse(const struct request *request, int code, const char *text)
{
	struct buffer frame;

	begin_frame(&frame, CQL_ERROR);
	buffer_write_u32(&frame, (uint32_t)code);
	write_string(&frame, text);
	if (code == CQL_ERROR_UNAVAILABLE) {
		buffer_write_u16(&frame, CQL_LOCAL_QUORUM);
		buffer_write_u32(&frame, 2);
		buffer_write_u32(&frame, 1);
	}
	answer(request, &frame);
}

static void refuse_unprepared(const struct request *request, const char *text)
{
	struct buffer frame;

	begin_frame(&frame, CQL_ERROR);
	buffer_write_u32(&frame, CQL_ERROR_UNPREPARED);
	write_string(&frame, "never heard of it");
	buffer_write_u16(&frame, 4);
	buffer_write_u32(&frame, number_of(text));
	answer(request, &frame);
}

static void answer_void(const struct request *request)
{
	struct buffer frame;

	begin_frame(&frame, CQL_RESULT);
	buffer_write_u32(&frame, CQL_RESULT_VOID);
	answer(request, &frame);
}

/* A column's name and type, "set" for a set of texts. */
struct column {
	const char *name;
	uint16_t type;
};

static void begin_rows(struct buffer *frame, const struct column *columns, uint32_t column_count,
	const char *paging_state, uint32_t row_count)
{
	begin_frame(frame, CQL_RESULT);
	buffer_write_u32(frame, CQL_RESULT_ROWS);
	buffer_write_u32(frame, paging_state ? 3 : 1);
	buffer_write_u32(frame, column_count);
	if (paging_state)
		write_cell(frame, paging_state, strlen(paging_state));
	write_string(frame, "system");
	write_string(frame, "table");
	for (uint32_t i = 0; i < column_count; i++) {
		write_string(frame, columns[i].name);
		buffer_write_u16(frame, columns[i].type);
		if (columns[i].type == CQL_TYPE_SET)
			buffer_write_u16(frame, CQL_TYPE_TEXT);
	}
	buffer_write_u32(frame, row_count);
}

static void write_uuid(struct buffer *to, uint8_t number)
{
	uint8_t uuid[16] = { [15] = number };

	write_cell(to, uuid, sizeof(uuid));
}

static void write_tokens(struct buffer *to, const char *token)
{
	buffer_write_u32(to, (uint32_t)(8 + strlen(token)));
	buffer_write_u32(to, 1);
	write_cell(to, token, strlen(token));
}

static const struct column peer_columns[] = { { "host_id", CQL_TYPE_UUID },
	{ "data_center", CQL_TYPE_TEXT }, { "rack", CQL_TYPE_TEXT }, { "tokens", CQL_TYPE_SET },
	{ "schema_version", CQL_TYPE_UUID }, { "rpc_address", CQL_TYPE_INET },
	{ "peer", CQL_TYPE_INET } };

static void write_peer(struct buffer *to, const struct fake_peer *peer, bool has_address)
{
	uint8_t address[4] = { 127, 0, 0, peer->number };

	write_uuid(to, peer->number);
	write_cell(to, peer->datacenter, strlen(peer->datacenter));
	write_cell(to, "rack", 4);
	write_tokens(to, peer->token);
	write_uuid(to, peer->schema);
	for (int i = 0; i < 2 && has_address; i++)
		write_cell(to, address, sizeof(address));
}

static void answer_version(const struct request *request)
{
	struct buffer frame;

	begin_rows(&frame, &peer_columns[4], 1, NULL, 1);
	write_uuid(&frame, request->node->peers[0].schema);
	answer(request, &frame);
}

static void answer_local(const struct request *request)
{
	struct buffer frame;

	begin_rows(&frame, peer_columns, 5, NULL, 1);
	write_peer(&frame, &request->node->peers[0], false);
	answer(request, &frame);
}

static void answer_peers(const struct request *request)
{
	size_t count = request->node->peer_count;
	struct buffer frame;

	if (request->node->manner == FAKE_REFUSES_PEERS) {
		refuse(request, CQL_ERROR_SERVER, "no peers today");
		return;
	}
	if (request->node->manner == FAKE_HOLDS_PEERS) {
		hold(request);
		return;
	}
	begin_rows(&frame, peer_columns, 7, NULL, (uint32_t)count - 1);
	for (size_t i = 1; i < count; i++)
		write_peer(&frame, &request->node->peers[i], true);
	answer(request, &frame);
}

static void answer_replication(const struct request *request)
{
	static const char *const map[] = { "class", "org.apache.cassandra.locator.SimpleStrategy",
		"replication_factor", "1" };
	struct buffer frame, cell;

	buffer_init(&cell, 1024);
	buffer_write_u32(&cell, 2);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		write_cell(&cell, map[i], strlen(map[i]));
	begin_frame(&frame, CQL_RESULT);
	buffer_write_u32(&frame, CQL_RESULT_ROWS);
	buffer_write_u32(&frame, 1);
	buffer_write_u32(&frame, 1);
	write_string(&frame, "system_schema");
	write_string(&frame, "keyspaces");
	write_string(&frame, "replication");
	buffer_write_u16(&frame, CQL_TYPE_MAP);
	buffer_write_u16(&frame, CQL_TYPE_TEXT);
	buffer_write_u16(&frame, CQL_TYPE_TEXT);
	buffer_write_u32(&frame, 1);
	write_cell(&frame, cell.bytes, cell.size);
	buffer_deinit(&cell);
	answer(request, &frame);
}

/* The state of page n is "n" in n bytes; `asked` is the one that came. */
static void answer_page(const struct request *request, size_t page_count, size_t page)
{
	static const struct column column = { "page", CQL_TYPE_BIGINT };
	char state[64] = "";
	struct buffer frame;

	memset(state, 'n', page + 1);
	begin_rows(&frame, &column, 1, page + 1 < page_count ? state : NULL, 1);
	buffer_write_u32(&frame, 8);
	buffer_write_u64(&frame, page);
	answer(request, &frame);
}

static void answer_keyspace_change(const struct request *request)
{
	struct buffer frame;

	request->node->peers[0].schema = 9;
	begin_frame(&frame, CQL_RESULT);
	buffer_write_u32(&frame, CQL_RESULT_SCHEMA);
	write_string(&frame, "CREATED");
	write_string(&frame, "KEYSPACE");
	write_string(&frame, "data");
	answer(request, &frame);
}

static void close_now(struct fake_connection *connection)
{
	shutdown(connection->fd, SHUT_RDWR);
}

static void send_half(const struct request *request)
{
	static const uint8_t half[] = { 0x84, 0, 0, 0, CQL_RESULT, 0, 0, 0, 100, 0, 0, 0, 1 };

	write_all(request->connection->fd, half, sizeof(half));
	close_now(request->connection);
}

static void send_damaged(const struct request *request)
{
	struct buffer frame;

	begin_frame(&frame, CQL_RESULT);
	buffer_write_u32(&frame, CQL_RESULT_ROWS);
	buffer_write_u32(&frame, 1);
	buffer_write_u32(&frame, 200000);
	answer(request, &frame);
}

static void send_huge(const struct request *request)
{
	uint8_t huge[] = { 0x84, 0, 0, 0, CQL_RESULT, 0x7f, 0xff, 0xff, 0xff };

	cql_frame_set_stream(huge, request->stream);
	write_all(request->connection->fd, huge, sizeof(huge));
}

static void send_stray(const struct request *request)
{
	struct request stray = *request;

	stray.stream = (int16_t)(request->stream + 1000);
	answer_void(&stray);
}

static void tell_news(const struct fake_connection *connection)
{
	static const uint8_t address[] = { 4, 127, 0, 0, 2, 0, 0, 0x23, 0x52 };
	struct buffer frame;

	begin_frame(&frame, CQL_EVENT);
	write_string(&frame, "TOPOLOGY_CHANGE");
	write_string(&frame, "NEW_NODE");
	buffer_write(&frame, address, sizeof(address));
	send_on(connection, &frame, CQL_STREAM_EVENTS);
}

static void release_held(const struct request *request)
{
	for (size_t i = 0; i < FAKE_HELD_MAX; i++) {
		struct held *held = &request->connection->held[i];
		struct request late = *request;

		if (!held->is_used)
			continue;
		late.stream = held->stream;
		held->is_used = false;
		answer_void(&late);
	}
}

static bool begins(const char *text, const char *word, unsigned int *ret_number)
{
	size_t size = strlen(word);

	if (strncmp(text, word, size) != 0 || (text[size] && text[size] != ' '))
		return false;
	*ret_number = (unsigned int)strtoul(text + size, NULL, 10);
	return true;
}

/* Refuses the first ones. */
static bool refuses(const struct request *request, const char *text)
{
	static const struct {
		const char *word;
		int code;
	} refusals[] = { { "overloaded", CQL_ERROR_OVERLOADED },
		{ "unavailable", CQL_ERROR_UNAVAILABLE },
		{ "bootstrapping", CQL_ERROR_BOOTSTRAPPING }, { "unprepared", 0 } };
	unsigned int number;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		if (!begins(text, refusals[i].word, &number))
			continue;
		if (request->node->refusals++ >= number)
			return false;
		if (refusals[i].code)
			refuse(request, refusals[i].code, "not now");
		else
			refuse_unprepared(request, text);
		return true;
	}
	return false;
}

static void misbehave(const struct request *request, const char *text)
{
	unsigned int number;

	if (begins(text, "half", &number))
		send_half(request);
	else if (begins(text, "close", &number))
		close_now(request->connection);
	else if (begins(text, "garbage", &number))
		write_all(request->connection->fd, "HTTP/1.1 400 Bad Request\r\n", 26);
	else if (begins(text, "damaged", &number))
		send_damaged(request);
	else if (begins(text, "huge", &number))
		send_huge(request);
	else if (begins(text, "stray", &number))
		send_stray(request);
	else if (begins(text, "news", &number))
		tell_news(request->connection);
	else if (!refuses(request, text))
		answer_void(request);
}

static void run_statement(const struct request *request, const char *text, size_t state_size)
{
	unsigned int number;

	if (strstr(text, "SELECT schema_version")) {
		answer_version(request);
	} else if (strstr(text, "system.local")) {
		answer_local(request);
	} else if (strstr(text, "system.peers")) {
		answer_peers(request);
	} else if (strstr(text, "system_schema")) {
		answer_replication(request);
	} else {
		request->node->statements++;
		if (begins(text, "silent", &number)) {
			hold(request);
		} else if (begins(text, "release", &number)) {
			release_held(request);
			answer_void(request);
		} else if (begins(text, "row", &number)) {
			answer_page(request, 1, 0);
		} else if (begins(text, "pages", &number)) {
			answer_page(request, number, state_size);
		} else if (begins(text, "invalid", &number)) {
			refuse(request, CQL_ERROR_INVALID, "no such column");
		} else if (begins(text, "keyspace", &number)) {
			answer_keyspace_change(request);
		} else {
			misbehave(request, text);
		}
	}
}

/* The size of the paging state among the parameters. */
static size_t read_state_size(struct cursor *body)
{
	uint16_t count;
	uint8_t flags;

	(void)cursor_read_u16(body);
	flags = cursor_read_u8(body);
	count = flags & 1 ? cursor_read_u16(body) : 0;
	for (uint16_t i = 0; i < count; i++) {
		int32_t size = (int32_t)cursor_read_u32(body);

		(void)cursor_read_bytes(body, (size_t)MAX_OF(size, 0));
	}
	if (flags & 4)
		(void)cursor_read_u32(body);
	return flags & 8 ? cursor_read_u32(body) : 0;
}

static void read_long_string(struct cursor *body, char text[TEXT_SIZE])
{
	size_t size = cursor_read_u32(body);
	const uint8_t *bytes = cursor_read_bytes(body, size);

	snprintf(text, TEXT_SIZE, "%.*s", (int)size, bytes ? (const char *)bytes : "");
}

static void on_query(struct request *request)
{
	char text[TEXT_SIZE];

	read_long_string(&request->body, text);
	run_statement(request, text, read_state_size(&request->body));
}

static void on_execute(struct request *request)
{
	uint32_t number;

	(void)cursor_read_u16(&request->body);
	number = cursor_read_u32(&request->body);
	if (number >= TEXTS_MAX)
		abort();
	run_statement(request, texts[number], read_state_size(&request->body));
}

/* The id is the text's number; neither markers nor columns are described. */
static void on_prepare(struct request *request)
{
	struct buffer frame;
	char text[TEXT_SIZE];
	unsigned int number;

	read_long_string(&request->body, text);
	request->node->prepares++;
	if (begins(text, "unpreparable", &number)) {
		refuse(request, CQL_ERROR_SYNTAX, "what is that?");
		return;
	}
	begin_frame(&frame, CQL_RESULT);
	buffer_write_u32(&frame, CQL_RESULT_PREPARED);
	buffer_write_u16(&frame, 4);
	buffer_write_u32(&frame, number_of(text));
	for (int i = 0; i < 3; i++)
		buffer_write_u32(&frame, i == 0 ? 4 : 0);
	for (int i = 0; i < 2; i++)
		buffer_write_u32(&frame, i == 0 ? 4 : 0);
	answer(request, &frame);
}

static void on_options(const struct request *request)
{
	struct buffer frame;

	request->node->options++;
	begin_frame(&frame, CQL_SUPPORTED);
	buffer_write_u16(&frame, 2);
	write_string(&frame, "CQL_VERSION");
	buffer_write_u16(&frame, 1);
	write_string(&frame, "3.4.6");
	write_string(&frame, "COMPRESSION");
	buffer_write_u16(&frame, 2);
	write_string(&frame, "snappy");
	write_string(&frame, request->node->has_lz4 ? "lz4" : "zstd");
	answer(request, &frame);
}

static bool names_lz4(const struct request *request)
{
	return memmem(request->body.next, cursor_left(&request->body), "lz4", 3);
}

static void on_startup(const struct request *request)
{
	struct buffer frame;

	request->connection->has_lz4 = names_lz4(request);
	if (request->connection->has_lz4)
		request->node->saw_lz4 = true;
	if (request->node->login == FAKE_ANYBODY) {
		answer_empty(request, CQL_READY);
		return;
	}
	begin_frame(&frame, CQL_AUTHENTICATE);
	write_string(&frame, "org.apache.cassandra.auth.PasswordAuthenticator");
	answer(request, &frame);
}

static void on_login(struct request *request)
{
	static const char right[] = "\0user\0secret";
	struct buffer frame;
	uint32_t size = cursor_read_u32(&request->body);
	const uint8_t *token = cursor_read_bytes(&request->body, size);

	if (request->node->login == FAKE_CHALLENGE) {
		begin_frame(&frame, CQL_AUTH_CHALLENGE);
		write_cell(&frame, "and now?", 8);
	} else if (token && size == sizeof(right) - 1 && memcmp(token, right, size) == 0) {
		begin_frame(&frame, CQL_AUTH_SUCCESS);
		buffer_write_u32(&frame, UINT32_MAX);
	} else {
		refuse(request, CQL_ERROR_CREDENTIALS, "wrong user or password");
		return;
	}
	answer(request, &frame);
}

static void serve(struct request *request)
{
	note_reuse(request);
	switch (request->opcode) {
	case CQL_OPTIONS:
		on_options(request);
		break;
	case CQL_STARTUP:
		on_startup(request);
		break;
	case CQL_AUTH_RESPONSE:
		on_login(request);
		break;
	case CQL_QUERY:
		on_query(request);
		break;
	case CQL_PREPARE:
		on_prepare(request);
		break;
	case CQL_EXECUTE:
		on_execute(request);
		break;
	case CQL_BATCH:
		request->node->batches++;
		answer_void(request);
		break;
	case CQL_REGISTER:
		request->connection->wants_events = true;
		answer_empty(request, CQL_READY);
		break;
	default:
		close_now(request->connection);
	}
}

/* A whole frame, packed or not. */
static void take_frame(struct fake_node *node, struct fake_connection *connection,
	const uint8_t *bytes, size_t size)
{
	struct request request = { node, connection, (int16_t)(bytes[2] << 8 | bytes[3]), bytes[4],
		cursor_over(bytes + CQL_FRAME_HEADER_SIZE, size - CQL_FRAME_HEADER_SIZE) };
	struct buffer plain;

	buffer_init(&plain, CQL_RESPONSE_MAX);
	if (bytes[1] & CQL_FRAME_COMPRESSED) {
		if (cql_frame_decompress(
			    request.body.next, cursor_left(&request.body), &plain, NULL) < 0)
			close_now(connection);
		request.body = cursor_over(plain.bytes, plain.size);
	}
	if (node->manner == FAKE_VERSION_5)
		write_all(connection->fd, "\x85\0\0\0\0\0\0\0\0", 9);
	else if (node->manner == FAKE_NO_SERVER)
		write_all(connection->fd, "220 mail.example.org ESMTP\r\n", 28);
	else if (node->manner != FAKE_MUTE && !node->is_mute)
		serve(&request);
	buffer_deinit(&plain);
}

static void take_frames(struct fake_node *node, struct fake_connection *connection)
{
	struct buffer *input = &connection->input;
	uint32_t size;

	while (input->size >= CQL_FRAME_HEADER_SIZE) {
		memcpy(&size, input->bytes + 5, sizeof(size));
		size = ntohl(size) + CQL_FRAME_HEADER_SIZE;
		if (input->size < size)
			return;
		take_frame(node, connection, input->bytes, size);
		memmove(input->bytes, input->bytes + size, input->size - size);
		input->size -= size;
	}
}

/* false: it is over. */
static bool receive(struct fake_node *node, struct fake_connection *connection)
{
	uint8_t *room = buffer_reserve(&connection->input, 65536);
	ssize_t n = room ? recv(connection->fd, room, 65536, 0) : 0;

	if (n <= 0)
		return false;
	buffer_advance(&connection->input, (size_t)n);
	take_frames(node, connection);
	return true;
}

static void close_connection(struct fake_node *node, size_t i)
{
	struct fake_connection *connection = node->open[i];

	if (!connection)
		return;
	close(connection->fd);
	buffer_deinit(&connection->input);
	free(connection);
	node->open[i] = NULL;
}

static void accept_one(struct fake_node *node)
{
	int fd = accept4(node->listener, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < FAKE_CONNECTIONS_MAX; i++) {
		if (node->open[i])
			continue;
		node->connections++;
		node->open[i] = calloc(1, sizeof(*node->open[i]));
		node->open[i]->fd = fd;
		buffer_init(&node->open[i]->input, INPUT_MAX);
		return;
	}
	close(fd);
}

static void announce(struct fake_node *node)
{
	uint64_t ignored;
	ssize_t n = read(node->event_fd, &ignored, sizeof(ignored));

	(void)n;
	for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
		if (node->open[i] && node->open[i]->wants_events)
			tell_news(node->open[i]);
}

static void *run(void *argument)
{
	struct fake_node *node = argument;
	struct pollfd items[FAKE_CONNECTIONS_MAX + 3];

	fake_node_is_here = true;
	for (;;) {
		items[0] = (struct pollfd){ .fd = node->end_fd, .events = POLLIN };
		items[1] = (struct pollfd){ .fd = node->listener, .events = POLLIN };
		items[2] = (struct pollfd){ .fd = node->event_fd, .events = POLLIN };
		for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
			items[i + 3] =
				(struct pollfd){ .fd = node->open[i] ? node->open[i]->fd : -1,
					.events = POLLIN };
		poll(items, FAKE_CONNECTIONS_MAX + 3, -1);
		if (items[0].revents)
			return NULL;
		for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
			if (items[i + 3].revents && !receive(node, node->open[i]))
				close_connection(node, i);
		if (items[1].revents)
			accept_one(node);
		if (items[2].revents)
			announce(node);
	}
}

void fake_node_start(struct fake_node *node)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(node->port) };
	socklen_t size = sizeof(address);
	int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + node->number);
	node->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(node->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(node->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(node->listener, 64) < 0)
		abort();
	getsockname(node->listener, (struct sockaddr *)&address, &size);
	node->port = ntohs(address.sin_port);
	node->end_fd = eventfd(0, EFD_CLOEXEC);
	node->event_fd = eventfd(0, EFD_CLOEXEC);
	pthread_create(&node->thread, NULL, run, node);
}

void fake_node_stop(struct fake_node *node)
{
	uint64_t one = 1;
	ssize_t n = write(node->end_fd, &one, sizeof(one));

	(void)n;
	pthread_join(node->thread, NULL);
	for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
		close_connection(node, i);
	close(node->listener);
	close(node->end_fd);
	close(node->event_fd);
}

void fake_node_announce(struct fake_node *node)
{
	uint64_t one = 1;
	ssize_t n = write(node->event_fd, &one, sizeof(one));

	(void)n;
}
