# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A network for each test here, in which the test and its programs are."""

import os
import shutil
import sys

import pytest
import zmq

sys.path.insert(0, os.path.dirname(__file__))

import harness  # noqa: E402
from network import Network, Oracle  # noqa: E402

NEEDED = ("ip", "nft", "ethtool", "setpriv")


@pytest.fixture
def network(monkeypatch):
    missing = [program for program in NEEDED if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"namespaces need root and these programs: {' '.join(missing)}")
    with Network() as made:
        # The threads that connect and listen are made here, and so belong to the host's namespace.
        monkeypatch.setattr(harness, "CONTEXT", zmq.Context())
        yield made


@pytest.fixture
def oracle(network):
    with Oracle(network) as made:
        yield made
