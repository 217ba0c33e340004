/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where a cluster may be found: names and addresses of some of its nodes. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"
#include "cql/value.h"

enum {
	CQL_CONTACTS_MAX = 16,
	CQL_HOST_SIZE = 256,            /* of a name, with its NUL */
	CQL_CONTACT_ADDRESSES_MAX = 16, /* of one name */
};

struct cql_contact {
	char host[CQL_HOST_SIZE];
	int port;
};

/* "a, b:9042, [::1]:9043, ::1". Returns 0; -EINVAL with what is wrong. */
MUST_CHECK int cql_contacts_read(const char *text, int port,
	struct cql_contact ret_contacts[CQL_CONTACTS_MAX], size_t *ret_count, struct error *err);

/* Whether the host is an address, which needs no look-up. */
bool cql_contact_is_numeric(const struct cql_contact *contact);

/* The addresses of the host, with the port. Blocks unless cql_contact_is_numeric: the resolver may
 * take as long as it likes. Returns how many there are; 0: none, with a text. */
size_t cql_contact_resolve(const struct cql_contact *contact,
	struct cql_address ret_addresses[CQL_CONTACT_ADDRESSES_MAX], struct error *err);
