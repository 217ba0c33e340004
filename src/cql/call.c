/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cql/murmur3.h"
#include "cql/request.h"

/* What the copy of a statement takes, besides the struct. */
struct extent {
	size_t values, bytes;
};

static bool is_prepared(const struct cql_statement *statement)
{
	return statement->value_count > 0;
}

static int measure_part(const struct cql_statement *statement, struct extent *extent)
{
	if (!statement->text || statement->value_count > CQL_VALUES_MAX)
		return -EINVAL;
	if (!is_prepared(statement))
		extent->bytes += strlen(statement->text) + 1;
	extent->values += statement->value_count;
	for (size_t i = 0; i < statement->value_count; i++)
		extent->bytes += (size_t)MAX_OF(statement->values[i].size, 0);
	return extent->bytes > CQL_REQUEST_MAX ? -EMSGSIZE : 0;
}

static int measure(const struct cql_statement *statement, struct extent *extent)
{
	int r = 0;

	if (statement->text)
		return measure_part(statement, extent);
	if (!statement->part_count || statement->part_count > CQL_PARTS_MAX)
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < statement->part_count; i++)
		r = measure_part(&statement->parts[i], extent);
	return r;
}

int cql_call_measure(const struct cql_statement *statement, size_t *ret_size, struct error *err)
{
	struct extent extent = { 0 };
	int r = measure(statement, &extent);

	if (r < 0)
		return error_set(
			err, r, "a statement that is %s", r == -EMSGSIZE ? "too large" : "none");
	*ret_size = extent.bytes + extent.values * sizeof(struct cql_value);
	return 0;
}

/* Where the next copy goes. */
struct room {
	struct cql_value *values;
	uint8_t *bytes;
};

static const void *copy_bytes(struct room *room, const void *bytes, size_t size)
{
	void *copy = room->bytes;

	if (size)
		memcpy(copy, bytes, size);
	room->bytes += size;
	return copy;
}

static void copy_values(
	struct room *room, const struct cql_statement *statement, struct cql_call_part *part)
{
	part->values = room->values;
	part->value_count = statement->value_count;
	for (size_t i = 0; i < statement->value_count; i++) {
		const struct cql_value *value = &statement->values[i];

		*room->values++ = (struct cql_value){
			copy_bytes(room, value->bytes, (size_t)MAX_OF(value->size, 0)), value->size
		};
	}
}

static int copy_part(struct room *room, const struct cql_statement *statement,
	struct cql_texts *texts, struct cql_call_part *part)
{
	part->number = -1;
	if (is_prepared(statement))
		part->number = cql_texts_number(texts, statement->text);
	else
		part->text = copy_bytes(room, statement->text, strlen(statement->text) + 1);
	if (is_prepared(statement) && part->number < 0)
		return part->number;
	copy_values(room, statement, part);
	return 0;
}

static int copy_parts(struct room *room, const struct cql_statement *statement,
	struct cql_texts *texts, struct cql_call_part *parts)
{
	int r = 0;

	if (statement->text)
		return copy_part(room, statement, texts, parts);
	for (size_t i = 0; r == 0 && i < statement->part_count; i++)
		r = copy_part(room, &statement->parts[i], texts, &parts[i]);
	return r;
}

static void copy_parameters(struct cql_call *call, const struct cql_statement *statement)
{
	call->is_batch = !statement->text;
	call->is_idempotent = statement->is_idempotent;
	call->has_token = statement->partition_key;
	if (call->has_token)
		call->token =
			cql_murmur3_token(statement->partition_key, statement->partition_key_size);
	call->timestamp_us = statement->timestamp_us;
	call->consistency = statement->consistency;
	call->serial_consistency =
		statement->serial_consistency ? statement->serial_consistency : CQL_LOCAL_SERIAL;
	call->page_size = statement->page_size ? statement->page_size : CQL_PAGE_DEFAULT;
}

int cql_call_new(const struct cql_statement *statement, struct cql_bytes paging_state,
	struct cql_texts *texts, struct cql_call **ret_call, struct error *err)
{
	size_t part_count = statement->text ? 1 : statement->part_count;
	struct extent extent = { .bytes = paging_state.size };
	CLEANUP(cql_call_free) struct cql_call *call = NULL;
	struct cql_call_part *parts;
	struct room room;
	int r = measure(statement, &extent);

	if (r < 0)
		return error_set(
			err, r, "a statement that is %s", r == -EMSGSIZE ? "too large" : "none");
	call = calloc(1, sizeof(*call) + part_count * sizeof(*parts) +
				 extent.values * sizeof(*room.values) + extent.bytes);
	if (!call)
		return -ENOMEM;
	parts = (struct cql_call_part *)(call + 1);
	room.values = (struct cql_value *)(parts + part_count);
	room.bytes = (uint8_t *)(room.values + extent.values);
	copy_parameters(call, statement);
	call->parts = parts;
	call->part_count = part_count;
	call->paging_state.size = paging_state.size;
	call->paging_state.bytes = copy_bytes(&room, paging_state.bytes, paging_state.size);
	r = copy_parts(&room, statement, texts, parts);
	if (r == -ENOSPC)
		return error_set(err, r, "more than %d different statements", CQL_TEXTS_MAX);
	if (r < 0)
		return r;
	*ret_call = call;
	call = NULL;
	return 0;
}

struct cql_call *cql_call_free(struct cql_call *call)
{
	free(call);
	return NULL;
}

static struct cql_bytes id_of(
	const struct cql_call_part *part, const struct cql_node *node, cql_id_fn id)
{
	return part->number < 0 ? (struct cql_bytes){ 0 } : id(node, part->number);
}

static void encode_batch(const struct cql_call *call, const struct cql_node *node, cql_id_fn id,
	const struct cql_parameters *parameters, struct buffer *to)
{
	struct cql_batch_part parts[CQL_PARTS_MAX];

	for (size_t i = 0; i < call->part_count; i++)
		parts[i] = (struct cql_batch_part){ id_of(&call->parts[i], node, id),
			call->parts[i].text, call->parts[i].values, call->parts[i].value_count };
	cql_request_batch(to, parts, call->part_count, parameters);
}

void cql_call_encode(
	const struct cql_call *call, const struct cql_node *node, cql_id_fn id, struct buffer *to)
{
	struct cql_parameters parameters = { .consistency = call->consistency,
		.serial_consistency = call->serial_consistency,
		.values = call->parts[0].values,
		.value_count = call->parts[0].value_count,
		.page_size = call->page_size,
		.paging_state = call->paging_state,
		.timestamp_us = call->timestamp_us };

	if (call->is_batch)
		encode_batch(call, node, id, &parameters, to);
	else if (call->parts[0].number < 0)
		cql_request_query(to, call->parts[0].text, &parameters);
	else
		cql_request_execute(to, id_of(&call->parts[0], node, id), &parameters);
}

bool cql_call_was_tried(const struct cql_call *call, const struct cql_node *node)
{
	for (size_t i = 0; i < call->tried_count; i++)
		if (call->tried[i] == node)
			return true;
	return false;
}

void cql_call_mark_tried(struct cql_call *call, const struct cql_node *node)
{
	if (call->tried_count < ARRAY_SIZE(call->tried) && !cql_call_was_tried(call, node))
		call->tried[call->tried_count++] = node;
}

void cql_calls_append(struct cql_calls *calls, struct cql_call *call)
{
	call->next = NULL;
	if (calls->last)
		calls->last->next = call;
	else
		calls->first = call;
	calls->last = call;
}

void cql_calls_prepend(struct cql_calls *calls, struct cql_call *call)
{
	call->next = calls->first;
	calls->first = call;
	if (!calls->last)
		calls->last = call;
}

struct cql_call *cql_calls_take(struct cql_calls *calls)
{
	struct cql_call *call = calls->first;

	if (!call)
		return NULL;
	calls->first = call->next;
	if (!calls->first)
		calls->last = NULL;
	return call;
}

void cql_calls_join(struct cql_calls *calls, struct cql_calls *from)
{
	if (!from->first)
		return;
	if (calls->last)
		calls->last->next = from->first;
	else
		calls->first = from->first;
	calls->last = from->last;
	*from = (struct cql_calls){ 0 };
}
