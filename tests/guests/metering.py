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
                topic = f'ack "{envelope["worker"]}" "{envelope["spool"]}"'
                self.pub.send_multipart([topic.encode(),
                                         json.dumps({"ack": envelope["seq"]}).encode()])

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
