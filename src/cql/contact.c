/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/contact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

struct piece {
	const char *begin;
	size_t size;
};

static struct piece trim(struct piece piece)
{
	for (; piece.size && strchr(" \t", piece.begin[0]); piece.size--)
		piece.begin++;
	while (piece.size && strchr(" \t", piece.begin[piece.size - 1]))
		piece.size--;
	return piece;
}

/* The end of the host in it: before ":port" or "]". */
static struct piece host_of(struct piece piece)
{
	const char *end = piece.begin + piece.size, *colon;

	if (piece.begin[0] == '[') {
		const char *bracket = memchr(piece.begin, ']', piece.size);

		return bracket ? (struct piece){ piece.begin + 1,
			(size_t)(bracket - piece.begin - 1) }
			       : (struct piece){ piece.begin, 0 };
	}
	colon = memchr(piece.begin, ':', piece.size);
	if (!colon || memchr(colon + 1, ':', (size_t)(end - colon - 1)))
		return piece; /* no port: a bare name or a bare IPv6 address */
	return (struct piece){ piece.begin, (size_t)(colon - piece.begin) };
}

/* What stands behind the host: nothing, or ":port". */
static int read_port(const char *rest, const char *end, int *port)
{
	char digits[8] = "";
	int64_t value;

	if (rest == end)
		return 0;
	if (*rest != ':' || (size_t)(end - rest - 1) >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, rest + 1, (size_t)(end - rest - 1));
	if (text_to_i64(digits, &value) < 0 || value < 1 || value > UINT16_MAX)
		return -EINVAL;
	*port = (int)value;
	return 0;
}

static int read_contact(struct piece piece, struct cql_contact *contact, struct error *err)
{
	struct piece host = piece.size ? host_of(piece) : piece;
	const char *rest = host.begin + host.size;

	if (!host.size || host.size >= sizeof(contact->host))
		return error_set(err, -EINVAL, "'%.*s' is no host", (int)MIN_OF(piece.size, 256u),
			piece.begin);
	if (host.begin != piece.begin)
		rest++; /* the bracket */
	if (read_port(rest, piece.begin + piece.size, &contact->port) < 0)
		return error_set(err, -EINVAL, "'%.*s' has no port from 1 to 65535",
			(int)MIN_OF(piece.size, 256u), piece.begin);
	memcpy(contact->host, host.begin, host.size);
	contact->host[host.size] = '\0';
	return 0;
}

int cql_contacts_read(const char *text, int port, struct cql_contact ret_contacts[CQL_CONTACTS_MAX],
	size_t *ret_count, struct error *err)
{
	size_t count = 0, size;
	int r;

	for (;; text += size + 1) {
		size = strcspn(text, ",");
		if (count == CQL_CONTACTS_MAX)
			return error_set(err, -EINVAL, "more than %d hosts", CQL_CONTACTS_MAX);
		ret_contacts[count].port = port;
		r = read_contact(trim((struct piece){ text, size }), &ret_contacts[count++], err);
		if (r < 0)
			return r;
		if (!text[size])
			break;
	}
	*ret_count = count;
	return 0;
}

bool cql_contact_is_numeric(const struct cql_contact *contact)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, contact->host, bytes) == 1 ||
	       inet_pton(AF_INET6, contact->host, bytes) == 1;
}

static bool take_address(const struct addrinfo *info, int port, struct cql_address *ret_address)
{
	*ret_address = (struct cql_address){ .port = (uint16_t)port };
	if (info->ai_family == AF_INET) {
		ret_address->size = 4;
		memcpy(ret_address->bytes,
			&((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr, 4);
	} else if (info->ai_family == AF_INET6) {
		ret_address->size = 16;
		memcpy(ret_address->bytes,
			&((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr, 16);
	}
	return ret_address->size > 0;
}

size_t cql_contact_resolve(const struct cql_contact *contact,
	struct cql_address ret_addresses[CQL_CONTACT_ADDRESSES_MAX], struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = cql_contact_is_numeric(contact) ? AI_NUMERICHOST : 0 };
	struct addrinfo *infos = NULL;
	size_t count = 0;
	int r = getaddrinfo(contact->host, NULL, &hints, &infos);

	if (r != 0) {
		error_set(err, -EIO, "'%s' is not found: %s", contact->host, gai_strerror(r));
		return 0;
	}
	for (struct addrinfo *info = infos; info && count < CQL_CONTACT_ADDRESSES_MAX;
		info = info->ai_next)
		if (take_address(info, contact->port, &ret_addresses[count]))
			count++;
	freeaddrinfo(infos);
	return count;
}
