/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Aligned tables for people. Widths are counted in characters, not bytes. */

#include <jansson.h>
#include <stddef.h>

#include "base/macros.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table;

/* Heads that begin with '>' are of columns aligned to the right. */
struct table *table_new(const char *const *heads, size_t count);
struct table *table_free(struct table *table);
CLEANUP_DEFINE(struct table, table_free)

/* The next cell; a row ends when it has all its columns. Copies. */
void table_add(struct table *table, const char *text);
void table_add_json(struct table *table, const json_t *value); /* null and missing: "-" */
void table_add_time(struct table *table, const json_t *seconds);

void table_print(const struct table *table);

/* Each line cut to so many characters, and with another end than a line feed. */
void table_print_within(const struct table *table, size_t width, const char *end);
