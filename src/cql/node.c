/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BACKOFF_FIRST_MS = 250,
	BACKOFF_LAST_MS = 5 * 1000,
	STEADY_MS = 1000, /* a connection that lasted so long was a good one */
};

int64_t cql_backoff_ms(unsigned int failures)
{
	int64_t longest_ms = BACKOFF_LAST_MS;
	uint16_t chance = 0;

	if (failures == 0)
		return 0;
	if (failures < 6)
		longest_ms = MIN_OF(longest_ms, (int64_t)BACKOFF_FIRST_MS << (failures - 1));
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
		chance = 0;
	return longest_ms / 2 + longest_ms / 2 * chance / UINT16_MAX;
}

struct cql_node *cql_node_new(const struct cql_peer *peer)
{
	struct cql_node *node = calloc(1, sizeof(*node));

	if (node)
		node->peer = *peer;
	return node;
}

struct cql_node *cql_node_free(struct cql_node *node)
{
	if (node)
		cql_connection_free(node->connection);
	free(node);
	return NULL;
}

void cql_node_disconnect(struct cql_node *node)
{
	node->connection = cql_connection_free(node->connection);
	node->was_ready = false;
	memset(node->texts, 0, sizeof(node->texts));
}

static void fail(struct cql_node *node, int64_t now_ms)
{
	node->failures++;
	node->retry_at_ms = now_ms + cql_backoff_ms(node->failures);
}

static void bury(struct cql_node *node, int64_t now_ms, struct error *trouble)
{
	bool was_steady = node->was_ready && now_ms - node->ready_ms >= STEADY_MS;

	(void)cql_connection_failure(node->connection, trouble);
	cql_node_disconnect(node);
	if (was_steady) {
		node->failures = 0;
		node->retry_at_ms = now_ms;
	} else {
		fail(node, now_ms);
	}
}

static void open_connection(struct cql_node *node, const struct cql_connection_options *options,
	int64_t now_ms, struct error *trouble)
{
	struct cql_connection_options mine = *options;

	mine.address = node->peer.address;
	mine.name = node->peer.name;
	if (cql_connection_open(&mine, &node->connection, trouble) < 0) {
		options->counts->connect_failures++;
		fail(node, now_ms);
	}
}

void cql_node_tick(
	struct cql_node *node, const struct cql_connection_options *options, struct error *trouble)
{
	int64_t now_ms = clock_monotonic_ms(options->clock);

	if (node->pause_until_ms <= now_ms)
		node->pause_until_ms = 0;
	if (node->connection && cql_connection_is_closed(node->connection))
		bury(node, now_ms, trouble);
	if (!node->connection && node->is_local && node->retry_at_ms <= now_ms)
		open_connection(node, options, now_ms, trouble);
	if (!node->was_ready && cql_node_is_ready(node)) {
		node->was_ready = true;
		node->ready_ms = now_ms;
	}
}

bool cql_node_is_ready(const struct cql_node *node)
{
	return node->connection && cql_connection_is_ready(node->connection);
}

bool cql_node_is_hopeful(const struct cql_node *node)
{
	return node->is_local && node->failures == 0 && !cql_node_is_ready(node);
}

bool cql_node_has_room(const struct cql_node *node, int64_t now_ms)
{
	return node->connection && node->pause_until_ms <= now_ms &&
	       cql_connection_has_room(node->connection);
}

int64_t cql_node_deadline_ms(const struct cql_node *node)
{
	int64_t pause_ms = node->pause_until_ms ? node->pause_until_ms : INT64_MAX;

	if (!node->connection)
		return node->is_local ? node->retry_at_ms : INT64_MAX;
	if (cql_connection_is_closed(node->connection))
		return 0;
	return MIN_OF(pause_ms, cql_connection_deadline_ms(node->connection));
}

struct cql_bytes cql_node_text_id(const struct cql_node *node, int number)
{
	const struct cql_node_text *text = &node->texts[number];

	return (struct cql_bytes){ text->id, text->id_size };
}

void cql_node_remember_text(struct cql_node *node, int number, struct cql_bytes id)
{
	struct cql_node_text *text = &node->texts[number];

	text->state = CQL_TEXT_KNOWN;
	text->id_size = (uint8_t)MIN_OF(id.size, sizeof(text->id));
	memcpy(text->id, id.bytes, text->id_size);
}

void cql_node_forget_text(struct cql_node *node, struct cql_bytes id)
{
	for (size_t i = 0; i < ARRAY_SIZE(node->texts); i++) {
		struct cql_node_text *text = &node->texts[i];

		if (text->state == CQL_TEXT_KNOWN && text->id_size == id.size &&
			memcmp(text->id, id.bytes, id.size) == 0)
			text->state = CQL_TEXT_UNKNOWN;
	}
}
