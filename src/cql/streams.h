/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What is in flight on one connection, by stream id.
 *
 * A question whose time is over leaves its stream behind as abandoned: the server may still answer
 * it, and that answer must not be taken for another question's. Only this late answer makes the
 * stream free. One thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum { CQL_STREAMS = 2048 }; /* of one connection */

struct cql_answer;
struct cql_question;

typedef void (*cql_answer_fn)(struct cql_question *question, const struct cql_answer *answer);

/* A part of what asks; its owner sets `answer`, and keeps it until that was called, once. */
struct cql_question {
	cql_answer_fn answer;

	/* Private. */
	int16_t stream;
	bool has_deadline;
	int64_t asked_ms, deadline_ms;
	struct cql_question *before, *after; /* of those with a deadline, the first one first */
};

struct cql_streams {
	struct {
		struct cql_question *question;
		bool is_abandoned;
	} slots[CQL_STREAMS];
	int16_t free[CQL_STREAMS];
	size_t free_count, abandoned_count;
	struct cql_question *first, *last;
};

enum cql_streams_outcome {
	CQL_STREAMS_LATE = 1, /* the question had been given up */
	CQL_STREAMS_UNKNOWN,  /* nobody asked */
};

void cql_streams_init(struct cql_streams *streams);

/* Gives the question a stream. deadline_ms 0: none; else it must not be before that of an earlier
 * question. false: all streams are taken. */
bool cql_streams_take(struct cql_streams *streams, struct cql_question *question, int64_t now_ms,
	int64_t deadline_ms);

/* An answer came. Returns 0 and whose it is; or an outcome. */
MUST_CHECK int cql_streams_answered(
	struct cql_streams *streams, int16_t stream, struct cql_question **ret_question);

/* The next question whose time is over, which is given up; NULL: there is none. */
struct cql_question *cql_streams_expire(struct cql_streams *streams, int64_t now_ms);

/* The earliest deadline; INT64_MAX if there is none. */
int64_t cql_streams_deadline(const struct cql_streams *streams);

/* Any question, which is forgotten; NULL: that was all. For the end of the connection. */
struct cql_question *cql_streams_drop(struct cql_streams *streams);

size_t cql_streams_in_flight(const struct cql_streams *streams);
