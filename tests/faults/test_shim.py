# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The simulation of power loss loses what it should, and nothing else."""

import os
import signal
import subprocess
import sys

import pytest

from power import Disk

PRELUDE = """
import mmap, os, sys
os.chdir('/')
directory = sys.argv[1]
def at(name): return os.path.join(directory, name)
def make(name, flags=0): return os.open(at(name), os.O_CREAT | os.O_RDWR | flags, 0o644)
def sync(name=''):
    fd = os.open(at(name), os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
def written(name, data):
    fd = make(name)
    os.write(fd, data)
    os.fdatasync(fd)
    return fd
"""


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    for name, content in (("old", b"old"), ("other", b"other")):
        with open(os.path.join(disk.path, name), "wb") as file:
            file.write(content)
    os.mkdir(os.path.join(disk.path, "folder"))
    return disk


def run(disk, program, status=0, **power):
    """What is left of it when the power went, as {path: bytes}."""
    ended = subprocess.run([sys.executable, "-c", PRELUDE + program, disk.path], check=False,
                           env=dict(os.environ, **disk.environment(**power)))
    assert ended.returncode == status
    disk.come_back()
    left = {}
    for directory, folders, files in os.walk(disk.path):
        place = os.path.relpath(directory, disk.path)
        for name in folders:
            left[os.path.normpath(os.path.join(place, name)) + "/"] = b""
        for name in files:
            with open(os.path.join(directory, name), "rb") as file:
                left[os.path.normpath(os.path.join(place, name))] = file.read()
    return left


START = {"old": b"old", "other": b"other", "folder/": b""}


@pytest.mark.parametrize("program, left", [
    ("", {}),
    # Bytes
    ("os.pwrite(make('old'), b'OLD', 0)", {}),
    ("fd = make('old'); os.pwrite(fd, b'OLD', 0); os.fsync(fd)", {"old": b"OLD"}),
    ("fd = make('old'); os.pwritev(fd, [b'O', b'L'], 0); os.fdatasync(fd)", {"old": b"OLd"}),
    ("fd = make('old'); os.pwrite(fd, b'O', 0); os.fsync(fd); os.pwrite(fd, b'L', 1)",
     {"old": b"Old"}),
    ("fd = make('old', os.O_APPEND); os.writev(fd, [b'er', b'!']); os.fsync(fd)",
     {"old": b"older!"}),
    ("os.pwrite(make('old', os.O_DSYNC), b'OLD', 0)", {"old": b"OLD"}),
    ("fd = os.dup(make('old')); os.pwrite(fd, b'OLD', 0); os.fsync(make('old'))", {"old": b"OLD"}),
    ("fd = make('old'); m = mmap.mmap(fd, 3); m[0:1] = b'O'", {}),
    ("fd = make('old'); m = mmap.mmap(fd, 3); m[0:1] = b'O'; os.fsync(fd)", {"old": b"Old"}),
    # Sizes
    ("os.ftruncate(make('old'), 1)", {}),
    ("fd = make('old'); os.ftruncate(fd, 1); os.fsync(fd)", {"old": b"o"}),
    ("fd = make('old'); os.ftruncate(fd, 1); os.ftruncate(fd, 3); os.fsync(fd)",
     {"old": b"o\0\0"}),
    ("make('old', os.O_TRUNC)", {}),
    ("fd = make('old', os.O_TRUNC); os.pwrite(fd, b'd', 2); os.fsync(fd)", {"old": b"\0\0d"}),
    ("fd = make('old'); os.posix_fallocate(fd, 0, 4); os.fsync(fd)", {"old": b"old\0"}),
    # Names
    ("written('new', b'new')", {}),
    ("written('new', b'new'); sync()", {"new": b"new"}),
    ("make('new'); sync()", {"new": b""}),
    ("os.write(make('new'), b'new'); sync()", {"new": b""}),
    ("fd = make('new'); sync(); os.write(fd, b'new'); os.fsync(fd)", {"new": b"new"}),
    ("os.unlink(at('old'))", {}),
    ("os.unlink(at('old')); sync()", {"old": None}),
    ("os.unlink(at('old')); written('old', b'new')", {}),
    ("os.unlink(at('old')); written('old', b'new'); sync()", {"old": b"new"}),
    ("os.rename(at('old'), at('new'))", {}),
    ("os.rename(at('old'), at('new')); sync()", {"old": None, "new": b"old"}),
    ("written('new', b'new'); os.rename(at('new'), at('old'))", {}),
    ("written('new', b'new'); os.rename(at('new'), at('old')); sync()", {"old": b"new"}),
    ("os.write(make('new'), b'new'); os.rename(at('new'), at('old')); sync()", {"old": b""}),
    ("d = os.open(directory, 0); f = os.open('new', os.O_CREAT | os.O_RDWR, dir_fd=d); "
     "os.write(f, b'new'); os.fsync(f); os.rename('new', 'old', src_dir_fd=d, dst_dir_fd=d); "
     "os.fsync(d)", {"old": b"new"}),
    ("fd = os.open(directory, os.O_TMPFILE | os.O_RDWR); os.write(fd, b'new'); os.fsync(fd); "
     "os.link(f'/proc/self/fd/{fd}', at('new'), src_dir_fd=fd, follow_symlinks=True); sync()",
     {"new": b"new"}),
    # Directories
    ("os.mkdir(at('more'))", {}),
    ("os.mkdir(at('more')); sync()", {"more/": b""}),
    ("os.mkdir(at('more')); written('more/new', b'new'); sync('more')", {}),
    ("os.mkdir(at('more')); written('more/new', b'new'); sync()", {"more/": b""}),
    ("os.mkdir(at('more')); written('more/new', b'new'); sync('more'); sync()",
     {"more/": b"", "more/new": b"new"}),
    ("os.rename(at('old'), at('folder/old')); sync('folder')", {"folder/old": b"old"}),
    ("os.rmdir(at('folder'))", {}),
    ("os.rmdir(at('folder')); sync()", {"folder/": None}),
])
def test_only_what_was_synced_is_left(disk, program, left):
    expected = {name: content for name, content in {**START, **left}.items() if content is not None}
    assert run(disk, program) == expected


def test_the_power_goes_at_the_operation_that_was_chosen(disk):
    program = "for i in range(9): os.pwrite(make('old'), b'%d' % i, 0); sync('old')"
    for cut, byte in ((1, b"o"), (3, b"o"), (4, b"0"), (7, b"1"), (27, b"7")):
        assert run(disk, program, -signal.SIGKILL, cut_after=cut)["old"] == byte + b"ld"
        with open(os.path.join(disk.path, "old"), "wb") as file:
            file.write(b"old")
    assert run(disk, program, cut_after=28)["old"] == b"8ld"


def test_a_sync_that_failed_is_not_made_up_for_by_the_next_one(disk):
    program = """
fd = make('old')
os.pwrite(fd, b'O', 0)
try:
    os.fsync(fd)
except OSError:
    os.pwrite(fd, b'L', 1)
    os.fsync(fd)
"""
    assert run(disk, "os.fsync(make('old'))" + program, fail_sync=2)["old"] == b"oLd"


def test_what_was_not_synced_may_survive_in_part(disk):
    with open(os.path.join(disk.path, "old"), "wb") as file:
        file.write(b"a" * 4096)
    sectors, sizes, names = set(), set(), set()
    program = ("fd = make('old'); os.pwrite(fd, b'b' * 5000, 0); written('new', b'new'); "
               "os.unlink(at('other')); make('end')")
    for seed in range(20):
        left = run(disk, program, -signal.SIGKILL, cut_after=7, tear=seed)
        sectors.add(left["old"][:4096:512])
        assert all(set(left["old"][at:at + 512]) in ({97}, {98}) for at in range(0, 4096, 512))
        sizes.add(len(left["old"]))
        names.add((left.get("new"), left.get("other")))
        with open(os.path.join(disk.path, "old"), "wb") as file:
            file.write(b"a" * 4096)
        with open(os.path.join(disk.path, "other"), "wb") as file:
            file.write(b"other")
        if "new" in left:
            os.unlink(os.path.join(disk.path, "new"))
    assert len(sectors) > 10 and len(sizes) > 1
    assert names == {(None, b"other"), (b"new", None)}
