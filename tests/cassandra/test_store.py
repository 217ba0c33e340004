# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-server with store = cassandra."""

import contextlib
import datetime
import hashlib
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.request
import uuid

import pytest

import harness
from driver import session
from harness import Api, Peer, Server, until
from node import Node, forward
from test_spool import clock, shim  # noqa: F401

UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"
BASE_MS = 1_700_006_400_000  # a midnight
KEYSPACES = (f"kanyun_{number}" for number in itertools.count(1))


class CassandraServer(Server):
    """Its keyspace is its own, unless it is given one."""

    def __init__(self, directory, node, *options, keyspace=None, **keywords):
        self.keyspace = keyspace or next(KEYSPACES)
        super().__init__(
            directory, "server.store=cassandra", f"server.db_host={node.address}",
            f"cassandra.port={node.port}", f"cassandra.keyspace={self.keyspace}",
            "cassandra.replication=1", "server.retention_days=1500", *options, **keywords)


def reading(number, cpu=None, instance=UUID):
    return {"host": "h1", "readings": [
        {"uuid": instance, "time": BASE_MS + number * 10_000, "epoch": "h1/b/1/2",
         "data": [["cpu", "total", [cpu if cpu is not None else number * 7]],
                  ["nic", "vnet0", [number, number * 2]]]}]}


def samples(server):
    return server.scan(UUID, "cpu").get(("total", "h1/b/1/2", 0))


def expected(numbers):
    return [(BASE_MS + number * 10_000, number * 7) for number in numbers]


def test_what_any_store_must_do(cassandra):
    program = os.path.join(harness.BUILD, "src/store/conformance-test")
    made = subprocess.run([program, f"{cassandra.address}:{cassandra.port}"], text=True,
                          capture_output=True, timeout=600)
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.count("\nok ") >= 25, made.stdout
    assert not made.stderr, made.stderr


@pytest.mark.parametrize("name", ["thinned-test", "moving-test"])
def test_random_lives_are_answered_as_by_a_store_in_memory(cassandra, name):
    program = os.path.join(harness.BUILD, "src/store", name)
    made = subprocess.run([program, f"{cassandra.address}:{cassandra.port}"], text=True,
                          capture_output=True, timeout=600)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "\nok 1" in made.stdout, made.stdout


def test_what_was_acknowledged_outlives_the_server(start, cassandra):
    server = start(CassandraServer, cassandra)
    assert server.questions.ask("status")[0]["store"] == "cassandra"
    with Peer(server) as peer:
        for number in range(1, 31):
            peer.send_enveloped("3", reading(number), number)
        peer.wait_ack(30)
    server.kill()
    server = start(CassandraServer, cassandra, keyspace=server.keyspace)
    assert samples(server) == expected(range(1, 31))
    assert len(server.instances()) == 1
    with Peer(server) as peer:  # it knows them
        peer.send_enveloped("3", reading(30), 30)
        peer.wait_ack(30)
    assert server.counters()["known"] == 1


def test_two_servers_that_begin_together_share_all(start, cassandra):
    keyspace = next(KEYSPACES)
    servers, threads = [], []
    for _ in range(2):
        threads.append(threading.Thread(target=lambda: servers.append(
            start(CassandraServer, cassandra, keyspace=keyspace))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    one, other = servers
    with Peer(one) as peer:
        for number in range(1, 11):
            peer.send_enveloped("3", reading(number), number)
        peer.wait_ack(10)
    with Peer(other) as peer:  # some of it comes again
        for number in range(5, 21):
            peer.send_enveloped("3", reading(number), number, oldest=5)
        peer.wait_ack(20)
    for server in servers:
        assert samples(server) == expected(range(1, 21))
        assert len(server.instances()) == 1
    with session(cassandra) as made:
        # Known numbers are dropped unread, so nothing was even written twice.
        rows = made.execute(f"SELECT at, digest FROM {keyspace}.readings").all()
        assert len(rows) == 20
        [source] = made.execute(f"SELECT * FROM {keyspace}.sources").all()
        assert source.sequence == 20 and source.host == "h1"


def test_the_same_reading_from_another_message_is_the_same_row(start, cassandra):
    server = start(CassandraServer, cassandra)
    for spool in ("a", "b"):
        with Peer(server, spool=spool) as peer:
            peer.send_enveloped("3", reading(1), 1)
            peer.wait_ack(1)
    with Peer(server, spool="c") as peer:  # and one that says something else
        peer.send_enveloped("3", reading(1, cpu=5), 1)
        peer.wait_ack(1)
    assert samples(server) == expected([1])  # the larger one
    with session(cassandra) as made:
        assert len(made.execute(f"SELECT at FROM {server.keyspace}.readings").all()) == 2


def test_a_message_may_need_many_rows_and_large_ones(start, cassandra):
    server = start(CassandraServer, cassandra)
    times = [BASE_MS + number * 1000 for number in range(2500)]
    epochs, names = [f"h1/b/{number}" for number in range(25)], [f"{i:0200}" for i in range(64)]
    before = server.counters()["cql_requests"]
    with Peer(server) as peer:
        peer.send_enveloped("3", {"host": "h1", "readings": [
            {"uuid": UUID, "time": at, "epoch": "h1/b/1/2", "data": [["cpu", "total", [at]]]}
            for at in times]})
        peer.wait_ack(1)
        # The rows in batches, the instance's first time for each, and a few that are noted.
        assert server.counters()["cql_requests"] - before < len(times) + 50
        peer.send_enveloped("3", {"host": "h1", "readings": [
            {"uuid": UUID, "time": BASE_MS, "epoch": epoch,
             "data": [["nic", name, [1, number]] for number, name in enumerate(names)]}
            for epoch in epochs]})
        peer.wait_ack(2)
    assert samples(server) == [(at, at) for at in times]
    found = server.scan(UUID, "nic")
    assert set(found) == set(itertools.product(names, epochs, (0, 1)))
    with session(cassandra) as made:
        rows = made.execute(f"SELECT at, digest FROM {server.keyspace}.readings").all()
        # Three of these readings fill a row.
        assert len(rows) == len(times) + -(-len(epochs) // 3)


def test_a_quarter_of_a_day_may_hold_more_than_an_answer_of_cassandra(start, cassandra):
    server = start(CassandraServer, cassandra)
    names, numbers = [f"{number:0240}" for number in range(300)], range(1, 1001)
    with Peer(server) as peer:
        for number in numbers:
            message = reading(number)
            message["readings"][0]["data"] += [["nic", name, [number, 1]] for name in names]
            peer.send_enveloped("3", message, number)
        peer.wait_ack(numbers[-1])
    assert server.counters()["store_reading_bytes"] > 70 * 1024 * 1024
    assert samples(server) == expected(numbers)
    assert server.counters()["cql_disconnects"] == 0


def test_many_rows_of_one_time_hide_nobody(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:  # eight of each slot
        for number in range(1, 65):
            peer.send_enveloped("3", reading(1, instance=f"{number:032x}"), number)
        peer.wait_ack(64)
    last = [instance["last"] for instance in server.instances().values()]
    assert last == [BASE_MS + 10_000] * 64


def test_rows_expire_and_none_is_deleted(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        peer.send_enveloped("3", reading(1), 1)
        peer.wait_ack(1)
    days = 1510 * 86400
    with session(cassandra) as made:
        for table, column in (("readings", "readings"), ("shapes", "content")):
            row = made.execute(f"SELECT ttl({column}) AS t FROM {server.keyspace}.{table}").one()
            assert days - 3600 < row.t <= days
        tables = {row.table_name: row for row in made.execute(
            "SELECT * FROM system_schema.tables WHERE keyspace_name = %s", [server.keyspace])}
    assert "TimeWindow" in tables["readings"].compaction["class"]
    assert tables["readings"].default_time_to_live == days
    assert tables["days"].default_time_to_live == days
    assert tables["records"].default_time_to_live == 0


def kanyun(start, server, *arguments):
    """The program's end, asked through an API of its own."""
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                f"api.server_port={server.endpoints['rep'].rpartition(':')[2]}")
    return subprocess.run(
        [os.path.join(harness.BUILD, "src/cli/kanyun"), *arguments, "-c", "/dev/null",
         "-o", f"client.api_port={api.endpoints['rep'].rpartition(':')[2]}",
         "-o", f"cassandra.keyspace={server.keyspace}"],
        text=True, capture_output=True, timeout=harness.TIMEOUT)


def store_findings(start, server, kind):
    """What the doctor says of the store."""
    found = json.loads(kanyun(start, server, "doctor", "--json").stdout)
    return [each for each in found if each["check"] == "store" and each["finding"] == kind]


def overwrite(made, server, row, readings):
    made.execute(f"UPDATE {server.keyspace}.readings SET readings = %s WHERE host = %s AND "
                 "quarter = %s AND slot = %s AND at = %s AND digest = %s",
                 (readings, row.host, row.quarter, row.slot, row.at, row.digest))


def test_a_damaged_reading_is_an_error_to_the_question_that_needs_it(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        for number in range(1, 4):
            peer.send_enveloped("3", reading(number), number)
        peer.wait_ack(3)
    with session(cassandra) as made:
        row = made.execute(f"SELECT * FROM {server.keyspace}.readings LIMIT 1").one()
        # Another value, well-formed.
        overwrite(made, server, row, row.readings[:-1] + bytes([row.readings[-1] ^ 2]))
    with pytest.raises(AssertionError, match="not what was written"):
        samples(server)
    assert server.counters()["store_corrupt"] == 1
    assert any("damaged" in found["text"] for found in store_findings(start, server, "problem"))


def damage_rows_of(node, server, numbers):
    """Those of these readings, in any message: other values, well-formed."""
    times = {BASE_MS + number * 10_000 for number in numbers}
    with session(node) as made:
        rows = [row for row in made.execute(f"SELECT * FROM {server.keyspace}.readings").all()
                if row.at.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000 in times]
        assert len(rows) == len(times)
        for row in rows:
            overwrite(made, server, row, row.readings[:-1] + bytes([row.readings[-1] ^ 2]))


@pytest.mark.parametrize("newer", [1, 6])  # rows of its slot, of which the last 4 are read first
def test_a_month_is_not_closed_without_an_instance_that_cannot_be_read(start, cassandra, newer):
    other = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a596f"
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        for number in range(1, 3):
            peer.send_enveloped("3", reading(number), number)
        for number in range(3, 3 + newer):
            peer.send_enveloped("3", reading(number, instance=other), number)
        peer.wait_ack(2 + newer)
    questions = start_api(start, server)
    assert questions.ask("close", month="2023-11", id=other, force=True)[0]["kept"]
    damage_rows_of(cassandra, server, range(1, 3))
    with session(cassandra) as made:
        rows = made.execute(f"SELECT slot FROM {server.keyspace}.readings").all()
        assert len({row.slot for row in rows}) == 1
    with pytest.raises(AssertionError, match=f"the figures of '{UUID}' are not kept"):
        questions.ask("close", month="2023-11")
    with pytest.raises(AssertionError, match="not what was written"):
        questions.ask("close", month="2023-11", id=UUID, force=True)
    [one, _] = questions.ask("instances")[0]
    assert one["id"] == UUID and one["last"] == BASE_MS / 1000 + 20  # it may have been read then


def test_a_damaged_description_is_counted_and_hides_nothing(start, cassandra):
    server = start(CassandraServer, cassandra)
    other = "11111111-93a5-4f0c-8f0e-3c1d2b4a5968"
    infos = [{"uuid": instance, "since": BASE_MS + since, "name": name}
             for instance, since, name in ((UUID, 0, "one"), (UUID, 1, "two"), (other, 0, "other"))]
    with Peer(server) as peer:
        peer.send_enveloped("3", {"host": "h1", "instances": infos}, 1)
        peer.wait_ack(1)

    def names():
        return {uuid: [info["texts"][0] for info in instance["infos"]]
                for uuid, instance in server.instances().items()}

    assert names() == {other: ["other"], UUID: ["one", "two"]}
    with session(cassandra) as made:
        [row] = [row for row in made.execute(f"SELECT * FROM {server.keyspace}.infos").all()
                 if b"two" in row.info]
        for damaged in row.info[:-1], b"\xff" * 40:
            before = server.counters()["store_corrupt"]
            made.execute(f"UPDATE {server.keyspace}.infos SET info = %s WHERE bucket = %s AND "
                         "instance = %s AND since = %s AND digest = %s",
                         (damaged, row.bucket, row.instance, row.since, row.digest))
            assert names() == {other: ["other"], UUID: ["one"]}
            assert server.counters()["store_corrupt"] == before + 1


def test_nothing_is_acknowledged_while_cassandra_stands_still(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        peer.send_enveloped("3", reading(1), 1)
        peer.wait_ack(1)
        cassandra.process.signal(signal.SIGSTOP)
        try:
            peer.send_enveloped("3", reading(2), 2)
            server.wait_line("nothing is acknowledged")
            [found] = store_findings(start, server, "problem")
            assert "nodes" in found["advice"] and "disk" not in found["advice"]
            while peer.sub.poll(0):
                assert json.loads(peer.sub.recv_multipart()[1])["ack"] < 2
        finally:
            cassandra.process.signal(signal.SIGCONT)
        peer.wait_ack(2)
    assert samples(server) == expected([1, 2])


@contextlib.contextmanager
def silenced(node):
    """It takes connections and requests, and answers none."""
    node.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.signal(signal.SIGCONT)


def assert_ends_unanswered(server, what):
    """It does not wait until the node would have answered too late."""
    server.stop()
    server.wait_line(f"{what}.*: (the connection was given up|the session was stopped)")
    assert not server.count_lines("in time|does not answer")


def test_it_ends_though_no_node_answers_its_writer(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        peer.send_enveloped("3", reading(1), 1)
        peer.wait_ack(1)
        with silenced(cassandra):
            peer.send_enveloped("3", reading(2), 2)
            server.wait_counter("queued", 1)
            assert_ends_unanswered(server, "cannot append to the store")
    server = start(CassandraServer, cassandra, keyspace=server.keyspace)
    with Peer(server) as peer:
        peer.send_enveloped("3", reading(2), 2)
        peer.wait_ack(2)
    assert samples(server) == expected([1, 2])


def test_it_ends_though_its_loop_waits_for_a_node(start, cassandra):
    port = harness.free_ports(1)
    server = start(CassandraServer, cassandra, f"server.http_port={port}")
    url = f"http://127.0.0.1:{port}/metrics"  # which the loop has no part in
    with silenced(cassandra), Peer(server) as peer:
        peer.send_enveloped("3", reading(1), 1)  # of a spool that the store is asked about
        until(lambda: b"kanyun_server_messages_total 1\n" in urllib.request.urlopen(
            url, timeout=harness.TIMEOUT).read(), "it comes")
        assert_ends_unanswered(server, "a message cannot be taken now")


def test_it_ends_though_no_node_answers_while_it_makes_its_tables(start, cassandra):
    mark = len(cassandra.process.lines)
    server = start(CassandraServer, cassandra, wait=False)
    cassandra.process.wait_line(f"Initializing {server.keyspace}", mark)
    with silenced(cassandra):
        assert_ends_unanswered(server, "cannot open the store")
    assert not server.endpoints


@contextlib.contextmanager
def disagreeing(node):
    """It tells of another node, whose schema stays another one."""
    other = "127.0.0.77"
    with session(node) as made, socket.create_server((other, node.port)) as listener:
        forward(node, listener)
        [here] = made.execute("SELECT data_center FROM system.local").all()
        made.execute("INSERT INTO system.peers (peer, rpc_address, data_center, rack, host_id, "
                     "schema_version, release_version, tokens) VALUES (%s, %s, %s, "
                     "'rack1', %s, %s, '5.0.0', {'77'})",
                     (other, other, here.data_center, uuid.uuid4(), uuid.uuid4()))
        try:
            yield
        finally:
            made.execute("DELETE FROM system.peers WHERE peer = %s", [other])


def test_it_ends_though_the_nodes_do_not_agree_on_its_tables(start, cassandra):
    """It would wait for two minutes."""
    with disagreeing(cassandra):
        mark = len(cassandra.process.lines)
        server = start(CassandraServer, cassandra, wait=False)
        cassandra.process.wait_line(f"Creating replication strategy {server.keyspace}", mark)
        assert_ends_unanswered(server, "cannot open the store")
    assert not server.endpoints


def test_a_server_waits_for_cassandra(start, tmp_path_factory, cassandra):
    directory = tmp_path_factory.mktemp("late")
    late = Node(directory, cassandra.release, heap="256M")
    made = []
    thread = threading.Thread(target=lambda: made.append(start(CassandraServer, late)))
    thread.start()
    late.start()
    try:
        thread.join(harness.TIMEOUT)
        [server] = made
        with Peer(server) as peer:
            peer.send_enveloped("3", reading(1), 1)
            peer.wait_ack(1)
        server.stop()
    finally:
        late.end()


def test_a_server_that_waits_ends_when_it_is_told_to(tmp_path):
    port = harness.free_ports(1)
    command = [os.path.join(harness.BUILD, "src/server/kanyun-server"), "-c", "/dev/null"]
    for option in ("server.store=cassandra", "server.db_host=127.0.0.1",
                   f"cassandra.port={port}"):
        command += ["-o", option]
    waiting = harness.Process(command)
    waiting.name = "kanyun-server"
    waiting.wait_line("waiting until it can be")
    waiting.terminate()
    assert waiting.process.returncode == 0


def test_a_person_sees_an_instances_values_by_the_specifications_names(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        for number in range(1, 4):
            peer.send_enveloped("3", reading(number), number)
        # And two more of one time.
        for number, more in ((4, {"data": [["cpu", "total", [30], "if7"]]}),
                             (5, {"data": [["cpu", "total", [40]]], "segment": 1})):
            message = reading(3)
            message["readings"][0].update(more)
            peer.send_enveloped("3", message, number)
        peer.wait_ack(5)
    made = kanyun(start, server, "dump", "--cql", "--from", str(BASE_MS // 1000),
                  "--to", str(BASE_MS // 1000 + 3600), UUID)
    assert made.returncode == 0, made.stderr
    with session(cassandra) as theirs:
        for statement in made.stdout.splitlines():
            theirs.execute(statement)
        rows = theirs.execute(f"SELECT * FROM {server.keyspace}.nic_outgoing WHERE instance = %s "
                              "AND parameter = 'vnet0'", [UUID]).all()
        assert [row.value for row in rows] == [2, 4, 6]
        rows = theirs.execute(f"SELECT * FROM {server.keyspace}.cpu").all()
        assert [(row.life, row.segment, row.value) for row in rows] == [
            ("", 0, 7), ("", 0, 14), ("", 0, 21), ("", 1, 40), ("if7", 0, 30)]


@pytest.mark.parametrize("one, other", [
    (b"zz", b"aaaaa"),
    (b"z" * 2_000_000, b"a" * 600_000),
    (b"a" * 2_000_000, b"z" * 600_000),
    (b"z", b"a" * 600_000)], ids=["small", "large", "others", "both"])
def test_of_two_records_of_the_same_moment_one_is_kept_whole(start, cassandra, one, other):
    """Two servers wrote them together: of each column the larger value stays."""
    server = start(CassandraServer, cassandra)
    part_size = 512 * 1024

    def put(made, key, value):
        digest = hashlib.sha256(value).digest()[:16]
        is_large = len(value) > part_size
        for part in range(0, len(value) if is_large else 0, part_size):
            made.execute(f"INSERT INTO {server.keyspace}.record_parts (digest, part, value) "
                         "VALUES (%s, %s, %s)",
                         (digest, part // part_size, value[part:part + part_size]))
        made.execute(f"INSERT INTO {server.keyspace}.records "
                     f"(kind, key, size, {'digest' if is_large else 'value'}) "
                     "VALUES ('fruit', %s, %s, %s) USING TIMESTAMP 1000",
                     (key, len(value), digest if is_large else value))

    with session(cassandra) as made:
        for key, values in (("forth", (one, other)), ("back", (other, one))):
            for value in values:
                put(made, key, value)
    reader = harness.Reader(server.questions.ask("store.records", kind="fruit", prefix="")[1])
    back, forth = ([reader.text() for _ in range(3)] for _ in range(2))
    assert (back[1], forth[1]) == ("back", "forth")
    assert back[2] == forth[2] and back[2].encode() in (one, other)


def test_what_expired_unseen_is_said_to_be_deleted(start, cassandra):
    """retention_days was less before: its rows go sooner than the present ones."""
    short = start(CassandraServer, cassandra, "server.retention_days=1")
    with Peer(short) as peer:
        peer.send_enveloped("3", reading(1), 1)
        peer.wait_ack(1)
    short.stop()
    server = start(CassandraServer, cassandra, "server.retention_days=1500",
                   "server.retention_check_seconds=1", keyspace=short.keyspace)
    until(lambda: horizons(server), "the horizon is recorded")
    until(lambda: samples(server) is None, "the reading is not shown any more")


def expiry(node, keyspace):
    with session(node) as made:
        return {row.default_time_to_live // 86400 for row in made.execute(
            "SELECT table_name, default_time_to_live FROM system_schema.tables WHERE "
            "keyspace_name = %s", [keyspace]) if row.table_name in ("readings", "shapes", "days")}


def own_record(node, keyspace, key):
    with session(node) as made:
        row = made.execute(f"SELECT value FROM {keyspace}.records WHERE kind = 'cassandra' "
                           "AND key = %s", [key]).one()
    return int(row.value) if row else 0


def horizons(server):
    records = server.questions.ask("store.records", kind="deleted", prefix="")[1]
    return [int(found) for found in re.findall(rb"until (\d{13})", records)]


def test_a_start_with_a_wrong_retention_hides_nothing(start, cassandra):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        peer.send_enveloped("3", reading(1), 1)
        peer.wait_ack(1)
    server.stop()
    wrong = start(CassandraServer, cassandra, "server.retention_days=30",
                  keyspace=server.keyspace)
    assert samples(wrong) == expected([1])
    wrong.stop()
    assert expiry(cassandra, server.keyspace) == {1510}
    begin_ms = time.time() * 1000
    again = start(CassandraServer, cassandra, "server.retention_check_seconds=1",
                  keyspace=server.keyspace)
    # Maintenance looks for what has expired, and then begins a pass, which it notes.
    until(lambda: own_record(cassandra, server.keyspace, "tidied") >= begin_ms, "a pass began")
    assert samples(again) == expected([1])
    assert not horizons(again)


def test_a_shorter_retention_is_in_force_after_a_check(start, cassandra):
    server = start(CassandraServer, cassandra)
    server.stop()
    short = start(CassandraServer, cassandra, "server.retention_days=30",
                  "server.retention_check_seconds=1", keyspace=server.keyspace)
    until(lambda: expiry(cassandra, server.keyspace) == {40}, "rows expire sooner")
    short.stop()
    start(CassandraServer, cassandra, keyspace=server.keyspace)
    assert expiry(cassandra, server.keyspace) == {1510}


def test_a_day_that_expires_in_part_is_not_shown(start, cassandra, clock):  # noqa: F811
    """What was written for 30 days goes while 1500 hold."""
    day = 86_400_000
    set_clock(clock, 0)
    short = start(CassandraServer, cassandra, "server.retention_days=30",
                  environment=clock.environment)
    with Peer(short) as peer:
        for sequence, hour in enumerate((1, 11, 23, 49), 1):
            set_clock(clock, hour * 3_600_000)
            peer.send_enveloped("3", reading(hour * 360), sequence)
            peer.wait_ack(sequence)
    short.stop()

    def left_at(ms):
        """After a change of retention when the day after the first one had begun."""
        set_clock(clock, ms)
        server = start(CassandraServer, cassandra, "server.retention_check_seconds=1",
                       keyspace=short.keyspace, environment=clock.environment)
        until(lambda: own_record(cassandra, short.keyspace, "tidied") >= BASE_MS + ms, "a pass")
        try:
            return horizons(server), samples(server)
        finally:
            server.stop()

    assert left_at(50 * 3_600_000) == ([], expected([360, 11 * 360, 23 * 360, 49 * 360]))
    # A reading may need a row that was written eight days before.
    assert left_at(31 * day) == ([], expected([360, 11 * 360, 23 * 360, 49 * 360]))
    assert left_at(32 * day + day // 2) == ([BASE_MS + day], expected([49 * 360]))
    assert left_at(33 * day - 3_600_000) == ([BASE_MS + day], expected([49 * 360]))
    assert left_at(200 * day)[1] is None


def start_api(start, server):
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                f"api.server_port={server.endpoints['rep'].rpartition(':')[2]}")
    return harness.Questions(api.endpoints["rep"])


def set_clock(clock, offset_ms):
    clock.set(BASE_MS + offset_ms - int(time.time() * 1000))


def test_a_report_over_whole_days_reads_their_summaries(start, cassandra, clock):  # noqa: F811
    set_clock(clock, 0)
    server = start(CassandraServer, cassandra, environment=clock.environment)
    step = 360  # an hour
    with Peer(server) as peer:
        for day in range(4):
            set_clock(clock, (day + 1) * 86_400_000 - 1000)
            for hour in range(day * 24, (day + 1) * 24):
                peer.send_enveloped("3", reading(hour * step), hour + 1)
            peer.wait_ack((day + 1) * 24)
    set_clock(clock, (4 * 24 + 3) * 3_600_000)
    server.wait_counter("store_summaries", 4)
    questions = start_api(start, server)

    def usage(begin=0):
        [row] = questions.ask("usage", id=UUID, metric="cpu", **{
            "from": (BASE_MS + begin) // 1000, "to": BASE_MS // 1000 + 4 * 86400})[0]["usages"]
        return row["value"]

    expected_usage = (4 * 24 - 1) * step * 7
    assert usage() == expected_usage
    with session(cassandra) as made:
        # What lies within a day is not read any more.
        at = (BASE_MS + 36 * 3_600_000) / 1000
        [row] = [row for row in made.execute(f"SELECT * FROM {server.keyspace}.readings").all()
                 if (row.at - datetime.datetime(1970, 1, 1)).total_seconds() == at]
        overwrite(made, server, row, b"\1")
        assert usage() == expected_usage
        with pytest.raises(AssertionError, match="not what was written"):
            usage(begin=30 * 3_600_000)
        # What comes late makes the summary one that does not count.
        with Peer(server, spool="late") as peer:
            peer.send_enveloped("3", reading(20 * step + 1, cpu=10**9), 1)
            peer.wait_ack(1)
        assert usage() != expected_usage


def copying(origin, target, node, *options):
    return subprocess.run(
        [os.path.join(harness.BUILD, "src/cli/kanyun"), "store", "copy", "-c", "/dev/null",
         "-o", "cassandra.replication=1", "-o", "server.retention_days=36500",
         "-o", f"cassandra.port={node.port}", *options, "--from", origin, "--to", target],
        text=True, capture_output=True, timeout=harness.TIMEOUT * 2)


def copy(origin, target, node, *options):
    made = copying(origin, target, node, *options)
    assert made.returncode == 0 and not made.stderr, made.stderr
    return made.stdout


def test_who_copies_changes_no_expiry_and_makes_nothing_to_read_from(
        start, cassandra, tmp_path):
    server = start(CassandraServer, cassandra)
    with Peer(server) as peer:
        peer.send_enveloped("3", reading(1), 1)
        peer.wait_ack(1)
    server.stop()
    copy(f"cassandra:{cassandra.address}/{server.keyspace}", f"sqlite:{tmp_path}/to", cassandra,
         "-o", "server.retention_days=30")
    assert expiry(cassandra, server.keyspace) == {1510}
    for days in 30, 1600, 3000:
        copy(f"sqlite:{tmp_path}/to", f"cassandra:{cassandra.address}/{server.keyspace}",
             cassandra, "-o", f"server.retention_days={days}")
        assert expiry(cassandra, server.keyspace) == {1510}
    for name in f"cassandra:{cassandra.address}/not_there", f"sqlite:{tmp_path}/not-there":
        made = copying(name, f"sqlite:{tmp_path}/to", cassandra)
        assert made.returncode == 1 and "not" in made.stderr, made.stderr
    assert expiry(cassandra, "not_there") == set()
    assert not (tmp_path / "not-there").exists()


def everything(server):
    groups = ("cpu", "nic", "state")
    return ([server.scan(UUID, group) for group in groups],
            [server.scan("instance-00000001@host", group) for group in groups],
            server.instances(),
            [server.questions.ask("store.records", kind=kind, prefix="")[1]
             for kind in ("gap", "retired", "closed", "heard", "left")],
            server.questions.ask("store.sources")[1])


def wait_for_records(server, kind):
    until(lambda: server.questions.ask("store.records", kind=kind, prefix="")[1], f"one {kind}")


def test_a_store_is_copied_there_and_back(start, tmp_path, cassandra):
    first = start(Server, "server.retention_days=36500", "server.worker_dead_seconds=3",
                  data="first")
    info = {"uuid": UUID, "since": BASE_MS, "name": "instance-0000000a", "host": "h1",
            "display_name": "web", "vcpus": 2}
    with Peer(first) as peer:
        for number in range(1, 40):
            peer.send_enveloped("3", {**reading(number * 1000), "instances": [info], "gaps": [
                {"from": BASE_MS, "to": BASE_MS + number, "reason": "libvirt"}]}, number)
        peer.send("3", {"instance-00000001@host": [("cpu", "total", (BASE_MS / 1000, 5))]})
        peer.wait_ack(39)
        first.wait_counter("stored", 39 * 3 + 1)
        peer.send("0", ["OLD", time.time(), 1])
        wait_for_records(first, "heard")
        peer.send("0", ["OLD", time.time(), 0])
        wait_for_records(first, "left")
    expected_of_all = everything(first)
    assert len(expected_of_all[2]) == 2
    first.stop()

    keyspace = next(KEYSPACES)
    target = f"cassandra:{cassandra.address}/{keyspace}"
    assert "118 samples of 2 instances" in copy(f"sqlite:{tmp_path}/first", target, cassandra)
    assert "2 more had been before" in copy(f"sqlite:{tmp_path}/first", target, cassandra)
    server = start(CassandraServer, cassandra, "server.retention_days=36500", keyspace=keyspace)
    assert everything(server) == expected_of_all
    server.stop()

    assert "118 samples of 2 instances" in copy(target, f"sqlite:{tmp_path}/last", cassandra)
    with sqlite3.connect(tmp_path / "last" / "kanyun.db") as db:
        # A server that starts has nothing to read into its memory.
        assert db.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    db.close()
    last = start(Server, "server.retention_days=36500", data="last")
    assert everything(last) == expected_of_all
    last.stop()


def test_what_came_since_a_trial_is_copied(start, tmp_path, cassandra):
    """In between the days that had readings, also while a server has the second store."""
    origin, keyspace = f"sqlite:{tmp_path}/first", next(KEYSPACES)
    target = f"cassandra:{cassandra.address}/{keyspace}"
    first = start(Server, "server.retention_days=36500", data="first")
    with Peer(first) as peer:
        for sequence, number in enumerate((1, 10, 20000), 1):
            peer.send_enveloped("3", reading(number), sequence)
        peer.wait_ack(3)
    first.stop()
    assert "9 samples of 1 instances" in copy(origin, target, cassandra)
    first = start(Server, "server.retention_days=36500", data="first")
    with Peer(first) as peer:
        peer.send_enveloped("3", reading(5), 4)
        peer.wait_ack(4)
    first.stop()
    server = start(CassandraServer, cassandra, "server.retention_days=36500", keyspace=keyspace)
    made = copy(origin, target, cassandra)
    assert "12 samples of 1 instances" in made and "before" not in made
    assert samples(server) == expected((1, 5, 10, 20000))
    assert "; 1 more had been before" in copy(origin, target, cassandra)
