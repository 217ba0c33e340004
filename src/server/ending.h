/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A server that was told to end does so within some seconds, though its store does not answer.
 *
 * A thread of its own sees SIGINT and SIGTERM coming, whatever the loop waits for. What asks the
 * store has some seconds then; all that asks it later fails. */

#include <stdbool.h>

#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

struct ending;

/* To be called when the signals are blocked. */
MUST_CHECK int ending_new(struct ending **ret_ending, struct error *err);

/* The store that is asked, which is not freed before there is another one or NULL: none. */
void ending_watch(struct ending *ending, struct store *store);

/* The seconds begin, if they have not yet. */
void ending_begin(struct ending *ending);

/* Whether they are over. */
bool ending_is_over(struct ending *ending);

struct ending *ending_free(struct ending *ending);
CLEANUP_DEFINE(struct ending, ending_free)
