# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What could not be read is told: that libvirt was away, that a guest came and went meanwhile."""

import os
import pathlib
import signal

import pytest

import harness
import metering
from harness import until

INTERVAL = 1


@pytest.fixture
def receiver():
    with metering.Receiver() as each:
        yield each


@pytest.fixture
def worker(start, receiver, tmp_path, guests):
    program = start(harness.Worker, *metering.worker_options(tmp_path, INTERVAL),
                    *receiver.options)
    until(lambda: len(receiver.untils) > 1, "two rounds")
    return program


def pid_of_libvirt(lab):
    """The one that the laboratory started: the child of what reaps for it."""
    for name, pid, _ in lab.state["started"]["processes"]:
        if name in ("libvirtd", "virtqemud"):
            path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            for child in path.read_text().split():
                if os.readlink(f"/proc/{child}/exe").endswith(name):
                    return int(child)
    return pytest.skip("libvirt is somebody else's")


def cpu_times(receiver, guest):
    return sorted({reading["time"] for reading in receiver.readings()
                   if reading["uuid"] == guest.uuid
                   and any(entry[0] == "cpu" for entry in reading["data"])})


def test_a_libvirt_that_hangs_for_some_rounds_is_a_gap_of_the_host(lab, guests, receiver, worker):
    pid = pid_of_libvirt(lab)
    os.kill(pid, signal.SIGSTOP)
    try:
        heard = len(receiver.heartbeats())
        until(lambda: len(receiver.heartbeats()) >= heard + 3, "it lives while libvirt does not")
        stood = receiver.untils[-1][1]
    finally:
        os.kill(pid, signal.SIGCONT)
    (gap,) = until(receiver.gaps, "a gap")
    after = until(lambda: [at for at in cpu_times(receiver, guests[0]) if at > gap["from"]],
                  "a reading of after the gap, which may come later than what tells of it")
    assert (gap["reason"], gap.get("uuid")) == ("libvirt", None)
    assert gap["from"] in cpu_times(receiver, guests[0])
    assert min(after) - gap["to"] in range(100)
    assert gap["from"] <= stood + INTERVAL * 1000 and gap["to"] > stood
    until(lambda: receiver.untils[-1][1] >= gap["to"], "it goes on")
    assert not receiver.early
    assert worker.process.poll() is None


def test_a_run_that_ended_before_it_could_be_read_is_a_gap_of_the_guest(lab, receiver, worker):
    guest = lab.define()
    try:
        until(lambda: "state" in metering.groups_of(receiver.readings(), guest), "it is off")
        worker.signal(signal.SIGSTOP)
        guest.virsh("start")
        guest.virsh("destroy")
        worker.signal(signal.SIGCONT)
        (gap,) = until(receiver.gaps, "a gap")
        assert (gap["uuid"], gap["reason"]) == (guest.uuid, "unread")
        assert gap["from"] < gap["to"]
    finally:
        worker.signal(signal.SIGCONT)
        lab.remove(guest)
