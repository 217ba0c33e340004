# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Only kanyun-traffic may change the kernel's rules, and it may nothing else; without it everything
but traffic is metered."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import pytest

import harness
from metered import Meter, capabilities
from network import NEIGHBOUR, OUTSIDE

A = "10.0.0.2"
NET_ADMIN = 1 << 12
NOBODY = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps=-all")
POWERLESS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")


@pytest.fixture
def open_path():
    """A directory that everybody may use; pytest's are root's."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="kanyun-traffic."))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def installed_worker(directory):
    """The two programs where everybody may run them, which a build directory need not be."""
    for path in "src/worker/kanyun-worker", "src/traffic/kanyun-traffic":
        (directory / path).parent.mkdir(parents=True)
        shutil.copy(os.path.join(harness.BUILD, path), directory / path)

    class Installed(harness.Worker):
        path = str(directory / "src/worker/kanyun-worker")

    return Installed


def give_capability(path):
    """As setcap cap_net_admin+ep does (linux/capability.h)."""
    os.setxattr(path, "security.capability",
                struct.pack("<IIIII", 0x02000001, NET_ADMIN, 0, 0, 0))


def assert_metering_without_traffic(meter):
    meter.wait_rounds(3)
    assert meter.worker.count_lines("traffic") == 1, meter.worker.tail()
    assert not any(meter.series(tap) for tap in meter.instances.taps)


@pytest.mark.parametrize("prefix", [POWERLESS, (*NOBODY, "--bounding-set=-all")],
                         ids=["root", "nobody"])
def test_without_the_capability_the_rest_is_metered(network, start, open_path, prefix):
    meter = Meter(start, open_path, is_metering=False, kind=installed_worker(open_path),
                  prefix=prefix)
    assert capabilities(meter.worker.process.pid, "CapPrm") == 0
    assert_metering_without_traffic(meter)
    assert "kanyun" not in network.host.run("nft", "list", "tables")


def test_without_the_program_the_rest_is_metered(network, start, tmp_path):
    meter = Meter(start, tmp_path, "traffic.helper=/nonexistent/kanyun-traffic", is_metering=False)
    assert_metering_without_traffic(meter)


def test_traffic_can_be_switched_off(network, start, tmp_path):
    meter = Meter(start, tmp_path, "traffic.source=none", is_metering=False)
    meter.wait_rounds(2)
    assert meter.helper() is None
    assert not meter.series("vnet-a")
    assert meter.worker.count_lines("traffic") == 0


def test_the_program_has_one_capability_only(network, start, tmp_path):
    meter = Meter(start, tmp_path)
    helper = meter.helper()
    assert capabilities(helper, "CapEff") == capabilities(helper, "CapPrm") == NET_ADMIN
    assert capabilities(helper, "CapInh") == 0


def test_the_worker_needs_none_if_the_program_has_its_own(network, oracle, start, open_path):
    worker = installed_worker(open_path)
    give_capability(open_path / "src/traffic/kanyun-traffic")
    # LeakSanitizer cannot look into a process with more rights than its parent.
    meter = Meter(start, open_path, kind=worker, prefix=NOBODY,
                  environment={"ASAN_OPTIONS": "detect_leaks=0"})
    assert capabilities(meter.worker.process.pid, "CapPrm") == 0
    assert capabilities(meter.helper(), "CapEff") == NET_ADMIN
    begin = meter.tick()
    sent = network.udp(A, OUTSIDE, 100, 7)
    assert meter.values("vnet-a", A, begin, meter.tick()) == (0, sent, 0, 0)


def once(meter):
    """The values of vmnetwork by (instance, address), of kanyun-worker --once."""
    command = [os.path.join(harness.BUILD, harness.Worker.path), "-c", "/dev/null", "--once"]
    for option in meter.options:
        command += ["-o", option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=harness.TIMEOUT,
                          check=False)
    assert done.returncode == 0, done.stderr
    return {(reading["uuid"], entry[1]): entry[2]
            for reading in json.loads(done.stdout)["readings"]["readings"]
            for entry in reading["data"] if entry[0] == "vmnetwork"}


def test_what_reads_once_changes_nothing(network, start, tmp_path):
    meter = Meter(start, tmp_path)
    sent, inside = network.udp(A, OUTSIDE, 100, 7), network.udp(A, NEIGHBOUR, 50, 3)
    meter.worker.stop()
    rules = network.host.run("nft", "-a", "list", "ruleset")
    assert once(meter)[meter.instances.uuids["vnet-a"], A] == [sent, 0, sent, 0, inside]
    assert network.host.run("nft", "-a", "list", "ruleset") == rules
    network.host.run("nft", "delete", "table", "netdev", "kanyun")
    assert not once(meter)
    assert not network.host.run("nft", "list", "tables")


def test_only_taps_of_the_pattern_are_metered(network, start, tmp_path):
    meter = Meter(start, tmp_path, "traffic.taps=tap*, vnet-[b-z]", is_metering=False)
    meter.tick({"vnet-b": ["10.0.0.3"]})
    assert not meter.is_known("vnet-a", A)
    assert "vnet-a" not in network.host.run("nft", "list", "table", "netdev", "kanyun")


def doctor(*options, prefix=()):
    """What it finds of traffic."""
    command = [*prefix, os.path.join(harness.BUILD, "src/cli/kanyun"), "doctor", "--json",
               "-c", "/dev/null", "-o", "client.timeout=1"]
    for option in options:
        command += ["-o", option]
    done = subprocess.run(command, capture_output=True, timeout=harness.TIMEOUT, check=False)
    [found] = [each for each in json.loads(done.stdout) if each["check"] == "traffic"]
    return found


def test_the_doctor_says_what_is_missing(network):
    assert doctor()["finding"] == "ok"
    weak = doctor(prefix=POWERLESS)
    assert weak["finding"] == "warning" and "CAP_NET_ADMIN" in weak["text"]
    assert "setcap" in weak["advice"]
    absent = doctor("traffic.helper=/nonexistent/kanyun-traffic")
    assert absent["finding"] == "warning" and "/nonexistent" in absent["text"]
    for source in "none", "iptables":
        assert doctor(f"traffic.source={source}")["finding"] == "ok"
