/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The rows of an answer, and what tells of their columns. Nothing is copied: all of it points into
 * the body that was decoded and lives as long as that. A result that was decoded is whole: walking
 * through its columns and rows cannot fail any more. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "cql/value.h"

enum {
	CQL_COLUMNS_MAX = 256,
	CQL_TYPE_DEPTH_MAX = 16, /* frozen<map<text, list<...>>> */
	CQL_ID_MAX = 64,         /* bytes of a prepared statement's id; Cassandra's have 16 */
};

enum cql_type {
	CQL_TYPE_CUSTOM = 0x0000,
	CQL_TYPE_ASCII = 0x0001,
	CQL_TYPE_BIGINT = 0x0002,
	CQL_TYPE_BLOB = 0x0003,
	CQL_TYPE_BOOLEAN = 0x0004,
	CQL_TYPE_COUNTER = 0x0005,
	CQL_TYPE_DECIMAL = 0x0006,
	CQL_TYPE_DOUBLE = 0x0007,
	CQL_TYPE_FLOAT = 0x0008,
	CQL_TYPE_INT = 0x0009,
	CQL_TYPE_TIMESTAMP = 0x000b,
	CQL_TYPE_UUID = 0x000c,
	CQL_TYPE_TEXT = 0x000d,
	CQL_TYPE_VARINT = 0x000e,
	CQL_TYPE_TIMEUUID = 0x000f,
	CQL_TYPE_INET = 0x0010,
	CQL_TYPE_DATE = 0x0011,
	CQL_TYPE_TIME = 0x0012,
	CQL_TYPE_SMALLINT = 0x0013,
	CQL_TYPE_TINYINT = 0x0014,
	CQL_TYPE_LIST = 0x0020,
	CQL_TYPE_MAP = 0x0021,
	CQL_TYPE_SET = 0x0022,
	CQL_TYPE_UDT = 0x0030,
	CQL_TYPE_TUPLE = 0x0031,
};

struct cql_column {
	struct cql_bytes keyspace, table, name;
	enum cql_type type;     /* may be one that this list does not know by name */
	enum cql_type inner[2]; /* of what is in a list or set; of a map's keys and values */
};

/* The columns of rows, or the markers of a prepared statement. */
struct cql_columns {
	uint32_t count;
	bool is_described; /* false: the server left names and types out */
	bool has_global_table;
	struct cql_bytes keyspace, table; /* with has_global_table */
	struct cursor descriptions;
	uint32_t left; /* of this walk */
};

/* The next one; false: that was the last, or none are described. A walk begins with a copy of the
 * decoded struct. */
bool cql_columns_next(struct cql_columns *columns, struct cql_column *ret_column);

/* The index of the column of this name, -1 if there is none. */
int cql_columns_find(const struct cql_columns *columns, const char *name);

struct cql_rows {
	struct cql_columns columns;
	struct cql_bytes paging_state; /* size 0: this is the last page */
	uint32_t count;
	struct cursor cells;
	uint32_t left; /* of this walk */
};

/* Fills columns.count values (at most CQL_COLUMNS_MAX); false: that was the last row. */
bool cql_rows_next(struct cql_rows *rows, struct cql_value *ret_values);

struct cql_prepared {
	struct cql_bytes id; /* at most CQL_ID_MAX */
	struct cql_columns markers;
	struct cql_columns columns; /* of the rows to come */
};

struct cql_schema_change {
	struct cql_bytes change, target, keyspace, name; /* "CREATED", "TABLE", ... */
};

enum cql_result_kind {
	CQL_RESULT_VOID = 1,
	CQL_RESULT_ROWS = 2,
	CQL_RESULT_KEYSPACE = 3,
	CQL_RESULT_PREPARED = 4,
	CQL_RESULT_SCHEMA = 5,
};

struct cql_reply {
	enum cql_result_kind kind;
	union {
		struct cql_rows rows;
		struct cql_bytes keyspace;
		struct cql_prepared prepared;
		struct cql_schema_change schema;
	};
};

/* The body of a RESULT. Leaves the cursor broken if it is not well-formed (what follows a
 * well-formed one is passed over). For cql/response.c. */
void cql_reply_decode(struct cursor *cursor, struct cql_reply *ret_reply);
void cql_schema_change_decode(struct cursor *cursor, struct cql_schema_change *ret_change);
