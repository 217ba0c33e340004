# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Every byte of an IP packet is counted once: for its address, its direction, and its kind. Against
the capture, and against arithmetic where what was sent is known beforehand."""

import socket
import struct

import pytest

from metered import Meter, Watch
from network import NEIGHBOUR, NEIGHBOUR6, NOBODY, OUTSIDE, OUTSIDE6, TAPS

A, A_SECOND, A6 = "10.0.0.2", "10.0.0.4", "2001:db8::2"
B, B6 = "10.0.0.3", "2001:db8::3"
NOTHING = (0, 0, 0, 0)


def test_datagrams_of_all_sizes_and_cut_ones(network, watch):
    expected = {}
    for here, outside, inside in (A, OUTSIDE, NEIGHBOUR), (A6, OUTSIDE6, NEIGHBOUR6), \
            (B, OUTSIDE, NEIGHBOUR):
        sums = [0] * 4
        for size in (0, 1, 17, 1452, 1472, 1473, 4000):
            sums[0] += network.udp(outside, here, size, 3)
            sums[1] += network.udp(here, outside, size, 5)
            sums[2] += network.udp(inside, here, size, 7)
            sums[3] += network.udp(here, inside, size, 2)
        expected[network.place_of(here).port, here] = tuple(sums)
    assert network.udp(A, OUTSIDE, 4000) == 4068  # once by hand: three parts
    assert network.udp(A6, OUTSIDE6, 4000) == 4152
    passed = watch.check_exact()
    for key, more in (("vnet-a", A), 4068), (("vnet-a", A6), 4152), (("vnet-b", B), 0):
        sums = expected[key]
        assert passed[key] == (sums[0], sums[1] + more, *sums[2:])
    assert passed["vnet-a", A_SECOND] == passed["vnet-b", B6] == NOTHING


def test_echoes(network, watch):
    external = network.ping(A, OUTSIDE, 100, 10) + network.ping(A, OUTSIDE, 3000)
    internal = network.ping(NEIGHBOUR6, A6, 56, 4)
    passed = watch.check_exact()
    assert passed["vnet-a", A] == (external + 40, external + 40, 0, 0)  # 3 parts each way
    assert passed["vnet-a", A6] == (0, 0, internal, internal)


@pytest.mark.parametrize("are_on", [False, True], ids=["segments", "offloads"])
def test_connections(network, watch, are_on):
    network.offloads(are_on)
    network.tcp(A, OUTSIDE, 3_000_000, 1_000_000)
    network.tcp(OUTSIDE6, A6, 1_000_000, 500_000)
    network.tcp(B, NEIGHBOUR, 200_000)
    network.tcp(NEIGHBOUR6, B6, 0, 300_000)
    passed = watch.check_exact()
    assert passed["vnet-a", A][0] > 1_000_000 and passed["vnet-a", A][1] > 3_000_000
    assert passed["vnet-a", A6][0] > 1_000_000 and passed["vnet-a", A6][1] > 500_000
    assert passed["vnet-b", B][:2] == passed["vnet-b", B6][:2] == (0, 0)
    assert passed["vnet-b", B][3] > 200_000 and passed["vnet-b", B6][3] > 300_000


def test_each_address_at_each_tap_is_apart(network, watch):
    size = network.udp(A, B, 500, 8)
    size6 = network.udp(A6, B6, 500, 8)  # global addresses, so external
    first = network.udp(A, OUTSIDE, 100, 3)
    second = network.udp(A_SECOND, OUTSIDE, 200, 5)
    came = network.udp(OUTSIDE, A_SECOND, 300, 7)
    passed = watch.check_exact()
    assert passed == {("vnet-a", A): (0, first, 0, size), ("vnet-a", A_SECOND): (came, second, 0, 0),
                      ("vnet-a", A6): (0, size6, 0, 0), ("vnet-b", B): (0, 0, size, 0),
                      ("vnet-b", B6): (size6, 0, 0, 0)}


def test_what_is_from_or_for_others_is_nobodys(network, watch):
    guest = network.guests["vnet-a"]
    for source, target in (B, OUTSIDE), (B6, OUTSIDE6), (NOBODY, OUTSIDE), (B, NEIGHBOUR):
        network.udp(source, target, 1000, 20, place=guest)  # a spoofed source
    with network.outside.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        for _ in range(9):
            wire.sendto(bytes(72), (NOBODY, 5000))
    watch.oracle.wait_packets("vnet-a", NOBODY, (9, 20, 0, 0))
    assert watch.oracle.sums("vnet-a", B) == (0, 20 * 1028, 0, 20 * 1028)
    passed = watch.check_exact()
    assert set(passed.values()) == {NOTHING}
    for address in (B, B6, NOBODY):
        assert not watch.meter.is_known("vnet-a", address)


def send_frames(sender, receiver, source, target, tag=b"", padded=0):
    """Three of an IP packet of 40 bytes; its checksum is wrong, so nobody answers."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_UDP, 0,
                     socket.inet_aton(source), socket.inet_aton(target)) + bytes(20)
    frame = bytes.fromhex((receiver.mac + sender.mac).replace(":", "")) + tag + b"\x08\x00" + ip
    with sender.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        for _ in range(3):
            wire.send(frame.ljust(padded, b"\0"))


def test_tags_do_not_count_and_padding_does(network, watch):
    guest, outside = network.guests["vnet-a"], network.outside
    send_frames(guest, outside, A, OUTSIDE, tag=b"\x81\x00\x00\x05")
    send_frames(outside, guest, OUTSIDE, A, tag=b"\x81\x00\x00\x05")
    send_frames(guest, outside, A_SECOND, OUTSIDE, padded=60)
    watch.oracle.wait_packets("vnet-a", A, (3, 3, 0, 0))
    watch.oracle.wait_packets("vnet-a", A_SECOND, (0, 3, 0, 0))
    watch.finish()
    assert watch.meter.values("vnet-a", A, watch.begin, watch.end) == (120, 120, 0, 0)
    assert watch.meter.values("vnet-a", A_SECOND, watch.begin, watch.end) == (0, 3 * 46, 0, 0)


def test_the_same_address_at_two_taps_is_two_instances(network, oracle, start, tmp_path):
    """As in networks of tenants that know nothing of each other."""
    meter = Meter(start, tmp_path, taps={"vnet-a": [A], "vnet-b": [A]})
    watch = Watch(meter, oracle, meter.begin)
    first = network.udp(A, OUTSIDE, 100, 3)
    second = network.udp(A, OUTSIDE, 200, 5, place=network.guests["vnet-b"])
    passed = watch.check_exact()
    assert passed == {("vnet-a", A): (0, first, 0, 0), ("vnet-b", A): (0, second, 0, 0)}


def test_an_address_that_moves_to_another_tap_is_counted_to_its_last_packet(network, oracle, meter):
    sent = network.udp(A_SECOND, OUTSIDE, 100, 3)
    meter.tick()
    meter.worker.stop()
    sent += network.udp(A_SECOND, OUTSIDE, 200, 5)
    meter.instances.write({"vnet-a": [A, A6], "vnet-b": [*TAPS["vnet-b"], A_SECOND]})
    meter.start_worker()
    begin = meter.tick()
    network.udp(A_SECOND, OUTSIDE, 300)  # it is nobody's here now
    moved = network.udp(A_SECOND, OUTSIDE, 400, 7, place=network.guests["vnet-b"])
    end = meter.tick()
    assert meter.usage("vnet-a", A_SECOND, "vmnetwork_out", meter.begin, end)["value"] == sent
    assert meter.values("vnet-b", A_SECOND, begin, end) == (0, moved, 0, 0)
    meter.check_lives()


def test_configured_prefixes_decide_what_is_internal(network, oracle, start, tmp_path):
    meter = Meter(start, tmp_path, "traffic.internal=203.0.113.8/31, 2001:db8:f::/48")
    inside = network.udp(A, OUTSIDE, 50), network.udp(A6, OUTSIDE6, 50)
    outside = network.udp(A, NEIGHBOUR, 60), network.udp(A6, NEIGHBOUR6, 60)
    oracle.drain()
    end = meter.tick()
    assert meter.values("vnet-a", A, meter.begin, end) == (0, outside[0], 0, inside[0])
    assert meter.values("vnet-a", A6, meter.begin, end) == (0, outside[1], 0, inside[1])
