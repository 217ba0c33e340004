# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""One server with its readings in Cassandra: what is acknowledged is there, whoever dies."""

import itertools
import random

import pytest
from node import PASSWORD, USER, Node
from sharing import store_options

from harness import Server, until
from load import LONG, Load, check, check_usages, note

NUMBERS = itertools.count(1)
KILLS = 30 if LONG else 4


@pytest.fixture
def keyspace():
    return f"server_{next(NUMBERS)}"


def pump_until(load, more):
    goal = load.acknowledged_samples() + more
    until(lambda: load.pump() or load.acknowledged_samples() >= goal, f"{more} samples more")


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(start, cassandra, keyspace):
    rng, load, in_flight = random.Random(1), Load(), 0
    options = [*store_options(cassandra, keyspace), "log.level=warning"]
    for _ in range(KILLS):
        server = start(Server, *options)
        load.connect(server)
        pump_until(load, 30)
        load.pump_for(rng.uniform(0.005, 0.3))
        server.kill()
        in_flight += load.drain() > 0
        load.close()
    server = start(Server, *options)
    load.finish(server)
    found = check(load, server)
    check_usages(load, server, start)
    assert in_flight >= 0.5 * KILLS
    note("server on Cassandra killed", KILLS, found, in_flight / KILLS)


def secure_options(place, keyspace, certificates):
    return [*store_options(place, keyspace), "cassandra.tls=yes", f"cassandra.username={USER}",
            f"cassandra.password={PASSWORD}", f"cassandra.ca_file={certificates.authority}"]


def test_it_logs_in_over_tls(start, secure_cassandra, certificates, keyspace):
    server, load = start(Server, *secure_options(secure_cassandra, keyspace, certificates)), Load()
    load.connect(server)
    pump_until(load, 300)
    load.close()
    load.finish(server)
    check(load, server)


@pytest.mark.parametrize("wrong", ["cassandra.password=wrong", "cassandra.username=",
                                   "cassandra.ca_file=stranger", "cassandra.tls=no"])
def test_it_does_not_start_where_it_is_refused_and_says_why(
        tmp_path, secure_cassandra, certificates, keyspace, wrong):
    if wrong.endswith("stranger"):
        wrong = f"cassandra.ca_file={certificates.stranger}"
    options = secure_options(secure_cassandra, keyspace, certificates)
    server = Server(tmp_path, *options, wrong, wait=False)
    try:
        assert secure_cassandra.address in server.wait_line("annot")
        assert not server.endpoints
    finally:
        server.kill()


def test_without_cassandra_it_waits_and_goes_on_by_itself(start, tmp_path, keyspace):
    node, load = Node(tmp_path / "node", heap="256M", commit_log="batch"), Load()
    server = Server(tmp_path, *store_options(node, keyspace), wait=False)
    try:
        server.wait_line("waiting until it can be")
        node.start()
        server.wait_ready()
        load.connect(server)
        pump_until(load, 300)

        mark = len(server.lines)
        node.kill()
        until(lambda: load.pump() or any("cannot" in line for line in server.lines[mark:]),
              "the server complains")
        load.pump()
        acknowledged = load.acknowledged_samples()
        load.pump_for(2)
        assert load.acknowledged_samples() == acknowledged

        node.start()
        pump_until(load, 300)
        load.close()
        load.finish(server)
        note("lone Cassandra killed", 1, check(load, server))
        server.stop()
    finally:
        server.kill()
        node.end()
