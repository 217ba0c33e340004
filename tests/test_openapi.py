# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The OpenAPI document against the real answers: of data of every kind, and of what schemathesis
thinks of. It comes from PyPI; where that cannot be reached, these tests are skipped."""

import json
import os
import re
import subprocess

import pytest

from harness import BUILD, ROOT, Peer
from test_api import OTHER, UUID, base_ms, reading, send_info, send_projects, send_readings
from test_http import start_api  # noqa: F401 (fixture)
from test_http_forms import Forms

SECONDS = 110


@pytest.fixture(scope="module")
def venv():
    path = os.path.join(BUILD, "venv")
    made = subprocess.run([os.path.join(ROOT, "tools/python-venv"), path,
                           os.path.join(ROOT, "tests/openapi/requirements.txt")],
                          capture_output=True, text=True)
    if made.returncode == 75:
        pytest.skip("PyPI cannot be reached: the OpenAPI document is NOT held to the answers")
    assert made.returncode == 0, made.stderr
    return os.path.join(path, "bin")


@pytest.fixture
def web(server, start_api):  # noqa: F811
    """Counters, gauges, states, a fall, a gap, an old worker, and readings of the last minutes."""
    base = base_ms()
    send_readings(server, [reading(base + i * 60_000, [
        ["cpu", "total", [7 if i == 9 else i * 2**50]], ["state", "total", [1, 1]],
        ["mem", "total", [1 << 20, i * 1000]], ["nic", "vnet0", [i * 100, i]],
        ["blk", "vda", [i * 3, None]]], start=base) for i in range(12)])
    send_readings(server, [reading(base + 7 + i * 60_000, [["cpu", "total", [i]]], uuid=OTHER,
                                   epoch="h1/b/3/4") for i in range(4)], worker="w2")
    send_projects(server, base)
    send_info(server, OTHER, "j", "h1", "=1+1", [
        {"nic": "vnet1", "mac": "52:54:00:00:00:01", "addresses": ["10.0.0.2"]}])
    with Peer(server, worker="w1", spool="w1") as peer:
        peer.sequence = 2
        peer.wait_ack(peer.send_enveloped("1", {"host": "h1", "gaps": [
            {"from": base + 200_000, "to": base + 300_000, "reason": "libvirt"}]}, oldest=3))
    with Peer(server) as old:
        old.send("2", {"instance-00000009@h9": [
            ("cpu", "total", (base // 1000 + i * 60, i * 700)) for i in range(3)]})
        server.wait_counter("stored", 1)
    web = Forms(start_api())
    web.base = base // 1000
    return web


def test_the_document_names_the_routes_and_their_parameters(web):
    with open(os.path.join(ROOT, "src/api/http/routes.c"), encoding="utf-8") as file:
        routes = re.findall(r'^\t\{ "(/v1/[^"]*)", ', file.read(), re.M)
    document = web.ok("/v1/openapi.json")
    assert sorted(document["paths"]) == sorted(routes) and len(routes) > 8
    for path, route in document["paths"].items():
        named = {document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]["name"]
                 for parameter in route["get"]["parameters"]}
        for name in sorted({"id", "project", "all", "from", "to", "metric", "parameter", "by",
                            "step", "explain", "format", "int", "times", "month", "account",
                            "provider", "currency", "host"} - ({"id"} if "{id}" in path else set())):
            status, problem = web.get(path.replace("{id}", "i"), {name: ""})
            is_known = status != 400 or problem["detail"] != f"there is no parameter '{name}' here"
            assert is_known == (name in named), (path, name)


def real_questions(base):
    window = {"from": base + 30, "to": base + 600}
    forms = [{}, {"times": "iso"}, {"int": "string"}, {"times": "iso", "int": "string"},
             {"format": "csv"}, {"format": "jsonl"}]
    for more in forms:
        for query in ({}, {"step": "2m"}, {"by": "project"}, {"by": "host"}, {"by": "flavor"},
                      {"by": "instance"}, {"metric": ["mem_free", "nic_incoming", "cpu"]}):
            status = 400 if "by" in query and "metric" in query else 200
            yield "/v1/usage", {"all": "true", **window, **query, **more}, status
        for by in ("project", "flavor", "host"):
            yield "/v1/usage", {"id": ["i", "j"], "by": by, **window, **more}, 200
        yield "/v1/usage", {"id": "instance-00000009@h9", **window, **more}, 200
        yield "/v1/usage", {"id": "i", "from": "now-1h", "to": "now", **more}, 200
        if "format" not in more:
            yield "/v1/usage", {"all": "true", "explain": "true", **window, **more}, 200
        yield "/v1/series", {"all": "true", **window, **more}, 200
        yield "/v1/series", {"all": "true", "metric": "cpu", **window, **more}, 200
        yield "/v1/samples", {"all": "true", "metric": "cpu", **window, **more}, 200
        for path in ("/v1/instances", "/v1/workers", "/v1/metrics"):
            yield path, dict(more), 200
    for name in (UUID, OTHER, "i", "instance-00000009@h9"):
        yield "/v1/instances/{id}", {"id": name}, 200
        yield "/v1/instances/{id}", {"id": name, "times": "iso", **window}, 200
    yield "/v1/status", {}, 200
    yield "/v1/latest", {"from": base - 3600}, 200
    yield "/v1/latest", {"from": base - 3600, "metric": ["cpu", "mem_free"], "host": "h"}, 200
    yield "/v1/latest", {"metric": "state_time"}, 400
    yield "/v1/openapi.json", {}, 200
    yield "/v1/export/focus", {"month": "2026-01"}, 200
    yield "/v1/usage", {"id": "nobody", **window}, 404
    yield "/v1/usage", dict(window), 400
    yield "/v1/usage", {"id": "i", "step": "1", "from": "now-10d"}, 413
    yield "/v1/instances/{id}", {"id": "nobody"}, 404


def test_real_answers_are_as_the_document_says(web, venv):
    run = subprocess.run(
        [os.path.join(venv, "python"), os.path.join(ROOT, "tests/openapi/real.py"),
         web.url.geturl() + "/v1/openapi.json"],
        input=json.dumps(list(real_questions(web.base))), capture_output=True, text=True,
        timeout=SECONDS)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_question_has_an_answer_that_is_not_in_the_document(web, venv, tmp_path):
    run = subprocess.run(
        [os.path.join(venv, "schemathesis"), "--config-file",
         os.path.join(ROOT, "tests/openapi/schemathesis.toml"), "run",
         web.url.geturl() + "/v1/openapi.json"],
        env=dict(os.environ, PYTHONPATH=os.path.join(ROOT, "tests/openapi")), cwd=tmp_path,
        capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr
