# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Runs the programs of a build directory (KANYUN_BUILD, default build-check) and speaks to them.

Nothing here waits for a fixed time: a start ends with the READY line, everything else with a log
line, an acknowledgement or a condition, each with a deadline that only a failure reaches.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import zmq

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("KANYUN_BUILD", "build-check"))
TIMEOUT = 60  # seconds; builds with sanitizers on a busy machine are slow

CONTEXT = zmq.Context()

# As the enumeration in src/model/metric.h, which never changes.
GROUPS = ["cpu", "mem", "nic", "blk", "vcpu", "state", "vmnetwork", "vmnetwork_increment",
          "cpu_percent"]


def until(condition, what="a condition", timeout=TIMEOUT):
    """Returns the first true value of condition()."""
    pause, deadline = threading.Event(), time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        pause.wait(0.02)


def free_ports(count):
    """That many adjacent ports nobody listens on, below those that outgoing connections take."""
    for first in range(21000, 30000, count):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for i, each in enumerate(sockets):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind(("", first + i))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no free ports")


class Process:
    """A running process; what it logs, to its standard error, is in .lines."""

    name = None

    def __init__(self, command, **keywords):
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, **keywords)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self):
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def tail(self):
        return "\n".join(self.lines[-40:])

    def count_lines(self, pattern):
        with self._changed:
            return sum(1 for line in self.lines if re.search(pattern, line))

    def wait_line(self, pattern, after=0, timeout=TIMEOUT):
        """The first line from number `after` on that the pattern is found in."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.lines[after:]:
                    if re.search(pattern, line):
                        return line
                left = deadline - time.monotonic()
                assert left > 0 and not self._ended, f"no line '{pattern}' in:\n{self.tail()}"
                self._changed.wait(left)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def terminate(self):
        """Asks it to end, and waits until it has."""
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} does not end:\n{self.tail()}") from None
        self._reader.join()

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Program(Process):
    """One of ours, started when it has said READY."""

    path = None

    def __init__(self, directory, *options, config="/dev/null", environment=None, cwd=None,
                 prefix=()):
        self.directory = directory
        self.endpoints = {}
        ready, write_fd = os.pipe()
        command = [*prefix, os.path.join(BUILD, self.path), "--ready-fd", str(write_fd)]
        command += ["-c", config] if config else []
        for option in options:
            command += ["-o", option]
        variables = dict(os.environ, **(environment or {}))
        # Freed memory that AddressSanitizer keeps back would look like a leak.
        variables["ASAN_OPTIONS"] = "quarantine_size_mb=4:" + variables.get("ASAN_OPTIONS", "")
        variables["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
        super().__init__(command, pass_fds=[write_fd], env=variables, cwd=cwd or str(directory))
        os.close(write_fd)
        self._wait_ready(ready)

    def _wait_ready(self, ready):
        timer = threading.Timer(TIMEOUT, self.process.kill)
        timer.start()
        with os.fdopen(ready) as lines:
            words = [line.strip().partition(" ") for line in lines]
        timer.cancel()
        if not words or words[-1][0] != "READY":
            self.kill()
            raise AssertionError(f"{self.name} did not start:\n" + self.tail())
        for word, _, endpoint in words[:-1]:
            self.endpoints[word] = endpoint.replace("0.0.0.0", "127.0.0.1")

    def stop(self):
        """Ends it in good order. A sanitizer's report or a wrong exit status is a failure."""
        if self.process.returncode is None:
            self.terminate()
        if self.process.returncode == -signal.SIGKILL:
            return  # kill() was called
        assert self.process.returncode == 0, \
            f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"


@contextlib.contextmanager
def programs(directory):
    """Starts programs; those that still run at the end are stopped, and must end well."""
    started = []

    def start(kind, *options, **keywords):
        started.append(kind(directory, *options, **keywords))
        return started[-1]

    failures = []
    try:
        yield start
    finally:
        for program in reversed(started):
            try:
                program.stop()
            except AssertionError as failure:
                failures.append(str(failure))
    assert not failures, "\n".join(failures)


class Questions:
    """A client of the specification's REQ/REP form."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def ask_raw(self, frames, timeout=TIMEOUT):
        with CONTEXT.socket(zmq.REQ) as socket:
            socket.linger = 0
            socket.rcvtimeo = timeout * 1000
            socket.connect(self.endpoint)
            socket.send_multipart(frames)
            return socket.recv_multipart()

    def ask(self, method, **args):
        """The answer's data and payload; a code other than 0 is a failure."""
        body = json.dumps({"method": method, "args": args}).encode()
        frames = self.ask_raw([b"msg_type", b"uuid", body])
        assert frames[:2] == [b"msg_type", b"uuid"]
        answer = json.loads(frames[2])
        assert set(answer) == {"code", "message", "data"}
        assert answer["code"] == 0, answer["message"]
        return answer["data"], b"".join(frames[3:])


class Server(Program):
    name = "kanyun-server"
    path = "src/server/kanyun-server"

    def __init__(self, directory, *options, data="data", bare=False, **keywords):
        own = [] if bare else [
            "server.host=127.0.0.1", "server.port=0", "server.pub_port=0", "server.rep_port=0",
            f"server.data_dir={directory}/{data}"]
        super().__init__(directory, *own, *options, **keywords)
        self.questions = Questions(self.endpoints["rep"])

    def counters(self):
        return self.questions.ask("status")[0]["counters"]

    def wait_counter(self, name, value):
        """Waits until the counter is at least that; returns all of them."""
        def reached():
            counters = self.counters()
            return counters if counters[name] >= value else None

        try:
            return until(reached, f"counter {name} >= {value}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {self.counters()}\n{self.tail()}") from None

    def workers(self):
        return {worker["id"]: worker for worker in self.questions.ask("workers")[0]}

    def instances(self, **filters):
        return decode_instances(self.questions.ask("store.instances", **filters)[1])

    def scan(self, instance, group, columns=0xffff, parameter=None, begin=0, end=4102444800000):
        """{(parameter, epoch, column): [(ms, value), ...]} of a UUID or an old worker's name."""
        key = "uuid" if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", instance) \
            else "key_name"
        payload = self.questions.ask("store.scan", **{
            key: instance, "group": GROUPS.index(group), "columns": columns,
            "parameter": parameter, "from": begin, "to": end,
            "maximum": 10_000_000})[1]
        return {(series["parameter"], series["epoch"], series["column"]): series["samples"]
                for series in decode_series(payload)}


class Worker(Program):
    name = "kanyun-worker"
    path = "src/worker/kanyun-worker"


class Api(Program):
    name = "kanyun-api"
    path = "src/api/kanyun-api"

    def __init__(self, directory, *options, **keywords):
        if not any(option.startswith("api.http_port=") for option in options):
            options += ("api.http_port=0",)
        super().__init__(directory, *options, **keywords)

    @staticmethod
    def is_built():
        return os.path.exists(os.path.join(BUILD, Api.path))


class Peer:
    """A worker's side of PULL and PUB, written from the specification alone: two frames, or three
    with the envelope of docs/protocol.md."""

    def __init__(self, server, worker="peer", spool="spool"):
        self.worker, self.spool, self.sequence = worker, spool, 0
        self.push = CONTEXT.socket(zmq.PUSH)
        self.push.linger = 0
        self.push.sndtimeo = TIMEOUT * 1000
        self.push.connect(server.endpoints["pull"])
        self.sub = CONTEXT.socket(zmq.SUB)
        self.sub.linger = 0
        self.sub.rcvtimeo = TIMEOUT * 1000
        self.sub.connect(server.endpoints["pub"])
        self.sub.subscribe(f'ack "{worker}" "{spool}"'.encode())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.push.close()
        self.sub.close()

    def send(self, kind, data):
        """data: a Python value, or the frame's bytes."""
        self.push.send_multipart([kind.encode(), frame(data)])

    def send_enveloped(self, kind, data, sequence=None, oldest=1, **more):
        """more: previous, times, until (milliseconds)."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        self.push.send_multipart([kind.encode(), frame(data), frame({
            "worker": self.worker, "spool": self.spool, "seq": sequence, "oldest": oldest,
            **more})])
        return sequence

    def wait_ack(self, sequence):
        while True:
            acknowledged = json.loads(self.sub.recv_multipart()[1])["ack"]
            if acknowledged >= sequence:
                return acknowledged


def frame(data):
    return data if isinstance(data, bytes) else json.dumps(data).encode()


class Reader:
    """The frame of bytes that store.instances and store.scan answer (src/store/remote/codec.h)."""

    def __init__(self, payload):
        self.bytes, self.at = payload, 0

    def u8(self):
        self.at += 1
        return self.bytes[self.at - 1]

    def take(self, size):
        self.at += size
        assert self.at <= len(self.bytes)
        return self.bytes[self.at - size:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def text(self):
        return self.take(self.varint()).decode()

    def uuid(self):
        text = self.take(16).hex()
        return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def decode_info(reader):
    info = {"uuid": reader.uuid(), "since": reader.signed()}
    info["texts"] = [reader.text() for _ in range(10)]
    info["vcpus"], info["memory_mib"], info["disk_gib"] = (reader.signed() for _ in range(3))
    info["ports"] = [{"nic": reader.text(), "mac": reader.text(), "port_id": reader.text(),
                      "addresses": [reader.text() for _ in range(reader.varint())]}
                     for _ in range(reader.varint())]
    return info


def decode_instances(payload):
    reader, instances = Reader(payload), {}
    while reader.at < len(payload):
        key = reader.uuid() if reader.u8() else reader.text()
        first, last, groups = reader.signed(), reader.signed(), reader.varint()
        instances[key] = {
            "first": first, "last": last,
            "groups": {name for bit, name in enumerate(GROUPS) if groups >> bit & 1},
            "infos": [decode_info(reader) for _ in range(reader.varint())]}
    return instances


def decode_series(payload):
    reader, all_series = Reader(payload), []
    while reader.at < len(payload):
        series = {"group": GROUPS[reader.varint()], "column": reader.varint()}
        for name in ("parameter", "epoch", "life"):
            series[name] = reader.text()
        series["segment"], series["start"] = reader.varint(), reader.signed()
        samples, time_ms, value = [], 0, 0
        for _ in range(reader.varint()):
            time_ms += reader.varint()
            value += reader.signed()
            samples.append((time_ms, value))
        series["samples"] = samples
        all_series.append(series)
    return all_series
