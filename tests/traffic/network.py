# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A compute host's network in namespaces of its own: taps on a bridge, guests behind them, an
outside and an internal neighbour; senders of known amounts, and a capture that knows nothing of
kanyun.

A namespace is a file descriptor: it has no name, and ends with the tests. The tests themselves and
the programs that they start are in the host's. Nothing here resolves addresses, so that all packets
from and to the guests' addresses are those that were sent on purpose."""

import ctypes
import ipaddress
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import threading

from harness import TIMEOUT, until

# The default of [traffic] internal.
INTERNAL = [ipaddress.ip_network(text) for text in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "224.0.0.0/4",
    "255.255.255.255/32", "fc00::/7", "fe80::/10", "ff00::/8")]
OUTSIDE, OUTSIDE6 = "203.0.113.9", "2001:db8:f::9"
NEIGHBOUR, NEIGHBOUR6 = "10.9.0.9", "fd00:9::9"
TAPS = {"vnet-a": ("10.0.0.2", "10.0.0.4", "2001:db8::2"),
        "vnet-b": ("10.0.0.3", "2001:db8::3")}
NOBODY = "10.0.0.99"

MTU = 1500
PORT = 5000
BATCH_BYTES = 32768  # that a socket certainly holds
MARKER = 0x88b5  # an ethertype for experiments

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def own_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


class Namespace:
    """with namespace: what is opened and started there belongs to it for ever."""

    def __init__(self):
        self.homes = threading.local()  # each thread is in a namespace of its own
        home = own_namespace()
        call(LIBC.unshare, CLONE_NEWNET)
        self.fd = own_namespace()
        call(LIBC.setns, home, CLONE_NEWNET)
        os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self.ip("link set lo up")

    def __enter__(self):
        self.homes.stack = [*getattr(self.homes, "stack", ()), own_namespace()]
        call(LIBC.setns, self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *unused):
        home = self.homes.stack.pop()
        call(LIBC.setns, home, CLONE_NEWNET)
        os.close(home)

    def close(self):
        os.close(self.fd)

    def run(self, *command, text=None):
        """Gives its output."""
        with self:
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, text, done.stderr)
        return done.stdout

    def ip(self, *lines):
        self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def socket(self, *kind):
        with self:
            opened = socket.socket(*kind)
        opened.settimeout(TIMEOUT)
        return opened


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(namespace, kind, address, port=0):
    """A socket with that source, whoever the address belongs to."""
    opened = namespace.socket(family(address), kind)
    if ":" in address:
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, port))
    return opened


class Place:
    """A namespace that has one device, eth0, at the bridge."""

    def __init__(self, host, number, port, addresses):
        self.host, self.port, self.addresses = host, port, addresses
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.namespace = Namespace()
        self.known = []
        self.plug()

    def plug(self):
        """A new device for it, as of a guest that begins."""
        self.host.ip(
            f"link add {self.port} type veth peer name eth0 netns {self.namespace.path}",
            f"link set {self.port} addrgenmode none master br0 up")
        self.namespace.ip(
            f"link set eth0 address {self.mac} addrgenmode none mtu {MTU} up",
            *(f"addr add {each} dev eth0 nodad" for each in self.addresses),
            "route add 0.0.0.0/0 dev eth0", "route add ::/0 dev eth0")
        self.resolve(self.known)
        for namespace, device in (self.host, self.port), (self.namespace, "eth0"):
            offloads(namespace, device, False)
        until(self.is_up, f"{self.port} is up")

    def is_up(self):
        """The kernel is a while about it, and drops packets meanwhile."""
        inner, outer = link(self.namespace, "eth0"), link(self.host, self.port)
        return inner["operstate"] == outer["operstate"] == "UP" and \
            outer["linkinfo"]["info_slave_data"]["state"] == "forwarding"

    def unplug(self):
        self.host.ip(f"link delete {self.port}")

    def resolve(self, known):
        """known: (address, mac) of everybody."""
        self.known = known
        self.namespace.ip("link show eth0", *(
            f"neigh replace {address} lladdr {mac} dev eth0 nud permanent"
            for address, mac in known if mac != self.mac))

    def mark(self, text):
        """Sends a frame that is no IP."""
        with self.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind(("eth0", 0))
            wire.send(marker(text))


def marker(text):
    return b"\xff" * 6 + b"\x02" + b"\0" * 5 + struct.pack(">H", MARKER) + text.encode()


def link(namespace, device):
    return json.loads(namespace.run("ip", "-j", "-d", "link", "show", device))[0]


def offloads(namespace, device, are_on):
    """Whether segments are joined into large packets."""
    state = "on" if are_on else "off"
    namespace.run("ethtool", "-K", device, "tso", state, "gso", state, "gro", state)


class Network:
    """Made in a namespace that is the host's."""

    def __init__(self):
        self.host = Namespace()
        self.host.ip("link add br0 address 02:00:00:00:00:fe type bridge mcast_snooping 0",
                     "link set br0 addrgenmode none up")
        self.guests = {}
        for number, (tap, addresses) in enumerate(TAPS.items(), 1):
            self.guests[tap] = Place(self.host, number, tap, addresses)
        self.outside = Place(self.host, 11, "uplink", (OUTSIDE, OUTSIDE6))
        self.neighbour = Place(self.host, 12, "inner", (NEIGHBOUR, NEIGHBOUR6))
        self.places = [*self.guests.values(), self.outside, self.neighbour]
        known = [(address, place.mac) for place in self.places for address in place.addresses]
        known.append((NOBODY, self.guests["vnet-a"].mac))
        for place in self.places:
            place.resolve(known)

    def __enter__(self):
        self.host.__enter__()
        return self

    def __exit__(self, *unused):
        self.host.__exit__()
        for place in self.places:
            place.namespace.close()
        self.host.close()

    def offloads(self, are_on):
        for place in self.places:
            offloads(self.host, place.port, are_on)
            offloads(place.namespace, "eth0", are_on)

    def route(self):
        """From here on the outside is reached through the host's routing, not at the bridge."""
        with self.host:
            for version in ("ipv4", "ipv6"):
                pathlib.Path(f"/proc/sys/net/{version}/conf/all/forwarding").write_text("1")
        bridge, uplink = (link(self.host, name)["address"] for name in ("br0", "uplink"))
        self.host.ip("link set uplink nomaster", *(
            line for place, device in ((self.outside, "uplink"), *(
                (guest, "br0") for guest in self.guests.values()))
            for address in place.addresses for line in (
                f"route add {address} dev {device}",
                f"neigh replace {address} lladdr {place.mac} dev {device} nud permanent")))
        for guest in self.guests.values():
            guest.resolve([(address, bridge) for address in self.outside.addresses])
        self.outside.resolve([(address, uplink) for guest in self.guests.values()
                              for address in guest.addresses])

    def place_of(self, address):
        return next(place for place in self.places if address in place.addresses)

    # Senders. All of it has passed the taps when they return; they give the bytes of the IP packets
    # in each direction, where that is known beforehand.

    def udp(self, source, target, size, count=1, place=None):
        """Datagrams; place: who sends, if the source is not its own."""
        sender = place or self.place_of(source)
        with bound(sender.namespace, socket.SOCK_DGRAM, source) as wire, \
                bound(self.place_of(target).namespace, socket.SOCK_DGRAM, target, PORT) as sink:
            most = max(1, BATCH_BYTES // (size + 1024))
            for first in range(0, count, most):
                batch = min(most, count - first)
                for _ in range(batch):
                    wire.sendto(bytes(size), (target, PORT))
                for _ in range(batch):
                    assert len(sink.recv(65536)) == size
        return count * udp_bytes(size, target)

    def ping(self, source, target, size, count=1):
        """Echoes; as much comes back."""
        is_six = ":" in target
        protocol = socket.IPPROTO_ICMPV6 if is_six else socket.IPPROTO_ICMP
        request, reply = (128, 129) if is_six else (8, 0)
        with self.place_of(source).namespace.socket(family(source), socket.SOCK_RAW,
                                                    protocol) as wire:
            wire.bind((source, 0))
            for number in range(count):
                message = struct.pack(">BBHHH", request, 0, 0, 77, number) + bytes(size)
                wire.sendto(with_checksum(message), (target, 0))
                received = b"\xff"
                while received[0] != reply:
                    received = wire.recv(65536)[0 if is_six else 20:]
                assert len(received) == len(message)
        return count * (size + 8 + (40 if is_six else 20))

    def tcp(self, source, target, size, back=0):
        """A connection with so many bytes in each direction."""
        listener = bound(self.place_of(target).namespace, socket.SOCK_STREAM, target, PORT)
        listener.listen(1)
        client = bound(self.place_of(source).namespace, socket.SOCK_STREAM, source)
        client.connect((target, PORT))
        server, _ = listener.accept()
        listener.close()
        server.settimeout(TIMEOUT)
        sender = threading.Thread(target=client.sendall, args=(bytes(size),))
        sender.start()
        drain(server, size)
        sender.join()
        sender = threading.Thread(target=server.sendall, args=(bytes(back),))
        sender.start()
        drain(client, back)
        sender.join()
        # One after the other, so that the last packet is known to have passed.
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
        server.close()
        assert client.recv(1) == b""
        client.close()


def drain(stream, size):
    while size:
        part = len(stream.recv(min(size, 1 << 20)))
        assert part
        size -= part


def with_checksum(message):
    """An ICMP message; of ICMPv6 the kernel does it anew."""
    words = struct.unpack(f">{(len(message) + 1) // 2}H", message + bytes(len(message) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return message[:2] + struct.pack(">H", ~total & 0xffff) + message[4:]


def udp_bytes(size, address):
    """The IP packets of a datagram, with those that it is cut into."""
    header, extra = (40, 8) if ":" in address else (20, 0)
    left = size + 8
    if left + header <= MTU:
        return left + header
    part = (MTU - header - extra) // 8 * 8
    return left + -(-left // part) * (header + extra)


def is_internal(address):
    return any(address in network for network in INTERNAL)


class Oracle:
    """Sums the lengths in the IP headers of all packets at the taps."""

    KINDS = ("external in", "external out", "internal in", "internal out")

    def __init__(self, network):
        self.network = network
        self.bytes, self.packets = {}, {}
        self.marks = set()
        self.mark_count = 0
        self.captures = []
        self.changed = threading.Condition()
        self.kinds = {}
        for tap in network.guests:
            self.watch(tap)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for wire, thread, ending in self.captures:
            os.eventfd_write(ending, 1)
            thread.join()
            wire.close()
            os.close(ending)

    def watch(self, tap):
        """From now on; once more for a tap that is a new device."""
        wire = self.network.host.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        wire.bind((tap, ETH_P_ALL))
        ending = os.eventfd(0)
        thread = threading.Thread(target=self.capture, args=(tap, wire, ending), daemon=True)
        self.captures.append((wire, thread, ending))
        thread.start()

    def capture(self, tap, wire, ending):
        while True:
            ready, _, _ = select.select([wire, ending], [], [])
            if wire not in ready:
                return
            try:
                frame, (_, _, kind, _, _) = wire.recvfrom(128)
            except OSError:
                continue  # the device is gone; what it captured is still there
            with self.changed:
                self.take(tap, frame, kind == socket.PACKET_OUTGOING)

    def take(self, tap, frame, is_in):
        ethertype = int.from_bytes(frame[12:14], "big")
        if ethertype == MARKER:
            self.marks.add((tap, is_in, frame[14:].split(b"\0")[0]))
            self.changed.notify_all()
            return
        if ethertype == 0x0800:
            size, addresses = int.from_bytes(frame[16:18], "big"), (frame[26:30], frame[30:34])
        elif ethertype == 0x86dd:
            size, addresses = 40 + int.from_bytes(frame[18:20], "big"), (frame[22:38], frame[38:54])
        else:
            return
        there, here = addresses if is_in else reversed(addresses)
        key = (tap, here, self.is_inside(there), is_in)
        self.bytes[key] = self.bytes.get(key, 0) + size
        self.packets[key] = self.packets.get(key, 0) + 1

    def is_inside(self, address):
        if address not in self.kinds:
            self.kinds[address] = is_internal(ipaddress.ip_address(address))
        return self.kinds[address]

    def drain(self, *taps):
        """Until all that was sent before is captured, and nothing was missed."""
        self.mark_count += 1
        text = str(self.mark_count)
        for tap in taps or self.network.guests:
            self.network.guests[tap].mark(text)
            with self.network.host.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
                wire.bind((tap, 0))
                wire.send(marker(text))
            for is_in in (True, False):
                with self.changed:
                    assert self.changed.wait_for(
                        lambda tap=tap, is_in=is_in: (tap, is_in, text.encode()) in self.marks,
                        TIMEOUT), f"the marker at {tap}"
        for wire, _, _ in self.captures:
            _, dropped = struct.unpack("II", wire.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            assert dropped == 0

    def sums(self, tap, address, of=None):
        """Bytes: external in, out, internal in, out."""
        packed = ipaddress.ip_address(address).packed
        with self.changed:
            return tuple((of or self.bytes).get((tap, packed, is_inside, is_in), 0)
                         for is_inside in (False, True) for is_in in (True, False))

    def wait_packets(self, tap, address, expected):
        """Until so many of the four kinds passed; for what nobody receives."""
        until(lambda: self.sums(tap, address, self.packets) == expected, "packets at the tap")
