/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A node for tests, on a thread of its own. It answers the handshake and the system's tables; what
 * it does with any other statement, the first word of its text says:
 *
 *     ok          answers with nothing
 *     row         answers with one row: a bigint
 *     pages N     answers with N pages of one row each
 *     silent      does not answer
 *     release     answers what it did not answer so far, then this
 *     overloaded N, unprepared N, unavailable N, bootstrapping N
 *                 refuses so the first N times, then is ok
 *     invalid     refuses so
 *     half        answers with half a frame and closes
 *     close       closes
 *     garbage     answers with what is no frame
 *     damaged     answers with a frame whose body is damaged
 *     huge        answers with a frame that says it is huge
 *     stray       answers on a stream on which nothing was asked
 *     news        tells that the nodes are others now, on this connection, whoever asked for it
 *     keyspace    answers that a keyspace was changed; its own schema has version 9 then
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fake_login {
	FAKE_ANYBODY = 0,
	FAKE_PASSWORD,  /* "user", "secret" */
	FAKE_CHALLENGE, /* something that is not PLAIN */
};

enum fake_manner {
	FAKE_ANSWERS = 0,
	FAKE_MUTE,      /* takes connections, and never says a word */
	FAKE_VERSION_5, /* answers in another version */
	FAKE_NO_SERVER, /* answers with what is not CQL */
	FAKE_REFUSES_PEERS,
	FAKE_HOLDS_PEERS, /* does not answer which nodes there are */
};

enum { FAKE_PEERS_MAX = 4, FAKE_CONNECTIONS_MAX = 64, FAKE_HELD_MAX = 4096 };

struct fake_peer {
	uint8_t number; /* its host id, and 127.0.0.NUMBER */
	const char *datacenter;
	const char *token;
	_Atomic uint8_t schema;
};

struct fake_node {
	/* Set before it starts. */
	uint8_t number; /* listens on 127.0.0.NUMBER */
	uint16_t port;  /* 0: any, which is then written here */
	enum fake_login login;
	bool has_lz4;
	struct fake_peer peers[FAKE_PEERS_MAX]; /* the first is itself */

	_Atomic int manner;   /* of enum fake_manner */
	_Atomic bool is_mute; /* from now on, on all connections */
	_Atomic size_t peer_count;

	/* What it saw. */
	_Atomic unsigned int connections, statements, batches, prepares, options;
	_Atomic bool has_reused_stream; /* one whose question was not answered yet */
	_Atomic bool saw_lz4;

	/* Private. */
	pthread_t thread;
	int listener, end_fd, event_fd;
	struct fake_connection *open[FAKE_CONNECTIONS_MAX];
	_Atomic unsigned int refusals;
};

/* Whether this thread is that of a fake node. */
extern _Thread_local bool fake_node_is_here;

void fake_node_start(struct fake_node *node);

/* Closes all its connections and its port. It may be started again. */
void fake_node_stop(struct fake_node *node);

/* Tells whoever wants to know that the nodes are others now. */
void fake_node_announce(struct fake_node *node);
