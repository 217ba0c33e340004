/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <time.h>

#include "cql/inside.h"

/* Those who wait for the session itself: for a connection, for the nodes to agree. */

enum { AGREEMENT_AGAIN_MS = 200 };

static struct timespec in_ms(int64_t ms)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += ms / 1000;
	time.tv_nsec += ms % 1000 * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	return time;
}

/* Under the lock. */
static int say_unavailable(
	const struct cql_session *session, const char *otherwise, struct error *err)
{
	if (session->is_stopping)
		return error_set(err, CQL_UNAVAILABLE, "the session was stopped");
	return error_set(err, CQL_UNAVAILABLE, "%s",
		session->trouble.text[0] ? session->trouble.text : otherwise);
}

int cql_session_wait(struct cql_session *session, int64_t timeout_ms, struct error *err)
{
	struct timespec until = in_ms(timeout_ms);
	int r = 0;

	pthread_mutex_lock(&session->lock);
	while (r == 0 && !session->is_connected && !session->is_stopping)
		r = pthread_cond_timedwait(&session->changed, &session->lock, &until);
	r = session->is_connected && !session->is_stopping
		    ? 0
		    : say_unavailable(session, "no node answers", err);
	pthread_mutex_unlock(&session->lock);
	return r;
}

/* Under the lock. Whether a topology was read that is as new as this call, before `until`. */
static bool refresh(struct cql_session *session, const struct timespec *until)
{
	uint64_t wanted = ++session->refresh_wanted;
	int r = 0;

	cql_session_wake(session);
	while (r == 0 && session->refresh_done < wanted && !session->is_stopping)
		r = pthread_cond_timedwait(&session->changed, &session->lock, until);
	return session->refresh_done >= wanted && !session->is_stopping;
}

/* Under the lock. */
static void wait_a_little(struct cql_session *session, const struct timespec *until)
{
	struct timespec end = in_ms(AGREEMENT_AGAIN_MS);
	int r = 0;

	if (end.tv_sec > until->tv_sec)
		end = *until;
	while (r == 0 && !session->is_stopping)
		r = pthread_cond_timedwait(&session->changed, &session->lock, &end);
}

int cql_schema_agreement(struct cql_session *session, int64_t timeout_ms, struct error *err)
{
	struct timespec until = in_ms(timeout_ms);
	bool is_agreed = false;
	int r = 0;

	pthread_mutex_lock(&session->lock);
	while (!is_agreed && refresh(session, &until)) {
		is_agreed = session->is_agreed;
		if (!is_agreed)
			wait_a_little(session, &until);
	}
	if (!is_agreed)
		r = say_unavailable(session, "the nodes do not agree on the schema", err);
	pthread_mutex_unlock(&session->lock);
	return r;
}
