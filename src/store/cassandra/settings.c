/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <string.h>

#include "store/cassandra/cassandra.h"

static const char *text_or_null(const struct config *config, const char *key)
{
	const char *text = config_text(config, "cassandra", key);

	return *text ? text : NULL;
}

struct cassandra_store_options cassandra_options_of(const struct config *config)
{
	const char *compression = config_text(config, "cassandra", "compression");
	bool keeps_all = config_boolean(config, "server", "keep_unclosed");

	return (struct cassandra_store_options){
		.cql = { .hosts = config_text(config, "server", "db_host"),
			.port = (int)config_integer(config, "cassandra", "port"),
			.local_dc = text_or_null(config, "datacenter"),
			.username = text_or_null(config, "username"),
			.password = text_or_null(config, "password"),
			.use_tls = config_boolean(config, "cassandra", "tls"),
			.ca_file = text_or_null(config, "ca_file"),
			.cert_file = text_or_null(config, "cert_file"),
			.key_file = text_or_null(config, "key_file"),
			.use_lz4 = strcmp(compression, "lz4") == 0 },
		.keyspace = config_text(config, "cassandra", "keyspace"),
		.replication = config_text(config, "cassandra", "replication"),
		.consistency = config_text(config, "cassandra", "consistency"),
		.retention_days = keeps_all ? 0 : config_integer(config, "server", "retention_days")
	};
}
