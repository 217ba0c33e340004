/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/reply.h"

#include <string.h>

#include "cql/notation.h"

enum metadata_flag {
	GLOBAL_TABLE = 0x1,
	MORE_PAGES = 0x2,
	NO_METADATA = 0x4,
};

static enum cql_type read_type(struct cursor *cursor, enum cql_type inner[2], unsigned int depth);

static void pass_types(struct cursor *cursor, bool are_named, unsigned int depth)
{
	uint16_t count = cursor_read_u16(cursor);

	for (uint16_t i = 0; i < count && !cursor->is_broken; i++) {
		if (are_named)
			(void)cql_notation_string(cursor);
		(void)read_type(cursor, NULL, depth);
	}
}

/* inner: NULL if nobody wants it. */
static void read_elements(
	struct cursor *cursor, size_t count, enum cql_type inner[2], unsigned int depth)
{
	for (size_t i = 0; i < count; i++) {
		enum cql_type type = read_type(cursor, NULL, depth);

		if (inner)
			inner[i] = type;
	}
}

static enum cql_type read_type(struct cursor *cursor, enum cql_type inner[2], unsigned int depth)
{
	enum cql_type type = cursor_read_u16(cursor);

	if (depth == CQL_TYPE_DEPTH_MAX) {
		cursor->is_broken = true;
		return type;
	}
	switch (type) {
	case CQL_TYPE_CUSTOM:
		(void)cql_notation_string(cursor);
		break;
	case CQL_TYPE_LIST:
	case CQL_TYPE_SET:
		read_elements(cursor, 1, inner, depth + 1);
		break;
	case CQL_TYPE_MAP:
		read_elements(cursor, 2, inner, depth + 1);
		break;
	case CQL_TYPE_UDT:
		(void)cql_notation_string(cursor);
		(void)cql_notation_string(cursor);
		pass_types(cursor, true, depth + 1);
		break;
	case CQL_TYPE_TUPLE:
		pass_types(cursor, false, depth + 1);
		break;
	default:
		break;
	}
	return type;
}

bool cql_columns_next(struct cql_columns *columns, struct cql_column *ret_column)
{
	struct cql_column column = { .keyspace = columns->keyspace, .table = columns->table };

	if (columns->left == 0)
		return false;
	columns->left--;
	if (!columns->has_global_table) {
		column.keyspace = cql_notation_string(&columns->descriptions);
		column.table = cql_notation_string(&columns->descriptions);
	}
	column.name = cql_notation_string(&columns->descriptions);
	column.type = read_type(&columns->descriptions, column.inner, 0);
	*ret_column = column;
	return true;
}

int cql_columns_find(const struct cql_columns *columns, const char *name)
{
	struct cql_columns walk = *columns;
	struct cql_column column;

	for (int index = 0; cql_columns_next(&walk, &column); index++)
		if (cql_bytes_equal(column.name, name))
			return index;
	return -1;
}

/* Count and flags were read already. */
static void read_columns(struct cursor *cursor, uint32_t flags, struct cql_columns *columns)
{
	struct cql_columns walk;
	struct cql_column column;

	columns->is_described = !(flags & NO_METADATA);
	if (!columns->is_described)
		return;
	columns->has_global_table = flags & GLOBAL_TABLE;
	if (columns->has_global_table) {
		columns->keyspace = cql_notation_string(cursor);
		columns->table = cql_notation_string(cursor);
	}
	columns->descriptions = *cursor;
	columns->left = columns->count;
	walk = *columns;
	while (!walk.descriptions.is_broken && cql_columns_next(&walk, &column))
		;
	*cursor = walk.descriptions;
}

static uint32_t read_column_count(struct cursor *cursor)
{
	uint32_t count = cursor_read_u32(cursor);

	if (count <= CQL_COLUMNS_MAX)
		return count;
	cursor->is_broken = true;
	return 0;
}

static void read_row_metadata(
	struct cursor *cursor, struct cql_columns *columns, struct cql_bytes *paging_state)
{
	uint32_t flags = cursor_read_u32(cursor);

	columns->count = read_column_count(cursor);
	if (flags & MORE_PAGES)
		*paging_state = cql_notation_bytes(cursor);
	read_columns(cursor, flags, columns);
}

bool cql_rows_next(struct cql_rows *rows, struct cql_value *ret_values)
{
	if (rows->left == 0)
		return false;
	rows->left--;
	for (uint32_t i = 0; i < rows->columns.count; i++)
		ret_values[i] = cql_notation_value(&rows->cells);
	return true;
}

static void pass_cells(struct cursor *cursor, uint64_t count)
{
	/* Each has four bytes of size at least. */
	if (count > cursor_left(cursor) / 4)
		cursor->is_broken = true;
	for (uint64_t i = 0; i < count && !cursor->is_broken; i++)
		(void)cql_notation_value(cursor);
}

static void read_rows(struct cursor *cursor, struct cql_rows *rows)
{
	read_row_metadata(cursor, &rows->columns, &rows->paging_state);
	rows->count = rows->left = cursor_read_u32(cursor);
	if (rows->count > 0 && rows->columns.count == 0)
		cursor->is_broken = true;
	rows->cells = *cursor;
	pass_cells(cursor, (uint64_t)rows->count * rows->columns.count);
}

/* Which markers make the partition key: callers give it themselves. */
static void pass_key_markers(struct cursor *cursor)
{
	uint32_t count = cursor_read_u32(cursor);

	(void)cursor_read_bytes(cursor, (size_t)count * 2);
}

static void read_prepared(struct cursor *cursor, struct cql_prepared *prepared)
{
	struct cql_bytes unused;
	uint32_t flags;

	prepared->id = cql_notation_string(cursor);
	if (prepared->id.size == 0 || prepared->id.size > CQL_ID_MAX)
		cursor->is_broken = true;
	flags = cursor_read_u32(cursor);
	prepared->markers.count = read_column_count(cursor);
	pass_key_markers(cursor);
	read_columns(cursor, flags, &prepared->markers);
	read_row_metadata(cursor, &prepared->columns, &unused);
}

void cql_schema_change_decode(struct cursor *cursor, struct cql_schema_change *ret_change)
{
	struct cql_schema_change change;

	change.change = cql_notation_string(cursor);
	change.target = cql_notation_string(cursor);
	change.keyspace = cql_notation_string(cursor);
	change.name = cql_bytes_equal(change.target, "KEYSPACE") ? (struct cql_bytes){ 0 }
								 : cql_notation_string(cursor);
	*ret_change = change;
}

void cql_reply_decode(struct cursor *cursor, struct cql_reply *ret_reply)
{
	struct cql_reply reply = { .kind = cursor_read_u32(cursor) };

	switch (reply.kind) {
	case CQL_RESULT_VOID:
		break;
	case CQL_RESULT_ROWS:
		read_rows(cursor, &reply.rows);
		break;
	case CQL_RESULT_KEYSPACE:
		reply.keyspace = cql_notation_string(cursor);
		break;
	case CQL_RESULT_PREPARED:
		read_prepared(cursor, &reply.prepared);
		break;
	case CQL_RESULT_SCHEMA:
		cql_schema_change_decode(cursor, &reply.schema);
		break;
	default:
		cursor->is_broken = true;
	}
	*ret_reply = reply;
}
