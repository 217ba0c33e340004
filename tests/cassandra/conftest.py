# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Real Cassandra, started once for all tests here. Where its jars cannot be had, they are skipped.

KANYUN_LONG=1: the same with the release before, and the tests with clusters of three.
"""

import os
import shutil

import pytest

from certificates import Certificates
from cluster import Cluster
from node import VERSIONS, Node, Unreachable, jars, security

LONG = os.environ.get("KANYUN_LONG") == "1"
RELEASES = list(VERSIONS) if LONG else list(VERSIONS)[:1]
NEEDED = ("java", "mvn", "openssl", "setpriv")


def pytest_collection_modifyitems(config, items):
    here = os.path.dirname(__file__)
    others = [item for item in items
              if not LONG and item.path.is_relative_to(here) and "cluster" in item.fixturenames]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def have(release):
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        pytest.skip(f"Cassandra needs these programs: {' '.join(missing)}")
    try:
        jars(release)
    except Unreachable as reason:
        pytest.skip(f"NOTHING is tested with Cassandra: {reason}")


def running(place):
    try:
        yield place.start()
    finally:
        place.end()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session", params=RELEASES)
def cassandra(request, tmp_path_factory):
    """One node that asks nobody who he is."""
    have(request.param)
    yield from running(Node(tmp_path_factory.mktemp("cassandra"), request.param))


@pytest.fixture(scope="session")
def secure_cassandra(tmp_path_factory, certificates):
    """One node with passwords (node.USER, node.PASSWORD), which speaks TLS only."""
    have(RELEASES[0])
    yield from running(Node(tmp_path_factory.mktemp("secure-cassandra"), heap="256M",
                            settings=security(certificates)))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Three nodes. A test that kills some starts them again. What one of them says it has written
    is on its disk: with the periodic commit log, two that are killed together forget it."""
    have(RELEASES[0])
    yield from running(Cluster(tmp_path_factory.mktemp("cluster"), commit_log="batch"))


