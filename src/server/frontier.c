/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/frontier.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "store/gaps.h"

void frontier_deinit(struct frontier *frontier)
{
	free(frontier->ahead);
	frontier->ahead = NULL;
	frontier->count = frontier->room = 0;
}

static bool make_room(struct frontier *frontier)
{
	size_t room = frontier->room ? 2 * frontier->room : 8;
	struct frontier_note *larger;

	if (frontier->count < frontier->room)
		return true;
	if (room > FRONTIER_AHEAD_MAX)
		return false;
	larger = reallocarray(frontier->ahead, room, sizeof(*larger));
	if (!larger)
		return false;
	frontier->ahead = larger;
	frontier->room = room;
	return true;
}

/* The waiting message with the lowest number. */
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

/* The one behind it then follows the one before it. */
static void forget_lowest(struct frontier *frontier)
{
	size_t place = lowest(frontier);
	const struct frontier_note forgotten = frontier->ahead[place];

	forget(frontier, place);
	for (size_t i = 0; i < frontier->count; i++)
		if (frontier->ahead[i].previous == forgotten.sequence)
			frontier->ahead[i].previous = forgotten.previous;
}

void frontier_take(struct frontier *frontier, const struct frontier_note *note)
{
	if (note->sequence <= frontier->last)
		return;
	/* What came already may follow an earlier one now, where those between were thinned out. */
	for (size_t i = 0; i < frontier->count; i++)
		if (frontier->ahead[i].sequence == note->sequence) {
			frontier->ahead[i].previous =
				MIN_OF(frontier->ahead[i].previous, note->previous);
			return;
		}
	if (!make_room(frontier) && frontier->count)
		forget_lowest(frontier);
	if (frontier->count < frontier->room)
		frontier->ahead[frontier->count++] = *note;
}

/* What is lost may be a part of the round that the message behind it ends. Before anything was
 * told, it is no gap, but that round does not tell of all. */
static void lose(struct frontier *frontier, const char *reason, const struct frontier_note *behind)
{
	int64_t to_ms = MAX_OF(behind->last_ms, behind->until_ms);

	if (frontier->lost.reason)
		frontier->lost.to_ms = MAX_OF(frontier->lost.to_ms, to_ms);
	else
		frontier->lost = (struct frontier_gap){ reason, frontier->until_ms, to_ms };
}

/* Whether a gap is whole now. Until it is, the frontier stands. */
static bool tell(
	struct frontier *frontier, const struct frontier_note *note, struct frontier_gap *ret_gap)
{
	const struct frontier_gap lost = frontier->lost;
	bool is_gap = lost.reason && frontier->until_ms;

	if (lost.reason && note->until_ms <= lost.to_ms)
		return false;
	if (is_gap)
		*ret_gap = (struct frontier_gap){ lost.reason, MIN_OF(lost.from_ms, note->until_ms),
			MAX_OF(lost.from_ms, note->until_ms) };
	frontier->lost.reason = NULL;
	if (!frontier->first_ms)
		frontier->first_ms = note->until_ms;
	frontier->until_ms = note->until_ms;
	frontier->heard_ms = note->heard_ms;
	return is_gap;
}

bool frontier_reach(struct frontier *frontier, uint64_t sequence, struct frontier_gap *ret_gap)
{
	while (frontier->count) {
		size_t place = lowest(frontier);
		const struct frontier_note note = frontier->ahead[place];

		if (note.sequence > sequence)
			return false;
		forget(frontier, place);
		if (note.previous > frontier->last)
			lose(frontier, "missing", &note);
		if (note.is_refused)
			lose(frontier, "refused", &note);
		frontier->last = note.sequence;
		if (note.until_ms && tell(frontier, &note, ret_gap))
			return true;
	}
	return false;
}

/* The reasons of gaps, whole and not yet. */
static const char *const reasons[][2] = { { "missing", "missing" GAP_OPEN },
	{ "refused", "refused" GAP_OPEN } };

bool frontier_lost(const struct frontier *frontier, struct frontier_gap *ret_gap)
{
	if (!frontier->lost.reason || !frontier->until_ms)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(frontier->lost.reason, reasons[i][0]) == 0)
			*ret_gap = (struct frontier_gap){ reasons[i][1], frontier->lost.from_ms,
				MAX_OF(frontier->lost.to_ms, frontier->lost.from_ms + 1) };
	return true;
}

void frontier_follow(struct frontier *frontier, const struct frontier *further)
{
	if (further->last <= frontier->last)
		return;
	for (size_t i = frontier->count; i-- > 0;)
		if (frontier->ahead[i].sequence <= further->last)
			forget(frontier, i);
	frontier->last = further->last;
	frontier->first_ms = further->first_ms;
	frontier->until_ms = further->until_ms;
	frontier->heard_ms = further->heard_ms;
	frontier->lost = further->lost;
}

void frontier_resume(struct frontier *frontier, const struct frontier_gap *gap)
{
	for (size_t i = 0; frontier->until_ms && i < ARRAY_SIZE(reasons); i++)
		if (strcmp(gap->reason, reasons[i][1]) == 0 && gap->from_ms == frontier->until_ms)
			frontier->lost = (struct frontier_gap){ reasons[i][0], gap->from_ms,
				MAX_OF(frontier->lost.to_ms, gap->to_ms) };
}
