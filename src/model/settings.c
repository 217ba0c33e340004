/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/settings.h"

#include <unistd.h>

#define TEXT(section, name, fallback, help)                                                        \
	{                                                                                          \
		section, name, CONFIG_TEXT, fallback, 0, 0, NULL, help                             \
	}
#define INTEGER(section, name, fallback, minimum, maximum, help)                                   \
	{                                                                                          \
		section, name, CONFIG_INTEGER, fallback, minimum, maximum, NULL, help              \
	}
#define BOOLEAN(section, name, fallback, help)                                                     \
	{                                                                                          \
		section, name, CONFIG_BOOLEAN, fallback, 0, 0, NULL, help                          \
	}
#define CHOICE(section, name, fallback, choices, help)                                             \
	{                                                                                          \
		section, name, CONFIG_CHOICE, fallback, 0, 0, choices, help                        \
	}
#define PORT(section, name, fallback, help) INTEGER(section, name, fallback, 0, 65535, help)

static const char *const stores[] = { "sqlite", "cassandra", "memory", NULL };
/* With fewer copies, what was acknowledged can be lost, and answers can lack it. */
static const char *const consistencies[] = { "LOCAL_QUORUM", "QUORUM", "EACH_QUORUM", "ALL", NULL };
static const char *const compressions[] = { "lz4", "none", NULL };
static const char *const cpu_forms[] = { "time", "percent", NULL };
static const char *const levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const sources[] = { "nft", "iptables", "none", NULL };
static const char *const dialects[] = { "inovex", "tinkoff", NULL };
static const char *const metrics_labels[] = { "domain", "nova", NULL };
static const char *const collectors[] = { "libvirt", "fake", NULL };

const struct config_key settings_keys[] = {
	TEXT("log", "file", "", "Log file of all programs; empty: standard error."),
	CHOICE("log", "level", "info", levels, "The least important messages that are logged."),

	TEXT("server", "host", "*", "Address that kanyun-server listens on; * is every one."),
	PORT("server", "port", "5551", "PULL: messages of the workers."),
	PORT("server", "pub_port", "5552", "PUB: acknowledgements to the workers."),
	PORT("server", "rep_port", "5553", "REP: status, and the data for kanyun-api."),
	TEXT("server", "db_host", "127.0.0.1",
		"Hosts of Cassandra, separated by commas; counts only with that store."),
	CHOICE("server", "store", "sqlite", stores,
		"Where readings are kept; memory is for tests."),
	TEXT("server", "data_dir", "/var/lib/kanyun", "Directory of the embedded store."),
	INTEGER("server", "retention_days", "400", 1, 36500,
		"Readings older than this are deleted."),
	BOOLEAN("server", "keep_unclosed", "no",
		"yes: a month that is not closed (kanyun close), and the day before it, are not "
		"deleted."),
	INTEGER("server", "retention_check_seconds", "3600", 1, 86400,
		"Seconds from the start to the first look for old readings, and between two."),
	INTEGER("server", "worker_dead_seconds", "120", 1, 86400,
		"A worker that is silent for so long is reported dead."),
	CHOICE("server", "legacy_cpu", "time", cpu_forms,
		"What old workers send as cpu: nanoseconds of CPU time, or a percentage."),
	INTEGER("server", "seal_after_seconds", "1200", 1, 86400,
		"Readings rest in the journal for so long, and up to twice as long, before they "
		"become chunks."),
	TEXT("server", "http_host", "127.0.0.1",
		"Address that kanyun-server listens on for HTTP; * is every one."),
	PORT("server", "http_port", "0", "HTTP: /metrics for Prometheus; 0: off."),

	PORT("cassandra", "port", "9042", "The port of all nodes of Cassandra."),
	TEXT("cassandra", "keyspace", "data", "The keyspace, which is made if it is not there."),
	TEXT("cassandra", "replication", "3",
		"Copies of everything, where the keyspace is made: in each data centre, or of "
		"each by "
		"name, as in dc1: 3, dc2: 3."),
	TEXT("cassandra", "datacenter", "",
		"The data centre whose nodes are asked; empty: that of the node that answers "
		"first."),
	TEXT("cassandra", "username", "", "Who logs in; empty: nobody."),
	TEXT("cassandra", "password", "", "The password."),
	BOOLEAN("cassandra", "tls", "no", "yes: connections are encrypted."),
	TEXT("cassandra", "ca_file", "",
		"File of the authorities, in PEM, that vouch for the nodes; empty: the system's."),
	TEXT("cassandra", "cert_file", "", "File of the certificate that is shown, in PEM."),
	TEXT("cassandra", "key_file", "", "File of that certificate's private key, in PEM."),
	CHOICE("cassandra", "consistency", "LOCAL_QUORUM", consistencies,
		"How many copies a write is acknowledged by, and a read asks."),
	CHOICE("cassandra", "compression", "lz4", compressions,
		"Of what goes over the network, if the nodes have it."),

	TEXT("api", "api_host", "*", "Address that kanyun-api listens on; * is every one."),
	PORT("api", "api_port", "5556", "REP: questions of the specification's form."),
	TEXT("api", "db_host", "127.0.0.1",
		"Of the specification, and without effect: kanyun-server is asked, not the store."),
	TEXT("api", "server_host", "127.0.0.1",
		"Hosts of kanyun-server, whose data is asked for, each HOST or HOST:REP_PORT, "
		"separated by commas; another one is asked when one is away."),
	PORT("api", "server_port", "5553",
		"The rep_port of kanyun-server, where its host has none of its own."),
	INTEGER("api", "readers", "4", 1, 64,
		"Questions that are worked on at the same time, of REP and of HTTP each."),

	TEXT("api", "http_host", "127.0.0.1",
		"Address that kanyun-api listens on for HTTP; * is every one."),
	PORT("api", "http_port", "8780", "HTTP; 0: off."),
	TEXT("api", "http_tokens", "",
		"File of the tokens that may ask over HTTP; empty: only this host may, without "
		"one."),
	TEXT("api", "http_certificate", "",
		"File of the certificate for TLS, in PEM; empty: no TLS."),
	TEXT("api", "http_key", "", "File of the certificate's private key, in PEM."),

	TEXT("worker", "id", "", "Name of this worker; empty: the host's name."),
	INTEGER("worker", "worker_timeout", "60", 1, 3600,
		"Seconds between heartbeats, and between readings unless interval says otherwise."),
	INTEGER("worker", "interval", "0", 0, 3600,
		"Seconds between readings, which fall on its multiples; 0: worker_timeout."),
	INTEGER("worker", "vcpu_interval", "300", 0, 86400,
		"Seconds between readings of per-vCPU times, which cost QEMU most; 0: never."),
	TEXT("worker", "dataserver_host", "127.0.0.1",
		"Hosts of kanyun-server, each HOST or HOST:PORT[:PUB_PORT], separated by commas; "
		"another one is used when one is silent."),
	PORT("worker", "dataserver_port", "5551",
		"The port of kanyun-server, where its host has none of its own."),
	PORT("worker", "dataserver_pub_port", "0",
		"The pub_port of kanyun-server, likewise; 0: dataserver_port plus 1."),
	INTEGER("worker", "dataserver_return_seconds", "30", 0, 86400,
		"Seconds after which a worker looks whether the server it left is there again; 0: "
		"it stays."),
	TEXT("worker", "log", "", "Log file of the worker; empty: [log] file."),
	CHOICE("worker", "collector", "libvirt", collectors,
		"Where readings come from; fake is a script, for tests and demonstrations."),
	TEXT("worker", "libvirt_uri", "qemu:///system", "The hypervisor that is read."),
	TEXT("worker", "fake_script", "", "What the fake collector plays."),
	TEXT("worker", "spool_dir", "/var/lib/kanyun/spool",
		"Directory of what was read and is not yet acknowledged."),
	INTEGER("worker", "spool_max_mib", "1024", 16, 1048576,
		"MiB that may wait there; then what is between is thinned, then the oldest "
		"dropped."),
	INTEGER("worker", "monitor_timeout", "5", 1, 300,
		"Seconds after which an answer that asks QEMU itself is given up."),
	TEXT("worker", "http_host", "127.0.0.1",
		"Address that kanyun-worker listens on for HTTP; * is every one."),
	PORT("worker", "http_port", "0",
		"HTTP: /metrics for Prometheus, whose exporters of libvirt have 9177; 0: off."),
	CHOICE("worker", "metrics_dialect", "inovex", dialects,
		"The exporter whose names /metrics uses."),
	CHOICE("worker", "metrics_labels", "domain", metrics_labels,
		"nova: every series of a domain has project_id and instance_id, too."),

	CHOICE("traffic", "source", "nft", sources,
		"What counts external traffic: rules of kanyun's own, accounting rules of "
		"iptables that are there already, or nothing."),
	TEXT("traffic", "internal",
		"10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 224.0.0.0/4, "
		"255.255.255.255/32, fc00::/7, fe80::/10, ff00::/8",
		"Prefixes of which traffic is internal: it is counted apart."),
	TEXT("traffic", "taps", "*",
		"Shell patterns, separated by commas, of the taps whose traffic is metered."),
	TEXT("traffic", "floating_file", "",
		"File of lines FLOATING FIXED [PORT]: external traffic is told under the floating "
		"address; empty: under the fixed one."),
	TEXT("traffic", "helper", "", "Path of kanyun-traffic; empty: where it was installed."),

	TEXT("client", "api_host", "127.0.0.1",
		"Hosts of kanyun-api, each HOST or HOST:PORT, separated by commas; another one is "
		"asked when one is away."),
	PORT("client", "api_port", "5556",
		"The api_port of kanyun-api, where its host has none of its own."),
	INTEGER("client", "timeout", "30", 1, 3600, "Seconds to wait for an answer."),
};
const size_t settings_key_count = ARRAY_SIZE(settings_keys);

static const char *default_path(void)
{
	static const char *const paths[] = { "kanyun.conf", "/etc/kanyun.conf" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (access(paths[i], F_OK) == 0)
			return paths[i];
	return "";
}

int settings_load(const char *path, const char *const *options, size_t option_count,
	struct config **ret_config, const char **ret_path, size_t *ret_ignored, struct error *err)
{
	CLEANUP(config_free) struct config *config = NULL;
	size_t ignored = 0;
	int r;

	if (!path)
		path = default_path();
	r = config_new(settings_keys, settings_key_count, &config);
	if (r == 0 && *path)
		r = config_read_file(config, path, &ignored, err);
	if (r == 0)
		r = config_read_environment(config, "KANYUN", err);
	for (size_t i = 0; r == 0 && i < option_count; i++)
		r = config_read_option(config, options[i], err);
	if (r < 0)
		return r;
	if (ret_path)
		*ret_path = path;
	if (ret_ignored)
		*ret_ignored = ignored;
	*ret_config = config;
	config = NULL;
	return 0;
}
