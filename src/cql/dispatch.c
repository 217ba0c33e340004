/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "cql/request.h"
#include "cql/response.h"
#include "cql/result.h"

/* A call waits in session->waiting until a node has room for it; in node->awaiting while a text of
 * it is prepared there; or is in flight. From there it waits again, or goes to session->ended, and
 * from there to whoever asked. */

enum {
	OVERLOAD_PAUSE_MS = 100,
	PASSED_OVER_MAX = 64, /* that cannot be sent now, before others are not looked at */
	FORGOTTEN_MAX = 3,    /* a node that forgets a statement at once each time */
};

/* A text that is being prepared on a node. */
struct preparation {
	struct cql_question question;
	struct cql_session *session;
	struct cql_node *node;
	int number;
};

static int64_t now_ms(const struct cql_session *session)
{
	return clock_monotonic_ms(session->cluster.connecting.clock);
}

/* Takes the call and the result. Whoever asked is told at the end of the turn, when all that it may
 * look at then is as it is now. */
static void end(struct cql_call *call, int r, struct cql_result *result)
{
	struct cql_session *session = call->session;

	if (r != 0)
		session->counts.failures++;
	call->r = r;
	call->result = result;
	cql_calls_append(&session->ended, call);
}

static void wait_again(struct cql_call *call)
{
	struct cql_session *session = call->session;

	call->give_up_ms = now_ms(session) + session->request_timeout_ms;
	cql_calls_prepend(&session->waiting, call);
	session->is_stirred = true;
}

/* is_safe: it was not done, so that any call may be sent again. */
static void retry(struct cql_call *call, bool is_safe)
{
	if ((!call->is_idempotent && !is_safe) || call->attempts >= CQL_ATTEMPTS_MAX ||
		call->session->is_ending) {
		end(call, CQL_UNAVAILABLE, NULL);
		return;
	}
	call->session->counts.retries++;
	wait_again(call);
}

/* How a refusal ends for whoever asked. */
static int outcome_of(const struct cql_error *error)
{
	switch (error->code) {
	case CQL_ERROR_CREDENTIALS:
	case CQL_ERROR_UNAUTHORIZED:
		return -EACCES;
	case CQL_ERROR_ALREADY_EXISTS:
		return -EEXIST;
	case CQL_ERROR_SERVER:
	case CQL_ERROR_UNAVAILABLE:
	case CQL_ERROR_OVERLOADED:
	case CQL_ERROR_BOOTSTRAPPING:
	case CQL_ERROR_TRUNCATE:
	case CQL_ERROR_WRITE_TIMEOUT:
	case CQL_ERROR_READ_TIMEOUT:
	case CQL_ERROR_READ_FAILURE:
	case CQL_ERROR_WRITE_FAILURE:
	case CQL_ERROR_CAS_WRITE_UNKNOWN:
		return CQL_UNAVAILABLE;
	default:
		return -EIO;
	}
}

/* Another node, or this one later, may do what this one did not now. */
static bool may_differ_elsewhere(const struct cql_error *error)
{
	return outcome_of(error) == CQL_UNAVAILABLE && error->code != CQL_ERROR_READ_FAILURE &&
	       error->code != CQL_ERROR_WRITE_FAILURE;
}

static void pause_node(struct cql_session *session, struct cql_node *node)
{
	session->counts.overloads++;
	node->pause_until_ms = now_ms(session) + OVERLOAD_PAUSE_MS;
}

static void on_forgotten(struct cql_call *call, const struct cql_error *error)
{
	call->session->counts.unprepared++;
	cql_node_forget_text(call->node, error->id);
	if (call->forgotten++ < FORGOTTEN_MAX && !call->session->is_ending)
		wait_again(call);
	else
		end(call, CQL_UNAVAILABLE, NULL);
}

static void on_error(struct cql_call *call, const struct cql_error *error)
{
	int outcome = outcome_of(error);

	(void)cql_error_describe(error, outcome, &call->reason);
	if (error->code == CQL_ERROR_UNPREPARED) {
		on_forgotten(call, error);
		return;
	}
	if (!may_differ_elsewhere(error)) {
		end(call, outcome, NULL);
		return;
	}
	if (error->code == CQL_ERROR_OVERLOADED)
		pause_node(call->session, call->node);
	else
		cql_call_mark_tried(call, call->node);
	retry(call, error->code == CQL_ERROR_BOOTSTRAPPING);
}

/* What this session changed is known to it before it is told. */
static void look_for_change(const struct cql_call *call, const struct cql_result *result)
{
	const struct cql_reply *reply = cql_result_reply(result);

	if (reply->kind != CQL_RESULT_SCHEMA)
		return;
	cql_witness_note(&call->session->witness, call->node);
	if (cql_bytes_equal(reply->schema.target, "KEYSPACE"))
		cql_control_refresh(&call->session->control, 0);
}

static void on_answer(struct cql_call *call, const struct cql_answer *answer)
{
	struct cql_result *result = NULL;
	struct cql_response response;
	int r;

	if (answer->frame.opcode == CQL_ERROR) {
		r = cql_response_decode(
			&answer->frame, answer->body, answer->size, &response, &call->reason);
		if (r == 0) {
			on_error(call, &response.error);
			return;
		}
	} else {
		r = cql_result_decode(
			&answer->frame, answer->body, answer->size, &result, &call->reason);
		if (r == 0)
			look_for_change(call, result);
	}
	end(call, r, result);
}

static void on_call_answer(struct cql_question *question, const struct cql_answer *answer)
{
	struct cql_call *call =
		(struct cql_call *)((char *)question - offsetof(struct cql_call, question));

	call->session->is_stirred = true;
	if (answer->outcome == CQL_ANSWERED) {
		on_answer(call, answer);
		return;
	}
	call->reason = *answer->reason;
	if (answer->outcome == CQL_TOO_LARGE) {
		end(call, -EMSGSIZE, NULL);
		return;
	}
	if (answer->outcome == CQL_TIMED_OUT)
		cql_call_mark_tried(call, call->node);
	retry(call, false);
}

static bool needs(const struct cql_call *call, int number)
{
	for (size_t i = 0; i < call->part_count; i++)
		if (call->parts[i].number == number)
			return true;
	return false;
}

/* The node cannot prepare it: whoever needs it ends so. */
static void refuse_awaiting(struct cql_node *node, int number, int r, const struct error *reason)
{
	struct cql_calls others = { 0 };
	struct cql_call *call;

	while ((call = cql_calls_take(&node->awaiting))) {
		if (!needs(call, number)) {
			cql_calls_append(&others, call);
			continue;
		}
		call->reason = *reason;
		end(call, r, NULL);
	}
	node->awaiting = others;
}

/* The node did not do it now: whoever waits there may try elsewhere, for nothing was done. */
static void send_awaiting_elsewhere(
	struct cql_node *node, bool was_lost, const struct error *reason)
{
	struct cql_calls all = node->awaiting;
	struct cql_call *call;

	node->awaiting = (struct cql_calls){ 0 };
	while ((call = cql_calls_take(&all))) {
		call->reason = *reason;
		call->attempts++;
		if (!was_lost)
			cql_call_mark_tried(call, node);
		retry(call, true);
	}
}

static void release_awaiting(struct cql_node *node)
{
	struct cql_calls all = node->awaiting;
	struct cql_call *call;

	node->awaiting = (struct cql_calls){ 0 };
	while ((call = cql_calls_take(&all)))
		wait_again(call);
}

static void on_prepared(struct preparation *preparation, const struct cql_answer *answer)
{
	struct cql_session *session = preparation->session;
	struct cql_node *node = preparation->node;
	struct cql_response response;
	struct error reason = { 0 };
	int r = cql_response_decode(&answer->frame, answer->body, answer->size, &response, &reason);

	if (r == 0 && response.opcode == CQL_RESULT && response.reply.kind == CQL_RESULT_PREPARED) {
		session->counts.prepares++;
		cql_node_remember_text(node, preparation->number, response.reply.prepared.id);
		release_awaiting(node);
		return;
	}
	if (r == 0 && response.opcode == CQL_ERROR)
		r = cql_error_describe(&response.error, outcome_of(&response.error), &reason);
	else if (r == 0)
		r = error_set(&reason, -EPROTO, "an answer that does not belong here");
	if (r == CQL_UNAVAILABLE)
		send_awaiting_elsewhere(node, false, &reason);
	else
		refuse_awaiting(node, preparation->number, r, &reason);
}

static void on_preparation_answer(struct cql_question *question, const struct cql_answer *answer)
{
	struct preparation *preparation =
		(struct preparation *)((char *)question - offsetof(struct preparation, question));
	struct cql_node *node = preparation->node;

	preparation->session->is_stirred = true;
	node->texts[preparation->number].state = CQL_TEXT_UNKNOWN;
	if (answer->outcome == CQL_ANSWERED)
		on_prepared(preparation, answer);
	else
		send_awaiting_elsewhere(node, answer->outcome == CQL_LOST, answer->reason);
	free(preparation);
}

enum placing {
	PLACED,  /* sent, or waiting for the node */
	NO_ROOM, /* not now */
	UNFIT,   /* it cannot be sent; call->r and call->reason say why */
};

static enum placing unfit(struct cql_call *call, int r, const char *text)
{
	call->r = error_set(&call->reason, r, "%s", text);
	return UNFIT;
}

static enum placing ask(
	struct cql_session *session, struct cql_call *call, struct cql_question *question)
{
	int r = buffer_check(&session->frame);

	if (r < 0)
		return unfit(
			call, r, r == -EMSGSIZE ? "a statement that is too large" : "no memory");
	return cql_connection_ask(call->node->connection, question, &session->frame) ? PLACED
										     : NO_ROOM;
}

static enum placing prepare(struct cql_session *session, struct cql_call *call, int number)
{
	struct preparation *preparation = calloc(1, sizeof(*preparation));
	enum placing placing;

	if (!preparation)
		return unfit(call, -ENOMEM, "no memory");
	preparation->question.answer = on_preparation_answer;
	preparation->session = session;
	preparation->node = call->node;
	preparation->number = number;
	buffer_clear(&session->frame);
	cql_request_prepare(&session->frame, session->texts.texts[number]);
	placing = ask(session, call, &preparation->question);
	if (placing == PLACED)
		call->node->texts[number].state = CQL_TEXT_ASKED;
	else
		free(preparation);
	return placing;
}

/* Asks for all its texts that the node does not know. */
static enum placing place_preparations(
	struct cql_session *session, struct cql_call *call, bool *ret_is_known)
{
	enum placing placing = PLACED;
	bool is_known = true;

	for (size_t i = 0; placing == PLACED && i < call->part_count; i++) {
		int number = call->parts[i].number;

		if (number < 0 || call->node->texts[number].state == CQL_TEXT_KNOWN)
			continue;
		is_known = false;
		if (call->node->texts[number].state == CQL_TEXT_UNKNOWN)
			placing = prepare(session, call, number);
	}
	*ret_is_known = is_known;
	return placing;
}

static enum placing place(struct cql_session *session, struct cql_call *call)
{
	bool is_known = false;
	enum placing placing = place_preparations(session, call, &is_known);

	if (placing != PLACED)
		return placing;
	if (!is_known) {
		cql_calls_append(&call->node->awaiting, call);
		return PLACED;
	}
	buffer_clear(&session->frame);
	cql_call_encode(call, call->node, cql_node_text_id, &session->frame);
	placing = ask(session, call, &call->question);
	if (placing == PLACED)
		call->attempts++;
	return placing;
}

/* There is no node for it now; the reason of a former attempt is the better one. */
static void end_homeless(struct cql_session *session, struct cql_call *call, const char *otherwise)
{
	if (!call->reason.text[0])
		error_set(&call->reason, 0, "%s",
			session->cluster.trouble.text[0] ? session->cluster.trouble.text
							 : otherwise);
	end(call, CQL_UNAVAILABLE, NULL);
}

static enum cql_choice choose(struct cql_session *session, struct cql_call *call)
{
	if (!session->cluster.topology)
		return cql_control_is_hopeful(&session->control) ? CQL_CHOICE_WAIT
								 : CQL_CHOICE_NONE;
	return cql_cluster_choose(&session->cluster, call, &call->node);
}

/* false: it cannot be sent now. Takes the call, or leaves it to the caller. */
static bool send_or_end(struct cql_session *session, struct cql_call *call)
{
	enum cql_choice choice = choose(session, call);
	enum placing placing;

	if (choice == CQL_CHOICE_WAIT)
		return false;
	if (choice == CQL_CHOICE_NONE) {
		end_homeless(session, call, "no node is connected");
		return true;
	}
	call->question.answer = on_call_answer;
	placing = place(session, call);
	if (placing == UNFIT)
		end(call, call->r, NULL);
	return placing != NO_ROOM;
}

/* Whoever waits again stands first, and may wait longest. */
static int64_t give_up_ms(const struct cql_session *session)
{
	int64_t earliest_ms = INT64_MAX;

	for (const struct cql_call *call = session->waiting.first; call; call = call->next)
		earliest_ms = MIN_OF(earliest_ms, call->give_up_ms);
	return earliest_ms;
}

static void end_late(struct cql_session *session)
{
	struct cql_calls all = session->waiting;
	struct cql_call *call;

	if (give_up_ms(session) > now_ms(session))
		return;
	session->waiting = (struct cql_calls){ 0 };
	while ((call = cql_calls_take(&all)))
		if (call->give_up_ms <= now_ms(session))
			end_homeless(session, call, "no node took it in time");
		else
			cql_calls_append(&session->waiting, call);
}

void cql_dispatch(struct cql_session *session)
{
	struct cql_calls passed_over = { 0 };
	struct cql_call *call;
	size_t count = 0;

	session->is_stirred = false;
	end_late(session);
	while (count < PASSED_OVER_MAX && (call = cql_calls_take(&session->waiting))) {
		if (!send_or_end(session, call)) {
			cql_calls_append(&passed_over, call);
			count++;
		}
	}
	cql_calls_join(&passed_over, &session->waiting);
	session->waiting = passed_over;
}

int64_t cql_dispatch_deadline_ms(const struct cql_session *session)
{
	if (session->is_stirred && session->waiting.first)
		return 0;
	return give_up_ms(session);
}

void cql_dispatch_end(struct cql_session *session)
{
	static const struct error reason = { "the session was stopped" };
	struct cql_call *call;

	while ((call = cql_calls_take(&session->waiting))) {
		call->reason = reason;
		end(call, CQL_UNAVAILABLE, NULL);
	}
}

void cql_dispatch_tell(struct cql_session *session)
{
	struct cql_call *call;

	while ((call = cql_calls_take(&session->ended))) {
		cql_session_release(session, call->size);
		call->done(call->context, call->r, call->result, &call->reason);
		cql_call_free(call);
	}
}
