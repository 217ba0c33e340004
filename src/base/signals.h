/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Signals of a daemon, as events of its loop: SIGINT and SIGTERM end the loop, SIGHUP opens the log
 * again, SIGUSR1 and SIGUSR2 go to the program. SIGPIPE is ignored. */

#include <czmq.h>

#include "base/error.h"
#include "base/macros.h"

struct signals;

/* Called in the loop's thread with SIGUSR1 or SIGUSR2. */
typedef void (*signals_fn)(void *context, int number);

/* To be called before any thread starts, so that all of them inherit the mask. on_user may be NULL:
 * then those two do nothing. */
MUST_CHECK int signals_new(zloop_t *loop, signals_fn on_user, void *context,
	struct signals **ret_signals, struct error *err);
struct signals *signals_free(struct signals *signals);
CLEANUP_DEFINE(struct signals, signals_free)
