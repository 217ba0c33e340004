# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-server, killed at random moments while hosts send to it."""

import random

import pytest

from harness import Server
from load import Load, check, check_usages, note, seeds

OPTIONS = ["server.seal_after_seconds=1", "server.retention_check_seconds=1", "log.level=warning"]


@pytest.mark.parametrize("seed", seeds(17))
def test_killed_at_any_moment_it_keeps_what_it_acknowledged(start, seed):
    kills, in_flight = 60, 0
    rng, load = random.Random(seed), Load(seed=seed)
    for kill in range(kills):
        server = start(Server, *OPTIONS)
        load.connect(server)
        before = [host.acknowledged for host in load.hosts]
        # The maintenance begins after a second: some live long enough to be killed in it.
        load.pump_for(rng.uniform(0.95, 1.2) if kill % 8 == 7 else rng.uniform(0.005, 0.15))
        server.kill()
        in_flight += load.drain() > 0
        load.close()
        server = start(Server, *OPTIONS)
        check(load, server, last=max(host.acknowledged - begin
                                     for host, begin in zip(load.hosts, before)) + 10)
        server.kill()
    server = start(Server, *OPTIONS)
    load.finish(server)
    found = check(load, server)
    check_usages(load, server, start)
    assert in_flight >= 0.9 * kills
    note("server killed", kills, found, in_flight / kills)


@pytest.mark.parametrize("seed", seeds(10))
def test_ended_in_good_order_under_load_it_keeps_what_it_acknowledged(start, seed):
    ends = 10
    rng, load = random.Random(seed), Load(seed=seed)
    for _ in range(ends):
        server = start(Server, *OPTIONS)
        load.connect(server)
        load.pump_for(rng.uniform(0.005, 0.1))
        server.stop()
        load.drain()
        load.close()
    server = start(Server, *OPTIONS)
    load.finish(server)
    note("server ended under load", ends, check(load, server))
