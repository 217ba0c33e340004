# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""DataStax's driver for Python, against which our own client is held."""

import contextlib
import ssl

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy, TokenAwarePolicy, WhiteListRoundRobinPolicy

TIMEOUT = 60


def tls(authority=None, certificate=None, key=None):
    """Trusts that authority alone, and nobody without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(authority)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def session(place, hosts=None, user=None, password=None, context=None, compression=False,
            consistency=ConsistencyLevel.LOCAL_QUORUM):
    """A session with a node or a cluster, or with those `hosts` of it alone."""
    policy = WhiteListRoundRobinPolicy(hosts) if hosts else TokenAwarePolicy(RoundRobinPolicy())
    profile = ExecutionProfile(load_balancing_policy=policy, request_timeout=TIMEOUT,
                               consistency_level=consistency)
    cluster = Cluster(
        hosts or place.hosts, port=place.port, protocol_version=4, compression=compression,
        connect_timeout=TIMEOUT, control_connection_timeout=TIMEOUT,
        auth_provider=PlainTextAuthProvider(user, password) if user else None,
        ssl_context=context, ssl_options={"server_hostname": place.hosts[0]} if context else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()
