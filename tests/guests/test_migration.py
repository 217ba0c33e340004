# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A guest that is migrated while it runs, to another host and back, is metered by the worker of each
host in turn: no byte is lost, none counts twice."""

import json

import pytest

import harness
import image
import metering
import second_host
from daemons import virsh
from metering import DISK_READ, DISK_WRITTEN, NIC_OUT

MIB = 1 << 20
RUNNING, OFF, MIGRATED = 1, 5, 4


@pytest.fixture
def second(lab):
    if not second_host.can_be_made():
        pytest.skip("a second host needs root, unshare, nsenter and libvirtd")
    host = second_host.SecondHost(lab)
    try:
        host.up()
        yield host
    finally:
        host.down()


@pytest.fixture
def guest(lab, second):
    each = lab.define()
    each.start()
    each.wait_ready()
    yield each
    lab.remove(each)


def work(guest):
    guest.write("vda", 3 * MIB)
    guest.read("vdb", MIB)
    guest.transmit(1000, 50)


def nic_sent(command, nic):
    """By the guest, as its tap says."""
    (link,) = json.loads(image.run(*command, "ip", "-s", "-j", "link", "show", nic))
    return link["stats64"]["rx"]["bytes"]


def wait_migrated(meter, guest, epoch):
    def end():
        last = meter.states(guest)[epoch][-1]
        return last if last[1:] == (OFF, MIGRATED) else None
    return meter.wait(end, "the end of the migrated run")[0]


def wait_epoch(meter, guest, number):
    return meter.wait(lambda: meter.epochs(guest)[number], f"run {number}")


def assert_used(meter, guest, epoch, written, read):
    assert meter.usage(guest, "blk", DISK_WRITTEN, epoch=epoch) == written
    assert meter.usage(guest, "blk", DISK_READ, epoch=epoch) == read


def test_there_and_back_again(start, tmp_path, lab, second, guest):
    meter = metering.Meter(start, tmp_path, address=second_host.FIRST)
    (tmp_path / "second").mkdir()
    start(harness.Worker, *meter.options, f"worker.spool_dir={tmp_path}/second/spool",
          prefix=second.inside())
    meter.wait_read(guest)
    disks = [metering.disk_counters(guest, disk) for disk in ("vda", "vdb")]
    read, written = (sum(column) for column in zip(*disks))
    sent = metering.link_nic(guest)["tx_bytes"]

    work(guest)  # and at once away: the last reading is that of the suspended source
    second.migrate(guest)
    first = wait_epoch(meter, guest, 0)
    end_ms = wait_migrated(meter, guest, first)
    assert_used(meter, guest, first, written + 3 * MIB, read + MIB)
    assert meter.usage(guest, "nic", NIC_OUT, epoch=first) == sent + 1042 * 50
    assert metering.last_time(meter.server, guest, "blk", epoch=first) < end_ms

    there = wait_epoch(meter, guest, 1)
    assert there.startswith(f"{second_host.NAME}/")
    guest.serial = second.serial(guest)
    work(guest)
    meter.wait_read(guest)
    meter.wait_read(guest, "nic")
    assert_used(meter, guest, there, 3 * MIB, MIB)
    nic = second.virsh("domiflist", guest.name).split()[0]
    meter.wait(lambda: meter.usage(guest, "nic", NIC_OUT, epoch=there)
               == nic_sent(second.inside(), nic), "what its NIC sent there")

    work(guest)
    second.migrate(guest, back=True)
    wait_migrated(meter, guest, there)
    assert_used(meter, guest, there, 6 * MIB, 2 * MIB)
    again = wait_epoch(meter, guest, 2)
    guest.serial = lab.directory / "serial" / guest.serial.name
    work(guest)
    meter.wait_read(guest)
    assert_used(meter, guest, again, 3 * MIB, MIB)
    assert again != first and again.split("/")[0] == first.split("/")[0]
    total = meter.usage(guest, "blk", DISK_WRITTEN), meter.usage(guest, "blk", DISK_READ)
    assert total == (written + 12 * MIB, read + 4 * MIB)
    assert meter.states(guest)[again][-1][1] == RUNNING
    assert guest.name in virsh("list", "--name").split()
