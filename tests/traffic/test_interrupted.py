# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Whatever hinders the counting: what was counted stays counted, nothing is counted twice, and what
is lost is said to be."""

import contextlib
import os
import random
import signal
import socket
import threading

import pytest

from harness import until
from metered import Meter, Stream, Watch, differences
from network import NEIGHBOUR6, OUTSIDE, OUTSIDE6

A, A6, B = "10.0.0.2", "2001:db8::2", "10.0.0.3"
KEY = "vnet-a", A
LONG = os.environ.get("KANYUN_LONG") == "1"

# By nft's commands; {index} is the first tap's.
CHANGES = {
    "the table is flushed": "flush table netdev kanyun",
    "the table is deleted": "delete table netdev kanyun",
    "all rules are flushed": "flush ruleset",
    "the rules of one direction are flushed": "flush chain netdev kanyun to_instance",
    "hooks are deleted": "delete chain netdev kanyun out{index}\n"
                         "delete chain netdev kanyun in{index}",
    "the table sleeps": "add table netdev kanyun {{ flags dormant; }}",
    "an element is deleted": 'delete element netdev kanyun external_out4 {{ "vnet-a" . 10.0.0.2 }}',
}


def nft(network, text):
    return network.host.run("nft", "-f", "-", text=text + "\n")


def send(network):
    """Some of each kind, at both taps."""
    network.udp(A, OUTSIDE, 1000, 30)
    network.udp(OUTSIDE, A, 400, 20)
    network.udp(A6, NEIGHBOUR6, 100, 5)
    network.udp(OUTSIDE6, A6, 900, 4)
    network.udp(B, OUTSIDE, 200, 3)
    network.udp(OUTSIDE, B, 210, 3)


def sums_of(watch):
    watch.oracle.drain()
    return {key: watch.oracle.sums(*key) for key in watch.keys}


def add(*all_sums):
    return {key: tuple(map(sum, zip(*(sums[key] for sums in all_sums)))) for key in all_sums[0]}


def between(after, before):
    return {key: differences(after[key], before[key]) for key in after}


def interrupt(network, watch, change):
    """Known traffic before, some during, known traffic after; gives the number of losses."""
    start = sums_of(watch)
    send(network)
    first = sums_of(watch)
    watch.meter.tick()
    change()
    send(network)
    second = sums_of(watch)
    again = watch.meter.tick()  # it is found, and counted again
    send(network)
    third = sums_of(watch)
    passed = between(third, second)
    lost = watch.check_declared(add(between(first, start), passed))
    for key in watch.keys:
        assert watch.meter.values(*key, again, watch.end) == passed[key]
    return lost


def count_from_now_on(network, watch):
    """What passes from the next tick on is counted, whatever was lost before."""
    begin = watch.meter.tick()
    before = sums_of(watch)
    send(network)
    passed = between(sums_of(watch), before)
    watch.check_declared(passed)
    for key in watch.keys:
        assert watch.meter.values(*key, begin, watch.end) == passed[key]


def load_saved(network):
    """They say what was counted long ago."""
    saved = network.host.run("nft", "list", "table", "netdev", "kanyun")
    send(network)
    nft(network, "delete table netdev kanyun\n" + saved)


def add_by_hand(network):
    """An element is replaced by one that says too much: that is no life of ours."""
    key = 'netdev kanyun external_out4 { "vnet-a" . 10.0.0.2'
    nft(network, f"delete element {key} }}\n"
                 f"add element {key} counter packets 9 bytes 99999999 }}")


def put_back(network):
    """The rules are as before, as if nothing had been."""
    rules = network.host.run("nft", "list", "chain", "netdev", "kanyun", "from_instance")
    nft(network, "flush chain netdev kanyun from_instance")
    send(network)
    nft(network, rules)


def create_again(network, oracle):
    network.guests["vnet-a"].unplug()
    network.guests["vnet-a"].plug()
    oracle.watch("vnet-a")


def test_whatever_is_done_to_the_rules_and_taps(network, oracle, meter):
    def change():
        nft(network, CHANGES[name].format(index=socket.if_nametoindex("vnet-a")))

    watch = Watch(meter, oracle, meter.begin)
    for name in CHANGES:
        assert interrupt(network, watch, change) > 0, name  # else nothing was interrupted
        watch = watch.following()
    assert interrupt(network, watch, lambda: put_back(network)) > 0
    watch = watch.following()
    for change in (lambda: load_saved(network), lambda: add_by_hand(network),
                   lambda: create_again(network, oracle)):
        interrupt(network, watch, change)
        watch = watch.following()


def disturb(network, oracle, meter, stream, name):
    if name == "the worker is killed":
        meter.worker.kill()
        meter.start_worker()
    elif name == "kanyun-traffic is killed":
        helper = meter.helper()
        if helper:
            os.kill(helper, signal.SIGKILL)
    elif name == "a tap is created again":
        stream.stop()  # or what is sent meanwhile would not arrive
        oracle.drain()
        create_again(network, oracle)
        stream.start()
    else:
        with contextlib.suppress(AssertionError):  # it may be gone already
            if name == "rules are saved and loaded":
                load_saved(network)
            elif name == "an element is replaced":
                add_by_hand(network)
            else:
                nft(network, CHANGES[name].format(index=socket.if_nametoindex("vnet-a")))


@pytest.mark.parametrize("seed", range(40 if LONG else 1))
def test_whatever_happens_at_random_moments(network, oracle, meter, watch, seed):
    rng = random.Random(seed)
    names = [*CHANGES, "the worker is killed", "kanyun-traffic is killed", "a tap is created again",
             "rules are saved and loaded", "an element is replaced"]
    with Stream(network) as stream:
        for name in rng.choices(names, k=6):
            threading.Event().wait(rng.uniform(0, 1.2))  # a random moment
            print(name)
            disturb(network, oracle, meter, stream, name)
        stream.wait()
    count_from_now_on(network, watch)


def test_a_tap_that_was_away_is_counted_to_its_last_packet_and_from_its_first(network, watch):
    """Its counters outlive it; and nothing passes it before its rules are there."""
    start = sums_of(watch)
    send(network)
    first = sums_of(watch)
    network.guests["vnet-a"].unplug()
    watch.meter.wait_rounds(2)
    network.guests["vnet-a"].plug()
    watch.oracle.watch("vnet-a")
    begin = watch.meter.tick()
    send(network)
    second = sums_of(watch)
    assert watch.check_declared(between(second, start)) == 0
    passed = between(second, first)
    for key in watch.keys:
        assert watch.meter.values(*key, begin, watch.end) == passed[key]


def test_the_worker_is_killed_and_stopped_in_the_middle(network, meter, watch):
    with Stream(network) as stream:
        for verb in "kill", "stop":
            stream.wait()
            helper = meter.helper()
            getattr(meter.worker, verb)()
            until(lambda pid=helper: not os.path.exists(f"/proc/{pid}"), "the helper ends too")
            assert "kanyun" in network.host.run("nft", "list", "tables")  # it counts on
            stream.wait()
            meter.start_worker()
            meter.tick()
    assert watch.check_exact()[KEY][0] > 0


def test_kanyun_traffic_is_killed_in_the_middle(network, meter, watch):
    with Stream(network) as stream:
        stream.wait()
        helper = meter.helper()
        os.kill(helper, signal.SIGKILL)
        meter.wait_helper(helper)
        stream.wait()
    assert watch.check_exact()[KEY][0] > 0
    assert meter.worker.process.poll() is None


def test_kanyun_traffic_begins_where_the_table_sleeps(network, meter, watch):
    helper = meter.helper()
    os.kill(helper, signal.SIGKILL)
    nft(network, CHANGES["the table sleeps"].format())
    meter.wait_helper(helper)
    count_from_now_on(network, watch)


def test_what_hinders_kanyun_traffic_may_pass(network, start, tmp_path):
    nft(network, "add table netdev kanyun-probe { flags dormant; }")
    meter = Meter(start, tmp_path, is_metering=False)
    meter.worker.wait_line("traffic: is not metered")
    nft(network, "delete table netdev kanyun-probe")
    meter.tick()


def test_the_rules_are_deleted_while_nobody_looks(network, meter, watch):
    """The worker is away meanwhile, and so has not read what came last."""
    send(network)
    first = sums_of(watch)
    meter.tick()
    meter.worker.kill()
    send(network)
    nft(network, "delete table netdev kanyun")
    send(network)
    second = sums_of(watch)
    meter.start_worker()
    meter.tick()
    send(network)
    third = sums_of(watch)
    assert watch.check_declared(add(between(first, watch.before), between(third, second))) > 0


FOREIGN = """
table netdev kanyun2 {
    set external_in4 { typeof meta oif . ip daddr; counter; elements = { "vnet-a" . 10.0.0.2 } }
    chain in1 {
        type filter hook ingress device "vnet-a" priority 0; policy accept; counter accept;
    }
}
table inet kanyun {
    chain from_instance { type filter hook input priority 0; policy accept; accept; }
}
table bridge filter {
    chain forward { type filter hook forward priority 0; policy accept; counter accept; }
}
"""


def foreign(network):
    """All but ours, with handles, which tell what was made anew; without counts, which go on."""
    tables = network.host.run("nft", "list", "tables").splitlines()
    return [network.host.run("nft", "-a", "-s", "list", *line.split()) for line in tables
            if line != "table netdev kanyun"]


def test_tables_of_others_are_never_touched(network, start, tmp_path):
    nft(network, FOREIGN)
    before = foreign(network)
    assert len(before) == 3
    meter = Meter(start, tmp_path)
    send(network)
    meter.tick()
    nft(network, "flush table netdev kanyun")
    meter.tick()
    nft(network, "delete table netdev kanyun")
    meter.tick()
    network.guests["vnet-b"].unplug()
    network.guests["vnet-b"].plug()
    meter.worker.stop()
    meter.start_worker()
    meter.tick()
    assert foreign(network) == before
