# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A worker and several servers: to which one it sends, and what it does when one is silent.

The servers are written from docs/protocol.md: they acknowledge what the test wants them to."""

import contextlib
import datetime
import json

import pytest
import zmq

import harness
from harness import Worker
from test_spool import PlainServer

UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"


class Pair:
    """Two servers, and a worker that has both in its list."""

    def __init__(self, start, tmp_path):
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"instances": [
            {"uuid": UUID, "name": "instance-00000001", "readings": {"cpu": {"total": [1000]}}}]}))
        self.servers = [PlainServer(), PlainServer()]
        self.start, self.options = start, [
            "worker.collector=fake", f"worker.fake_script={script}",
            f"worker.spool_dir={tmp_path}/spool", "worker.dataserver_host=" + ", ".join(
                "127.0.0.1:{}:{}".format(*each.ports) for each in self.servers)]

    def run(self, *options):
        """Starts the worker; returns the server that it prefers, and the other one."""
        defaults = ["worker.id=w1", "worker.interval=1", "worker.dataserver_return_seconds=0"]
        self.worker = self.start(Worker, *self.options, *defaults, *options)
        poller = zmq.Poller()
        for server in self.servers:
            poller.register(server.pull, zmq.POLLIN)
        [(socket, _)] = poller.poll(harness.TIMEOUT * 1000)
        return sorted(self.servers, key=lambda server: server.pull is not socket)


@pytest.fixture
def pair(start, tmp_path):
    pair = Pair(start, tmp_path)
    yield pair
    for server in pair.servers:
        server.__exit__()


def heard_nothing(server):
    return not server.messages and not server.pull.poll(0)


def numbers(server):
    return [envelope["seq"] for _, _, envelope in server.messages]


def bodies(*servers):
    """{number: body}; a number has the same body wherever it goes."""
    found = {}
    for server in servers:
        for _, body, envelope in server.messages:
            assert found.setdefault(envelope["seq"], body) == body
    return found


def test_what_a_silent_server_did_not_acknowledge_goes_to_the_other(pair):
    first, second = pair.run()
    _, _, envelope = first.receive()
    first.acknowledge(envelope)
    while len(first.messages) < 3:
        first.receive()  # and says nothing
    assert heard_nothing(second)
    _, _, taken_over = second.receive()
    assert taken_over["seq"] == taken_over["oldest"] == envelope["seq"] + 1
    second.acknowledge(taken_over)
    second.take_until(lambda kind, body, envelope: envelope["seq"] > max(numbers(first)) + 2)
    pair.worker.wait_line("127.0.0.1:{} does not acknowledge".format(first.ports[0]))
    pair.worker.wait_line("127.0.0.1:{} acknowledges".format(second.ports[0]))
    pair.worker.stop()
    found = bodies(first, second)
    assert sorted(found) == list(range(1, max(found) + 1))
    assert numbers(second) == sorted(set(numbers(second)))  # it has heard, so nothing comes twice


def test_a_worker_returns_to_the_server_it_prefers(pair):
    first, second = pair.run("worker.dataserver_return_seconds=1")
    first.take_until(lambda kind, body, envelope: envelope["seq"] >= 2)
    first.__exit__()
    second.take_until(lambda kind, body, envelope: envelope["seq"] >= 4)
    with PlainServer(first.ports) as again:
        waiting = zmq.Poller()
        waiting.register(again.pull, zmq.POLLIN)
        waiting.register(second.pull, zmq.POLLIN)
        while again.pull not in dict(waiting.poll(harness.TIMEOUT * 1000)):
            second.acknowledge(second.receive()[2])
        again.take_until(lambda kind, body, envelope: len(again.messages) > 2)
        pair.worker.wait_line("127.0.0.1:{} is there again".format(first.ports[0]))
        assert numbers(again)[0] <= max(numbers(second)) + 1
        assert heard_nothing(second) or second.receive()  # what was on its way
        found = bodies(first, second, again)
        assert sorted(found) == list(range(1, max(found) + 1))
        pair.worker.stop()


def test_a_server_that_is_there_and_silent_is_returned_to_ever_more_rarely(pair):
    first, second = pair.run("worker.dataserver_return_seconds=3")
    first.receive()
    second.pull.rcvtimeo = 200
    while pair.worker.count_lines("is there again") < 2:
        with contextlib.suppress(zmq.Again):
            second.acknowledge(second.receive()[2])
    times = [datetime.datetime.fromisoformat(line.split("Z ")[0])
             for line in pair.worker.lines if "is there again" in line]
    # It was silent for 5 s, and looked for after twice the first pause.
    assert times[1] - times[0] >= datetime.timedelta(seconds=5 + 2 * 3)
    pair.worker.stop()


def test_an_acknowledgement_that_was_lost_is_asked_for_again(pair):
    first, second = pair.run()
    _, _, lost = first.receive()
    while True:
        _, _, envelope = first.receive()
        if envelope["seq"] == lost["seq"]:
            break
    first.acknowledge({**envelope, "seq": max(numbers(first))})
    first.take_until(lambda kind, body, envelope: envelope["oldest"] > max(numbers(first)[:-1]) - 2)
    assert heard_nothing(second)
    assert pair.worker.count_lines("does not acknowledge") == 0
    pair.worker.stop()


def test_heartbeats_go_to_the_other_server_too(pair):
    first, second = pair.run("worker.interval=3600", "worker.worker_timeout=1")
    first.acknowledge(first.receive()[2])
    first.__exit__()
    frames = second.pull.recv_multipart()
    assert frames[0] == b"0" and json.loads(frames[1])[0] == "w1"
    assert len(frames) == 2
