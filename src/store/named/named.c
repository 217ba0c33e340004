/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/named/named.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/cassandra/cassandra.h"

/* Nobody asks for the newest readings meanwhile, so that they need not rest in memory. */
enum { WAIT_MS = 10 * 1000, SEAL_AFTER_MS = 0 };

#define SQLITE_PREFIX    "sqlite:"
#define CASSANDRA_PREFIX "cassandra:"

static int open_cassandra(
	const struct config *config, const char *place, struct store **ret_store, struct error *err)
{
	struct cassandra_store_options options = cassandra_options_of(config);
	char hosts[CONFIG_VALUE_MAX];
	char *slash;

	if (!text_copy(hosts, sizeof(hosts), place))
		return error_set(err, -EINVAL, "'%s' is too long", place);
	slash = strrchr(hosts, '/');
	if (slash) {
		*slash = '\0';
		options.keyspace = slash + 1;
	}
	options.cql.hosts = hosts;
	options.wait_ms = WAIT_MS;
	options.now_ms = clock_wall_ms(clock_system());
	return cassandra_store_new(&options, ret_store, err);
}

int named_store_new(
	const struct config *config, const char *name, struct store **ret_store, struct error *err)
{
	if (strncmp(name, SQLITE_PREFIX, strlen(SQLITE_PREFIX)) == 0) {
		const struct sqlite_store_options options = { name + strlen(SQLITE_PREFIX),
			SEAL_AFTER_MS };

		return sqlite_store_new(&options, ret_store, err);
	}
	if (strncmp(name, CASSANDRA_PREFIX, strlen(CASSANDRA_PREFIX)) == 0)
		return open_cassandra(config, name + strlen(CASSANDRA_PREFIX), ret_store, err);
	return error_set(err, -EINVAL,
		"'%s' is no store; expected sqlite:DIRECTORY or cassandra:HOSTS/KEYSPACE", name);
}
