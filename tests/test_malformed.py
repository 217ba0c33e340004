# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""10,000 malformed messages between valid ones: nothing valid is lost, each kind is counted, and
the server's memory does not grow.

Mutations are seeded, so that a failure comes again. Those whose refusal is certain are counted by
kind; random damage to bytes may leave a message valid, and must only do no harm.
"""

import json
import random
import time

import zmq

from harness import CONTEXT, Peer, TIMEOUT, until

MALFORMED = 10_000
VALID_EVERY = 5
UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"
VICTIM = "00000000-0000-4000-8000-000000000001"
HUGE = "9" * 400


def valid(instance, time_ms, value):
    return {"host": "h1", "readings": [{
        "uuid": instance, "time": time_ms, "epoch": "h1/b/1/2",
        "data": [["cpu", "total", [value]], ["nic", "vnet0", [value, value + 1], "if7"]]}]}


def text(value):
    return json.dumps(value, separators=(",", ":"))


def victim(**changes):
    """A reading of the victim with other fields."""
    message = valid(VICTIM, int(time.time() * 1000), 1)
    message["readings"][0].update(changes)
    return text(message).encode()


def with_data(*data):
    return victim(data=list(data))


def replaced(word):
    """The reading's CPU time replaced by a word that json.dumps would not write."""
    return with_data(["cpu", "total", ["WORD"]]).replace(b'"WORD"', word.encode())


ENVELOPE = b'{"worker":"w","spool":"s","seq":1,"oldest":1}'

# kind -> frames that are refused as that kind for certain
CERTAIN = {
    "frames": [
        lambda rng: [b"3"],
        lambda rng: [b""],
        lambda rng: [b"3", victim(), ENVELOPE, b"{}"],
        lambda rng: [b"3"] + [b"x"] * rng.randrange(4, 40),
        lambda rng: [bytes([rng.choice(b"456789abc \x00\xff")]), victim()],
        lambda rng: [b"33", victim()],
    ],
    "size": [
        lambda rng: [b"3", b" " * (1024 * 1024 + 1 + rng.randrange(1000))],
    ],
    "json": [
        lambda rng: [b"3", b""],
        lambda rng: [b"3", b"not JSON"],
        lambda rng: [b"3", victim()[:-rng.randrange(1, 60)]],
        lambda rng: [b"3", victim() + b"}"],
        lambda rng: [b"3", b"[" * rng.randrange(3000, 100_000)],
        lambda rng: [b"3", b'{"a":' * rng.randrange(3000, 20_000) + b"1"],
        lambda rng: [b"3", b'{"i\xff\xfe": [["cpu", "total", [1332400088, 5]]]}'],
        lambda rng: [b"3", b'{"a\xed\xa0\x80": 1}'],
        lambda rng: [b"3", b'{"a": 1, "a": 1}'],
        lambda rng: [b"3", replaced("NaN")],
        lambda rng: [b"3", replaced("-Infinity")],
        lambda rng: [b"3", replaced("01")],
        lambda rng: [b"0", b'["w", NaN, 1]'],
        # The old grammar, in which a text of JSON is an object or an array.
        lambda rng: [b"3", rng.choice([b"1", b'"text"', b"null", b"true"])],
    ],
    "shape": [
        lambda rng: [b"3", b"[]"],
        lambda rng: [b"0", rng.choice([b"{}", b"[]", b'["w"]', b'["w", 1]'])],
        lambda rng: [b"3", b'{"instance-00000001": 7}'],
        lambda rng: [b"2", b'{"instance-00000001": ["10.0.0.2", 1332409327]}'],
        lambda rng: [b"3", b'{"i": [["nic", "vnet0", [1332400088, 1]]]}'],
        lambda rng: [b"3", victim(data={"cpu": 1})],
        lambda rng: [b"3", with_data(["cpu", "total", 5])],
        lambda rng: [b"3", with_data(5)],
    ],
    "number": [
        lambda rng: [b"3", replaced(HUGE)],
        lambda rng: [b"3", replaced("1e999")],
        lambda rng: [b"3", replaced("9223372036854775808")],
        lambda rng: [b"3", replaced("-1")],
        lambda rng: [b"3", replaced("1.5")],
        lambda rng: [b"3", replaced(rng.choice(['"x"', '""', '"1 "', '"0x10"', "{}", "true"]))],
        lambda rng: [b"3", replaced('"' + HUGE + '"')],
        lambda rng: [b"3", victim(time="soon")],
        lambda rng: [b"3", victim(segment=-1)],
        lambda rng: [b"0", b'["w", "noon", 1]'],
        lambda rng: [b"2", b'{"i": ["10.0.0.2", 1332409327, "many"]}'],
    ],
    "time": [
        lambda rng: [b"3", victim(time=rng.choice([0, 1, 10**11, 4 * 10**15, 2**62]))],
        lambda rng: [b"3", victim(time=int(time.time() * 1000) + 2 * 86_400_000)],
        lambda rng: [b"2", b'{"i": ["10.0.0.2", 0, 5]}'],
        lambda rng: [b"3", b'{"i": [["cpu", "total", [99999999999, 5]]]}'],
    ],
    "name": [
        lambda rng: [b"3", victim(uuid="not-a-uuid")],
        lambda rng: [b"3", with_data(["disk", "vda", [1]])],
        lambda rng: [b"3", with_data(["cpu", "", [1]])],
        lambda rng: [b"3", with_data(["nic", "n" * 5000, [1]])],
        lambda rng: [b"3", victim(epoch="e" * 5000)],
        lambda rng: [b"0", b'["", 1332400088, 1]'],
        lambda rng: [b"0", text(["w" * 5000, 1332400088, 1]).encode()],
        lambda rng: [b"2", b'{"i": ["no address", 1332409327, 1]}'],
        lambda rng: [b"3", b'{"": [["cpu", "total", [1332400088, 5]]]}'],
        lambda rng: [b"3", b'{"a\\u0007b": [["cpu", "total", [1332400088, 5]]]}'],
    ],
    "envelope": [
        lambda rng: [b"3", victim(), rng.choice([b"{}", b"[]", b'{"worker":1}'])],
        lambda rng: [b"3", victim(), b'{"worker":"w","spool":"s","seq":0,"oldest":0}'],
        lambda rng: [b"3", victim(), b'{"worker":"w","spool":"s","seq":1,"oldest":2}'],
        lambda rng: [b"3", victim(), b'{"worker":"w","spool":"s","seq":-1,"oldest":1}'],
        lambda rng: [b"3", victim(), b'{"worker":"w\\u0007","spool":"s","seq":1,"oldest":1}'],
    ],
}


def damaged(rng):
    """Random damage to the bytes of a valid message about the victim."""
    body = bytearray(victim())
    for _ in range(rng.randrange(1, 12)):
        at = rng.randrange(len(body))
        what = rng.randrange(4)
        if what == 0:
            body[at] = rng.randrange(256)
        elif what == 1:
            del body[at:at + rng.randrange(1, 20)]
        elif what == 2:
            body[at:at] = body[rng.randrange(len(body)):][:rng.randrange(1, 30)]
        else:
            body[at:at] = rng.choice([b"\x00", b"\xff", b"[[[[", b"1e9999", b"null", b'"'])
        if not body:
            body = bytearray(b"{")
    return [b"3", bytes(body)]


class Traffic:
    """Malformed messages, and after every few of them a valid one of which all must be kept."""

    def __init__(self, server):
        self.server = server
        self.peer = Peer(server)
        self.rng = random.Random(20120322)
        self.base = int(time.time()) * 1000 - 3_600_000
        self.expected = dict.fromkeys(CERTAIN, 0)
        self.sent = self.valid = 0

    def send_malformed(self):
        kinds = list(CERTAIN)
        weights = [1 if kind == "size" else 10 for kind in kinds]
        if self.rng.random() < 0.3:
            frames = damaged(self.rng)
        else:
            kind = self.rng.choices(kinds, weights)[0]
            frames = self.rng.choice(CERTAIN[kind])(self.rng)
            self.expected[kind] += 1
        self.peer.push.send_multipart(frames)
        self.sent += 1

    def send_until(self, count):
        while self.sent < count:
            self.send_malformed()
            if self.sent % VALID_EVERY == 0:
                self.peer.send_enveloped(
                    "3", valid(UUID, self.base + self.valid * 100, self.valid))
                self.valid += 1
        self.peer.wait_ack(self.valid)
        self.server.wait_counter("received", self.sent + self.valid)


def send_100_mb(server):
    """The peer is cut off, and nobody else is."""
    before = server.counters()["disconnected"]
    with CONTEXT.socket(zmq.PUSH) as push:
        push.linger = 0
        push.sndtimeo = TIMEOUT * 1000
        push.connect(server.endpoints["pull"])
        push.send_multipart([b"3", b"[" + b"1," * (50 * 1000 * 1000) + b"1]"])
        until(lambda: server.counters()["disconnected"] > before, "the peer is cut off")


def test_ten_thousand_malformed_messages(server):
    traffic = Traffic(server)
    with traffic.peer:
        traffic.send_until(1000)
        send_100_mb(server)
        traffic.send_until(2000)
        early_kib = server.rss_kib()
        traffic.send_until(MALFORMED)
        late_kib = server.rss_kib()

    samples = [(traffic.base + i * 100, i) for i in range(traffic.valid)]
    assert server.scan(UUID, "cpu") == {("total", "h1/b/1/2", 0): samples}
    assert server.scan(UUID, "nic")[("vnet0", "h1/b/1/2", 0)] == samples
    counters = server.counters()
    for kind, count in traffic.expected.items():
        assert counters[f"refused_{kind}"] >= count, (kind, count, counters)
    assert counters["unavailable"] == 0
    print(f"RSS {early_kib} KiB after 2,000, {late_kib} KiB after {MALFORMED}; {counters}")
    assert late_kib < early_kib * 1.25 + 8 * 1024
    assert len(server.lines) < 500, "log lines are not limited"


def test_each_kind_is_counted_and_named_in_the_log(server):
    rng = random.Random(1)
    with Peer(server) as peer:
        for kind, makers in CERTAIN.items():
            for make in makers:
                before = server.counters()
                frames = make(rng)
                peer.push.send_multipart(frames)
                after = server.wait_counter("received", before["received"] + 1)
                until(lambda: server.counters()[f"refused_{kind}"] ==
                      before[f"refused_{kind}"] + 1, f"{frames[:2]!r:.120} counted as {kind}", 5)
                others = [name for name in after if name.startswith("refused_") and
                          name != f"refused_{kind}" and after[name] != before[name]]
                assert not others, (frames, kind, others)
            server.wait_line(f"refused \\({kind}\\): .*; the valid rest is kept")
    assert VICTIM not in server.instances() or \
        len(server.instances()) == 1, "only what was valid of the victim is kept"


def test_the_valid_rest_of_a_message_is_kept(server):
    now = int(time.time() * 1000)
    message = valid(UUID, now, 5)
    message["readings"].insert(0, {"uuid": "nobody"})
    message["readings"].append(7)
    message["readings"][1]["data"] += [["nic", "vnet1", [-1, 8]], ["disk", "x", [1]], 3]
    with Peer(server) as peer:
        peer.wait_ack(peer.send_enveloped("3", message))
        peer.send("3", {"a": [["cpu", "total", [1332400088, 5]], ["cpu", "total", ["x", 5]], []],
                        "": 1, "b": ("10.0.0.2", 1332409327, "1"), "c": None})
        server.wait_counter("stored", 6)
    assert server.scan(UUID, "cpu") == {("total", "h1/b/1/2", 0): [(now, 5)]}
    assert server.scan(UUID, "nic")[("vnet1", "h1/b/1/2", 1)] == [(now, 8)]
    assert set(server.instances()) == {UUID, "a", "b"}
