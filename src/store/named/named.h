/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Stores by their names: sqlite:DIRECTORY, and cassandra:HOSTS or cassandra:HOSTS/KEYSPACE. */

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

/* The configuration says what the name does not. Returns as the backend's constructor; -EINVAL if
 * nothing is called so. */
MUST_CHECK int named_store_new(
	const struct config *config, const char *name, struct store **ret_store, struct error *err);
