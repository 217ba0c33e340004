/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <string.h>

#include "store/cassandra/private.h"
#include "store/packed.h"

/* What the rows of answers have at most. */
enum {
	KEY_BYTES_MAX = 4096,
	PAGE_ROWS = 1000,
	PAGE_BYTES = CQL_RESPONSE_MAX - 64 * 1024, /* besides, it tells of its columns */
	NUMBERS_BYTES = 128, /* of a row: numbers, digests, and the sizes of all that it has */
	NAME_BYTES = INSTANCE_TEXT_MAX + 4,
	READINGS_BYTES = BUNDLE_BYTES + PIECE_BYTES + INSTANCE_ID_SIZE,
	HOSTS_MAX = 200, /* of one instance, if all have the longest names: nobody counts */
	INSTANCE_BYTES = INSTANCE_ID_SIZE + HOSTS_MAX * (NAME_BYTES + 8) + 1024 /* groups */,
	INFO_BYTES = INSTANCE_ID_SIZE + PACKED_INFO_MAX,
};

static const size_t row_bytes[_STATEMENT_COUNT] = {
	[GET_READINGS] = READINGS_BYTES,
	[GET_READINGS_DOWN] = READINGS_BYTES,
	[GET_LAST_READINGS] = READINGS_BYTES,
	[GET_SHAPES] = PIECE_BYTES,
	[GET_DAYS] = NAME_BYTES,
	[GET_SUMMARIES] = SUMMARY_BYTES_MAX,
	[GET_INSTANCE] = INSTANCE_BYTES,
	[GET_INSTANCES] = INSTANCE_BYTES,
	[GET_INSTANCE_INFOS] = INFO_BYTES,
	[GET_INFOS] = INFO_BYTES,
	[GET_SOURCES] = 3 * NAME_BYTES,
	[GET_SOURCES_OF_WORKER] = 3 * NAME_BYTES,
	[GET_RECORDS] = RECORD_TEXT_MAX + PART_SIZE,
	[GET_RECORD_PARTS] = PART_SIZE,
};

int32_t statements_page_rows(enum statement statement)
{
	size_t rows = PAGE_BYTES / (row_bytes[statement] + NUMBERS_BYTES);

	return (int32_t)MIN_OF(rows, (size_t)PAGE_ROWS);
}

/* CQL's dates count from the middle of an unsigned number. */
static const uint32_t DAY_ZERO = UINT32_C(0x80000000);

void statements_init(struct statements *statements, struct cassandra_store *store)
{
	*statements = (struct statements){ .store = store };
	arena_init(&statements->arena, STATEMENTS_MEMORY_MAX);
}

void statements_deinit(struct statements *statements)
{
	arena_deinit(&statements->arena);
}

void statements_clear(struct statements *statements)
{
	arena_clear(&statements->arena);
	statements->items = NULL;
	statements->count = 0;
	statements->is_broken = false;
}

/* As a copy that lives as long as the statements. */
static bool set_key(struct statements *statements, struct cql_statement *statement, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer key;
	void *copy;

	buffer_init(&key, KEY_BYTES_MAX);
	if (count == 0)
		return true;
	if (cql_key_write(&key, statement->values, count) < 0 || buffer_check(&key) < 0)
		return false;
	copy = arena_take(&statements->arena, key.size);
	if (!copy)
		return false;
	statement->partition_key = memcpy(copy, key.bytes, key.size);
	statement->partition_key_size = key.size;
	return true;
}

struct cql_statement *statements_add(struct statements *statements, enum statement statement,
	const struct cql_value *values, size_t value_count, size_t key_count)
{
	struct cql_statement *items, *added;
	struct cql_value *copies;

	copies = arena_take_array(&statements->arena, value_count + 1, sizeof(*copies));
	items = arena_grow(&statements->arena, statements->items, statements->count, STATEMENTS_MAX,
		sizeof(*items));
	if (!items || !copies) {
		statements->is_broken = true;
		return &statements->lost;
	}
	if (value_count)
		memcpy(copies, values, value_count * sizeof(*values));
	statements->items = items;
	added = &items[statements->count++];
	*added = (struct cql_statement){ .text = statements->store->texts[statement],
		.values = copies,
		.value_count = value_count,
		.consistency = statements->store->consistency,
		.is_idempotent = true,
		.page_size = statements_page_rows(statement) };
	if (!set_key(statements, added, key_count))
		statements->is_broken = true;
	return added;
}

static struct cql_storage *storage(struct statements *statements)
{
	struct cql_storage *taken = arena_take(&statements->arena, sizeof(*taken));

	if (!taken)
		statements->is_broken = true;
	return taken ? taken : &statements->lost_storage;
}

struct cql_value statements_bigint(struct statements *statements, int64_t value)
{
	return cql_bigint(value, storage(statements));
}

struct cql_value statements_int(struct statements *statements, int32_t value)
{
	return cql_int(value, storage(statements));
}

struct cql_value statements_day(struct statements *statements, int64_t day)
{
	return statements_int(statements, (int32_t)((uint32_t)day + DAY_ZERO));
}

int read_day(struct cql_value value, int64_t *ret_day)
{
	int32_t number;

	if (cql_read_int(value, &number) < 0)
		return -EPROTO;
	*ret_day = (int64_t)(uint32_t)number - (int64_t)DAY_ZERO;
	return 0;
}

struct cql_value statements_blob(struct statements *statements, const void *bytes, size_t size)
{
	void *copy = arena_take(&statements->arena, size);

	if (!copy) {
		statements->is_broken = true;
		return cql_null();
	}
	if (size)
		memcpy(copy, bytes, size);
	return cql_blob(copy, size);
}

struct cql_value statements_text(struct statements *statements, const char *text)
{
	return statements_blob(statements, text, strlen(text));
}

struct cql_value statements_set(struct statements *statements, const char *text)
{
	CLEANUP(buffer_deinit) struct buffer set;

	buffer_init(&set, KEY_BYTES_MAX);
	buffer_write_u32(&set, 1);
	buffer_write_u32(&set, (uint32_t)strlen(text));
	buffer_write(&set, text, strlen(text));
	if (buffer_check(&set) < 0)
		statements->is_broken = true;
	return statements_blob(statements, set.bytes, set.size);
}

void statements_join(struct statements *statements, size_t count)
{
	struct cql_statement *parts = arena_take_array(&statements->arena, count, sizeof(*parts));
	struct cql_statement *joined;

	if (!parts || statements->is_broken) {
		statements->is_broken = true;
		return;
	}
	statements->count -= count - 1;
	joined = &statements->items[statements->count - 1];
	memcpy(parts, joined, count * sizeof(*parts));
	joined->text = NULL;
	joined->value_count = 0;
	joined->parts = parts;
	joined->part_count = count;
}

int statements_run(
	struct statements *statements, cql_each_fn each, void *context, struct error *err)
{
	if (statements->is_broken)
		return -ENOMEM;
	if (statements->count == 0)
		return 0;
	return cql_execute_all(statements->store->session, statements->items, statements->count,
		each, context, err);
}

int statements_each_row(
	struct statements *statements, row_fn each, void *context, struct error *err)
{
	struct cql_session *session = statements->store->session;
	CLEANUP(cql_result_free) struct cql_result *page = NULL;
	int r = statements->is_broken
			? -ENOMEM
			: cassandra_outcome(cql_execute(session, statements->items, &page, err));

	while (r == 0) {
		struct cql_result *next = NULL;

		while (r == 0 && cql_result_next(page))
			r = each(context, page, err);
		if (r != 0 || !cql_result_has_more(page))
			break;
		r = cassandra_outcome(
			cql_execute_next(session, statements->items, page, &next, err));
		if (r == 0) {
			cql_result_free(page);
			page = next;
		}
	}
	return r;
}
