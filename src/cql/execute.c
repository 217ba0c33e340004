/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <stdlib.h>

#include "cql/inside.h"
#include "cql/result.h"

/* Those who wait: what the session's thread is done with is handed to the caller's thread, in whose
 * memory it is kept. */

/* Of one cql_execute_all: statements in flight, or answered and not seen by the caller. How many
 * depends on how large the answers are. */
enum {
	WINDOW_MAX = 256,
	WINDOW_FIRST = 32, /* before an answer was seen */
	WINDOW_MIN = 4,
	ANSWERS_MAX = 64 * 1024 * 1024, /* bytes of them, if all are as the largest so far */
};

struct gathering;

/* A statement that was submitted; in `finished` once it is answered. */
struct item {
	struct gathering *gathering;
	struct item *next;
	size_t index;
	int r;
	struct cql_result *result;
	struct error reason;
};

struct gathering {
	struct cql_session *session;
	const struct cql_statement *statements;
	struct item *items;
	struct item *idle; /* the caller's thread only */
	size_t out;        /* likewise: submitted, and not taken from `finished` */
	size_t largest;    /* answer, in bytes */
	int r;             /* the first failure */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct item *finished, *last_finished;
};

static void on_done(void *context, int r, struct cql_result *result, const struct error *reason)
{
	struct item *item = context;
	struct gathering *gathering = item->gathering;

	pthread_mutex_lock(&gathering->lock);
	item->r = r;
	item->result = result;
	if (r != 0)
		item->reason = *reason;
	item->next = NULL;
	if (gathering->finished)
		gathering->last_finished->next = item;
	else
		gathering->finished = item;
	gathering->last_finished = item;
	pthread_cond_signal(&gathering->changed);
	pthread_mutex_unlock(&gathering->lock);
}

static struct item *take_finished(struct gathering *gathering)
{
	struct item *item;

	pthread_mutex_lock(&gathering->lock);
	while (!gathering->finished)
		pthread_cond_wait(&gathering->changed, &gathering->lock);
	item = gathering->finished;
	gathering->finished = item->next;
	pthread_mutex_unlock(&gathering->lock);
	gathering->out--;
	return item;
}

static void lay_idle(struct gathering *gathering, struct item *item)
{
	item->result = cql_result_free(item->result);
	item->next = gathering->idle;
	gathering->idle = item;
}

static int gathering_init(struct gathering *gathering, struct cql_session *session,
	const struct cql_statement *statements, size_t item_count)
{
	*gathering = (struct gathering){ .session = session, .statements = statements };
	gathering->items = calloc(item_count, sizeof(*gathering->items));
	if (!gathering->items)
		return -ENOMEM;
	pthread_mutex_init(&gathering->lock, NULL);
	pthread_cond_init(&gathering->changed, NULL);
	for (size_t i = 0; i < item_count; i++) {
		gathering->items[i].gathering = gathering;
		lay_idle(gathering, &gathering->items[i]);
	}
	return 0;
}

static void gathering_deinit(struct gathering *gathering)
{
	if (!gathering->items)
		return;
	pthread_cond_destroy(&gathering->changed);
	pthread_mutex_destroy(&gathering->lock);
	free(gathering->items);
}

/* The item is no longer idle before it is submitted: it may be finished at once.
 * Returns 0; CQL_BUSY; or a failure, which is kept. */
static int submit(struct gathering *gathering, size_t index, struct cql_bytes paging_state,
	bool may_wait, struct error *err)
{
	struct item *item = gathering->idle;
	int r;

	gathering->idle = item->next;
	item->index = index;
	r = cql_session_submit(gathering->session, &gathering->statements[index], paging_state,
		may_wait, on_done, item, err);
	if (r == 0)
		gathering->out++;
	else
		lay_idle(gathering, item);
	if (r != 0 && r != CQL_BUSY)
		gathering->r = r;
	return r;
}

static bool may_ask_more(const struct gathering *gathering)
{
	size_t window =
		gathering->largest ? ANSWERS_MAX / gathering->largest : (size_t)WINDOW_FIRST;

	/* One item is kept for the next page of what is delivered. */
	return gathering->r == 0 && gathering->idle && gathering->idle->next &&
	       gathering->out < MAX_OF(window, (size_t)WINDOW_MIN);
}

static void note_size(struct gathering *gathering, const struct item *item)
{
	if (item->result)
		gathering->largest = MAX_OF(gathering->largest, cql_result_size(item->result));
}

/* The next page is asked for while the caller looks at this one. Waiting for a place does no harm:
 * the session's thread goes on meanwhile. */
static void deliver(struct gathering *gathering, struct item *item, cql_each_fn each, void *context,
	struct error *err)
{
	note_size(gathering, item);
	if (gathering->r == 0 && item->r != 0)
		gathering->r = error_set(err, item->r, "%s", error_text(&item->reason, item->r));
	if (gathering->r == 0 && cql_result_has_more(item->result))
		(void)submit(
			gathering, item->index, cql_result_paging_state(item->result), true, err);
	if (gathering->r == 0 && each)
		gathering->r = each(context, item->index, item->result);
	lay_idle(gathering, item);
}

static int gather(struct gathering *gathering, size_t count, cql_each_fn each, void *context,
	struct error *err)
{
	size_t next = 0;

	while (gathering->out || (next < count && gathering->r == 0)) {
		while (next < count && may_ask_more(gathering) &&
			submit(gathering, next, (struct cql_bytes){ 0 }, !gathering->out, err) == 0)
			next++;
		if (gathering->out)
			deliver(gathering, take_finished(gathering), each, context, err);
	}
	return gathering->r;
}

int cql_execute_all(struct cql_session *session, const struct cql_statement *statements,
	size_t count, cql_each_fn each, void *context, struct error *err)
{
	struct gathering gathering;
	int r = gathering_init(
		&gathering, session, statements, MIN_OF(count, (size_t)WINDOW_MAX) + 1);

	if (r == 0)
		r = gather(&gathering, count, each, context, err);
	gathering_deinit(&gathering);
	return r;
}

static int execute(struct cql_session *session, const struct cql_statement *statement,
	struct cql_bytes paging_state, struct cql_result **ret_result, struct error *err)
{
	struct gathering gathering;
	struct item *item;
	int r = gathering_init(&gathering, session, statement, 1);

	if (r == 0)
		r = submit(&gathering, 0, paging_state, true, err);
	if (r == 0) {
		item = take_finished(&gathering);
		r = item->r;
		if (r != 0)
			error_set(err, r, "%s", error_text(&item->reason, r));
		else if (ret_result)
			*ret_result = item->result;
		if (r != 0 || !ret_result)
			cql_result_free(item->result);
	}
	gathering_deinit(&gathering);
	return r;
}

int cql_execute(struct cql_session *session, const struct cql_statement *statement,
	struct cql_result **ret_result, struct error *err)
{
	return execute(session, statement, (struct cql_bytes){ 0 }, ret_result, err);
}

int cql_execute_next(struct cql_session *session, const struct cql_statement *statement,
	const struct cql_result *result, struct cql_result **ret_result, struct error *err)
{
	return execute(session, statement, cql_result_paging_state(result), ret_result, err);
}
