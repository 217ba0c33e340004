# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Hosts that send what is known to the last sample, and a check that reads all of it back.

A sample that was acknowledged is never sent again here: if it is missing in the end, it is lost.
"""

import collections
import contextlib
import json
import os
import random
import time
import uuid

import zmq
from zmq.utils.monitor import recv_monitor_message

import harness
from harness import TIMEOUT, Api, Peer, Questions

LONG = os.environ.get("KANYUN_LONG") == "1"


def seeds(count):
    """For pytest.mark.parametrize: once, or that often with KANYUN_LONG=1."""
    return range(count if LONG else 1)


STEP_MS = 60_000
DAY_MS = 86_400_000
COLUMNS = {"cpu": 1, "nic": 2, "blk": 2}
PARAMETERS = {"cpu": "total", "nic": "vnet0", "blk": "vda"}

Message = collections.namedtuple("Message", "sequence time body samples")


class Host:
    """A worker with some VMs, as its server sees it: at most `window` messages unacknowledged."""

    def __init__(self, number, vms=2, window=6, seed=0, step_ms=STEP_MS):
        self.rng = random.Random(f"{seed}/{number}")
        self.name = f"host-{number}"
        # Its own: a connection that comes back late may find another test's server.
        self.spool = f"spool-{uuid.uuid4().hex}"
        self.window, self.step_ms = window, step_ms
        self.start_ms = (int(time.time() * 1000) // DAY_MS - 300) * DAY_MS + DAY_MS - 50 * STEP_MS
        self.vms = [{"uuid": str(uuid.UUID(int=self.rng.getrandbits(128))),
                     "counters": {name: [0] * count for name, count in COLUMNS.items()}}
                    for _ in range(vms)]
        self.messages = []  # number n is at n - 1
        self.acknowledged = 0
        self.sent = 0
        self.peer = None

    @property
    def epoch(self):
        return f"{self.name}/b/1/2"

    def _grow(self, vm):
        for values in vm["counters"].values():
            for i, _ in enumerate(values):
                values[i] += self.rng.randrange(1, 10**9)

    def make(self):
        """The next message, of a reading of every VM."""
        time_ms = self.start_ms + (len(self.messages) + 1) * self.step_ms
        readings, samples = [], []
        for vm in self.vms:
            self._grow(vm)
            readings.append({
                "uuid": vm["uuid"], "time": time_ms, "epoch": self.epoch, "start": self.start_ms,
                "data": [[group, PARAMETERS[group], list(values)]
                         for group, values in vm["counters"].items()]})
            samples += [(vm["uuid"], group, column, time_ms, value)
                        for group, values in vm["counters"].items()
                        for column, value in enumerate(values)]
        body = json.dumps({"host": self.name, "readings": readings}).encode()
        self.messages.append(Message(len(self.messages) + 1, time_ms, body, samples))
        return self.messages[-1]

    def connect(self, server):
        """A new connection begins with the oldest that is not acknowledged."""
        self.peer = Peer(server, self.name, self.spool)
        self.sent = self.acknowledged

    def close(self):
        self.peer.__exit__()

    def send(self, message):
        self.peer.send_enveloped("3", message.body, sequence=message.sequence,
                                 oldest=self.acknowledged + 1,
                                 times=[message.time, message.time], until=message.time)

    def top_up(self):
        while self.sent < self.acknowledged + self.window:
            if self.sent == len(self.messages):
                self.make()
            message = self.messages[self.sent]
            if not self.peer.push.poll(0, zmq.POLLOUT):
                return
            self.send(message)
            self.sent += 1

    def repeat(self):
        if self.in_flight() and self.peer.push.poll(0, zmq.POLLOUT):
            self.send(self.messages[self.acknowledged])

    def take_acknowledgements(self, timeout_ms=0):
        while self.peer.sub.poll(timeout_ms):
            number = json.loads(self.peer.sub.recv_multipart()[1])["ack"]
            assert number <= self.sent, f"{self.name}: {number} was acknowledged but never sent"
            self.acknowledged = max(self.acknowledged, number)
            timeout_ms = 0

    def in_flight(self):
        return self.sent - self.acknowledged


# A server that is killed at once may not have come to greet.
ENDED = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_CONNECT_RETRIED


class Load:
    """Some hosts that send for as long as they are told to."""

    def __init__(self, hosts=3, seed=0, **options):
        self.hosts = [Host(i, seed=seed, **options) for i in range(hosts)]
        self.monitors = []

    def connect(self, server):
        for host in self.hosts:
            host.connect(server)
        self.monitors = [host.peer.sub.get_monitor_socket(ENDED) for host in self.hosts]

    def close(self):
        for host in self.hosts:
            host.peer.sub.disable_monitor()
            host.close()

    def pump(self, timeout_ms=20):
        """Sends what may be sent and takes the acknowledgements that come. One that came before
        we had subscribed is had again by sending the same number once more."""
        poller = zmq.Poller()
        for host in self.hosts:
            poller.register(host.peer.sub, zmq.POLLIN)
        if poller.poll(timeout_ms):
            for host in self.hosts:
                host.take_acknowledgements()
        else:
            for host in self.hosts:
                host.repeat()
        for host in self.hosts:
            host.top_up()

    def pump_for(self, seconds, is_over=lambda: False):
        end = time.monotonic() + seconds
        for host in self.hosts:
            host.top_up()
        while not is_over() and (left := end - time.monotonic()) > 0:
            self.pump(min(20, max(1, int(left * 1000))))

    def drain(self):
        """After the server's end: takes what was still on its way. Returns what is in flight."""
        for host, monitor in zip(self.hosts, self.monitors):
            assert monitor.poll(TIMEOUT * 1000), f"{host.name}: the connection does not end"
            recv_monitor_message(monitor)
            host.take_acknowledgements()
        return sum(host.in_flight() for host in self.hosts)

    def finish(self, server):
        """Has everything that was sent acknowledged, and connects for it. All hosts tell of the
        same time in the end: an answer is not complete before each of them has."""
        most = max(len(host.messages) for host in self.hosts)
        for host in self.hosts:
            while len(host.messages) < most:
                host.make()
        self.connect(server)
        for host in self.hosts:
            while host.sent < len(host.messages):
                host.send(host.messages[host.sent])
                host.sent += 1
        for host in self.hosts:
            while host.in_flight():
                host.take_acknowledgements(100)
                host.repeat()
        self.close()

    def acknowledged_samples(self):
        return sum(host.acknowledged * len(host.vms) * sum(COLUMNS.values())
                   for host in self.hosts)


@contextlib.contextmanager
def running(program):
    """It is killed in the end, however that comes."""
    try:
        yield program
    finally:
        program.kill()


class Found(collections.namedtuple("Found", "acknowledged lost doubled wrong")):
    def __add__(self, other):
        return Found(*(one + another for one, another in zip(self, other)))


def compare(host, server, begin):
    """What the server has of a host, from message number `begin` + 1 on, against what was sent."""
    sent, acknowledged = {}, {}
    for message in host.messages[begin:]:
        for vm, group, column, time_ms, value in message.samples:
            sent[vm, group, column, time_ms] = value
            if message.sequence <= host.acknowledged:
                acknowledged[vm, group, column, time_ms] = value
    found = collections.Counter()
    wrong = 0
    begin_ms = host.start_ms + (begin + 1) * host.step_ms
    for vm in host.vms:
        for group in COLUMNS:
            series = server.scan(vm["uuid"], group, begin=begin_ms)
            for (parameter, epoch, column), samples in series.items():
                assert (parameter, epoch) == (PARAMETERS[group], host.epoch)
                for time_ms, value in samples:
                    key = vm["uuid"], group, column, time_ms
                    found[key] += 1
                    wrong += time_ms >= begin_ms and sent.get(key) != value
    lost = sum(1 for key in acknowledged if not found[key])
    doubled = sum(1 for count in found.values() if count > 1)
    return Found(len(acknowledged), lost, doubled, wrong)


def check(load, server, last=None):
    """Compares all hosts' messages, or the last ones of each that were acknowledged."""
    total = Found(0, 0, 0, 0)
    for host in load.hosts:
        total += compare(host, server, max(0, host.acknowledged - last) if last else 0)
    assert total[1:] == (0, 0, 0), f"{total}\n{server.tail()}"
    return total


def go_between(load, sides, rng, turns, pause, changes):
    """Hosts send to either of two servers, and go from one to the other. A turn lasts as long as
    `pause` allows; in that share of them (`changes`) a server is killed, or starts again. In the
    end both have everything. Returns in how many, in how many of them with messages in flight, and
    what was found."""
    runs, in_flight = 0, 0
    for host in load.hosts:
        host.connect(rng.choice(sides))
    for _ in range(turns):
        load.pump_for(rng.uniform(*pause))
        if rng.random() < changes:
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
    return runs, in_flight, found


def check_usages(load, server, start):
    """kanyun-api's usage of windows that begin and end on samples, against integers from here."""
    port = server.endpoints["rep"].rsplit(":", 1)[1]
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}")
    questions = Questions(api.endpoints["rep"])
    rng = random.Random(1)
    told = min(host.messages[-1].time for host in load.hosts)
    for host in load.hosts:
        for vm in host.vms:
            count = len(host.messages)
            for begin, end in (0, count - 1), sorted(rng.sample(range(count), 2)):
                assert_usage(questions, host, vm["uuid"], begin, end, told)
    api.stop()


def assert_usage(questions, host, vm, begin, end, told):
    """told: until when all hosts told; what ends later may still change."""
    window = host.messages[begin], host.messages[end]
    values = [{(group, column): value for uuid_, group, column, _, value in message.samples
               if uuid_ == vm} for message in window]
    usages = questions.ask("usage", id=vm, **{"from": window[0].time / 1000,
                                              "to": window[1].time / 1000})[0]["usages"]
    metrics = {"cpu": ("cpu", 0), "nic_incoming": ("nic", 0), "nic_outgoing": ("nic", 1),
               "blk_read": ("blk", 0), "blk_write": ("blk", 1)}
    answered = {usage["metric"]: usage for usage in usages if usage["metric"] in metrics}
    assert set(answered) == set(metrics)
    for metric, key in metrics.items():
        usage = answered[metric]
        assert usage["value"] == values[1][key] - values[0][key], (vm, metric, window)
        assert usage["coverage"] == 1 and usage["uncertainty"] == 0, usage
        assert usage["complete"] is (window[1].time <= told), (usage, told)
        assert {reason["reason"] for reason in usage["reasons"]} == \
            (set() if usage["complete"] else {"worker-silent"}), usage


def note(fault, runs, found, in_flight=None, **more):
    """Adds a line to the results, of which docs/exactness.md makes its table."""
    directory = os.path.join(harness.BUILD, "results")
    os.makedirs(directory, exist_ok=True)
    line = {"fault": fault, "runs": runs, "acknowledged": found.acknowledged, "lost": found.lost,
            "doubled": found.doubled, "wrong": found.wrong, "in_flight": in_flight, **more}
    with open(os.path.join(directory, "faults.jsonl"), "a") as results:
        results.write(json.dumps(line) + "\n")
