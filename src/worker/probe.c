/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/probe.h"

#include "base/macros.h"

enum { CONNECT_MS = 2000, PAUSE_MAX_MS = 10 * 60 * 1000 };

void probe_init(struct probe *probe, int64_t every_ms)
{
	*probe = (struct probe){ .every_ms = every_ms, .pause_ms = every_ms };
}

void probe_deinit(struct probe *probe)
{
	zsock_destroy(&probe->push);
}

/* Workers that lost a server at the same time do not come back to it at the same time. */
static void rest(struct probe *probe, int64_t now_ms)
{
	zsock_destroy(&probe->push);
	probe->next_ms = now_ms + probe->pause_ms + (int64_t)randof(probe->pause_ms / 4 + 1);
}

void probe_restart(struct probe *probe, int64_t now_ms)
{
	probe->candidate = 0;
	rest(probe, now_ms);
}

void probe_disappoint(struct probe *probe)
{
	probe->pause_ms =
		MIN_OF(probe->pause_ms * 2, MAX_OF((int64_t)PAUSE_MAX_MS, probe->every_ms));
}

void probe_satisfy(struct probe *probe)
{
	probe->pause_ms = probe->every_ms;
}

static void begin(struct probe *probe, const struct server *server, int64_t now_ms)
{
	probe->next_ms = now_ms + CONNECT_MS;
	probe->push = zsock_new(ZMQ_PUSH);
	if (!probe->push)
		return;
	zsock_set_immediate(probe->push, 1);
	zsock_set_linger(probe->push, 0);
	zsock_set_ipv6(probe->push, server->is_ipv6);
	if (zsock_connect(probe->push, "%s", server->push) < 0)
		zsock_destroy(&probe->push);
}

/* The candidate is not there; the next one is looked for later. */
static void give_up(struct probe *probe, size_t present, int64_t now_ms)
{
	probe->candidate = (probe->candidate + 1) % present;
	rest(probe, now_ms);
}

size_t probe_look(
	struct probe *probe, const struct servers *servers, size_t present, int64_t now_ms)
{
	if (present == 0 || probe->every_ms == 0)
		return present;
	if (probe->push && zsock_events(probe->push) & ZMQ_POLLOUT) {
		rest(probe, now_ms);
		return probe->candidate;
	}
	if (now_ms < probe->next_ms)
		return present;
	if (probe->push)
		give_up(probe, present, now_ms);
	else
		begin(probe, &servers->items[probe->candidate], now_ms);
	return present;
}
