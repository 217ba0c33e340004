/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time-text.h"

struct table {
	size_t columns;
	bool is_right[TABLE_COLUMNS_MAX];
	size_t width[TABLE_COLUMNS_MAX];
	char **cells;
	size_t count, room;
};

/* Of a byte of UTF-8: wide characters of Chinese take two places on a terminal. */
static size_t width_at(unsigned char byte)
{
	if ((byte & 0xc0) == 0x80)
		return 0;
	return byte >= 0xe3 && byte < 0xf0 ? 2 : 1;
}

static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += width_at((unsigned char)*text);
	return width;
}

struct table *table_new(const char *const *heads, size_t count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table || count > TABLE_COLUMNS_MAX)
		abort();
	table->columns = count;
	for (size_t i = 0; i < count; i++) {
		table->is_right[i] = heads[i][0] == '>';
		table_add(table, heads[i] + table->is_right[i]);
	}
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	return NULL;
}

void table_add(struct table *table, const char *text)
{
	size_t column = table->count % table->columns, width;
	char *copy = strdup(*text ? text : "-");

	if (table->count == table->room) {
		table->room = table->room ? table->room * 2 : 64;
		table->cells = reallocarray(table->cells, table->room, sizeof(*table->cells));
	}
	if (!copy || !table->cells)
		abort();
	text_make_printable(copy);
	width = width_of(copy);
	table->width[column] = width > table->width[column] ? width : table->width[column];
	table->cells[table->count++] = copy;
}

void table_add_json(struct table *table, const json_t *value)
{
	char text[64];

	if (json_is_string(value)) {
		table_add(table, json_string_value(value));
		return;
	}
	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, sizeof(text), "%.3f", json_real_value(value));
	else
		snprintf(text, sizeof(text), "%s",
			json_is_true(value)    ? "yes"
			: json_is_false(value) ? "no"
					       : "-");
	table_add(table, text);
}

void table_add_time(struct table *table, const json_t *seconds)
{
	char text[TIME_TEXT_SIZE];

	table_add(
		table, json_is_number(seconds)
			       ? time_text_format(llround(json_number_value(seconds) * 1000), text)
			       : "-");
}

/* As much as there is room for. */
static void put(const char *text, size_t *room)
{
	for (; *text; text++) {
		size_t width = width_at((unsigned char)*text);

		if (width > *room) {
			*room = 0;
			return;
		}
		*room -= width;
		putchar(*text);
	}
}

static void pad(size_t width, size_t *room)
{
	for (; width; width--)
		put(" ", room);
}

void table_print_within(const struct table *table, size_t width, const char *end)
{
	size_t room = width;

	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		size_t padding = table->width[column] - width_of(table->cells[i]);
		bool is_last = column + 1 == table->columns;

		if (table->is_right[column])
			pad(padding, &room);
		put(table->cells[i], &room);
		if (!is_last)
			pad((table->is_right[column] ? 0 : padding) + 2, &room);
		else
			fputs(end, stdout);
		if (is_last)
			room = width;
	}
}

void table_print(const struct table *table)
{
	table_print_within(table, SIZE_MAX, "\n");
}
