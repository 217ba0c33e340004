/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cql/frame.h"

/* What was sent leaves the queue only when it is half of it. */
enum {
	READ_SIZE = 64 * 1024,
	QUEUE_KEPT = 1024 * 1024,
	QUEUE_MAX = 2 * CQL_TRANSPORT_QUEUE_HIGH + CQL_REQUEST_MAX + READ_SIZE,
};

enum state { CONNECTING, SHAKING_HANDS, OPEN };

struct cql_transport {
	int fd;
	SSL *ssl; /* NULL: without TLS */
	enum state state;
	struct buffer queue;
	size_t sent; /* of the queue */
	uint64_t sent_bytes;

	int epoll_fd;
	void *data;
	uint32_t events; /* that the set is told to wait for */
	uint32_t wanted;
};

static socklen_t socket_address(const struct cql_address *address, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (address->size == sizeof(v4->sin_addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(address->port);
		memcpy(&v4->sin_addr, address->bytes, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(address->port);
	memcpy(&v6->sin6_addr, address->bytes, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

static int connect_socket(
	struct cql_transport *transport, const struct cql_address *address, struct error *err)
{
	struct sockaddr_storage to;
	socklen_t size = socket_address(address, &to);
	int on = 1;

	transport->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (transport->fd < 0)
		return error_set(err, -errno, "no socket: %s", strerror(errno));
	setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(transport->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(transport->fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
		return error_set(err, -errno, "cannot connect: %s", strerror(errno));
	return 0;
}

static int watch(struct cql_transport *transport, int operation)
{
	struct epoll_event event = { .events = transport->wanted, .data.ptr = transport->data };

	if (operation == EPOLL_CTL_MOD && transport->events == transport->wanted)
		return 0;
	if (epoll_ctl(transport->epoll_fd, operation, transport->fd, &event) < 0)
		return -errno;
	transport->events = transport->wanted;
	return 0;
}

int cql_transport_open(const struct cql_transport_options *options,
	struct cql_transport **ret_transport, struct error *err)
{
	CLEANUP(cql_transport_free) struct cql_transport *transport = calloc(1, sizeof(*transport));
	int r;

	if (!transport)
		return -ENOMEM;
	transport->fd = -1;
	transport->epoll_fd = options->epoll_fd;
	transport->data = options->data;
	transport->wanted = EPOLLOUT;
	buffer_init(&transport->queue, QUEUE_MAX);
	r = connect_socket(transport, &options->address, err);
	if (r == 0 && options->tls)
		r = cql_tls_begin(options->tls, transport->fd, options->name, &transport->ssl, err);
	if (r == 0)
		r = watch(transport, EPOLL_CTL_ADD);
	if (r < 0)
		return r;
	*ret_transport = transport;
	transport = NULL;
	return 0;
}

struct cql_transport *cql_transport_free(struct cql_transport *transport)
{
	if (!transport)
		return NULL;
	if (transport->ssl && transport->state == OPEN)
		(void)SSL_shutdown(transport->ssl);
	SSL_free(transport->ssl);
	if (transport->fd >= 0)
		close(transport->fd);
	buffer_deinit(&transport->queue);
	free(transport);
	return NULL;
}

static int finish_connecting(struct cql_transport *transport, struct error *err)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(int);
	int failure = 0;

	if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
		failure = errno;
	if (failure)
		return error_set(err, -failure, "cannot connect: %s", strerror(failure));
	size = sizeof(peer);
	if (getpeername(transport->fd, (struct sockaddr *)&peer, &size) == 0)
		transport->state = transport->ssl ? SHAKING_HANDS : OPEN;
	return 0;
}

/* What TLS said: 0 if it only waits, for what `wanted` then says. */
static int tls_result(struct cql_transport *transport, int result, struct error *err)
{
	int ssl_error = SSL_get_error(transport->ssl, result);

	if (ssl_error == SSL_ERROR_WANT_WRITE)
		transport->wanted |= EPOLLOUT;
	else if (ssl_error != SSL_ERROR_WANT_READ)
		return cql_tls_failure(transport->ssl, ssl_error, err);
	return 0;
}

static int shake_hands(struct cql_transport *transport, struct error *err)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(transport->ssl);
	if (result == 1) {
		transport->state = OPEN;
		return 0;
	}
	return tls_result(transport, result, err);
}

/* *ret_sent is 0 where the socket takes no more now. */
static int send_some(struct cql_transport *transport, const void *bytes, size_t size,
	size_t *ret_sent, struct error *err)
{
	ssize_t n;

	*ret_sent = 0;
	if (transport->ssl) {
		ERR_clear_error();
		if (SSL_write_ex(transport->ssl, bytes, size, ret_sent) == 1)
			return 0;
		return tls_result(transport, 0, err);
	}
	n = send(transport->fd, bytes, size, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return error_set(err, -errno, "cannot send: %s", strerror(errno));
	*ret_sent = n > 0 ? (size_t)n : 0;
	return 0;
}

static void forget_sent(struct cql_transport *transport)
{
	struct buffer *queue = &transport->queue;

	if (transport->sent == queue->size && queue->room > QUEUE_KEPT) {
		buffer_deinit(queue);
		buffer_init(queue, QUEUE_MAX);
	} else {
		memmove(queue->bytes, queue->bytes + transport->sent,
			queue->size - transport->sent);
		queue->size -= transport->sent;
	}
	transport->sent = 0;
}

static int send_queue(struct cql_transport *transport, struct error *err)
{
	struct buffer *queue = &transport->queue;
	size_t sent;
	int r;

	while (transport->sent < queue->size) {
		r = send_some(transport, queue->bytes + transport->sent,
			queue->size - transport->sent, &sent, err);
		if (r < 0)
			return r;
		if (!sent)
			break;
		transport->sent += sent;
		transport->sent_bytes += sent;
	}
	if (transport->sent && transport->sent >= queue->size / 2)
		forget_sent(transport);
	return 0;
}

static int step(struct cql_transport *transport, struct error *err)
{
	int r = 0;

	if (transport->state == CONNECTING)
		r = finish_connecting(transport, err);
	if (r == 0 && transport->state == SHAKING_HANDS)
		r = shake_hands(transport, err);
	if (r == 0 && transport->state == OPEN)
		r = send_queue(transport, err);
	return r;
}

int cql_transport_advance(struct cql_transport *transport, struct error *err)
{
	int r;

	transport->wanted = EPOLLIN;
	r = step(transport, err);
	if (r < 0)
		return r;
	if (transport->state == CONNECTING)
		transport->wanted = EPOLLOUT;
	else if (transport->state == OPEN && transport->sent < transport->queue.size)
		transport->wanted |= EPOLLOUT;
	return watch(transport, EPOLL_CTL_MOD);
}

bool cql_transport_is_open(const struct cql_transport *transport)
{
	return transport->state == OPEN;
}

struct buffer *cql_transport_queue(struct cql_transport *transport)
{
	return &transport->queue;
}

bool cql_transport_has_room(const struct cql_transport *transport)
{
	return transport->queue.size - transport->sent < CQL_TRANSPORT_QUEUE_HIGH;
}

static int read_plain(
	struct cql_transport *transport, uint8_t *to, size_t *ret_size, struct error *err)
{
	ssize_t n = recv(transport->fd, to, READ_SIZE, 0);

	if (n == 0)
		return error_set(err, -ECONNRESET, "the node closed the connection");
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CQL_TRANSPORT_EMPTY;
	if (n < 0)
		return error_set(err, -errno, "cannot receive: %s", strerror(errno));
	*ret_size = (size_t)n;
	return 0;
}

static int read_tls(
	struct cql_transport *transport, uint8_t *to, size_t *ret_size, struct error *err)
{
	int r;

	ERR_clear_error();
	if (SSL_read_ex(transport->ssl, to, READ_SIZE, ret_size) == 1)
		return 0;
	r = tls_result(transport, 0, err);
	return r < 0 ? r : CQL_TRANSPORT_EMPTY;
}

int cql_transport_read(struct cql_transport *transport, struct buffer *input, struct error *err)
{
	uint8_t *to = buffer_reserve(input, READ_SIZE);
	size_t size;
	int r;

	if (!to)
		return error_set(err, -ENOMEM, "no memory for what the node sends");
	r = transport->ssl ? read_tls(transport, to, &size, err)
			   : read_plain(transport, to, &size, err);
	if (r == 0)
		buffer_advance(input, size);
	return r;
}

bool cql_transport_holds_input(const struct cql_transport *transport)
{
	return transport->ssl && SSL_pending(transport->ssl) > 0;
}

uint64_t cql_transport_sent_bytes(const struct cql_transport *transport)
{
	return transport->sent_bytes;
}
