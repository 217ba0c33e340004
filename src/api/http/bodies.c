/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/bodies.h"

#include <errno.h>
#include <string.h>

#include "api/http/crew.h"
#include "base/json.h"

enum { PIECE_ROWS = 1000, INSTANCES_OF_A_CREW = 8 };

static bool ask(struct asking *asking, struct http_response *response, json_t **ret_data)
{
	struct error err = { 0 };
	enum answer_code code =
		methods_ask(asking->service->methods, asking->method, asking->args, ret_data, &err);

	if (code != ANSWER_SUCCESS)
		asking_refuse(response, code, &err);
	return code == ANSWER_SUCCESS;
}

static bool ask_crew(struct asking *asking, struct http_response *response, json_t **ret_data)
{
	struct error err = { 0 };
	enum answer_code code = crew_next(asking->crew, ret_data, &err);

	if (code != ANSWER_SUCCESS)
		asking_refuse(response, code, &err);
	return code == ANSWER_SUCCESS;
}

/* Asks about the next id. *ret_data is NULL if it is an instance that was answered. */
static bool ask_next(struct asking *asking, struct http_response *response, json_t **ret_data)
{
	json_t *data = NULL;
	const char *id;

	*ret_data = NULL;
	json_object_set(asking->args, "id", json_array_get(asking->ids, asking->next++));
	if (asking->crew ? !ask_crew(asking, response, &data) : !ask(asking, response, &data))
		return false;
	id = json_string_value(json_object_get(data, "id"));
	if (json_object_get(asking->seen, id)) {
		json_decref(data);
		return true;
	}
	json_object_set_new(asking->seen, id, json_true());
	*ret_data = data;
	return true;
}

static bool is_last(const struct asking *asking)
{
	return asking->next == json_array_size(asking->ids);
}

static void respond(struct asking *asking, struct http_response *response, http_piece_fn *next)
{
	http_respond_in_pieces(
		response, presentation_type(&asking->presentation), next, asking, asking_free);
}

/* One instance a piece. */
static bool next_instance(void *context, struct http_response *response, struct buffer *to)
{
	struct asking *asking = context;
	json_t *data;

	if (!asking->is_open)
		buffer_print(to, "{\"instances\": [\n");
	asking->is_open = true;
	if (is_last(asking)) {
		buffer_print(to, "\n]}\n");
		return false;
	}
	if (!ask_next(asking, response, &data))
		return false;
	if (data) {
		presentation_apply(&asking->presentation, asking->table, data);
		buffer_print(to, "%s", asking->has_answers ? ",\n" : "");
		(void)json_write(data, to); /* a buffer keeps that it failed */
		asking->has_answers = true;
	}
	json_decref(data);
	return true;
}

static void begin_rows(struct asking *asking, json_t *data)
{
	asking->data = data;
	asking->rows = (struct rows){ .table = asking->table, .answer = data };
}

/* Some rows of the answer; behind the last one the answer goes. */
static void write_rows(struct asking *asking, struct buffer *to)
{
	struct row row;

	for (size_t i = 0; i < PIECE_ROWS; i++) {
		if (!rows_next(&asking->rows, &row)) {
			json_decref(asking->data);
			asking->data = NULL;
			return;
		}
		rows_write(&asking->presentation, asking->table, &row, to);
	}
}

static bool next_rows(void *context, struct http_response *response, struct buffer *to)
{
	struct asking *asking = context;
	json_t *data;

	if (!asking->is_open)
		rows_write_header(&asking->presentation, asking->table, to);
	asking->is_open = true;
	if (!asking->data) {
		if (is_last(asking))
			return false;
		if (!ask_next(asking, response, &data))
			return false;
		begin_rows(asking, data);
	}
	write_rows(asking, to);
	return asking->data || !is_last(asking);
}

/* Where there are many, they are asked about by a crew. False: it has refused. */
static bool begin(struct asking *asking, struct http_response *response)
{
	if (json_array_size(asking->ids) < INSTANCES_OF_A_CREW)
		return true;
	asking->crew =
		crew_new(asking->service->methods, asking->method, asking->args, asking->ids);
	if (asking->crew)
		return true;
	http_refuse(response, 500, "out of memory");
	asking_free(asking);
	return false;
}

void bodies_each(struct asking *asking, struct http_response *response)
{
	if (!begin(asking, response))
		return;
	respond(asking, response,
		asking->presentation.form == FORM_JSON ? next_instance : next_rows);
}

/* One instance a piece, of which nothing is written yet. Behind the last one the groups are there.
 */
static bool next_sum(void *context, struct http_response *response, struct buffer *to)
{
	struct asking *asking = context;
	struct error err = { 0 };
	json_t *data;
	int r = 0;

	if (is_last(asking)) {
		groups_sort(asking->groups);
		asking->is_summed = true;
		return true;
	}
	if (!ask_next(asking, response, &data))
		return false;
	if (data)
		r = groups_add(asking->groups, data, &err);
	json_decref(data);
	if (r < 0)
		http_refuse(response, r == -E2BIG ? 413 : 500, "%s", error_text(&err, r));
	return r == 0;
}

static bool next_group(void *context, struct http_response *response, struct buffer *to)
{
	struct asking *asking = context;
	bool is_json = asking->presentation.form == FORM_JSON;
	json_t *element = NULL;

	if (!asking->is_summed)
		return next_sum(asking, response, to);
	if (!asking->is_open && is_json)
		buffer_print(to, "{\"groups\": [\n");
	else if (!asking->is_open)
		rows_write_header(&asking->presentation, asking->table, to);
	asking->is_open = true;
	for (size_t i = 0; i < PIECE_ROWS && (element = groups_next(asking->groups)); i++) {
		const struct row row = { .inner = element };

		buffer_print(to, "%s", is_json && asking->has_answers ? ",\n" : "");
		rows_write(&asking->presentation, asking->table, &row, to);
		asking->has_answers = true;
		json_decref(element);
	}
	if (!element && is_json)
		buffer_print(to, "\n]}\n");
	return element != NULL;
}

void bodies_groups(struct asking *asking, struct http_response *response)
{
	if (begin(asking, response))
		respond(asking, response, next_group);
}

static void write_whole(
	struct asking *asking, const char *member, json_t *data, struct http_response *response)
{
	struct buffer *to = http_respond(response, presentation_type(&asking->presentation));

	if (asking->table)
		presentation_apply(&asking->presentation, asking->table, data);
	if (member)
		buffer_print(to, "{\"%s\": ", member);
	(void)json_write(data, to);
	buffer_print(to, member ? "}\n" : "\n");
}

void bodies_once(struct asking *asking, const char *member, struct http_response *response)
{
	json_t *data = NULL;

	if (ask(asking, response, &data) && asking->presentation.form != FORM_JSON) {
		begin_rows(asking, data);
		respond(asking, response, next_rows);
		return;
	}
	if (data)
		write_whole(asking, member, data, response);
	json_decref(data);
	asking_free(asking);
}
