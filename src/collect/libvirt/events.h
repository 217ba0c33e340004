/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What libvirt says happened to domains, in its order, each with the time at which it was heard.
 * Filled by libvirt's event thread, emptied by the reader; whoever shares one locks it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/instance.h"

enum { EVENTS_MAX = 512, EVENT_ALIAS_SIZE = 64 };

enum event_kind {
	EVENT_CHANGED, /* its description */
	EVENT_DEFINED,
	EVENT_UNDEFINED,
	EVENT_STARTED,
	EVENT_SUSPENDED,
	EVENT_RESUMED,
	EVENT_SHUTDOWN, /* QEMU is about to go */
	EVENT_STOPPED,  /* QEMU is gone */
	EVENT_PMSUSPENDED,
	EVENT_CRASHED,
	EVENT_DEVICE_ADDED,
	EVENT_DEVICE_REMOVED,
};

struct event {
	struct uuid uuid;
	enum event_kind kind;
	int detail; /* libvirt's, by kind */
	int id;     /* libvirt's number of the run, -1 where there is none */
	int64_t time_ms;
	char alias[EVENT_ALIAS_SIZE]; /* of a device */
};

struct events {
	struct event items[EVENTS_MAX];
	size_t count;
	bool is_overflown; /* some were lost: whatever was known may have changed */
	int64_t last_ms;
};

/* Keeps a copy that has the time now_ms, or 1 ms after the one before: no two are at one time. */
void events_add(struct events *events, const struct event *event, int64_t now_ms);

/* Moves all of them. */
void events_move(struct events *from, struct events *to);
