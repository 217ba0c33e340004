/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun's CQL client for tests: a session as the options say, then one JSON command a line from
 * standard input, each answered by one line.
 *
 *     {"do": "wait" | "agree", "timeout_ms": 5000}
 *     {"do": "execute", "text": "...", "values": [{"int": 1}, ...], ...}
 *     {"do": "execute", "parts": [{"text": "...", "values": [...]}, ...], ...}
 *     {"do": "all", "statements": [{"text": ..., ...}, ...]}
 *     {"do": "repeat", "count": 1000, "text": ..., ...}   values {"count": "bigint"} are numbered
 *     {"do": "counters"}
 *
 * An answer has "r", and "error" where r is not 0. */

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/text.h"
#include "cql/result.h"
#include "cql/session.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

static struct arena memory; /* of one command */

static void *take(size_t count, size_t size)
{
	void *taken = arena_take_array(&memory, count ? count : 1, size);

	if (!taken)
		abort();
	return taken;
}

static struct cql_value read_hex(const char *hex)
{
	size_t size = strlen(hex) / 2;
	uint8_t *bytes = take(size, 1);

	for (size_t i = 0; i < size; i++)
		bytes[i] =
			(uint8_t)(text_hex_digit(hex[2 * i]) << 4 | text_hex_digit(hex[2 * i + 1]));
	return cql_blob(bytes, size);
}

/* {"bigint": 1}; null. `number` stands for {"count": ...}. */
static struct cql_value read_value(const json_t *json, int64_t number)
{
	const char *type = json_is_object(json)
				   ? json_object_iter_key(json_object_iter((json_t *)json))
				   : NULL;
	const json_t *value = type ? json_object_get(json, type) : NULL;
	struct cql_storage *storage = take(1, sizeof(*storage));

	if (!type)
		return cql_null();
	if (strcmp(type, "unset") == 0)
		return cql_unset();
	if (strcmp(type, "int") == 0)
		return cql_int((int32_t)json_integer_value(value), storage);
	if (strcmp(type, "bigint") == 0)
		return cql_bigint(json_integer_value(value), storage);
	if (strcmp(type, "count") == 0)
		return cql_bigint(number, storage);
	if (strcmp(type, "text") == 0)
		return cql_text(json_string_value(value));
	if (strcmp(type, "zeros") == 0)
		return cql_blob(take((size_t)json_integer_value(value), 1),
			(size_t)json_integer_value(value));
	return read_hex(json_string_value(value)); /* blob, boolean, uuid */
}

static struct cql_value *read_values(const json_t *json, int64_t number)
{
	struct cql_value *values = take(json_array_size(json), sizeof(*values));

	for (size_t i = 0; i < json_array_size(json); i++)
		values[i] = read_value(json_array_get(json, i), number);
	return values;
}

static enum cql_consistency read_consistency(const char *name)
{
	static const char *const names[] = { "ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL",
		"LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE" };

	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum cql_consistency)i;
	return CQL_LOCAL_QUORUM;
}

static void read_key(const json_t *json, int64_t number, struct cql_statement *statement)
{
	struct buffer key;

	if (!json)
		return;
	buffer_init(&key, 65536);
	if (cql_key_write(&key, read_values(json, number), json_array_size(json)) == 0) {
		statement->partition_key = memcpy(take(key.size, 1), key.bytes, key.size);
		statement->partition_key_size = key.size;
	}
	buffer_deinit(&key);
}

static struct cql_statement read_statement(const json_t *json, int64_t number)
{
	const json_t *parts = json_object_get(json, "parts");
	struct cql_statement *copies = take(json_array_size(parts), sizeof(*copies));
	struct cql_statement statement = {
		.text = json_string_value(json_object_get(json, "text")),
		.values = read_values(json_object_get(json, "values"), number),
		.value_count = json_array_size(json_object_get(json, "values")),
		.parts = copies,
		.part_count = json_array_size(parts),
		.consistency =
			read_consistency(json_string_value(json_object_get(json, "consistency"))),
		.is_idempotent = json_is_true(json_object_get(json, "idempotent")),
		.timestamp_us = json_integer_value(json_object_get(json, "timestamp_us")),
		.page_size = (int32_t)json_integer_value(json_object_get(json, "page_size")),
	};

	for (size_t i = 0; i < json_array_size(parts); i++)
		copies[i] = read_statement(json_array_get(parts, i), number);
	read_key(json_object_get(json, "key"), number, &statement);
	return statement;
}

static json_t *print_hex(struct cql_value value)
{
	const uint8_t *bytes = value.bytes;
	size_t size = (size_t)value.size;
	char *text = take(2 * size + 1, 1);

	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static json_t *print_inet(struct cql_value value)
{
	char text[CQL_ADDRESS_TEXT_SIZE];
	struct cql_address address;

	if (cql_read_inet(value, &address) < 0)
		return json_string("damaged");
	cql_address_print(&address, text);
	return json_string(text);
}

static json_t *print_value(enum cql_type type, struct cql_value value)
{
	int64_t wide = 0;
	int32_t narrow = 0;
	bool is_true = false;

	if (cql_is_null(value))
		return json_null();
	switch (type) {
	case CQL_TYPE_INT:
		return cql_read_int(value, &narrow) == 0 ? json_integer(narrow)
							 : json_string("damaged");
	case CQL_TYPE_BIGINT:
	case CQL_TYPE_COUNTER:
	case CQL_TYPE_TIMESTAMP:
		return cql_read_bigint(value, &wide) == 0 ? json_integer(wide)
							  : json_string("damaged");
	case CQL_TYPE_BOOLEAN:
		return cql_read_boolean(value, &is_true) == 0 ? json_boolean(is_true)
							      : json_string("damaged");
	case CQL_TYPE_TEXT:
	case CQL_TYPE_ASCII:
		return json_stringn(value.bytes, (size_t)value.size);
	case CQL_TYPE_INET:
		return print_inet(value);
	default:
		return print_hex(value);
	}
}

static json_t *print_row(struct cql_result *result)
{
	json_t *row = json_object();
	struct cql_column column;

	for (size_t i = 0; cql_result_column(result, i, &column); i++) {
		char name[256];

		snprintf(name, sizeof(name), "%.*s", (int)column.name.size, column.name.bytes);
		json_object_set_new(
			row, name, print_value(column.type, cql_result_value(result, (int)i)));
	}
	return row;
}

struct gathered {
	json_t *rows, *pages; /* a number of pages each statement */
	bool counts_only;
	int64_t row_count;
};

static int gather(void *context, size_t index, struct cql_result *result)
{
	struct gathered *gathered = context;
	int64_t pages;

	gathered->row_count += (int64_t)cql_result_rows(result);
	if (gathered->counts_only)
		return 0;
	pages = json_integer_value(json_array_get(gathered->pages, index));
	json_array_set_new(gathered->pages, index, json_integer(pages + 1));
	while (cql_result_next(result))
		json_array_append_new(gathered->rows, print_row(result));
	return 0;
}

static json_t *say(int r, const struct error *err)
{
	json_t *answer = json_pack("{s:i}", "r", r);

	if (r != 0)
		json_object_set_new(answer, "error", json_string(error_text(err, r)));
	return answer;
}

static json_t *execute_statements(struct cql_session *session,
	const struct cql_statement *statements, size_t count, bool counts_only)
{
	struct gathered gathered = { json_array(), json_array(), counts_only, 0 };
	struct error err = { 0 };
	json_t *answer;
	int r;

	for (size_t i = 0; i < count && !counts_only; i++)
		json_array_append_new(gathered.pages, json_integer(0));
	r = cql_execute_all(session, statements, count, gather, &gathered, &err);
	answer = say(r, &err);
	json_object_set_new(answer, "rows", gathered.rows);
	json_object_set_new(answer, "pages", gathered.pages);
	json_object_set_new(answer, "row_count", json_integer(gathered.row_count));
	return answer;
}

static json_t *execute_list(struct cql_session *session, const json_t *list)
{
	size_t count = json_array_size(list);
	struct cql_statement *statements = take(count, sizeof(*statements));

	for (size_t i = 0; i < count; i++)
		statements[i] = read_statement(json_array_get(list, i), (int64_t)i);
	return execute_statements(session, statements, count, false);
}

static json_t *repeat(struct cql_session *session, const json_t *command)
{
	size_t count = (size_t)json_integer_value(json_object_get(command, "count"));
	struct cql_statement *statements = take(count, sizeof(*statements));

	for (size_t i = 0; i < count; i++)
		statements[i] = read_statement(command, (int64_t)i);
	return execute_statements(session, statements, count, true);
}

static json_t *execute_one(struct cql_session *session, const json_t *command)
{
	CLEANUP(cql_result_free) struct cql_result *result = NULL;
	struct cql_statement statement = read_statement(command, 0);
	struct gathered gathered = { json_array(), json_array(), false, 0 };
	struct error err = { 0 };
	int r = cql_execute(session, &statement, &result, &err);
	json_t *answer = say(r, &err);

	json_array_append_new(gathered.pages, json_integer(0));
	while (r == 0) {
		struct cql_result *next = NULL;

		gather(&gathered, 0, result);
		if (!cql_result_has_more(result))
			break;
		r = cql_execute_next(session, &statement, result, &next, &err);
		cql_result_free(result);
		result = next;
	}
	json_object_set_new(answer, "r", json_integer(r));
	json_object_set_new(answer, "rows", gathered.rows);
	json_object_set_new(answer, "pages", gathered.pages);
	return answer;
}

#define COUNTER(name) #name, (json_int_t)counters.name

static json_t *print_counters(struct cql_session *session)
{
	struct cql_counters counters;

	cql_session_counters(session, &counters);
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:I}",
		"r", 0, COUNTER(requests), COUNTER(failures), COUNTER(retries), COUNTER(timeouts),
		COUNTER(late_answers), COUNTER(overloads), COUNTER(prepares), COUNTER(unprepared),
		COUNTER(connects), COUNTER(connect_failures), COUNTER(disconnects), COUNTER(events),
		COUNTER(sent_bytes), COUNTER(received_bytes), COUNTER(pending),
		COUNTER(nodes_known), COUNTER(nodes_connected));
}

static json_t *run_command(struct cql_session *session, const json_t *command)
{
	const char *what = json_string_value(json_object_get(command, "do"));
	int64_t timeout_ms = json_integer_value(json_object_get(command, "timeout_ms"));
	struct error err = { 0 };

	if (!what)
		return say(-EINVAL, NULL);
	if (strcmp(what, "wait") == 0)
		return say(cql_session_wait(session, timeout_ms, &err), &err);
	if (strcmp(what, "agree") == 0)
		return say(cql_schema_agreement(session, timeout_ms, &err), &err);
	if (strcmp(what, "execute") == 0)
		return execute_one(session, command);
	if (strcmp(what, "all") == 0)
		return execute_list(session, json_object_get(command, "statements"));
	if (strcmp(what, "repeat") == 0)
		return repeat(session, command);
	if (strcmp(what, "counters") == 0)
		return print_counters(session);
	return say(-EINVAL, NULL);
}

static void answer_line(struct cql_session *session, const char *line)
{
	json_t *command = json_loads(line, 0, NULL);
	json_t *answer = run_command(session, command);
	char *text = json_dumps(answer, JSON_COMPACT);

	puts(text);
	fflush(stdout);
	free(text);
	json_decref(answer);
	json_decref(command);
	arena_clear(&memory);
}

static void read_options(int count, char **arguments, struct cql_options *options)
{
	static const struct option longs[] = { { "hosts", 1, NULL, 'h' }, { "port", 1, NULL, 'p' },
		{ "dc", 1, NULL, 'd' }, { "keyspace", 1, NULL, 'k' }, { "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'w' }, { "tls", 0, NULL, 't' }, { "ca", 1, NULL, 'a' },
		{ "cert", 1, NULL, 'c' }, { "key", 1, NULL, 'e' }, { "lz4", 0, NULL, 'z' },
		{ "request-timeout-ms", 1, NULL, 'r' }, { "pending-max", 1, NULL, 'm' }, { 0 } };
	int option;

	while ((option = getopt_long(count, arguments, "", longs, NULL)) != -1) {
		switch (option) {
		case 'h':
			options->hosts = optarg;
			break;
		case 'p':
			options->port = (int)strtol(optarg, NULL, 10);
			break;
		case 'd':
			options->local_dc = optarg;
			break;
		case 'k':
			options->keyspace = optarg;
			break;
		case 'u':
			options->username = optarg;
			break;
		case 'w':
			options->password = optarg;
			break;
		case 't':
			options->use_tls = true;
			break;
		case 'a':
			options->ca_file = optarg;
			break;
		case 'c':
			options->cert_file = optarg;
			break;
		case 'e':
			options->key_file = optarg;
			break;
		case 'z':
			options->use_lz4 = true;
			break;
		case 'r':
			options->request_timeout_ms = strtol(optarg, NULL, 10);
			break;
		case 'm':
			options->pending_max = strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
}

int main(int count, char **arguments)
{
	CLEANUP(cql_session_free) struct cql_session *session = NULL;
	struct cql_options options = { 0 };
	struct error err = { 0 };
	char *line = NULL;
	size_t room = 0;
	int r;

	read_options(count, arguments, &options);
	arena_init(&memory, MEMORY_MAX);
	r = cql_session_new(&options, &session, &err);
	if (r < 0) {
		fprintf(stderr, "cql-probe: %s\n", error_text(&err, r));
		return EXIT_FAILURE;
	}
	while (getline(&line, &room, stdin) > 0)
		answer_line(session, line);
	free(line);
	arena_deinit(&memory);
	return EXIT_SUCCESS;
}
