/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/named/named.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/cassandra/cassandra.h"

/* Nobody asks for the newest readings meanwhile, so that they need not rest in memory. */
enum { WAIT_MS = 10 * 1000, SEAL_AFTER_MS = 0 };

#define SQLITE_PREFIX    "sqlite:"
#define CASSANDRA_PREFIX "cassandra:"

static int open_cassandra(const struct config *config, const char *place, bool only_reads,
	struct store **ret_store, struct error *err)
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
	options.access = only_reads ? CASSANDRA_READS : CASSANDRA_FILLS;
	options.wait_ms = WAIT_MS;
	options.now_ms = clock_wall_ms(clock_system());
	return cassandra_store_new(&options, ret_store, err);
}

static int open_sqlite(
	const char *directory, bool only_reads, struct store **ret_store, struct error *err)
{
	const struct sqlite_store_options options = { directory, SEAL_AFTER_MS };

	if (only_reads && access(directory, F_OK) < 0)
		return error_set(err, -errno, "'%s': %s", directory, strerror(errno));
	return sqlite_store_new(&options, ret_store, err);
}

int named_store_new(const struct config *config, const char *name, bool only_reads,
	struct store **ret_store, struct error *err)
{
	if (strncmp(name, SQLITE_PREFIX, strlen(SQLITE_PREFIX)) == 0)
		return open_sqlite(name + strlen(SQLITE_PREFIX), only_reads, ret_store, err);
	if (strncmp(name, CASSANDRA_PREFIX, strlen(CASSANDRA_PREFIX)) == 0)
		return open_cassandra(
			config, name + strlen(CASSANDRA_PREFIX), only_reads, ret_store, err);
	return error_set(err, -EINVAL,
		"'%s' is no store; expected sqlite:DIRECTORY or cassandra:HOSTS/KEYSPACE", name);
}
