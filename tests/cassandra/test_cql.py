# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Our own CQL client against real Cassandra, held against DataStax's driver for Python."""

import pathlib
import signal
import socket
import uuid

import pytest

from conftest import LONG
from driver import session
from harness import until
from node import PASSWORD, USER, Node, forward, security
from probe import UNAVAILABLE, Probe

KEYSPACE = "probe"
TABLE = f"{KEYSPACE}.everything"
COLUMNS = "p bigint, c bigint, i int, t text, b blob, f boolean, u uuid, w timestamp"
INSERT = f"INSERT INTO {TABLE} (p, c, i, t, b, f, u, w) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
SELECT = f"SELECT * FROM {TABLE} WHERE p = ?"
ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


def change(probe, text):
    """A change of the schema, which all nodes then have. One that was not told of it, for it was not
    seen yet, asks for it after a minute (cassandra.migration_delay_ms)."""
    probe.execute(text)
    answer = probe.ask("agree", timeout_ms=150000)
    assert answer["r"] == 0, answer


def make_table(probe, replicas=1):
    change(probe, f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = "
           f"{{'class': 'NetworkTopologyStrategy', 'datacenter1': {replicas}}}")
    change(probe, f"CREATE TABLE IF NOT EXISTS {TABLE} ({COLUMNS}, PRIMARY KEY (p, c))")
    probe.execute(f"TRUNCATE {TABLE}")


@pytest.fixture
def probe(cassandra):
    with Probe(cassandra, keyspace=KEYSPACE) as started:
        make_table(started.connected())
        yield started


def freeze(node):
    """Not one of its threads runs when this returns."""
    pid = node.process.process.pid
    node.process.signal(signal.SIGSTOP)
    until(lambda: all(stat.read_text().rsplit(")", 1)[1].split()[0] in "TZ"
                      for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")), "the halt")


def row(p, c, text="ä", blob="00ff"):
    return [{"bigint": p}, {"bigint": c}, {"int": -2}, {"text": text}, {"blob": blob},
            {"boolean": "01"}, {"uuid": ID.hex}, {"bigint": 86400000}]


def test_what_one_client_writes_the_other_reads(probe, cassandra):
    assert probe.execute(INSERT, row(1, -2**63)) == []
    with session(cassandra) as made:
        theirs = made.execute(f"SELECT * FROM {TABLE} WHERE p = 1").one()
        assert (theirs.p, theirs.c, theirs.i, theirs.t, theirs.b, theirs.f, theirs.u) == \
            (1, -2**63, -2, "ä", b"\x00\xff", True, ID)
        assert theirs.w.isoformat() == "1970-01-02T00:00:00"
        insert = made.prepare(INSERT)
        made.execute(insert, (2, 2**63 - 1, 2**31 - 1, "", b"", False, ID, theirs.w))
    assert probe.execute(SELECT, [{"bigint": 2}]) == [
        {"p": 2, "c": 2**63 - 1, "i": 2**31 - 1, "t": "", "b": "", "f": False, "u": ID.hex,
         "w": 86400000}]


def test_null_deletes_and_unset_leaves(probe):
    probe.execute(INSERT, row(1, 1))
    probe.execute(INSERT, [{"bigint": 1}, {"bigint": 1}, None, {"unset": True}, {"unset": True},
                           {"unset": True}, {"unset": True}, None])
    assert probe.execute(SELECT, [{"bigint": 1}]) == [
        {"p": 1, "c": 1, "i": None, "t": "ä", "b": "00ff", "f": True, "u": ID.hex, "w": None}]


def test_pages_are_followed(probe):
    answer = probe.ask("all", statements=[
        {"text": INSERT, "values": row(p, c)} for p in range(3) for c in range(25)])
    assert answer["r"] == 0, answer
    answer = probe.ask("all", statements=[
        {"text": SELECT, "values": [{"bigint": p}], "page_size": 10} for p in range(4)])
    assert answer["r"] == 0 and answer["pages"] == [3, 3, 3, 1], answer
    assert [(each["p"], each["c"]) for each in answer["rows"] if each["p"] == 1] == \
        [(1, c) for c in range(25)]
    assert len(answer["rows"]) == 75


def test_the_clients_timestamps_decide(probe, cassandra):
    probe.execute(INSERT, row(1, 1, "later"), timestamp_us=2000)
    probe.execute(INSERT, row(1, 1, "earlier"), timestamp_us=1000)
    assert probe.execute(SELECT, [{"bigint": 1}])[0]["t"] == "later"
    probe.execute(INSERT, row(2, 1))
    probe.execute(INSERT, row(2, 2))
    with session(cassandra) as made:
        first, second = made.execute(f"SELECT writetime(t) AS at FROM {TABLE} WHERE p = 2")
        assert 1_700_000_000_000_000 < first.at < second.at


def test_a_batch_is_one_write(probe, cassandra):
    parts = [{"text": INSERT, "values": row(7, c)} for c in range(20)]
    parts.append({"text": f"DELETE FROM {TABLE} WHERE p = 7 AND c = 99"})
    assert probe.ask("execute", parts=parts, key=[{"bigint": 7}])["r"] == 0
    with session(cassandra) as made:
        rows = list(made.execute(f"SELECT c, writetime(t) AS at FROM {TABLE} WHERE p = 7"))
        assert [each.c for each in rows] == list(range(20))
        assert len({each.at for each in rows}) == 1


def test_a_condition_says_whether_it_was_met(probe):
    text = f"INSERT INTO {TABLE} (p, c, t) VALUES (?, ?, ?) IF NOT EXISTS"
    values = [{"bigint": 5}, {"bigint": 5}, {"text": "first"}]
    answers = [probe.ask("execute", text=text, values=values) for _ in range(2)]
    assert [answer["rows"][0]["[applied]"] for answer in answers] == [True, False]


@pytest.mark.parametrize("text, values, code, message", [
    ("SELEKT", [], -5, "syntax error"),
    ("SELECT nothing FROM " + TABLE, [], -5, "nothing"),
    ("SELECT * FROM nowhere.at_all WHERE p = ?", [{"bigint": 1}], -5, "nowhere"),
    (SELECT, [{"int": 1}], -5, "8"),
    (f"CREATE KEYSPACE {KEYSPACE} WITH replication = "
     "{'class': 'SimpleStrategy', 'replication_factor': 1}", [], -17, "exist"),
])
def test_a_refusal_comes_with_the_servers_words(probe, text, values, code, message):
    answer = probe.ask("execute", text=text, values=values)
    assert answer["r"] == code and message in answer["error"], answer
    assert probe.execute(SELECT, [{"bigint": 404}]) == []


def test_lz4_makes_it_smaller_and_changes_nothing(probe, cassandra):
    text, values = INSERT, row(1, 1, "a" * 50000, "ab" * 50000)
    sent = []
    for lz4 in (False, True):
        with Probe(cassandra, lz4=lz4) as other:
            other.connected().execute(text, values)
            assert other.execute(SELECT, [{"bigint": 1}])[0]["b"] == "ab" * 50000
            counters = other.counters()
            sent.append((counters["sent_bytes"], counters["received_bytes"]))
    assert sent[1][0] < sent[0][0] / 10 and sent[1][1] < sent[0][1] / 2, sent


def test_a_statement_that_the_server_forgot_is_prepared_again(probe, cassandra):
    probe.execute(INSERT, row(1, 1))
    with session(cassandra) as made:
        made.execute(f"DROP TABLE {TABLE}")
        made.execute(f"CREATE TABLE {TABLE} ({COLUMNS}, PRIMARY KEY (p, c))")
    probe.execute(INSERT, row(1, 2))
    assert [each["c"] for each in probe.execute(SELECT, [{"bigint": 1}])] == [2]
    assert probe.counters()["unprepared"] >= 1


def test_many_are_in_flight_at_once(probe):
    answer = probe.ask("repeat", count=20000, text=INSERT, idempotent=True,
                       values=[{"bigint": 3}, {"count": "bigint"}, *row(0, 0)[2:]])
    assert answer["r"] == 0, answer
    answer = probe.ask("repeat", count=1, text=SELECT, values=[{"bigint": 3}])
    assert (answer["r"], answer["row_count"]) == (0, 20000), answer
    counters = probe.counters()
    assert (counters["retries"], counters["timeouts"], counters["pending"]) == (0, 0, 0)


def test_a_node_that_stands_still_is_waited_for_and_its_late_answer_is_not_mistaken(
        probe, cassandra):
    with Probe(cassandra, options=["--request-timeout-ms", "2000"]) as hasty:
        hasty.connected().execute(INSERT, row(9, 0))
        freeze(cassandra)
        try:
            answer = hasty.ask("execute", text=INSERT, values=row(9, 1))
        finally:
            cassandra.process.signal(signal.SIGCONT)
        assert answer["r"] == UNAVAILABLE and "in time" in answer["error"], answer
        until(lambda: hasty.counters()["late_answers"] == 1, "the late answer")
        assert [each["c"] for each in hasty.execute(SELECT, [{"bigint": 9}])] == [0, 1]
        assert hasty.counters()["disconnects"] == 0


def test_a_node_that_starts_again_is_found_again(probe, cassandra):
    probe.execute(INSERT, row(1, 1))
    cassandra.kill()
    try:
        until(lambda: probe.counters()["nodes_connected"] == 0, "the loss")
        answer = probe.ask("execute", text=SELECT, values=[{"bigint": 1}], idempotent=True)
    finally:
        cassandra.start()
    assert answer["r"] == UNAVAILABLE and "127.0.0.1 port" in answer["error"], answer
    probe.connected().execute(INSERT, row(1, 2))
    assert 2 in [each["c"] for each in probe.execute(SELECT, [{"bigint": 1}])]


def test_news_of_the_schema_reach_other_sessions(probe, cassandra):
    with session(cassandra) as made:
        made.execute("CREATE KEYSPACE news WITH replication = "
                     "{'class': 'SimpleStrategy', 'replication_factor': 1}")
        until(lambda: probe.counters()["events"] > 0, "the event")
        made.execute("DROP KEYSPACE news")


def test_a_data_centre_that_is_not_there_is_told(cassandra):
    with Probe(cassandra, options=["--dc", "elsewhere"]) as probe:
        answer = probe.ask("execute", text="SELECT key FROM system.local")
        assert answer["r"] == UNAVAILABLE and "'elsewhere'" in answer["error"], answer


def secure(place, certificates, **words):
    return Probe(place, **{"user": USER, "password": PASSWORD,
                           "authority": certificates.authority, **words})


def assert_refused(probe, *reasons):
    answer = probe.ask("execute", text="SELECT key FROM system.local")
    assert answer["r"] == UNAVAILABLE, answer
    assert any(reason in answer["error"] for reason in reasons), answer


@pytest.mark.parametrize("lz4", [False, True])
def test_tls_and_a_password_let_in(secure_cassandra, certificates, lz4):
    with secure(secure_cassandra, certificates, lz4=lz4) as probe:
        make_table(probe.connected())
        blob = "00112233" * 100000
        probe.execute(INSERT, row(1, 1, blob=blob))
        assert probe.execute(SELECT, [{"bigint": 1}])[0]["b"] == blob


def test_a_host_is_known_by_its_name_too(secure_cassandra, certificates):
    with secure(secure_cassandra, certificates, hosts=["localhost"]) as probe:
        assert probe.connected().execute("SELECT key FROM system.local") == [{"key": "local"}]


def test_a_certificate_of_another_authority_is_refused(secure_cassandra, certificates):
    with secure(secure_cassandra, certificates, authority=certificates.stranger) as probe:
        assert_refused(probe, "certificate")


def test_without_an_authority_the_systems_are_trusted_alone(secure_cassandra):
    with Probe(secure_cassandra, user=USER, password=PASSWORD, tls=True) as probe:
        assert_refused(probe, "certificate")


@pytest.mark.parametrize("user, password", [(USER, "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_password_is_refused(secure_cassandra, certificates, user, password):
    with secure(secure_cassandra, certificates, user=user, password=password) as probe:
        assert_refused(probe, "Provided username")


def test_who_brings_no_password_is_refused(secure_cassandra, certificates):
    with secure(secure_cassandra, certificates, user=None, password=None) as probe:
        assert_refused(probe, "asks for a user name")


def test_plain_text_does_not_get_in_where_tls_is(secure_cassandra):
    with Probe(secure_cassandra, user=USER, password=PASSWORD) as probe:
        assert_refused(probe, "closed the connection", "Connection reset", "no answer of a CQL")


def test_who_may_not_is_told(secure_cassandra, certificates):
    with secure(secure_cassandra, certificates) as probe:
        make_table(probe.connected())
        probe.execute("CREATE ROLE IF NOT EXISTS guest WITH password = 'guest' AND login = true")
        with secure(secure_cassandra, certificates, user="guest", password="guest") as guest:
            answer = guest.connected().ask("execute", text=SELECT, values=[{"bigint": 1}])
            assert answer["r"] == -13 and "guest" in answer["error"], answer


def test_a_certificate_of_another_host_is_refused(secure_cassandra, certificates):
    with socket.create_server(("127.0.0.9", 0)) as listener:
        forward(secure_cassandra, listener)
        port = listener.getsockname()[1]
        with secure(secure_cassandra, certificates, hosts=["127.0.0.9"], port=port) as probe:
            assert_refused(probe, "IP address mismatch")


if LONG:  # one more node
    def test_a_node_that_wants_a_certificate_gets_it(tmp_path, certificates, secure_cassandra):
        node = Node(tmp_path, heap="256M", settings=security(certificates, client_certificates=True))
        try:
            node.start()
            with secure(node, certificates, key=certificates.client_key,
                        certificate=certificates.client_certificate) as probe:
                assert probe.connected().execute("SELECT key FROM system.local")
            with secure(node, certificates) as probe:
                assert_refused(probe, "TLS", "closed the connection")
        finally:
            node.end()


def test_one_dead_node_of_three_is_not_noticed_by_writers(cluster):
    with Probe(cluster, keyspace=KEYSPACE) as probe:
        make_table(probe.connected(), replicas=3)
        until(lambda: probe.counters()["nodes_connected"] == 3, "three connections")
        writes = {"text": INSERT, "idempotent": True, "consistency": "QUORUM",
                  "values": [{"count": "bigint"}, {"bigint": 1}, *row(0, 0)[2:]],
                  "key": [{"count": "bigint"}]}
        probe.begin("repeat", count=20000, **writes)
        killed = cluster.kill(2)
        answer = probe.answer()
        assert answer["r"] == 0, answer
        cluster.wait_noticed(killed)
        cluster.start_again(2)
        until(lambda: probe.counters()["nodes_connected"] == 3, "the third again")
        answer = probe.ask("all", statements=[
            {"text": SELECT, "values": [{"bigint": p}], "consistency": "QUORUM"}
            for p in range(0, 20000, 100)])
        assert (answer["r"], len(answer["rows"])) == (0, 200)


def test_one_node_of_three_that_stands_still_is_soon_left_alone(cluster):
    with Probe(cluster, keyspace=KEYSPACE) as probe:
        make_table(probe.connected(), replicas=3)
        until(lambda: probe.counters()["nodes_connected"] == 3, "three connections")
        freeze(cluster.nodes[1])
        try:
            answer = probe.ask("repeat", count=3000, text=INSERT, idempotent=True,
                               consistency="QUORUM", key=[{"count": "bigint"}],
                               values=[{"count": "bigint"}, {"bigint": 1}, *row(0, 0)[2:]])
        finally:
            cluster.nodes[1].process.signal(signal.SIGCONT)
        assert answer["r"] == 0, answer
        until(lambda: probe.counters()["nodes_connected"] == 3, "the third again")
        counters = probe.counters()
        assert counters["retries"] > 0 and counters["timeouts"] == 0, counters
