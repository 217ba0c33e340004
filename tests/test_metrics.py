# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What the programs tell Prometheus: by its own promtool, by a parser written from the format's
description, and by a real Prometheus that scrapes and is asked."""

import http.client
import json
import re
import socket
import subprocess
import urllib.parse

import pytest

from harness import TIMEOUT, Api, Peer, Server, Worker, free_ports, until
from test_api import OTHER, UUID, Answers, base_ms, reading, send_readings
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

    def __init__(self, directory, programs, token=None, timeout="1s"):
        self.url = f"http://127.0.0.1:{free_ports(1)}"
        jobs = [{"job_name": program.name, "static_configs": [
            {"targets": [urllib.parse.urlsplit(program.endpoints["http"]).netloc]}],
            **({"authorization": {"credentials": token}} if token else {})}
            for program in programs]
        config = directory / "prometheus.yml"
        config.write_text(json.dumps({"global": {"scrape_interval": timeout,
                                                 "scrape_timeout": timeout},
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
        """Waits until it holds exactly the samples of that name; to it an empty label is none."""
        wanted = {frozenset(pair for pair in labels if pair[1]): value
                  for labels, value in scraped.samples[name].items()}

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
    server.questions.ask_raw([b"msg_type", b"uuid",
                              b'{"method": "store.latest", "args": {"from": "x"}}'])
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
    assert scraped("kanyun_server_questions_total", method="store.latest", code="400") == "1"


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


def test_a_dead_worker_is_told_as_dead_and_a_forgotten_one_not_at_all(start):
    server = start(Server, f"server.http_port={free_ports(1)}", "server.worker_dead_seconds=1")
    with Peer(server, worker="w1", spool="w1") as peer:
        peer.send("0", ["w1", 1700000000.0, 1])
        server.wait_line("worker 'w1' is dead")
        scraped = Scraped(server)
        assert scraped("kanyun_server_workers", state="dead") == "1"
        assert scraped("kanyun_server_worker_is_alive", worker="w1") == "0"
        assert float(scraped("kanyun_server_worker_silence_seconds", worker="w1")) >= 1
        assert float(scraped("kanyun_server_worker_clock_offset_seconds", worker="w1")) < -1e7
        # It sent no message with an envelope.
        assert "kanyun_server_worker_spool_messages" not in scraped.samples
        peer.send("0", ["w1", 1700000000.0, 0])
        server.wait_line("worker 'w1' says goodbye")
        scraped = Scraped(server)
        check(scraped)
        assert scraped("kanyun_server_workers", state="dead") == "0"
        assert "kanyun_server_worker_is_alive" not in scraped.samples


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


# The worker.

HOSTILE = 'a"} 1\nb{c="\\\\n网\x01\t'

SCRIPT = {"uuid": UUID, "name": "instance-1", "vcpus": 2, "info": {
    "project_id": "p1", "project_name": "shop", "display_name": "web", "user_id": "u1",
    "user_name": "me", "flavor_id": "f1", "flavor_name": "small", "image_id": "i1"}, "readings": {
        "cpu": {"total": [1_000_001]},
        "mem": {"total": [2048, 512, 1024, 700, 256, 1000, 64, 3, 4, 5, 6, 1700000000]},
        "nic": {"vnet0": [1, 2, 3, 4, 5, 6, 7, 8], "vnet1": [9, None, 0]},
        "blk": {"vda": [1, 2, 3, 1_000_000, 5, 6, 7, 8, 9, 10, 11]},
        "vcpu": {"0": [500_000_000, 7, 1], "1": [1, 2, 0]},
        "state": {"total": [1, 1]}}}

# What inovex' exporter has, by its source, and kanyun too: the type and the labels after domain.
DEVICE, VCPU = ("target_device",), ("vcpu",)
INOVEX = {
    "domain_info_cpu_time_seconds_total": ("counter", ()),
    "domain_info_maximum_memory_bytes": ("gauge", ()),
    "domain_info_memory_usage_bytes": ("gauge", ()),
    "domain_info_state": ("gauge", ("state_desc",)),
    "domain_info_virtual_cpus": ("gauge", ()),
    "domain_memory_stats_maximum_bytes": ("gauge", ()),
    "domain_memory_stats_current_balloon_bytes": ("gauge", ()),
    "domain_memory_stats_unused_bytes": ("gauge", ()),
    "domain_memory_stats_rss_bytes": ("gauge", ()),
    "domain_memory_stats_usable_bytes": ("gauge", ()),
    "domain_memory_stats_available_bytes": ("gauge", ()),
    "domain_memory_stats_disk_caches_bytes": ("gauge", ()),
    "domain_memory_stats_swap_in_bytes": ("gauge", ()),
    "domain_memory_stats_swap_out_bytes": ("gauge", ()),
    "domain_memory_stats_major_fault_total": ("counter", ()),
    "domain_memory_stats_minor_fault_total": ("counter", ()),
    "domain_memory_stats_last_update_timestamp_seconds": ("gauge", ()),
    "domain_memory_stats_used_percent": ("gauge", ()),
    "domain_block_stats_read_bytes_total": ("counter", DEVICE),
    "domain_block_stats_read_requests_total": ("counter", DEVICE),
    "domain_block_stats_read_time_seconds_total": ("counter", DEVICE),
    "domain_block_stats_write_bytes_total": ("counter", DEVICE),
    "domain_block_stats_write_requests_total": ("counter", DEVICE),
    "domain_block_stats_write_time_seconds_total": ("counter", DEVICE),
    "domain_block_stats_flush_requests_total": ("counter", DEVICE),
    "domain_block_stats_flush_time_seconds_total": ("counter", DEVICE),
    "domain_block_stats_capacity_bytes": ("gauge", DEVICE),
    "domain_interface_stats_receive_bytes_total": ("counter", DEVICE),
    "domain_interface_stats_receive_packets_total": ("counter", DEVICE),
    "domain_interface_stats_receive_errors_total": ("counter", DEVICE),
    "domain_interface_stats_receive_drops_total": ("counter", DEVICE),
    "domain_interface_stats_transmit_bytes_total": ("counter", DEVICE),
    "domain_interface_stats_transmit_packets_total": ("counter", DEVICE),
    "domain_interface_stats_transmit_errors_total": ("counter", DEVICE),
    "domain_interface_stats_transmit_drops_total": ("counter", DEVICE),
    "domain_vcpu_current": ("gauge", ()),
    "domain_vcpu_maximum": ("gauge", ()),
    "domain_vcpu_state": ("gauge", VCPU),
    "domain_vcpu_time_seconds_total": ("counter", VCPU),
    "domain_vcpu_delay_seconds_total": ("counter", VCPU),
    "domain_openstack_info": ("gauge", ("instance_name", "instance_id", "flavor_name",
                                        "user_name", "user_id", "project_name", "project_id")),
    "domain_timed_out": ("gauge", ()),
    # Of these the labels that kanyun knows.
    "domain_block_stats_info": ("gauge", DEVICE),
    "domain_interface_stats_info": ("gauge", ("target_device", "mac_address")),
}


@pytest.fixture
def start_worker(start, server, tmp_path):
    """One round at once, and none for an hour after it."""
    def start_one(instances, *options, **keywords):
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"instances": instances}))
        pull, pub = (server.endpoints[name].rpartition(":")[2] for name in ("pull", "pub"))
        return start(Worker, "worker.id=w1", "worker.collector=fake", "worker.interval=3600",
                     f"worker.fake_script={script}", f"worker.spool_dir={tmp_path}/spool",
                     f"worker.http_port={free_ports(1)}", f"worker.dataserver_port={pull}",
                     f"worker.dataserver_pub_port={pub}", *options, **keywords)
    return start_one


def after_a_round(worker):
    until(lambda: "kanyun_worker_rounds_total 1\n" in Scraped(worker).text, "a round has ended")
    return Scraped(worker)


def test_the_worker_shows_what_it_sent_under_the_names_of_inovex(server, start_worker):
    scraped = after_a_round(start_worker([SCRIPT]))
    check(scraped)
    for name, (kind, labels) in INOVEX.items():
        assert f"# TYPE libvirt_{name} {kind}\n" in scraped.text, name
        for key in scraped.samples[f"libvirt_{name}"]:
            assert {label for label, _ in key} == {"domain", *labels}, name
    server.wait_counter("stored", 1)
    until(lambda: server.instances().get(UUID, {}).get("infos"), "the worker's readings are stored")

    def stored(group, column, parameter="total"):
        return server.scan(UUID, group)[parameter, next(iter(server.scan(UUID, group)))[1],
                                        column][-1][1]

    def seconds(ns):
        return f"{ns // 10**9}.{ns % 10**9:09}".rstrip("0").rstrip(".")

    domain = {"domain": "instance-1"}
    assert scraped("libvirt_domain_info_cpu_time_seconds_total", **domain) == \
        seconds(stored("cpu", 0))
    assert scraped("libvirt_domain_vcpu_time_seconds_total", vcpu="0", **domain) == \
        seconds(stored("vcpu", 0, "0"))
    assert scraped("libvirt_domain_block_stats_read_time_seconds_total", target_device="vda") == \
        seconds(stored("blk", 3, "vda"))
    for column, name in enumerate(("receive_bytes", "transmit_bytes", "receive_packets",
                                   "receive_errors", "receive_drops", "transmit_packets",
                                   "transmit_errors", "transmit_drops")):
        assert scraped(f"libvirt_domain_interface_stats_{name}_total", target_device="vnet0") == \
            str(stored("nic", column, "vnet0")), name
    assert scraped("libvirt_domain_memory_stats_maximum_bytes") == str(2048 * 1024)
    assert scraped("libvirt_domain_memory_stats_unused_bytes") == str(512 * 1024)
    assert scraped("libvirt_domain_memory_stats_used_percent") == "74.4"
    assert scraped("libvirt_domain_info_state", state_desc="the domain is running") == "1"
    assert scraped("libvirt_domain_vcpu_current") == scraped("libvirt_domain_vcpu_maximum") == "2"
    assert scraped("libvirt_domain_openstack_info", instance_id=UUID, project_name="shop",
                   instance_name="web", flavor_name="small", project_id="p1") == "1"
    assert scraped("libvirt_up") == scraped("libvirt_domains") == "1"


def test_absent_is_not_zero(start_worker):
    worker = start_worker([SCRIPT, {"uuid": OTHER, "name": "bare", "readings": {
        "state": {"total": [5]}, "mem": {"total": [2048]}}}])
    scraped = after_a_round(worker)
    check(scraped)
    of_vnet1 = {name: scraped.all(name, target_device="vnet1") for name in scraped.samples
                if "interface_stats" in name and scraped.all(name, target_device="vnet1")}
    assert set(of_vnet1) == {f"libvirt_domain_interface_stats_{name}" for name in (
        "info", "receive_bytes_total", "receive_packets_total")}
    assert of_vnet1["libvirt_domain_interface_stats_receive_packets_total"] == ["0"]  # it was read
    of_bare = {name for name in scraped.samples if scraped.all(name, domain="bare")}
    assert of_bare == {"libvirt_" + name for name in (
        "domain_info_state", "domain_info_maximum_memory_bytes", "domain_openstack_info",
        "domain_memory_stats_maximum_bytes", "domain_timed_out")} | {
            "kanyun_domain_reading_age_seconds"}
    assert scraped("libvirt_domains") == "1"  # the other one is off


def test_the_names_of_tinkoff_and_the_labels_of_nova(start_worker):
    scraped = after_a_round(start_worker([SCRIPT], "worker.metrics_dialect=tinkoff",
                                         "worker.metrics_labels=nova"))
    check(scraped)
    nova = {"domain": "instance-1", "project_id": "p1", "instance_id": UUID}
    assert scraped.samples["libvirt_domain_info_vstate"] == {frozenset(nova.items()): "1"}
    assert scraped("libvirt_domain_memory_stats_actual_balloon_bytes", **nova) == str(1024 * 1024)
    assert scraped("libvirt_domain_memory_stats_disk_cache_bytes", **nova) == str(64 * 1024)
    assert int(scraped("libvirt_domain_block_stats_allocation", target_device="vda", **nova)) == 9
    assert scraped("libvirt_domain_block_stats_physicalsize_bytes", **nova) == "11"
    assert scraped.samples["libvirt_domain_info_meta"] == {frozenset({
        "domain": "instance-1", "uuid": UUID, "instance_name": "web", "flavor": "small",
        "user_name": "me", "user_uuid": "u1", "project_name": "shop", "project_uuid": "p1",
        "root_type": "image", "root_uuid": "i1"}.items()): "1"}
    for name in ("libvirt_domains", "libvirt_domain_openstack_info", "libvirt_domain_info_state"):
        assert name not in scraped.samples


def test_hostile_names_cost_nothing_but_themselves(start_worker, tmp_path):
    hostile = {"uuid": UUID, "name": HOSTILE, "info": {
        "project_id": HOSTILE, "display_name": HOSTILE}, "readings": {
            "cpu": {"total": [1]}, "nic": {HOSTILE: [1], 'x="': [1]},
            "state": {"total": [2**62]}, "mem": {"total": [2**62, -1]}}}
    worker = start_worker([hostile, SCRIPT | {"uuid": OTHER},
                           SCRIPT | {"uuid": OTHER[:-1] + "0"}],  # a second one with that name
                          "worker.metrics_labels=nova")
    scraped = after_a_round(worker)
    check(scraped)
    assert int(scraped("libvirt_domain_interface_stats_receive_bytes_total", domain=HOSTILE,
                       target_device=HOSTILE, project_id=HOSTILE)) > 0
    assert scraped("libvirt_domain_info_state", domain=HOSTILE, state_desc="") == str(2**62)
    assert not scraped.all("libvirt_domain_memory_stats_maximum_bytes", domain=HOSTILE)
    assert len(scraped.all("libvirt_domain_info_state", domain="instance-1")) == 1
    with Prometheus(tmp_path, [worker]) as prometheus:
        prometheus.wait_up(1)
        prometheus.wait_equal("libvirt_domain_interface_stats_receive_bytes_total", scraped)


def test_what_is_old_says_how_old_it_is(start_worker):
    worker = start_worker([SCRIPT])
    scraped = after_a_round(worker)

    def age(exposition):
        return float(exposition("kanyun_domain_reading_age_seconds", group="cpu"))

    def older():
        again = Scraped(worker)
        return again if age(again) > age(scraped) else None

    later = until(older, "the readings are older")
    assert later("libvirt_domain_info_cpu_time_seconds_total") == \
        scraped("libvirt_domain_info_cpu_time_seconds_total")
    assert float(later("kanyun_worker_round_age_seconds")) > \
        float(scraped("kanyun_worker_round_age_seconds"))
    assert {dict(key)["group"] for key in later.samples["kanyun_domain_reading_age_seconds"]} == \
        set(SCRIPT["readings"])


def test_a_libvirt_that_never_answers_does_not_hold_up_a_scrape(start_worker, tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/libvirt")
        silent.listen()
        silent.settimeout(TIMEOUT)
        worker = start_worker([], "worker.collector=libvirt",
                              f"worker.libvirt_uri=qemu+unix:///system?socket={tmp_path}/libvirt")
        connection, _ = silent.accept()  # now it waits for an answer
        scraped = Scraped(worker)
        check(scraped)
        assert scraped("kanyun_worker_rounds_total") == "0"
        assert "1" not in scraped.all("libvirt_up")
        assert "libvirt_domains" not in scraped.samples
        connection.close()


def test_the_worker_shows_its_spool(start_worker):
    worker = start_worker([SCRIPT], f"worker.dataserver_port={free_ports(1)}")  # nobody listens
    after_a_round(worker)
    until(lambda: Scraped(worker)("kanyun_worker_spool_messages") == "2", "both messages are seen")
    scraped = Scraped(worker)
    assert scraped("kanyun_worker_spool_memory_messages") == "0"
    assert scraped("kanyun_worker_spool_oldest_number") == "1"
    assert scraped("kanyun_worker_spool_next_number") == "3"
    assert scraped("kanyun_worker_spool_is_failing") == "0"
    assert scraped("kanyun_worker_dropped_messages_total") == "0"


def test_by_default_neither_worker_nor_server_listens(start, tmp_path):
    script = tmp_path / "script.json"
    script.write_text('{"instances": []}')
    assert "http" not in start(Server).endpoints
    assert "http" not in start(Worker, "worker.collector=fake", f"worker.fake_script={script}",
                               f"worker.spool_dir={tmp_path}/spool").endpoints


def test_a_thousand_instances_are_scraped(start_worker, tmp_path):
    worker = start_worker([SCRIPT | {"uuid": f"{UUID[:-4]}{i:04}", "name": f"instance-{i:04}"}
                           for i in range(1000)], "worker.metrics_labels=nova")
    scraped = after_a_round(worker)
    check(scraped)
    assert scraped("libvirt_domains") == "1000"
    assert scraped("kanyun_worker_unexposed_total") == "0"
    assert len(scraped.samples["libvirt_domain_interface_stats_receive_bytes_total"]) == 2000
    print(f"{len(scraped.text)} bytes, worker {worker.rss_kib()} KiB")
    with Prometheus(tmp_path, [worker], timeout="10s") as prometheus:
        prometheus.wait_up(1)
        prometheus.wait_equal("libvirt_domain_interface_stats_receive_bytes_total", scraped)


def test_a_real_prometheus_holds_the_same_integers(server, api, start_worker, tmp_path):
    send(server)
    Answers(api)("usage", id=UUID, metric="cpu", **{"from": base_ms() // 1000})
    worker = start_worker([SCRIPT | {"uuid": OTHER}])
    shown = after_a_round(worker)
    until(lambda: Scraped(worker)("kanyun_worker_spool_messages") == "0", "everything is stored")
    with Prometheus(tmp_path, [server, api, worker]) as prometheus:
        prometheus.wait_up(3)
        for name in INOVEX:
            if not name.endswith("seconds_total"):  # it computes with doubles
                prometheus.wait_equal(f"libvirt_{name}", shown)
        prometheus.wait_equal("kanyun_server_stored_samples_total", Scraped(server))
        prometheus.wait_equal("kanyun_server_received_bytes_total", Scraped(server))
        prometheus.wait_equal("kanyun_api_questions_total", Scraped(api))
        prometheus.wait_equal("kanyun_server_commit_seconds_bucket", Scraped(server))
