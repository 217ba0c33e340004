/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/witness.h"

#include <stddef.h>
#include <string.h>

#include "cql/request.h"
#include "cql/result.h"

void cql_witness_note(struct cql_witness *witness, const struct cql_node *node)
{
	witness->is_known = true;
	memcpy(witness->host_id, node->peer.host_id, sizeof(witness->host_id));
}

static struct cql_node *find(const struct cql_witness *witness, const struct cql_cluster *cluster)
{
	for (size_t i = 0; witness->is_known && i < cluster->count; i++)
		if (memcmp(cluster->nodes[i]->peer.host_id, witness->host_id,
			    sizeof(witness->host_id)) == 0)
			return cluster->nodes[i];
	return NULL;
}

static void on_answer(struct cql_question *question, const struct cql_answer *answer)
{
	struct cql_witness *witness =
		(struct cql_witness *)((char *)question - offsetof(struct cql_witness, question));
	CLEANUP(cql_result_free) struct cql_result *result = NULL;

	witness->is_out = false;
	if (answer->outcome == CQL_ANSWERED &&
		cql_result_decode(&answer->frame, answer->body, answer->size, &result, NULL) == 0 &&
		cql_result_next(result))
		witness->has_version =
			cql_read_uuid(cql_result_value(result, 0), witness->version) == 0;
}

void cql_witness_ask(
	struct cql_witness *witness, const struct cql_cluster *cluster, struct buffer *frame)
{
	const struct cql_parameters parameters = { .consistency = CQL_ONE };
	struct cql_node *node = find(witness, cluster);

	if (witness->is_out)
		return;
	witness->has_version = false;
	if (!node || !cql_node_is_ready(node))
		return;
	buffer_clear(frame);
	cql_request_query(
		frame, "SELECT schema_version FROM system.local WHERE key = 'local'", &parameters);
	witness->question.answer = on_answer;
	witness->is_out = cql_connection_ask(node->connection, &witness->question, frame);
}

bool cql_witness_agrees(const struct cql_witness *witness, const struct cql_cluster *cluster)
{
	return cql_cluster_agrees(cluster) &&
	       (!witness->has_version || memcmp(witness->version, cluster->nodes[0]->peer.schema,
						 sizeof(witness->version)) == 0);
}
