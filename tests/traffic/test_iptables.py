# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Hosts that are set up for the first kanyun keep their rules: `ID ADDRESS accounting rule` in
chains of iptables, of either flavor."""

import shutil

import pytest

from metered import METRICS, Meter, without_hook
from network import NEIGHBOUR, OUTSIDE

A, B = "10.0.0.2", "10.0.0.3"
EXTERNAL = METRICS[:2]
FLAVORS = ["legacy", "nft"]
LABELS = {"vnet-a": [A], "vnet-b": [B]}

# As nova's chains: one an instance, 112 (0x70) and 113. The first by interface, as the original's
# rules are; the second by address, and in one direction only.
CHAINS = f"""*filter
:nova-compute-FORWARD - [0:0]
:nova-compute-inst-112 - [0:0]
-A FORWARD -j nova-compute-FORWARD
-A nova-compute-FORWARD -s {A}/32 -j nova-compute-inst-112
-A nova-compute-FORWARD -d {A}/32 -j nova-compute-inst-112
-A nova-compute-FORWARD -s {B}/32 -o uplink -m comment --comment " 113 {B} accounting rule " -j RETURN
"""
RULES = f"""-A nova-compute-inst-112 -o uplink -m comment --comment " 112 {A} accounting rule "
-A nova-compute-inst-112 -i uplink -m comment --comment " 112 {A} accounting rule "
"""


@pytest.fixture(params=FLAVORS)
def iptables(request, network):
    """Runs iptables, or restores rules."""
    if not shutil.which(f"iptables-{request.param}"):
        pytest.skip(f"there is no iptables-{request.param}")
    network.route()

    def run(*words, text=None):
        program = f"iptables-{request.param}" + ("-restore" if text else "")
        return network.host.run(program, *words, text=text)

    run("-n", text=CHAINS + RULES + "COMMIT\n")
    return run


@pytest.fixture
def meter(iptables, start, tmp_path):
    return Meter(start, tmp_path, "traffic.source=iptables", is_metering=False)


def send(network):
    """Gives what came and went of the first, and what went of the second."""
    came = network.udp(OUTSIDE, A, 300, 20) + network.udp(OUTSIDE, A, 4000, 2)
    went = network.udp(A, OUTSIDE, 700, 30) + network.udp(A, OUTSIDE, 4000, 3)
    other = network.udp(B, OUTSIDE, 50, 9)
    network.udp(OUTSIDE, B, 1000)
    network.udp(A, NEIGHBOUR, 1000, 10)  # at the bridge: it never was counted
    return came, went, other


def external(meter, begin, end):
    usages = [meter.usage("vnet-a", A, metric, begin, end) for metric in EXTERNAL]
    usages.append(meter.usage("vnet-b", B, "vmnetwork_out", begin, end))
    return usages


def listed(network, iptables):
    return network.host.run("nft", "-s", "-a", "list", "ruleset"), iptables("-S")


def test_accounting_rules_are_read_exactly_and_only_read(network, oracle, iptables, meter):
    begin = meter.tick(LABELS)
    rules = listed(network, iptables)
    came, went, other = send(network)
    meter.worker.kill()
    network.tcp(A, OUTSIDE, 500_000, 100_000)
    meter.start_worker()
    oracle.drain()
    sums = oracle.sums("vnet-a", A)[:2]
    assert sums[0] > came + 100_000 and sums[1] > went + 500_000
    end = meter.tick(LABELS)
    usages = external(meter, begin, end)
    assert [each["value"] for each in usages] == [*sums, other]
    assert [each["uncertainty"] for each in usages] == [0, 0, 0]
    assert meter.usage("vnet-a", A, "vmnetwork", begin, end)["value"] == sum(sums)
    assert meter.series("vnet-b") and not any(
        one["column"] in (0, 1) for one in meter.series("vnet-b"))  # unknown is not zero
    meter.check_lives()
    assert listed(network, iptables) == rules and "table netdev" not in rules[0]


def test_rules_that_are_made_anew_count_from_zero(network, iptables, meter):
    begin = meter.tick(LABELS)
    first = send(network)
    meter.tick(LABELS)
    iptables("-F", "nova-compute-inst-112")
    network.udp(A, OUTSIDE, 100, 5)
    iptables("-n", text="*filter\n" + RULES + "COMMIT\n")
    middle = meter.tick(LABELS)
    second = send(network)
    end = meter.tick(LABELS)
    for usage, a, b in zip(external(meter, begin, end), first, second):
        assert usage["value"] == a + b, usage
    for usage, b in zip(external(meter, middle, end), second):
        assert usage["value"] == b and usage["uncertainty"] == 0, usage
    # What passed without a rule is lost, and said to be.
    lost = meter.usage("vnet-a", A, "vmnetwork_out", begin, end)
    assert lost["uncertainty"] is None and lost["reasons"], lost


def test_they_need_nothing_of_nftables(network, iptables, start, tmp_path):
    meter = Meter(start, tmp_path, "traffic.source=iptables", is_metering=False,
                  environment=without_hook("ingress"))
    begin = meter.tick(LABELS)
    came, went, other = send(network)
    end = meter.tick(LABELS)
    assert [each["value"] for each in external(meter, begin, end)] == [came, went, other]
