# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Two kanyun-servers on one Cassandra, killed in turn; workers and APIs go on with the other one."""

import os
import random
import sys

import pytest

import harness
from harness import Api, Questions, Worker, until
from test_store import KEYSPACES, CassandraServer

sys.path.insert(0, os.path.join(harness.ROOT, "tests/faults"))

from fakes import FakeVms  # noqa: E402
from load import Load, check, check_usages, note  # noqa: E402


class Side:
    """One of the two, which gets the same ports whenever it starts."""

    def __init__(self, start, node, keyspace):
        first = harness.free_ports(3)
        self.start, self.node, self.keyspace = start, node, keyspace
        self.host, self.rep = f"127.0.0.1:{first}:{first + 1}", f"127.0.0.1:{first + 2}"
        self.options = [f"server.port={first}", f"server.pub_port={first + 1}",
                        f"server.rep_port={first + 2}", "server.worker_dead_seconds=30"]
        self.server, self.is_alive = None, False
        self.toggle()

    def toggle(self):
        """Kills it, or starts it again."""
        if self.is_alive:
            self.server.kill()
        else:
            self.server = self.start(
                CassandraServer, self.node, *self.options, keyspace=self.keyspace)
        self.is_alive = not self.is_alive

    def __getattr__(self, name):
        return getattr(self.server, name)

    def gaps(self):
        return self.questions.ask("store.records", kind="gap", prefix="")[1]


@pytest.fixture
def sides(start, cassandra):
    keyspace = next(KEYSPACES)
    return [Side(start, cassandra, keyspace) for _ in range(2)]


def wait_all(fleet, side, after_ms):
    until(lambda: all(vms.last_ms(side) > after_ms for vms in fleet), "every worker goes on")


def test_workers_and_an_api_go_on_whichever_server_is_killed(sides, start, tmp_path):
    fleet = [FakeVms(tmp_path, f"compute{i}") for i in range(3)]
    hosts = ", ".join(side.host for side in sides)
    for vms in fleet:
        start(Worker, *vms.options, f"worker.dataserver_host={hosts}",
              "worker.dataserver_return_seconds=1", "worker.worker_timeout=1")
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                "api.server_host=" + ", ".join(side.rep for side in sides))
    questions = Questions(api.endpoints["rep"])
    wanted = {each for vms in fleet for each in vms.uuids}
    for side, other in [sides, sides[::-1]]:
        wait_all(fleet, side, FakeVms.now_ms())
        killed_ms = FakeVms.now_ms()
        side.toggle()
        wait_all(fleet, other, killed_ms)
        assert {each["id"] for each in questions.ask("instances")[0]} == wanted
        side.toggle()
        for each in sides:
            found = until(lambda: len(each.workers()) == 3 and each.workers(), "3 workers")
            assert all(worker["alive"] for worker in found.values()), found
    wait_all(fleet, sides[0], FakeVms.now_ms())
    for side in sides:
        counters = side.counters()
        assert counters["gone"] == counters["conflicting"] == 0
        assert side.gaps() == b""
    for vms in fleet:
        seconds = sorted(time_ms // 1000 for time_ms in vms.check(sides[0]) if time_ms % 1000 == 0)
        assert seconds == list(range(seconds[0], seconds[-1] + 1))


def test_messages_that_go_to_either_server_are_there_once(sides, start):
    rng, load, runs, in_flight = random.Random(5), Load(seed=5), 0, 0
    for host in load.hosts:
        host.connect(rng.choice(sides))
    for _ in range(30):
        load.pump_for(rng.uniform(0.05, 0.4))
        if rng.random() < 0.2:
            runs += 1
            in_flight += sum(host.in_flight() for host in load.hosts) > 0
            rng.choice(sides).toggle()
        for host in load.hosts:
            if rng.random() < 0.4:
                host.close()
                host.connect(rng.choice(sides))
    for host in load.hosts:
        host.close()
    for side in sides:
        if not side.is_alive:
            side.toggle()
    load.finish(rng.choice(sides))
    for side in sides:
        assert side.gaps() == b""
        found = check(load, side)
    check_usages(load, sides[0], start)
    note("one of two servers on Cassandra is killed", runs, found, in_flight / max(runs, 1))
