/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "http/exchange.h"
#include "http/listen.h"

/* TLS 1.2 and 1.3, what GnuTLS counts as secure of them. */
#define PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

enum { OPTIONS_MAX = 16 };

__attribute__((format(printf, 2, 0))) static void log_foreign(
	void *context, const char *format, va_list arguments)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("%s", text);
}

static intptr_t number(uintptr_t value)
{
	return (intptr_t)value;
}

static void add(struct MHD_OptionItem *options, size_t *count, enum MHD_OPTION option,
	intptr_t value, const void *pointer)
{
	options[(*count)++] = (struct MHD_OptionItem){ option, value, (void *)pointer };
}

static void collect_options(struct http_server *server, int fd, struct MHD_OptionItem *to)
{
	const struct http_options *options = &server->options;
	size_t count = 0;

	add(to, &count, MHD_OPTION_LISTEN_SOCKET, fd, NULL);
	add(to, &count, MHD_OPTION_CONNECTION_LIMIT, number(options->connections_max), NULL);
	add(to, &count, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		number(options->connections_per_address_max), NULL);
	add(to, &count, MHD_OPTION_CONNECTION_TIMEOUT, number(options->idle_seconds), NULL);
	add(to, &count, MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_HEADERS_MAX, NULL);
	add(to, &count, MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_on_uri, server);
	add(to, &count, MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)exchange_on_connection, server);
	add(to, &count, MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_on_end, server);
	if (options->certificate) {
		add(to, &count, MHD_OPTION_HTTPS_MEM_CERT, 0, options->certificate);
		add(to, &count, MHD_OPTION_HTTPS_MEM_KEY, 0, options->private_key);
		add(to, &count, MHD_OPTION_HTTPS_PRIORITIES, 0, PRIORITIES);
	}
	add(to, &count, MHD_OPTION_END, 0, NULL);
}

static int start(struct http_server *server, int fd, struct error *err)
{
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
			     MHD_USE_POLL | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem options[OPTIONS_MAX];

	collect_options(server, fd, options);
	if (server->options.certificate)
		flags |= MHD_USE_TLS;
	/* The logger comes first, or what is wrong with the others goes to standard error. */
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, exchange_on_request, server,
		MHD_OPTION_EXTERNAL_LOGGER, log_foreign, NULL, MHD_OPTION_ARRAY, options,
		MHD_OPTION_END);
	if (server->daemon)
		return 0;
	close(fd);
	return error_set(err, -EINVAL, "cannot start HTTP at %s%s", server->url,
		server->options.certificate ? "; are certificate and key PEM, and of each other?"
					    : "");
}

static int open_server(struct http_server *server, struct error *err)
{
	char address[LISTEN_ADDRESS_SIZE];
	int fd = listen_open(server->options.host, server->options.port, address, err);

	if (fd < 0)
		return fd;
	snprintf(server->url, sizeof(server->url), "%s://%s",
		server->options.certificate ? "https" : "http", address);
	return start(server, fd, err);
}

int http_server_new(
	const struct http_options *options, struct http_server **ret_server, struct error *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->options = *options;
	sem_init(&server->places, 0, options->working_max);
	r = open_server(server, err);
	if (r < 0) {
		http_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

struct http_server *http_server_free(struct http_server *server)
{
	if (!server)
		return NULL;
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	sem_destroy(&server->places);
	free(server);
	return NULL;
}

const char *http_server_url(const struct http_server *server)
{
	return server->url;
}

struct http_counts http_server_counts(const struct http_server *server)
{
	const struct http_counts *from = &server->counts;

	return (struct http_counts){
		.requests = __atomic_load_n(&from->requests, __ATOMIC_RELAXED),
		.succeeded = __atomic_load_n(&from->succeeded, __ATOMIC_RELAXED),
		.refused = __atomic_load_n(&from->refused, __ATOMIC_RELAXED),
		.failed = __atomic_load_n(&from->failed, __ATOMIC_RELAXED),
		.busy = __atomic_load_n(&from->busy, __ATOMIC_RELAXED),
		.cut = __atomic_load_n(&from->cut, __ATOMIC_RELAXED),
	};
}
