/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What a node may say while a connection begins, and what it may tell of its cluster: frames, one
 * after the other. Each goes to the greeting; the first three results are taken for the answers to
 * the questions about the topology. */

#include <stdlib.h>
#include <string.h>

#include "cql/greeting.h"
#include "cql/result.h"
#include "cql/topology.h"
#include "fuzz/target.h"

enum { ANSWERS = 3 }; /* local, peers, replication */

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static void greet(struct cql_greeting *greeting, const struct cql_frame *frame, const uint8_t *body,
	struct buffer *next)
{
	struct cql_response response;
	int r;

	if (cql_response_decode(frame, body, frame->size, &response, NULL) < 0)
		return;
	r = cql_greeting_answer(greeting, &response, next, NULL);
	require(r < 0 || r == CQL_GREETING_READY || next->size >= CQL_FRAME_HEADER_SIZE);
	require(!greeting->has_lz4 || greeting->wants_lz4);
}

static void walk(struct cql_result *result)
{
	struct cql_column column;
	size_t columns = cql_result_columns(result);

	require(cql_result_column(result, columns, &column) == false);
	require(cql_result_find(result, "[applied]") < (int)columns);
	require(cql_is_null(cql_result_value(result, (int)columns)));
	require(cql_is_null(cql_result_value(result, -1)));
}

static void look_at(const struct cql_topology *topology)
{
	uint16_t replicas[CQL_REPLICAS_MAX];
	size_t count = cql_ring_replicas(topology->ring, &topology->replication, 7, replicas);

	require(topology->count > 0 && topology->count <= CQL_RING_NODES_MAX);
	for (size_t i = 0; i < count; i++)
		require(replicas[i] < topology->count);
	for (size_t i = 0; i < topology->count; i++) {
		const struct cql_peer *peer = &topology->peers[i];

		require(memchr(peer->name, 0, sizeof(peer->name)));
		require(memchr(peer->datacenter, 0, sizeof(peer->datacenter)));
		require(memchr(peer->rack, 0, sizeof(peer->rack)));
		require(peer->address.size == 4 || peer->address.size == 16);
	}
}

static void read_topology(struct cql_result *answers[ANSWERS])
{
	static const struct cql_peer asked = { .address = { { 127, 0, 0, 1 }, 4, 9042 },
		.name = "localhost" };
	CLEANUP(cql_topology_free) struct cql_topology *topology = NULL;

	if (answers[0] && answers[1] &&
		cql_topology_read(&asked, answers[0], answers[1], answers[2], &topology, NULL) == 0)
		look_at(topology);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct cql_greeting greeting = { "user", "secret", true, CQL_GREETING_OFFERED, false };
	struct cql_result *answers[ANSWERS] = { NULL };
	CLEANUP(buffer_deinit) struct buffer next = { 0 };
	struct cql_frame frame;
	size_t count = 0;

	buffer_init(&next, CQL_REQUEST_MAX);
	cql_greeting_begin(&greeting, &next);
	while (size >= CQL_FRAME_HEADER_SIZE && cql_frame_decode(bytes, &frame, NULL) == 0 &&
		frame.size <= size - CQL_FRAME_HEADER_SIZE) {
		const uint8_t *body = bytes + CQL_FRAME_HEADER_SIZE;

		greet(&greeting, &frame, body, &next);
		if (count < ANSWERS &&
			cql_result_decode(&frame, body, frame.size, &answers[count], NULL) == 0)
			walk(answers[count++]);
		size -= CQL_FRAME_HEADER_SIZE + frame.size;
		bytes = body + frame.size;
	}
	read_topology(answers);
	for (size_t i = 0; i < ANSWERS; i++)
		cql_result_free(answers[i]);
	return 0;
}
