/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/frontier.h"

static size_t lowest(const struct frontier *frontier)
{
	size_t place = 0;

	for (size_t i = 1; i < frontier->count; i++)
		if (frontier->ahead[i].sequence < frontier->ahead[place].sequence)
			place = i;
	return place;
}

static void forget(struct frontier *frontier, size_t place)
{
	frontier->ahead[place] = frontier->ahead[--frontier->count];
}

void frontier_note(struct frontier *frontier, uint64_t sequence, int64_t until_ms)
{
	if (!until_ms)
		return;
	if (frontier->count == FRONTIER_AHEAD_MAX)
		forget(frontier, lowest(frontier));
	frontier->ahead[frontier->count].sequence = sequence;
	frontier->ahead[frontier->count++].until_ms = until_ms;
}

void frontier_reach(struct frontier *frontier, uint64_t sequence)
{
	while (frontier->count) {
		size_t place = lowest(frontier);

		if (frontier->ahead[place].sequence > sequence)
			return;
		frontier->until_ms = frontier->ahead[place].until_ms;
		forget(frontier, place);
	}
}
