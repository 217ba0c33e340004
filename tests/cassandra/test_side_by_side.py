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

from fakes import FakeVms, wait_all  # noqa: E402
from load import Load, check_usages, go_between, note  # noqa: E402


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
        vms.check_every_second(sides[0])


def test_messages_that_go_to_either_server_are_there_once(sides, start):
    rng, load = random.Random(5), Load(seed=5)
    runs, in_flight, found = go_between(load, sides, rng, turns=30, pause=(0.05, 0.4), changes=0.2)
    check_usages(load, sides[0], start)
    note("one of two servers on Cassandra is killed", runs, found, in_flight / max(runs, 1))
