# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Questions about a month, of Cassandra and of the embedded store, with the same readings."""

import importlib.machinery
import importlib.util
import os
import random
import subprocess
import urllib.parse
import urllib.request

import harness
from harness import Api, Server
from test_store import KEYSPACES, CassandraServer

INSTANCES, DAYS, INTERVAL = 12, 31, 7200


def load_bench():
    """bench/report, which has the questions."""
    loader = importlib.machinery.SourceFileLoader(
        "report", os.path.join(harness.ROOT, "bench/report"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("report", loader))
    loader.exec_module(module)
    return module


bench = load_bench()


def fill(name, *options):
    subprocess.run([os.path.join(harness.BUILD, "bench/report-fill"), "-l",
                    *(word for option in options for word in ("-o", option)), name,
                    str(INSTANCES), str(bench.FIRST * 1000), str(DAYS), str(INTERVAL)],
                   check=True, timeout=harness.TIMEOUT)


def questions(instance):
    """(path, query): the bench's, and more that are asked at any time."""
    rng, end = random.Random(3), bench.FIRST + DAYS * bench.DAY
    asked = [("/v1/instances", {}), (f"/v1/instances/{instance}", {}),
             ("/v1/series", {"all": "true", "from": bench.FIRST, "to": end}),
             ("/v1/export/focus", {"month": "2025-11"}),
             *(("/v1/usage", query) for _, query in bench.questions(instance, DAYS))]
    for _ in range(4):
        begin = rng.randrange(bench.FIRST - bench.DAY, end - 60)
        window = {"from": begin, "to": rng.randrange(begin + 1, end + bench.DAY)}
        asked += [("/v1/usage", {"all": "true", "by": "project", **window}),
                  ("/v1/usage", {"id": instance, **window}),
                  ("/v1/usage", {"id": instance, "metric": "nic_incoming", "step": 5000, **window}),
                  ("/v1/samples", {"id": instance, "metric": "blk_read", **window})]
    return asked


def answers(start, server):
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                f"api.http_port={harness.free_ports(1)}",
                f"api.server_port={server.endpoints['rep'].rpartition(':')[2]}")

    def ask(path, query):
        url = f"{api.endpoints['http']}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=harness.TIMEOUT) as answer:
            return answer.read()

    return [(path, query, ask(path, query))
            for path, query in questions(next(iter(server.instances())))]


def test_a_months_answers_are_the_same_bytes_as_the_embedded_stores(start, tmp_path, cassandra):
    keyspace = next(KEYSPACES)
    fill(f"sqlite:{tmp_path}/filled")
    fill(f"cassandra:{cassandra.address}/{keyspace}", f"cassandra.port={cassandra.port}",
         "cassandra.replication=1", "server.retention_days=1500")
    expected = answers(start, start(Server, "server.retention_days=36500", data="filled"))
    found = answers(start, start(CassandraServer, cassandra, keyspace=keyspace))
    assert min(len(body) for _, _, body in expected) > 100
    for one, other in zip(found, expected):
        assert one == other
