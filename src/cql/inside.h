/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the parts of a session share: session.c (its life, its thread), dispatch.c (statements on
 * that thread), execute.c (those who wait for statements), wait.c (those who wait for the cluster).
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "cql/call.h"
#include "cql/cluster.h"
#include "cql/contact.h"
#include "cql/control.h"
#include "cql/counts.h"
#include "cql/session.h"
#include "cql/texts.h"
#include "cql/tls.h"
#include "cql/witness.h"

struct cql_session {
	char *username, *password; /* or NULL */
	struct cql_contact contacts[CQL_CONTACTS_MAX];
	int64_t request_timeout_ms;
	size_t pending_max;
	struct cql_tls *tls;
	struct cql_counts counts;
	struct cql_texts texts;
	int epoll_fd, wake_fd;
	pthread_t thread;
	bool has_thread;

	/* The thread's own. */
	struct cql_cluster cluster;
	struct cql_control control;
	struct cql_witness witness;
	uint64_t witnessed;        /* the refresh for which it was asked last */
	struct cql_topology *news; /* read, and not yet in `cluster` */
	struct cql_calls waiting;  /* for room on a node */
	struct cql_calls ended;    /* whose owners are not told yet */
	struct buffer frame;
	bool is_stirred; /* something became possible that was not when it was last tried */
	bool is_ending;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct cql_calls submitted;
	size_t pending, pending_bytes, waiters; /* those who wait for a place */
	int64_t last_timestamp_us;
	bool is_stopping;
	uint64_t refresh_wanted, refresh_done;
	bool is_agreed; /* as of refresh_done */
	bool is_connected;
	struct error trouble;
};

/* session.c */

/* Lets the thread look at what is guarded by the lock. */
void cql_session_wake(struct cql_session *session);

/* cql_submit, with the page to begin with. may_wait: blocks instead of CQL_BUSY. */
MUST_CHECK int cql_session_submit(struct cql_session *session,
	const struct cql_statement *statement, struct cql_bytes paging_state, bool may_wait,
	cql_done_fn done, void *context, struct error *err);

/* One of this size less is pending. */
void cql_session_release(struct cql_session *session, size_t size);

/* dispatch.c, on the thread */

/* Sends what waits, as far as there is room; ends what cannot be sent. */
void cql_dispatch(struct cql_session *session);

/* When cql_dispatch has something to end. */
int64_t cql_dispatch_deadline_ms(const struct cql_session *session);

/* Ends all that waits. */
void cql_dispatch_end(struct cql_session *session);

/* Tells those whose calls have ended. */
void cql_dispatch_tell(struct cql_session *session);
