# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Clouds for the page to show: real programs, whose workers are harness.Peer with made-up counters."""

import datetime
import os
import random
import sys
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import Api, Peer, Server, free_ports  # noqa: E402

TICK = 10_000  # ms between readings of the last hour
READINGS_MAX = 150  # in a message
HUGE = 2**60 + 7  # no double holds it
HOSTILE = "<img src=x onerror=alert(1)>"
MIB = 1 << 20

PROJECTS = {"shop": "7d9a41f0c2", "analytics": "19e0b77a3c", "build-farm": "c4411aa9d0"}
FLAVORS = {"m1.small": (1, 2048, 20), "m1.large": (4, 8192, 80), "c1.xlarge": (16, 32768, 160)}
# display name, project, flavor, host, how busy
MACHINES = [
    ("web-01", "shop", "m1.large", 1, 6),
    ("web-02", "shop", "m1.large", 1, 5),
    ("web-03", "shop", "m1.large", 2, 4),
    ("cart-db", "shop", "c1.xlarge", 2, 9),
    ("search-api", "shop", "m1.large", 3, 3),
    ("mail-relay", "shop", "m1.small", 3, 1),
    ("spark-master", "analytics", "m1.large", 1, 3),
    ("spark-worker-1", "analytics", "c1.xlarge", 2, 12),
    ("spark-worker-2", "analytics", "c1.xlarge", 3, 11),
    ("notebook", "analytics", "m1.small", 3, 1),
    ("warehouse", "analytics", "c1.xlarge", 1, 7),
    ("runner-a", "build-farm", "c1.xlarge", 1, 14),
    ("runner-b", "build-farm", "c1.xlarge", 2, 10),
    ("runner-c", "build-farm", "c1.xlarge", 3, 2),
    ("artifacts", "build-farm", "m1.large", 3, 2),
]


def month_begin(at, months_back):
    day = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    for _ in range(months_back):
        day = (day - datetime.timedelta(days=1)).replace(day=1)
    return int(day.timestamp()) * 1000


def identity(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name + ".page.kanyun.test"))


class Cloud:
    """A server and an API over HTTP; url is the page's."""

    def __init__(self, directory, *options, api=()):
        directory.mkdir(exist_ok=True)
        self.server = Server(directory, "server.retention_days=36500", *options)
        port = self.server.endpoints["rep"].rsplit(":", 1)[1]
        self.api = Api(
            directory,
            "api.api_host=127.0.0.1",
            "api.api_port=0",
            f"api.server_port={port}",
            f"api.http_port={free_ports(1)}",
            *api,
        )
        self.url = self.api.endpoints["http"] + "/"
        self.peers = {}

    def peer(self, host):
        if host not in self.peers:
            self.peers[host] = Peer(self.server, worker=host, spool="spool-" + host)
        return self.peers[host]

    def tell(self, host, instances):
        peer = self.peer(host)
        peer.wait_ack(peer.send_enveloped("1", {"host": host, "instances": instances}))

    def read(self, host, readings, until):
        """Readings in the order of time; the host is then known until `until`."""
        peer, readings = self.peer(host), sorted(readings, key=lambda reading: reading["time"])
        pieces = [
            readings[at : at + READINGS_MAX] for at in range(0, len(readings), READINGS_MAX)
        ] or [[]]
        for i, piece in enumerate(pieces):
            times = [reading["time"] for reading in piece] or [until]
            is_last = i == len(pieces) - 1
            sequence = peer.send_enveloped(
                "3",
                {"host": host, "readings": piece},
                times=[times[0], times[-1]],
                until=until if is_last else times[0] - 1,
            )
        peer.wait_ack(sequence)

    def close(self):
        for peer in self.peers.values():
            peer.__exit__()
        self.api.stop()
        self.server.stop()


class Machine:
    """Counters that grow as a busy machine's do."""

    def __init__(self, name, project, flavor, host, busy, start):
        self.name, self.project, self.flavor, self.host, self.busy = (
            name,
            project,
            flavor,
            f"compute{host}",
            busy,
        )
        self.id, self.start, self.at = identity(name), start, start
        self.chance = random.Random(name)
        self.run, self.state, self.load = 1, 1, 0.4
        self.address = f"203.0.113.{10 + sum(name.encode()) % 240}"
        self.vcpus, self.memory, self.disk = FLAVORS[flavor]
        self.reset()

    def reset(self):
        self.cpu = self.received = self.sent = self.read = self.written = self.inward = (
            self.outward
        ) = 0

    def info(self, since, index):
        return {
            "uuid": self.id,
            "since": since,
            "name": f"instance-{index:08x}",
            "display_name": self.name,
            "project_id": PROJECTS.get(self.project, self.project),
            "project_name": self.project,
            "flavor_name": self.flavor,
            "vcpus": self.vcpus,
            "memory_mib": self.memory,
            "disk_gib": self.disk,
            "ports": [
                {
                    "nic": "vnet0",
                    "mac": "fa:16:3e:00:00:%02x" % (index % 256),
                    "port_id": "p%d" % index,
                    "addresses": ["10.0.0.%d" % (index % 250 + 2), self.address],
                }
            ],
        }

    def move(self, time_ms, host):
        """Another run, on another host."""
        self.host, self.run, self.start, self.at = host, self.run + 1, time_ms, time_ms
        self.reset()

    def reading(self, time_ms):
        seconds, chance = (time_ms - self.at) / 1000, self.chance
        self.at = time_ms
        self.load = min(0.95, max(0.05, self.load + chance.uniform(-0.08, 0.08)))
        if self.state == 1:
            self.cpu += int(seconds * 1e9 * self.load * self.busy / 4) // 10_000_000 * 10_000_000
            self.received += int(seconds * self.load * self.busy * 90_000)
            self.sent += int(seconds * chance.uniform(0.6, 1) * self.busy * 160_000 * self.load)
            self.read += int(seconds * chance.random() * self.busy * 60_000) // 512 * 512
            self.written += int(seconds * self.load * self.busy * 110_000) // 512 * 512
            self.inward += int(seconds * self.load * self.busy * 20_000)
            self.outward += int(seconds * self.load * self.busy * 70_000)
        kib = self.memory * 1024
        resident = int(kib * (0.35 + 0.4 * self.load))
        data = [
            ["cpu", "total", [self.cpu]],
            ["mem", "total", [kib, int(kib * (0.8 - 0.5 * self.load)), kib, resident]],
            ["nic", "vnet0", [self.received, self.sent]],
            ["blk", "vda", [self.read, self.written]],
            ["state", "total", [self.state, 1]],
        ]
        if self.project == "shop":
            data.append(
                ["vmnetwork", self.address, [self.inward + self.outward, self.inward, self.outward]]
            )
        return {
            "uuid": self.id,
            "time": time_ms,
            "epoch": f"{self.host}/b/{self.run}/{self.busy}",
            "start": self.start,
            "data": data,
        }


def plain(name, host, time_ms, data, start, epoch="b/1/1"):
    return {
        "uuid": identity(name),
        "time": time_ms,
        "epoch": f"{host}/{epoch}",
        "start": start,
        "data": data,
    }


def describe(name, project, since, display=None):
    return {
        "uuid": identity(name),
        "since": since,
        "name": name,
        "display_name": display or name,
        "project_id": project,
        "project_name": project,
        "flavor_name": "m1.small",
        "vcpus": 1,
        "memory_mib": 2048,
        "disk_gib": 20,
        "ports": [],
    }


def history_times(now, begin):
    """Four readings a day until a day ago, then two an hour."""
    return [
        *range(begin, now - 86_400_000, 21_600_000),
        *range(now - 86_400_000, now - 3_600_000, 1_800_000),
    ]


def fill(cloud, now=None):
    """Three hosts with the machines above since before last month; web-01 migrated half an hour ago, was paused,
    and has a gap; and two of the project `edge` whose figures and names are hard to show."""
    now = now or int(time.time() * 1000) // TICK * TICK
    begin = month_begin(now // 1000, 1) - 86_400_000
    machines = [Machine(*machine, begin) for machine in MACHINES]
    readings = {f"compute{i}": [] for i in (1, 2, 3)}
    for time_ms in [*history_times(now, begin), *range(now - 3_600_000, now + 1, TICK)]:
        for machine in machines:
            if machine.name == "web-01":
                age = (now - time_ms) // 1000
                if 480 < age < 660:
                    continue  # not read
                if age == 1800:
                    last = machine.reading(time_ms)
                    last["data"][4][2] = [5, 4]  # migrated away
                    readings[machine.host].append(last)
                    machine.move(time_ms, "compute2")
                    continue
                machine.state = 3 if 1080 < age <= 1320 else 1
            readings[machine.host].append(machine.reading(time_ms))
    edge = "compute3"
    last_month = month_begin(now // 1000, 1)
    for i, time_ms in enumerate(history_times(now, last_month) + [now]):
        readings[edge].append(
            plain(
                "huge",
                edge,
                time_ms,
                [
                    ["cpu", "total", [i * 10**9 + 1]],
                    ["nic", "vnet0", [HUGE if i else 0, 1]],
                    ["state", "total", [1, 1]],
                ],
                last_month,
            )
        )
        readings[edge].append(
            plain(
                "hostile",
                edge,
                time_ms,
                [["cpu", "total", [i * 10**9]], ["state", "total", [1, 1]]],
                last_month,
            )
        )
    for host, some in readings.items():
        cloud.tell(
            host,
            [
                machine.info(begin, i)
                for i, machine in enumerate(machines, 1)
                if machine.host == host and machine.name != "web-01"
            ],
        )
        cloud.read(host, some, now)
    web = machines[0]
    cloud.tell("compute1", [web.info(begin, 1)])
    cloud.tell("compute2", [web.info(now - 1_800_000, 1)])
    cloud.tell(edge, [describe("huge", "edge", begin), describe("hostile", "edge", begin, HOSTILE)])
    return now


def fill_many(cloud, count, now=None):
    """That many machines on twenty hosts, with a few readings of the last hour."""
    now = now or int(time.time() * 1000) // TICK * TICK
    start = now - 3_600_000
    for number in range(20):
        host = f"node{number:02}"
        names = {i: f"vm-{i:04}" for i in range(number, count, 20)}
        cloud.tell(host, [describe(name, f"p{i % 7}", start) for i, name in names.items()])
        cloud.read(
            host,
            [
                plain(
                    name,
                    host,
                    time_ms,
                    [
                        ["cpu", "total", [j * (i + 1) * 10**9]],
                        ["mem", "total", [2097152, 9, 9, 1000 + i]],
                        ["nic", "vnet0", [j * i * 1000, j * 500]],
                        ["blk", "vda", [j * i * 512, j * 512]],
                        ["state", "total", [1, 1]],
                    ],
                    start,
                )
                for i, name in names.items()
                for j, time_ms in enumerate((start, now - 1_800_000, now))
            ],
            now,
        )
    return now
