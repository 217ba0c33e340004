/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A list of hosts as it stands in the configuration: "a, b:5551, [2001:db8::1]:5551:5552". Each has
 * a name or an address (IPv6 in brackets) and up to two ports. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"

enum { HOSTS_MAX = 16, HOST_TEXT_SIZE = 256, HOST_ENDPOINT_SIZE = HOST_TEXT_SIZE + 16 };

struct host {
	char name[HOST_TEXT_SIZE];  /* without brackets */
	uint16_t port, second_port; /* 0: not given */
};

struct hosts {
	struct host items[HOSTS_MAX];
	size_t count;
};

/* At least one. -EINVAL with a text; then *ret_hosts is untouched. */
MUST_CHECK int hosts_parse(const char *text, struct hosts *ret_hosts, struct error *err);

bool host_is_ipv6(const struct host *host);

/* "tcp://HOST:PORT", for a socket that connects. Returns text. */
char *host_endpoint(const struct host *host, uint16_t port, char text[HOST_ENDPOINT_SIZE]);
