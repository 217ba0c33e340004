/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/events.h"

#include <string.h>

#include "base/macros.h"

/* A wall clock that was set back begins anew; what is left of the order then is that of arrival. */
enum { STEP_MS = 1000 };

void events_add(struct events *events, const struct event *event, int64_t now_ms)
{
	if (now_ms <= events->last_ms && events->last_ms - now_ms < STEP_MS)
		now_ms = events->last_ms + 1;
	if (events->count == EVENTS_MAX) {
		events->is_overflown = true;
		return;
	}
	events->last_ms = now_ms;
	events->items[events->count] = *event;
	events->items[events->count++].time_ms = now_ms;
}

void events_move(struct events *from, struct events *to)
{
	memcpy(to->items, from->items, from->count * sizeof(*from->items));
	to->count = from->count;
	to->is_overflown = from->is_overflown;
	from->count = 0;
	from->is_overflown = false;
}
