# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The laboratory itself: what the senders say that they sent is what the capture saw."""

import os

import pytest

from network import NEIGHBOUR, NEIGHBOUR6, NOBODY, OUTSIDE, OUTSIDE6, TAPS, own_namespace, udp_bytes

A, A6 = "10.0.0.2", "2001:db8::2"
HOME = os.stat("/proc/self/ns/net").st_ino


@pytest.mark.parametrize("size", [0, 1, 100, 1452, 1453, 1472, 1473, 4000, 65000])
def test_datagrams_are_captured_in_the_size_that_arithmetic_says(network, oracle, size):
    for address, outside in (A, OUTSIDE), (A6, OUTSIDE6):
        sent = network.udp(address, outside, size, 3)
        came = network.udp(outside, address, size, 2)
        oracle.drain()
        assert oracle.sums("vnet-a", address) == (came, sent, 0, 0)


def test_cut_datagrams_have_a_header_in_each_part():
    assert udp_bytes(4000, A) == 4008 + 3 * 20
    assert udp_bytes(4000, A6) == 4008 + 3 * 48


def test_echoes_are_captured_both_ways(network, oracle):
    for address, neighbour in (A, NEIGHBOUR), (A6, NEIGHBOUR6):
        size = network.ping(address, neighbour, 100, 5)
        oracle.drain()
        assert oracle.sums("vnet-a", address) == (0, 0, size, size)


@pytest.mark.parametrize("are_on", [False, True])
def test_a_connection_is_its_bytes_and_headers(network, oracle, are_on):
    network.offloads(are_on)
    network.tcp(A, OUTSIDE, 1_000_000, 200_000)
    oracle.drain()
    came, sent, *inside = oracle.sums("vnet-a", A)
    packets = oracle.sums("vnet-a", A, oracle.packets)
    assert inside == [0, 0]
    # 20 of IP, 20 to 60 of TCP a packet.
    assert 40 * packets[1] <= sent - 1_000_000 <= 80 * packets[1]
    assert 40 * packets[0] <= came - 200_000 <= 80 * packets[0]
    assert (packets[1] < 1_000_000 / 1448) == are_on


def test_each_tap_has_its_own_packets(network, oracle):
    size = network.udp(A, "10.0.0.3", 100)
    spoofed = network.udp("10.0.0.3", OUTSIDE, 200, place=network.guests["vnet-a"])
    oracle.drain()
    assert oracle.sums("vnet-a", A) == (0, 0, 0, size)
    assert oracle.sums("vnet-b", "10.0.0.3") == (0, 0, size, 0)
    assert oracle.sums("vnet-a", "10.0.0.3") == (0, spoofed, 0, 0)


def test_a_tap_that_is_made_anew_is_captured_further(network, oracle):
    sent = network.udp(A, OUTSIDE, 100)
    oracle.drain()
    network.guests["vnet-a"].unplug()
    network.guests["vnet-a"].plug()
    oracle.watch("vnet-a")
    sent += network.udp(A, OUTSIDE, 300)
    oracle.drain()
    assert oracle.sums("vnet-a", A) == (0, sent, 0, 0)


def test_nothing_is_sent_but_on_purpose(network, oracle):
    oracle.drain()
    for tap, addresses in TAPS.items():
        for address in (*addresses, NOBODY):
            assert oracle.sums(tap, address, oracle.packets) == (0, 0, 0, 0)


def test_the_network_is_not_the_one_that_the_tests_were_started_in(network):
    here = own_namespace()
    assert os.fstat(here).st_ino == os.fstat(network.host.fd).st_ino != HOME
    os.close(here)
