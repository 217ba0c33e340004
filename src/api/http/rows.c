/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static const json_t *find_sample(struct rows *rows, const json_t *element)
{
	const json_t *samples = json_object_get(element, "samples");

	return json_array_get(samples, rows->sample);
}

bool rows_next(struct rows *rows, struct row *ret_row)
{
	const struct table *table = rows->table;
	const json_t *list =
		table->list ? json_object_get(rows->answer, table->list) : rows->answer;
	const json_t *element;

	while ((element = json_array_get(list, rows->element))) {
		*ret_row = (struct row){ rows->answer, element, find_sample(rows, element) };
		if (table->is_of_samples && ret_row->sample) {
			rows->sample++;
			return true;
		}
		rows->element++;
		rows->sample = 0;
		if (!table->is_of_samples)
			return true;
	}
	return false;
}

static const json_t *find_value(const struct row *row, const struct field *field)
{
	const json_t *value;

	if (field->kind == FIELD_SAMPLE_TIME || field->kind == FIELD_SAMPLE_VALUE)
		return json_array_get(row->sample, field->kind == FIELD_SAMPLE_VALUE);
	value = json_object_get(row->inner, field->name);
	return value ? value : json_object_get(row->outer, field->name);
}

static bool is_amount(const struct field *field)
{
	return field->kind == FIELD_AMOUNT || field->kind == FIELD_SAMPLE_VALUE;
}

static bool is_time(const struct field *field)
{
	return field->kind == FIELD_TIME || field->kind == FIELD_SAMPLE_TIME;
}

/* CSV. */

/* A spreadsheet takes a text that begins so for a formula, and a tenant names his instances. */
static bool is_formula(const char *text)
{
	return *text && strchr("=+-@\t\r\n", *text);
}

static void write_escaped(const char *text, struct buffer *to)
{
	for (; *text; text++) {
		if (*text == '"')
			buffer_write(to, "\"", 1);
		buffer_write(to, text, 1);
	}
}

static void write_text(const char *text, struct buffer *to)
{
	bool is_quoted = text[strcspn(text, "\",\r\n")] != '\0';

	buffer_print(to, "%s%s", is_quoted ? "\"" : "", is_formula(text) ? "'" : "");
	write_escaped(text, to);
	if (is_quoted)
		buffer_write(to, "\"", 1);
}

/* As few digits as say the same number. */
static void write_real(double value, struct buffer *to)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buffer_print(to, "%s", text);
}

static void add_word(const char *text, struct buffer *words)
{
	if (text)
		buffer_print(words, "%s%s", words->size ? " " : "", text);
}

/* The texts of a list, with blanks between them. */
static void write_list(const struct field *field, const json_t *list, struct buffer *to)
{
	CLEANUP(buffer_deinit) struct buffer words = { .maximum = to->maximum };
	const json_t *each, *text;
	size_t i, j;

	json_array_foreach(list, i, each)
	{
		const json_t *of = field->of ? json_object_get(each, field->of) : each;

		add_word(json_string_value(of), &words);
		json_array_foreach(of, j, text) add_word(json_string_value(text), &words);
	}
	buffer_write(&words, "", 1);
	if (buffer_check(&words) == 0)
		write_text((const char *)words.bytes, to);
	else
		to->failure = buffer_check(&words);
}

static void write_cell(const struct presentation *presentation, const struct field *field,
	const json_t *value, struct buffer *to)
{
	char text[TIME_TEXT_SIZE];
	int64_t ms;

	if (is_time(field) && presentation_time(value, &ms))
		buffer_print(to, "%s", presentation_time_text(presentation, ms, text));
	else if (is_amount(field) && json_is_string(value))
		buffer_print(to, "%s", json_string_value(value));
	else if (json_is_string(value))
		write_text(json_string_value(value), to);
	else if (json_is_integer(value))
		buffer_print(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		write_real(json_real_value(value), to);
	else if (json_is_boolean(value))
		buffer_print(to, "%s", json_is_true(value) ? "true" : "false");
	else if (json_is_array(value))
		write_list(field, value, to);
}

/* JSON. */

/* The digits of an amount that jansson's integers are too small for. */
static void write_digits(
	const struct presentation *presentation, const char *digits, struct buffer *to)
{
	const char *quote = presentation->has_texts ? "\"" : "";

	buffer_print(to, "%s%s%s", quote, digits, quote);
}

static void write_value(const struct presentation *presentation, const struct field *field,
	const json_t *value, struct buffer *to)
{
	int64_t ms;
	char text[TIME_TEXT_SIZE], digits[24];

	if (!value) {
		buffer_print(to, "null");
	} else if (is_time(field) && presentation->has_dates && presentation_time(value, &ms)) {
		buffer_print(to, "\"%s\"", presentation_time_text(presentation, ms, text));
	} else if (is_amount(field) && json_is_string(value)) {
		write_digits(presentation, json_string_value(value), to);
	} else if (is_amount(field) && json_is_integer(value)) {
		snprintf(
			digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		write_digits(presentation, digits, to);
	} else {
		(void)json_write(value, to);
	}
}

/* Both. */

void rows_write_header(
	const struct presentation *presentation, const struct table *table, struct buffer *to)
{
	const char *between = "";

	if (presentation->form != FORM_CSV)
		return;
	for (size_t i = 0; i < table->count; i++) {
		if (table->fields[i].is_inner)
			continue;
		buffer_print(to, "%s%s", between, table->fields[i].name);
		between = ",";
	}
	buffer_print(to, "\r\n");
}

void rows_write(const struct presentation *presentation, const struct table *table,
	const struct row *row, struct buffer *to)
{
	bool is_csv = presentation->form == FORM_CSV;
	const char *between = is_csv ? "" : "{";

	for (size_t i = 0; i < table->count; i++) {
		const struct field *field = &table->fields[i];

		if (field->is_inner)
			continue;
		buffer_print(to, "%s", between);
		between = ",";
		if (is_csv) {
			write_cell(presentation, field, find_value(row, field), to);
		} else {
			buffer_print(to, "\"%s\":", field->name);
			write_value(presentation, field, find_value(row, field), to);
		}
	}
	buffer_print(to, is_csv ? "\r\n" : presentation->form == FORM_JSONL ? "}\n" : "}");
}
