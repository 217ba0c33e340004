/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The few forms that the protocol's bodies are made of, under the names of its specification. What
 * does not fit leaves the cursor broken and is empty. */

#include "base/cursor.h"
#include "cql/value.h"

struct cql_bytes cql_notation_string(struct cursor *cursor); /* and [short bytes] */
struct cql_bytes cql_notation_bytes(struct cursor *cursor);  /* null is empty */
struct cql_value cql_notation_value(struct cursor *cursor);  /* unset is null */
struct cql_address cql_notation_inet(struct cursor *cursor); /* address and port */

/* Passes over the list, and gives its first string (empty if it has none). */
struct cql_bytes cql_notation_string_list(struct cursor *cursor);
