# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-server on a disk that is full for a while, or becomes read-only."""

import os
import subprocess

import pytest

from harness import Server, until
from load import DAY_MS, Load, check, check_usages, note, seeds

OPTIONS = ["server.seal_after_seconds=1", "server.retention_check_seconds=1"]
ROUNDS = 2


def command(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def place(tmp_path):
    """Where a file system of its own is mounted: the server's data_dir."""
    place = tmp_path / "data"
    place.mkdir()
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place):
    file = os.open(place / "ballast", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        os.close(file)


def wait_until_failing(server, load, times):
    """One line says that nothing is acknowledged, however often it is tried; and nothing is."""
    until(lambda: load.pump(1) or server.count_lines("cannot append to the store") == times,
          "the server notices")
    for _ in load.hosts:  # what was acknowledged just before
        load.pump(100)
    before, failures = load.acknowledged_samples(), server.counters()["commit_failures"]
    until(lambda: load.pump(1) or server.counters()["commit_failures"] >= failures + 2,
          "two more attempts")
    assert load.acknowledged_samples() == before
    assert server.count_lines("cannot append to the store.*nothing is acknowledged") == times
    assert server.questions.ask("status")[0]["store_is_failing"]
    check(load, server)
    return before


def check_all(start, load, server, fault, rounds):
    load.finish(server)
    found = check(load, server)
    server.kill()
    server = start(Server, *OPTIONS)
    assert check(load, server) == found
    check_usages(load, server, start)
    note(fault, rounds, found)


@pytest.mark.parametrize("seed", seeds(10))
def test_a_full_disk_is_told_once_and_forgotten_when_there_is_space(place, start, seed):
    command("mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place))
    server, load = start(Server, *OPTIONS), Load(seed=seed)
    load.connect(server)
    for turn in range(1, ROUNDS + 1):
        load.pump_for(0.3)
        fill(place)
        before = wait_until_failing(server, load, turn)
        os.unlink(place / "ballast")
        until(lambda: load.pump(1) or load.acknowledged_samples() > before, "it goes on by itself")
        assert server.count_lines("the store takes readings again") == turn
    load.close()
    check_all(start, load, server, "server's disk full", ROUNDS)


def test_questions_about_any_day_are_answered_while_the_disk_is_full(place, start):
    command("mount", "-t", "tmpfs", "-o", "size=48m", "none", str(place))
    server, load = start(Server, *OPTIONS), Load(hosts=1, step_ms=DAY_MS // 8)
    load.connect(server)
    until(lambda: load.pump(20) or len(load.hosts[0].messages) > 200, "25 days were sent")
    load.close()
    load.finish(server)
    server.wait_counter("store_chunks_written", 25 * len(load.hosts[0].vms))
    fill(place)
    check(load, server)


@pytest.mark.parametrize("seed", seeds(10))
def test_a_disk_that_fails_and_is_repaired_has_what_was_acknowledged(place, start, tmp_path, seed):
    """An error of the file system makes it read-only, as ext4 does; fsck repairs it."""
    image = str(tmp_path / "image")
    with open(image, "wb") as file:
        file.truncate(64 * 1024 * 1024)
    command("mkfs.ext4", "-q", "-F", "-O", "^has_journal", image)
    load = Load(seed=seed)
    for _ in range(ROUNDS):
        command("mount", "-o", "loop,errors=remount-ro", image, str(place))
        server = start(Server, *OPTIONS)
        load.connect(server)
        load.pump_for(0.3)
        device = os.path.basename(command("findmnt", "-n", "-o", "SOURCE", str(place)))
        with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w") as trigger:
            trigger.write("a test")
        wait_until_failing(server, load, 1)
        load.close()
        server.stop()
        with pytest.raises(AssertionError, match="Read-only file system"):
            start(Server, *OPTIONS)
        command("umount", str(place))
        assert subprocess.run(["e2fsck", "-f", "-y", image], capture_output=True,
                              check=False).returncode in (0, 1)
    command("mount", "-o", "loop", image, str(place))
    check_all(start, load, start(Server, *OPTIONS), "server's disk read-only, repaired", ROUNDS)
