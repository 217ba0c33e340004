/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Stores by their names: sqlite:DIRECTORY, and cassandra:HOSTS or cassandra:HOSTS/KEYSPACE. */

#include <stdbool.h>

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

/* The configuration says what the name does not. What is not there is made, unless the store is
 * only to be read. Returns as the backend's constructor; -ENOENT; -EINVAL if nothing is called so.
 */
MUST_CHECK int named_store_new(const struct config *config, const char *name, bool only_reads,
	struct store **ret_store, struct error *err);
