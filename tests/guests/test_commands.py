# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What the guests are told to do, by which everything else is measured."""

import socket
import uuid

import metering

BLOCK, COUNT = 65536, 4


def test_a_command_that_is_given_twice_is_done_once(guests):
    """As it is after a long silence, in which it may have been lost or not."""
    guest = guests[0]
    token = uuid.uuid4().hex[:8]
    _, before = metering.disk_counters(guest, "vda")
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(60)
        channel.connect(str(guest.serial))
        channel.sendall(2 * f"\n{token} exact write /dev/vda {BLOCK} {COUNT}\n".encode())
        received = b""
        while f"KYEND {token} 0".encode() not in received:
            received += channel.recv(65536)
    assert guest.must("echo next").strip() == "next"
    _, after = metering.disk_counters(guest, "vda")
    assert after - before == BLOCK * COUNT
