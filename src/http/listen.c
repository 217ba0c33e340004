/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int name_address(int fd, char ret_address[LISTEN_ADDRESS_SIZE])
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	snprintf(ret_address, LISTEN_ADDRESS_SIZE, strchr(host, ':') ? "[%.100s]:%s" : "%.100s:%s",
		host, port);
	return 0;
}

static int open_one(const struct addrinfo *at)
{
	const int on = 1;
	int fd = socket(
		at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
	int r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Every address is one socket where IPv6 listens for both. */
static int open_any(const struct addrinfo *found)
{
	int r = -EADDRNOTAVAIL;

	for (int family = 0; family < 2; family++)
		for (const struct addrinfo *at = found; at; at = at->ai_next)
			if ((at->ai_family == AF_INET6) == (family == 0)) {
				r = open_one(at);
				if (r >= 0)
					return r;
			}
	return r;
}

int listen_open(
	const char *host, uint16_t port, char ret_address[LISTEN_ADDRESS_SIZE], struct error *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	bool is_any = strcmp(host, "*") == 0;
	struct addrinfo *found;
	char service[8];
	int fd, r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(is_any ? NULL : host, service, &hints, &found);
	if (r != 0)
		return error_set(
			err, -EINVAL, "cannot find the address of '%s': %s", host, gai_strerror(r));
	fd = open_any(found);
	freeaddrinfo(found);
	if (fd < 0)
		return error_set(err, fd, "cannot listen on '%s' port %u for HTTP: %s", host, port,
			strerror(-fd));
	r = name_address(fd, ret_address);
	if (r < 0) {
		close(fd);
		return error_set(err, r, "cannot name the address of '%s'", host);
	}
	return fd;
}
