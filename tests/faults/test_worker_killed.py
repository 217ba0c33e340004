# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-workers are killed, with the server or while it does not answer: what they put into their
spools arrives, once."""

import random
import signal
import threading

import pytest

import harness
from fakes import RATES, FakeVms
from harness import Server, Worker, until
from load import Found, note, seeds
from test_spool import spooled

WORKERS = 6


class Host:
    """A worker that is started again and again, and what was ever seen in its spool."""

    def __init__(self, directory, number, ports):
        self.vms = FakeVms(directory, f"worker-{number}")
        self.options = self.vms.options + [
            "worker.dataserver_host=127.0.0.1", f"worker.dataserver_port={ports[0]}",
            f"worker.dataserver_pub_port={ports[1]}"]
        self.wanted = set()
        self.worker = None

    def newest(self):
        return max((record.sequence for record in spooled(self.vms.spool)), default=0)

    def kill(self):
        self.worker.kill()
        for record in spooled(self.vms.spool):
            self.wanted |= record.ticks()

    def times(self, server):
        return [{time_ms for (_, _, column), samples in server.scan(each, group).items()
                 if column == 0 for time_ms, _ in samples}
                for each in self.vms.uuids for group in ("cpu", "nic")]

    def lost(self, server):
        return sum(len(self.wanted - times) for times in self.times(server))


@pytest.mark.parametrize("seed", seeds(17))
def test_workers_killed_with_messages_in_flight_lose_nothing(start, tmp_path, seed):
    rounds, rng = 10, random.Random(seed)
    ports = [harness.free_ports(2)]
    ports.append(ports[0] + 1)
    options = [f"server.port={ports[0]}", f"server.pub_port={ports[1]}",
               "server.seal_after_seconds=1", "server.retention_check_seconds=1"]
    hosts = [Host(tmp_path, number, ports) for number in range(WORKERS)]
    server, in_flight = start(Server, *options), 0
    for turn in range(rounds):
        for host in hosts:
            host.worker = start(Worker, *host.options)
        threading.Event().wait(rng.uniform(0, 0.3))  # a random moment
        # From here on nothing is acknowledged.
        server.signal(signal.SIGKILL if turn % 2 else signal.SIGSTOP)
        newest = [host.newest() for host in hosts]
        until(lambda: all(host.newest() > before for host, before in zip(hosts, newest)),
              "messages in flight")
        for host, before in zip(hosts, newest):
            host.kill()
            in_flight += host.newest() > before
        if turn % 2:
            server.kill()
            server = start(Server, *options)
        else:
            server.signal(signal.SIGCONT)
    for host in hosts:
        host.worker = start(Worker, *host.options)
    until(lambda: not any(host.lost(server) for host in hosts), "all has arrived")
    for host in hosts:
        host.worker.stop()
    server.kill()
    server = start(Server, *options)
    for host in hosts:
        host.vms.check(server)
    samples = sum(len(host.wanted) for host in hosts) * len(hosts[0].vms.uuids) * len(RATES)
    kills = rounds * WORKERS
    assert in_flight >= 0.9 * kills
    note("worker killed, every other time with the server", kills,
         Found(samples, sum(host.lost(server) for host in hosts), 0, 0), in_flight / kills)
    assert not any(host.lost(server) for host in hosts)
