/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Until when a worker's readings have arrived: what its messages say, as far as their numbers have
 * come without a hole. What a message above a hole says waits here; when too much waits, the lowest
 * number's word is forgotten, for the later ones say more. */

#include <stddef.h>
#include <stdint.h>

enum { FRONTIER_AHEAD_MAX = 32 };

struct frontier {
	int64_t until_ms; /* 0: not known */
	struct {
		uint64_t sequence;
		int64_t until_ms;
	} ahead[FRONTIER_AHEAD_MAX];
	size_t count;
};

/* Message `sequence` says that everything until then is in it or in earlier ones; 0: nothing. */
void frontier_note(struct frontier *frontier, uint64_t sequence, int64_t until_ms);

/* Every number up to `sequence` has come. */
void frontier_reach(struct frontier *frontier, uint64_t sequence);
