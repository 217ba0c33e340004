# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The API's answers about real guests are exact, by every name, and over restarts of each
program."""

import json
import os
import socket
import subprocess

import pytest

import harness
import metering
from harness import until

KANYUN = os.path.join(harness.BUILD, "src/cli/kanyun")
MIB = 1 << 20


class Cloud(metering.Answers):
    """Server, worker and API, each of which can be restarted on its ports."""

    def __init__(self, start, directory):
        self.start, self.directory = start, directory
        self.server_options = ["server.seal_after_seconds=2"]
        self.server = start(harness.Server, *self.server_options)
        ports = {name: endpoint.rpartition(":")[2]
                 for name, endpoint in self.server.endpoints.items()}
        self.server_options += [f"server.port={ports['pull']}", f"server.pub_port={ports['pub']}",
                                f"server.rep_port={ports['rep']}"]
        self.worker_options = [*metering.worker_options(directory),
                               f"worker.dataserver_port={ports['pull']}",
                               f"worker.dataserver_pub_port={ports['pub']}"]
        self.worker = start(harness.Worker, *self.worker_options)
        super().__init__(start, self.server)
        self.api_port = self.api.endpoints["rep"].rpartition(":")[2]
        self.api_options.append(f"api.api_port={self.api_port}")

    def restart(self, name):
        kinds = {"server": harness.Server, "worker": harness.Worker, "api": harness.Api}
        getattr(self, name).stop()
        setattr(self, name, self.start(kinds[name], *getattr(self, f"{name}_options")))


@pytest.fixture
def cloud(start, tmp_path):
    return Cloud(start, tmp_path)


def names_of(guest):
    return [guest.name, f"{guest.name}@{socket.gethostname()}", guest.uuid]


def work(lab, guest):
    """Known amounts; gives {(metric, parameter): amount}."""
    guest.write("vda", 3 * MIB)
    guest.read("vda", MIB)
    guest.write("vdb", 5120, 512)
    guest.read("vdb", 2 * MIB)
    guest.transmit(1000, 50)
    guest.receive(lab.state["bridge"], 400, 30)
    return {("blk_write", "vda"): 3 * MIB, ("blk_read", "vda"): MIB, ("blk_write", "vdb"): 5120,
            ("blk_read", "vdb"): 2 * MIB, ("blk_write", "total"): 3 * MIB + 5120,
            ("blk_read", "total"): 3 * MIB, ("nic_outgoing", "total"): 1042 * 50,
            ("nic_incoming", "total"): 400 * 30, ("nic_outgoing", guest.nic()): 1042 * 50}


def assert_usage(cloud, guest, expected, begin, end, times=1):
    for (metric, parameter), amount in expected.items():
        for name in names_of(guest):
            usage = cloud.usage(name, metric, begin, end, parameter)
            assert usage["value"] == amount * times, (name, metric, parameter, usage)
            assert usage["uncertainty"] == 0, usage


def test_usage_is_exact_by_every_name_and_over_restarts(lab, guests, cloud):
    guest = guests[0]
    begin = cloud.wait_sample(guest, "blk_write")
    expected = work(lab, guest)
    end = cloud.wait_sample(guest, "blk_write")
    assert_usage(cloud, guest, expected, begin, end)
    for times, program in enumerate(("worker", "server", "api"), 2):
        cloud.restart(program)
        work(lab, guest)
        end = cloud.wait_sample(guest, "blk_write")
        assert_usage(cloud, guest, expected, begin, end, times)


def test_the_whole_life_is_what_qemu_says(lab, guests, cloud):
    guest = guests[-1]
    work(lab, guest)
    end = cloud.wait_sample(guest, "blk_write")
    for disk in ("vda", "vdb"):
        said = metering.monitor_disk(guest, disk)
        answered = tuple(cloud.usage(guest.uuid, metric, end - 86400, end, disk)["value"]
                         for metric in ("blk_read", "blk_write"))
        assert answered == said


def test_all_guests_are_listed_with_their_owner(guests, cloud):
    def listed():
        instances = {each["id"]: each for each in cloud.ask("instances")}
        return instances if all(guest.uuid in instances for guest in guests) else None

    instances = until(listed, "all instances")
    for guest in guests:
        one = instances[guest.uuid]
        assert (one["name"], one["host"]) == (guest.name, socket.gethostname())
        assert one["project_id"] == guest.about["project_id"]
        assert one["display_name"] == guest.about["display_name"]
        assert one["flavor_name"] == "m1.tiny"


def test_the_command_line_says_the_same(lab, guests, cloud):
    if not os.path.exists(KANYUN):
        pytest.skip("kanyun is not built")
    guest = guests[1]
    begin = cloud.wait_sample(guest, "blk_write")
    expected = work(lab, guest)
    end = cloud.wait_sample(guest, "blk_write")
    for name in names_of(guest):
        done = subprocess.run(
            [KANYUN, "-c", "/dev/null", "-o", f"client.api_port={cloud.api_port}", "usage", name,
             "--from", str(int(begin)), "--to", str(int(end)), "--json"],
            capture_output=True, timeout=harness.TIMEOUT, check=False)
        assert done.returncode == 0, done.stderr.decode()
        usages = {(usage["metric"], usage["parameter"]): usage["value"]
                  for usage in json.loads(done.stdout)["usages"] if "value" in usage}
        said = {key: usages[key] for key in expected if key in usages}
        assert said == {key: expected[key] for key in said} and said
