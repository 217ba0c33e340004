# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The network between workers and server is cut and healed: two namespaces with one cable, which
nothing else can see."""

import contextlib
import ctypes
import json
import os
import random
import subprocess
import time
import types

import pytest
import zmq

import harness
from fakes import FakeVms
from harness import Api, Questions, Server, Worker, until
from load import Load, check, check_usages, note, seeds

ADDRESSES = {"server": "10.99.0.1", "worker": "10.99.0.2"}
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """What is started within `inside(side)` lives on that side, its threads and children too."""

    def __init__(self):
        self.names = {side: f"kanyun-{os.getpid()}-{side}" for side in ADDRESSES}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for name in self.names.values():
                ip("netns", "add", name)
                stack.callback(ip, "netns", "delete", name)
            ip("-n", self.names["server"], "link", "add", "cable", "type", "veth", "peer", "name",
               "cable", "netns", self.names["worker"])
            for side, name in self.names.items():
                ip("-n", name, "address", "add", ADDRESSES[side] + "/30", "dev", "cable")
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "link", "set", "cable", "up")
            self.contexts = []
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *unused):
        for context in self.contexts:
            context.destroy(linger=0)
        self.stack.close()

    def switch(self, side, state):
        ip("-n", self.names[side], "link", "set", "cable", state)

    @contextlib.contextmanager
    def inside(self, side):
        def enter(path):
            with open(path) as namespace:
                assert LIBC.setns(namespace.fileno(), CLONE_NEWNET) == 0, \
                    os.strerror(ctypes.get_errno())

        with open("/proc/thread-self/ns/net") as home:
            enter(f"/run/netns/{self.names[side]}")
            try:
                yield
            finally:
                enter(f"/proc/self/fd/{home.fileno()}")

    def context(self, side):
        """Its threads, and so its connections, are on that side from the first socket on."""
        with self.inside(side):
            context = zmq.Context()
            context.socket(zmq.PUSH).close()
        self.contexts.append(context)
        return context


@pytest.fixture
def network():
    try:
        with Network() as network:
            yield network
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces: {error.stderr.decode().strip()}")


@pytest.mark.parametrize("seed", seeds(17))
def test_a_network_that_is_cut_and_healed_loses_nothing(
        network, start, tmp_path, monkeypatch, seed):
    cuts, in_flight, rng = 6, 0, random.Random(seed)
    monkeypatch.setattr(harness, "CONTEXT", network.context("server"))
    with network.inside("server"):
        server = start(Server, "server.host=*", "server.seal_after_seconds=1",
                       "server.retention_check_seconds=1")
    vms, load = FakeVms(tmp_path), Load(seed=seed)
    ports = {name: each.rsplit(":", 1)[1] for name, each in server.endpoints.items()}
    far = types.SimpleNamespace(endpoints={
        name: f"tcp://{ADDRESSES['server']}:{port}" for name, port in ports.items()})
    with network.inside("worker"):
        worker = start(Worker, *vms.options, f"worker.dataserver_host={ADDRESSES['server']}",
                       f"worker.dataserver_port={ports['pull']}",
                       f"worker.dataserver_pub_port={ports['pub']}")
    with monkeypatch.context() as patch:
        patch.setattr(harness, "CONTEXT", network.context("worker"))
        load.connect(far)
    for _ in range(cuts):
        load.pump_for(rng.uniform(0.1, 0.5))
        side = rng.choice(list(ADDRESSES))
        network.switch(side, "down")
        load.pump_for(rng.uniform(0.1, 1.5))
        in_flight += sum(host.in_flight() for host in load.hosts) > 0
        before = load.acknowledged_samples()
        network.switch(side, "up")
        until(lambda: load.pump(20) or load.acknowledged_samples() > before, "it goes on")
    load.close()
    healed_ms = vms.now_ms()
    until(lambda: vms.last_ms(server) > healed_ms, "the worker has caught up")
    worker.stop()
    load.finish(server)
    found = check(load, server)
    vms.check_every_second(server)
    with network.inside("server"):
        check_usages(load, server, start)
    assert in_flight >= 0.9 * cuts
    note("network cut and healed", cuts, found, in_flight / cuts)


def test_a_server_whose_host_fell_silent_is_given_up(network, start, monkeypatch):
    """Nobody says that the connection is over: neither while nothing is sent, nor afterwards."""
    with network.inside("server"):
        server = start(Server, "server.host=*")
    port = server.endpoints["rep"].rpartition(":")[2]
    with network.inside("worker"):
        api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                    f"api.server_host={ADDRESSES['server']}:{port}")
    monkeypatch.setattr(harness, "CONTEXT", network.context("worker"))
    questions = Questions(api.endpoints["rep"])

    def code():
        return json.loads(questions.ask_raw([b"t", b"u", b'{"method": "workers"}'])[2])["code"]

    assert code() == 0
    network.switch("server", "down")
    begin = time.monotonic()
    assert code() == 503 and time.monotonic() - begin < 45  # of 60
    network.switch("server", "up")
    until(lambda: code() == 0, "it answers again")
