# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Feeds a story to kanyun and asks it, in two ways with one interface.

Direct speaks to `kanyun-truth` (the server and the API in one process, without sockets; its source
has the commands); Programs to kanyun-server and kanyun-api over ZeroMQ. KANYUN_BUILD chooses the
build.
"""

import datetime
import json
import os
import subprocess

from harness import BUILD, Api, Peer, Questions, Server, until

PROGRAM = os.path.join(BUILD, "tests/truth/kanyun-truth")
LAST_INSTANCE = "instance-ffffffff"
UNREAD_MAX = 5000  # answers that the program may have waiting for us


def iso(time_ms):
    moment = datetime.datetime.fromtimestamp(time_ms // 1000, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{time_ms % 1000:03d}Z"


def usage_args(uuid, metric, parameter, begin, end, by=None):
    args = {"id": uuid, "from": iso(begin), "to": iso(end), "metric": metric,
            "parameter": parameter}
    if by:
        args["by"] = by
    return args


class Refused(Exception):
    """kanyun has no answer: the code and the message."""


class Asked:
    """What both ways have: questions of one instance, metric and parameter."""

    def usage(self, uuid, metric, parameter, begin, end):
        """The usage as kanyun-api answers it."""
        data = self.ask("usage", **usage_args(uuid, metric, parameter, begin, end))
        found = [usage for usage in data["usages"]
                 if usage["metric"] == metric and usage["parameter"] == parameter]
        if not found:
            raise Refused(404, "no such usage")
        assert len(found) == 1, found
        return found[0]

    def usage_by(self, field, uuid, metric, parameter, begin, end):
        data = self.ask("usage", **usage_args(uuid, metric, parameter, begin, end, field))
        name = "project_id" if field == "project" else field
        return {usage[name]: usage for usage in data["usages"]
                if usage["metric"] == metric and usage["parameter"] == parameter}

    def retire(self, host, at):
        self.ask("retire", id=host, at=iso(at))


class Direct(Asked):
    """kanyun-truth on a store: "memory", or "sqlite:DIRECTORY"; what it logs goes to a file or to
    stderr."""

    def __init__(self, store, log=None):
        environment = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
        self.process = subprocess.Popen([PROGRAM, store], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=log, env=environment)
        self.is_durable = store != "memory"
        self.waiting = 0
        self.now = None
        self.taken = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        assert kind or status == 0, f"kanyun-truth ended with {status}"

    def write(self, *fields):
        self.process.stdin.write("\t".join(fields) + "\n")

    def read(self):
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"kanyun-truth ended with {self.process.wait(60)}"
        return line.rstrip("\n")

    def catch_up(self):
        """Reads the answers of commands that we did not wait for."""
        while self.waiting:
            assert self.read() == "ok"
            self.waiting -= 1

    def command(self, *fields):
        self.catch_up()
        self.write(*fields)
        answer = self.read()
        assert answer.startswith("ok"), answer
        return answer

    def set_now(self, now):
        if now != self.now:
            self.write("N", str(now))
            self.now, self.waiting = now, self.waiting + 1
        if self.waiting > UNREAD_MAX:
            self.catch_up()

    def take(self, delivery):
        self.set_now(delivery.time)
        self.taken.append(delivery)
        self.write_delivery(delivery)

    def write_delivery(self, delivery):
        self.write("M", *(frame.decode() for frame in delivery.frames()))

    def commit(self):
        return json.loads(self.command("C")[3:])

    def restart(self):
        """A worker sends everything again that was not acknowledged: here all, which is the same."""
        self.command("R")
        for delivery in list(self.taken):
            self.write_delivery(delivery)

    def seal(self, now):
        self.command("S", str(now))

    def ask(self, method, **args):
        self.catch_up()
        self.write("Q", json.dumps({"method": method, "args": args}))
        answer = json.loads(self.read())
        if answer["code"] != 0:
            raise Refused(answer["code"], answer["message"])
        return answer["data"]


class Programs(Asked):
    """kanyun-server and kanyun-api; `start` is the fixture. Their clock is the machine's."""

    def __init__(self, start):
        self.start = start
        self.peers = {}
        self.server = self.api = None
        self.start_all()

    def start_all(self):
        self.server = self.start(Server, "server.retention_days=36500",
                                 "server.retention_check_seconds=1",
                                 "server.seal_after_seconds=1")
        port = self.server.endpoints["rep"].rsplit(":", 1)[1]
        self.api = self.start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                              f"api.server_port={port}")
        self.questions = Questions(self.api.endpoints["rep"])

    def take(self, delivery):
        envelope = delivery.envelope
        key = envelope["worker"], envelope["spool"]
        if key not in self.peers:
            self.peers[key] = Peer(self.server, *key).__enter__()
        self.peers[key].push.send_multipart(list(delivery.frames()))

    def settle_all(self, count):
        """Waits until the `count` messages since the last start are stored, refused or known: what
        comes in after them, of an old worker, is stored after them."""
        until(lambda: self.server.counters()["received"] >= count, f"{count} messages")
        with Peer(self.server) as old:
            old.send("2", {LAST_INSTANCE: [("cpu", "total", (1329739932, 1))]})
            until(lambda: LAST_INSTANCE in json.dumps(self.ask("instances")), "what came last")

    def end(self, kill):
        """Ends both; the peers go with them."""
        for peer in self.peers.values():
            peer.__exit__()
        self.peers = {}
        self.api.stop()
        self.server.kill() if kill else self.server.stop()

    def ask(self, method, **args):
        body = json.dumps({"method": method, "args": args}).encode()
        answer = json.loads(self.questions.ask_raw([b"t", b"u", body])[2])
        if answer["code"] != 0:
            raise Refused(answer["code"], answer["message"])
        return answer["data"]
