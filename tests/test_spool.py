# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The worker's spool and its clock, with the real programs and the fake collector.

Segments are read here by a reader that was written from docs/spool.md, and acknowledged by a server
that was written from docs/protocol.md."""

import contextlib
import json
import os
import random
import re
import signal
import struct
import subprocess
import zlib

import pytest
import zmq

import harness
from harness import CONTEXT, TIMEOUT, Server, Worker, until

UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"
RATE = 1000
SECOND = 1000
HOUR = 3_600_000
EPOCH_2020 = 1577836800

ROUNDS = 6 if os.environ.get("KANYUN_LONG") != "1" else 100


# Reading the spool.

class Record:
    def __init__(self, header, payload):
        (self.type, self.flags, self.sequence, self.previous, self.first, self.last, self.until) = (
            chr(header[4]), header[5], *struct.unpack(">QQQQQ", header[16:56]))
        self.body = json.loads(payload)

    def ticks(self):
        return {reading["time"] for reading in self.body.get("readings", [])}


def read_segment(data):
    """The whole records of a segment whose records are all sound but the last one."""
    records, at = [], 40
    while at + 64 <= len(data):
        header = data[at:at + 64]
        size, checksum = struct.unpack(">II", header[8:16])
        payload = data[at + 64:at + 64 + size]
        if header[:4] != b"\xf5kyr" or len(payload) < size or zlib.crc32(payload) != checksum or \
                zlib.crc32(header[:56]) != struct.unpack(">I", header[56:60])[0]:
            break
        records.append(Record(header, payload))
        at += 64 + size
    return records


def segments(directory):
    return sorted(directory.glob("*.segment"))


def spooled(directory):
    return [record for path in segments(directory) for record in read_segment(path.read_bytes())]


def head_next(directory):
    """No number from here on was ever on the disk, as far as the head knows."""
    head = (directory / "head").read_bytes()
    return max(struct.unpack(">QQQ", head[at + 28:at + 52]) for at in (0, 4096)
               if head[at:at + 8] == b"kanyunSH")[2]


def wait_spooled(directory, count):
    return until(lambda: (found := spooled(directory)) if len(spooled(directory)) >= count
                 else None, f"{count} messages in the spool")


def wait_segments(directory, count):
    """Until so many more segments were begun."""
    names = segments(directory)
    last = int(names[-1].stem, 16) if names else -1
    until(lambda: segments(directory) and int(segments(directory)[-1].stem, 16) >= last + count,
          f"{count} more segments")


# Acknowledging.

class PlainServer:
    """PULL and PUB as docs/protocol.md has them; acknowledges when told to."""

    def __init__(self, ports=(0, 0)):
        self.pull, self.pub = CONTEXT.socket(zmq.PULL), CONTEXT.socket(zmq.PUB)
        for each in (self.pull, self.pub):
            each.linger = 0
        self.pull.rcvtimeo = TIMEOUT * 1000
        self.ports = [self.bind(self.pull, ports[0]), self.bind(self.pub, ports[1])]
        self.messages = []

    @staticmethod
    def bind(socket, port):
        socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        return int(socket.last_endpoint.decode().rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.pull.close()
        self.pub.close()

    def receive(self):
        """The next message that has an envelope, as (type, body, envelope)."""
        while True:
            frames = self.pull.recv_multipart()
            if len(frames) == 3:
                message = (frames[0].decode(), json.loads(frames[1]), json.loads(frames[2]))
                self.messages.append(message)
                return message

    def acknowledge(self, envelope):
        topic = f'ack "{envelope["worker"]}" "{envelope["spool"]}"'
        self.pub.send_multipart([topic.encode(), json.dumps({"ack": envelope["seq"]}).encode()])

    def take_until(self, condition, acknowledge=True):
        """Receives until a message fulfils the condition; returns it."""
        while True:
            message = self.receive()
            if acknowledge:
                self.acknowledge(message[2])
            if condition(*message):
                return message


def gaps_of(body):
    return body.get("gaps", [])


# Starting.

@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.json"

    def write(nics=0, **more):
        readings = {"cpu": {"total": [RATE]}, "state": {"total": [1]},
                    "nic": {f"vnet{i}": [i] * 8 for i in range(nics)}}
        path.write_text(json.dumps({**more, "instances": [
            {"uuid": UUID, "name": "instance-00000001", "readings": readings}]}))
        return path

    write()
    return write


@pytest.fixture
def start_worker(start, script, tmp_path):
    def start_one(ports, *options, hosts="127.0.0.1", spool="spool", **keywords):
        return start(Worker, "worker.id=w1", "worker.collector=fake", "worker.interval=1",
                     f"worker.fake_script={tmp_path}/script.json",
                     f"worker.spool_dir={tmp_path}/{spool}", f"worker.dataserver_host={hosts}",
                     f"worker.dataserver_port={ports[0]}", f"worker.dataserver_pub_port={ports[1]}",
                     *options, **keywords)

    return start_one


def ports_of(server):
    return [int(server.endpoints[name].rpartition(":")[2]) for name in ("pull", "pub")]


def nobody():
    """Two ports where nobody listens."""
    first = harness.free_ports(2)
    return [first, first + 1]


def cpu(server):
    """{(epoch, segment): [(ms, value), ...]} of the only instance."""
    payload = server.questions.ask("store.scan", **{
        "uuid": UUID, "group": 0, "columns": 1, "parameter": None, "from": 0,
        "to": 4102444800000, "step": 0, "maximum": 10_000_000})[1]
    return {(series["epoch"], series["segment"]): series["samples"]
            for series in harness.decode_series(payload)}


def times(server):
    return {time for samples in cpu(server).values() for time, _ in samples}


def assert_values(server):
    """Each sample is what the script says of its time."""
    for samples in cpu(server).values():
        for time, value in samples:
            assert value == RATE * (time // 1000 - EPOCH_2020)


def wait_times(server, wanted):
    until(lambda: wanted <= times(server), "everything that was spooled has arrived")


# The tests.

def test_a_killed_worker_delivers_everything_once(start, start_worker, tmp_path):
    server = start(Server, "server.retention_days=36500")
    wanted, dice = set(), random.Random(4)
    for life in range(ROUNDS):
        stored = server.counters()["stored"]
        worker = start_worker(ports_of(server))
        if life % 2:
            # With messages in flight: the server does not read meanwhile.
            server.signal(signal.SIGSTOP)
            before = max([record.sequence for record in spooled(tmp_path / "spool")], default=0)
            until(lambda: [record for record in spooled(tmp_path / "spool")
                           if record.sequence > before + 2], "messages in flight")
        else:
            server.wait_counter("stored", stored + dice.randrange(2, 8))
        worker.kill()
        server.signal(signal.SIGCONT)
        for record in spooled(tmp_path / "spool"):
            wanted |= record.ticks()
    worker = start_worker(ports_of(server))
    wait_times(server, wanted)
    worker.stop()
    # What a busy server did not acknowledge before the end waits for the next start.
    left = {tick for record in spooled(tmp_path / "spool") for tick in record.ticks()}
    start_worker(ports_of(server))
    wait_times(server, left)
    assert_values(server)
    counters = server.counters()
    assert counters["conflicting"] == 0 and counters["gone"] == 0 and counters["refused"] == 0


def test_a_floor_that_the_disk_lost_only_sends_again(start, start_worker, tmp_path):
    """The floor is not synced: after a power loss, more than is ever in flight may be known."""
    server = start(Server, "server.retention_days=36500")
    worker = start_worker(ports_of(server))
    until(lambda: len(times(server)) >= 2, "a floor")
    head = (tmp_path / "spool" / "head").read_bytes()
    until(lambda: len(times(server)) >= 14, "many messages")
    worker.kill()
    (tmp_path / "spool" / "head").write_bytes(head)
    before = max(times(server))
    worker = start_worker(ports_of(server))
    until(lambda: max(times(server)) > before, "later samples")
    worker.stop()
    assert worker.count_lines("does not acknowledge|never gave") == 0
    counters = server.counters()
    assert counters["gone"] == 0 and counters["conflicting"] == 0


def test_an_acknowledgement_of_what_was_never_given_is_ignored(start_worker):
    with PlainServer() as server:
        worker = start_worker(server.ports)
        server.take_until(lambda kind, body, envelope: len(server.messages) > 2)
        _, _, envelope = server.receive()
        server.acknowledge({**envelope, "seq": envelope["seq"] + 1000})
        worker.wait_line(f"acknowledges number {envelope['seq'] + 1000}, which")
        for _ in range(2):
            _, _, following = server.receive()
            server.acknowledge({**envelope, "seq": following["seq"] + 1000})
        assert following["oldest"] <= envelope["seq"]
        server.acknowledge(following)
        server.take_until(
            lambda kind, body, envelope: envelope["oldest"] > following["seq"])
        assert worker.count_lines("which the spool never gave") == 1


def test_a_server_that_was_away_gets_everything(start, start_worker, tmp_path):
    ports = nobody()
    options = ["server.retention_days=36500", f"server.port={ports[0]}",
               f"server.pub_port={ports[1]}"]
    server = start(Server, *options)
    worker = start_worker(ports)
    server.wait_counter("stored", 2)
    server.kill()
    before = {tick for record in spooled(tmp_path / "spool") for tick in record.ticks()}
    wanted = {tick for record in wait_spooled(tmp_path / "spool",
                                              len(spooled(tmp_path / "spool")) + 6)
              for tick in record.ticks()}
    assert len(wanted - before) >= 4
    server = start(Server, *options)
    wait_times(server, wanted)
    until(lambda: worker.count_lines("acknowledges$"), "the worker hears of it")
    seconds = sorted(time // 1000 for time in times(server) if time % 1000 == 0)
    assert seconds == list(range(seconds[0], seconds[-1] + 1))
    assert_values(server)
    assert server.counters()["gone"] == 0


def test_the_next_server_of_the_list_is_used(start, start_worker, tmp_path):
    options = ["server.retention_days=36500"]
    first = start(Server, *options, data="first")
    ports = ports_of(first)
    second = start(Server, *options, "server.host=127.0.0.2", f"server.port={ports[0]}",
                   f"server.pub_port={ports[1]}", data="second")
    worker = start_worker(ports, hosts="127.0.0.1, 127.0.0.2")
    used, other = until(lambda: first.counters()["stored"] and (first, second)
                        or second.counters()["stored"] and (second, first), "a sample")
    used.wait_counter("stored", 3)
    assert other.counters()["stored"] == 0
    used.signal(signal.SIGSTOP)
    worker.wait_line("does not acknowledge")
    other.wait_counter("stored", 3)
    used.signal(signal.SIGCONT)
    worker.stop()
    all_times = sorted(time // 1000 for time in times(first) | times(second) if time % 1000 == 0)
    assert all_times == list(range(all_times[0], all_times[-1] + 1))
    assert_values(first)
    assert_values(second)


def test_what_is_not_acknowledged_waits_for_the_next_start(start_worker, tmp_path):
    worker = start_worker(nobody())
    found = wait_spooled(tmp_path / "spool", 4)
    worker.stop()
    found = spooled(tmp_path / "spool")
    with PlainServer() as server:
        worker = start_worker(server.ports)
        worker.wait_line(f"{len(found)} messages of an earlier life wait in the spool")
        server.take_until(lambda kind, body, envelope: envelope["seq"] > found[-1].sequence)
    numbers = [envelope["seq"] for _, _, envelope in server.messages]
    assert set(range(1, found[-1].sequence + 2)) <= set(numbers)
    assert all("previous" not in envelope for _, _, envelope in server.messages)
    assert len({envelope["spool"] for _, _, envelope in server.messages}) == 1


def test_the_envelope_says_times_and_until_when(start_worker, script, tmp_path):
    with PlainServer() as server:
        start_worker(server.ports)
        _, body, envelope = server.take_until(
            lambda kind, body, envelope: kind == "3" and len(server.messages) > 3)
        time = body["readings"][0]["time"]
        assert envelope["times"] == [time, time] and envelope["until"] == time
        infos = [envelope for kind, body, envelope in server.messages if "instances" in body]
        assert infos and not any("times" in info or "until" in info for info in infos)


def test_a_host_without_vms_says_that_it_has_read(start, start_worker, tmp_path):
    (tmp_path / "script.json").write_text('{"instances": []}')
    with PlainServer() as plain:
        worker = start_worker(plain.ports)
        kind, body, envelope = plain.receive()
        assert (kind, body["readings"]) == ("3", []) and envelope["until"] > 0
        assert "times" not in envelope
        worker.stop()
    server = start(Server)
    start_worker(ports_of(server))
    until(lambda: server.counters()["acks"] >= 3, "empty rounds are acknowledged")
    counters = server.counters()
    assert counters["refused"] == 0 and counters["legacy"] == 0


@pytest.mark.parametrize("end", [Worker.stop, Worker.kill], ids=["SIGTERM", "SIGKILL"])
def test_the_time_in_which_no_worker_ran_is_a_gap(start_worker, end):
    with PlainServer() as server:
        worker = start_worker(server.ports)
        _, _, envelope = server.take_until(lambda kind, body, envelope: len(server.messages) > 3)
        assert not any(gaps_of(body) for _, body, _ in server.messages)
        end(worker)
        start_worker(server.ports)
        _, body, _ = server.take_until(lambda kind, body, envelope: gaps_of(body))
        gap = body["gaps"][0]
        assert gap["reason"] == "not-running" and "uuid" not in gap
        assert gap["from"] >= envelope["until"]
        _, body, _ = server.take_until(lambda kind, body, envelope: "readings" in body)
        assert body["readings"][0]["time"] >= gap["to"]
        untils = [each["until"] for _, _, each in server.messages if "until" in each]
        assert gap["from"] in untils


def test_after_a_crash_no_number_comes_again(start_worker):
    with PlainServer() as server:
        numbers = []
        for _ in range(3):
            worker = start_worker(server.ports)
            seen = len(server.messages)
            server.take_until(lambda kind, body, envelope: len(server.messages) >= seen + 4)
            worker.kill()
        bodies = {}
        for _, body, envelope in server.messages:
            key = envelope["spool"], envelope["seq"]
            assert bodies.setdefault(key, body) == body
            numbers.append(envelope["seq"])
        assert len({spool for spool, _ in bodies}) == 1
        jumps = [envelope for _, _, envelope in server.messages if "previous" in envelope]
        assert {envelope["previous"] for envelope in jumps} <= set(numbers)


def test_what_overtakes_the_bridge_of_a_crash_does_not_say_that_numbers_are_gone(start_worker):
    with PlainServer() as server:
        worker = start_worker(server.ports)
        server.take_until(lambda kind, body, envelope: len(server.messages) >= 3)
        worker.kill()
        start_worker(server.ports)
        # All before it must be acknowledged, or it is not sent.
        while "previous" not in (bridge := server.receive()[2]):
            server.acknowledge(bridge)
        _, _, following = server.receive()
        assert following["seq"] == bridge["seq"] + 1 > 1 << 32
        assert bridge["oldest"] == following["oldest"] == bridge["previous"] + 1


def test_a_second_worker_does_not_get_the_folder(start_worker):
    ports = nobody()
    start_worker(ports)
    with pytest.raises(AssertionError, match="in use by another worker"):
        start_worker(ports)


# Damage.

def test_a_damaged_segment_is_a_gap_and_the_rest_is_used(start_worker, tmp_path):
    worker = start_worker(nobody())
    wait_spooled(tmp_path / "spool", 7)
    worker.kill()
    # Of one that was written just then, the head may not know.
    found = [record for record in spooled(tmp_path / "spool")
             if record.sequence < head_next(tmp_path / "spool")]
    path = segments(tmp_path / "spool")[-1]
    data = bytearray(path.read_bytes())
    victim = found[4]

    def place_of(record):
        return data.index(struct.pack(">Q", record.sequence) +
                          struct.pack(">Q", record.previous)) - 16

    data[place_of(victim) + 80] ^= 0x10
    # Within the last whole one: behind it there may be a part of one more.
    path.write_bytes(data[:place_of(found[-1]) + 80])
    with PlainServer() as server:
        worker = start_worker(server.ports)
        worker.wait_line("the spool is damaged in 1 places: 2 messages are lost")
        worker.wait_line("the ends of 1 segments of the spool are torn")
        gaps = []
        while len(gaps) < 2:
            _, body, _ = server.take_until(lambda kind, body, envelope: gaps_of(body))
            gaps += [gap for gap in gaps_of(body) if gap["reason"] == "dropped"]
        numbers = {envelope["seq"] for _, _, envelope in server.messages}
        lost = {found[4].sequence, found[-1].sequence}
        assert {record.sequence for record in found} - numbers == lost
        assert gaps[0]["from"] <= victim.first and gaps[0]["to"] >= victim.last
        assert gaps[1]["to"] >= found[-1].last
        # What is lost is not bridged: the server shall know.
        assert not any("previous" in envelope and envelope["seq"] <= found[-1].sequence
                       for _, _, envelope in server.messages)


def test_a_real_server_goes_on_behind_a_damaged_segment(start, start_worker, tmp_path):
    worker = start_worker(nobody())
    wait_spooled(tmp_path / "spool", 7)
    worker.kill()
    found = spooled(tmp_path / "spool")
    path = segments(tmp_path / "spool")[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    sound = {each.sequence for each in scan_all(data)}
    assert len(sound) == len(found) - 1
    wanted = {tick for record in found if record.sequence in sound for tick in record.ticks()}
    server = start(Server, "server.retention_days=36500")
    start_worker(ports_of(server))
    wait_times(server, wanted)
    server.wait_counter("gone", 1)
    assert_values(server)


def scan_all(data):
    """The sound records, past a damaged one."""
    records, at = [], 0
    while (at := data.find(b"\xf5kyr", at + 1)) >= 0:
        records += read_segment(bytes(40) + data[at:])[:1]
    return records


def test_garbage_in_the_folder_does_not_keep_the_worker_from_work(start, start_worker, tmp_path):
    directory = tmp_path / "spool"
    directory.mkdir()
    for name in ("head", "clock", "00000000.segment", "00000007.segment", "0000000a.segment.new"):
        (directory / name).write_bytes(os.urandom(9000))
    server = start(Server, "server.retention_days=36500")
    worker = start_worker(ports_of(server))
    server.wait_counter("stored", 4)
    worker.wait_line("the spool's head is damaged")
    worker.wait_line("clock' is damaged; a new segment begins")
    worker.stop()


# Disks that fail.

@contextlib.contextmanager
def tmpfs(path, options):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(path):
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_worker_on_a_full_disk_goes_on_in_memory(start, start_worker, tmp_path):
    with tmpfs(tmp_path / "spool", "size=256k"):
        fill(tmp_path / "spool" / "filler")
        server = start(Server, "server.retention_days=36500")
        worker = start_worker(ports_of(server))
        assert worker.count_lines("No space left on device; spooling in memory until") == 1
        server.wait_counter("stored", 4)
        (tmp_path / "spool" / "filler").unlink()
        worker.wait_line("the spool is on disk again")
        wait_spooled(tmp_path / "spool", 1)
        worker.stop()
        assert worker.count_lines("spooling in memory") == 1
        assert worker.count_lines("cannot keep the clock's state") <= 1
        seconds = sorted(time // 1000 for time in times(server) if time % 1000 == 0)
        assert seconds == list(range(seconds[0], seconds[-1] + 1))
        assert server.counters()["gone"] == 0


def test_a_disk_that_fills_up_loses_nothing(start_worker, script, tmp_path):
    script(nics=100)
    with tmpfs(tmp_path / "spool", "size=256k"), PlainServer() as server:
        worker = start_worker(nobody())
        wait_spooled(tmp_path / "spool", 3)
        fill(tmp_path / "spool" / "filler")
        worker.wait_line("spooling in memory until")
        (tmp_path / "spool" / "filler").unlink()
        worker.wait_line("the spool is on disk again")
        worker.kill()
        found = spooled(tmp_path / "spool")
        numbers = sorted({record.sequence for record in found})
        assert numbers == list(range(1, numbers[-1] + 1))
        start_worker(server.ports)
        server.take_until(lambda kind, body, envelope: envelope["seq"] > numbers[-1])
        assert set(numbers) <= {envelope["seq"] for _, _, envelope in server.messages}


def test_a_worker_on_a_read_only_disk_goes_on_in_memory(start, start_worker, tmp_path):
    with tmpfs(tmp_path / "spool", "size=1m"):
        worker = start_worker(nobody())
        found = wait_spooled(tmp_path / "spool", 4)
        worker.stop()
        found = spooled(tmp_path / "spool")
        wanted = {tick for record in found for tick in record.ticks()}
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "spool"], check=True)
        server = start(Server, "server.retention_days=36500")
        worker = start_worker(ports_of(server))
        worker.wait_line("Read-only file system; spooling in memory until")
        server.wait_counter("stored", 4)
        assert not wanted & times(server)
        subprocess.run(["mount", "-o", "remount,rw", tmp_path / "spool"], check=True)
        worker.wait_line("the spool is on disk again")
        wait_times(server, wanted)
        worker.stop()
        assert server.counters()["conflicting"] == 0


def test_a_full_spool_says_what_it_dropped(start_worker, tmp_path):
    """Rounds of about 4 MB, each the first of other instances, into a spool of 16 MiB."""
    nics = {f"vnet{i}": [i] * 8 for i in range(2500)}
    (tmp_path / "script.json").write_text(json.dumps({"instances": [
        {"uuid": f"{UUID[:-2]}{i:02x}", "name": "i", "readings": {"nic": nics}}
        for i in range(20)]}))
    options = ["worker.spool_max_mib=16"]
    for _ in range(4):
        worker = start_worker(nobody(), *options)
        wait_segments(tmp_path / "spool", 4)
        worker.kill()
    worker = start_worker(nobody(), *options)
    worker.wait_line("messages with readings from .* are lost")
    worker.kill()
    assert sum(path.stat().st_size for path in segments(tmp_path / "spool")) <= 16 << 20
    with PlainServer() as server:
        start_worker(server.ports, *options)
        server.take_until(lambda kind, body, envelope: any(
            gap["reason"] == "dropped" for gap in gaps_of(body)))


# The clock.

@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("shim") / "clock-shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path,
                    os.path.join(harness.ROOT, "tests", "clock-shim.c")], check=True)
    return path


class ShiftedClock:
    def __init__(self, path, shim):
        self.path = path
        self.set(0)
        self.environment = {"LD_PRELOAD": str(shim), "CLOCK_SHIM_FILE": str(path),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set(self, milliseconds):
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("=q", milliseconds))


@pytest.fixture
def clock(tmp_path, shim):
    return ShiftedClock(tmp_path / "offset", shim)


def boot_seconds():
    with open("/proc/uptime") as uptime:
        return float(uptime.read().split()[0])


def usage_of(tracks):
    """Each segment after the first begins with a baseline, the first one with its first sample."""
    return sum(samples[-1][1] - samples[0][1] for samples in tracks.values())


def range_of(tracks):
    values = [value for samples in tracks.values() for _, value in samples]
    return min(values), max(values)


def assert_no_fall(tracks):
    for samples in tracks.values():
        assert [value for _, value in samples] == sorted(value for _, value in samples)


def wait_value(server, seconds):
    """Waits for a sample that is so many seconds younger than now."""
    wanted = (boot_seconds() + seconds) * RATE
    until(lambda: cpu(server) and range_of(cpu(server))[1] >= wanted, "later samples")


def test_steps_of_the_clock_neither_lose_nor_double_usage(start, start_worker, script, clock):
    script(steady=True)
    server = start(Server, "server.retention_days=36500")
    worker = start_worker(ports_of(server), environment=clock.environment)
    wait_value(server, 2)
    offset = 0
    for by in (-2 * HOUR, HOUR, -5000, 3 * HOUR):
        offset += by
        clock.set(offset)
        lines = len(worker.lines)
        worker.wait_line(f"stepped {'back' if by < 0 else 'forward'} by ", after=max(0, lines - 1))
        wait_value(server, 1)
    worker.stop()
    tracks = cpu(server)
    first, last = range_of(tracks)
    assert_no_fall(tracks)
    assert usage_of(tracks) == last - first
    assert {segment for _, segment in tracks} == {0, 1, 2}
    assert server.counters()["conflicting"] == 0


def test_a_small_step_back_is_no_segment(start, start_worker, script, clock):
    script(steady=True)
    server = start(Server, "server.retention_days=36500")
    worker = start_worker(ports_of(server), environment=clock.environment)
    wait_value(server, 1)
    clock.set(-800)
    wait_value(server, 3)
    worker.stop()
    tracks = cpu(server)
    assert {segment for _, segment in tracks} == {0}
    assert_no_fall(tracks)
    assert worker.count_lines("stepped") == 0


def test_a_step_while_the_worker_was_away_is_a_segment(start, start_worker, script, clock):
    script(steady=True)
    server = start(Server, "server.retention_days=36500")
    end_of_life = []
    for life, offset in enumerate((0, 0, -2 * HOUR, -2 * HOUR)):
        clock.set(offset)
        worker = start_worker(ports_of(server), environment=clock.environment)
        wait_value(server, 2)
        (worker.kill if life % 2 else worker.stop)()
        end_of_life.append(range_of(cpu(server))[1])
        assert worker.count_lines("stepped back by") == (life == 2)
    tracks = cpu(server)
    assert {segment for _, segment in tracks} == {0, 1}
    assert_no_fall(tracks)
    # The step was in the gap between the second and the third life: nothing is counted twice.
    first, last = range_of(tracks)
    assert usage_of(tracks) <= last - first
    assert max(value for _, value in tracks[min(tracks)]) == end_of_life[1]
