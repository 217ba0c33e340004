# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-api over HTTP: each figure is the native answer's, and a token sees what it may."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import urllib.parse

import pytest

from harness import BUILD, Api, free_ports
from test_api import (OTHER, UUID, Answers, base_ms, minutes, reading, send_projects,
                      send_readings)


class Web:
    def __init__(self, api, token=None):
        self.url = urllib.parse.urlsplit(api.endpoints["http"])
        self.token = token

    def connect(self):
        if self.url.scheme == "http":
            return http.client.HTTPConnection(self.url.netloc, timeout=60)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(self.url.netloc, timeout=60, context=context)

    def get(self, path, query=(), headers=None, method="GET"):
        """(status, JSON)"""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        connection = self.connect()
        target = path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        body = response.read()
        assert response.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in response.headers
        if response.status != 200:
            assert response.headers["Content-Type"] == "application/problem+json"
            assert json.loads(body)["status"] == response.status
        connection.close()
        return response.status, json.loads(body)

    def ok(self, path, **query):
        query = {name.rstrip("_"): value for name, value in query.items()}
        status, answer = self.get(path, query)
        assert status == 200, answer
        return answer


@pytest.fixture
def start_api(server, start):
    def start_it(*options):
        port = server.endpoints["rep"].rsplit(":", 1)[1]
        return start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}",
                     f"api.http_port={free_ports(1)}", *options)
    return start_it


def make_token(name, *projects):
    run = subprocess.run([os.path.join(BUILD, "src/cli/kanyun"), "token", name, *projects],
                         capture_output=True, text=True, check=True)
    return run.stdout, run.stderr.strip()


@pytest.fixture
def scene(server):
    """UUID was p1's, then p2's, then p1's; OTHER is p3's."""
    base = base_ms()
    send_readings(server, minutes(base, [1] * 11) + [
        reading(base + i * 60_000, [["cpu", "total", [i * 7 + 2**60]]], uuid=OTHER,
                epoch="h1/b/3/4", start=base) for i in range(11)])
    send_projects(server, base)
    send_projects(server, base, OTHER, "j", ((0, "p3"),))
    return base // 1000


def test_every_figure_is_that_of_the_native_answer(scene, start_api):
    api = start_api()
    web, ask = Web(api), Answers(api)
    window = {"from": scene + 30, "to": scene + 600}
    for more in ({}, {"by": "project"}, {"metric": ["cpu", "state_time"], "step": 120},
                 {"by": "host", "explain": True}):
        query = dict(more, explain="true") if "explain" in more else more
        answer = web.ok("/v1/usage", id=[UUID, OTHER], **window, **query)
        assert answer["instances"] == [ask("usage", id=id, **window, **more)
                                       for id in (UUID, OTHER)]
    assert web.ok("/v1/samples", id="j", metric="cpu", **window)["instances"][0]["series"][0][
        "samples"][0][1] == 2**60 + 7  # no double
    assert web.ok("/v1/samples", id=["i", "j"], metric="cpu", **window)["instances"] == [
        ask("series", id=id, metric="cpu", **window) for id in (UUID, OTHER)]
    assert web.ok("/v1/series", id="i", **window)["instances"] == [
        ask("series", id="i", samples=False, **window)]
    assert web.ok("/v1/instances")["instances"] == ask("instances")
    assert web.ok("/v1/instances/i", **window) == ask("instance", id="i", **window)
    assert web.ok("/v1/metrics")["metrics"] == ask("metrics")
    latest = web.ok("/v1/latest", from_=scene, metric=["cpu", "mem_max"], host="h1")
    assert len(latest["instances"]) == 2 and latest["instances"] == ask(
        "latest", **{"from": scene, "metric": ["cpu", "mem_max"], "host": "h1"})["instances"]
    assert web.ok("/v1/workers")["workers"] == ask("workers")
    assert set(web.ok("/v1/status")) == set(ask("status"))


def test_an_instance_by_two_names_is_answered_once(scene, start_api):
    answer = Web(start_api()).ok("/v1/usage", id=["i", UUID, UUID.upper()], from_=scene)
    assert [entry["id"] for entry in answer["instances"]] == [UUID]


def test_times_may_be_words(scene, start_api):
    web = Web(start_api())
    for begin in ("now-3d", "-3d", "today-4d", "2020-01-01T00:00:00+01:00"):
        [instance] = web.ok("/v1/usage", id="i", metric="cpu", from_=begin)["instances"]
        assert instance["usages"][0]["value"] == 6000


@pytest.mark.parametrize("path, query, status", [
    ("/v1/usage", {"from": 0}, 400),
    ("/v1/usage", {"all": "yes", "from": "-1h"}, 400),
    ("/v1/usage", {"id": "i"}, 400),
    ("/v1/usage", {"id": "i", "from": "soon"}, 400),
    ("/v1/usage", {"id": "i", "from": "-1h", "to": "-2h"}, 400),
    ("/v1/usage", {"id": "i", "from": "-1h", "step": "0"}, 400),
    ("/v1/usage", {"id": "i", "from": "-1h", "step": "x"}, 400),
    ("/v1/usage", {"id": "i", "from": "-10d", "step": "1"}, 413),
    ("/v1/usage", {"id": "i", "from": "-1h", "by": "colour"}, 400),
    ("/v1/usage", {"id": "i", "from": "-1h", "metric": "no"}, 400),
    ("/v1/usage", {"id": "nobody", "from": "-1h"}, 404),
    ("/v1/usage", {"id": ["x"] * 101, "from": "-1h"}, 413),
    ("/v1/usage", {"id": "i", "from": "-1h", "projects": "p1"}, 400),
    ("/v1/samples", {"id": "i", "from": "-1h"}, 400),
    ("/v1/instances/nobody", {}, 404),
    ("/v1/usages", {}, 404),
])
def test_what_is_wrong_is_a_problem(scene, start_api, path, query, status):
    got, problem = Web(start_api()).get(path, query)
    assert got == status and problem["detail"]


def test_only_this_host_may_ask_without_tokens(scene, start_api):
    web = Web(start_api())
    assert web.get("/v1/metrics", headers={"Host": "localhost:1"})[0] == 200
    assert web.get("/v1/metrics", headers={"Host": "attacker.example"})[0] == 403


ELSEWHERE = "192.0.2.1"
ASKING = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
connection.request("GET", "/v1/metrics", headers={"Host": "localhost"})
print(connection.getresponse().status)
"""


def ask_at(api, address):
    """The status, asked at that address, so from it, where the API's network namespace is."""
    port = api.endpoints["http"].rsplit(":", 1)[1]
    asked = subprocess.run(["nsenter", f"--net=/proc/{api.process.pid}/ns/net", "python3", "-c",
                            ASKING, address, port], capture_output=True, text=True, check=True)
    return int(asked.stdout)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nsenter"),
                    reason="another address needs root, unshare and nsenter")
def test_who_comes_from_elsewhere_needs_tokens(start):
    setup = f"ip link set lo up && ip address add {ELSEWHERE}/32 dev lo && exec \"$0\" \"$@\""
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", "api.http_host=0.0.0.0",
                "api.http_port=8780", prefix=("unshare", "-n", "sh", "-c", setup))
    assert ask_at(api, "127.0.0.1") == 200
    assert ask_at(api, ELSEWHERE) == 403


WINDOWED = ["/v1/usage", "/v1/series", "/v1/samples"]


@pytest.fixture
def tokens(tmp_path, start_api):
    path = tmp_path / "tokens"
    made = {name: make_token(name, *projects) for name, projects in {
        "all": [], "p1": ["p1"], "p2": ["p2"], "p12": ["p1", "p2"], "p3": ["p3"]}.items()}
    path.write_text("".join(line for line, _ in made.values()))
    path.chmod(0o600)
    api = start_api(f"api.http_tokens={path}")
    return api, path, {name: Web(api, token) for name, (_, token) in made.items()}


def test_nothing_is_answered_without_a_valid_token(scene, tokens):
    api, _, webs = tokens
    paths = [*WINDOWED, "/v1/latest", "/v1/instances", "/v1/instances/i", "/v1/metrics",
             "/v1/workers", "/v1/status", "/v1/nothing"]
    for path in paths:
        assert Web(api).get(path)[0] == 401
        assert Web(api, "kanyun_" + "0" * 64).get(path)[0] == 401
        assert Web(api, webs["all"].token[:-1]).get(path)[0] == 401
        assert Web(api, "").get(path, headers={"Authorization": "Basic " + webs["all"].token}
                                )[0] == 401


def test_a_token_of_projects_sees_their_time_and_nothing_else(scene, tokens):
    _, _, webs = tokens
    window = {"from": scene, "to": scene + 600}

    def used(web, **query):
        answer = webs[web].ok("/v1/usage", metric="cpu", **window, **query)
        return {entry["id"]: sum(usage["value"] for usage in entry["usages"])
                for entry in answer["instances"]}

    assert used("all", all="true")[UUID] == 6000 and len(used("all", all="true")) == 2
    assert used("all", project="p1") == {UUID: 4200}
    assert used("p1", all="true") == used("p1", id=UUID) == {UUID: 4200}
    assert used("p2", id="i") == {UUID: 1800} and used("p12", id="i") == {UUID: 6000}
    assert used("p12", project="p2") == {UUID: 1800}
    assert list(used("p3", all="true")) == [OTHER]
    for path in WINDOWED:
        for query in ({"id": OTHER}, {"id": "j"}):
            status, problem = webs["p1"].get(path, dict(query, metric="cpu", **window))
            assert status == 404
        assert webs["p1"].get(path, dict(project="p3", metric="cpu", **window))[0] == 403
        assert webs["p1"].get(path, dict(project=["p1", "p3"], metric="cpu", **window))[0] == 403
        assert [entry["id"] for entry in webs["p3"].ok(
            path, all="true", metric="cpu", **window)["instances"]] == [OTHER]
    [series] = webs["p2"].ok("/v1/samples", id="i", metric="cpu", **window)["instances"][0][
        "series"]
    assert [time - scene for time, _ in series["samples"]] == [120, 180, 240]
    assert [entry["id"] for entry in webs["p3"].ok("/v1/instances")["instances"]] == [OTHER]
    assert webs["p3"].get("/v1/instances/i")[0] == 404
    assert webs["p3"].get("/v1/instances", {"project": "p1"})[0] == 403
    assert [entry["project_id"] for entry in webs["p2"].ok("/v1/instances/i")["history"]] == ["p2"]
    for path in ("/v1/workers", "/v1/status"):  # /metrics: test_metrics.py
        assert webs["p12"].get(path)[0] == 403 and webs["all"].get(path)[0] == 200
    assert webs["p3"].get("/v1/metrics")[0] == 200
    latest = {name: [entry["id"] for entry in web.ok("/v1/latest", from_=scene)["instances"]]
              for name, web in webs.items()}
    assert latest == {"all": [UUID, OTHER], "p1": [UUID], "p2": [], "p12": [UUID], "p3": [OTHER]}
    assert webs["p3"].get("/v1/latest", {"project": "p1"})[0] == 403


def test_a_token_is_told_nothing_of_when_the_instance_was_another_projects(server, tokens):
    _, _, webs = tokens
    base = base_ms()
    send_readings(server, minutes(base, [1, 1, 3, 3, 3, 1]) + [
        dict(each, epoch="h1/b/1/3", start=base + 360_000)
        for each in minutes(base + 360_000, [1, 1, 1, 1, 1])])
    send_projects(server, base, changes=((-5_000, "p1"), (120_000, "p2"), (300_000, "p1"),
                                         (570_000, "p2")))
    window = {"from_": base // 1000, "to": base // 1000 + 570}

    def told(web, kind, time):
        return [entry[time] - base // 1000
                for entry in webs[web].ok("/v1/instances/i", **window)[kind]]

    assert told("all", "runs", "begin") == told("p1", "runs", "begin") == [0, 360]
    assert told("p2", "runs", "begin") == [0]
    assert told("all", "states", "at") == [0, 120, 300] and told("p2", "states", "at") == [120]
    assert told("p1", "history", "since") == [-5, 300]
    assert webs["p1"].ok("/v1/instances/i")["flavor_name"] == "fp1"
    assert webs["p1"].ok("/v1/instances")["instances"][0]["flavor_name"] == "fp1"
    [series] = webs["p2"].ok("/v1/series", id="i", metric="cpu", **window)["instances"][0]["series"]
    assert (series["first"], series["last"]) == (base // 1000 + 120, base // 1000 + 240)

    def latest(web):
        [entry] = webs[web].ok("/v1/latest", from_=base // 1000, metric="cpu")["instances"]
        return [time - base // 1000 for time, _ in entry["series"][0]["samples"]]

    assert latest("all") == [540, 600] and latest("p2") == [600]


def test_each_request_of_a_connection_has_a_token_of_its_own(scene, tokens):
    _, _, webs = tokens
    connection = webs["all"].connect()

    def seen(token):
        headers = {"Authorization": "Bearer " + token} if token else {}
        connection.request("GET", "/v1/instances", headers=headers)
        response = connection.getresponse()
        assert not response.will_close
        answer = json.loads(response.read())
        return [entry["id"] for entry in answer["instances"]] if response.status == 200 \
            else response.status

    assert seen(webs["all"].token) == [UUID, OTHER]
    assert seen(webs["p1"].token) == [UUID] and seen(webs["p3"].token) == [OTHER]
    assert seen(None) == seen("kanyun_wrong") == 401
    connection.close()


def test_a_token_that_is_taken_away_is_worth_nothing(scene, tokens):
    _, path, webs = tokens
    assert webs["p1"].get("/v1/metrics")[0] == 200
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("p1 ")))
    assert webs["p1"].get("/v1/metrics")[0] == 401 and webs["p2"].get("/v1/metrics")[0] == 200
    path.chmod(0o666)
    assert webs["p2"].get("/v1/metrics")[0] == 503
    path.chmod(0o600)
    assert webs["p2"].get("/v1/metrics")[0] == 200


def test_it_does_not_start_with_tokens_that_others_may_write(tmp_path, start_api):
    path = tmp_path / "tokens"
    path.write_text("")
    path.chmod(0o666)
    with pytest.raises(AssertionError, match="mode should be"):
        start_api(f"api.http_tokens={path}")


def test_tls_is_spoken_with_the_certificate_of_the_configuration(tmp_path, scene, start_api):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    key.chmod(0o600)
    api = start_api(f"api.http_certificate={certificate}", f"api.http_key={key}")
    assert api.endpoints["http"].startswith("https://")
    assert Web(api).ok("/v1/instances/i")["id"] == UUID
    key.chmod(0o644)
    with pytest.raises(AssertionError, match="used by others"):
        start_api(f"api.http_certificate={certificate}", f"api.http_key={key}")
