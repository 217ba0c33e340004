# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""One round of the worker says exactly what the guests did."""

import socket

import metering
from metering import (DISK_READ, DISK_WRITTEN, NIC_IN, NIC_IN_PACKETS, NIC_OUT, NIC_OUT_PACKETS,
                      Once)


def test_bytes_of_two_disks_are_exact(guests, tmp_path):
    guest = guests[0]
    before = Once(tmp_path)
    guest.write("vda", 3_000_320, 5120)
    guest.read("vda", 512, 512)
    guest.write("vdb", 512, 512)
    guest.read("vdb", 2 << 20)
    after = Once(tmp_path)

    def grown(disk, column):
        return (after.value(guest, "blk", disk, column)
                - before.value(guest, "blk", disk, column))

    assert (grown("vda", DISK_WRITTEN), grown("vda", DISK_READ)) == (3_000_320, 512)
    assert (grown("vdb", DISK_WRITTEN), grown("vdb", DISK_READ)) == (512, 2 << 20)
    for disk in ("vda", "vdb"):
        assert metering.monitor_disk(guest, disk) == (
            after.value(guest, "blk", disk, DISK_READ),
            after.value(guest, "blk", disk, DISK_WRITTEN))


def test_traffic_of_a_nic_is_exact(lab, guests, tmp_path):
    guest = guests[0]
    before = Once(tmp_path)
    guest.transmit(1000, 100)
    guest.receive(lab.state["bridge"], 500, 70)
    after = Once(tmp_path)
    nic = guest.nic()
    columns = {"rx_bytes": NIC_IN, "tx_bytes": NIC_OUT, "rx_packets": NIC_IN_PACKETS,
               "tx_packets": NIC_OUT_PACKETS}
    now = {name: after.value(guest, "nic", nic, column) for name, column in columns.items()}
    grown = {name: now[name] - before.value(guest, "nic", nic, column)
             for name, column in columns.items()}
    assert grown == {"rx_bytes": 500 * 70, "tx_bytes": (1000 + 42) * 100, "rx_packets": 70,
                     "tx_packets": 100}
    assert metering.link_nic(guest) == now
    said = metering.domain_nic(guest)
    assert {name: said[name] for name in now} == now


def test_cpu_time_is_what_proc_says(guests, tmp_path):
    before = {guest.name: metering.process_cpu_ns(guest.pid()) for guest in guests}
    once = Once(tmp_path)
    for guest in guests:
        cpu = once.value(guest, "cpu", "total", 0)
        assert before[guest.name] <= cpu <= metering.process_cpu_ns(guest.pid())


def test_every_guest_is_read_with_every_group_and_described(guests, tmp_path):
    once = Once(tmp_path)
    for guest in guests:
        # Traffic is read where an earlier test's worker had it counted.
        assert metering.groups_of(once.readings, guest) - {"vmnetwork"} == {
            "cpu", "mem", "nic", "blk", "vcpu", "state"}
        info = once.infos[guest.uuid]
        expected = {"name": guest.name, "host": socket.gethostname(), "flavor_name": "m1.tiny",
                    "display_name": guest.about["display_name"], "vcpus": 1,
                    "project_name": "demo-project", "user_name": "demo-user",
                    "memory_mib": 96, "disk_gib": 1}
        for key in ("project_id", "user_id", "image_id"):
            expected[key] = guest.about[key]
        assert {key: info[key] for key in expected} == expected
        assert info["ports"][0]["addresses"] == [guest.about["address"]]
        assert info["ports"][0]["nic"] == guest.nic()


def test_an_epoch_has_the_same_name_in_every_run(guests, tmp_path):
    epochs = [{reading["uuid"]: reading["epoch"] for reading in Once(tmp_path).readings}
              for _ in range(2)]
    assert epochs[0] == epochs[1]
    assert all(str(guest.pid()) in epochs[0][guest.uuid].split("/") for guest in guests)
