/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Looks names of hosts up, each on a thread of its own, for that takes as long as it takes: with a
 * name server that is away, many seconds. Whoever does not want to wait any more just frees it. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/contact.h"
#include "cql/value.h"

struct cql_found {
	struct cql_address address; /* with the contact's port */
	char name[CQL_HOST_SIZE];
};

struct cql_resolver;

/* Begins with a copy of the contacts, at most CQL_CONTACTS_MAX. Each time that one was looked up,
 * something is written to wake_fd, an eventfd. */
MUST_CHECK int cql_resolver_new(const struct cql_contact *contacts, size_t count, int wake_fd,
	struct cql_resolver **ret_resolver, struct error *err);

/* Nothing is written to wake_fd after this. */
struct cql_resolver *cql_resolver_free(struct cql_resolver *resolver);
CLEANUP_DEFINE(struct cql_resolver, cql_resolver_free)

/* All were looked up. */
bool cql_resolver_is_done(struct cql_resolver *resolver);

/* All were looked up, or cql_resolver_next has something to tell. */
bool cql_resolver_has_news(struct cql_resolver *resolver);

/* The next address that was found and not told yet: of those found by now, in the order of the
 * contacts. false: there is none now. A name that was not found is told once in `err`, which is
 * else left alone. */
bool cql_resolver_next(
	struct cql_resolver *resolver, struct cql_found *ret_found, struct error *err);
