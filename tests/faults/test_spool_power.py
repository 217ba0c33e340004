# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-worker's spool on a disk that loses power: what was sent was in it, and comes again."""

import concurrent.futures
import json
import random
import threading

from fakes import RATES, FakeVms
from harness import Worker
from load import LONG, Found, note, running
from power import Disk
from test_spool import PlainServer

VMS = 200
LIFE_SECONDS = 5


class Recorder:
    """A server that keeps all messages and acknowledges some."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.acknowledged = 0

    def take(self, timeout_ms):
        """{(spool, number): body} of what comes within that time."""
        taken = {}
        while self.server.pull.poll(timeout_ms):
            frames = self.server.pull.recv_multipart()
            if len(frames) < 3:
                continue
            envelope = json.loads(frames[2])
            taken[envelope["spool"], envelope["seq"]] = frames[1]
            if self.rng.random() < 0.3:
                self.server.acknowledge(envelope)
                self.acknowledged = max(self.acknowledged, envelope["seq"])
            timeout_ms = 0
        return taken


def start_worker(directory, vms, spool, ports, **keywords):
    return Worker(directory, *vms.options, f"worker.spool_dir={spool}", "worker.spool_max_mib=16",
                  "worker.dataserver_host=127.0.0.1", f"worker.dataserver_port={ports[0]}",
                  f"worker.dataserver_pub_port={ports[1]}", **keywords)


def record_until_the_power_goes(recorder, start_one):
    """What was sent until then."""
    sent = {}
    try:
        worker = start_one()
    except AssertionError:
        return sent
    timer = threading.Timer(recorder.rng.uniform(1, LIFE_SECONDS), worker.process.kill)
    timer.start()
    with running(worker):
        while worker.process.poll() is None:
            sent.update(recorder.take(50))
    timer.cancel()
    sent.update(recorder.take(100))
    return sent


def lose_power(directory, seed):
    rng = random.Random(seed)
    directory.mkdir()
    disk, vms = Disk(directory), FakeVms(directory, count=VMS)
    spool = disk.path + "/var/spool"
    sent, lives = {}, 3
    for _ in range(lives):
        with PlainServer() as server:
            recorder = Recorder(server, rng)
            power = disk.environment(cut_after=rng.randrange(1, 60),
                                     tear=rng.choice([None, rng.randrange(1000)]))
            sent.update(record_until_the_power_goes(recorder, lambda: start_worker(
                directory, vms, spool, server.ports, environment=power)))
            disk.come_back()
            sent = {key: body for key, body in sent.items() if key[1] > recorder.acknowledged}
    with PlainServer() as server:
        recorder = Recorder(server, random.Random(0))
        recorder.rng.random = lambda: 0  # acknowledges all
        again, newest = {}, max((number for _, number in sent), default=0)
        with running(start_worker(directory, vms, spool, server.ports)) as worker:
            while not any(number > newest for _, number in again):
                again.update(recorder.take(1000))
            worker.stop()
    lost = [key for key in sent if key not in again]
    wrong = [key for key in sent if again.get(key, sent[key]) != sent[key]]
    assert not lost and not wrong, (seed, lost, wrong, worker.tail())
    return Found(len(sent) * VMS * len(RATES), 0, 0, 0)


def test_what_was_sent_outlives_the_loss_of_power(tmp_path):
    runs = 100 if LONG else 10
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        lives = [pool.submit(lose_power, tmp_path / str(i), i) for i in range(runs)]
        found = sum((life.result() for life in lives), Found(0, 0, 0, 0))
    note("worker's power lost", 3 * runs, found)
