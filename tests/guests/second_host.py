# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A second host on this machine, for live migration: a libvirt daemon in mount, network and UTS
namespaces of its own. It has its own name, identity, /run, /var/lib/libvirt and bridge; it shares
the disks of the laboratory, and a cable to the first host. Serial ports are in a directory that
each host sees as its own."""

import os
import shutil
import subprocess
import uuid

import daemons
import image
from daemons import wait_until
from lab import PEER_MAC

FIRST, SECOND = "198.18.80.1", "198.18.80.2"
CABLE = "kycable"
NAME = "kanyun-second"
OWN = ("/run", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/etc/libvirt")


class SecondHost:
    def __init__(self, lab):
        self.lab = lab
        self.directory = lab.directory / "second"
        self.started = {"processes": []}
        self.holder = None

    def inside(self, *command):
        """The command, to be run there."""
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "-u", *map(str, command)]

    def uri(self):
        return f"qemu+unix:///system?socket={self.directory}/run/libvirt/libvirt-sock"

    def virsh(self, *words):
        return image.run("virsh", "-q", "-c", self.uri(), *words)

    def serial(self, guest):
        return self.directory / "serial" / f"{guest.name}.serial"

    def up(self):
        for path in OWN:
            (self.directory / path[1:]).mkdir(parents=True)
            (self.directory / path[1:]).chmod(0o755)
        (self.directory / "serial").mkdir()
        shutil.copytree("/etc/libvirt", self.directory / "etc/libvirt", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("autostart", "*.xml"))
        with open(self.directory / "etc/libvirt/libvirtd.conf", "a", encoding="ascii") as config:
            config.write(f'\nhost_uuid = "{uuid.uuid4()}"\n')
        self.enter()
        self.connect()
        for name in ("virtlogd", "libvirtd"):
            self.start_daemon(name)
        wait_until(self.does_answer, "the second libvirtd answers")

    def enter(self):
        """Makes the namespaces; a process that waits keeps them."""
        mounts = "; ".join(f"mount --bind {self.directory}{path} {path}" for path in OWN)
        script = (f"set -e; hostname {NAME}; {mounts}; "
                  f"mount --bind {self.directory}/serial {self.lab.directory}/serial; "
                  "umount -R /sys/fs/cgroup || :; ip link set lo up; echo ready; cat")
        self.holder = subprocess.Popen(
            ["unshare", "-m", "-n", "-u", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise RuntimeError("the namespaces of the second host cannot be made")

    def connect(self):
        bridge = self.lab.state["bridge"]
        image.run("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "cable", "netns",
                  str(self.holder.pid))
        image.run("ip", "addr", "add", f"{FIRST}/30", "dev", CABLE)
        image.run("ip", "link", "set", CABLE, "up")
        for command in (f"ip addr add {SECOND}/30 dev cable", "ip link set cable up",
                        f"ip link add {bridge} address {PEER_MAC} type bridge mcast_snooping 0",
                        f"ip link set {bridge} up"):
            image.run(*self.inside(*command.split()))

    def start_daemon(self, name):
        program = shutil.which(name, path="/usr/sbin:/usr/bin")
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                self.inside("/usr/bin/python3", image.HERE / "reaper.py", program),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
        self.started["processes"].append([name, process.pid, daemons.start_ticks(process.pid)])

    def does_answer(self):
        try:
            self.virsh("version")
            return True
        except RuntimeError:
            return False

    def down(self):
        if self.does_answer():
            for name in self.virsh("list", "--all", "--name").split():
                subprocess.run(["virsh", "-q", "-c", self.uri(), "destroy", name],
                               stderr=subprocess.DEVNULL, check=False)
        for name, pid, ticks in reversed(self.started["processes"]):
            daemons.end_process(name, pid, ticks)
        if self.holder:
            self.holder.stdin.close()  # with the last process the namespaces and the cable go
            self.holder.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def migrate(self, guest, back=False):
        """Live, there or back; both ends of it see the same disks."""
        here, there = (self.uri(), daemons.URI) if back else (daemons.URI, self.uri())
        address = FIRST if back else SECOND
        image.run("virsh", "-q", "-c", here, "migrate", "--live", "--unsafe", "--persistent",
                  "--undefinesource", "--migrateuri", f"tcp://{address}", guest.name, there)


def can_be_made():
    return os.geteuid() == 0 and all(shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
                                     for name in ("unshare", "nsenter", "libvirtd", "virtlogd"))
