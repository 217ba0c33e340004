/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Looks from time to time whether a server that is preferred to the present one is there again: it
 * is if a connection is made. Nothing is sent for it, and the present one is used meanwhile. */

#include <czmq.h>
#include <stdint.h>

#include "worker/servers.h"

struct probe {
	int64_t every_ms, pause_ms;
	int64_t next_ms;  /* monotonic: when to begin, or to give up */
	size_t candidate; /* that is tried now, or next */
	zsock_t *push;    /* NULL: nothing is tried now */
};

/* every_ms 0: never looks. */
void probe_init(struct probe *probe, int64_t every_ms);
void probe_deinit(struct probe *probe);

/* Another server is used from now on, the better ones are looked for after the pause. */
void probe_restart(struct probe *probe, int64_t now_ms);

/* What was found turned out to be silent, or to acknowledge: the pause grows, or is short again. */
void probe_disappoint(struct probe *probe);
void probe_satisfy(struct probe *probe);

/* Call it every second or so. Returns the number of a better server that is there, or `present`. */
size_t probe_look(
	struct probe *probe, const struct servers *servers, size_t present, int64_t now_ms);
