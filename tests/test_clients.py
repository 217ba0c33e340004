# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The command lines: every form of the specification's api-client, and kanyun."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest

from harness import BUILD, TIMEOUT, Server, Worker
from test_api import OTHER, UUID, Answers, api, ask, base_ms, reading, send_info, \
    send_old_example, send_readings  # noqa: F401 (fixtures)


@pytest.fixture
def run(api, tmp_path):  # noqa: F811
    port = api.endpoints["rep"].rsplit(":", 1)[1]

    def run_program(*arguments, program="kanyun", status=0, options=()):
        command = [os.path.join(BUILD, "src/cli", program), "-c", "/dev/null",
                   "-o", f"client.api_port={port}", *options, *arguments]
        if program == "kanyun":
            command = [command[0], *arguments, *command[1:5], *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path,
                              check=False)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stderr

    return run_program


@pytest.fixture
def old(run):
    return lambda *arguments, **more: run(*arguments, program="api_client", **more)


def test_the_specifications_command_lines_work_to_the_letter(server, run, old):
    send_old_example(server)
    assert old("vmnetwork") == "instance-0000002\n"
    assert old("-l", "vmnetwork") == "instance-0000002\n"
    assert old("-k", "instance-0000002").startswith('vmnetwork: instance-0000002, {"10.0.0.2": {')
    assert old("instance-0000002", "vmnetwork", "10.0.0.2") == \
        'instance-0000002, {"10.0.0.2": {"1332897660": 2, "1332897720": 2, "1332897780": 2, ' \
        '"1332897840": 2, "1332897900": 2}}\n'
    name = "instance-00000001@pyw.novalocal"
    assert old(name, "mem", "mem_free") == f'{name}, {{"total": {{"1329739932": 131072}}}}\n'
    assert old(name, "cpu").startswith(f'{name}, {{"total": {{"1329739932": 1000, ')
    assert old("instance-0000002", "vmnetwork", "10.0.0.2", "0", "5", "1332897600", "0") == \
        '[ {"1332897600.0": 10} ]\n'
    assert old("instance-0000002", "vmnetwork", "10.0.0.2", "sum", "5", "1332897600") == \
        '[ {"1332897600.0": 10} ]\n'
    answer = run("instance-00000001@pyw.novalocal", "cpu", "total", "sum", "5",
                 "2012-02-20T12:12:12", "2012-06-20T12:12:12", program="api-client")
    values = json.loads(answer)[0]
    assert len(values) == 34848 and set(values.values()) == {300}


def test_the_old_client_says_what_is_wrong(old):
    assert "nobody" in old("-k", "nobody", status=1)
    assert "period" in old("a", "cpu", "total", "sum", "x", "1", status=2)
    assert "expected METRIC" in old(status=2)
    assert "Usage:" in old("--help")


def test_kanyun_lists_instances(server, run):
    send_readings(server, [reading(base_ms(), [["cpu", "total", [1]]])])
    send_info(server, UUID, "instance-1", "h1", display_name="网站")
    heads, row = run("instances").splitlines()
    assert heads.split()[:3] == ["ID", "NAME", "HOST"]
    assert row.split()[:4] == [UUID, "instance-1", "h1", "网站"]
    assert json.loads(run("instances", "--json"))[0]["id"] == UUID
    assert json.loads(run("instances", "--json", "--project", "other")) == []


def test_kanyun_shows_usage_and_series(server, run):
    base = base_ms() // 1000
    send_readings(server, [reading((base + i * 60) * 1000, [
        ["cpu", "total", [i * 100]], ["nic", "vnet0", [i, i, i]]]) for i in range(11)])
    window = ["--from", str(base), "--to", str(base + 300)]
    lines = run("usage", UUID, *window).splitlines()
    assert re.split(r"  +", lines[2])[1:] == ["cpu", "total", "500", "ns", "0", "100.0%", "yes"]
    assert len(lines) == 2 + 3
    assert len(run("usage", "--all", UUID, *window).splitlines()) == 2 + 4
    assert len(run("usage", *window).splitlines()) == 2 + 3
    answer = json.loads(run("usage", UUID, "cpu", "--json", *window))
    assert answer["usages"][0]["value"] == 500
    assert len(run("series", UUID, "cpu", *window).splitlines()) == 1 + 5
    assert json.loads(run("series", UUID, "cpu", "--json", *window))["series"][0]["samples"][1] == \
        [base + 60, 100]


def cells(line):
    return re.split(r"  +", line)


def traffic(external_in, external_out, *internal):
    return [external_in + external_out, external_in, external_out, *internal]


def test_kanyun_shows_traffic_of_each_address_and_absent_is_not_zero(server, run):
    base = base_ms() // 1000
    send_info(server, UUID, "instance-1", "h1")
    send_readings(server, [reading((base + i * 60) * 1000, [
        ["vmnetwork", "10.0.0.3", traffic(i * 100, i * 20, 0, i * 7)],
        ["vmnetwork", "fd00::3", traffic(i * 5, 0)]]) for i in range(11)])
    send_readings(server, [reading(base * 1000, [["cpu", "total", [1]]], uuid=OTHER)], "w2")
    window = ["--from", str(base), "--to", str(base + 300)]
    heads, *rows = run("traffic", *window).splitlines()[1:]
    assert cells(heads) == ["INSTANCE", "ADDRESS", "EXT IN/s", "EXT OUT/s", "EXT IN", "EXT OUT",
                            "EXT", "INT IN", "INT OUT", "COMPLETE"]
    assert [cells(row)[:9] for row in rows] == [
        ["instance-1", "10.0.0.3", "-", "-", "500", "100", "600", "0", "35"],
        ["instance-1", "fd00::3", "-", "-", "25", "0", "25", "-", "-"]]
    assert run("traffic", "instance-1", "--once", *window).splitlines()[2:] == rows
    assert len(run("traffic", OTHER, *window).splitlines()) == 2
    assert len(run("traffic", "--from", str(base + 601), "--to", str(base + 700)).splitlines()) == 2
    assert json.loads(run("traffic", "--json", "--project", "other", *window)) == []
    first, second = json.loads(run("traffic", "--json", UUID, *window))
    assert (first["id"], first["address"], first["rates"]) == (UUID, "10.0.0.3", {})
    assert {name: usage["value"] for name, usage in first["usages"].items()} == {
        "vmnetwork": 600, "vmnetwork_in": 500, "vmnetwork_out": 100, "vmnetwork_internal_in": 0,
        "vmnetwork_internal_out": 35}
    assert set(second["usages"]) == {"vmnetwork", "vmnetwork_in", "vmnetwork_out"}


def test_traffic_that_is_not_complete_says_so(server, run):
    base = base_ms() // 1000
    send_readings(server, [reading((base + i * 60) * 1000, [
        ["vmnetwork", "10.0.0.3", traffic(i * 100, i * 20)]]) for i in range(6)])
    done, open_end = (cells(run("traffic", UUID, "--from", str(base), "--to", str(base + end))
                            .splitlines()[2])[-1] for end in (300, 301))
    assert done == "yes"
    assert open_end.startswith("no: worker-silent since ")


def test_traffic_of_old_workers_has_no_directions(server, run):
    send_old_example(server)
    line = run("traffic", "--from", "1332897600", "--to", "1332897900").splitlines()[2]
    assert cells(line)[:9] == ["instance-0000002", "10.0.0.2", "-", "-", "-", "-", "10240",
                               "-", "-"]
    assert cells(line)[9].startswith("unknown")
    send_info(server, UUID, "instance-0000002", "h1")  # and now a worker of ours
    send_readings(server, [reading((1332897600 + i * 60) * 1000, [
        ["vmnetwork", "10.0.0.2", traffic(i, i)]]) for i in range(6, 9)])
    line = run("traffic", UUID, "--from", "1332897600", "--to", "1332898200").splitlines()[2]
    assert cells(line)[4:9] == ["2", "2", "10244", "-", "-"]


def test_the_rate_of_traffic_is_of_the_newest_two_readings(server, run):
    now = int(time.time())
    send_readings(server, [
        reading((now - 60) * 1000, [["vmnetwork", "10.0.0.3", traffic(0, 0)]], epoch="h1/a"),
        reading((now - 50) * 1000, [["vmnetwork", "10.0.0.3", traffic(10, 0)]], epoch="h1/a"),
        reading((now - 30) * 1000, [["vmnetwork", "10.0.0.3", traffic(100, 90)]]),
        reading((now - 10) * 1000, [["vmnetwork", "10.0.0.3", traffic(1100, 90)]])])
    row, = json.loads(run("traffic", "--json"))
    assert row["rates"] == {"vmnetwork_in": 50.0, "vmnetwork_out": 0.0}
    assert cells(run("traffic").splitlines()[2])[2:4] == ["50", "0"]
    send_readings(server, [reading((now - 5) * 1000, [["vmnetwork", "10.0.0.3", traffic(7, 95)]])],
                  "w2")
    assert cells(run("traffic").splitlines()[2])[2:4] == ["-", "1"]


def test_on_a_terminal_traffic_is_shown_until_interrupted(server, api, tmp_path):  # noqa: F811
    send_readings(server, [reading(int(time.time()) * 1000,
                                   [["vmnetwork", "10.0.0.3", traffic(1, 2)]])])
    master, terminal = pty.openpty()
    port = api.endpoints["rep"].rsplit(":", 1)[1]
    program = subprocess.Popen(
        [os.path.join(BUILD, "src/cli/kanyun"), "traffic", "--interval", "1", "-c", "/dev/null",
         "-o", f"client.api_port={port}"], stdin=terminal, stdout=terminal, stderr=terminal,
        cwd=tmp_path)
    os.close(terminal)
    timer = threading.Timer(TIMEOUT, program.kill)
    timer.start()
    screen = b""
    with os.fdopen(master, "rb", buffering=0) as output:
        while screen.count(b"10.0.0.3") < 2:
            screen += output.read(4096)
        program.send_signal(signal.SIGINT)
        assert program.wait(TIMEOUT) == -signal.SIGINT
    timer.cancel()
    assert screen.count(b"\033[H\033[2J") == 2


def test_kanyun_refuses_what_it_does_not_understand(run):
    assert "there is no command 'x'" in run("x", status=2)
    assert "--from 'soon' is no time" in run("usage", "--from", "soon", status=2)
    assert "workers has no --from" in run("workers", "--from", "0", status=2)
    assert "workers has no --once" in run("workers", "--once", status=2)
    assert "--interval '0' is no span" in run("traffic", "--interval", "0", status=2)
    assert "--project is for all" in run("traffic", "a", "--project", "p", status=2)
    assert "expected ID METRIC" in run("series", status=2)
    assert "there is no instance 'nobody'" in run("usage", "nobody", status=1)
    for command in ("instances", "usage", "series", "traffic", "workers", "status", "doctor"):
        assert run(command, "--help").startswith(f"Usage: kanyun {command} ")


def test_doctor_finds_the_worker_that_is_missing_and_then_there(server, run, start, tmp_path):
    def findings(status):
        text = run("doctor", "--json", status=status) if status == 0 else None
        return json.loads(text) if text else None

    assert findings(1) is None  # no worker
    script = tmp_path / "script.json"
    script.write_text('{"instances": []}')
    start(Worker, "worker.id=w1", "worker.collector=fake", f"worker.fake_script={script}",
          f"worker.spool_dir={tmp_path}/spool",
          f"worker.dataserver_port={server.endpoints['pull'].rsplit(':', 1)[1]}",
          f"worker.dataserver_pub_port={server.endpoints['pub'].rsplit(':', 1)[1]}")
    server.wait_line("worker 'w1' appears")
    found = {entry["check"]: entry["finding"] for entry in findings(0)}
    assert found["api"] == found["server"] == found["store"] == found["workers"] == "ok"
    server.stop()
    assert findings(1) is None


def test_without_an_api_the_client_says_so_and_fails(run):
    message = run("workers", options=["-o", "client.api_port=1", "-o", "client.timeout=1"],
                  status=1)
    assert "127.0.0.1:1" in message
