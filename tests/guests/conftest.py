# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Guests for all tests here, booted once. With KANYUN_LAB set to a laboratory that is up, that one
is used and left alone. KANYUN_GUESTS says how many."""

import os
import pathlib
import signal
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lab import Lab  # noqa: E402

GUESTS = int(os.environ.get("KANYUN_GUESTS", "8"))
NEEDED = ("virsh", "qemu-system-x86_64", "qemu-img", "busybox", "cpio", "gcc", "ip", "nft")


TABLE = ("netdev", "kanyun")


def nft(*words):
    return subprocess.run(["nft", *words], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def no_table():
    """Workers leave their rules to those that come after them; the last one here takes them away,
    unless they were there before."""
    was_there = nft("list", "table", *TABLE)
    yield
    if not was_there:
        nft("delete", "table", *TABLE)


@pytest.fixture(scope="session")
def lab(no_table):
    missing = [program for program in NEEDED if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"guests need root and these programs: {' '.join(missing)}")
    given = os.environ.get("KANYUN_LAB", "")
    if given and (pathlib.Path(given) / "state.json").exists():
        yield Lab(given)
        return
    laboratory = Lab(tempfile.mkdtemp(prefix="kanyun-lab.", dir="/var/tmp"))
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(1))  # so that it is taken down
    try:
        laboratory.up(GUESTS)
        yield laboratory
    finally:
        laboratory.down()


@pytest.fixture
def guests(lab):
    """All of them, awake, before and after."""
    for guest in lab.guests:
        guest.wake()
    yield lab.guests
    for guest in lab.guests:
        guest.wake()


@pytest.fixture(scope="module")
def spare(lab):
    """A guest that is defined and runs, and that reboots when it says so."""
    guest = lab.define(lambda text: text.replace("<on_reboot>destroy", "<on_reboot>restart"))
    guest.start()
    guest.wait_ready()
    yield guest
    lab.remove(guest)
