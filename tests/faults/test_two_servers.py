# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Two servers on one store (two-servers.c): workers go from one to the other, whichever dies."""

import random
import signal

import pytest

from fakes import FakeVms, wait_all
from harness import Api, Program, Questions, Server, Worker, until
from load import Load, check_usages, go_between, note, seeds


class TwoServers(Program):
    name = "two-servers"
    path = "tests/faults/two-servers"

    def __init__(self, directory, *options, **keywords):
        super().__init__(directory, *options, **keywords)
        self.sides = [Side(self, place) for place in (0, 1)]

    def hosts(self):
        return ", ".join(side.host for side in self.sides)


class Side:
    """One of the two."""

    counters, wait_counter, workers, scan = (
        Server.counters, Server.wait_counter, Server.workers, Server.scan)

    def __init__(self, program, place):
        self.program, self.place, self.is_alive = program, place, True
        self.endpoints = {word: program.endpoints[f"{word}{place}"]
                          for word in ("pull", "pub", "rep")}
        self.ports = {word: each.rpartition(":")[2] for word, each in self.endpoints.items()}
        self.host = "127.0.0.1:{pull}:{pub}".format(**self.ports)
        self.questions = Questions(self.endpoints["rep"])
        self.tail = program.tail

    def toggle(self):
        """Kills it, or starts it again."""
        before = len(self.program.lines)
        self.program.signal([signal.SIGUSR1, signal.SIGUSR2][self.place])
        self.is_alive = not self.is_alive
        word = "runs" if self.is_alive else "is dead"
        self.program.wait_line(f"server {self.place} {word}", after=before)

    def gaps(self):
        """The frame of bytes of all gaps that were recorded."""
        return self.questions.ask("store.records", kind="gap", prefix="")[1]


@pytest.fixture
def servers(start):
    return start(TwoServers)


def test_workers_go_on_whichever_server_dies(servers, start, tmp_path):
    first, second = servers.sides
    fleet = [FakeVms(tmp_path, f"compute{i}") for i in range(4)]
    for vms in fleet:
        start(Worker, *vms.options, f"worker.dataserver_host={servers.hosts()}",
              "worker.dataserver_return_seconds=1", "worker.worker_timeout=1")
    wait_all(fleet, first, 0)
    # They spread. (Which of them prefers which server depends on the ports.)
    used = {side for side in servers.sides if side.counters()["stored"]}
    for side in [first, second, first]:
        other = servers.sides[1 - side.place]
        used |= {each for each in servers.sides if each.counters()["stored"]}
        killed_ms = FakeVms.now_ms()
        side.toggle()
        wait_all(fleet, other, killed_ms)
        assert other.counters()["gone"] == 0
        side.toggle()
        wait_all(fleet, side, FakeVms.now_ms())
        for each in servers.sides:
            # Each knows all workers, whoever hears them.
            found = until(lambda: len(each.workers()) == 4 and each.workers(), "4 workers")
            assert all(worker["alive"] for worker in found.values()), found
    assert len(used) == 2
    for side in servers.sides:
        assert side.counters()["gone"] == side.counters()["conflicting"] == 0
        assert side.gaps() == b""
    for vms in fleet:
        vms.check_every_second(first)
    assert servers.count_lines("is dead: silent") == 0


@pytest.mark.parametrize("seed", seeds(20))
def test_messages_that_go_to_either_server_are_there_once(servers, start, seed):
    rng, load, sides = random.Random(seed), Load(seed=seed), servers.sides
    runs, in_flight, found = go_between(load, sides, rng, turns=60, pause=(0.02, 0.2), changes=0.3)
    check_usages(load, sides[0], start)
    note("one of two servers dies, workers go from one to the other", runs, found,
         in_flight / max(runs, 1))


def test_an_api_goes_on_whichever_server_dies(servers, start):
    load = Load()
    load.connect(servers.sides[0])
    load.pump_for(0.2)
    load.close()
    load.finish(servers.sides[0])
    hosts = ", ".join(f"127.0.0.1:{side.ports['rep']}" for side in servers.sides)
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_host={hosts}")
    questions = Questions(api.endpoints["rep"])
    wanted = {vm["uuid"] for host in load.hosts for vm in host.vms}
    for side in [*servers.sides, *servers.sides]:
        side.toggle()
        found, _ = questions.ask("instances")
        assert {instance["id"] for instance in found} == wanted
        answers = [each["answers"] for each in questions.ask("status")[0]["servers"]]
        assert answers == [each is not side for each in servers.sides]
        side.toggle()
