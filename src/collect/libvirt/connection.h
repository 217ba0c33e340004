/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A read-only connection to libvirt with its events, which come on a thread of their own. */

#include <libvirt/libvirt.h>

#include "collect/libvirt/events.h"

struct connection_events {
	/* On the event thread. The event's time is not set. */
	void (*happened)(void *context, const struct event *event);
	void (*lost)(void *context);
	void *context;
};

/* Once in a process, before the first connection; starts the event thread. 0 or negative. */
MUST_CHECK int connection_prepare(void);

struct connection;

/* NULL: libvirt's reason is in text. events is kept until connection_close, after which nothing is
 * told any more, though libvirt may still have events under way. */
struct connection *connection_open(
	const char *uri, const struct connection_events *events, char *text, size_t size);
struct connection *connection_close(struct connection *connection);

virConnectPtr connection_handle(const struct connection *connection);
