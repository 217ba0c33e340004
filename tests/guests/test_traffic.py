# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""External traffic of real guests is exact, by every way of asking, and to the guest's last packet;
internal traffic is not in it."""

import json
import os
import socket
import struct
import subprocess

import pytest

import harness
import metering
from lab import PEER_MAC
from test_answers import KANYUN, Cloud

OUTSIDE, NEIGHBOUR = "203.0.113.9", "10.9.0.9"
HEADERS = 28  # of UDP and IP
# With the headers a datagram is 1 KiB.
PAYLOAD = 1024 - HEADERS
IN, OUT, INTERNAL_IN, INTERNAL_OUT = 1, 2, 3, 4  # columns


def transmit_inside(guest, payload, count):
    """To a neighbour with an address that is internal, as others on the guest's network have it."""
    guest.must(f"ip route replace {NEIGHBOUR}/32 dev eth0")
    guest.must(f"arp -s {NEIGHBOUR} {PEER_MAC}")
    guest.must(f"exact udp {NEIGHBOUR} {payload} {count}")


def receive(lab, guest, source, payload, count):
    """Datagrams to the guest's address; it has no route back."""
    udp = struct.pack(">HHHH", 9, 9, 8 + payload, 0) + bytes(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                     socket.inet_aton(source), socket.inet_aton(guest.about["address"]))
    guest.inject(lab.state["bridge"], b"\x08\x00" + ip + udp, count)


@pytest.fixture
def cloud(start, tmp_path):
    return Cloud(start, tmp_path)


def program(cloud, name, *arguments):
    options = ["-c", "/dev/null", "-o", f"client.api_port={cloud.api_port}"]
    # kanyun's come behind its command, the old client's before all.
    arguments = [*arguments, *options] if name == "kanyun" else [*options, *arguments]
    done = subprocess.run([os.path.join(os.path.dirname(KANYUN), name), *arguments], text=True,
                          capture_output=True, timeout=harness.TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_goes_outside_is_told_and_what_stays_inside_is_not(lab, guests, cloud):
    guest, other = guests[0], guests[1]
    address = guest.about["address"]
    begin = int(cloud.wait_sample(guest, "vmnetwork"))
    guest.transmit(PAYLOAD, 40)
    transmit_inside(guest, PAYLOAD, 16)
    receive(lab, guest, OUTSIDE, PAYLOAD, 8)
    receive(lab, guest, NEIGHBOUR, PAYLOAD, 4)
    other.transmit(PAYLOAD, 3)
    end = int(cloud.wait_sample(guest, "vmnetwork"))
    expected = {"vmnetwork": 48, "vmnetwork_in": 8, "vmnetwork_out": 40,
                "vmnetwork_internal_in": 4, "vmnetwork_internal_out": 16}
    for metric, kib in expected.items():
        usage = cloud.usage(guest.uuid, metric, begin, end, address)
        assert usage["value"] == 1024 * kib and usage["uncertainty"] == 0, usage

    name = f"{guest.name}@{socket.gethostname()}"
    assert program(cloud, "api_client", name, "vmnetwork", address, "sum", "5", str(begin),
                   str(end)) == [{f"{begin}.0": 48}]
    usages = program(cloud, "kanyun", "usage", guest.uuid, "--from", str(begin), "--to", str(end),
                     "--json")["usages"]
    assert [each["value"] for each in usages if each["metric"] == "vmnetwork" and
            each["parameter"] == address] == [48 * 1024]


@pytest.fixture(scope="module")
def spare(lab):
    """A guest that is defined, so that it can be started again."""
    guest = lab.define()
    guest.start()
    guest.wait_ready()
    yield guest
    lab.remove(guest)


def counted(meter, guest):
    """Bytes by column."""
    return [meter.usage(guest, "vmnetwork", column, guest.about["address"])
            for column in (IN, OUT, INTERNAL_IN, INTERNAL_OUT)]


def test_a_guest_that_is_reset_and_destroyed_is_counted_to_its_last_packet(lab, spare, guests,
                                                                           start, tmp_path):
    guest, meter = spare, metering.Meter(start, tmp_path)
    meter.wait_read(guest, "vmnetwork")
    before = counted(meter, guest)

    def send():
        guest.transmit(1000, 50)
        transmit_inside(guest, 100, 20)

    def wait_counted(times):
        expected = [0, times * 50 * 1028, 0, times * 20 * 128]
        meter.wait(lambda: [now - was for now, was in zip(counted(meter, guest), before)]
                   == expected, f"{expected} more than {before}")

    send()
    guest.forget_console()
    guest.virsh("reset")
    guest.wait_ready()
    send()
    guest.virsh("destroy")  # at once: the tap is gone before it could be read
    wait_counted(2)
    guest.start()
    guest.wait_ready()
    meter.wait_read(guest, "vmnetwork")
    send()
    wait_counted(3)
    meter.wait_read(guests[0], "vmnetwork")  # one more round, and it is no more
    wait_counted(3)
