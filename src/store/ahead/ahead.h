/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A store that reads ahead, for one question about many instances: it is asked about one after the
 * other, and asks the store behind it about many at once.
 *
 * Instances, sources and records are asked for once, so that all parts of the answer are of one
 * moment. What is scanned of the first instance is expected of the next ones, too: the same window,
 * edges and columns. What was not expected is asked for as it comes. One thread. */

#include "base/macros.h"
#include "store/store.h"

/* The UUIDs in the order in which they will be scanned; a copy is kept. The store behind is not
 * closed with it. 0 or -ENOMEM. */
MUST_CHECK int ahead_store_new(
	struct store *behind, const struct uuid *instances, size_t count, struct store **ret_store);
