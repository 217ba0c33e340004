/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What a CQL server may answer: a frame from any bytes, with all that is in it read as if it were
 * of every type. And a ring from any bytes, whose replicas must keep to their rules. */

#include <stdlib.h>
#include <string.h>

#include "cql/murmur3.h"
#include "cql/request.h"
#include "cql/response.h"
#include "cql/ring.h"
#include "fuzz/target.h"

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

/* The body of the present input. */
static const uint8_t *begin, *end;

static void read_inside(const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	volatile uint8_t last;

	if (size == 0)
		return;
	require(from >= begin && from + size <= end);
	last = from[size - 1];
	(void)last;
}

static void read_bytes(struct cql_bytes bytes)
{
	read_inside(bytes.bytes, bytes.size);
}

/* --- values --- */

static void read_items(struct cql_value value)
{
	struct cql_items items;
	struct cql_value item;

	if (cql_read_list(value, &items) == 0)
		while (cql_items_next(&items, &item))
			read_inside(item.bytes, cql_is_null(item) ? 0 : (size_t)item.size);
	if (cql_read_map(value, &items) == 0)
		while (cql_items_next(&items, &item))
			read_inside(item.bytes, cql_is_null(item) ? 0 : (size_t)item.size);
}

static void read_ring_values(struct cql_value value)
{
	static int64_t tokens[CQL_NODE_TOKENS_MAX];
	struct cql_replication replication;
	uint16_t replicas[CQL_REPLICAS_MAX];
	struct cql_ring *ring = NULL;
	size_t count = 0;

	(void)!cql_tokens_read(value, tokens, &count);
	if (cql_replication_read(value, &replication) < 0)
		return;
	require(cql_ring_new(&(struct cql_ring_node){ "dc1", "r", tokens, count }, 1, &ring) <= 0);
	if (ring)
		require(cql_ring_replicas(ring, &replication, 0, replicas) <= 1);
	cql_ring_free(ring);
}

static void read_value(struct cql_value value)
{
	uint8_t uuid[16];
	char text[64];
	struct cql_address address;
	int64_t big;
	int32_t small;
	bool boolean;

	read_inside(value.bytes, cql_is_null(value) ? 0 : (size_t)value.size);
	(void)!cql_read_int(value, &small);
	(void)!cql_read_bigint(value, &big);
	(void)!cql_read_boolean(value, &boolean);
	(void)!cql_read_uuid(value, uuid);
	if (cql_read_text(value, text, sizeof(text)) == 0)
		require(strlen(text) == (size_t)value.size);
	if (cql_read_inet(value, &address) == 0)
		cql_address_print(&address, text);
	read_items(value);
	read_ring_values(value);
}

/* --- answers --- */

static void read_columns(const struct cql_columns *columns)
{
	struct cql_columns walk = *columns;
	struct cql_column column;
	uint32_t count = 0;

	require(columns->count <= CQL_COLUMNS_MAX);
	for (; cql_columns_next(&walk, &column); count++) {
		read_bytes(column.keyspace);
		read_bytes(column.table);
		read_bytes(column.name);
	}
	require(!walk.descriptions.is_broken);
	require(count == (columns->is_described ? columns->count : 0));
	require(cql_columns_find(columns, "tokens") < (int)columns->count);
}

/* What one sends back of it: a frame that says its own size, packed and unpacked to the same. */
static void write_row(const struct cql_value *values, size_t count)
{
	const struct cql_parameters parameters = {
		.consistency = CQL_ONE, .values = values, .value_count = count, .timestamp_us = 1
	};
	CLEANUP(buffer_deinit) struct buffer frame, packed, plain;

	buffer_init(&frame, CQL_REQUEST_MAX);
	buffer_init(&packed, CQL_REQUEST_MAX);
	buffer_init(&plain, CQL_RESPONSE_MAX);
	cql_request_query(&frame, "INSERT", &parameters);
	cql_frame_compress(frame.bytes, frame.size, 1, &packed);
	if (buffer_check(&frame) < 0 || buffer_check(&packed) < 0)
		return;
	require(packed.size <= frame.size);
	if (!(packed.bytes[1] & CQL_FRAME_COMPRESSED))
		return;
	require(cql_frame_decompress(packed.bytes + CQL_FRAME_HEADER_SIZE,
			packed.size - CQL_FRAME_HEADER_SIZE, &plain, NULL) == 0);
	require(plain.size == frame.size - CQL_FRAME_HEADER_SIZE &&
		memcmp(plain.bytes, frame.bytes + CQL_FRAME_HEADER_SIZE, plain.size) == 0);
}

static void write_key(const struct cql_value *values, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer key;

	buffer_init(&key, UINT16_MAX);
	if (cql_key_write(&key, values, count) == 0)
		(void)cql_murmur3_token(key.bytes, key.size);
}

static void read_rows(const struct cql_rows *rows)
{
	static struct cql_value values[CQL_COLUMNS_MAX];
	struct cql_rows walk = *rows;
	uint32_t count = 0;

	read_columns(&rows->columns);
	read_bytes(rows->paging_state);
	for (; cql_rows_next(&walk, values); count++)
		for (uint32_t i = 0; i < rows->columns.count; i++)
			read_value(values[i]);
	require(count == rows->count && !walk.cells.is_broken);
	if (count == 0)
		return;
	write_row(values, rows->columns.count);
	write_key(values, rows->columns.count);
	write_key(values, 1);
}

static void read_prepared(const struct cql_prepared *prepared)
{
	read_bytes(prepared->id);
	require(prepared->id.size > 0 && prepared->id.size <= CQL_ID_MAX);
	read_columns(&prepared->markers);
	read_columns(&prepared->columns);
}

static void read_schema_change(const struct cql_schema_change *change)
{
	read_bytes(change->change);
	read_bytes(change->target);
	read_bytes(change->keyspace);
	read_bytes(change->name);
}

static void read_reply(const struct cql_reply *reply)
{
	switch (reply->kind) {
	case CQL_RESULT_VOID:
		break;
	case CQL_RESULT_ROWS:
		read_rows(&reply->rows);
		break;
	case CQL_RESULT_KEYSPACE:
		read_bytes(reply->keyspace);
		break;
	case CQL_RESULT_PREPARED:
		read_prepared(&reply->prepared);
		break;
	case CQL_RESULT_SCHEMA:
		read_schema_change(&reply->schema);
		break;
	default:
		abort();
	}
}

static void read_error(const struct cql_error *error)
{
	struct error err = { "" };

	read_bytes(error->message);
	read_bytes(error->write_type);
	read_bytes(error->keyspace);
	read_bytes(error->name);
	read_bytes(error->id);
	require(cql_error_describe(error, -1, &err) == -1 && err.text[0]);
}

static void read_event(const struct cql_event *event)
{
	char text[CQL_ADDRESS_TEXT_SIZE];

	if (event->kind == CQL_EVENT_SCHEMA) {
		read_schema_change(&event->schema);
		return;
	}
	read_bytes(event->change);
	require(event->address.size == 4 || event->address.size == 16);
	cql_address_print(&event->address, text);
	require(text[0]);
}

static void read_body(const struct cql_frame *frame, const uint8_t *body, size_t size)
{
	struct cql_response response;

	begin = body;
	end = body + size;
	if (cql_response_decode(frame, body, size, &response, NULL) < 0)
		return;
	read_bytes(response.warning);
	if (response.opcode == CQL_RESULT)
		read_reply(&response.reply);
	else if (response.opcode == CQL_ERROR)
		read_error(&response.error);
	else if (response.opcode == CQL_EVENT)
		read_event(&response.event);
	else if (response.opcode == CQL_SUPPORTED)
		(void)cql_supported_has(&response.supported, "COMPRESSION", "lz4");
	else if (response.opcode != CQL_READY)
		read_bytes(response.token);
}

static void read_frame(const uint8_t *bytes, size_t size)
{
	CLEANUP(buffer_deinit) struct buffer plain;
	struct cql_frame frame;

	buffer_init(&plain, CQL_RESPONSE_MAX);
	if (size < CQL_FRAME_HEADER_SIZE || cql_frame_decode(bytes, &frame, NULL) < 0)
		return;
	bytes += CQL_FRAME_HEADER_SIZE;
	size -= CQL_FRAME_HEADER_SIZE;
	if (!(frame.flags & CQL_FRAME_COMPRESSED))
		read_body(&frame, bytes, size);
	else if (cql_frame_decompress(bytes, size, &plain, NULL) == 0)
		read_body(&frame, plain.bytes, plain.size);
}

/* --- the ring --- */

enum { NODES_MAX = 24, DATACENTERS = 2, RACKS = 3, NODE_BYTES = 2 };

struct census {
	size_t nodes[DATACENTERS], racks[DATACENTERS];
	bool has_rack[DATACENTERS][RACKS];
};

static void count_node(struct census *census, const struct cql_ring_node *node)
{
	int datacenter = node->datacenter[0] - 'a', rack = node->rack[0] - 'a';

	census->nodes[datacenter]++;
	census->racks[datacenter] += !census->has_rack[datacenter][rack];
	census->has_rack[datacenter][rack] = true;
}

/* Each data centre has as many replicas as it should, no node twice, in as many racks as it can. */
static void check_replicas(const struct cql_ring *ring, const struct cql_ring_node *nodes,
	const struct census *all, const struct cql_replication *replication)
{
	uint16_t replicas[CQL_REPLICAS_MAX];
	size_t count = cql_ring_replicas(ring, replication, 0, replicas);
	bool is_taken[NODES_MAX] = { false };
	struct census census = { .nodes = { 0 } };

	for (size_t i = 0; i < count; i++) {
		require(!is_taken[replicas[i]]);
		is_taken[replicas[i]] = true;
		count_node(&census, &nodes[replicas[i]]);
	}
	for (int i = 0; i < DATACENTERS; i++) {
		size_t factor = replication->datacenters[i].factor;

		require(census.nodes[i] == MIN_OF(factor, all->nodes[i]));
		require(census.racks[i] == MIN_OF(factor, all->racks[i]));
	}
}

/* Two bytes a node: where it stands, and its token. */
static void make_ring(const uint8_t *bytes, size_t size)
{
	static const char *const names[] = { "a", "b", "c" };
	struct cql_replication replication = { .strategy = CQL_STRATEGY_TOPOLOGY,
		.datacenters = { { .name = "a" }, { .name = "b" } },
		.datacenter_count = DATACENTERS };
	struct cql_ring_node nodes[NODES_MAX];
	int64_t tokens[NODES_MAX];
	struct census all = { .nodes = { 0 } };
	struct cql_ring *ring = NULL;
	size_t count = 0;

	for (; count < NODES_MAX && size >= NODE_BYTES; count++, size -= NODE_BYTES) {
		tokens[count] = (int8_t)bytes[1];
		nodes[count] = (struct cql_ring_node){ names[bytes[0] % DATACENTERS],
			names[bytes[0] / DATACENTERS % RACKS], &tokens[count], 1 };
		count_node(&all, &nodes[count]);
		bytes += NODE_BYTES;
	}
	if (cql_ring_new(nodes, count, &ring) < 0)
		return;
	for (uint32_t factor = 0; factor < 6; factor++) {
		replication.datacenters[0].factor = factor;
		replication.datacenters[1].factor = 5 - factor;
		check_replicas(ring, nodes, &all, &replication);
	}
	cql_ring_free(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	read_frame(bytes, size);
	make_ring(bytes, size);
	return 0;
}
