/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The store that the configuration names. */

#include <czmq.h>

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "server/ending.h"
#include "store/store.h"

/* Waits for a store that cannot be reached, and says so; the loop runs meanwhile, for signals. A
 * store that may keep those waiting who ask it is watched.
 * Returns 0; OPENING_ENDED if it was a signal that ended the loop; negative. */
enum opening_outcome { OPENING_DONE = 0, OPENING_ENDED };
MUST_CHECK int opening_store(zloop_t *loop, const struct config *config, struct ending *ending,
	struct store **ret_store, struct error *err);
