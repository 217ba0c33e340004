# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The forms of an answer over HTTP: CSV and JSON lines say what JSON says, row by row."""

import csv
import datetime
import io
import json
import urllib.parse

import pytest

from test_api import OTHER, UUID, base_ms, minutes, reading, send_info, send_readings
from test_http import Web, scene, start_api  # noqa: F401 (fixtures)

HOSTILE = '=HYPERLINK("http://x","a,b")'


class Forms(Web):
    def fetch(self, path, query=(), accept=None):
        """(status, media type, bytes)"""
        headers = {} if accept is None else {"Accept": accept}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        connection = self.connect()
        target = path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.headers["Content-Type"], body

    def csv(self, path, **query):
        status, kind, body = self.fetch(path, dict(query, format="csv"))
        assert (status, kind) == (200, "text/csv; charset=utf-8; header=present"), body
        text = body.decode()
        assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    def lines(self, path, **query):
        status, kind, body = self.fetch(path, dict(query, format="jsonl"))
        assert (status, kind) == (200, "application/x-ndjson"), body
        assert not body or body.endswith(b"\n")
        return [json.loads(line) for line in body.splitlines()]


@pytest.fixture
def web(scene, start_api, server):  # noqa: F811
    send_info(server, OTHER, "j", "h1", HOSTILE, [
        {"nic": "vnet0", "mac": "52:54:00:00:00:01", "addresses": ["10.0.0.2", "10.0.0.3"]}])
    web = Forms(start_api())
    web.window = {"from": scene + 30, "to": scene + 600}
    return web


def iso(seconds):
    at = datetime.datetime.fromtimestamp(0, datetime.timezone.utc) + datetime.timedelta(
        milliseconds=round(seconds * 1000))
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cell(name, value, times):
    """What CSV has in place of a value of JSON."""
    if value is None:
        return ""
    if name in times:
        return value if isinstance(value, str) and "." in value else \
            value.replace("Z", ".000Z") if isinstance(value, str) else iso(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(each if isinstance(each, str) else
                        each["reason"] if "reason" in each else " ".join(each["addresses"])
                        for each in value)
    if isinstance(value, str) and value[:1] in tuple("=+-@"):
        return "'" + value
    return str(value)


def flat(path, answer):
    """The rows of a JSON answer, as docs/http.md says."""
    member = {"/v1/usage": "usages", "/v1/series": "series", "/v1/samples": "series"}.get(path)
    for entry in answer[path.rpartition("/")[2] if not member else "instances"]:
        for inner in entry[member] if member else [entry]:
            for sample in inner["samples"] if path == "/v1/samples" else [None]:
                more = dict(zip(("time", "value"), sample)) if sample else {}
                yield {**{key: value for key, value in entry.items() if key != member}, **inner,
                       **more}


@pytest.mark.parametrize("path, query, times", [
    ("/v1/usage", {"all": "true"}, {"from", "to"}),
    ("/v1/usage", {"all": "true", "metric": ["cpu", "mem_max"], "step": "2m"}, {"from", "to"}),
    ("/v1/usage", {"id": "i", "metric": "cpu", "by": "project"}, {"from", "to"}),
    ("/v1/series", {"all": "true"}, {"start", "first", "last"}),
    ("/v1/samples", {"all": "true", "metric": "cpu"}, {"start", "time"}),
    ("/v1/instances", {}, {"first", "last"}),
    ("/v1/workers", {}, {"last_seen", "told_until"}),
    ("/v1/metrics", {}, set()),
])
def test_rows_say_what_json_says(web, path, query, times):
    if path in ("/v1/usage", "/v1/series", "/v1/samples"):
        query = dict(query, **web.window)
    status, answer = web.get(path, query)
    assert status == 200
    expected = list(flat(path, answer))
    lines, rows = web.lines(path, **query), web.csv(path, **query)
    assert len(lines) == len(rows) == len(expected) > 0
    for line, row, entry in zip(lines, rows, expected):
        assert list(line) == list(row)
        for name in line:
            if name not in ("silent_seconds", "last_seen"):
                assert line[name] == entry.get(name)
                assert row[name] == cell(name, entry.get(name), times)
        assert set(entry) <= set(line) | {"samples"}


def test_integers_stay_integers(web):
    query = dict(web.window, id="j", metric="cpu")
    assert web.csv("/v1/samples", **query)[0]["value"] == str(2**60 + 7)
    assert web.lines("/v1/samples", **query)[0]["value"] == 2**60 + 7


def test_a_text_is_no_formula(web):
    status, _, body = web.fetch("/v1/instances", {"format": "csv"})
    assert status == 200 and b',"\'=HYPERLINK(""http://x"",""a,b"")",' in body
    [name] = [each["display_name"] for each in web.lines("/v1/instances") if each["id"] == OTHER]
    assert name == HOSTILE
    [row] = [each for each in web.csv("/v1/instances") if each["id"] == OTHER]
    assert row["ports"] == "10.0.0.2 10.0.0.3"


@pytest.mark.parametrize("accept, kind", [
    (None, "application/json"),
    ("*/*", "application/json"),
    ("text/html, */*;q=0.8", "application/json"),
    ("text/csv", "text/csv; charset=utf-8; header=present"),
    ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8; header=present"),
    ("application/x-ndjson", "application/x-ndjson"),
    ("text/html", None),
    ("application/json;q=0, text/csv;q=0, application/x-ndjson;q=0", None),
])
def test_the_form_is_what_is_accepted(web, accept, kind):
    for path, query in (("/v1/metrics", {}), ("/v1/workers", {}), ("/v1/instances", {}),
                        ("/v1/usage", dict(web.window, id="i")),
                        ("/v1/series", dict(web.window, id="i")),
                        ("/v1/samples", dict(web.window, id="i", metric="cpu"))):
        status, got, body = web.fetch(path, query, accept)
        if kind:
            assert (status, got) == (200, kind)
        else:
            assert (status, got) == (406, "application/problem+json")
            assert json.loads(body)["status"] == 406
        query = dict(query, format="jsonl")
        assert web.fetch(path, query, accept)[:2] == (200, "application/x-ndjson")


@pytest.mark.parametrize("query", [
    {"format": "xml"}, {"format": ""}, {"int": "text"}, {"times": "ms"},
    {"format": ["csv", "csv"]}, {"format": "csv", "explain": "true"}])
def test_a_form_that_there_is_not_is_refused(web, query):
    assert web.get("/v1/usage", dict(web.window, id="i", **query))[0] == 400


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_wrong_is_a_problem_in_every_form(web, form):
    for query, status in (({"id": "nobody"}, 404), ({"id": "i", "metric": "no"}, 400)):
        assert web.get("/v1/usage", dict(web.window, format=form, **query))[0] == status


def test_amounts_may_be_texts(web):
    plain = web.ok("/v1/usage", id="j", metric="cpu", explain="true", **web.window)
    texts = web.ok("/v1/usage", id="j", metric="cpu", explain="true", int="string", **web.window)
    amounts = {"value", "uncertainty", "usage", "counter"}

    def changed(value, name=None):
        if name in ("before", "after"):
            return value and [value[0], str(value[1])]
        if isinstance(value, dict):
            return {key: changed(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [changed(inner) for inner in value]
        return str(value) if name in amounts and value is not None else value

    assert texts == changed(plain) != plain
    query = dict(web.window, id="j", metric="cpu")
    for (time, value), (same, text) in zip(*(
            web.ok("/v1/samples", **query, **more)["instances"][0]["series"][0]["samples"]
            for more in ({}, {"int": "string"}))):
        assert (time, str(value)) == (same, text)
    assert web.lines("/v1/samples", int="string", **query)[0]["value"] == str(2**60 + 7)
    assert web.csv("/v1/samples", int="string", **query) == web.csv("/v1/samples", **query)


def test_times_may_be_dates(web, scene):  # noqa: F811
    query = dict(web.window, id="i", metric="cpu")
    dates = web.ok("/v1/usage", times="iso", explain="true", **query)["instances"][0]
    assert (dates["from"], dates["to"]) == (iso(scene + 30), iso(scene + 600))
    subtraction = dates["usages"][0]["explanation"][0]
    assert subtraction["from"]["before"][0] == iso(scene)
    assert subtraction["to"]["at"] == iso(scene + 600)
    [series] = web.ok("/v1/samples", times="iso", **query)["instances"][0]["series"]
    assert series["samples"][0][0] == iso(scene + 60) and series["start"] == iso(scene)
    history = web.ok("/v1/instances/i", times="iso")["history"]
    assert history[0]["since"] == iso(scene - 5)
    assert web.lines("/v1/samples", times="iso", **query)[0]["time"] == iso(scene + 60)
    assert web.csv("/v1/samples", times="seconds", **query)[0]["time"] == str(scene + 60)


def test_milliseconds_are_not_lost(server, start_api):  # noqa: F811
    base = base_ms() + 7
    send_readings(server, [reading(base + i * 1000, [["cpu", "total", [i]]]) for i in range(3)])
    web = Forms(start_api())
    query = {"id": UUID, "metric": "cpu", "from": "-4d"}
    assert [row["time"] for row in web.csv("/v1/samples", **query)] == [
        iso(base / 1000 + i) for i in range(3)]
    assert web.csv("/v1/samples", times="seconds", **query)[0]["time"] == f"{base // 1000}.007"


def test_many_rows_come_in_chunks(server, start_api):  # noqa: F811
    base = base_ms()
    send_readings(server, minutes(base, [1] * 2800) + [
        reading(base + i * 1000, [["cpu", "total", [i]]], uuid=OTHER, epoch="h1/b/3/4")
        for i in range(3000)])
    web = Forms(start_api())
    query = {"all": "true", "metric": "cpu", "from": "-4d"}
    for form in ("csv", "jsonl"):
        connection = web.connect()
        connection.request("GET", f"/v1/samples?all=true&metric=cpu&from=-4d&format={form}")
        response = connection.getresponse()
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert len(response.read()) > 400_000
        connection.close()
    for rows in (web.csv("/v1/samples", **query), web.lines("/v1/samples", **query)):
        assert [row["id"] for row in rows] == [UUID] * 2800 + [OTHER] * 3000
