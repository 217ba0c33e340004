# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What the programs tell Prometheus: by its own promtool, by a parser written from the format's
description, and by a real Prometheus that scrapes and is asked."""

import http.client
import json
import re
import subprocess
import urllib.parse

import pytest

from harness import TIMEOUT, Api, Peer, Server, free_ports, until
from test_api import UUID, Answers, base_ms, reading, send_readings
from test_http import make_token

SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)')


def get(url, path="/metrics", headers=()):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=TIMEOUT)
    connection.request("GET", path, headers=dict(headers))
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


def unescape(text):
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


def parse(text):
    """{name: {labels: value}}, where labels is a frozenset of pairs and a value is its text. Holds
    the text to what src/http/exposition.h promises."""
    samples, types, family = {}, {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in types, f"{family} is begun twice"
            types[family] = None
            continue
        if line.startswith("# TYPE "):
            name, types[family] = line.split(" ")[2:]
            assert name == family
            assert name.endswith("_total") == (types[family] == "counter")
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        base = re.sub("_(bucket|sum|count)$", "", name) if types[family] == "histogram" else name
        assert base == family, f"{name} stands in {family}"
        pairs = [(key, unescape(text)) for key, text in LABEL.findall(labels or "")]
        assert LABEL.sub("", labels or "") == "", line
        key = frozenset(pairs)
        assert len(dict(key)) == len(pairs) and key not in samples.setdefault(name, {}), line
        assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", value), line
        samples[name][key] = value
    assert all(types.values())
    return samples


class Scraped:
    """One exposition."""

    def __init__(self, program):
        status, headers, body = get(program.endpoints["http"])
        assert status == 200, body
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert headers["Cache-Control"] == "no-store"
        self.text = body.decode()
        self.samples = parse(self.text)

    def __call__(self, name, **labels):
        """The value with these labels among others; one has them."""
        found = self.all(name, **labels)
        assert len(found) == 1, (name, labels, found)
        return found[0]

    def all(self, name, **labels):
        return [value for key, value in self.samples.get(name, {}).items()
                if labels.items() <= dict(key).items()]


def check(scraped):
    done = subprocess.run(["promtool", "check", "metrics"], input=scraped.text.encode(),
                          capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr.decode()


class Prometheus:
    """A real one that scrapes the programs every second, each as a job of its name."""

    def __init__(self, directory, programs, token=None):
        self.url = f"http://127.0.0.1:{free_ports(1)}"
        jobs = [{"job_name": program.name, "static_configs": [
            {"targets": [urllib.parse.urlsplit(program.endpoints["http"]).netloc]}],
            **({"authorization": {"credentials": token}} if token else {})}
            for program in programs]
        config = directory / "prometheus.yml"
        config.write_text(json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                                      "scrape_configs": jobs}))
        self.log = open(directory / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/tsdb",
             f"--web.listen-address={urllib.parse.urlsplit(self.url).netloc}"],
            stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def ask(self, path, **query):
        try:
            status, _, body = get(self.url, "/api/v1/" + path + "?" + urllib.parse.urlencode(query))
        except OSError:
            return None  # it does not listen yet
        return json.loads(body)["data"] if status == 200 else None

    def query(self, expression):
        """{labels: value}"""
        answer = self.ask("query", query=expression)
        return {frozenset(each["metric"].items()): each["value"][1]
                for each in answer["result"]} if answer else {}

    def wait_up(self, count):
        def is_up():
            targets = (self.ask("targets") or {"activeTargets": []})["activeTargets"]
            return [target for target in targets if target["health"] == "up"]

        return until(lambda: len(is_up()) == count, "Prometheus has scraped all targets")

    def wait_equal(self, name, scraped):
        """Waits until it holds exactly the samples of that name."""
        wanted = {labels: value for labels, value in scraped.samples[name].items()}

        def held():
            return {frozenset(pair for pair in labels
                              if pair[0] not in ("__name__", "job", "instance")): value
                    for labels, value in self.query(name).items()}

        try:
            until(lambda: held() == wanted, name)
        except AssertionError:
            assert held() == wanted


@pytest.fixture
def server(start):
    return start(Server, "server.retention_days=36500", f"server.http_port={free_ports(1)}")


@pytest.fixture
def api(server, start):
    return start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                 f"api.server_port={server.endpoints['rep'].rsplit(':', 1)[1]}",
                 f"api.http_port={free_ports(1)}")


def send(server, count=10):
    send_readings(server, [reading(base_ms() + i * 60_000, [["cpu", "total", [i]]])
                           for i in range(count)])
    server.wait_counter("stored", count)


def test_every_program_tells_who_it_is(server, api):
    for program in (server, api):
        scraped = Scraped(program)
        check(scraped)
        assert scraped("kanyun_build_info", program=program.name) == "1"
        assert float(scraped("process_cpu_seconds_total")) > 0
        assert int(scraped("process_resident_memory_bytes")) > 1 << 20
        assert 3 < int(scraped("process_open_fds")) < int(scraped("process_max_fds"))
        assert 1.6e9 < float(scraped("process_start_time_seconds")) < 4.1e9
        again = Scraped(program)
        assert again("http_server_requests_total", outcome="succeeded") == "1"
        assert again("process_start_time_seconds") == scraped("process_start_time_seconds")


def test_the_server_counts_what_comes_and_what_it_refuses(server):
    send(server)
    with Peer(server, worker="w1", spool="w1") as peer:
        peer.send("3", b"no JSON")
        server.wait_counter("refused_json", 1)
    scraped = Scraped(server)
    counters = server.counters()
    check(scraped)
    for name, counter in {"messages": "received", "received_bytes": "received_bytes",
                          "stored_samples": "stored", "acknowledgements": "acks",
                          "refused_messages": "refused",
                          "store_journal_bytes": "store_journal_bytes"}.items():
        assert scraped(f"kanyun_server_{name}_total") == str(counters[counter]), name
        assert counters[counter] > 0, name
    assert scraped("kanyun_server_refusals_total", reason="json") == "1"
    assert scraped("kanyun_server_refusals_total", reason="size") == "0"
    assert scraped("kanyun_server_commit_seconds_count") == str(counters["commits"])
    assert scraped("kanyun_server_acknowledgement_seconds_count") == "1"
    assert scraped("kanyun_server_acknowledgement_seconds_bucket", le="+Inf") == "1"
    assert scraped("kanyun_server_store_is_failing") == "0"
    assert int(scraped("kanyun_server_questions_total", method="status", code="0")) >= 1


def test_the_server_tells_how_far_each_worker_is(server):
    now = base_ms() + 48 * 3600 * 1000
    with Peer(server, worker='a "b\\网', spool="s") as peer:
        peer.send_enveloped(
            "3", {"host": "h1", "readings": [reading(now - 60_000, [["cpu", "total", [1]]])]},
            times=[now - 60_000, now - 60_000], until=now - 60_000)
        # What lies between is kept by the worker and has not come.
        peer.send_enveloped(
            "3", {"host": "h1", "readings": [reading(now - 30_000, [["cpu", "total", [2]]])]},
            sequence=4, oldest=2, times=[now - 30_000, now - 30_000], until=now - 30_000)
        server.wait_counter("stored", 2)
    scraped = Scraped(server)
    check(scraped)
    labels = {"worker": 'a "b\\网'}
    assert scraped("kanyun_server_workers", state="alive") == "1"
    assert scraped("kanyun_server_workers", state="dead") == "0"
    assert scraped("kanyun_server_worker_is_alive", **labels) == "1"
    assert scraped("kanyun_server_worker_spool_messages", **labels) == "3"  # 2, 3, 4
    assert scraped("kanyun_server_worker_unacknowledged_messages", **labels) == "3"
    assert float(scraped("kanyun_server_worker_spool_age_seconds", **labels)) > 0
    assert float(scraped("kanyun_server_worker_frontier_lag_seconds", **labels)) - \
        float(scraped("kanyun_server_worker_spool_age_seconds", **labels)) >= 30
    assert 0 <= float(scraped("kanyun_server_worker_silence_seconds", **labels)) < TIMEOUT


def test_the_api_counts_questions_by_method_and_code(server, api):
    send(server)
    ask = Answers(api)
    ask("usage", id=UUID, metric="cpu", **{"from": base_ms() // 1000})
    ask("usage", id=UUID, metric="cpu", **{"from": base_ms() // 1000})
    assert ask.refused("usage", id="nobody", **{"from": base_ms() // 1000})[0] == 404
    assert ask.refused("usage", id=UUID, metric="nothing", **{"from": base_ms() // 1000})[0] == 400
    assert ask.refused("made\nup")[0] == 400
    assert get(api.endpoints["http"], "/v1/usage?id=nobody&from=today-1d")[0] == 404
    scraped = Scraped(api)
    check(scraped)
    assert scraped.samples["kanyun_api_questions_total"] == {
        frozenset({("method", method), ("code", code)}): value for method, code, value in (
            ("usage", "0", "2"), ("usage", "404", "2"), ("usage", "400", "1"),
            ("other", "400", "1"))}
    assert scraped("kanyun_api_question_seconds_count", method="usage") == "5"
    assert scraped("http_server_requests_total", outcome="refused") == "1"


def test_the_api_obeys_its_tokens(server, start, tmp_path):
    everything, secret = make_token("prometheus")
    projects, other = make_token("shop", "p1")
    path = tmp_path / "tokens"
    path.write_text(everything + projects)
    path.chmod(0o600)
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                f"api.server_port={server.endpoints['rep'].rsplit(':', 1)[1]}",
                f"api.http_port={free_ports(1)}", f"api.http_tokens={path}")
    for token, status in ((None, 401), ("wrong", 401), (other, 403), (secret, 200)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert get(api.endpoints["http"], headers=headers)[0] == status
    with Prometheus(tmp_path, [api], secret) as prometheus:
        prometheus.wait_up(1)


def test_the_api_lets_nobody_else_read_without_tokens(api):
    assert get(api.endpoints["http"], headers={"Host": "rebound.example.org"})[0] == 403


def test_there_is_nothing_but_metrics_at_the_server(server):
    url = server.endpoints["http"]
    assert get(url, "/")[0] == 404
    assert get(url, "/v1/usage")[0] == 404
    assert get(url, "/metrics?name=x")[0] == 400


def test_a_real_prometheus_holds_the_same_integers(server, api, tmp_path):
    send(server)
    Answers(api)("usage", id=UUID, metric="cpu", **{"from": base_ms() // 1000})
    with Prometheus(tmp_path, [server, api]) as prometheus:
        prometheus.wait_up(2)
        prometheus.wait_equal("kanyun_server_stored_samples_total", Scraped(server))
        prometheus.wait_equal("kanyun_server_received_bytes_total", Scraped(server))
        prometheus.wait_equal("kanyun_api_questions_total", Scraped(api))
        prometheus.wait_equal("kanyun_server_commit_seconds_bucket", Scraped(server))
