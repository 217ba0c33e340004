/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The keyspace and its tables. Several servers may make them at the same time: the tables' ids are
 * a function of their names, so that all of them make the same ones. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/cassandra/private.h"

enum {
	SCHEMA_TEXT_MAX = 4096,
	/* A node may wait a minute before it asks another one for what that has made. */
	AGREEMENT_MS = 120 * 1000,
	WINDOWS = 30, /* so many files are enough: each holds what was written in one */
	DAY_SECONDS = 24 * 60 * 60,
	HINTS_SECONDS = 4 * 60 * 60, /* nothing is deleted, only late hints matter */
};

/* The retention of these is by expiry. */
#define EXPIRES "default_time_to_live = %" PRId64 " AND gc_grace_seconds = %d"

static const struct {
	const char *name;
	bool expires, is_by_time;
	const char *columns;
} tables[] = {
	/* The first one says in which format the others are. */
	{ "records", false, false,
		"kind text, key text, size int, value blob, digest blob, "
		"PRIMARY KEY ((kind), key)" },
	{ "readings", true, true,
		"host text, quarter timestamp, slot int, at timestamp, digest blob, readings blob, "
		"PRIMARY KEY ((host, quarter), slot, at, digest)" },
	{ "shapes", true, false,
		"instance text, shape blob, content blob, PRIMARY KEY ((instance), shape)" },
	{ "days", true, false,
		"instance text, day date, host text, shape blob, "
		"PRIMARY KEY ((instance), day, host, shape)" },
	{ "summaries", true, false,
		"instance text, span int, day date, is_mark boolean, digest blob, readings blob, "
		"PRIMARY KEY ((instance, span), day, is_mark, digest)" },
	{ "instances", false, false,
		"bucket int, instance text, appeared bigint, first timestamp, "
		"hosts map<text, date>, groups set<text>, PRIMARY KEY ((bucket), instance)" },
	{ "infos", false, false,
		"bucket int, instance text, since timestamp, digest blob, info blob, "
		"PRIMARY KEY ((bucket), instance, since, digest)" },
	{ "sources", false, false,
		"part int, worker text, spool text, host text, sequence bigint, "
		"first timestamp, until timestamp, heard timestamp, "
		"PRIMARY KEY ((part), worker, spool)" },
	{ "record_parts", false, false,
		"digest blob, part int, value blob, PRIMARY KEY ((digest), part)" },
};

/* %s is the keyspace. */
static const char *const statements[_STATEMENT_COUNT] = {
	[ADD_READINGS] = "INSERT INTO \"%s\".readings (host, quarter, slot, at, digest, readings)"
			 " VALUES (?, ?, ?, ?, ?, ?)",
	[ADD_SHAPE] = "INSERT INTO \"%s\".shapes (instance, shape, content) VALUES (?, ?, ?)",
	[ADD_DAY] = "INSERT INTO \"%s\".days (instance, day, host, shape)"
		    " VALUES (?, ?, ?, ?)",
	[ADD_INFO] = "INSERT INTO \"%s\".infos (bucket, instance, since, digest, info)"
		     " VALUES (?, ?, ?, ?, ?)",
	[ADD_SUMMARY] = "INSERT INTO \"%s\".summaries"
			" (instance, span, day, is_mark, digest, readings)"
			" VALUES (?, ?, ?, false, ?, ?)",
	[ADD_LATE_MARK] = "INSERT INTO \"%s\".summaries (instance, span, day, is_mark, digest)"
			  " VALUES (?, ?, ?, true, ?)",
	[NOTE_APPEARANCE] = "UPDATE \"%s\".instances SET appeared = ?"
			    " WHERE bucket = ? AND instance = ?",
	[NOTE_FIRST] = "UPDATE \"%s\".instances SET first = ? WHERE bucket = ? AND instance = ?",
	[NOTE_HOST] = "UPDATE \"%s\".instances SET hosts[?] = ?"
		      " WHERE bucket = ? AND instance = ?",
	[NOTE_GROUPS] = "UPDATE \"%s\".instances SET groups = groups + ?"
			" WHERE bucket = ? AND instance = ?",
	[ADVANCE_SOURCE] = "UPDATE \"%s\".sources USING TIMESTAMP ? SET host = ?, sequence = ?, "
			   "until = ?, heard = ?"
			   " WHERE part = 0 AND worker = ? AND spool = ?",
	[NOTE_SOURCE_FIRST] = "UPDATE \"%s\".sources USING TIMESTAMP ? SET first = ?"
			      " WHERE part = 0 AND worker = ? AND spool = ?",
	[PUT_RECORD] = "INSERT INTO \"%s\".records (kind, key, size, value, digest)"
		       " VALUES (?, ?, ?, ?, ?)",
	[PUT_RECORD_PART] = "INSERT INTO \"%s\".record_parts (digest, part, value)"
			    " VALUES (?, ?, ?)",
	[GET_READINGS] = "SELECT at, digest, readings FROM \"%s\".readings"
			 " WHERE host = ? AND quarter = ? AND slot = ? AND at >= ? AND at <= ?",
	[GET_READINGS_DOWN] = "SELECT at, digest, readings FROM \"%s\".readings"
			      " WHERE host = ? AND quarter = ? AND slot = ? AND at < ?"
			      " ORDER BY slot DESC, at DESC, digest DESC",
	[GET_LAST_READINGS] = "SELECT at, digest, readings FROM \"%s\".readings"
			      " WHERE host = ? AND quarter = ? AND slot = ?"
			      " ORDER BY slot DESC, at DESC, digest DESC LIMIT ?",
	[GET_SHAPES] = "SELECT shape, content FROM \"%s\".shapes WHERE instance = ?",
	[GET_DAYS] = "SELECT day, host, shape FROM \"%s\".days"
		     " WHERE instance = ? AND day >= ? AND day <= ?",
	[GET_SUMMARIES] = "SELECT day, is_mark, digest, readings FROM \"%s\".summaries"
			  " WHERE instance = ? AND span = ? AND day >= ? AND day <= ?",
	[GET_INSTANCE] = "SELECT instance, appeared, first, hosts, groups"
			 " FROM \"%s\".instances WHERE bucket = ? AND instance = ?",
	[GET_INSTANCES] = "SELECT instance, appeared, first, hosts, groups"
			  " FROM \"%s\".instances WHERE bucket = ?",
	[GET_INSTANCE_INFOS] = "SELECT instance, info FROM \"%s\".infos"
			       " WHERE bucket = ? AND instance = ?",
	[GET_INFOS] = "SELECT instance, info FROM \"%s\".infos WHERE bucket = ?",
	[GET_SOURCES] = "SELECT worker, spool, host, sequence, first, until, heard"
			" FROM \"%s\".sources WHERE part = 0",
	[GET_SOURCES_OF_WORKER] = "SELECT worker, spool, host, sequence, first, until, heard"
				  " FROM \"%s\".sources WHERE part = 0 AND worker = ?",
	[GET_RECORDS] = "SELECT key, size, value, digest FROM \"%s\".records"
			" WHERE kind = ? AND key >= ?",
	[GET_RECORD_TIME] = "SELECT WRITETIME(size) FROM \"%s\".records"
			    " WHERE kind = ? AND key = ?",
	[GET_RECORD_PARTS] = "SELECT value FROM \"%s\".record_parts WHERE digest = ?",
};

static const struct {
	const char *name;
	enum cql_consistency consistency;
} consistencies[] = { { "LOCAL_QUORUM", CQL_LOCAL_QUORUM }, { "QUORUM", CQL_QUORUM },
	{ "EACH_QUORUM", CQL_EACH_QUORUM }, { "ALL", CQL_ALL } };

static int read_consistency(
	const char *name, enum cql_consistency *ret_consistency, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(consistencies); i++)
		if (strcmp(consistencies[i].name, name) == 0) {
			*ret_consistency = consistencies[i].consistency;
			return 0;
		}
	return error_set(err, -EINVAL, "there is no consistency '%s'", name);
}

static bool is_name_byte(char c, bool is_first)
{
	return (c >= 'a' && c <= 'z') || c == '_' || (!is_first && c >= '0' && c <= '9') ||
	       (c >= 'A' && c <= 'Z');
}

static int take_keyspace(struct cassandra_store *store, const char *name, struct error *err)
{
	bool is_good = *name && text_copy(store->keyspace, sizeof(store->keyspace), name);

	for (size_t i = 0; is_good && name[i]; i++)
		is_good = is_name_byte(name[i], i == 0);
	return is_good ? 0
		       : error_set(err, -EINVAL,
				 "a keyspace is called by at most %d letters, digits and _, not "
				 "'%s'",
				 KEYSPACE_SIZE - 1, name);
}

static int make_texts(struct cassandra_store *store)
{
	for (size_t i = 0; i < _STATEMENT_COUNT; i++)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (asprintf(&store->texts[i], statements[i], store->keyspace) < 0) {
#pragma GCC diagnostic pop
			store->texts[i] = NULL;
			return -ENOMEM;
		}
	return 0;
}

/* Of the name of a data centre: what cannot stand in CQL's quotes is refused. */
static bool is_plain(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < ' ' || strchr("'\"\\{}:,", text[i]))
			return false;
	return size > 0;
}

static const char *skip_spaces(const char *text)
{
	return text + strspn(text, " \t");
}

static int write_factor(
	struct buffer *to, const char *name, size_t name_size, const char **text, struct error *err)
{
	size_t digits = strspn(*text, "0123456789");

	if (digits == 0 || digits > 2 || !is_plain(name, name_size))
		return error_set(err, -EINVAL,
			"replication is a number of copies, or 'data centre: number' separated by "
			"commas");
	buffer_print(to, ", '%.*s': '%.*s'", (int)name_size, name, (int)digits, *text);
	*text = skip_spaces(*text + digits);
	return 0;
}

static int write_replication(struct buffer *to, const char *text, struct error *err)
{
	static const char everywhere[] = "replication_factor";
	int r = 0;

	text = skip_spaces(text);
	if (strspn(text, "0123456789") && !strchr(text, ':')) {
		r = write_factor(to, everywhere, strlen(everywhere), &text, err);
	} else {
		while (r == 0) {
			size_t size = strcspn(text, ":,");
			const char *number = skip_spaces(text + size + (text[size] == ':'));

			while (size && text[size - 1] == ' ')
				size--;
			r = write_factor(to, text, size, &number, err);
			text = number;
			if (r != 0 || *text != ',')
				break;
			text = skip_spaces(text + 1);
		}
	}
	if (r == 0 && *text)
		r = error_set(err, -EINVAL, "replication: '%s' is not understood", text);
	return r;
}

static int execute(struct cassandra_store *store, struct buffer *text,
	struct cql_result **ret_result, struct error *err)
{
	struct cql_statement statement = { .consistency = store->consistency,
		.is_idempotent = true };

	buffer_write_u8(text, 0);
	if (buffer_check(text) < 0)
		return buffer_check(text);
	statement.text = (const char *)text->bytes;
	return cql_execute(store->session, &statement, ret_result, err);
}

static int has_keyspace(struct cassandra_store *store, bool *ret_has, struct error *err)
{
	CLEANUP(cql_result_free) struct cql_result *result = NULL;
	CLEANUP(buffer_deinit) struct buffer text;
	int r;

	buffer_init(&text, SCHEMA_TEXT_MAX);
	buffer_print(&text,
		"SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '%s'",
		store->keyspace);
	r = execute(store, &text, &result, err);
	if (r == 0)
		*ret_has = cql_result_next(result);
	return r;
}

static int make_keyspace(
	struct cassandra_store *store, const char *replication, bool *changed, struct error *err)
{
	CLEANUP(buffer_deinit) struct buffer text;
	bool has = false;
	int r = has_keyspace(store, &has, err);

	buffer_init(&text, SCHEMA_TEXT_MAX);
	if (r != 0 || has)
		return r;
	*changed = true;
	buffer_print(&text,
		"CREATE KEYSPACE IF NOT EXISTS \"%s\" WITH replication ="
		" {'class': 'NetworkTopologyStrategy'",
		store->keyspace);
	r = write_replication(&text, replication, err);
	buffer_print(&text, "}");
	if (r == 0)
		r = execute(store, &text, NULL, err);
	return r == 0 ? cql_schema_agreement(store->session, AGREEMENT_MS, err) : r;
}

/* A table's, by its name. */
static int write_id(struct cassandra_store *store, struct buffer *to, const char *table)
{
	char name[KEYSPACE_SIZE + 64], text[UUID_TEXT_SIZE];
	struct digest digest;
	struct uuid uuid;
	int r;

	snprintf(name, sizeof(name), "kanyun:%s.%s", store->keyspace, table);
	r = digester_of(&store->digester, name, strlen(name), &digest);
	if (r < 0)
		return r;
	memcpy(uuid.bytes, digest.bytes, sizeof(uuid.bytes));
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x50);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	buffer_print(to, "%s", uuid_format(&uuid, text));
	return 0;
}

static int64_t window_days(const struct cassandra_store *store)
{
	int64_t days = expiry_wanted(store) / DAY_SECONDS;

	return days ? (days + WINDOWS - 1) / WINDOWS : 7;
}

static int make_table(struct cassandra_store *store, size_t table, struct error *err)
{
	CLEANUP(buffer_deinit) struct buffer text;
	int r;

	buffer_init(&text, SCHEMA_TEXT_MAX);
	buffer_print(&text, "CREATE TABLE IF NOT EXISTS \"%s\".%s (%s) WITH ID = ", store->keyspace,
		tables[table].name, tables[table].columns);
	r = write_id(store, &text, tables[table].name);
	if (tables[table].expires)
		buffer_print(&text, " AND " EXPIRES, expiry_wanted(store), HINTS_SECONDS);
	if (tables[table].is_by_time)
		buffer_print(&text,
			" AND compaction = {'class': 'TimeWindowCompactionStrategy',"
			" 'compaction_window_unit': 'DAYS', 'compaction_window_size': '%" PRId64
			"'}"
			" AND compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': '64'}",
			window_days(store));
	return r == 0 ? execute(store, &text, NULL, err) : r;
}

/* Only on a new keyspace is there none. */
static int check_format(struct cassandra_store *store, bool may_write, struct error *err)
{
	int64_t format = 0;
	int r = ledger_read_number(store, "format", &format, err);

	if (r == 0 && format == 0)
		return may_write ? ledger_advance(store, "format", STORE_FORMAT, err) : 0;
	if (r == 0 && format != STORE_FORMAT)
		return error_set(err, -EPROTO,
			"its tables were made in format %" PRId64
			" by another version; this one needs %d",
			format, STORE_FORMAT);
	return r;
}

int schema_set_expiry(struct cassandra_store *store, int64_t seconds, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && r == 0; i++) {
		CLEANUP(buffer_deinit) struct buffer text;

		buffer_init(&text, SCHEMA_TEXT_MAX);
		buffer_print(&text, "ALTER TABLE \"%s\".%s WITH default_time_to_live = %" PRId64,
			store->keyspace, tables[i].name, seconds);
		if (tables[i].expires)
			r = execute(store, &text, NULL, err);
	}
	return r;
}

/* Which tables there are. */
struct found {
	bool tables[ARRAY_SIZE(tables)];
	size_t count;
};

static void take_table(
	struct cassandra_store *store, const struct cql_result *row, struct found *found)
{
	int32_t expiry;
	char name[64];

	if (cql_read_text(cql_result_value(row, 0), name, sizeof(name)) != 0 ||
		cql_read_int(cql_result_value(row, 1), &expiry) != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (strcmp(name, tables[i].name) == 0) {
			found->tables[i] = true;
			found->count++;
			if (tables[i].expires)
				expiry_found(store, expiry);
		}
}

static int find_tables(struct cassandra_store *store, struct found *found, struct error *err)
{
	CLEANUP(cql_result_free) struct cql_result *result = NULL;
	CLEANUP(buffer_deinit) struct buffer text;
	int r;

	buffer_init(&text, SCHEMA_TEXT_MAX);
	buffer_print(&text,
		"SELECT table_name, default_time_to_live FROM system_schema.tables"
		" WHERE keyspace_name = '%s'",
		store->keyspace);
	r = execute(store, &text, &result, err);
	while (r == 0 && cql_result_next(result))
		take_table(store, result, found);
	return r;
}

/* What another version made is left as it is. */
static int make_tables(struct cassandra_store *store, bool *changed, struct error *err)
{
	struct found found = { .count = 0 };
	int r = find_tables(store, &found, err);

	if (r == 0 && found.tables[0])
		r = check_format(store, false, err);
	for (size_t i = 0; i < ARRAY_SIZE(tables) && r == 0; i++)
		if (!found.tables[i])
			r = make_table(store, i, err);
	*changed = *changed || found.count < ARRAY_SIZE(tables);
	return r;
}

/* CQL_UNAVAILABLE besides: a node does not know yet what another one has just made, which the node
 * that was asked whether all agree did not know either. */
static int make_all(struct cassandra_store *store, const struct cassandra_store_options *options,
	struct error *err)
{
	bool changed = false;
	int r = make_keyspace(store, options->replication, &changed, err);

	if (r == 0)
		r = make_tables(store, &changed, err);
	if (r == 0 && changed)
		r = cql_schema_agreement(store->session, AGREEMENT_MS, err);
	if (r == 0)
		r = check_format(store, true, err);
	if (r == 0)
		r = expiry_load(store, err);
	if (r == 0 && options->access == CASSANDRA_SERVES)
		r = expiry_settle(store, options->now_ms, false, err);
	return r == -EIO && changed ? CQL_UNAVAILABLE : r;
}

static int find_all(struct cassandra_store *store, struct error *err)
{
	struct found found = { .count = 0 };
	int r = find_tables(store, &found, err);

	if (r == 0 && found.count < ARRAY_SIZE(tables))
		return error_set(
			err, -ENOENT, "kanyun has no tables in a keyspace '%s'", store->keyspace);
	if (r == 0)
		r = check_format(store, false, err);
	return r == 0 ? expiry_load(store, err) : r;
}

int schema_open(struct cassandra_store *store, const struct cassandra_store_options *options,
	struct error *err)
{
	struct cql_options cql = options->cql;
	int r = read_consistency(options->consistency, &store->consistency, err);

	if (r == 0)
		r = take_keyspace(store, options->keyspace, err);
	if (r == 0)
		r = make_texts(store);
	store->retention_days = options->retention_days;
	store->access = options->access;
	cql.keyspace = store->keyspace;
	if (r == 0)
		r = cql_session_new(&cql, &store->session, err);
	if (r == 0 && options->on_opening)
		options->on_opening(options->context, &store->store);
	if (r == 0)
		r = cql_session_wait(store->session, options->wait_ms, err);
	if (r != 0)
		return r;
	return options->access == CASSANDRA_READS ? find_all(store, err)
						  : make_all(store, options, err);
}
