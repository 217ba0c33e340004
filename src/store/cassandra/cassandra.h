/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Readings in Apache Cassandra, which several servers share (docs/storage.md). */

#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "cql/session.h"
#include "store/store.h"

enum cassandra_access {
	CASSANDRA_SERVES, /* gives the tables the expiry that retention_days asks for */
	CASSANDRA_FILLS,  /* makes what is missing, and changes nothing that is there */
	CASSANDRA_READS,  /* makes nothing; -ENOENT if something is missing */
};

struct cassandra_store_options {
	struct cql_options cql; /* without the keyspace */
	enum cassandra_access access;
	const char *keyspace;
	/* Of a keyspace that is not there yet: copies in every data centre, "3", or in those that
	 * are named, "dc1: 3, dc2: 2". */
	const char *replication;
	const char *consistency; /* of reading and of writing; "LOCAL_QUORUM" */
	int64_t retention_days;  /* the database may forget what is some days older; 0: nothing */
	int64_t wait_ms;         /* for a node, when it is opened */
	int64_t now_ms;
	/* May be NULL. Gets the store when it is about to wait for nodes, which store_interrupt
	 * ends; and NULL before that store is freed because it cannot be opened. */
	void (*on_opening)(void *context, struct store *store);
	void *context;
};

/* Makes the keyspace and its tables if they are not there, and it may. A longer retention_days
 * holds at once for what is written, a shorter one from the first store_maintain that may delete.
 * The texts of the options are copied. STORE_UNAVAILABLE: no node could be reached, or not enough
 * of them. */
MUST_CHECK int cassandra_store_new(
	const struct cassandra_store_options *options, struct store **ret_store, struct error *err);

/* What the configuration says; its texts are borrowed. Without wait_ms and now_ms. */
struct cassandra_store_options cassandra_options_of(const struct config *config);
