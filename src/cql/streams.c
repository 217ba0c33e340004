/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/streams.h"

#include <string.h>

void cql_streams_init(struct cql_streams *streams)
{
	memset(streams, 0, sizeof(*streams));
	for (int16_t stream = CQL_STREAMS - 1; stream >= 0; stream--)
		streams->free[streams->free_count++] = stream;
}

static void link_last(struct cql_streams *streams, struct cql_question *question)
{
	question->before = streams->last;
	question->after = NULL;
	if (streams->last)
		streams->last->after = question;
	else
		streams->first = question;
	streams->last = question;
}

static void unlink_question(struct cql_streams *streams, struct cql_question *question)
{
	if (!question->has_deadline)
		return;
	if (question->before)
		question->before->after = question->after;
	else
		streams->first = question->after;
	if (question->after)
		question->after->before = question->before;
	else
		streams->last = question->before;
	question->has_deadline = false;
}

bool cql_streams_take(struct cql_streams *streams, struct cql_question *question, int64_t now_ms,
	int64_t deadline_ms)
{
	if (!streams->free_count)
		return false;
	question->stream = streams->free[--streams->free_count];
	question->asked_ms = now_ms;
	question->deadline_ms = deadline_ms;
	question->has_deadline = deadline_ms != 0;
	if (question->has_deadline)
		link_last(streams, question);
	streams->slots[question->stream].question = question;
	return true;
}

static void release(struct cql_streams *streams, int16_t stream)
{
	streams->slots[stream].question = NULL;
	streams->slots[stream].is_abandoned = false;
	streams->free[streams->free_count++] = stream;
}

int cql_streams_answered(
	struct cql_streams *streams, int16_t stream, struct cql_question **ret_question)
{
	struct cql_question *question;

	if (stream < 0 || stream >= CQL_STREAMS)
		return CQL_STREAMS_UNKNOWN;
	if (streams->slots[stream].is_abandoned) {
		streams->abandoned_count--;
		release(streams, stream);
		return CQL_STREAMS_LATE;
	}
	question = streams->slots[stream].question;
	if (!question)
		return CQL_STREAMS_UNKNOWN;
	unlink_question(streams, question);
	release(streams, stream);
	*ret_question = question;
	return 0;
}

struct cql_question *cql_streams_expire(struct cql_streams *streams, int64_t now_ms)
{
	struct cql_question *question = streams->first;

	if (!question || question->deadline_ms > now_ms)
		return NULL;
	unlink_question(streams, question);
	streams->slots[question->stream].question = NULL;
	streams->slots[question->stream].is_abandoned = true;
	streams->abandoned_count++;
	return question;
}

int64_t cql_streams_deadline(const struct cql_streams *streams)
{
	return streams->first ? streams->first->deadline_ms : INT64_MAX;
}

struct cql_question *cql_streams_drop(struct cql_streams *streams)
{
	struct cql_question *question;

	if (!cql_streams_in_flight(streams))
		return NULL;
	for (int16_t stream = 0; stream < CQL_STREAMS; stream++) {
		question = streams->slots[stream].question;
		if (question) {
			unlink_question(streams, question);
			release(streams, stream);
			return question;
		}
	}
	return NULL;
}

size_t cql_streams_in_flight(const struct cql_streams *streams)
{
	return CQL_STREAMS - streams->free_count - streams->abandoned_count;
}
