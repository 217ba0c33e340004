/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The forms of an answer, and what its fields are: by one table for each route, JSON has its
 * integers and times as the client asks for them, and api/http/rows.h makes rows of it. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time-text.h"
#include "http/request.h"
#include "http/response.h"

enum form { FORM_JSON, FORM_CSV, FORM_JSONL };

struct presentation {
	enum form form;
	bool has_texts; /* amounts are texts: for readers whose numbers are doubles */
	bool has_dates; /* times are ISO 8601, not seconds */
};

enum field_kind {
	FIELD_PLAIN,
	FIELD_AMOUNT,  /* an integer that may be above 2^53; as its digits, where above 2^63 */
	FIELD_TIME,    /* seconds since 1970, or a text of base/time-text.h */
	FIELD_LIST,    /* of texts, or of objects with a text (or texts) by the name `of` */
	FIELD_SAMPLE,  /* [time, amount] */
	FIELD_SAMPLES, /* many */
	/* Columns of rows that are samples: */
	FIELD_SAMPLE_TIME,
	FIELD_SAMPLE_VALUE,
};

struct field {
	const char *name;
	enum field_kind kind;
	const char *of;
	bool is_inner; /* of JSON only: it is no column */
};

/* What the answers of a method look like. */
struct table {
	const char *list; /* the name of the list whose objects are rows; NULL: the answer is it */
	bool is_of_samples; /* each sample of each of these objects is a row */
	const struct field *fields;
	size_t count;
};

/* The parameters `format`, `int` and `times`, and Accept. Refuses what is none of them. */
bool presentation_parse(const struct http_request *request, struct http_response *response,
	struct presentation *ret_presentation);
/* Only `times`. */
bool presentation_parse_times(const struct http_request *request, struct http_response *response,
	struct presentation *presentation);

/* The media type of a form. */
const char *presentation_type(const struct presentation *presentation);

/* Changes the amounts and times of an answer, in place. */
void presentation_apply(
	const struct presentation *presentation, const struct table *table, json_t *answer);

/* A time as an answer has it, in milliseconds; false if it is none. And as a text with all of its
 * milliseconds, a date or seconds. */
bool presentation_time(const json_t *value, int64_t *ret_ms);
char *presentation_time_text(
	const struct presentation *presentation, int64_t ms, char text[TIME_TEXT_SIZE]);
