# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Two servers and two APIs on three nodes of Cassandra, any of which may die."""

import itertools
import os
import random

import pytest

from harness import Worker, until
from sharing import Hosts, Oracle, Site

from fakes import FakeVms
from load import check, check_usages, note, seeds

HOSTS = 10
MORE = 40  # messages of each host, in each state of affairs
NUMBERS = itertools.count(1)


class Everything:
    """The site, ten hosts and two workers of ours, and who asks."""

    def __init__(self, start, cluster, tmp_path, keyspace, seed):
        self.rng = random.Random(seed)
        self.start, self.cluster = start, cluster
        self.site = Site(start, cluster, keyspace, replicas=3)
        self.hosts = Hosts(HOSTS, self.site.servers, seed)
        self.oracle = Oracle(self.hosts, self.rng)
        self.vms = [FakeVms(tmp_path, name) for name in ("ours-1", "ours-2")]
        self.workers = [start(Worker, *each.options, *self.site.worker_options())
                        for each in self.vms]
        self.hosts.pump_until_each_has(2)
        self.go_on()

    def ask(self):
        for api in self.site.apis:
            if api.process.poll() is None:
                self.oracle.ask(api)

    def answers(self):
        """Each API that runs comes to answer, and rightly."""
        for api in self.site.apis:
            if api.process.poll() is None:
                until(lambda api=api: self.hosts.pump() and self.oracle.ask(api), "an answer")

    def go_on(self):
        """Until now, and to the middle of something."""
        self.answers()
        self.hosts.pump_until_each_has(MORE, meanwhile=self.ask)
        self.hosts.pump_for(self.rng.uniform(0.05, 0.4))

    def finish(self):
        """Everything that was sent is there, once, at both servers; our workers have caught up."""
        healed_ms = FakeVms.now_ms()
        for each in self.vms:
            until(lambda each=each: self.hosts.pump() and each.last_ms(
                self.site.servers[0]) > healed_ms, "our workers have caught up")
        for worker in self.workers:
            worker.stop()
        self.hosts.finish(self.site.servers[1])
        found = [check(self.hosts.load, server) for server in self.site.servers]
        assert found[0] == found[1]
        for each in self.vms:
            each.check_every_second(self.site.servers[0])
        check_usages(self.hosts.load, self.site.servers[0], self.start)
        return found[0]


@pytest.fixture
def everything(start, cluster, tmp_path, seed):
    return Everything(start, cluster, tmp_path, f"site_{next(NUMBERS)}", seed)


def spooled_bytes(vms):
    return sum(os.path.getsize(os.path.join(folder, name))
               for each in vms for folder, _, names in os.walk(each.spool) for name in names)


@pytest.mark.parametrize("seed", seeds(2))
def test_a_node_then_a_server_then_an_api_die_and_nothing_is_lost_or_wrong(everything):
    site, hosts, cluster = everything.site, everything.hosts, everything.cluster
    victim = everything.rng.randrange(3)
    killed = cluster.kill(victim)
    everything.go_on()
    with hosts.pumping():
        cluster.wait_noticed(killed)
    everything.go_on()

    hosts.halves[0].pump()
    site.servers[0].kill()
    in_flight = hosts.leave(0)
    hosts.move(0, site.servers[1])
    everything.go_on()

    site.apis[0].kill()
    everything.go_on()

    with hosts.pumping():
        cluster.start_again(victim)
    site.start_server_again(0)
    site.start_api_again(0)
    hosts.halves[0].close()
    hosts.move(0, site.servers[0])
    everything.go_on()
    assert in_flight > 0
    note("a node, a server, an API killed", 1, everything.finish(), True,
         **everything.oracle.counts())


@pytest.mark.parametrize("seed", seeds(2))
def test_with_two_nodes_dead_nothing_is_acknowledged_and_all_of_it_comes_later(everything):
    site, hosts, cluster = everything.site, everything.hosts, everything.cluster
    marks = [len(server.lines) for server in site.servers]
    spooled = spooled_bytes(everything.vms)
    dead = everything.rng.sample(range(3), 2)
    for victim in dead:
        cluster.kill(victim)
    for server, mark in zip(site.servers, marks):
        until(lambda server=server, mark=mark: hosts.pump() and any(
            "cannot" in line for line in server.lines[mark:]), "the server complains")
    hosts.pump()
    acknowledged = hosts.acknowledged()
    until(lambda: hosts.pump() and spooled_bytes(everything.vms) > spooled, "our workers spool")
    assert hosts.acknowledged() == acknowledged
    everything.ask()

    with hosts.pumping():
        cluster.start_again(*dead)
    everything.go_on()
    note("two nodes of three killed", 1, everything.finish(), **everything.oracle.counts())
