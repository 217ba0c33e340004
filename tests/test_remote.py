# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-api in front of several servers, and clients in front of several APIs: any of them may be
away, silent, or unable to answer."""

import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest
import zmq

import harness
from harness import Api, CONTEXT, Questions, Server

KANYUN = os.path.join(harness.BUILD, "src/cli/kanyun")


class FakeServer:
    """The REP side of a server, with one worker of its name. `say` decides what becomes of a
    question: an answer's code, or None for silence."""

    def __init__(self, name, say=lambda: 0):
        self.socket = CONTEXT.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.name, self.say, self.asked = name, say, 0
        self.ends, self.has_asked = False, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ends:
            if not self.socket.poll(20):
                continue
            *route, _ = self.socket.recv_multipart()
            self.asked += 1
            self.has_asked.set()
            code = self.say()
            if code is None:
                continue
            data = [{"id": self.name}] if code == 0 else None
            body = {"code": code, "message": self.name, "data": data}
            self.socket.send_multipart([*route, json.dumps(body).encode()])
        self.socket.close()

    def end(self):
        self.ends = True
        self.thread.join()


@pytest.fixture
def fake():
    servers = []

    def start_fake(*arguments):
        servers.append(FakeServer(*arguments))
        return servers[-1]

    yield start_fake
    for server in servers:
        server.end()


@pytest.fixture
def black_hole():
    """The port of somebody who takes connections and says nothing, not even that he speaks ZMTP."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def nobody():
    return harness.free_ports(1)


@pytest.fixture
def ask(start):
    """Asks a kanyun-api that is in front of these servers; returns (answer, seconds)."""
    apis = {}

    def ask_api(*ports):
        if ports not in apis:
            hosts = ", ".join(f"127.0.0.1:{port}" for port in ports)
            apis[ports] = start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                                f"api.server_host={hosts}")
        begin = time.monotonic()
        body = json.dumps({"method": "workers", "args": {}}).encode()
        frames = Questions(apis[ports].endpoints["rep"]).ask_raw([b"t", b"u", body])
        return json.loads(frames[2]), time.monotonic() - begin

    return ask_api


def name_in(answer):
    assert answer["code"] == 0, answer
    return answer["data"][0]["id"]


def test_a_server_that_is_away_is_an_error_at_once(ask, black_hole):
    answer, seconds = ask(nobody())
    assert answer["code"] == 503 and "no connection" in answer["message"]
    assert seconds < 10  # of 60
    answer, seconds = ask(black_hole)
    assert answer["code"] == 503 and "no connection" in answer["message"]
    assert 1.9 < seconds < 20


def test_the_next_server_is_asked_when_one_is_away(ask, fake, black_hole):
    live = fake("live")
    ports = nobody(), black_hole, live.port
    answer, _ = ask(*ports)
    assert name_in(answer) == "live"
    # From then on it is the first.
    answer, seconds = ask(*ports)
    assert name_in(answer) == "live" and seconds < 1.9
    live.end()
    answer, _ = ask(*ports)
    assert answer["code"] == 503


def test_a_server_that_dies_while_it_works_is_replaced(ask, fake):
    first, second = fake("first", lambda: None), fake("second")
    threading.Thread(target=lambda: (first.has_asked.wait(), first.end())).start()
    answer, seconds = ask(first.port, second.port)
    assert name_in(answer) == "second" and first.asked == 1
    assert seconds < 20  # of 60


def test_a_server_that_is_slow_has_its_time(ask, fake):
    first, second = fake("slow", lambda: time.sleep(5) or 0), fake("other")
    answer, seconds = ask(first.port, second.port)
    assert name_in(answer) == "slow" and seconds >= 5
    assert second.asked == 0


def test_the_next_server_is_asked_when_one_cannot_answer(ask, fake):
    first, second = fake("first", lambda: 503), fake("second")
    answer, _ = ask(first.port, second.port)
    assert name_in(answer) == "second" and first.asked == 1
    answer, _ = ask(first.port, second.port)
    assert name_in(answer) == "second" and first.asked == 1
    second.end()
    answer, _ = ask(first.port, second.port)
    assert (answer["code"], answer["message"]) == (503, "first")


def test_what_a_server_says_is_wrong_is_wrong(ask, fake):
    first, second = fake("first", lambda: 400), fake("second")
    answer, _ = ask(first.port, second.port)
    assert answer["code"] == 400 and second.asked == 0


def test_a_server_that_was_restarted_is_asked_by_a_new_connection(start, tmp_path):
    port = nobody()
    options = [f"server.rep_port={port}"]
    server = start(Server, *options)
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}")
    questions = Questions(api.endpoints["rep"])
    for _ in range(2):
        assert questions.ask("status")[0]["store"] == "sqlite"
        server.kill()
        server = start(Server, *options)
    assert questions.ask("status")[0]["store"] == "sqlite"


def test_the_status_says_which_servers_answer(start):
    servers = [start(Server, data=name) for name in ("a", "b")]
    ports = [server.endpoints["rep"].rpartition(":")[2] for server in servers]
    hosts = ", ".join(f"127.0.0.1:{port}" for port in ports)
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_host={hosts}")
    client = "client.api_host=" + api.endpoints["rep"].removeprefix("tcp://")

    def status():
        return Questions(api.endpoints["rep"]).ask("status")[0]

    started = [server.questions.ask("status")[0]["started"] for server in servers]
    assert status()["servers"] == [
        {"server": f"127.0.0.1:{port}", "answers": True, "started": since,
         "store_is_failing": False} for port, since in zip(ports, started)]
    servers[0].kill()
    found = status()
    assert found["started"] == started[1]
    assert found["servers"][0] == {"server": f"127.0.0.1:{ports[0]}", "answers": False,
                                   "started": None, "store_is_failing": None}
    assert found["servers"][1]["answers"]
    shown = run_kanyun("-o", client, "status")
    assert re.search(f"127.0.0.1:{ports[0]} +no", shown.stdout), shown.stdout
    assert re.search(f"127.0.0.1:{ports[1]} +yes", shown.stdout), shown.stdout
    told = run_kanyun("-o", client, "doctor").stdout
    assert f"127.0.0.1:{ports[0]} does not answer kanyun-api" in told
    assert f"127.0.0.1:{ports[1]} does not" not in told


def run_kanyun(*words):
    return subprocess.run([KANYUN, "-c", "/dev/null", *words], capture_output=True, text=True,
                          timeout=harness.TIMEOUT, check=False)


def test_clients_ask_the_next_api(start, fake):
    server = start(Server)
    port = server.endpoints["rep"].rpartition(":")[2]
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}")
    port = api.endpoints["rep"].rpartition(":")[2]
    found = run_kanyun("-o", f"client.api_host=127.0.0.1:{nobody()}, 127.0.0.1:{port}", "status")
    assert found.returncode == 0 and found.stdout.startswith("kanyun-server ")
    found = run_kanyun("-o", f"client.api_host=127.0.0.1:{nobody()}", "status")
    assert found.returncode == 1 and "kanyun-api at tcp://127.0.0.1:" in found.stderr


def test_a_list_of_hosts_that_is_none_is_refused():
    found = run_kanyun("-o", "client.api_host=::1", "status")
    assert found.returncode != 0 and "[client] api_host: '::1' is no host" in found.stderr
