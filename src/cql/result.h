/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* An answer: the rows of one page, or nothing. It was checked whole when it came: reading it cannot
 * fail. One thread at a time. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/frame.h"
#include "cql/reply.h"
#include "cql/value.h"

struct cql_result;

struct cql_result *cql_result_free(struct cql_result *result);
CLEANUP_DEFINE(struct cql_result, cql_result_free)

/* Of this page; 0 for what is not rows. */
size_t cql_result_rows(const struct cql_result *result);
size_t cql_result_columns(const struct cql_result *result);

/* Name and type of a column, which live as long as the result; false if there is none. */
bool cql_result_column(
	const struct cql_result *result, size_t column, struct cql_column *ret_column);

/* The index of the column of this name, -1 if there is none. */
int cql_result_find(const struct cql_result *result, const char *name);

/* Bytes that it takes. */
size_t cql_result_size(const struct cql_result *result);

/* Goes to the first row, then to the next; false after the last. */
bool cql_result_next(struct cql_result *result);

/* A column of the present row; CQL_NULL where it has none, where there is no such column (-1), and
 * outside of the rows. Its bytes live as long as the result. */
struct cql_value cql_result_value(const struct cql_result *result, int column);

/* What the next page is asked with: size 0 if this is the last. */
struct cql_bytes cql_result_paging_state(const struct cql_result *result);

/* Whether there are pages after this one: cql_execute_next. */
bool cql_result_has_more(const struct cql_result *result);

/* What a RESULT decodes to; the body is copied. Returns 0; -EPROTO; -ENOMEM. */
MUST_CHECK int cql_result_decode(const struct cql_frame *frame, const void *body, size_t size,
	struct cql_result **ret_result, struct error *err);

/* Of which kind it is, and all that it says. */
const struct cql_reply *cql_result_reply(const struct cql_result *result);
