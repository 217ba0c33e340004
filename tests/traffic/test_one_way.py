# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""On a kernel without an egress hook, what comes in is not measured; which is not zero."""

from metered import Meter, without_hook
from network import NEIGHBOUR, OUTSIDE

A = "10.0.0.2"


def column_of(metric):
    return {"vmnetwork": 0, "vmnetwork_in": 1, "vmnetwork_out": 2, "vmnetwork_internal_in": 3,
            "vmnetwork_internal_out": 4}[metric]


def test_what_comes_in_is_absent_and_what_goes_out_is_exact(network, start, tmp_path):
    meter = Meter(start, tmp_path, environment=without_hook("egress"))
    assert meter.worker.wait_line("traffic.*egress")
    sent = network.udp(A, OUTSIDE, 500, 11)
    inside = network.udp(A, NEIGHBOUR, 300, 5)
    network.udp(OUTSIDE, A, 700, 3)
    end = meter.tick()
    assert meter.usage("vnet-a", A, "vmnetwork_out", meter.begin, end)["value"] == sent
    assert meter.usage("vnet-a", A, "vmnetwork_internal_out", meter.begin, end)["value"] == inside
    assert {one["column"] for one in meter.series("vnet-a")} == {
        column_of("vmnetwork_out"), column_of("vmnetwork_internal_out")}
    assert meter.worker.count_lines("traffic") == 1
