/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Questions to a Cassandra cluster.
 *
 * A session has one thread, which holds a connection to each node of the local data centre, learns
 * of nodes that come and go, and sends each statement to a replica of its partition where it can.
 * Statements with values are prepared once a node. Many are in flight on one connection.
 *
 * What is not answered in time, and what a node could not do now, is sent to another node if the
 * statement is idempotent; else, and after the last attempt, the caller sees CQL_UNAVAILABLE: a
 * write may then have been done or not. While no node is connected, and none is being connected
 * for the first time since it was lost, CQL_UNAVAILABLE comes at once.
 *
 * Threads: any, except where something else is said. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/frame.h"
#include "cql/value.h"

struct cql_session;
struct cql_result;

enum cql_outcome {
	CQL_OK = 0,
	CQL_UNAVAILABLE, /* no node did it now, or none answered; asking later may help */
	CQL_BUSY,        /* too many are pending: only from cql_submit */
};

enum {
	CQL_HOSTS_MAX = 16,   /* contact points */
	CQL_TEXTS_MAX = 256,  /* different texts with values in one session */
	CQL_PARTS_MAX = 1024, /* of one batch */
	CQL_ATTEMPTS_MAX = 3, /* sendings of one idempotent statement */
	CQL_PENDING_DEFAULT = 1024,
	CQL_PENDING_BYTES_MAX = 256 * 1024 * 1024, /* of the statements that are pending */
	CQL_PAGE_DEFAULT = 1000,                   /* rows */
};

/* All texts are copied. Zeroed fields mean what stands behind them. */
struct cql_options {
	const char *hosts;    /* "a, b:9042, [::1]:9043": contact points, at most CQL_HOSTS_MAX */
	int port;             /* of those without one; 9042. All other nodes are taken to have the
				 port of the one that told of them */
	const char *local_dc; /* that of the first node reached */
	const char *keyspace; /* whose replication says which nodes are replicas; may not exist yet;
				 none: any node is asked. No statement's names are affected */
	const char *username, *password; /* none */
	bool use_tls;
	/* PEM. ca_file: the system's authorities. A host name of `hosts`, else the node's address,
	 * must stand in the node's certificate. cert_file and key_file: none is shown. */
	const char *ca_file, *cert_file, *key_file;
	bool use_lz4;               /* if the node has it */
	int64_t connect_timeout_ms; /* until a node is ready for statements; 5 s */
	int64_t request_timeout_ms; /* of each attempt; 10 s */
	size_t pending_max;         /* statements queued or in flight; CQL_PENDING_DEFAULT */
};

struct cql_statement {
	/* CQL with ? for values. A statement is at most CQL_REQUEST_MAX bytes in all. The same text
	 * with values is prepared once a node and found again by its content, so it should be one
	 * of few constants. */
	const char *text;
	const struct cql_value *values;
	size_t value_count;

	/* Or, where text is NULL, an unlogged batch of these, which should be of one partition. Of
	 * each of them only text and values count. */
	const struct cql_statement *parts;
	size_t part_count;

	/* Serialized by cql_key_write: the statement goes to a replica.
	 * NULL: to any node. */
	const void *partition_key;
	size_t partition_key_size;

	enum cql_consistency consistency;
	enum cql_consistency serial_consistency; /* of a statement with IF; 0: CQL_LOCAL_SERIAL */
	bool is_idempotent;                      /* may be sent again, and to several nodes */
	int64_t timestamp_us; /* 0: the client's time, ascending within a session */
	int32_t page_size;    /* 0: CQL_PAGE_DEFAULT */
};

/* Starts the thread, which connects; does not wait for it. Negative: the options are wrong, or
 * there is no memory. */
MUST_CHECK int cql_session_new(
	const struct cql_options *options, struct cql_session **ret_session, struct error *err);

/* What is under way ends with CQL_UNAVAILABLE, and so does all that is asked from now on. */
void cql_session_stop(struct cql_session *session);

/* Stops. No other call may be running. */
struct cql_session *cql_session_free(struct cql_session *session);
CLEANUP_DEFINE(struct cql_session, cql_session_free)

/* Waits until a node of the local data centre is connected. Returns 0; CQL_UNAVAILABLE when the
 * time is over, with the text of the last failure (which says what is wrong with a password or a
 * certificate). */
MUST_CHECK int cql_session_wait(struct cql_session *session, int64_t timeout_ms, struct error *err);

/* Waits until all nodes of the local data centre that are up have the same schema: after each
 * change of it, before it is used. Returns as cql_session_wait. */
MUST_CHECK int cql_schema_agreement(
	struct cql_session *session, int64_t timeout_ms, struct error *err);

/* Asks and waits for the answer, or the first page of it. *ret_result is the caller's (ret_result
 * may be NULL). Returns 0; CQL_UNAVAILABLE; -EACCES if the user may not; -EEXIST if what should be
 * created is there; -EIO with the server's text if it refused otherwise; -EMSGSIZE if the statement
 * or its answer is too large; -EPROTO if the answer is damaged; -EINVAL if it is no statement;
 * -ENOSPC if there were CQL_TEXTS_MAX other texts; -ENOMEM. */
MUST_CHECK int cql_execute(struct cql_session *session, const struct cql_statement *statement,
	struct cql_result **ret_result, struct error *err);

/* The page after `result`, of the same statement. Returns as cql_execute. */
MUST_CHECK int cql_execute_next(struct cql_session *session, const struct cql_statement *statement,
	const struct cql_result *result, struct cql_result **ret_result, struct error *err);

/* An answer, or one of its pages, to statement number `index`. The result lives during the
 * callback. Returns 0 to go on; anything else ends cql_execute_all, which then returns it. */
typedef int (*cql_each_fn)(void *context, size_t index, struct cql_result *result);

/* Asks many at once, as many as pending_max allows in flight together, and waits for all. Each page
 * of each answer is given to `each` (may be NULL) in the caller's thread: statements in any order,
 * the pages of one in their order. At the first failure nothing more is sent; what is in flight is
 * waited for. Returns as cql_execute. */
MUST_CHECK int cql_execute_all(struct cql_session *session, const struct cql_statement *statements,
	size_t count, cql_each_fn each, void *context, struct error *err);

/* r and err as cql_execute has them; `result` (NULL unless r is 0) is the callee's to free. On the
 * session's thread: may call cql_submit, must not block. */
typedef void (*cql_done_fn)(
	void *context, int r, struct cql_result *result, const struct error *err);

/* Queues a copy of the statement and returns; `done` is called once, if 0 is returned. Never
 * blocks. Returns 0; CQL_BUSY; negative if the statement is too large or there is no memory. */
MUST_CHECK int cql_submit(struct cql_session *session, const struct cql_statement *statement,
	cql_done_fn done, void *context, struct error *err);

/* What was counted since the session began, and how things stand. */
struct cql_counters {
	uint64_t requests;     /* statements accepted */
	uint64_t failures;     /* of these, ended without an answer or with a refusal */
	uint64_t retries;      /* sent again */
	uint64_t timeouts;     /* sendings that were not answered in time */
	uint64_t late_answers; /* that came after their time-out */
	uint64_t overloads;    /* a node said that it has too much to do */
	uint64_t prepares;     /* statements prepared, again included */
	uint64_t unprepared;   /* a node had forgotten a statement */
	uint64_t connects;     /* connections that became ready */
	uint64_t connect_failures;
	uint64_t disconnects; /* connections that were ready and ended */
	uint64_t events;      /* news of the cluster */
	uint64_t sent_bytes, received_bytes;
	/* Now. */
	uint64_t pending;     /* statements queued or in flight */
	uint64_t nodes_known; /* of the local data centre */
	uint64_t nodes_connected;
};

void cql_session_counters(struct cql_session *session, struct cql_counters *ret_counters);
