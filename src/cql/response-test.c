/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include <stdio.h>

#include "cql/response.h"

/* What Cassandra 5.0.9 sent, shared with the fuzz target: header and body. */
struct recording {
	struct cql_frame frame;
	struct buffer plain;
	uint8_t bytes[4096];
	size_t size;
	struct cql_response response;
};

static void recording_deinit(struct recording *recording)
{
	buffer_deinit(&recording->plain);
}
CLEANUP_DEFINE_VALUE(struct recording, recording_deinit)

static void load(const char *name, struct recording *ret_recording)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
	file = fopen(path, "re");
	if (!file)
		fail_msg("cannot open %s", path);
	ret_recording->size = fread(ret_recording->bytes, 1, sizeof(ret_recording->bytes), file);
	fclose(file);
	buffer_init(&ret_recording->plain, CQL_RESPONSE_MAX);
}

static int decode(struct recording *recording)
{
	const uint8_t *body = recording->bytes + CQL_FRAME_HEADER_SIZE;
	size_t size = recording->size - CQL_FRAME_HEADER_SIZE;
	int r = cql_frame_decode(recording->bytes, &recording->frame, NULL);

	assert_int_equal(r, 0);
	if (recording->frame.flags & CQL_FRAME_COMPRESSED) {
		r = cql_frame_decompress(body, size, &recording->plain, NULL);
		assert_int_equal(r, 0);
		body = recording->plain.bytes;
		size = recording->plain.size;
	}
	return cql_response_decode(&recording->frame, body, size, &recording->response, NULL);
}

static const struct cql_response *play(const char *name, struct recording *recording)
{
	load(name, recording);
	assert_int_equal(decode(recording), 0);
	return &recording->response;
}

static const struct cql_error *play_error(const char *name, struct recording *recording)
{
	const struct cql_response *response = play(name, recording);

	assert_int_equal(response->opcode, CQL_ERROR);
	return &response->error;
}

static const struct cql_reply *play_result(
	const char *name, enum cql_result_kind kind, struct recording *recording)
{
	const struct cql_response *response = play(name, recording);

	assert_int_equal(response->opcode, CQL_RESULT);
	assert_int_equal(response->reply.kind, kind);
	return &response->reply;
}

static void assert_bytes(struct cql_bytes bytes, const char *text)
{
	if (!cql_bytes_equal(bytes, text))
		fail_msg("'%.*s' is not '%s'", (int)bytes.size, (const char *)bytes.bytes, text);
}

static void what_a_server_supports_is_told(void **state)
{
	CLEANUP(recording_deinit) struct recording recording;
	const struct cql_supported *supported = &play("supported", &recording)->supported;

	assert_int_equal(recording.frame.opcode, CQL_SUPPORTED);
	assert_true(cql_supported_has(supported, "COMPRESSION", "lz4"));
	assert_true(cql_supported_has(supported, "CQL_VERSION", "3.4.7"));
	assert_true(cql_supported_has(supported, "PROTOCOL_VERSIONS", "4/v4"));
	assert_false(cql_supported_has(supported, "COMPRESSION", "lz"));
	assert_false(cql_supported_has(supported, "CQL_VERSION", "lz4"));
}

static void a_connection_becomes_ready_with_and_without_a_login(void **state)
{
	CLEANUP(recording_deinit) struct recording ready, authenticate, success, refused;

	assert_int_equal(play("ready", &ready)->opcode, CQL_READY);
	assert_bytes(play("authenticate", &authenticate)->authenticator,
		"org.apache.cassandra.auth.PasswordAuthenticator");
	assert_int_equal(play("auth-success", &success)->opcode, CQL_AUTH_SUCCESS);
	assert_int_equal(success.response.token.size, 0);
	assert_int_equal(play_error("credentials", &refused)->code, CQL_ERROR_CREDENTIALS);
}

static void assert_row(const struct cql_value *values, int64_t index)
{
	struct cql_items items;
	struct cql_value item;
	int64_t number;
	int32_t small;
	char text[8];
	struct cql_address address;

	assert_int_equal(cql_read_int(values[0], &small), 0);
	assert_int_equal(small, 7);
	assert_int_equal(cql_read_text(values[1], text, sizeof(text)), 0);
	assert_string_equal(text, "x");
	assert_int_equal(cql_read_bigint(values[2], &number), 0);
	assert_int_equal(number, index - 2);
	assert_int_equal(values[3].size, index);
	assert_int_equal(cql_read_inet(values[5], &address), 0);
	assert_int_equal(address.size, index % 2 ? 4 : 16);
	assert_int_equal(cql_read_bigint(values[7], &number), 0);
	assert_true(number == 1700000000000 + index);
	assert_int_equal(cql_read_list(values[8], &items), 0);
	assert_true(cql_items_next(&items, &item) && cql_read_int(item, &small) == 0);
	assert_int_equal(small, 1);
	assert_int_equal(cql_is_null(values[10]), index == 3);
}

static void assert_rows(const struct cql_reply *reply)
{
	struct cql_rows rows = reply->rows;
	struct cql_value values[CQL_COLUMNS_MAX];
	int64_t index = 0;

	assert_int_equal(rows.count, 5);
	assert_int_equal(rows.columns.count, 11);
	assert_int_equal(rows.paging_state.size, 0);
	while (cql_rows_next(&rows, values))
		assert_row(values, index++);
	assert_int_equal(index, 5);
}

static void rows_are_read_with_every_type(void **state)
{
	CLEANUP(recording_deinit) struct recording plain, packed;

	assert_rows(play_result("rows", CQL_RESULT_ROWS, &plain));
	assert_rows(play_result("lz4-rows", CQL_RESULT_ROWS, &packed));
}

static void columns_are_found_by_name(void **state)
{
	CLEANUP(recording_deinit) struct recording recording;
	const struct cql_reply *reply = play_result("rows", CQL_RESULT_ROWS, &recording);
	static const enum cql_type types[] = { CQL_TYPE_INT, CQL_TYPE_TEXT, CQL_TYPE_BIGINT,
		CQL_TYPE_BLOB, CQL_TYPE_UUID, CQL_TYPE_INET, CQL_TYPE_BOOLEAN, CQL_TYPE_TIMESTAMP,
		CQL_TYPE_LIST, CQL_TYPE_MAP, CQL_TYPE_SET };
	struct cql_columns columns = reply->rows.columns;
	struct cql_column column;

	assert_int_equal(cql_columns_find(&columns, "a"), 0);
	assert_int_equal(cql_columns_find(&columns, "m"), 9);
	assert_int_equal(cql_columns_find(&columns, "z"), -1);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		assert_true(cql_columns_next(&columns, &column));
		assert_int_equal(column.type, types[i]);
		assert_bytes(column.table, "t");
	}
	assert_false(cql_columns_next(&columns, &column));
	assert_int_equal(column.inner[0], CQL_TYPE_TEXT);
}

static void types_within_types_are_passed_over(void **state)
{
	CLEANUP(recording_deinit) struct recording recording;
	const struct cql_reply *reply = play_result("types", CQL_RESULT_ROWS, &recording);
	struct cql_columns columns = reply->rows.columns;
	struct cql_column column;

	assert_int_equal(columns.count, 10);
	assert_int_equal(cql_columns_find(&columns, "v"), 9);
	for (int i = 0; i < 4; i++)
		assert_true(cql_columns_next(&columns, &column));
	assert_int_equal(column.type, CQL_TYPE_MAP);
	assert_int_equal(column.inner[0], CQL_TYPE_TEXT);
	assert_int_equal(column.inner[1], CQL_TYPE_SET);
	assert_true(cql_columns_next(&columns, &column));
	assert_int_equal(column.type, CQL_TYPE_CUSTOM); /* duration */
	assert_true(cql_columns_next(&columns, &column));
	assert_int_equal(column.type, CQL_TYPE_BLOB);
}

static void a_page_that_is_not_the_last_says_where_the_next_begins(void **state)
{
	CLEANUP(recording_deinit) struct recording recording;
	const struct cql_reply *reply = play_result("rows-page", CQL_RESULT_ROWS, &recording);

	assert_int_equal(reply->rows.count, 2);
	assert_true(reply->rows.paging_state.size > 0);
}

static void a_tracing_id_and_warnings_stand_before_the_answer(void **state)
{
	CLEANUP(recording_deinit) struct recording traced, warned, batch;

	assert_int_equal(
		play_result("rows-traced", CQL_RESULT_ROWS, &traced)->rows.columns.count, 11);
	assert_true(traced.frame.flags & CQL_FRAME_TRACED);
	assert_int_equal(play_result("warned", CQL_RESULT_ROWS, &warned)->rows.count, 1);
	assert_bytes(warned.response.warning, "Aggregation query used without partition key");
	assert_int_equal(
		play_result("batch-warned", CQL_RESULT_VOID, &batch)->kind, CQL_RESULT_VOID);
	assert_true(batch.response.warning.size > 0);
}

static void a_prepared_statement_tells_its_id_markers_and_columns(void **state)
{
	CLEANUP(recording_deinit) struct recording insert, select;
	const struct cql_prepared *prepared =
		&play_result("prepared-insert", CQL_RESULT_PREPARED, &insert)->prepared;

	assert_int_equal(prepared->id.size, 16);
	assert_int_equal(prepared->markers.count, 11);
	assert_int_equal(cql_columns_find(&prepared->markers, "c"), 0);
	assert_int_equal(prepared->columns.count, 0);
	prepared = &play_result("prepared-select", CQL_RESULT_PREPARED, &select)->prepared;
	assert_int_equal(prepared->markers.count, 2);
	assert_int_equal(prepared->columns.count, 11);
	assert_int_equal(cql_columns_find(&prepared->columns, "n"), 10);
}

static void results_without_rows_say_what_they_are(void **state)
{
	CLEANUP(recording_deinit) struct recording none, nothing, keyspace, created, table;
	const struct cql_schema_change *change;

	assert_int_equal(play_result("rows-none", CQL_RESULT_ROWS, &none)->rows.count, 0);
	assert_int_equal(play_result("void", CQL_RESULT_VOID, &nothing)->kind, CQL_RESULT_VOID);
	assert_bytes(play_result("keyspace", CQL_RESULT_KEYSPACE, &keyspace)->keyspace, "k");
	change = &play_result("schema-created", CQL_RESULT_SCHEMA, &created)->schema;
	assert_bytes(change->target, "KEYSPACE");
	assert_bytes(change->keyspace, "k");
	assert_int_equal(change->name.size, 0);
	change = &play_result("table-created", CQL_RESULT_SCHEMA, &table)->schema;
	assert_bytes(change->change, "CREATED");
	assert_bytes(change->name, "t");
}

static void errors_carry_what_their_code_has(void **state)
{
	CLEANUP(recording_deinit) struct recording exists, unprepared, unavailable, function, other;
	const struct cql_error *error = play_error("exists", &exists);

	assert_int_equal(error->code, CQL_ERROR_ALREADY_EXISTS);
	assert_bytes(error->keyspace, "k");
	assert_int_equal(error->name.size, 0);
	error = play_error("unprepared", &unprepared);
	assert_int_equal(error->code, CQL_ERROR_UNPREPARED);
	assert_int_equal(error->id.size, 16);
	error = play_error("unavailable", &unavailable);
	assert_int_equal(error->code, CQL_ERROR_UNAVAILABLE);
	assert_int_equal(error->consistency, CQL_QUORUM);
	assert_int_equal(error->required, 2);
	assert_int_equal(error->received, 1);
	error = play_error("function", &function);
	assert_int_equal(error->code, CQL_ERROR_FUNCTION_FAILURE);
	assert_bytes(error->name, "fail");
	assert_int_equal(play_error("syntax", &other)->code, CQL_ERROR_SYNTAX);
	assert_int_equal(play_error("invalid", &other)->code, CQL_ERROR_INVALID);
	assert_int_equal(play_error("unauthorized", &other)->code, CQL_ERROR_UNAUTHORIZED);
	assert_int_equal(play_error("protocol-error", &other)->code, CQL_ERROR_PROTOCOL);
}

static const struct cql_error *decode_error(
	const char *body, size_t size, struct cql_response *ret_response)
{
	const struct cql_frame frame = { .opcode = CQL_ERROR };

	assert_int_equal(cql_response_decode(&frame, body, size, ret_response, NULL), 0);
	return &ret_response->error;
}

static void timeouts_and_failures_count_their_replicas(void **state)
{
	static const char write_timeout[] = "\0\0\x11\0\0\1m\0\6\0\0\0\1\0\0\0\2\0\6SIMPLE";
	static const char read_timeout[] = "\0\0\x12\0\0\1m\0\6\0\0\0\1\0\0\0\2\1";
	static const char read_failure[] = "\0\0\x13\0\0\1m\0\4\0\0\0\0\0\0\0\2\0\0\0\3\0";
	static const char write_failure[] =
		"\0\0\x15\0\0\1m\0\4\0\0\0\0\0\0\0\2\0\0\0\3\0\x0eUNLOGGED_BATCH";
	struct cql_response response;
	const struct cql_error *error =
		decode_error(write_timeout, sizeof(write_timeout) - 1, &response);

	assert_int_equal(error->consistency, CQL_LOCAL_QUORUM);
	assert_int_equal(error->received, 1);
	assert_int_equal(error->required, 2);
	assert_bytes(error->write_type, "SIMPLE");
	error = decode_error(read_timeout, sizeof(read_timeout) - 1, &response);
	assert_int_equal(error->received, 1);
	assert_true(error->has_data);
	error = decode_error(read_failure, sizeof(read_failure) - 1, &response);
	assert_int_equal(error->failures, 3);
	assert_false(error->has_data);
	error = decode_error(write_failure, sizeof(write_failure) - 1, &response);
	assert_int_equal(error->failures, 3);
	assert_bytes(error->write_type, "UNLOGGED_BATCH");
}

static void an_error_is_described_in_one_line(void **state)
{
	CLEANUP(recording_deinit) struct recording unavailable, syntax;
	struct error err = { "" };

	assert_int_equal(
		cql_error_describe(play_error("unavailable", &unavailable), -EIO, &err), -EIO);
	assert_string_equal(err.text, "Cassandra: unavailable (1 of 2 replicas at QUORUM): "
				      "Cannot achieve consistency level QUORUM");
	cql_error_describe(&(struct cql_error){ .code = 0x7777, .consistency = 99 }, -EIO, &err);
	assert_string_equal(err.text, "Cassandra: unknown error: ");
	(void)cql_error_describe(play_error("syntax", &syntax), -EIO, &err);
	assert_memory_equal(err.text, "Cassandra: syntax error: line 1", 31);
}

static void events_say_what_happened_where(void **state)
{
	static const char down[] = "\0\x0dSTATUS_CHANGE\0\4DOWN\4\xc0\0\2\1\0\0\x23\x52";
	static const char added[] = "\0\x0fTOPOLOGY_CHANGE\0\x08NEW_NODE\x10"
				    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\x23\x52";
	CLEANUP(recording_deinit) struct recording recording;
	const struct cql_frame frame = { .opcode = CQL_EVENT, .stream = CQL_STREAM_EVENTS };
	struct cql_response response;
	char text[CQL_ADDRESS_TEXT_SIZE];

	assert_int_equal(cql_response_decode(&frame, down, sizeof(down) - 1, &response, NULL), 0);
	assert_int_equal(response.event.kind, CQL_EVENT_STATUS);
	assert_bytes(response.event.change, "DOWN");
	assert_int_equal(response.event.address.port, 9042);
	assert_int_equal(cql_response_decode(&frame, added, sizeof(added) - 1, &response, NULL), 0);
	assert_int_equal(response.event.kind, CQL_EVENT_TOPOLOGY);
	cql_address_print(&response.event.address, text);
	assert_string_equal(text, "2001:db8::1");
	assert_int_equal(play("event-schema", &recording)->opcode, CQL_EVENT);
	assert_int_equal(recording.frame.stream, CQL_STREAM_EVENTS);
	assert_int_equal(recording.response.event.kind, CQL_EVENT_SCHEMA);
	assert_bytes(recording.response.event.schema.name, "t");
}

static void what_is_cut_off_is_refused_at_every_length(void **state)
{
	static const char *const names[] = { "supported", "local", "rows-page", "prepared-select",
		"exists", "unavailable", "unprepared", "table-created", "event-schema", "types",
		"warned", "authenticate", "auth-success", "rows-traced" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP(recording_deinit) struct recording recording;
		size_t whole;

		load(names[i], &recording);
		whole = recording.size;
		for (recording.size = CQL_FRAME_HEADER_SIZE; recording.size < whole;
			recording.size++)
			assert_int_equal(decode(&recording), -EPROTO);
		assert_int_equal(decode(&recording), 0);
	}
}

static int decode_result(const char *body, size_t size)
{
	const struct cql_frame frame = { .opcode = CQL_RESULT };
	struct cql_response response;

	return cql_response_decode(&frame, body, size, &response, NULL);
}

static void counts_that_cannot_be_true_are_refused(void **state)
{
	static const char no_columns[] = "\0\0\0\2\0\0\0\4\0\0\0\0\0\0\0\0";
	static const char endless_rows[] = "\0\0\0\2\0\0\0\4\0\0\0\0\xff\xff\xff\xff";
	static const char many_columns[] = "\0\0\0\2\0\0\0\4\0\0\1\1\0\0\0\0";
	static const char many_rows[] = "\0\0\0\2\0\0\0\4\0\0\1\0\xff\xff\xff\xff\xff\xff\xff\xff";
	static const char key_markers[] =
		"\0\0\0\4\0\1i\0\0\0\4\0\0\0\1\xff\xff\xff\xff\0\0\0\0\0\0\0\4\0\0\0\0";
	static const char no_id[] = "\0\0\0\4\0\0\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0";

	assert_int_equal(decode_result(no_columns, sizeof(no_columns) - 1), 0);
	assert_int_equal(decode_result(endless_rows, sizeof(endless_rows) - 1), -EPROTO);
	assert_int_equal(decode_result(many_columns, sizeof(many_columns) - 1), -EPROTO);
	assert_int_equal(decode_result(many_rows, sizeof(many_rows) - 1), -EPROTO);
	assert_int_equal(decode_result(key_markers, sizeof(key_markers) - 1), -EPROTO);
	assert_int_equal(decode_result(no_id, sizeof(no_id) - 1), -EPROTO);
	assert_int_equal(decode_result("\0\0\0\6", 4), -EPROTO);
}

/* list<list<...<int>>>, one deeper than is read. */
static void a_type_that_is_too_deep_is_refused(void **state)
{
	static const char head[] = "\0\0\0\2\0\0\0\1\0\0\0\1\0\0\0\0\0\1a";
	char body[256];

	for (int depth = CQL_TYPE_DEPTH_MAX - 1; depth <= CQL_TYPE_DEPTH_MAX; depth++) {
		size_t size = sizeof(head) - 1;

		memcpy(body, head, size);
		for (int i = 0; i < depth; i++, size += 2)
			memcpy(body + size, "\0\x20", 2);
		memcpy(body + size, "\0\x09\0\0\0\0", 6);
		assert_int_equal(
			decode_result(body, size + 6), depth < CQL_TYPE_DEPTH_MAX ? 0 : -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_server_supports_is_told),
		cmocka_unit_test(a_connection_becomes_ready_with_and_without_a_login),
		cmocka_unit_test(rows_are_read_with_every_type),
		cmocka_unit_test(columns_are_found_by_name),
		cmocka_unit_test(types_within_types_are_passed_over),
		cmocka_unit_test(a_page_that_is_not_the_last_says_where_the_next_begins),
		cmocka_unit_test(a_tracing_id_and_warnings_stand_before_the_answer),
		cmocka_unit_test(a_prepared_statement_tells_its_id_markers_and_columns),
		cmocka_unit_test(results_without_rows_say_what_they_are),
		cmocka_unit_test(errors_carry_what_their_code_has),
		cmocka_unit_test(timeouts_and_failures_count_their_replicas),
		cmocka_unit_test(an_error_is_described_in_one_line),
		cmocka_unit_test(events_say_what_happened_where),
		cmocka_unit_test(what_is_cut_off_is_refused_at_every_length),
		cmocka_unit_test(counts_that_cannot_be_true_are_refused),
		cmocka_unit_test(a_type_that_is_too_deep_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
