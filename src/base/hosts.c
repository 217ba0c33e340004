/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define BETWEEN " \t,"

/* ":5551" or nothing. Returns what is behind it; NULL if that is no port. */
static const char *take_port(const char *text, uint16_t *ret_port)
{
	char number[8];
	size_t size = strcspn(text + (*text == ':'), ":");
	int64_t value;

	if (!*text)
		return text;
	if (*text != ':' || size >= sizeof(number))
		return NULL;
	memcpy(number, text + 1, size);
	number[size] = '\0';
	if (text_to_i64(number, &value) < 0 || value < 1 || value > UINT16_MAX)
		return NULL;
	*ret_port = (uint16_t)value;
	return text + 1 + size;
}

/* Returns what is behind the name; NULL if there is none. */
static const char *take_name(const char *text, char name[HOST_TEXT_SIZE])
{
	bool is_bracketed = *text == '[';
	const char *begin = text + is_bracketed;
	size_t size = strcspn(begin, is_bracketed ? "]" : ":[]");

	if (size == 0 || size >= HOST_TEXT_SIZE || (is_bracketed && begin[size] != ']'))
		return NULL;
	memcpy(name, begin, size);
	name[size] = '\0';
	return begin + size + is_bracketed;
}

static bool parse_one(const char *text, struct host *ret_host)
{
	struct host host = { 0 };
	const char *rest = take_name(text, host.name);

	rest = rest ? take_port(rest, &host.port) : NULL;
	rest = rest ? take_port(rest, &host.second_port) : NULL;
	if (!rest || *rest)
		return false;
	*ret_host = host;
	return true;
}

int hosts_parse(const char *text, struct hosts *ret_hosts, struct error *err)
{
	struct hosts hosts = { 0 };

	for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
		char item[HOST_ENDPOINT_SIZE];
		size_t size = strcspn(text, BETWEEN);

		snprintf(item, sizeof(item), "%.*s", (int)size, text);
		if (hosts.count == HOSTS_MAX)
			return error_set(err, -EINVAL, "more than %d hosts", HOSTS_MAX);
		if (size >= sizeof(item) || !parse_one(item, &hosts.items[hosts.count]))
			return error_set(err, -EINVAL,
				"'%s' is no host; expected HOST or HOST:PORT, and an IPv6 address "
				"in brackets",
				item);
		hosts.count++;
		text += size;
	}
	if (hosts.count == 0)
		return error_set(err, -EINVAL, "no host is named");
	*ret_hosts = hosts;
	return 0;
}

bool host_is_ipv6(const struct host *host)
{
	return strchr(host->name, ':') != NULL;
}

char *host_endpoint(const struct host *host, uint16_t port, char text[HOST_ENDPOINT_SIZE])
{
	snprintf(text, HOST_ENDPOINT_SIZE, host_is_ipv6(host) ? "tcp://[%s]:%u" : "tcp://%s:%u",
		host->name, (unsigned int)port);
	return text;
}
