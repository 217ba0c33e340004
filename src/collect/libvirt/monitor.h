/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The parent's side of the children that ask QEMU (child.h).
 *
 * A child whose answer does not come in time is set aside and a new one is used: killing it would
 * not free libvirtd's worker, and its late answer is the proof that the VM goes on. At most
 * HANGS_MAX are set aside; until one of them answers, nothing that asks QEMU is asked. */

#include <stdbool.h>
#include <stdint.h>

#include "collect/libvirt/hangs.h"
#include "model/batch.h"

struct monitor;

/* Two questions may be under way at once, each with a child of its own. */
enum monitor_lane {
	MONITOR_ROUND,
	MONITOR_EVENT, /* used while the round's question is not answered */
	_MONITOR_LANES,
};

/* Called before this process has other threads, the first child costs little memory: it is a fork.
 * Later ones are programs of their own. */
MUST_CHECK int monitor_new(const char *uri, const char *directory, struct monitor **ret_monitor);

/* Kills the children; their hung calls stay counted. */
struct monitor *monitor_free(struct monitor *monitor);

/* Asks for the groups of the domain, NULL: of all. False if that is not allowed now (calls that
 * hang and questions under way are at most HANGS_MAX), or if there is no child. */
bool monitor_ask(struct monitor *monitor, enum monitor_lane lane, unsigned int groups,
	const struct uuid *uuid);

/* Waits for the answer; its tuples are readings in *ret_batch. 0; -EAGAIN: not within the time,
 * wait again or give up; other: there is no answer. */
MUST_CHECK int monitor_wait(
	struct monitor *monitor, enum monitor_lane lane, int timeout_ms, struct batch **ret_batch);

/* The answer did not come. */
void monitor_give_up(struct monitor *monitor, enum monitor_lane lane);

/* Looks whether children that were set aside answered meanwhile. */
void monitor_check(struct monitor *monitor);

/* Every VM proved to be alive otherwise: calls that an earlier worker left hanging are over. */
void monitor_forget_inherited(struct monitor *monitor);

int monitor_hung_calls(const struct monitor *monitor);
