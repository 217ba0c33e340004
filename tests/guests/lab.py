#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Small QEMU guests under libvirt that look like nova's. Needs root.

    lab.py up [N]                boots N guests (2), starts libvirt if it does not run
    lab.py list                  name, uuid, QEMU's pid, NIC of each
    lab.py exec GUEST COMMAND    runs it in the guest; gives its output and its status
    lab.py send GUEST SIZE COUNT COUNT frames of SIZE bytes from the host to the guest's NIC
    lab.py down                  takes everything back

In the guest, /dev/vda and /dev/vdb are disks, and `exact` (exact.c) reads, writes and sends. A
GUEST is a name or a number. The directory KANYUN_LAB holds all its files; without it, `up` makes
one below /var/tmp and says which. KANYUN_LAB_KERNEL may name a directory that keeps the
downloaded kernel.

The bridge has no address and forwards nothing, IPv6 is off, and ARP is answered by nobody: what a
guest's NIC counts is what was sent on purpose."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import daemons
import image
from daemons import start_ticks, virsh, wait_until

MEMORY_MIB = 96
PEER = "198.18.77.1"
PEER_MAC = "02:6b:79:00:00:01"
DISK_BYTES = 64 << 20
BOOT_S = 240
SILENCE_S = 20  # after which a command that did not begin is given once more
ETHERTYPE_EXPERIMENTAL = b"\x88\xb5"


class Guest:
    """One guest; everything about it is in the dictionary, which is what is saved."""

    def __init__(self, directory, about):
        self.directory = directory
        self.about = about
        self.name, self.uuid = about["name"], about["uuid"]
        self.serial = directory / "serial" / f"{self.name}.serial"

    def file(self, suffix):
        return self.directory / f"{self.name}.{suffix}"

    def pid(self):
        # libvirt writes no newline
        return int(pathlib.Path(f"/run/libvirt/qemu/{self.name}.pid").read_text())

    def nic(self):
        return virsh("domiflist", self.name).split()[0]

    def is_ready(self):
        console = self.file("console")
        if console.exists() and b"KYREADY" in console.read_bytes():
            return True
        if virsh("domstate", self.name).strip() != "running":
            raise RuntimeError(f"{self.name} is not running any more")
        return False

    def exec(self, command, timeout_s=60):
        """Gives (status, output) of one line of shell."""
        token = uuid.uuid4().hex[:8]
        begin, end = f"KYBEGIN {token}".encode(), f"KYEND {token} ".encode()
        received = b""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(min(timeout_s, SILENCE_S))
            channel.connect(str(self.serial))
            channel.sendall(f"\n{token} {command}\n".encode())
            while b"\n" not in received.partition(end)[2]:
                try:
                    part = channel.recv(65536)
                except TimeoutError:
                    if begin in received or channel.gettimeout() != SILENCE_S:
                        raise
                    channel.settimeout(timeout_s + 1)  # a busy serial port lost some of it
                    channel.sendall(f"\n{token} {command}\n".encode())
                    continue
                if begin in received + part:
                    channel.settimeout(timeout_s + 1)
                if not part:
                    raise RuntimeError(f"{self.name} closed its serial port")
                received += part
        output, _, status = received.partition(begin)[2].partition(end)
        return int(status.split()[0]), output.decode(errors="replace").lstrip("\r\n")

    def must(self, command, timeout_s=60):
        status, output = self.exec(command, timeout_s)
        if status != 0:
            raise RuntimeError(f"{self.name}: {command}: {status}: {output}")
        return output

    def write(self, disk, size_bytes, block_bytes=65536):
        """Writes exactly so many bytes, a multiple of the block."""
        self.must(f"exact write /dev/{disk} {block_bytes} {size_bytes // block_bytes}")

    def read(self, disk, size_bytes, block_bytes=65536):
        self.must(f"exact read /dev/{disk} {block_bytes} {size_bytes // block_bytes}")

    def transmit(self, payload_bytes, count):
        """The NIC then counts payload + 42 bytes a datagram (UDP, IP and Ethernet headers)."""
        self.must(f"exact udp {PEER} {payload_bytes} {count}")

    def receive(self, bridge, frame_bytes, count):
        """Frames of so many bytes, headers included, from the host."""
        self.inject(bridge, ETHERTYPE_EXPERIMENTAL.ljust(frame_bytes - 12, b"\0"), count)

    def inject(self, bridge, content, count):
        """Frames from the host; content: the ethertype and what it is of."""
        frame = bytes.fromhex((self.about["mac"] + PEER_MAC).replace(":", "")) + content
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((bridge, 0))
            for i in range(count):
                wire.send(frame)
                if i % 32 == 31:
                    time.sleep(0.005)  # or the tap's queue would drop some

    def virsh(self, command, *words):
        return virsh(command, self.name, *words)

    def wait_ready(self):
        wait_until(self.is_ready, f"{self.name} is ready", BOOT_S)

    def start(self):
        """Begins a new run of a guest that is defined."""
        self.forget_console()
        self.virsh("start")
        quiet(self.nic())

    def forget_console(self):
        """What it said before; libvirt empties the file only when QEMU starts."""
        if self.file("console").exists():
            os.truncate(self.file("console"), 0)

    def wake(self):
        try:
            os.kill(self.pid(), signal.SIGCONT)
        except (OSError, ValueError):
            pass


class Lab:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.state_file = self.directory / "state.json"
        self.state = {"guests": [], "bridge": None, "started": {"processes": []}}
        if self.state_file.exists():
            self.state = json.loads(self.state_file.read_text())
        self.guests = [Guest(self.directory, about) for about in self.state["guests"]]

    def save(self):
        text = json.dumps(self.state, indent=1)
        self.state_file.with_suffix(".new").write_text(text)
        self.state_file.with_suffix(".new").rename(self.state_file)

    def guest(self, name):
        for number, guest in enumerate(self.guests, 1):
            if name in (guest.name, str(number)):
                return guest
        raise RuntimeError(f"there is no guest {name}")

    def make_bridge(self):
        if self.state["bridge"]:
            return
        present = os.listdir("/sys/class/net")
        name = next(f"kanyun{i}" for i in range(1000) if f"kanyun{i}" not in present)
        self.state["bridge"] = name
        self.save()
        image.run("ip", "link", "add", name, "address", PEER_MAC, "type", "bridge",
                  "mcast_snooping", "0")
        quiet(name)
        pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("0")
        image.run("ip", "link", "set", name, "up")

    def add_guest(self, number):
        taken = virsh("list", "--all", "--name").split()
        name = f"instance-{number:08x}"
        while name in taken:
            number += 0x1000
            name = f"instance-{number:08x}"
        index = len(self.guests) + 1
        about = {"name": name, "uuid": str(uuid.uuid4()), "display_name": f"demo-{index}",
                 "memory_mib": MEMORY_MIB, "mac": f"52:54:00:6b:79:{index:02x}",
                 "address": f"198.18.77.{10 + index}", "user_id": uuid.uuid4().hex,
                 "project_id": uuid.uuid5(uuid.NAMESPACE_DNS, "demo-project").hex,
                 "image_id": str(uuid.uuid4()), "port_id": str(uuid.uuid4())}
        self.state["guests"].append(about)
        self.guests.append(Guest(self.directory, about))
        self.save()
        return self.guests[-1]

    def prepare(self, guest):
        """Its disks and its XML; gives the path of that."""
        with open(guest.file("raw"), "wb") as disk:
            disk.truncate(DISK_BYTES)
        image.run("qemu-img", "create", "-q", "-f", "qcow2", guest.file("qcow2"), str(DISK_BYTES))
        text = (image.HERE / "domain.xml").read_text().format(
            **guest.about, kernel=self.directory / "vmlinuz",
            initramfs=self.directory / "initramfs", directory=self.directory,
            bridge=self.state["bridge"], peer=PEER, peer_mac=PEER_MAC)
        guest.file("xml").write_text(text)
        return guest.file("xml")

    def boot(self, guest):
        virsh("create", str(self.prepare(guest)))
        quiet(guest.nic())

    def define(self, change=lambda text: text):
        """One more guest, which is defined and off; change() is given its XML."""
        guest = self.add_guest(len(self.guests) + 1)
        path = self.prepare(guest)
        path.write_text(change(path.read_text()))
        virsh("define", str(path))
        return guest

    def remove(self, guest):
        """Whatever became of it."""
        guest.wake()
        for command in (["destroy", guest.name], ["undefine", guest.name, "--managed-save",
                                                  "--snapshots-metadata"]):
            subprocess.run(["virsh", "-q", "-c", daemons.URI, *command],
                           stderr=subprocess.DEVNULL, check=False)
        pathlib.Path(f"/var/log/libvirt/qemu/{guest.name}.log").unlink(missing_ok=True)
        self.state["guests"].remove(guest.about)
        self.guests.remove(guest)
        self.save()

    def up(self, count, say=lambda text: None):
        os.umask(0o022)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "serial").mkdir(exist_ok=True)
        for directory in (self.directory, self.directory / "serial"):
            directory.chmod(0o711)  # QEMU is another user
        self.save()
        say("kernel and initramfs")
        store = pathlib.Path(os.environ.get("KANYUN_LAB_KERNEL") or self.directory / "kernel")
        shutil.copy(image.fetch_kernel(store), self.directory / "vmlinuz")
        image.build_initramfs(self.directory, store)
        try:
            daemons.start(self.state["started"], self.directory)
        finally:
            self.save()
        self.make_bridge()
        new = [self.add_guest(n) for n in range(len(self.guests) + 1, count + 1)]
        for guest in new:
            say(f"boots {guest.name}")
            self.boot(guest)
        for guest in new:
            guest.wait_ready()

    def down(self):
        for guest in list(self.guests):
            self.remove(guest)
        daemons.stop(self.state["started"])
        if self.state["bridge"]:
            subprocess.run(["ip", "link", "delete", self.state["bridge"]],
                           stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


def quiet(interface):
    """No IPv6 on it: a new interface's announcements would be counted."""
    path = pathlib.Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
    if path.exists():
        path.write_text("1")


def list_guests(lab):
    for guest in lab.guests:
        print(guest.name, guest.uuid, guest.pid(), guest.nic())


def exec_in(lab, name, *words):
    status, output = lab.guest(name).exec(" ".join(words))
    sys.stdout.write(output)
    return status


def main(arguments):
    verb = arguments[0] if arguments else "--help"
    directory = os.environ.get("KANYUN_LAB")
    if verb not in ("up", "down", "list", "exec", "send"):
        print(__doc__)
        return 0 if verb in ("-h", "--help") else 2
    if not directory and verb != "up":
        print("lab.py: KANYUN_LAB is not set", file=sys.stderr)
        return 2
    lab = Lab(directory or tempfile.mkdtemp(prefix="kanyun-lab.", dir="/var/tmp"))
    if verb == "up":
        print(f"KANYUN_LAB={lab.directory}", flush=True)
        lab.up(int(arguments[1]) if len(arguments) > 1 else 2, lambda text: print(text, flush=True))
    elif verb == "down":
        lab.down()
    elif verb == "list":
        list_guests(lab)
    elif verb == "exec":
        return exec_in(lab, *arguments[1:])
    else:
        lab.guest(arguments[1]).receive(lab.state["bridge"], *map(int, arguments[2:4]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"lab.py: {error}", file=sys.stderr)
        sys.exit(1)
