/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/presentation.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "http/accept.h"

static const char *const forms[] = { "json", "csv", "jsonl" };
static const char *const media_types[] = { "application/json", "text/csv", "application/x-ndjson" };

static bool parse_form(
	const struct http_request *request, struct http_response *response, enum form *ret_form)
{
	const char *text = http_request_query(request, "format", 0);
	int chosen;

	for (size_t i = 0; text && i < ARRAY_SIZE(forms); i++)
		if (strcmp(forms[i], text) == 0) {
			*ret_form = (enum form)i;
			return true;
		}
	if (text) {
		http_refuse(response, 400,
			"parameter 'format' is '%s'; expected json, csv or jsonl", text);
		return false;
	}
	chosen = accept_choose(
		http_request_header(request, "Accept"), media_types, ARRAY_SIZE(media_types));
	*ret_form = (enum form)chosen;
	if (chosen < 0)
		http_refuse(response, 406, "the answer can be %s, %s or %s", media_types[0],
			media_types[1], media_types[2]);
	return chosen >= 0;
}

/* Is it the second of two words? The fallback where it does not say. */
static bool parse_word(const struct http_request *request, struct http_response *response,
	const char *name, const char *const words[2], bool *value)
{
	const char *text = http_request_query(request, name, 0);

	if (!text)
		return true;
	*value = strcmp(text, words[1]) == 0;
	if (*value || strcmp(text, words[0]) == 0)
		return true;
	http_refuse(response, 400, "parameter '%s' is '%s'; expected %s or %s", name, text,
		words[0], words[1]);
	return false;
}

bool presentation_parse_times(const struct http_request *request, struct http_response *response,
	struct presentation *presentation)
{
	static const char *const words[] = { "seconds", "iso" };

	return parse_word(request, response, "times", words, &presentation->has_dates);
}

bool presentation_parse(const struct http_request *request, struct http_response *response,
	struct presentation *ret_presentation)
{
	static const char *const words[] = { "number", "string" };
	struct presentation *to = ret_presentation;

	*to = (struct presentation){ 0 };
	if (!parse_form(request, response, &to->form))
		return false;
	to->has_dates = to->form == FORM_CSV;
	return parse_word(request, response, "int", words, &to->has_texts) &&
	       presentation_parse_times(request, response, to);
}

const char *presentation_type(const struct presentation *presentation)
{
	return presentation->form == FORM_CSV ? "text/csv; charset=utf-8; header=present"
					      : media_types[presentation->form];
}

bool presentation_time(const json_t *value, int64_t *ret_ms)
{
	if (json_is_string(value))
		return time_text_parse(json_string_value(value), ret_ms) == 0;
	if (json_is_integer(value))
		return !__builtin_mul_overflow(json_integer_value(value), 1000, ret_ms);
	if (json_is_real(value))
		*ret_ms = llround(json_real_value(value) * 1000);
	return json_is_real(value);
}

char *presentation_time_text(
	const struct presentation *presentation, int64_t ms, char text[TIME_TEXT_SIZE])
{
	int64_t rest_ms = ms % 1000;

	if (presentation->has_dates)
		return time_text_format_whole(ms, text);
	snprintf(text, TIME_TEXT_SIZE, rest_ms ? "%" PRId64 ".%03" PRId64 : "%" PRId64, ms / 1000,
		rest_ms);
	return text;
}

/* A new value in place of one; NULL: it stays. */
static json_t *change_time(const struct presentation *presentation, const json_t *value)
{
	char text[TIME_TEXT_SIZE];
	int64_t ms;

	if (!presentation->has_dates || !presentation_time(value, &ms))
		return NULL;
	return json_string(presentation_time_text(presentation, ms, text));
}

static json_t *change_amount(const struct presentation *presentation, const json_t *value)
{
	char digits[24];

	if (!presentation->has_texts || !json_is_integer(value))
		return NULL;
	snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return json_string(digits);
}

static void change_sample(const struct presentation *presentation, json_t *sample)
{
	json_t *time = change_time(presentation, json_array_get(sample, 0));
	json_t *value = change_amount(presentation, json_array_get(sample, 1));

	if (time)
		json_array_set_new(sample, 0, time);
	if (value)
		json_array_set_new(sample, 1, value);
}

static const struct field *find_field(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->fields[i].name, name) == 0)
			return &table->fields[i];
	return NULL;
}

/* Changes a field whose kind says how; false if it is to be looked into. */
static bool change(const struct presentation *presentation, const struct field *field,
	json_t *value, json_t **ret_changed)
{
	json_t *sample;
	size_t i;

	switch (field ? field->kind : FIELD_PLAIN) {
	case FIELD_TIME:
		*ret_changed = change_time(presentation, value);
		return json_is_number(value) || json_is_string(value);
	case FIELD_AMOUNT:
		*ret_changed = change_amount(presentation, value);
		return json_is_number(value);
	case FIELD_SAMPLE:
		change_sample(presentation, value);
		return true;
	case FIELD_SAMPLES:
		json_array_foreach(value, i, sample) change_sample(presentation, sample);
		return true;
	default:
		return false;
	}
}

/* As deep as an answer is. */
void presentation_apply(
	const struct presentation *presentation, const struct table *table, json_t *answer)
{
	json_t *each, *changed;
	size_t i;

	if (!presentation->has_dates && !presentation->has_texts)
		return;
	json_array_foreach(answer, i, each) presentation_apply(presentation, table, each);
	for (void *at = json_object_iter(answer); at; at = json_object_iter_next(answer, at)) {
		each = json_object_iter_value(at);
		changed = NULL;
		if (!change(presentation, find_field(table, json_object_iter_key(at)), each,
			    &changed))
			presentation_apply(presentation, table, each);
		else if (changed)
			json_object_iter_set_new(answer, at, changed);
	}
}
