# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Usage summed over instances: each row is the sum of what its instances answer by themselves."""

import collections

import pytest

from harness import Peer
from test_api import OTHER, UUID, base_ms, reading, send_projects, send_readings
from test_http import scene, start_api, tokens  # noqa: F401 (fixtures)
from test_http_forms import Forms

NAMES = {"project": "project_id", "flavor": "flavor", "host": "host"}
HUGE = [f"{digit}f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968" for digit in range(3)]


def add_up(web, by, query):
    """{(group, metric, from): [value, uncertainty, covered, window, complete, instances, reasons]}
    """
    ids = [entry["id"] for entry in web.ok("/v1/instances")["instances"]]
    more = {} if by == "instance" else {"by": by}
    answer = web.ok("/v1/usage", id=ids, parameter="total", **query, **more)
    sums = collections.OrderedDict()
    for entry in answer["instances"]:
        for usage in entry["usages"]:
            group = entry["id"] if by == "instance" else usage[NAMES[by]]
            key = group, usage["metric"], usage.get("from", entry["from"])
            row = sums.setdefault(key, [0, 0, 0, 0, True, 0, collections.Counter()])
            row[0] += usage["value"]
            row[1] = None if None in (row[1], usage["uncertainty"]) \
                else row[1] + usage["uncertainty"]
            row[2] += usage["covered_ms"]
            row[3] += usage["window_ms"]
            row[4] = False if False in (row[4], usage["complete"]) else \
                None if None in (row[4], usage["complete"]) else True
            row[5] += 1
            row[6].update({reason["reason"] for reason in usage["reasons"]})
    return sums


@pytest.fixture
def web(scene, start_api):  # noqa: F811
    web = Forms(start_api())
    web.window = {"from_": scene + 30, "to": scene + 700}
    return web


@pytest.mark.parametrize("by", ["instance", *NAMES])
@pytest.mark.parametrize("more", [{}, {"step": "4m"}, {"metric": ["cpu", "state_time"]}])
def test_a_row_is_the_sum_of_its_instances(web, by, more):
    query = dict(web.window, **more)
    groups = web.ok("/v1/usage", all="true", by=by, **query)["groups"]
    assert {(row["group"], row["metric"], row["from"]): [
        row["value"], row["uncertainty"], row["covered_ms"], row["window_ms"], row["complete"],
        row["instances"],
        {reason["reason"]: reason["instances"] for reason in row["reasons"]}]
        for row in groups} == add_up(web, by, query)
    for row in groups:
        assert row["by"] == by and row["parameter"] == "total"
        assert row["coverage"] == pytest.approx(row["covered_ms"] / row["window_ms"], abs=1e-12)
        assert row["name"] == ({UUID: "i", OTHER: "j"}[row["group"]] if by == "instance" else "")
    keys = [(row["group"], row["metric"], row["from"]) for row in groups]
    assert [key[0] for key in keys] == sorted(key[0] for key in keys)
    assert len(keys) == len(set(keys)) >= (9 if "step" in more else 2)
    query["from"] = query.pop("from_")
    lines = web.lines("/v1/usage", all="true", by=by, **query)
    assert lines == groups
    rows = web.csv("/v1/usage", all="true", by=by, times="seconds", **query)
    assert [(row["group"], row["value"], row["from"]) for row in rows] == [
        (row["group"], str(row["value"]), str(row["from"])) for row in groups]


def test_projects_have_their_time_only(web):
    query = dict(web.window, metric="cpu", by="project")
    values = {row["group"]: row["value"] for row in web.ok(
        "/v1/usage", all="true", **query)["groups"]}
    assert set(values) == {"p1", "p2", "p3"}
    for project in values:
        [row] = web.ok("/v1/usage", project=project, **query)["groups"]
        assert (row["group"], row["value"]) == (project, values[project])


def test_a_token_sums_its_projects(scene, tokens):  # noqa: F811
    _, _, webs = tokens
    window = {"from_": scene, "to": scene + 600}
    query = dict(window, all="true", metric="cpu")
    assert {row["group"]: row["value"] for row in webs["p12"].ok(
        "/v1/usage", by="project", **query)["groups"]} == {"p1": 4200, "p2": 1800}
    [row] = webs["p2"].ok("/v1/usage", by="host", **query)["groups"]
    assert (row["group"], row["value"]) == ("h1", 1800)
    assert webs["p1"].get("/v1/usage", {"project": "p3", "by": "project", "from": scene})[0] == 403


def test_sums_have_no_largest_integer(server, start_api):  # noqa: F811
    base = base_ms()
    for i, uuid in enumerate(HUGE):
        with Peer(server, worker=f"w{i}", spool=f"s{i}") as peer:
            peer.wait_ack(peer.send_enveloped("3", {"host": f"h{i}", "readings": [
                reading(base + j * 60_000, [["cpu", "total", [j * (2**63 - 1)]]], uuid=uuid,
                        epoch=f"h{i}/b/1/2", start=base) for j in range(2)]}))
    web = Forms(start_api())
    query = {"all": "true", "metric": "cpu", "from": "-4d", "to": base / 1000 + 60}
    for by in ("project", "flavor"):
        [row] = web.lines("/v1/usage", by=by, **query)
        assert (row["group"], row["value"], row["instances"]) == ("", 3 * (2**63 - 1), 3)
        assert web.csv("/v1/usage", by=by, **query)[0]["value"] == str(3 * (2**63 - 1))
        assert web.lines("/v1/usage", by=by, int="string", **query)[0]["value"] == str(
            3 * (2**63 - 1))
    rows = web.lines("/v1/usage", by="host", **query)  # none of them reads states
    assert [(row["group"], row["value"]) for row in rows] == [
        (f"h{i}", 2**63 - 1) for i in range(3)]


@pytest.mark.parametrize("more, status", [
    ({"by": "colour", "all": "true"}, 400),
    ({"by": "project", "all": "true", "explain": "true"}, 400),
    ({"by": "project", "all": "true", "metric": "mem_rss"}, 400),
    ({"by": "project", "all": "true", "metric": "mem", "parameter": "mem_free"}, 400),
    ({"by": "project", "all": "true", "metric": "no"}, 400),
    ({"by": "instance"}, 400),
])
def test_what_has_no_sum_is_refused(web, scene, more, status):  # noqa: F811
    assert web.get("/v1/usage", {"from": scene, **more})[0] == status


def test_nothing_is_no_row(web):
    for form in (web.lines, web.csv):
        assert form("/v1/usage", project="nobody", by="project", **{"from": "-1h"}) == []
    assert web.ok("/v1/usage", project="nobody", by="project", from_="-1h") == {"groups": []}


def test_one_instance_may_be_a_group(web):
    [row] = web.ok("/v1/usage", id=["i", UUID], by="instance", metric="cpu", **web.window)["groups"]
    assert (row["group"], row["instances"]) == (UUID, 1)
