# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Devices that come and go while a guest runs: each byte counts, and counts once. A snapshot and
its commit are no such thing."""

import os

import pytest

import metering
from daemons import virsh, wait_until
from lab import PEER_MAC, quiet
from metering import DISK_READ, DISK_WRITTEN, NIC_IN, NIC_OUT

MIB = 1 << 20
TURNS = (5, 3, 4) * (10 if os.environ.get("KANYUN_LONG") == "1" else 1)  # MiB written in each
TAP, MAC, NEAR, FAR = "kyhot0", "52:54:00:6b:7a:01", "198.18.79.2", "198.18.79.1"


@pytest.fixture
def meter(start, tmp_path, spare):
    each = metering.Meter(start, tmp_path)
    each.wait_read(spare)
    return each


def in_guest(guest, command):
    wait_until(lambda: guest.exec(command)[0] == 0, f"{guest.name}: {command}")


def plug_disk(guest, path, target, serial):
    words = ["--serial", serial] if serial else []
    guest.virsh("attach-disk", str(path), target, "--live", "--subdriver", "raw", *words)
    in_guest(guest, f"test -b /dev/{target}")


def is_plugged(guest, target):
    return target in guest.virsh("domblklist").split()


def unplug_disk(guest, target):
    guest.virsh("detach-disk", target, "--live")
    wait_until(lambda: not is_plugged(guest, target), f"{target} is gone")


def plug_nic(lab, guest):
    guest.virsh("attach-interface", "bridge", lab.state["bridge"], "--model", "virtio", "--mac",
                MAC, "--target", TAP, "--live")
    quiet(TAP)
    in_guest(guest, f"ip link set eth1 up && ip addr add {NEAR}/24 dev eth1 && "
                    f"arp -i eth1 -s {FAR} {PEER_MAC}")


def unplug_nic(guest):
    guest.virsh("detach-interface", "bridge", "--mac", MAC, "--live")
    wait_until(lambda: TAP not in guest.virsh("domiflist"), "the NIC is gone")


def link(nic):
    """(received, sent) by the guest."""
    paths = [f"/sys/class/net/{nic}/statistics/{name}" for name in ("tx_bytes", "rx_bytes")]
    return tuple(int(open(path, encoding="ascii").read()) for path in paths)


def lives(meter, guest, group, column, parameter):
    return {track["life"] for track in metering.tracks(meter.server, guest, group, column,
                                                       parameter)}


def test_disks_that_are_plugged_again_count_from_zero_over_restarts(lab, spare, meter):
    said = {"vdc": [0, 0], "vdd": [0, 0]}
    paths = {target: lab.directory / f"hot-{target}.raw" for target in said}
    serials = {"vdc": "hot-disk", "vdd": ""}
    for turn, mib in enumerate(TURNS, 1):
        for target, path in paths.items():
            path.write_bytes(b"")
            os.truncate(path, 16 * MIB)
            plug_disk(spare, path, target, serials[target])
            spare.write(target, mib * MIB)
            spare.read(target, MIB)
        meter.wait_read(spare)
        if turn == 2:
            meter.restart_worker()  # it names the lives as before
            meter.wait_read(spare)
        for target, sums in said.items():
            for column, value in enumerate(metering.disk_counters(spare, target)):
                sums[column] += value
                assert meter.usage(spare, "blk", column, target) == sums[column], (turn, target)
            unplug_disk(spare, target)
    assert said["vdc"][DISK_WRITTEN] == sum(TURNS) * MIB
    later = [f"#{turn}" for turn in range(2, len(TURNS) + 1)]
    for target, serial in serials.items():
        assert lives(meter, spare, "blk", DISK_READ, target) == {serial + each
                                                                 for each in ["", *later]}
    starts = {track["start"] for track in metering.tracks(meter.server, spare, "blk", 0, "vdc")}
    assert len(starts) == len(TURNS) and metering.UNKNOWN not in starts


def test_a_nic_that_is_plugged_again_counts_from_zero(lab, spare, meter):
    sums = [0, 0]
    for turn in range(2):
        plug_nic(lab, spare)
        spare.must(f"exact udp {FAR} 1000 {40 + turn}")
        meter.wait_read(spare, "nic")
        now = link(TAP)
        sums = [before + more for before, more in zip(sums, now)]
        assert now[1] == (40 + turn) * 1042
        assert [meter.usage(spare, "nic", column, TAP) for column in (NIC_IN, NIC_OUT)] == sums
        unplug_nic(spare)
    assert len(lives(meter, spare, "nic", NIC_OUT, TAP)) == 2


def test_a_snapshot_and_its_commit_are_the_same_life(lab, spare, meter):
    overlay = lab.directory / "overlay.qcow2"
    spare.write("vdb", 2 * MIB)
    spare.virsh("snapshot-create-as", "--disk-only", "--atomic", "--no-metadata", "--diskspec",
                "vda,snapshot=no", "--diskspec", f"vdb,file={overlay}")
    spare.write("vdb", 3 * MIB)
    meter.wait_read(spare)
    virsh("blockcommit", spare.name, "vdb", "--active", "--pivot", "--wait")
    spare.write("vdb", MIB)
    meter.wait_read(spare)
    read, written = metering.disk_counters(spare, "vdb")
    assert written == 6 * MIB
    assert meter.usage(spare, "blk", DISK_WRITTEN, "vdb") == written
    assert meter.usage(spare, "blk", DISK_READ, "vdb") == read
    assert lives(meter, spare, "blk", DISK_WRITTEN, "vdb") == {""}
