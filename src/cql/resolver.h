/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Looks names of hosts up on a thread of its own, for that takes as long as it takes: with a name
 * server that is away, many seconds. Whoever does not want to wait any more just frees it. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/contact.h"
#include "cql/value.h"

enum { CQL_FOUND_MAX = 64 };

struct cql_found {
	struct cql_address address; /* with the contact's port */
	char name[CQL_HOST_SIZE];
};

struct cql_resolver;

/* Begins with a copy of the contacts, at most CQL_CONTACTS_MAX. When it is done, it writes to
 * wake_fd, an eventfd. */
MUST_CHECK int cql_resolver_new(const struct cql_contact *contacts, size_t count, int wake_fd,
	struct cql_resolver **ret_resolver, struct error *err);

/* Nothing is written to wake_fd after this. */
struct cql_resolver *cql_resolver_free(struct cql_resolver *resolver);
CLEANUP_DEFINE(struct cql_resolver, cql_resolver_free)

bool cql_resolver_is_done(struct cql_resolver *resolver);

/* Once it is done: how many addresses were found, and where they are, as long as the resolver
 * lives. The last name that was not found is told in `err`, which is else left alone. */
size_t cql_resolver_found(
	const struct cql_resolver *resolver, const struct cql_found **ret_found, struct error *err);
