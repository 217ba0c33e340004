/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Gaps as records: all of one is in its key, so that storing it twice is storing it once. A host's
 * gaps lie together, by time. */

#include "base/macros.h"
#include "model/batch.h"
#include "store/store.h"

#define GAP_KIND "gap"

/* With this a reason ends where it is not known yet until when the gap is: its host's frontier
 * stands at its beginning. Answers do not show it. */
#define GAP_OPEN "-open"

/* The value of a gap that is none any more: what was lost was found again. */
#define GAP_WITHDRAWN "withdrawn"

/* That of one whose readings another store lost, from which this one was copied. Else it is empty.
 */
#define GAP_ELSEWHERE "elsewhere"

enum { GAP_KEY_SIZE = RECORD_TEXT_MAX + 1 };

bool gap_is_open(const struct gap *gap);
bool gap_is_withdrawn(const struct store_record *record);

/* NULL if it does not fit. */
const char *gap_key(const char *host, const struct gap *gap, char key[GAP_KEY_SIZE]);

/* With which the keys of a host's gaps begin. */
const char *gap_key_of_host(const char *host, char key[GAP_KEY_SIZE]);

/* -EBADMSG if it is no such key. The reason points into the key. */
MUST_CHECK int gap_of_key(const char *key, struct gap *ret_gap);

/* Calls `each` for the gaps of a batch, as records. Returns the first result that is not 0. */
MUST_CHECK int gaps_each(const struct batch *batch, store_record_fn each, void *context);
