# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What a round costs on a host with a thousand addresses."""

import json
import os
import pathlib

import harness
from metered import Meter

TAPS, ADDRESSES, ROUNDS = 100, 10, 20
LIMIT_MS = 50
SANITIZED = 5  # times as slow


def taps():
    """Half of the addresses are of either family."""
    return {f"tap{tap}": [f"10.1.{tap}.{i}" if i % 2 else f"2001:db8:{tap + 1}::{i}"
                          for i in range(1, ADDRESSES + 1)] for tap in range(TAPS)}


def add_taps(network):
    network.host.ip(*(f"link add tap{i} type veth peer name far{i}" for i in range(TAPS)),
                    *(f"link set tap{i} addrgenmode none up" for i in range(TAPS)))


def cpu_ms(pid):
    """Of all its threads."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def is_sanitized():
    options = json.loads((pathlib.Path(harness.BUILD) / "meson-info/intro-buildoptions.json")
                         .read_text())
    return next(each["value"] for each in options if each["name"] == "b_sanitize") != "none"


def note(**numbers):
    """Adds a line to the results."""
    directory = os.path.join(harness.BUILD, "results")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "traffic.jsonl"), "a") as results:
        results.write(json.dumps(numbers) + "\n")
    print(numbers)


def test_a_thousand_addresses_cost_less_than_the_limit(network, start, tmp_path):
    add_taps(network)
    meter = Meter(start, tmp_path, taps=taps())
    pids = {"worker": meter.worker.process.pid, "kanyun-traffic": meter.helper()}
    begin = meter.tick({"tap0": taps()["tap0"]})
    before = {name: cpu_ms(pid) for name, pid in pids.items()}
    meter.wait_rounds(ROUNDS, "tap99", "vmnetwork")
    used = {name: cpu_ms(pid) - before[name] for name, pid in pids.items()}
    rounds = (meter.tick() - begin) // 1000
    assert rounds >= ROUNDS and meter.helper() == pids["kanyun-traffic"]
    per_round = {f"{name}_ms": round(ms / ROUNDS, 2) for name, ms in used.items()}
    note(addresses=TAPS * ADDRESSES, rounds=ROUNDS, is_sanitized=is_sanitized(), **per_round)
    assert sum(used.values()) / ROUNDS <= LIMIT_MS * (SANITIZED if is_sanitized() else 1)
