/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The servers of a worker, the one it prefers first.
 *
 * Each worker orders them by a hash of its name and each server's (rendezvous): so the workers
 * spread evenly, nobody has to tell them who takes whom, and one that dies leaves its workers to
 * all others alike. The order of the list in the configuration does not matter. */

#include "base/config.h"
#include "base/error.h"
#include "base/hosts.h"
#include "base/macros.h"

struct server {
	char name[HOST_ENDPOINT_SIZE]; /* for people */
	char push[HOST_ENDPOINT_SIZE], sub[HOST_ENDPOINT_SIZE];
	bool is_ipv6;
};

struct servers {
	struct server items[HOSTS_MAX];
	size_t count;
};

/* From [worker] dataserver_host, dataserver_port and dataserver_pub_port. 0, or -EINVAL with a
 * text. */
MUST_CHECK int servers_load(struct servers *servers, const struct config *config,
	const char *worker, struct error *err);
