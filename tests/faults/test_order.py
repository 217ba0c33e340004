# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What is sent twice, late, in any order, in pieces or never, as if it had come once and in order."""

import json
import random

import pytest

from harness import Api, Peer, Questions, Server, until
from load import DAY_MS, STEP_MS, Found, Host, Load, check, check_usages, note, seeds

OPTIONS = ["server.seal_after_seconds=1", "server.retention_check_seconds=1", "log.level=warning"]
UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"


@pytest.fixture
def ask(start):
    def ask(server, method, **args):
        port = server.endpoints["rep"].rsplit(":", 1)[1]
        api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}")
        try:
            return Questions(api.endpoints["rep"]).ask(method, **args)[0]
        finally:
            api.stop()

    return ask


def pieces_of(body, rng):
    """A message, or two of which each has only some columns of its tuples."""
    if rng.random() < 0.5:
        return [body]
    halves = [json.loads(body), json.loads(body)]
    for reading, other in zip(halves[0]["readings"], halves[1]["readings"]):
        for row, other_row in zip(reading["data"], other["data"]):
            for i, _ in enumerate(row[2]):
                (row if i % 2 else other_row)[2][i] = None
    return halves


def wait_until_sealed(server):
    until(lambda: server.counters()["store_journal_rows"] and
          server.counters()["store_chunks_written"], "chunks are written")


def make_deliveries(host, rng):
    """300 messages, each one to three times, whole or in two pieces, in any order."""
    deliveries = []
    for _ in range(300):
        message = host.make()
        for _ in range(rng.randint(1, 3)):
            deliveries += [(message, piece) for piece in pieces_of(message.body, rng)]
    rng.shuffle(deliveries)
    return deliveries


def deliver(server, host, deliveries, rng):
    """Under new numbers; some numbers come twice, too."""
    with Peer(server, host.name, host.spool) as peer:
        peer.sequence = host.sent
        for message, piece in deliveries:
            number = peer.send_enveloped("3", piece, times=[message.time] * 2)
            if rng.random() < 0.3:
                peer.send_enveloped("3", piece, sequence=number)
        host.sent = peer.send_enveloped("3", {"host": host.name, "readings": []},
                                        until=host.messages[-1].time)
        peer.wait_ack(host.sent)


@pytest.mark.parametrize("seed", seeds(20))
def test_repeated_late_and_reordered_in_pieces_is_as_in_order(start, seed):
    rng, load, lives = random.Random(seed), Load(hosts=2, seed=seed), 5
    deliveries = [make_deliveries(host, rng) for host in load.hosts]
    for life in range(lives):
        server = start(Server, *OPTIONS)
        for host, its in zip(load.hosts, deliveries):
            deliver(server, host, its[life::lives], rng)
        if life % 2 == 0:
            wait_until_sealed(server)
        server.kill()
    for host in load.hosts:
        host.acknowledged = len(host.messages)
    server = start(Server, *OPTIONS)
    found = check(load, server)
    check_usages(load, server, start)
    note("repeated, late, reordered, in pieces", sum(map(len, deliveries)), found)


@pytest.mark.parametrize("seed", seeds(20))
def test_falls_are_judged_in_the_order_of_time(start, ask, seed):
    """A counter that fell: 10 20 | 5 9 | 3 7, from a known start."""
    rng, base = random.Random(seed), Host(0).start_ms + DAY_MS
    samples = [(base + (i + 1) * STEP_MS, value) for i, value in enumerate([10, 20, 5, 9, 3, 7])]
    arrivals = samples * 2
    rng.shuffle(arrivals)
    for half in (arrivals[:6], arrivals[6:]):
        server = start(Server, *OPTIONS)
        with Peer(server, spool=str(len(half))) as peer:
            for time_ms, value in half:
                peer.send("3", {"host": "h1", "readings": [
                    {"uuid": UUID, "time": time_ms, "epoch": "h1/b/1/2", "start": base,
                     "data": [["cpu", "total", [value]]]}]})
            counters = server.wait_counter("received", len(half))
            until(lambda: sum(server.counters()[name] for name in ("stored", "duplicate")) == 6,
                  "all is stored")
            assert counters["refused"] == 0
        wait_until_sealed(server)
        server.kill()
    server = start(Server, *OPTIONS)
    window = {"from": base / 1000, "to": samples[-1][0] / 1000}
    usage = ask(server, "usage", id=UUID, metric="cpu", **window)["usages"][0]
    assert usage["value"] == 20 + 9 + 7


@pytest.mark.parametrize("seed", seeds(20))
def test_an_old_workers_increment_counts_once_however_often_it_comes(start, ask, seed):
    rng, base = random.Random(seed), Host(0).start_ms + DAY_MS
    increments = {base + i * STEP_MS: rng.randrange(1, 1000) for i in range(100)}
    arrivals = [item for item in increments.items() for _ in range(rng.randint(1, 3))]
    rng.shuffle(arrivals)
    for some in (arrivals[::2], arrivals[1::2]):
        server = start(Server, *OPTIONS)
        with Peer(server) as old:
            for time_ms, kilobytes in some:
                old.send("2", {"instance-00000001": ["10.0.0.2", time_ms // 1000, str(kilobytes)]})
            until(lambda: sum(server.counters()[name] for name in ("stored", "duplicate")) ==
                  len(some), "all is stored")
        wait_until_sealed(server)
        server.kill()
    server = start(Server, *OPTIONS)
    found = server.scan("instance-00000001", "vmnetwork_increment")
    assert found == {("10.0.0.2", "", 0): [(time_ms, kilobytes * 1024)
                                           for time_ms, kilobytes in increments.items()]}
    window = {"from": base / 1000 - 1, "to": base / 1000 + 86400}
    usage = ask(server, "usage", id="instance-00000001", metric="vmnetwork", **window)["usages"][0]
    assert usage["value"] == sum(increments.values()) * 1024
    note("increments repeated and reordered", len(arrivals), Found(len(increments), 0, 0, 0))


def test_the_frontier_does_not_pass_a_hole_and_what_never_comes_is_a_gap(start, ask):
    host = Host(0, vms=1)
    server = start(Server, *OPTIONS)
    for _ in range(6):
        host.make()

    def answer(number):
        window = {"from": host.start_ms / 1000, "to": host.messages[number - 1].time / 1000}
        return ask(server, "usage", id=host.vms[0]["uuid"], metric="cpu", **window)["usages"][0]

    host.connect(server)
    for number in (1, 2, 4):
        host.send(host.messages[number - 1])
    host.sent = 4
    server.wait_counter("stored", 15)
    assert answer(2)["complete"] is True
    for number in (3, 4):
        assert answer(number)["complete"] is False
        assert "worker-silent" in {reason["reason"] for reason in answer(number)["reasons"]}
    host.take_acknowledgements(1000)
    assert host.acknowledged == 2
    host.send(host.messages[2])
    server.wait_counter("stored", 20)
    assert answer(4)["complete"] is True
    gaps = server.questions.ask("store.records", kind="gap", prefix=host.name + "\x1f")[1]
    assert gaps == b""
    # 5 was thinned out by the worker: that is no gap.
    host.peer.send_enveloped("3", {"host": host.name, "readings": []}, sequence=6, previous=4,
                             times=[host.messages[5].time] * 2, until=host.messages[5].time)
    host.peer.wait_ack(6)
    assert server.questions.ask("store.records", kind="gap", prefix=host.name + "\x1f")[1] == b""
    # 7 and 8 are gone.
    host.peer.send_enveloped("3", {"host": host.name, "readings": []}, sequence=9, oldest=9,
                             times=[host.messages[5].time + STEP_MS] * 2,
                             until=host.messages[5].time + STEP_MS)
    host.peer.wait_ack(9)
    gaps = server.questions.ask("store.records", kind="gap", prefix=host.name + "\x1f")[1]
    assert (gaps.count(b"missing"), gaps.count(b"missing-open")) == (1, 1)
    host.close()
    # A server that is killed has not forgotten it. The round behind the hole may be a part; the
    # next one is whole, and ends the gap.
    server.kill()
    server = start(Server, *OPTIONS)
    host.connect(server)
    host.peer.send_enveloped("3", {"host": host.name, "readings": []}, sequence=10, oldest=10,
                             times=[host.messages[5].time + 2 * STEP_MS] * 2,
                             until=host.messages[5].time + 2 * STEP_MS)
    host.peer.wait_ack(10)
    gaps = server.questions.ask("store.records", kind="gap", prefix=host.name + "\x1f")[1]
    assert (gaps.count(b"missing"), gaps.count(b"missing-open")) == (2, 1)
    host.close()
