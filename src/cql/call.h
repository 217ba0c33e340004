/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A statement under way: a copy of it in one piece of memory, and what became of it so far. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "cql/session.h"
#include "cql/streams.h"
#include "cql/texts.h"
#include "cql/value.h"

struct cql_node;

struct cql_call_part {
	int number;       /* of its text (cql/texts.h); -1: it is not prepared */
	const char *text; /* where it is not */
	const struct cql_value *values;
	size_t value_count;
};

struct cql_call {
	struct cql_question question;
	struct cql_call *next; /* in the one list that it is in */

	const struct cql_call_part *parts;
	size_t part_count;
	bool is_batch, is_idempotent, has_token;
	int64_t token, timestamp_us;
	enum cql_consistency consistency, serial_consistency;
	int32_t page_size;
	struct cql_bytes paging_state;

	struct cql_session *session;
	size_t size; /* as cql_call_measure said */
	cql_done_fn done;
	void *context;

	struct cql_node *node;  /* where it is */
	int64_t give_up_ms;     /* if no node took it until then */
	unsigned int attempts;  /* sendings */
	unsigned int forgotten; /* how often a node knew a statement no more */
	const struct cql_node *tried[CQL_ATTEMPTS_MAX]; /* only to be compared */
	size_t tried_count;
	struct error reason; /* of the last failure */
	int r;               /* how it ended */
	struct cql_result *result;
};

/* What a statement is going to take in memory. Returns 0; -EMSGSIZE; -EINVAL. */
MUST_CHECK int cql_call_measure(
	const struct cql_statement *statement, size_t *ret_size, struct error *err);

/* Of a statement that was measured. `paging_state` is copied like all else. Adds its texts to
 * `texts`. Returns 0; -ENOSPC; -ENOMEM. */
MUST_CHECK int cql_call_new(const struct cql_statement *statement, struct cql_bytes paging_state,
	struct cql_texts *texts, struct cql_call **ret_call, struct error *err);
struct cql_call *cql_call_free(struct cql_call *call);
CLEANUP_DEFINE(struct cql_call, cql_call_free)

/* The id of a prepared text on the node that is meant. */
typedef struct cql_bytes (*cql_id_fn)(const struct cql_node *node, int number);

/* Appends the frame that asks `node`. Failures stick to `to`. */
void cql_call_encode(
	const struct cql_call *call, const struct cql_node *node, cql_id_fn id, struct buffer *to);

bool cql_call_was_tried(const struct cql_call *call, const struct cql_node *node);
void cql_call_mark_tried(struct cql_call *call, const struct cql_node *node);

/* First in, first out. */
struct cql_calls {
	struct cql_call *first, *last;
};

void cql_calls_append(struct cql_calls *calls, struct cql_call *call);
void cql_calls_prepend(struct cql_calls *calls, struct cql_call *call);
struct cql_call *cql_calls_take(struct cql_calls *calls);

/* Moves all of `from` behind what is there. */
void cql_calls_join(struct cql_calls *calls, struct cql_calls *from);
