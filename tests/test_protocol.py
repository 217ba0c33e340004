# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-server against a worker that was written from the specification alone."""

import json
import signal
import time

import pytest

import harness
from harness import Peer, Questions, Server, until

UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"

# The specification's examples: Python values, sent as their JSON. Its 8388608L is 8388608.
TRAFFIC = {"instance-00000001": ("10.0.0.2", 1332409327, "0")}
AGENT = {"instance-000000ba@sws-yz-5": [
    ("cpu", "total", (1332400088.149444, 5)),
    ("mem", "total", (1332400088.149444, 8388608, 8388608)),
    ("nic", "vnet8", (1332400088.152285, 427360746, 174445810)),
    ("blk", "vda", (1332400088.156346, 298522624, 5908590592)),
    ("blk", "vdb", (1332400088.158202, 2159616, 1481297920))]}
AGENT_UNDER_2 = b"""{"instance-00000001@pyw.novalocal":
            [
             ["cpu", "total", [1332831360.029795, 53522870000000]],
             ["mem", "total", [1332831360.029795, 131072, 131072]],
             ["nic", "vnet0", [1332831360.037399, 21795245, 5775663]],
             ["blk", "vda", [1332831360.04699, 474624, 4851712]],
             ["blk", "vdb", [1332831360.049333, 122880, 0]]
            ]
         }"""


def assert_agent_example(server):
    name = "instance-000000ba@sws-yz-5"
    assert server.scan(name, "cpu") == {("total", "", 0): [(1332400088149, 5)]}
    assert server.scan(name, "mem") == {("total", "", 0): [(1332400088149, 8388608)],
                                        ("total", "", 1): [(1332400088149, 8388608)]}
    assert server.scan(name, "nic") == {("vnet8", "", 0): [(1332400088152, 427360746)],
                                        ("vnet8", "", 1): [(1332400088152, 174445810)]}
    assert server.scan(name, "blk") == {("vda", "", 0): [(1332400088156, 298522624)],
                                        ("vda", "", 1): [(1332400088156, 5908590592)],
                                        ("vdb", "", 0): [(1332400088158, 2159616)],
                                        ("vdb", "", 1): [(1332400088158, 1481297920)]}


def reading(time_ms, cpu, instance=UUID):
    return {"host": "h1", "readings": [{"uuid": instance, "time": time_ms, "epoch": "h1/b/1/2",
                                        "data": [["cpu", "total", [cpu]]]}]}


def now_ms():
    return int(time.time() * 1000)


def test_the_specifications_messages_are_stored_to_the_letter(server):
    with Peer(server) as old:
        old.send("0", ["WORKER1", time.time(), 1])
        old.send("2", TRAFFIC)
        old.send("3", AGENT)
        old.send("2", AGENT_UNDER_2)
        counters = server.wait_counter("stored", 1 + 9 + 9)
    assert server.scan("instance-00000001", "vmnetwork_increment") == {
        ("10.0.0.2", "", 0): [(1332409327000, 0)]}
    assert_agent_example(server)
    name = "instance-00000001@pyw.novalocal"
    assert server.scan(name, "cpu") == {("total", "", 0): [(1332831360030, 53522870000000)]}
    assert server.scan(name, "mem") == {("total", "", 0): [(1332831360030, 131072)],
                                        ("total", "", 1): [(1332831360030, 131072)]}
    assert server.scan(name, "nic") == {("vnet0", "", 0): [(1332831360037, 21795245)],
                                        ("vnet0", "", 1): [(1332831360037, 5775663)]}
    assert server.scan(name, "blk") == {("vda", "", 0): [(1332831360047, 474624)],
                                        ("vda", "", 1): [(1332831360047, 4851712)],
                                        ("vdb", "", 0): [(1332831360049, 122880)],
                                        ("vdb", "", 1): [(1332831360049, 0)]}
    assert set(server.instances()) == {"instance-00000001", name, "instance-000000ba@sws-yz-5"}
    assert server.instances()[name]["groups"] == {"cpu", "mem", "nic", "blk"}
    assert counters["received"] == 4 and counters["heartbeats"] == 1
    assert counters["refused"] == 0 and counters["stored"] == 19


@pytest.mark.parametrize("kind", ["2", "3"])
def test_agent_data_is_known_by_its_shape_under_either_type(server, kind):
    with Peer(server) as old:
        old.send(kind, AGENT)
        server.wait_counter("stored", 9)
    assert_agent_example(server)


@pytest.mark.parametrize("kind", ["2", "3"])
def test_traffic_is_known_by_its_shape_and_counted_in_bytes(server, kind):
    with Peer(server) as old:
        old.send(kind, {"a": ("10.0.0.2", 1332409327, "7"), "b": ("10.0.0.3", "1332409328", 2.5)})
        server.wait_counter("stored", 2)
    assert server.scan("a", "vmnetwork_increment") == {
        ("10.0.0.2", "", 0): [(1332409327000, 7 * 1024)]}
    assert server.scan("b", "vmnetwork_increment") == {
        ("10.0.0.3", "", 0): [(1332409328000, 2560)]}


def test_numbers_may_be_texts(server):
    texts = json.loads(json.dumps(AGENT))
    for row in texts["instance-000000ba@sws-yz-5"]:
        row[2] = [str(value) for value in row[2]]
    with Peer(server) as old:
        old.send("3", texts)
        server.wait_counter("stored", 9)
    assert_agent_example(server)


def test_an_old_workers_cpu_may_be_a_percentage(start):
    server = start(Server, "server.legacy_cpu=percent", "server.retention_days=36500")
    with Peer(server) as old:
        old.send("3", AGENT)
        server.wait_counter("stored", 9)
    name = "instance-000000ba@sws-yz-5"
    assert server.scan(name, "cpu") == {}
    assert server.scan(name, "cpu_percent") == {("total", "", 0): [(1332400088149, 5000)]}


def test_local_info_is_kept_with_the_time_from_which_it_held(server):
    since = now_ms() - 1000
    info = {"uuid": UUID, "since": since, "name": "instance-000000ba", "display_name": "web",
            "project_id": "p1", "vcpus": 2, "memory_mib": 2048, "disk_gib": 20,
            "ports": [{"nic": "vnet0", "mac": "52:54:00:00:00:01", "port_id": "q",
                       "addresses": ["10.0.0.2"]}]}
    with Peer(server) as worker:
        worker.wait_ack(worker.send_enveloped("1", {"host": "h1", "instances": [info]}))
    found = server.instances()[UUID]["infos"]
    assert len(found) == 1 and found[0]["since"] == since
    assert {"instance-000000ba", "h1", "web", "p1"} <= set(found[0]["texts"])
    assert (found[0]["vcpus"], found[0]["memory_mib"], found[0]["disk_gib"]) == (2, 2048, 20)
    assert found[0]["ports"][0]["addresses"] == ["10.0.0.2"]
    assert set(server.instances(name="web")) == {UUID}
    assert set(server.instances(name="instance-000000ba@h1")) == {UUID}
    assert server.instances(name="other") == {}


def test_the_same_info_after_a_restart_is_no_news(start):
    info = {"uuid": UUID, "since": now_ms() - 1000, "name": "instance-000000ba"}
    for life in range(3):
        server = start(Server)
        with Peer(server, spool=f"spool{life}") as worker:
            worker.wait_ack(worker.send_enveloped("1", {"host": "h1", "instances": [info]}))
        assert len(server.instances()[UUID]["infos"]) == 1
        assert server.instances()[UUID]["infos"][0]["uuid"] == UUID
        server.stop()


def test_an_old_workers_local_info_harms_nothing(server):
    with Peer(server) as old:
        old.send("1", {"anything": 1})
        old.send("3", AGENT)
        assert server.wait_counter("stored", 9)["refused"] == 0


def test_a_silent_worker_is_dead_once_and_cleared_by_a_heartbeat(start):
    server = start(Server, "server.worker_dead_seconds=2")
    with Peer(server) as old:
        old.send("0", ["WORKER1", time.time(), 1])
        until(lambda: server.workers().get("WORKER1", {}).get("alive"), "WORKER1 is alive")
        server.wait_line("worker 'WORKER1' is dead: silent since")
        assert not server.workers()["WORKER1"]["alive"]
        old.send("0", ["WORKER2", time.time(), 1])
        server.wait_line("worker 'WORKER2' is dead: silent since")
        assert server.count_lines("worker 'WORKER1' is dead: silent") == 1
        old.send("0", ["WORKER1", str(time.time()), "1"])
        server.wait_line("worker 'WORKER1' is alive again")
        status = server.questions.ask("status")[0]
        assert status["workers"] == {"alive": 1, "dead": 1}


def test_status_0_ends_the_watch(server):
    with Peer(server) as old:
        old.send("0", ["WORKER1", time.time(), 1])
        until(lambda: "WORKER1" in server.workers(), "WORKER1 is watched")
        old.send("0", ["WORKER1", time.time(), 0])
        until(lambda: not server.workers(), "WORKER1 is forgotten")
    server.wait_line("worker 'WORKER1' says goodbye")


def test_sigusr1_lists_and_sigusr2_forgets_the_dead(start):
    server = start(Server, "server.worker_dead_seconds=3")
    with Peer(server) as old:
        old.send("0", ["OLD", time.time(), 1])
        server.wait_line("worker 'OLD' is dead")
        old.send("0", ["YOUNG", time.time(), 1])
        until(lambda: "YOUNG" in server.workers(), "YOUNG is watched")
        server.signal(signal.SIGUSR1)
        server.wait_line("2 workers are watched")
        server.wait_line("worker 'OLD' is dead, heard")
        server.wait_line("worker 'YOUNG' is alive, heard")
        server.signal(signal.SIGUSR2)
        server.wait_line("1 dead workers are forgotten")
        assert set(server.workers()) == {"YOUNG"}


def test_a_worker_whose_clock_is_wrong_is_named(server):
    with Peer(server) as old:
        old.send("0", ["LATE", time.time() - 3600, 1])
        server.wait_line("the clock of worker 'LATE' is 3[56][0-9]{5} ms behind")


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_what_was_committed_survives(start, end):
    options = ["server.retention_days=36500"]
    server = start(Server, *options)
    base = now_ms() // 1000 * 1000 - 3_600_000
    with Peer(server) as worker, Peer(server, "old") as old:
        for i in range(50):
            worker.send_enveloped("3", reading(base + i * 1000, 100 + i))
        assert worker.wait_ack(50) == 50
        old.send("3", AGENT)
        server.wait_counter("stored", 59)
    end(server)
    server = start(Server, *options)
    expected = {("total", "h1/b/1/2", 0): [(base + i * 1000, 100 + i) for i in range(50)]}
    assert server.scan(UUID, "cpu") == expected
    assert_agent_example(server)
    with Peer(server) as worker:
        worker.send_enveloped("3", reading(base, 100), sequence=50)
        until(lambda: server.counters()["known"] or None, "number 50 is known")
        worker.wait_ack(worker.send_enveloped("3", reading(base + 50_000, 150), sequence=51))
    assert server.scan(UUID, "cpu")[("total", "h1/b/1/2", 0)][-1] == (base + 50_000, 150)


def test_what_was_sealed_survives_and_grows(start):
    options = ["server.retention_days=36500", "server.retention_check_seconds=1",
               "server.seal_after_seconds=1"]
    base = now_ms() // 1000 * 1000 - 10 * 86_400_000
    expected = []
    for life in range(3):
        server = start(Server, *options)
        with Peer(server, spool=f"spool-{life}") as worker:
            for i in range(life, 300, 3):
                worker.send_enveloped("3", reading(base + i * 3_000_000, i))
                expected.append((base + i * 3_000_000, i))
            worker.wait_ack(100)
        expected.sort()
        assert server.scan(UUID, "cpu") == {("total", "h1/b/1/2", 0): expected}
        server.wait_counter("store_chunks_written", 10)  # one a day and more
        assert server.scan(UUID, "cpu") == {("total", "h1/b/1/2", 0): expected}
        server.kill() if life else server.stop()


def test_sent_twice_counts_once(server):
    base = now_ms() // 1000 * 1000 - 60_000
    with Peer(server) as worker, Peer(server, "other") as other:
        for _ in range(2):
            worker.send_enveloped("3", reading(base, 7), sequence=1)
        assert worker.wait_ack(1) == 1
        server.wait_counter("known", 1)
        # The same data under another number, and by another worker.
        worker.wait_ack(worker.send_enveloped("3", reading(base, 7), sequence=2))
        other.wait_ack(other.send_enveloped("3", reading(base, 7)))
    counters = server.counters()
    assert counters["stored"] == 1 and counters["duplicate"] == 2
    assert server.scan(UUID, "cpu") == {("total", "h1/b/1/2", 0): [(base, 7)]}


def test_of_two_values_of_one_time_the_larger_stays(server):
    base = now_ms() // 1000 * 1000 - 60_000
    with Peer(server) as worker:
        for value in (7, 9, 8):
            worker.wait_ack(worker.send_enveloped("3", reading(base, value)))
    assert server.scan(UUID, "cpu") == {("total", "h1/b/1/2", 0): [(base, 9)]}


def test_acknowledged_is_only_what_has_no_hole_below(server):
    base = now_ms() // 1000 * 1000 - 60_000
    with Peer(server) as worker:
        worker.send_enveloped("3", reading(base + 2000, 2), sequence=3)
        worker.send_enveloped("3", reading(base, 0), sequence=1)
        server.wait_counter("stored", 2)
        assert worker.wait_ack(1) == 1
        worker.send_enveloped("3", reading(base + 1000, 1), sequence=2)
        assert worker.wait_ack(3) == 3
        # 4 and 5 are gone: the worker no longer keeps them.
        worker.send_enveloped("3", reading(base + 3000, 3), sequence=6, oldest=6)
        assert worker.wait_ack(6) == 6
    assert server.counters()["gone"] == 2


def test_a_refused_message_is_acknowledged_too(server):
    with Peer(server) as worker:
        worker.wait_ack(worker.send_enveloped("3", b"not JSON"))
    counters = server.counters()
    assert counters["refused"] == 1 and counters["refused_json"] == 1


def test_readings_older_than_the_retention_are_deleted(start):
    server = start(Server, "server.retention_days=30", "server.retention_check_seconds=1",
                   "server.seal_after_seconds=1")
    day, now = 86_400_000, now_ms() // 1000 * 1000
    times = [now - days * day for days in (90, 60, 40, 2, 1, 0)]
    with Peer(server) as worker:
        for i, time_ms in enumerate(times):
            worker.send_enveloped("3", reading(time_ms, i))
        worker.wait_ack(len(times))
    kept = [(time_ms, i + 3) for i, time_ms in enumerate(times[3:])]
    until(lambda: server.scan(UUID, "cpu").get(("total", "h1/b/1/2", 0)) == kept,
          "only the last days are left")


def test_a_question_never_goes_unanswered(server):
    for frames in ([b""], [b"a", b"b"], [b"a", b"b", b"{"], [b"a", b"b", b"[]"],
                   [b"a", b"b", b"{}"], [b"a", b"b", b'{"method": "nothing"}'],
                   [b"a", b"b", b'{"method": "status", "args": 1}'], [b"\xff" * 1000] * 9,
                   [b"a", b"b", b'{"method": "store.scan", "args": {"uuid": "x"}}'],
                   [b"a", b"b", b"[" * 60000]):
        answer = json.loads(server.questions.ask_raw(frames)[2])
        assert answer["code"] != 0 and answer["message"] and answer["data"] is None
    assert server.questions.ask("status")[0]["store"] == "sqlite"


SAMPLE = """    bin/kanyun.conf
    [log]
    file={directory}/kanyun.log
     
    [server]
    host: *
    port: {server}
    db_host: 127.0.0.1
     
    [api]
    api_host: *
    api_port: {api}
    db_host: 127.0.0.1
     
    [worker]
    id: worker1
    worker_timeout: 60
    dataserver_host: 127.0.0.1
    dataserver_port: {server}
    log: {directory}/kanyun-worker.log
     
    [client]
    api_host: 127.0.0.1
    api_port: {api}
"""


@pytest.mark.parametrize("indent", [True, False], ids=["indented", "flush"])
def test_the_specifications_configuration_starts_the_programs_where_it_lies(
        start, tmp_path, indent):
    port = harness.free_ports(4)
    text = SAMPLE.format(directory=tmp_path, server=port, api=port + 3)
    if not indent:
        text = "".join(line.strip() + "\n" for line in text.splitlines())
    (tmp_path / "kanyun.conf").write_text(text)
    (tmp_path / "script.json").write_text(json.dumps({"instances": [
        {"uuid": UUID, "name": "instance-00000001", "readings": {"cpu": {"total": [1000]}}}]}))
    # What the sample leaves to its defaults, and may not be touched on this host.
    environment = {"KANYUN_SERVER_DATA_DIR": f"{tmp_path}/data",
                   "KANYUN_SERVER_PUB_PORT": str(port + 1),
                   "KANYUN_SERVER_REP_PORT": str(port + 2),
                   "KANYUN_API_SERVER_PORT": str(port + 2),
                   "KANYUN_WORKER_COLLECTOR": "fake",
                   "KANYUN_WORKER_FAKE_SCRIPT": f"{tmp_path}/script.json",
                   "KANYUN_WORKER_SPOOL_DIR": f"{tmp_path}/spool"}
    server = start(Server, bare=True, config=None, environment=environment)
    assert server.endpoints["pull"].endswith(f":{port}")
    worker = start(harness.Worker, config=None, environment=environment)
    until(lambda: "worker1" in server.workers(), "worker1 is watched")
    assert "kanyun-server" in (tmp_path / "kanyun.log").read_text()
    assert "kanyun-worker" in (tmp_path / "kanyun-worker.log").read_text()
    if harness.Api.is_built():
        api = start(harness.Api, config=None, environment=environment)
        assert api.endpoints["rep"].endswith(f":{port + 3}")
        assert Questions(api.endpoints["rep"]).ask("status")
        api.stop()
    worker.stop()
    until(lambda: "worker1" not in server.workers(), "worker1 has said goodbye")
