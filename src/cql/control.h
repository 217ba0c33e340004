/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One connection besides, to any node, that asks which nodes there are and is told when this
 * changes. When it ends, or the node cannot tell, another node is asked: one that is known, or a
 * contact point. They are tried side by side, each begun a little after the one before, so that one
 * that says nothing keeps nobody from the next. The session's thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "cql/cluster.h"
#include "cql/connection.h"
#include "cql/contact.h"
#include "cql/resolver.h"
#include "cql/result.h"
#include "cql/topology.h"

enum {
	CQL_CANDIDATES_MAX = 64,
	CQL_TRIALS_MAX = 16,
	CQL_KEYSPACE_SIZE = 49, /* with its NUL */
};

struct cql_control;

enum cql_control_question { CQL_ASK_LOCAL, CQL_ASK_PEERS, CQL_ASK_REPLICATION, _CQL_ASK_COUNT };

struct cql_control_ask {
	struct cql_question question;
	struct cql_control *control;
	bool is_out;
	struct cql_result *result;
};

/* A candidate to which a connection is made. */
struct cql_control_trial {
	struct cql_connection *connection;
	struct cql_peer peer;
};

/* A topology was read; the callee takes it, and must not free connections now. */
typedef void (*cql_topology_fn)(void *context, struct cql_topology **topology);

struct cql_control {
	struct cql_cluster *cluster; /* its nodes are asked first; options and trouble are its */
	const struct cql_contact *contacts;
	size_t contact_count;
	char keyspace[CQL_KEYSPACE_SIZE]; /* "": none */
	int wake_fd;                      /* an eventfd that lets cql_control_tick be called */
	cql_topology_fn on_topology;
	void *context;

	bool is_in_round, has_looked_up;
	struct cql_resolver *resolver;                  /* where names are being looked up */
	struct cql_peer candidates[CQL_CANDIDATES_MAX]; /* of this round; address and name count */
	size_t candidate_count, next;
	struct cql_control_trial trials[CQL_TRIALS_MAX];
	size_t trial_count;
	int64_t next_trial_ms; /* none is begun before this while another is under way */
	unsigned int failures; /* rounds in which nobody answered, in a row */
	int64_t retry_at_ms;

	struct cql_connection *connection;
	struct cql_peer asked;
	bool is_registered, has_answered; /* with a topology */
	bool has_failed;                  /* to answer with one */
	struct cql_question registration;

	struct cql_control_ask asks[_CQL_ASK_COUNT];
	struct buffer frame;
	int64_t refresh_at_ms;
	uint64_t wanted, begun, done; /* refreshes, numbered by who wants them */
};

/* The fields up to `context` are the caller's, and set. */
void cql_control_init(struct cql_control *control);
void cql_control_deinit(struct cql_control *control);

void cql_control_tick(struct cql_control *control);
void cql_control_flush(struct cql_control *control);
int64_t cql_control_deadline_ms(const struct cql_control *control);

/* Reads the topology again, not before `in_ms` from now. */
void cql_control_refresh(struct cql_control *control, int64_t in_ms);

/* No round was without success yet since the last one that had it. */
bool cql_control_is_hopeful(const struct cql_control *control);
