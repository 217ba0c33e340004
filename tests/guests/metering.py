# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What the guests' tests share: the worker's one round, a server that keeps what it is sent, and
counters as others than kanyun read them."""

import json
import os
import pathlib
import subprocess
import threading
import time

import pytest
import zmq

import harness
from daemons import virsh

# Columns of the tuples (docs/metrics.md).
NIC_IN, NIC_OUT, NIC_IN_PACKETS, NIC_OUT_PACKETS = 0, 1, 2, 5
DISK_READ, DISK_WRITTEN = 0, 1


def worker_options(directory, interval=1, **more):
    options = {"worker_timeout": 2, "interval": interval, "monitor_timeout": 2,
               "spool_dir": f"{directory}/spool", "dataserver_host": "127.0.0.1", **more}
    return [f"worker.{key}={value}" for key, value in options.items()]


def value_of(readings, guest, group, parameter, column):
    """The last one of the guest's in a list of readings, None where there is none."""
    found = None
    for reading in readings:
        if reading["uuid"] != guest.uuid:
            continue
        for entry in reading["data"]:
            if entry[0] == group and entry[1] == parameter and len(entry[2]) > column:
                found = entry[2][column]
    return found


def groups_of(readings, guest):
    return {entry[0] for reading in readings if reading["uuid"] == guest.uuid
            for entry in reading["data"]}


class Once:
    """What kanyun-worker --once prints."""

    def __init__(self, directory):
        command = [os.path.join(harness.BUILD, harness.Worker.path), "-c", "/dev/null", "--once"]
        for option in worker_options(directory):
            command += ["-o", option]
        done = subprocess.run(command, capture_output=True, timeout=harness.TIMEOUT, check=False)
        assert done.returncode == 0, done.stderr.decode()
        document = json.loads(done.stdout)
        self.readings = document["readings"]["readings"]
        self.infos = {info["uuid"]: info for info in document["infos"]["instances"]}

    def value(self, guest, group, parameter, column):
        return value_of(self.readings, guest, group, parameter, column)


class Receiver:
    """The worker's server: keeps all messages with the time of their arrival, acknowledges."""

    def __init__(self):
        self.messages = []  # (time, type, data)
        self.untils = []  # (time, until) of envelopes that say so
        self.early = []  # times of readings that came after they had been told to be complete
        self.pull = harness.CONTEXT.socket(zmq.PULL)
        self.pub = harness.CONTEXT.socket(zmq.PUB)
        self.pull.rcvtimeo = 200
        ports = [each.bind_to_random_port("tcp://127.0.0.1") for each in (self.pull, self.pub)]
        self.options = [f"worker.dataserver_port={ports[0]}",
                        f"worker.dataserver_pub_port={ports[1]}"]
        self.is_ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.is_ending = True
        self.thread.join()
        self.pull.close(0)
        self.pub.close(0)

    def run(self):
        while not self.is_ending:
            try:
                frames = self.pull.recv_multipart()
            except zmq.Again:
                continue
            self.messages.append((time.time(), frames[0].decode(), json.loads(frames[1])))
            if len(frames) == 3:
                envelope = json.loads(frames[2])
                self.note_until(envelope.get("until"))
                topic = f'ack "{envelope["worker"]}" "{envelope["spool"]}"'
                self.pub.send_multipart([topic.encode(),
                                         json.dumps({"ack": envelope["seq"]}).encode()])

    def note_until(self, until_ms):
        """Whatever comes after the message that says so is of later."""
        _, kind, data = self.messages[-1]
        told = self.untils[-1][1] if self.untils else 0
        if kind == "3":
            times = [reading["time"] for reading in data["readings"]]
            self.early += [at for at in times if at <= told]
        if until_ms:
            self.untils.append((time.time(), until_ms))

    def gaps(self):
        return [gap for _, kind, data in list(self.messages) if kind == "1"
                for gap in data.get("gaps", [])]

    def heartbeats(self, since=0):
        return [data for at, kind, data in list(self.messages) if kind == "0" and at >= since]

    def readings(self, since=0, until=float("inf")):
        """Those that arrived between the two times."""
        return [reading for at, kind, data in list(self.messages)
                if kind == "3" and since <= at < until for reading in data["readings"]]


def domain_nic(guest):
    """{field: value} of virsh domifstat."""
    lines = virsh("domifstat", guest.name, guest.nic()).split("\n")
    words = [line.split() for line in lines if line.strip()]
    return {word[1]: int(word[2]) for word in words}


def link_nic(guest):
    """The same from the host's side of the NIC: what it sends, the guest receives."""
    directory = pathlib.Path(f"/sys/class/net/{guest.nic()}/statistics")
    fields = {"rx_bytes": "tx_bytes", "rx_packets": "tx_packets", "tx_bytes": "rx_bytes",
              "tx_packets": "rx_packets"}
    return {ours: int((directory / theirs).read_text()) for ours, theirs in fields.items()}


def monitor_disk(guest, disk):
    """(read, written) bytes as QEMU's monitor says, asked without kanyun."""
    answer = json.loads(virsh("qemu-monitor-command", guest.name, '{"execute":"query-blockstats"}'))
    index = {"vda": 0, "vdb": 1}[disk]
    stats = answer["return"][index]["stats"]
    return stats["rd_bytes"], stats["wr_bytes"]


def process_cpu_ns(pid):
    """As /proc says, in the same steps of 10 ms that libvirt reads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10_000_000


def disk_counters(guest, disk):
    """(read, written) bytes as libvirt says now."""
    lines = virsh("domblkstat", guest.name, disk).splitlines()
    words = {line.split()[1]: int(line.split()[2]) for line in lines if line.strip()}
    return words["rd_bytes"], words["wr_bytes"]


# Stored samples, judged by the definition of docs/usage.md.

UNKNOWN = -(1 << 63)
FOREVER = 4_102_444_800_000


def tracks(server, guest, group, column, parameter=None):
    payload = server.questions.ask("store.scan", **{
        "uuid": guest.uuid, "group": harness.GROUPS.index(group), "columns": 1 << column,
        "parameter": parameter, "from": 0, "to": FOREVER, "step": 0, "maximum": 1_000_000})[1]
    return [track for track in harness.decode_series(payload) if track["samples"]]


def points_of(track):
    """C(t) at its corners: [(ms, amount)]."""
    (first_ms, first), *rest = track["samples"]
    start = track["start"]
    points = [(start, 0)] if UNKNOWN < start < first_ms else []
    amount = 0 if start == UNKNOWN else first
    points.append((first_ms, amount))
    before = first
    for at, value in rest:
        amount += value - before if value >= before else value
        before = value
        points.append((at, amount))
    return points


def amount_at(track, time_ms):
    points = points_of(track)
    if time_ms < points[0][0]:
        return 0
    for (at, amount), (later, more) in zip(points, points[1:]):
        if at <= time_ms < later:
            return amount + (more - amount) * (time_ms - at) // (later - at)
    return points[-1][1]


def usage(server, guest, group, column, parameter=None, begin=0, end=FOREVER, epoch=None):
    """Of [begin, end), in milliseconds."""
    return sum(amount_at(track, end) - amount_at(track, begin)
               for track in tracks(server, guest, group, column, parameter)
               if epoch in (None, track["epoch"]))


def last_time(server, guest, group, column=0, parameter=None, epoch=None):
    """When it was last read, 0: never."""
    return max((track["samples"][-1][0]
                for track in tracks(server, guest, group, column, parameter)
                if epoch in (None, track["epoch"])), default=0)


def states(server, guest):
    """{epoch: [(ms, state, reason)]}"""
    codes, reasons = ({track["epoch"]: track["samples"]
                       for track in tracks(server, guest, "state", column)} for column in (0, 1))
    return {epoch: [(at, code, dict(reasons[epoch]).get(at)) for at, code in samples]
            for epoch, samples in codes.items()}


class Meter:
    """A server and a worker that read real guests."""

    def __init__(self, start, directory, interval=1, address="127.0.0.1", environment=None,
                 **more):
        self.start, self.environment = start, environment
        self.server = start(harness.Server, f"server.host={address}")
        ports = [self.server.endpoints[name].rpartition(":")[2] for name in ("pull", "pub")]
        self.options = [*worker_options(directory, interval, dataserver_host=address, **more),
                        f"worker.dataserver_port={ports[0]}",
                        f"worker.dataserver_pub_port={ports[1]}"]
        self.worker = start(harness.Worker, *self.options, environment=environment)

    def restart_worker(self):
        self.worker.stop()
        self.worker = self.start(harness.Worker, *self.options, environment=self.environment)

    def wait(self, condition, what):
        """Until it holds; what the server does not know yet is no failure."""
        def holds():
            try:
                return condition()
            except (AssertionError, KeyError):
                return None
        return harness.until(holds, what)

    def wait_read(self, guest, group="blk", since=None):
        """Until a reading that was taken from now on (or since then, in seconds) is stored."""
        since_ms = (since or time.time()) * 1000
        self.wait(lambda: last_time(self.server, guest, group) >= since_ms,
                  f"{group} of {guest.name}")

    def usage(self, guest, group, column, parameter=None, epoch=None):
        return usage(self.server, guest, group, column, parameter, epoch=epoch)

    def states(self, guest):
        return states(self.server, guest)

    def epochs(self, guest):
        """Of its runs, in the order of their beginning."""
        begins = {track["epoch"]: track["samples"][0][0]
                  for track in tracks(self.server, guest, "state", 0)
                  if not track["epoch"].endswith("/off")}
        return sorted(begins, key=begins.get)


class Answers:
    """Those of kanyun-api in front of a server."""

    def __init__(self, start, server, *options):
        if not harness.Api.is_built():
            pytest.skip("kanyun-api is not built")
        port = server.endpoints["rep"].rpartition(":")[2]
        self.api_options = ["api.api_host=127.0.0.1", "api.api_port=0",
                            "api.server_host=127.0.0.1", f"api.server_port={port}"]
        self.api = start(harness.Api, *self.api_options, *options)

    def ask(self, method, **args):
        return harness.Questions(self.api.endpoints["rep"]).ask(method, **args)[0]

    def samples(self, guest, metric):
        answer = self.ask("series", id=guest.uuid, metric=metric,
                          **{"from": int(time.time()) - 600, "to": 0})
        return sorted(sample for series in answer["series"] for sample in series["samples"])

    def wait_sample(self, guest, metric):
        """The time (whole seconds) of a reading that was taken from now on."""
        since = time.time()

        def find():
            try:
                samples = self.samples(guest, metric)
            except AssertionError:
                return None  # the instance is not known yet
            # The first one after a start is of no tick, and is no whole second.
            later = [at for at, _ in samples if at > since and at == int(at)]
            return later and later[-1]

        return harness.until(find, f"a sample of {metric}")

    def usage(self, name, metric, begin, end, parameter="total"):
        answer = self.ask("usage", id=name, metric=metric, parameter=parameter,
                          **{"from": begin, "to": end})
        assert len(answer["usages"]) == 1, answer
        return answer["usages"][0]
