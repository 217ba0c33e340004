# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Our own CQL client, driven by commands (cql-probe.c says which)."""

import json
import os
import subprocess

from harness import BUILD, Process

UNAVAILABLE = 1  # enum cql_outcome
TIMEOUT_MS = 60000


class Probe(Process):
    name = "cql-probe"

    def __init__(self, place, hosts=None, port=None, keyspace=None, user=None, password=None,
                 authority=None, key=None, certificate=None, tls=False, lz4=False, options=()):
        command = [os.path.join(BUILD, "tests/cassandra/cql-probe"),
                   "--hosts", ",".join(hosts or place.hosts), "--port", str(port or place.port)]
        named = {"keyspace": keyspace, "user": user, "password": password, "ca": authority,
                 "key": key, "cert": certificate}
        for name, value in named.items():
            command += [f"--{name}", value] if value else []
        command += ["--tls"] if tls or authority else []
        command += ["--lz4"] if lz4 else []
        super().__init__([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=False)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.stdin.close()
        status = self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        assert failure[0] or status == 0, self.tail()

    def begin(self, do, **words):
        self.process.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.tail()}"
        return json.loads(line)

    def ask(self, do, **words):
        self.begin(do, **words)
        return self.answer()

    def connected(self):
        answer = self.ask("wait", timeout_ms=TIMEOUT_MS)
        assert answer["r"] == 0, answer
        return self

    def execute(self, text, values=(), **words):
        """Its rows; what is refused is a failure of the test."""
        answer = self.ask("execute", text=text, values=list(values), **words)
        assert answer["r"] == 0, answer
        return answer["rows"]

    def counters(self):
        return self.ask("counters")
