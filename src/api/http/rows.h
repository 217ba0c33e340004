/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Answers as rows: CSV (RFC 4180) and JSON lines, of the columns of a table. A field that a row has
 * not is that of the answer around it, or null, which is empty in CSV. */

#include "api/http/presentation.h"
#include "base/buffer.h"

/* The rows of one answer, which must live as long; begins as { table, answer }. */
struct rows {
	const struct table *table;
	const json_t *answer;
	size_t element, sample;
};

struct row {
	const json_t *outer, *inner;
	const json_t *sample; /* NULL: it is none */
};

/* The next one; false behind the last one. */
bool rows_next(struct rows *rows, struct row *ret_row);

/* The names of the columns; nothing but in CSV. */
void rows_write_header(
	const struct presentation *presentation, const struct table *table, struct buffer *to);

/* One line; or the same object in JSON, without an end of the line. */
void rows_write(const struct presentation *presentation, const struct table *table,
	const struct row *row, struct buffer *to);
