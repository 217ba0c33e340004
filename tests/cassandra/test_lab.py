# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The nodes that other tests rely on are what they are said to be, as an independent client sees."""

import pytest
from cassandra import AuthenticationFailed, ConsistencyLevel
from cassandra.cluster import NoHostAvailable

from driver import session, tls
from node import PASSWORD, USER, VERSIONS, Node

BLOB = bytes(range(256)) * 8


def make_table(made, replicas=1):
    made.execute("CREATE KEYSPACE IF NOT EXISTS lab WITH replication = "
                 f"{{'class': 'NetworkTopologyStrategy', 'datacenter1': {replicas}}}")
    made.execute("CREATE TABLE IF NOT EXISTS lab.blobs (key int PRIMARY KEY, value blob)")


def write(made, keys):
    insert = made.prepare("INSERT INTO lab.blobs (key, value) VALUES (?, ?)")
    for key in keys:
        made.execute(insert, (key, BLOB))


def count(made, keys):
    select = made.prepare("SELECT value FROM lab.blobs WHERE key = ?")
    return sum(row.value == BLOB for key in keys for row in made.execute(select, (key,)))


def failures(error):
    """What kinds of failure it was, at all hosts."""
    return {type(each) for each in error.value.errors.values()}


def connections(made):
    return [connection for pool in made.get_pools() for connection in pool.get_connections()]


def test_one_node_keeps_what_is_written_and_is_the_release_it_should_be(cassandra):
    with session(cassandra) as made:
        row = made.execute("SELECT release_version, data_center FROM system.local").one()
        assert (row.release_version, row.data_center) == \
            (VERSIONS[cassandra.release], "datacenter1")
        make_table(made)
        write(made, range(20))
        assert count(made, range(20)) == 20
        assert all(connection.compressor is None for connection in connections(made))


def test_lz4_is_spoken_with_who_asks_for_it(cassandra):
    with session(cassandra, compression="lz4") as made:
        assert connections(made)
        assert all(connection.compressor.__name__ == "lz4_compress"
                   for connection in connections(made))
        make_table(made)
        write(made, range(100, 120))
        assert count(made, range(100, 120)) == 20


def test_a_node_that_was_killed_has_its_synced_commits_when_it_starts_again(tmp_path, cassandra):
    node = Node(tmp_path, cassandra.release, heap="256M", commit_log="batch")
    try:
        node.start()
        with session(node) as made:
            make_table(made)
            write(made, range(50))
        node.kill()
        assert not node.is_running()
        node.start()
        with session(node) as made:
            assert count(made, range(50)) == 50
    finally:
        node.end()


def test_tls_and_the_password_let_in(secure_cassandra, certificates):
    with session(secure_cassandra, user=USER, password=PASSWORD, compression="lz4",
                 context=tls(certificates.authority)) as made:
        assert {connection._socket.version() for connection in connections(made)} == {"TLSv1.3"}
        make_table(made)
        write(made, range(20))
        assert count(made, range(20)) == 20


@pytest.mark.parametrize("authority", [None, "stranger"])
def test_a_client_that_does_not_trust_its_authority_refuses_it(
        secure_cassandra, certificates, authority):
    context = tls(authority and getattr(certificates, authority))
    with pytest.raises(NoHostAvailable) as error:
        with session(secure_cassandra, user=USER, password=PASSWORD, context=context):
            pass
    assert all("CERTIFICATE_VERIFY_FAILED" in str(each) for each in error.value.errors.values())


@pytest.mark.parametrize("user, password", [(USER, "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_password_is_refused(secure_cassandra, certificates, user, password):
    with pytest.raises(NoHostAvailable) as error:
        with session(secure_cassandra, user=user, password=password,
                     context=tls(certificates.authority)):
            pass
    assert failures(error) == {AuthenticationFailed}


def test_who_brings_no_password_is_refused(secure_cassandra, certificates):
    with pytest.raises(NoHostAvailable) as error:
        with session(secure_cassandra, context=tls(certificates.authority)):
            pass
    assert failures(error) == {AuthenticationFailed}


def test_plain_text_is_not_spoken_where_tls_is(secure_cassandra):
    with pytest.raises(NoHostAvailable):
        with session(secure_cassandra, user=USER, password=PASSWORD):
            pass


def test_with_one_node_of_three_dead_a_quorum_goes_on_and_all_agree_when_it_is_back(cluster):
    with session(cluster) as made:
        make_table(made, replicas=3)
        write(made, range(100))
        killed = cluster.kill(2)
        write(made, range(100, 200))
        cluster.wait_noticed(killed)
        write(made, range(200, 300))
        assert count(made, range(300)) == 300
        cluster.start_again(2)
    with session(cluster, consistency=ConsistencyLevel.ALL) as made:
        assert count(made, range(300)) == 300
