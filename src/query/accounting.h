/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the files that make an account share; private to this folder. */

#include "query/account.h"

/* One account on its way. */
struct accounting {
	const struct account_question *question;
	struct account *account;
	size_t unknown_room;
	bool is_out_of_memory;
};

/* Something is not known in a time, and why; outside of the window it does not matter. */
void accounting_add(struct accounting *accounting, const struct reason *reason);

/* A reason that takes nothing from the coverage. */
void accounting_tell(struct accounting *accounting, const struct reason *reason);

/* The answer may still change: what the host did not tell yet. */
void accounting_wait(struct accounting *accounting, const struct timeline_host *host);

/* account-off.c: all that is outside of runs. */
void account_off(struct accounting *accounting);

/* When the instance is known to be defined and off, on one host or (NULL) on any: apart and sorted.
 * The caller frees *ret_spans. */
MUST_CHECK int off_presence(const struct timeline *timeline, const char *only_host,
	struct span **ret_spans, size_t *ret_count);

/* account-runs.c: what is in runs. 0 or -ENOMEM. */
MUST_CHECK int account_runs(struct accounting *accounting);
