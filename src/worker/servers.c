/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/servers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct ranked {
	uint64_t weight;
	struct server server;
};

/* Every bit of the weight depends on every bit of the hash, which FNV alone does not do. */
static uint64_t mix(uint64_t hash)
{
	hash ^= hash >> 33;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 33;
}

static uint64_t weigh(const char *worker, const struct server *server)
{
	uint64_t hash = text_hash(TEXT_HASH_SEED, worker, strlen(worker) + 1);

	return mix(text_hash(hash, server->push, strlen(server->push)));
}

static int compare(const void *a, const void *b)
{
	const struct ranked *first = a, *second = b;

	if (first->weight != second->weight)
		return first->weight > second->weight ? -1 : 1;
	return strcmp(first->server.push, second->server.push);
}

/* Behind the port that is not given stands the one of the configuration. */
static void locate(const struct host *host, const struct config *config, struct server *server)
{
	uint16_t port = (uint16_t)config_integer(config, "worker", "dataserver_port");
	uint16_t pub_port = (uint16_t)config_integer(config, "worker", "dataserver_pub_port");

	if (host->port) {
		port = host->port;
		pub_port = host->second_port;
	}
	host_endpoint(host, port, server->push);
	host_endpoint(host, pub_port ? pub_port : (uint16_t)(port + 1), server->sub);
	server->is_ipv6 = host_is_ipv6(host);
	if (host->port)
		snprintf(server->name, sizeof(server->name), "%s", server->push + strlen("tcp://"));
	else
		snprintf(server->name, sizeof(server->name), "%s", host->name);
}

int servers_load(
	struct servers *servers, const struct config *config, const char *worker, struct error *err)
{
	struct ranked ranked[HOSTS_MAX];
	struct hosts hosts;
	int r = hosts_parse(config_text(config, "worker", "dataserver_host"), &hosts, err);

	if (r < 0)
		return error_prefix(err, r, "[worker] dataserver_host");
	for (size_t i = 0; i < hosts.count; i++) {
		locate(&hosts.items[i], config, &ranked[i].server);
		ranked[i].weight = weigh(worker, &ranked[i].server);
	}
	qsort(ranked, hosts.count, sizeof(*ranked), compare);
	for (size_t i = 0; i < hosts.count; i++)
		servers->items[i] = ranked[i].server;
	servers->count = hosts.count;
	return 0;
}
