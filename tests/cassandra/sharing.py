# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Two servers and two APIs on one Cassandra, ten hosts that send to them, and answers that are held
to what was acknowledged."""

import concurrent.futures
import contextlib
import json
import os
import sys
import threading
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "faults"))

from harness import TIMEOUT, Api, Questions, Server, until  # noqa: E402
from load import Load  # noqa: E402

ADDRESSES = ["127.0.0.1", "127.0.0.2"]
METRICS = {"cpu": ("cpu", 0), "nic_incoming": ("nic", 0), "nic_outgoing": ("nic", 1),
           "blk_read": ("blk", 0), "blk_write": ("blk", 1)}
PULL, PUB, REP = "pull", "pub", "rep"


def port_of(endpoint):
    return int(endpoint.rsplit(":", 1)[1])


def store_options(place, keyspace, replicas=1):
    return ["server.store=cassandra", f"server.db_host={', '.join(place.hosts)}",
            f"cassandra.port={place.port}", f"cassandra.keyspace={keyspace}",
            f"cassandra.replication={replicas}"]


class Site:
    """`servers` and `apis`, by number; what was killed is started on the same ports."""

    def __init__(self, start, place, keyspace, replicas):
        self.start = start
        self.options = store_options(place, keyspace, replicas)
        self.servers = [self._server(address, 0, 0, 0) for address in ADDRESSES]
        self.apis = [self._api(address) for address in ADDRESSES]

    def _server(self, address, port, pub_port, rep_port):
        server = self.start(Server, *self.options, f"server.host={address}",
                            f"server.port={port}", f"server.pub_port={pub_port}",
                            f"server.rep_port={rep_port}", wait=False)
        server.wait_ready(3 * TIMEOUT)  # it makes its tables, and all nodes have to agree
        return server

    def _api(self, address):
        return self.start(
            Api, f"api.api_host={address}", "api.api_port=0",
            "api.server_host=" + ", ".join(
                f"{host}:{port_of(server.endpoints[REP])}"
                for host, server in zip(ADDRESSES, self.servers)))

    def worker_options(self):
        """They choose their server and leave it by themselves."""
        return ["worker.dataserver_return_seconds=2", "worker.dataserver_host=" + ", ".join(
            f"{host}:{port_of(server.endpoints[PULL])}:{port_of(server.endpoints[PUB])}"
            for host, server in zip(ADDRESSES, self.servers))]

    def start_server_again(self, index):
        ports = [port_of(self.servers[index].endpoints[name]) for name in (PULL, PUB, REP)]
        self.servers[index] = self._server(ADDRESSES[index], *ports)

    def start_api_again(self, index):
        self.apis[index] = self._api(ADDRESSES[index])


class Hosts:
    """Half of the hosts send to either server, as long as nobody moves them."""

    def __init__(self, count, servers, seed):
        self.load = Load(hosts=count, seed=seed, vms=1)
        self.halves = [Load(hosts=0) for _ in servers]
        for i, host in enumerate(self.load.hosts):
            self.halves[i % len(servers)].hosts.append(host)
        self.servers = [None for _ in servers]
        for index, server in enumerate(servers):
            self.move(index, server)

    def pump(self):
        for half, server in zip(self.halves, self.servers):
            assert server.process.poll() is None, server.tail()
            half.pump(10)
        return True

    def pump_for(self, seconds):
        """Messages are on their way when it returns."""
        end = time.monotonic() + seconds
        while self.pump() and time.monotonic() < end:
            pass

    @contextlib.contextmanager
    def pumping(self):
        """They go on, on a thread of their own, while something else is waited for."""
        is_over = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            ended = thread.submit(lambda: all(iter(
                lambda: self.pump() and not is_over.is_set(), False)))
            try:
                yield
            finally:
                is_over.set()
        ended.result()

    def pump_until_each_has(self, more, meanwhile=lambda: None):
        """Each host has that many messages more acknowledged."""
        goals = [(host, host.acknowledged + more) for host in self.load.hosts]

        def is_there():
            self.pump()
            meanwhile()
            return all(host.acknowledged >= goal for host, goal in goals)

        until(is_there, f"{more} messages more of each host", 3 * TIMEOUT)

    def leave(self, index):
        """After the end of their server: what is in flight then is sent again to another one."""
        in_flight = self.halves[index].drain()
        self.halves[index].close()
        return in_flight

    def move(self, index, server):
        self.servers[index] = server
        self.halves[index].connect(server)

    def acknowledged(self):
        return sum(host.acknowledged for host in self.load.hosts)

    def finish(self, server):
        for half in self.halves:
            half.close()
        self.load.finish(server)


class Oracle:
    """Asks for what was acknowledged. An API may refuse; what it answers must be right."""

    def __init__(self, hosts, rng):
        self.hosts, self.rng = hosts, rng
        self.right = self.refused = 0

    def ask(self, api):
        """Returns whether it was answered."""
        host = self.rng.choice(self.hosts.load.hosts)
        begin, end = sorted(self.rng.sample(range(host.acknowledged), 2))
        window = host.messages[begin], host.messages[end]
        answer = self._ask(api, host.vms[0]["uuid"], *(message.time for message in window))
        if answer["code"] == 503:
            self.refused += 1
            return False
        assert answer["code"] == 0, answer["message"]
        values = [{sample[1:3]: sample[4] for sample in message.samples} for message in window]
        usages = {usage["metric"]: usage for usage in answer["data"]["usages"]}
        for metric, key in METRICS.items():
            usage = usages[metric]
            assert usage["value"] == values[1][key] - values[0][key], (host.name, metric, usage)
            assert usage["coverage"] == 1 and usage["uncertainty"] == 0, usage
        self.right += 1
        return True

    def counts(self):
        return {"answers": self.right, "refused": self.refused}

    @staticmethod
    def _ask(api, uuid, begin_ms, end_ms):
        body = json.dumps({"method": "usage", "args": {
            "id": uuid, "from": begin_ms / 1000, "to": end_ms / 1000}}).encode()
        try:
            frames = Questions(api.endpoints[REP]).ask_raw([b"msg_type", b"uuid", body])
        except zmq.Again:
            raise AssertionError(f"no answer within {TIMEOUT} s:\n{api.tail()}") from None
        return json.loads(frames[2])
