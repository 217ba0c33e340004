# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A server, a worker of scripted instances whose taps are real, and an API, in the host's
namespace; and what they say against what the capture saw."""

import json
import os
import pathlib
import threading
import time
import uuid

import harness
from harness import Api, Questions, Server, Worker, until
from network import OUTSIDE, TAPS

# In the order of Oracle.sums, and of the columns from 1 on.
METRICS = ("vmnetwork_in", "vmnetwork_out", "vmnetwork_internal_in", "vmnetwork_internal_out")
CPU_RATE = 7


def without_hook(name):
    """The environment of a worker on whose kernel nftables has no such hook in netdev."""
    return {"LD_PRELOAD": os.path.join(harness.BUILD, "tests/traffic/libno-hook.so"),
            "KANYUN_NO_HOOK": name,
            "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}


def ms_now():
    return int(time.time() * 1000)


class Instances:
    """A script for the fake collector: an instance a tap, named as nova does from 112 on."""

    def __init__(self, directory, taps):
        self.uuids = {tap: str(uuid.uuid4()) for tap in taps}
        self.path = directory / "script.json"
        self.write(taps)

    def write(self, taps):
        """A worker that is started later has these."""
        self.taps = taps
        self.path.write_text(json.dumps({"instances": [
            {"uuid": self.uuids[tap], "name": f"instance-{number:08x}", "taps": {tap: addresses},
             "readings": {"cpu": {"total": [CPU_RATE]}, "state": {"total": [1, 1]}}}
            for number, (tap, addresses) in enumerate(taps.items(), 112)]}))


class Meter:
    def __init__(self, start, directory, *options, taps=None, is_metering=True, **worker):
        self.start, self.directory = start, directory
        self.server = start(Server, "server.retention_days=36500")
        self.ports = {name: endpoint.rpartition(":")[2]
                      for name, endpoint in self.server.endpoints.items()}
        self.instances = Instances(directory, taps or TAPS)
        self.options = [
            "worker.id=metered", "worker.interval=1", "worker.collector=fake",
            f"worker.fake_script={self.instances.path}", f"worker.spool_dir={directory}/spool",
            f"worker.dataserver_port={self.ports['pull']}",
            f"worker.dataserver_pub_port={self.ports['pub']}", *options]
        api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", "api.server_host=127.0.0.1",
                    f"api.server_port={self.ports['rep']}")
        self.api_port = api.endpoints["rep"].rpartition(":")[2]
        self.questions = Questions(api.endpoints["rep"])
        self.start_worker(**worker)
        self.begin = self.tick() if is_metering else None

    def start_worker(self, kind=Worker, **keywords):
        self.worker = self.start(kind, *self.options, **keywords)

    def helper(self):
        """The pid of kanyun-traffic, None if there is none."""
        return next((pid for pid in children(self.worker.process.pid)
                     if command(pid)[0].endswith("kanyun-traffic")), None)

    def wait_helper(self, other_than=None):
        return until(lambda: (pid := self.helper()) != other_than and pid, "kanyun-traffic runs")

    # What was counted.

    def series(self, tap, group="vmnetwork", begin=0):
        """All of the instance, each life apart."""
        return harness.decode_series(self.server.questions.ask("store.scan", **{
            "uuid": self.instances.uuids[tap], "group": harness.GROUPS.index(group),
            "columns": 0xffff, "from": begin, "to": 4102444800000, "maximum": 1_000_000})[1])

    def ticks(self, tap, group="vmnetwork"):
        """{parameter: the times of whole seconds at which it was read}"""
        found = {}
        for one in self.series(tap, group, ms_now() - 30_000):
            found.setdefault(one["parameter"], set()).update(
                at for at, _ in one["samples"] if at % 1000 == 0)
        return found

    def tick(self, labels=None):
        """Waits for a round that is read from now on; gives its time (ms). labels: {tap:
        parameters}, if they are not the addresses."""
        since = ms_now()

        def read():
            times = []
            for tap, addresses in (labels or self.instances.taps).items():
                found = self.ticks(tap)
                times += [found.get(address, set()) for address in addresses]
            return min((at for at in set.intersection(*times) if at >= since), default=None)

        return until(read, "a round with all addresses")

    def wait_rounds(self, count, tap="vnet-a", group="cpu"):
        """Rounds of what needs no traffic."""
        since = ms_now()

        def read():
            times = set().union(*self.ticks(tap, group).values())
            return sum(at >= since for at in times) >= count

        until(read, f"{count} rounds")

    def usage(self, tap, address, metric, begin, end):
        answer = self.questions.ask(
            "usage", id=self.instances.uuids[tap], metric=metric, parameter=address,
            **{"from": begin / 1000, "to": end / 1000})[0]
        usages = [each for each in answer["usages"] if each["parameter"] == address]
        assert len(usages) == 1, answer
        return usages[0]

    def values(self, tap, address, begin, end):
        """As Oracle.sums; each is certain."""
        usages = [self.usage(tap, address, metric, begin, end)
                  for metric in (*METRICS, "vmnetwork")]
        for each in usages:
            assert each["uncertainty"] == 0 and each["coverage"] == 1, usages
        *values, total = (each["value"] for each in usages)
        assert total == values[0] + values[1]
        return tuple(values)

    def is_known(self, tap, address):
        return any(one["parameter"] == address for one in self.series(tap))

    def check_lives(self):
        """No counter goes back within its life."""
        for tap in self.instances.taps:
            for one in self.series(tap):
                values = [value for _, value in one["samples"]]
                assert values == sorted(values) and min(values, default=0) >= 0, (tap, one)


def differences(after, before):
    return tuple(a - b for a, b in zip(after, before))


class Watch:
    """A window that begins and ends with a round, and what passed the taps in it. begin: a round
    that has been, and since which nothing was sent."""

    def __init__(self, meter, oracle, begin=None):
        self.meter, self.oracle = meter, oracle
        self.keys = [(tap, address) for tap, addresses in meter.instances.taps.items()
                     for address in addresses]
        oracle.drain()
        self.before = {key: oracle.sums(*key) for key in self.keys}
        self.begin = begin or meter.tick()
        self.end = None

    def following(self):
        """The window from its end on."""
        return Watch(self.meter, self.oracle, self.end)

    def finish(self):
        """Ends it; gives what passed, of each (tap, address)."""
        self.oracle.drain()
        passed = {key: differences(self.oracle.sums(*key), self.before[key]) for key in self.keys}
        self.end = self.meter.tick()
        self.meter.check_lives()
        return passed

    def check_exact(self):
        passed = self.finish()
        assert passed == {key: self.meter.values(*key, self.begin, self.end) for key in self.keys}
        return passed

    def check_declared(self, least):
        """At least {key: sums} is counted, nothing twice; and what is lost is said to be. Gives
        the number of series with a loss."""
        passed, lost = self.finish(), 0
        for key, sums in passed.items():
            for metric, most, few in zip(METRICS, sums, least[key]):
                usage = self.meter.usage(*key, metric, self.begin, self.end)
                assert few <= usage["value"] <= most, (key, metric, few, most, usage)
                if usage["value"] != most:
                    lost += 1
                    assert usage["uncertainty"] is None, (key, metric, most, usage)
                    assert "tail-unmeasured" in {reason["reason"] for reason in usage["reasons"]}
        return lost


class Stream:
    """Traffic from and to the first guest's first address, until it is ended. As a thread, so that
    it goes on while kanyun is hindered."""

    def __init__(self, network, address="10.0.0.2", outside=OUTSIDE):
        self.network, self.addresses = network, (address, outside)
        self.sent = 0
        self.failure = None
        self.ending = threading.Event()
        self.thread = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.stop()

    def start(self):
        self.ending.clear()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.ending.set()
        self.thread.join()
        assert self.failure is None, self.failure

    def run(self):
        here, there = self.addresses
        try:
            while not self.ending.wait(0.002):
                self.network.udp(here, there, 700, 4)
                self.network.udp(there, here, 300, 3)
                self.sent += 1
        except (OSError, AssertionError) as failure:
            self.failure = failure

    def wait(self, count=20):
        """Until so many more turns are sent."""
        before = self.sent
        until(lambda: self.sent >= before + count, "traffic")


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(each) for each in (task / "children").read_text().split()]
    return found


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return [""]


def capabilities(pid, kind):
    """kind: CapEff, CapPrm, ..."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1], 16)
    raise AssertionError(f"no {kind} of {pid}")
