/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* An answer: the rows of one page, or nothing. It was checked whole when it came: reading it cannot
 * fail. One thread at a time. */

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "cql/value.h"

struct cql_result;

struct cql_result *cql_result_free(struct cql_result *result);
CLEANUP_DEFINE(struct cql_result, cql_result_free)

/* Of this page; 0 for what is not rows. */
size_t cql_result_rows(const struct cql_result *result);
size_t cql_result_columns(const struct cql_result *result);

/* A column's name, NULL if there is none; valid as long as the result. */
const char *cql_result_name(const struct cql_result *result, size_t column);

/* Goes to the first row, then to the next; false after the last. */
bool cql_result_next(struct cql_result *result);

/* A column of the present row; CQL_NULL where it has none, where there is no such column, and
 * outside of the rows. Its bytes live as long as the result. */
struct cql_value cql_result_value(const struct cql_result *result, size_t column);

/* Whether there are pages after this one: cql_execute_next. */
bool cql_result_has_more(const struct cql_result *result);

/* Whether a statement with IF did what it says (the column [applied]). true without that column. */
bool cql_result_applied(const struct cql_result *result);
