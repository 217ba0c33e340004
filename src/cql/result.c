/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cql/response.h"

struct cql_result {
	struct cql_response response; /* points into body */
	struct cql_rows walk;
	bool has_row;
	struct cql_value *values; /* of the present row */
	size_t size;              /* of the body */
	uint8_t body[];
};

static bool has_rows(const struct cql_result *result)
{
	return result->response.reply.kind == CQL_RESULT_ROWS;
}

static int prepare_rows(struct cql_result *result)
{
	if (!has_rows(result))
		return 0;
	result->walk = result->response.reply.rows;
	result->values = calloc(MAX_OF(result->walk.columns.count, 1u), sizeof(*result->values));
	return result->values ? 0 : -ENOMEM;
}

int cql_result_decode(const struct cql_frame *frame, const void *body, size_t size,
	struct cql_result **ret_result, struct error *err)
{
	CLEANUP(cql_result_free) struct cql_result *result = calloc(1, sizeof(*result) + size);
	int r;

	if (!result)
		return -ENOMEM;
	memcpy(result->body, body, size);
	result->size = size;
	r = cql_response_decode(frame, result->body, size, &result->response, err);
	if (r == 0 && result->response.opcode != CQL_RESULT)
		r = error_set(err, -EPROTO, "an answer that does not belong here");
	if (r == 0)
		r = prepare_rows(result);
	if (r < 0)
		return r;
	*ret_result = result;
	result = NULL;
	return 0;
}

struct cql_result *cql_result_free(struct cql_result *result)
{
	if (result)
		free(result->values);
	free(result);
	return NULL;
}

const struct cql_reply *cql_result_reply(const struct cql_result *result)
{
	return &result->response.reply;
}

size_t cql_result_rows(const struct cql_result *result)
{
	return has_rows(result) ? result->response.reply.rows.count : 0;
}

size_t cql_result_size(const struct cql_result *result)
{
	return sizeof(*result) + result->size;
}

size_t cql_result_columns(const struct cql_result *result)
{
	return has_rows(result) ? result->response.reply.rows.columns.count : 0;
}

bool cql_result_column(
	const struct cql_result *result, size_t column, struct cql_column *ret_column)
{
	struct cql_columns columns;

	if (column >= cql_result_columns(result))
		return false;
	columns = result->response.reply.rows.columns;
	for (size_t i = 0; i <= column; i++)
		if (!cql_columns_next(&columns, ret_column))
			return false;
	return true;
}

int cql_result_find(const struct cql_result *result, const char *name)
{
	return has_rows(result) ? cql_columns_find(&result->response.reply.rows.columns, name) : -1;
}

bool cql_result_next(struct cql_result *result)
{
	result->has_row = has_rows(result) && cql_rows_next(&result->walk, result->values);
	return result->has_row;
}

struct cql_value cql_result_value(const struct cql_result *result, int column)
{
	if (!result->has_row || column < 0 || (size_t)column >= cql_result_columns(result))
		return cql_null();
	return result->values[column];
}

struct cql_bytes cql_result_paging_state(const struct cql_result *result)
{
	return has_rows(result) ? result->response.reply.rows.paging_state
				: (struct cql_bytes){ 0 };
}

bool cql_result_has_more(const struct cql_result *result)
{
	return cql_result_paging_state(result).size > 0;
}
