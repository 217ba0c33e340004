# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun top: its figures, what it leaves unknown, what it asks, and the live view. And what else a
terminal is shown: plots, and how far long work is."""

import csv
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest
import zmq

from harness import BUILD, CONTEXT, TIMEOUT, Api, Peer
from test_api import OTHER, UUID, Answers, api, ask, reading  # noqa: F401 (fixtures)
from test_clients import cells, run  # noqa: F401 (fixtures)

THIRD = "8f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"
UNKNOWN_RATES = ["-"] * 11
RATES = ("nic_in", "nic_out", "disk_read", "disk_write", "external_in", "external_out")


def now_ms():
    return int(time.time()) * 1000


def info(uuid, name, project, host="h1", since=None, vcpus=2, **more):
    return {"uuid": uuid, "since": since or now_ms() - 86400_000, "name": name, "project_id": project, "vcpus": vcpus,
            **more}, host


def send(server, *batches):
    """batches: (kind, message) of one worker; waits until all are acknowledged."""
    with Peer(server, worker="top", spool=f"top{time.monotonic_ns()}") as peer:
        for kind, message in batches:
            last = peer.send_enveloped(kind, message)
        peer.wait_ack(last)


def send_infos(server, *infos):
    send(server, *[("1", {"host": host, "instances": [each]}) for each, host in infos])


def send_readings(server, *readings):
    send(server, ("3", {"host": "h1", "readings": list(readings)}))


def send_busy(server, at):
    """An instance of two vCPUs, read twice within a minute; what it did is easy to divide by 60."""
    send_infos(server, info(UUID, "instance-1", "p1", display_name="web", project_name="shop"))
    send_readings(
        server,
        reading(at - 60_000, [
            ["cpu", "total", [10**12]], ["nic", "a", [0, 100]], ["nic", "b", [0, 100]],
            ["blk", "vda", [0, 0]], ["vmnetwork", "10.0.0.2", [0, 0, 0]]]),
        reading(at, [
            ["cpu", "total", [10**12 + 30 * 10**9]], ["mem", "total", [4194304, 524288, 2097152]],
            ["nic", "a", [600, 100]], ["nic", "b", [6000, 160]],
            ["blk", "vda", [60 * 2**20, 120]], ["state", "total", [1, 1]],
            ["vmnetwork", "10.0.0.2", [180, 120, 60]]]))


def rows_of(run, *arguments):  # noqa: F811
    return {row["id"]: row for row in json.loads(run("top", "--json", *arguments))}


def test_rates_are_of_the_last_two_samples_and_of_all_devices(server, run):  # noqa: F811
    at = now_ms() - 5000
    send_busy(server, at)
    row, = json.loads(run("top", "--json"))
    assert 5 <= row.pop("age_seconds") < 60
    assert row == {
        "id": UUID, "name": "instance-1", "display_name": "web", "project_id": "p1",
        "project_name": "shop", "host": "h1", "state": "running", "vcpus": 2, "last": at / 1000,
        "is_old": False, "cpu_percent": 25.0, "core_percent": 50.0, "memory_kib": 2097152,
        "memory_max_kib": 4194304, "memory_free_kib": 524288, "nic_in_per_second": 110.0,
        "nic_out_per_second": 1.0, "disk_read_per_second": 2.0**20, "disk_write_per_second": 2.0,
        "external_in_per_second": 2.0, "external_out_per_second": 1.0}
    heads, line = run("top").splitlines()
    assert cells(heads) == [
        "INSTANCE", "PROJECT", "HOST", "STATE", "CPU%", "CORE%", "MEM", "MAX", "FREE", "NIC IN/s",
        "NIC OUT/s", "READ/s", "WRITE/s", "EXT IN/s", "EXT OUT/s"]
    assert cells(line) == ["web", "shop", "h1", "running", "25.0", "50.0", "2.0G", "4.0G", "512M",
                           "110", "1", "1.0M", "2", "2", "1"]
    assert run("top", "--once") == f"{heads}\n{line}\n"
    table = list(csv.DictReader(io.StringIO(run("top", "--csv"))))
    assert [(each["id"], each["nic_in_per_second"], each["memory_kib"]) for each in table] == \
        [(UUID, "110.000", "2097152")]
    assert set(table[0]) == set(row) | {"age_seconds"}


def test_what_is_not_known_is_not_zero(server, run):  # noqa: F811
    at = now_ms() - 5000
    send_readings(  # no info: its vCPUs are not known
        server,
        reading(at - 60_000, [["cpu", "total", [0]], ["nic", "a", [10, 10]], ["nic", "gone", [1, 1]],
                              ["blk", "vda", [500, 0]]]),
        reading(at, [["cpu", "total", [0]], ["nic", "a", [10, None]], ["nic", "new", [5, 5]],
                     ["blk", "vda", [400, 0]]]))
    row = rows_of(run)[UUID]
    assert (row["core_percent"], row["cpu_percent"], row["state"], row["vcpus"]) == \
        (0.0, None, None, None)
    assert row["memory_kib"] is None
    assert {name: row[f"{name}_per_second"] for name in RATES} == {
        "nic_in": None, "nic_out": None,  # of the new one no rate is known
        "disk_read": None, "disk_write": 0.0,  # the first fell
        "external_in": None, "external_out": None}
    assert cells(run("top").splitlines()[1])[1:] == \
        ["-", "-", "-", "-", "0.0", *["-"] * 6, "0", "-", "-"]
    table, = csv.DictReader(io.StringIO(run("top", "--csv")))
    assert (table["cpu_percent"], table["core_percent"], table["vcpus"]) == ("", "0.000", "")


def test_a_device_that_is_gone_is_no_part_of_the_sum(server, run):  # noqa: F811
    at = now_ms() - 5000
    ticks = range(6)
    send_readings(server, *[reading(at - 10_000 * (5 - i), [
        ["nic", "a", [i * 100, 0]], *([["nic", "gone", [i * 1000, 0]]] if i < 2 else [])])
        for i in ticks])
    assert rows_of(run)[UUID]["nic_in_per_second"] == 10.0


def test_an_instance_not_read_for_three_intervals_shows_its_age(server, run):  # noqa: F811
    at = now_ms()
    for uuid, last in ((UUID, at - 28_000), (OTHER, at - 300_000)):
        send_readings(server, *[reading(last - 10_000 * i, [["cpu", "total", [10**9 * (9 - i)]],
                                                            ["state", "total", [1, 1]]], uuid=uuid)
                                for i in range(3)],
                      # an event between two ticks does not make the interval shorter
                      reading(last - 100, [["state", "total", [1, 1]]], uuid=uuid))
    rows = rows_of(run)
    assert rows[OTHER]["is_old"] and rows[OTHER]["state"] is rows[OTHER]["core_percent"] is None
    assert 300 <= rows[OTHER]["age_seconds"] < 360
    if rows[UUID]["age_seconds"] <= 30:  # the machine was fast enough
        assert not rows[UUID]["is_old"] and rows[UUID]["core_percent"] == 10.0
    line, = (line for line in run("top").splitlines() if line.startswith(OTHER))
    assert cells(line)[3:] == ["read 5m ago", *UNKNOWN_RATES]
    send_readings(server, reading(at - 16 * 60_000, [["cpu", "total", [1]]], uuid=THIRD))
    assert THIRD not in rows_of(run)  # long gone


def test_rows_are_sorted_filtered_and_limited(server, run):  # noqa: F811
    at = now_ms() - 5000
    send_infos(server, info(UUID, "b", "p1", vcpus=1), info(OTHER, "a", "p2", "h2", vcpus=4),
               info(THIRD, "c", "p1"))
    for uuid, cpu, disk in ((UUID, 10, 5), (OTHER, 20, None)):
        send_readings(server, *[reading(at - 60_000 + 60_000 * i, [
            ["cpu", "total", [i * cpu * 10**9]], ["blk", "vda", [None, disk and i * disk]]], uuid)
            for i in range(2)])
    send_readings(server, reading(at, [["cpu", "total", [0]]], THIRD))

    def order(*arguments):
        return [row["name"] for row in json.loads(run("top", "--json", *arguments))]

    assert order() == ["b", "a", "c"]  # of their vCPUs
    assert order("--sort", "core") == ["a", "b", "c"]
    assert order("--sort", "disk") == ["b", "a", "c"]
    assert order("--sort", "name") == ["a", "b", "c"]
    assert order("--sort", "host") == ["b", "c", "a"]
    assert order("--sort", "core", "--limit", "1") == ["a"]
    assert order("--project", "p1") == ["b", "c"]
    assert order("--host", "h2") == ["a"]
    assert order("--host", "h2", "--project", "p1") == []
    assert len(run("top", "--limit", "2").splitlines()) == 3
    assert "--sort 'x' is none of cpu, core," in run("top", "--sort", "x", status=2)
    for limit in ("0", "-1", "x", "1000001"):
        assert f"--limit '{limit}' is no number" in run("top", "--limit", limit, status=2)
    assert "exclude" in run("top", "--json", "--csv", status=2)
    assert "no arguments" in run("top", "x", status=2)
    assert "top has no --from" in run("top", "--from", "0", status=2)
    assert "usage has no --host" in run("usage", "--sort", "x", status=2)


def test_names_that_tenants_chose_stay_in_their_cells(server, run):  # noqa: F811
    send_infos(server, info(UUID, "a", "p1", display_name='x", \u7f51'))
    send_readings(server, reading(now_ms(), [["cpu", "total", [0]]]))
    row, = csv.DictReader(io.StringIO(run("top", "--csv"), newline=""))
    assert row["display_name"] == 'x", \u7f51'
    assert cells(run("top").splitlines()[1])[:3] == ['x", \u7f51', "p1", "h1"]


def test_latest_is_of_the_time_in_which_the_projects_had_it(server, ask):  # noqa: F811
    at = now_ms() - 5000
    send_infos(server, info(UUID, "a", "p1"), info(UUID, "a", "p2", since=at - 30_000),
               info(OTHER, "b", "p1"))
    send_readings(server, *[reading(at - 60_000 + 20_000 * i, [["cpu", "total", [i]]], uuid)
                            for i in range(4) for uuid in (UUID, OTHER)])

    def samples(**more):
        return {each["id"]: [sample[1] for series in each["series"] for sample in series["samples"]]
                for each in ask("latest", **more)["instances"]}

    assert samples() == {UUID: [2, 3], OTHER: [2, 3]}
    assert samples(projects=["p1"]) == {OTHER: [2, 3]}
    assert samples(projects=["p2"]) == {UUID: [2, 3]}
    assert samples(projects=["p1", "p2"]) == {UUID: [2, 3], OTHER: [2, 3]}
    assert samples(projects=["p3"]) == {}
    send_infos(server, info(OTHER, "b", "p3", since=at - 10_000))
    assert samples(projects=["p3"]) == {OTHER: [3]}
    assert samples(metric=["nic_incoming"]) == {UUID: [], OTHER: []}
    assert samples(project_id="p3") == {OTHER: [2, 3]}
    assert {each["interval"] for each in ask("latest")["instances"]} == {20}
    for wrong, word in (({"metric": "cpu"}, "metric"), ({"metric": ["x"]}, "x"),
                        ({"metric": ["state_time"]}, "state_time"), ({"from": "x"}, "from"),
                        ({"projects": [1]}, "projects"), ({"host": 1}, "host")):
        code, message = ask.refused("latest", **wrong)
        assert code == 400 and word in message


class Between:
    """Passes questions on to the server, and counts them by method."""

    def __init__(self, server):
        self.methods = []
        self._asked, self._asking = CONTEXT.socket(zmq.REP), CONTEXT.socket(zmq.REQ)
        self.port = self._asked.bind_to_random_port("tcp://127.0.0.1")
        self._asking.connect(server.endpoints["rep"])
        self._end, self._ended = CONTEXT.socket(zmq.PAIR), CONTEXT.socket(zmq.PAIR)
        self._end.connect(f"inproc://between{self.port}")
        self._ended.bind(f"inproc://between{self.port}")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        poller = zmq.Poller()
        for each in (self._asked, self._ended):
            poller.register(each, zmq.POLLIN)
        while self._ended not in dict(poller.poll()):
            frames = self._asked.recv_multipart()
            self.methods.append(json.loads(frames[-1])["method"])
            self._asking.send_multipart(frames)
            self._asked.send_multipart(self._asking.recv_multipart())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._end.send(b"")
        self._thread.join()
        for each in (self._asked, self._asking, self._ended, self._end):
            each.close(linger=0)


def test_a_thousand_instances_take_one_question(server, start):
    at = now_ms() - 5000
    uuids = [f"6f4a5a3e-93a5-4f0c-8f0e-{i:012x}" for i in range(1000)]
    send(server, *[("3", {"host": "h1", "readings": [reading(time_ms, [
        ["cpu", "total", [10**9]], ["mem", "total", [1, 1, 1]], ["nic", "a", [1, 1]],
        ["blk", "vda", [1, 1]]], uuid) for uuid in some]})
        for time_ms in (at - 10_000, at)
        for some in (uuids[i:i + 200] for i in range(0, 1000, 200))])
    with Between(server) as between:
        asked = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                      f"api.server_port={between.port}")
        between.methods.clear()
        answer = Answers(asked)("latest")
        assert len(answer["instances"]) == 1000 and between.methods == ["store.latest"]
        assert all(len(each["series"]) == 8 for each in answer["instances"])
        asked.stop()


ENTER, LEAVE = b"\033[?1049h\033[?25l", b"\033[?25h\033[?1049l"


class Live:
    """kanyun top on a terminal of its own; what it draws comes as frames of lines."""

    def __init__(self, api, *arguments, columns=200, lines=24):  # noqa: F811
        self.master, self.terminal = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.terminal)
        port = api.endpoints["rep"].rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "src/cli/kanyun"), "top", "-c", "/dev/null", "-o",
             f"client.api_port={port}", "-o", "client.timeout=1", *arguments],
            stdin=self.terminal, stdout=self.terminal, stderr=self.terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.timer = threading.Timer(TIMEOUT, self.process.kill)
        self.timer.start()
        self.output, self.seen = b"", 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.terminal)

    def resize(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        assert select.select([self.master], [], [], TIMEOUT)[0], self.output[-2000:]
        self.output += os.read(self.master, 65536)

    def frame(self):
        """The next whole one."""
        while True:
            begin = self.output.find(b"\033[H", self.seen)
            end = self.output.find(b"\033[J", begin)
            if begin >= 0 and end >= 0:
                self.seen = end
                *lines, last = self.output[begin + 3:end].decode().split("\033[K\r\n")
                assert last == ""
                return lines
            self.read()

    def until(self, condition):
        """The first frame from now on of which it is true."""
        while True:
            lines = self.frame()
            if condition(lines):
                return lines

    def ended(self, status):
        """It ends so, and the terminal is as it was."""
        assert self.process.wait(TIMEOUT) == status
        while not self.output.endswith(LEAVE):
            self.read()
        assert self.output.count(LEAVE) == self.output.count(ENTER)
        assert termios.tcgetattr(self.terminal) == self.before


def send_many(server, count):
    at = now_ms() - 5000
    send_readings(server, *[reading(time_ms, [
        ["cpu", "total", [i * factor * 10**8]], ["blk", "vda", [(count - i) * factor, 0]]],
        f"6f4a5a3e-93a5-4f0c-8f0e-{i:012x}") for i in range(count)
        for factor, time_ms in enumerate((at - 60_000, at))])


def names(lines):
    return [int(line[24:36], 16) for line in lines[2:]]


def test_keys_sort_what_was_read(server, start):
    send_many(server, 4)
    with Between(server) as between:
        asked = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                      f"api.server_port={between.port}")
        between.methods.clear()
        with Live(asked, "--interval", "1h", "--sort", "core") as live:
            lines = live.frame()
            assert live.output.startswith(ENTER)
            assert "4 instances by core" in lines[0] and lines[1].startswith("INSTANCE ")
            assert names(lines) == [3, 2, 1, 0]
            for key, word, order in (("d", "disk ", [0, 1, 2, 3]),
                                     ("r", "disk, reversed ", [3, 2, 1, 0]),
                                     ("c", "cpu, reversed ", [0, 1, 2, 3]),
                                     ("r", "cpu ", [0, 1, 2, 3]),  # no vCPUs are known
                                     ("m", "memory ", [0, 1, 2, 3]), ("n", "network ", None),
                                     ("t", "traffic ", None), ("x", "traffic ", None)):
                live.press(key)
                lines = live.frame()
                assert f"by {word}" in lines[0], key
                assert order is None or names(lines) == order, key
            live.press("q")
            live.ended(0)
        assert between.methods == ["store.latest"]
        asked.stop()


def test_the_view_has_the_size_of_the_terminal(server, api):  # noqa: F811
    send_many(server, 30)
    with Live(api, "--interval", "1h", "--sort", "core", columns=60, lines=10) as live:
        lines = live.frame()
        assert len(lines) == 2 + 7 and names(lines) == list(range(29, 22, -1))
        assert max(map(len, lines)) == 60
        live.resize(100, 50)
        lines = live.until(lambda lines: len(lines) > 9)
        assert len(lines) == 2 + 30 and max(map(len, lines)) == 100
        live.resize(1, 1)
        assert live.until(lambda lines: len(lines) < 9) == ["k", "I"]
        live.press("q")
        live.ended(0)
    with Live(api, "--interval", "1h", "--limit", "3") as live:
        assert len(live.frame()) == 2 + 3
        live.press("q")
        live.ended(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_leaves_the_terminal_as_it_was(server, api, number):  # noqa: F811
    with Live(api, "--interval", "1h") as live:
        live.frame()
        assert termios.tcgetattr(live.terminal) != live.before
        if number == signal.SIGINT:
            live.press("\x03")
        else:
            live.process.send_signal(number)
        live.ended(-number)


def test_a_stopped_view_gives_the_terminal_back_meanwhile(server, api):  # noqa: F811
    with Live(api, "--interval", "1h") as live:
        live.frame()
        live.press("\x1a")
        assert os.WIFSTOPPED(os.waitpid(live.process.pid, os.WUNTRACED)[1])
        assert termios.tcgetattr(live.terminal) == live.before
        live.process.send_signal(signal.SIGCONT)
        live.frame()
        assert live.output.count(ENTER) == 2 and live.output.count(LEAVE) == 1
        live.press("q")
        live.ended(0)


def test_the_view_asks_again_and_says_why_there_is_nothing(server, api):  # noqa: F811
    with Live(api, "--interval", "1") as live:
        assert "0 instances" in live.frame()[0]
        send_many(server, 1)
        live.until(lambda lines: "1 instances" in lines[0])
        api.stop()
        assert len(live.until(lambda lines: "does not answer" in lines[0])) == 2
        live.press("q")
        live.ended(0)


class Plot:
    """A plot's bars, each by its rows' characters from the axis on; its labels, title and ends."""

    def __init__(self, text):
        lines = text.splitlines()
        body = lines[2:14]
        self.title, self.axis = lines[0], lines[14][16:]
        self.labels = [line[:15].strip() for line in (*body, lines[14])]
        self.bars = ["".join(column) for column in zip(*(line[16:] for line in reversed(body)))]
        self.ends, self.legend = lines[15].split(), lines[16:]

    @staticmethod
    def of(bar):
        """Its height in eighths of a row."""
        return sum(" ▁▂▃▄▅▆▇█".index(each) for each in bar)


@pytest.fixture
def plot(run, monkeypatch):  # noqa: F811
    def ask_plot(*arguments, locale="C.UTF-8"):
        monkeypatch.setenv("LC_ALL", locale)
        return Plot(run("usage", "--plot", *arguments))

    return ask_plot


def send_hour(server, base):
    """Six steps of ten minutes: 1, 2, 4 GiB, two without readings, and nothing in the last."""
    counts = [0, 1, 3, 7]
    send_readings(server, *[reading(base + i * 600_000, [
        ["blk", "vda", [count * 2**29, 0]], ["blk", "vdb", [count * 2**29, 0]],
        ["mem", "total", [2**20, count, None]]], epoch="h1/first") for i, count in
        enumerate(counts)])
    send_readings(server, *[reading(base + i * 600_000, [["blk", "vda", [5, 0]]], epoch="h1/second")
                            for i in (5, 6)])


def test_a_plot_shows_what_was_used_in_each_step(server, plot, run):  # noqa: F811
    base = (now_ms() // 3_600_000 - 5) * 3_600_000
    window = ["--from", str(base // 1000), "--to", str(base // 1000 + 3600)]
    send_hour(server, base)
    found = plot(UUID, "blk_read", "--step", "10m", *window)
    assert found.title == f"{UUID} blk_read total, used in each 10m"
    assert len(found.bars) == len(found.axis) == 60  # ten columns each
    assert found.axis == "─" * 30 + "·" * 20 + "─" * 10
    heights = [Plot.of(bar) for bar in found.bars]
    assert heights == [24] * 10 + [48] * 10 + [96] * 10 + [0] * 30
    assert (found.labels[0], found.labels[6], found.labels[12]) == ("4.0 GiB", "2.0 GiB", "0 GiB")
    assert [label for label in found.labels if label] == ["4.0 GiB", "2.0 GiB", "0 GiB"]
    assert found.ends == [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(base // 1000 + seconds))
                          for seconds in (0, 3600)]
    assert found.legend == [" " * 16 + "· no readings"]
    assert plot(UUID, "blk_read", "vdb", "--step", "10m", *window).labels[0] == "2.0 GiB"

    plain = plot(UUID, "blk_read", "--step", "10m", *window, locale="C")
    assert plain.axis == "-" * 30 + "." * 20 + "-" * 10 and plain.labels == found.labels
    assert plain.bars[0] == "###" + " " * 9 and plain.bars[20] == "#" * 12
    finer = plot(UUID, "blk_read", "--step", "10s", *window)  # six of them to a bar
    assert finer.title.endswith("in each 1m") and len(finer.bars) == 60
    assert len(plot(UUID, "blk_read", *window).bars) == 60  # a minute each

    gauge = plot(UUID, "mem_free", "--step", "10m", *window)
    assert gauge.title.endswith(" mem_free total, average of each 10m")
    assert gauge.axis == "─" * 40 + "·" * 20
    assert [Plot.of(bar) for bar in gauge.bars[::10]] == [0, 14, 41, 96, 0, 0]
    assert gauge.labels[0] == "7.0 KiB"
    nothing = plot(UUID, "nic_incoming", *window)
    assert set(nothing.axis) == {"·"} and set(nothing.labels) == {"", "0"}


def test_steps_are_rows_of_the_table(server, run):  # noqa: F811
    base = (now_ms() // 3_600_000 - 5) * 3_600_000
    window = ["--from", str(base // 1000), "--to", str(base // 1000 + 3600)]
    send_hour(server, base)
    heads, *rows = run("usage", UUID, "blk_read", "vda", "--step", "30m", *window).splitlines()[1:]
    assert cells(heads)[:5] == ["INSTANCE", "FROM", "METRIC", "PARAMETER", "USAGE"]
    assert [cells(row)[1:5] for row in rows] == [
        [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(base // 1000 + seconds)), "blk_read",
         "vda", usage] for seconds, usage in ((0, str(7 * 2**29)), (1800, "0"))]
    for step in ("0", "x", "-5m"):
        assert f"--step '{step}' is no span" in run("usage", UUID, "--step", step, status=2)
    assert "one ID and METRIC" in run("usage", "--plot", UUID, status=2)
    assert "--plot has no --json" in run("usage", "--plot", UUID, "cpu", "--json", status=2)
    assert "more than 10000 steps" in run("usage", "--plot", UUID, "cpu", "--step", "1", "--from",
                                          "-24h", status=2)
    assert "--from is not before" in run("usage", "--plot", UUID, "cpu", "--from", "0", "--to", "0",
                                         status=2)


@pytest.mark.parametrize("command", ["usage", "traffic"])
def test_long_work_says_how_far_it_is_only_on_a_terminal(server, api, run, command):  # noqa: F811
    at = now_ms()
    send_readings(server, *[reading(at, [["vmnetwork", "10.0.0.2", [1, 1, 0]]], uuid)
                            for uuid in (UUID, OTHER)])
    port = api.endpoints["rep"].rsplit(":", 1)[1]
    command = [os.path.join(BUILD, "src/cli/kanyun"), command, "--json", "-c", "/dev/null", "-o",
               f"client.api_port={port}"]
    master, terminal = pty.openpty()
    on_terminal = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=True,
                                 timeout=TIMEOUT)
    os.close(terminal)
    with os.fdopen(master, "rb", buffering=0) as output:
        said = output.read(4096)
    assert said.startswith(b"\r0 of 2 instances\033[K") and said.endswith(b"\r\033[K")
    elsewhere = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT)
    assert elsewhere.stderr == b""
    assert len(json.loads(elsewhere.stdout)) == len(json.loads(on_terminal.stdout)) == 2
