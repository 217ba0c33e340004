# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-server on a disk that loses power: what was acknowledged is there when it comes back."""

import concurrent.futures
import random

import pytest

import harness
from harness import Server
from load import LONG, Found, Load, check, check_usages, note, running, seeds
from power import Disk

OPTIONS = ["server.seal_after_seconds=1", "server.retention_check_seconds=1", "log.level=warning"]
DATA = "disk/data/store"  # two folders that the server has to make


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def lose_power(disk, tmp_path, load, **power):
    """A life of the server until the power goes; whether anything was unacknowledged then."""
    try:
        server = Server(tmp_path, *OPTIONS, data=DATA, environment=disk.environment(**power))
    except AssertionError:
        return False  # it went before the server was ready
    with running(server):
        load.connect(server)
        load.pump_for(harness.TIMEOUT, is_over=lambda: server.process.poll() is not None)
    in_flight = load.drain() > 0
    load.close()
    return in_flight


@pytest.mark.parametrize("seed", seeds(15))
def test_power_loss_takes_nothing_that_was_acknowledged(disk, tmp_path, start, seed):
    cuts, in_flight = 20, 0
    rng, load = random.Random(seed), Load(hosts=2, window=4, seed=seed)
    for cut in range(cuts):
        in_flight += lose_power(disk, tmp_path, load, cut_after=rng.randrange(20, 3000),
                                tear=rng.choice([None, cut]))
        disk.come_back()
        with running(Server(tmp_path, *OPTIONS, data=DATA)) as server:
            check(load, server, last=400)
    server = start(Server, *OPTIONS, data=DATA)
    load.finish(server)
    found = check(load, server)
    check_usages(load, server, start)
    note("server's power lost", cuts, found, in_flight / cuts)


@pytest.mark.parametrize("seed", seeds(17))
def test_syncs_that_fail_before_the_power_does_take_nothing(disk, tmp_path, start, seed):
    cuts = 6
    rng, load = random.Random(seed), Load(hosts=2, window=4, seed=seed)
    for cut in range(cuts):
        lose_power(disk, tmp_path, load, cut_after=rng.randrange(50, 400),
                   tear=rng.choice([None, cut]), fail_sync=rng.randrange(5, 20))
        disk.come_back()
        with running(Server(tmp_path, *OPTIONS, data=DATA)) as server:
            check(load, server, last=400)
    server = start(Server, *OPTIONS, data=DATA)
    load.finish(server)
    note("server's syncs fail, power lost", cuts, check(load, server))


def test_any_sync_of_the_first_start_may_fail(disk, tmp_path):
    """SQLite does not tell when a directory's failed."""
    stored = 0
    for sync in range(1, 25):
        load = Load(hosts=1, window=4, seed=sync)
        lose_power(disk, tmp_path, load, cut_after=300, fail_sync=sync)
        disk.come_back()
        with running(Server(tmp_path, *OPTIONS, data=DATA)) as server:
            check(load, server)
        stored += load.acknowledged_samples()
        disk.empty()
    assert stored > 0


def test_power_loss_at_any_operation_of_the_first_start(disk, tmp_path):
    found, cut = Found(0, 0, 0, 0), 0
    load = Load(hosts=1, vms=1, window=2)
    while found.acknowledged < 50:
        cut += 1
        load = Load(hosts=1, vms=1, window=2)
        disk.empty()
        lose_power(disk, tmp_path, load, cut_after=cut, tear=None if cut % 2 else cut)
        disk.come_back()
        with running(Server(tmp_path, *OPTIONS, data=DATA)) as server:
            found += check(load, server)
    note("power lost at the first start", cut, found)


def lose_power_in_sealing(directory, seed):
    """Counts from the first operation on a day's file, of a store that has none yet."""
    rng = random.Random(seed)
    directory.mkdir()
    disk, load = Disk(directory), Load(hosts=1, window=4, seed=seed)
    lose_power(disk, directory, load, cut_after=rng.randrange(1, 150), count_from="/day-",
               tear=rng.choice([None, seed]))
    disk.come_back()
    with running(Server(directory, *OPTIONS, data=DATA)) as server:
        load.finish(server)
        return check(load, server)


def test_power_loss_in_the_midst_of_sealing(tmp_path):
    cuts = 300 if LONG else 20
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        lives = [pool.submit(lose_power_in_sealing, tmp_path / str(i), i) for i in range(cuts)]
        found = sum((life.result() for life in lives), Found(0, 0, 0, 0))
    note("power lost in sealing", cuts, found)
