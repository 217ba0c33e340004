# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""External traffic of a fixed address is told under its floating address, which may change."""

import os

from harness import until
from metered import Meter
from network import NEIGHBOUR, OUTSIDE

A, A_SECOND, B = "10.0.0.2", "10.0.0.4", "10.0.0.3"
FIRST, SECOND = "203.0.113.7", "203.0.113.8"


def write(path, text):
    """As administrators' tools do: all at once."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.rename(new, path)


def external(meter, address, begin, end):
    return tuple(meter.usage("vnet-a", address, metric, begin, end)["value"]
                 for metric in ("vmnetwork_in", "vmnetwork_out"))


def test_traffic_counts_under_the_floating_address_of_its_time(network, oracle, start, tmp_path):
    path = tmp_path / "floating"
    write(path, f"# FLOATING FIXED\n{FIRST} {A}\n{SECOND} None None\n")
    labels = {"vnet-a": [FIRST, A_SECOND], "vnet-b": [B]}
    meter = Meter(start, tmp_path, f"traffic.floating_file={path}", is_metering=False)
    begin = meter.tick(labels)
    sent = network.udp(A, OUTSIDE, 500, 11)
    came = network.udp(OUTSIDE, A, 300, 13)
    network.udp(A, NEIGHBOUR, 1000)
    second = network.udp(A_SECOND, OUTSIDE, 50)
    middle = meter.tick(labels)
    assert external(meter, FIRST, begin, middle) == (came, sent)
    assert external(meter, A_SECOND, begin, middle) == (0, second)
    assert not meter.is_known("vnet-a", A)

    write(path, f"{SECOND} {A}\n{FIRST} {B}\n")  # one is given away
    labels = {"vnet-a": [SECOND, A_SECOND], "vnet-b": [FIRST]}
    later = meter.tick(labels)
    more = network.udp(A, OUTSIDE, 700, 5)
    end = meter.tick(labels)
    assert external(meter, SECOND, later, end) == (0, more)
    assert external(meter, FIRST, begin, end) == (came, sent)
    assert external(meter, FIRST, middle, end) == (0, 0)
    oracle.drain()
    sums = oracle.sums("vnet-a", A)
    assert sums[:2] == (came, sent + more)
    totals = [sum(each) for each in zip(external(meter, FIRST, begin, end),
                                        external(meter, SECOND, begin, end))]
    assert totals == list(sums[:2])
    meter.check_lives()


def test_a_file_with_a_mistake_leaves_the_addresses_as_they_were(network, start, tmp_path):
    path = tmp_path / "floating"
    write(path, f"{FIRST} {A}\n")
    labels = {"vnet-a": [FIRST]}
    meter = Meter(start, tmp_path, f"traffic.floating_file={path}", is_metering=False)
    begin = meter.tick(labels)
    write(path, f"no-address {A}\n")
    meter.worker.wait_line("floating")
    sent = network.udp(A, OUTSIDE, 500, 11)
    end = meter.tick(labels)
    assert external(meter, FIRST, begin, end) == (0, sent)
    write(path, "")  # and without it, it is its own
    until(lambda: meter.is_known("vnet-a", A), "the fixed address")
