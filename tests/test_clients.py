# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The command lines: every form of the specification's api-client, and kanyun."""

import json
import os
import re
import subprocess

import pytest

from harness import BUILD, Server, Worker
from test_api import UUID, Answers, api, ask, base_ms, reading, send_info, \
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


def test_kanyun_refuses_what_it_does_not_understand(run):
    assert "there is no command 'x'" in run("x", status=2)
    assert "--from 'soon' is no time" in run("usage", "--from", "soon", status=2)
    assert "workers has no --from" in run("workers", "--from", "0", status=2)
    assert "expected ID METRIC" in run("series", status=2)
    assert "there is no instance 'nobody'" in run("usage", "nobody", status=1)
    for command in ("instances", "usage", "series", "workers", "status", "doctor"):
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
