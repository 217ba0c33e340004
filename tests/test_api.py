# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun-api against a client that was written from the specification, and its arithmetic against a
second, slow one in this file."""

import json
import random
import time

import pytest

from harness import Api, Peer, Questions, Server, until

UUID = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"
OTHER = "7f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"
HOUR = 3600 * 1000


def base_ms():
    """A whole hour, two days ago."""
    return (int(time.time()) // 3600 - 48) * HOUR


class Answers:
    def __init__(self, api):
        self.questions = Questions(api.endpoints["rep"])

    def raw(self, method, **args):
        frames = self.questions.ask_raw(
            [b"msg_type", b"uuid", json.dumps({"method": method, "args": args}).encode()])
        assert frames[:2] == [b"msg_type", b"uuid"] and len(frames) == 3
        answer = json.loads(frames[2])
        assert list(answer) == ["code", "message", "data"]
        return answer

    def __call__(self, method, **args):
        answer = self.raw(method, **args)
        assert answer["code"] == 0 and answer["message"] == "success", answer
        return answer["data"]

    def refused(self, method, **args):
        answer = self.raw(method, **args)
        assert answer["code"] != 0 and answer["data"] is None, answer
        return answer["code"], answer["message"]


@pytest.fixture
def api(server, start):
    port = server.endpoints["rep"].rsplit(":", 1)[1]
    return start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}")


@pytest.fixture
def ask(api):
    return Answers(api)


def reading(time_ms, data, uuid=UUID, epoch="h1/b/1/2", start=None):
    entry = {"uuid": uuid, "time": time_ms, "epoch": epoch, "data": data}
    if start is not None:
        entry["start"] = start
    return entry


def send_readings(server, readings, worker="w1"):
    with Peer(server, worker=worker, spool=worker) as peer:
        sequence = 0
        for begin in range(0, len(readings), 200):
            some = readings[begin:begin + 200]
            times = [each["time"] for each in some]
            sequence = peer.send_enveloped("3", {"host": "h1", "readings": some},
                                           times=[min(times), max(times)], until=max(times))
        peer.wait_ack(sequence)


def send_info(server, uuid, name, host, display_name="", ports=(), worker="infos"):
    with Peer(server, worker=worker + uuid[:4], spool="i" + uuid[:4]) as peer:
        peer.wait_ack(peer.send_enveloped("1", {"host": host, "instances": [
            {"uuid": uuid, "since": base_ms(), "name": name, "display_name": display_name,
             "ports": list(ports)}]}))


# The arithmetic once more, as the design words it, by one sample after the other.

def value_at(epoch, t):
    """C(t) - v0 of (start, samples); a fall begins an epoch at the sample before it, from 0."""
    start, samples = epoch
    points = list(samples)
    if start is not None and start < points[0][0]:
        points.insert(0, (start, 0))
    total = 0
    if start is not None and start >= samples[0][0]:
        total = samples[0][1] if t >= samples[0][0] else 0
    for (t0, v0), (t1, v1) in zip(points, points[1:]):
        if v1 < v0:
            v0 = 0
        if t >= t1:
            total += v1 - v0
        elif t > t0:
            total += (v1 - v0) * (t - t0) // (t1 - t0)
    return total


def model(epochs, begin, end, period, statistic):
    answer = {}
    times = sorted({t for _, samples in epochs for t, _ in samples})
    later = {t for start, samples in epochs
             for i, (t, _) in enumerate(samples) if i or start is not None}
    until_time = {t: sum(value_at(epoch, t) for epoch in epochs) for t in times}
    for bucket in range(begin, end, period):
        last = min(bucket + period, end)
        covered = any((samples[0][0] if start is None else min(start, samples[0][0])) < last and
                      samples[-1][0] >= bucket for start, samples in epochs)
        used = sum(value_at(epoch, last) - value_at(epoch, bucket) for epoch in epochs)
        increments = [until_time[t] - (until_time[times[i - 1]] if i else 0)
                      for i, t in enumerate(times) if bucket <= t < last and t in later]
        key = f"{bucket // 1000}.{bucket % 1000 // 100}"
        if statistic == "sum" and (covered or used):
            answer[key] = used
        elif statistic in ("max", "min") and increments:
            answer[key] = {"max": max, "min": min}[statistic](increments)
        elif statistic == "avg" and increments:
            total = sum(increments)
            answer[key] = total // len(increments) if total % len(increments) == 0 \
                else total / len(increments)
    return answer


def random_epochs(chance, base):
    epochs, at = [], base
    for _ in range(chance.randint(1, 4)):
        start = chance.choice([None, at + chance.randint(0, 30_000)])
        at += chance.randint(30_001, 600_000)
        samples, value = [], chance.randint(0, 10**15)
        for _ in range(chance.randint(1, 40)):
            samples.append((at, value))
            at += chance.choice([60_000, 60_000, chance.randint(1, 400_000)])
            value = chance.randint(0, value) if chance.random() < 0.05 \
                else value + chance.choice([0, 1, chance.randint(0, 10**12)])
        epochs.append((start, samples))
    return epochs


@pytest.mark.parametrize("seed", range(6))
def test_statistics_are_those_of_the_definition(server, ask, seed):
    chance = random.Random(seed)
    base = base_ms()
    epochs = random_epochs(chance, base)
    readings = [reading(t, [["cpu", "total", [v]]], epoch=f"h1/b/{i}/2", start=start)
                for i, (start, samples) in enumerate(epochs) for t, v in samples]
    chance.shuffle(readings)
    send_readings(server, readings)
    end = epochs[-1][1][-1][0]
    for _ in range(12):
        begin = base + chance.randint(-600_000, end - base)
        to = begin + chance.randint(1000, end - base + 600_000)
        period = chance.choice([1, 5, 7, 60])
        for statistic in ("sum", "max", "min", "avg"):
            assert ask("query_usage_report", id=UUID, metric="cpu", metric_param="total",
                       statistic=statistic, period=period, timestamp_from=begin / 1000,
                       timestamp_to=to / 1000) == \
                model(epochs, begin, to, period * 60_000, statistic)


def test_total_of_devices_is_their_sum_at_the_union_of_their_times(server, ask):
    base = base_ms()
    vda = (None, [(base + i * 60_000, i * i * 1000) for i in range(20)])
    vdb = (base - 5000, [(base + 30_000 + i * 90_000, i * 77) for i in range(12)])
    send_readings(server,
                  [reading(t, [["blk", "vda", [v, 0]]], epoch="h1/b/1/2") for t, v in vda[1]] +
                  [reading(t, [["blk", "vdb", [v, 0]]], epoch="h1/b/2/2", start=vdb[0])
                   for t, v in vdb[1]])
    for statistic in ("sum", "max", "min", "avg"):
        assert ask("query_usage_report", id=UUID, metric="blk_read", metric_param="total",
                   statistic=statistic, period=5, timestamp_from=base / 1000,
                   timestamp_to=base / 1000 + 1500) == \
            model([vda, vdb], base, base + 1_500_000, 300_000, statistic)


def test_gauges_are_taken_over_the_samples_of_the_bucket(server, ask):
    base = base_ms()
    values = [5, 9, 2, 8, 8, 1, 7]
    send_readings(server, [reading(base + i * 60_000, [["mem", "total", [131072, v]]])
                           for i, v in enumerate(values)])
    first, second = f"{base // 1000}.0", f"{base // 1000 + 300}.0"

    def report(statistic, metric="mem_free", parameter="total"):
        return ask("query_usage_report", id=UUID, metric=metric, metric_param=parameter,
                   statistic=statistic, period=5, timestamp_from=base // 1000,
                   timestamp_to=base // 1000 + 900)

    assert report("sum") == {first: 32, second: 8}
    assert report("max") == {first: 9, second: 7}
    assert report("min") == {first: 2, second: 1}
    assert report("avg") == {first: 6.4, second: 4}
    assert report("avg", "mem", "mem_free") == {first: 6.4, second: 4}
    assert report("sam") == {
        first: [[base // 1000 + i * 60, v] for i, v in enumerate(values[:5])],
        second: [[base // 1000 + 300, 1], [base // 1000 + 360, 7]]}


def test_statistics_may_be_numbers(server, ask):
    base = base_ms()
    send_readings(server, [reading(base + i * 60_000, [["cpu", "total", [i * i]]])
                           for i in range(10)])
    names = ["sum", "max", "min", "avg", "sam"]

    def report(statistic):
        return ask("query_usage_report", id=UUID, metric="cpu", statistic=statistic, period=5,
                   timestamp_from=base // 1000, timestamp_to=base // 1000 + 600)

    for number, name in enumerate(names):
        assert report(number) == report(str(number)) == report(name) != {}


# The specification's examples.

def send_old_example(server):
    traffic = [(1332897600 + 60 * i, "2") for i in range(1, 6)]
    with Peer(server) as old:
        for at, kb in traffic:
            old.send("2", {"instance-0000002": ("10.0.0.2", at, kb)})
        old.send("2", {"instance-00000001@pyw.novalocal": [
            ("cpu", "total", (1329739932, 1000)), ("mem", "total", (1329739932, 131072, 131072)),
            ("nic", "vnet0", (1329739932.5, 21795245, 5775663)),
            ("blk", "vda", (1329739932, 474624, 4851712))]})
        old.send("2", {"instance-00000001@pyw.novalocal": [
            ("cpu", "total", (1340194332, 1000 + 34848 * 300))]})
        server.wait_counter("stored", 5 + 7 + 1)


def test_the_specifications_request_is_answered_as_it_says(server, ask):
    send_old_example(server)
    frames = ask.questions.ask_raw([b"msg_type", b"uuid", json.dumps({
        "method": "query_usage_report", "args": {
            "id": "instance-0000002", "metric": "vmnetwork", "metric_param": "10.0.0.2",
            "statistic": "sum", "period": 5, "timestamp_from": "2012-03-28T01:20:00",
            "timestamp_to": "2012-03-28T02:20:00"}}).encode()])
    assert frames == [b"msg_type", b"uuid",
                      b'{"code":0,"message":"success","data":{"1332897600.0":10}}']
    assert ask("query_usage_report", id="instance-0000002", metric="network",
               metric_param="10.0.0.2", statistic="sum", period=5, timestamp_from=1332897600,
               timestamp_to=0) == {"1332897600.0": 10}


def test_four_months_of_five_minutes_are_one_answer(server, ask):
    send_old_example(server)
    answer = ask("query_usage_report", id="instance-00000001@pyw.novalocal", metric="cpu",
                 metric_param="total", statistic="sum", period=5,
                 timestamp_from="2012-02-20T12:12:12", timestamp_to="2012-06-20T12:12:12")
    assert len(answer) == 34848 and set(answer.values()) == {300}


def test_every_metric_of_the_specification_has_its_names(server, ask):
    send_old_example(server)
    expected = {("vnet0", "nic_read"): [[1329739932.5, 21795245]],
                ("vnet0", "nic_incoming"): [[1329739932.5, 21795245]],
                ("vnet0", "nic_write"): [[1329739932.5, 5775663]],
                ("vnet0", "nic_outgoing"): [[1329739932.5, 5775663]],
                ("vda", "blk_read"): [[1329739932, 474624]],
                ("vda", "blk_write"): [[1329739932, 4851712]],
                ("total", "mem_max"): [[1329739932, 131072]],
                ("total", "mem_free"): [[1329739932, 131072]],
                ("mem_free", "mem"): [[1329739932, 131072]],
                ("total", "cpu"): [[1329739932, 1000]]}
    for (parameter, metric), samples in expected.items():
        assert ask("query_usage_report", id="instance-00000001", metric=metric,
                   metric_param=parameter, statistic="sam", period=5,
                   timestamp_from="2012-02-20T12:12:12", timestamp_to="2012-02-20T12:17:12") == \
            {"1329739932.0": samples}


def test_readings_and_lists_of_the_old_client(server, ask):
    send_old_example(server)
    assert ask("list_instance", metric="vmnetwork") == ["instance-0000002"]
    assert ask("list_instance", metric="cpu") == ["instance-00000001@pyw.novalocal"]
    assert set(ask("list_instance")) == {"instance-0000002", "instance-00000001@pyw.novalocal"}
    assert ask("readings", id="instance-0000002", metric="vmnetwork", metric_param="10.0.0.2") == {
        "vmnetwork": {"10.0.0.2": {str(1332897600 + 60 * i): 2 for i in range(1, 6)}}}
    everything = ask("readings", id="instance-00000001")
    assert everything["mem_max"] == {"total": {"1329739932": 131072}}
    assert everything["nic_incoming"] == {"vnet0": {"1329739932.500": 21795245}}
    assert set(everything["cpu"]["total"]) == {"1329739932", "1340194332"}


# Traffic.

def test_increments_end_where_counters_begin(server, ask):
    base = base_ms()
    with Peer(server) as old:
        for i in range(1, 6):
            old.send("2", {"instance-1": ("10.0.0.9", base // 1000 + 60 * i, "3")})
        server.wait_counter("stored", 5)
    send_info(server, UUID, "instance-1", "h1")
    send_readings(server, [
        reading(base + 240_000, [["vmnetwork", "10.0.0.9", [1024, 1024, 0]]]),
        reading(base + 600_000, [["vmnetwork", "10.0.0.9", [5120, 5120, 0]]])])
    # Increments at 60, 120 and 180 s, 3 KB each; then the counter's 4 KB after its baseline.
    assert ask("query_usage_report", id=UUID, metric="vmnetwork", metric_param="10.0.0.9",
               statistic="sum", period=60, timestamp_from=base // 1000,
               timestamp_to=base // 1000 + 3600) == {f"{base // 1000}.0": 13}


def test_a_nics_name_means_its_addresses_and_total_all(server, ask):
    base = base_ms()
    send_info(server, UUID, "instance-1", "h1", ports=[
        {"nic": "vnet3", "mac": "", "port_id": "", "addresses": ["10.0.0.1", "10.0.0.2"]}])
    rows = [["vmnetwork", f"10.0.0.{i}", [0, 0, 0]] for i in (1, 2, 3)]
    more = [["vmnetwork", f"10.0.0.{i}", [i * 1000, i * 1000, 0]] for i in (1, 2, 3)]
    send_readings(server, [reading(base, rows), reading(base + 60_000, more)])

    def used(parameter):
        return ask("query_usage_report", id=UUID, metric="vmnetwork", metric_param=parameter,
                   statistic="sum", period=5, timestamp_from=base // 1000,
                   timestamp_to=base // 1000 + 60)[f"{base // 1000}.0"]

    assert used("vnet3") == 3000 / 1024
    assert used("total") == 6000 / 1024
    assert used("10.0.0.3") == 3000 / 1024


# Which instance is meant.

def test_an_instance_is_found_by_every_name_it_has(server, ask):
    base = base_ms()
    send_readings(server, [reading(base, [["cpu", "total", [1]]])])
    send_info(server, UUID, "instance-000000ba", "h1", display_name="web")
    for name in (UUID, UUID.replace("-", ""), "instance-000000ba", "instance-000000ba@h1", "web"):
        assert [entry["id"] for entry in ask("instances", id=name)] == [UUID]
    assert ask.refused("instances", id="instance-000000ba@h2")[0] == 404


def test_what_an_old_worker_sent_under_the_name_belongs_to_the_uuid(server, ask):
    base = base_ms()
    with Peer(server) as old:
        old.send("3", {"instance-1@h1": [("cpu", "total", (base // 1000, 100)),
                                         ]})
        old.send("3", {"instance-1@h1": [("cpu", "total", (base // 1000 + 60, 400))]})
        server.wait_counter("stored", 2)
    send_readings(server, [reading(base + 120_000, [["cpu", "total", [1000]]]),
                           reading(base + 180_000, [["cpu", "total", [1007]]])])
    send_info(server, UUID, "instance-1", "h1")
    for name in (UUID, "instance-1", "instance-1@h1"):
        assert ask("query_usage_report", id=name, metric="cpu", statistic="sum", period=60,
                   timestamp_from=base // 1000, timestamp_to=base // 1000 + 3600) == \
            {f"{base // 1000}.0": 307}
    assert ask("usage", id=UUID, metric="cpu", **{"from": base // 1000, "to": base // 1000 + 180}
               )["usages"][0]["complete"] is None


def test_an_ambiguous_name_lists_who_has_it(server, ask):
    base = base_ms()
    send_readings(server, [reading(base, [["cpu", "total", [1]]]),
                           reading(base, [["cpu", "total", [1]]], uuid=OTHER)])
    send_info(server, UUID, "instance-1", "h1", display_name="web")
    send_info(server, OTHER, "instance-2", "h1", display_name="web")
    code, message = ask.refused("usage", id="web", **{"from": base // 1000})
    assert code == 409 and UUID in message and OTHER in message
    assert ask("instances", id="instance-2")[0]["id"] == OTHER


# Errors, and staying alive.

GOOD = {"id": UUID, "metric": "cpu", "metric_param": "total", "statistic": "sum", "period": 5,
        "timestamp_from": 1332897600, "timestamp_to": 1332898600}


@pytest.mark.parametrize("argument,value,code", [
    ("id", None, 400), ("id", 5, 400), ("id", "", 400), ("id", "x" * 2000, 400),
    ("id", "nobody", 404), ("metric", None, 400), ("metric", "speed", 400), ("metric", [], 400),
    ("metric_param", {}, 400), ("statistic", "median", 400), ("statistic", 5, 400),
    ("statistic", -1, 400), ("period", 0, 400), ("period", -5, 400), ("period", "x", 400),
    ("period", 10**12, 400), ("timestamp_from", None, 400), ("timestamp_from", "yesterday", 400),
    ("timestamp_from", 1e300, 400), ("timestamp_from", 1332898600, 400), ("timestamp_to", [], 400)])
def test_an_error_names_the_argument_that_is_wrong(server, ask, argument, value, code):
    send_readings(server, [reading(base_ms(), [["cpu", "total", [1]]])])
    got, message = ask.refused("query_usage_report", **dict(GOOD, **{argument: value}))
    assert got == code and (argument in message or code == 404 and value in message)


def test_no_request_goes_unanswered_or_takes_the_api_down(server, api, ask):
    chance = random.Random(1)
    good = json.dumps({"method": "query_usage_report", "args": GOOD}).encode()
    bodies = [b"", b"null", b"[]", b"{", b'{"method": 5}', b'{"method": "usage", "args": 3}',
              b"[" * 60000, b'"' + b"x" * 60000, b"\xff\xfe", b'{"method": "nonsense"}',
              b'{"method": "' + b"m" * 5000 + b'"}']
    for _ in range(300):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        bodies.append(bytes(body))
    for body in bodies:
        frames = ask.questions.ask_raw([b"t", b"u", body])
        assert frames[:2] == [b"t", b"u"] and "code" in json.loads(frames[2])
    for frames in ([b"t"], [b"t", b"u"], [b"t", b"u", b"{}", b"more"], [b"t" * 1000, b"u", b"{}"]):
        assert json.loads(ask.questions.ask_raw(frames)[-1])["code"] == 400
    assert api.process.poll() is None
    assert ask("instances") == []


def test_without_the_server_the_answer_says_so_and_comes_back_with_it(server, api, start, ask):
    send_readings(server, [reading(base_ms(), [["cpu", "total", [1]]])])
    port = server.endpoints["rep"].rsplit(":", 1)[1]
    assert len(ask("instances")) == 1
    server.stop()
    again = start(Server, f"server.rep_port={port}")
    assert again.endpoints["rep"].endswith(port)
    until(lambda: ask.raw("instances")["code"] == 0, "an answer after the restart")
    assert [entry["id"] for entry in ask("instances")] == [UUID]


# Our own methods.

def kinds(usage):
    return [reason["reason"] for reason in usage["reasons"]]


def minutes(base, states, **columns):
    """One reading a minute: its state, and cpu rising by 600 a minute."""
    return [reading(base + i * 60_000, [["state", "total", [state, columns.get("reason", 1)]]] +
                    ([["cpu", "total", [i * 600]]] if state != 5 else []), start=base)
            for i, state in enumerate(states)]


def test_usage_says_how_well_it_is_known(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1] * 11))

    def usage(begin, end):
        return ask("usage", id=UUID, metric="cpu",
                   **{"from": (base + begin) / 1000, "to": (base + end) / 1000})["usages"][0]

    exact = usage(60_000, 300_000)
    assert (exact["value"], exact["uncertainty"], exact["complete"]) == (2400, 0, True)
    assert exact["coverage"] == 1 and exact["reasons"] == [] and exact["unit"] == "ns"
    edges = usage(90_000, 300_000)
    assert (edges["value"], edges["uncertainty"], edges["complete"]) == (2100, 300, True)
    tail = usage(540_000, 1_200_000)
    assert (tail["value"], tail["uncertainty"], tail["complete"]) == (600, None, False)
    assert tail["reasons"] == [{"reason": "worker-silent", "host": "h1",
                                "since": base / 1000 + 600}]
    assert tail["covered_ms"] == 60_000
    before = usage(-60_000, 60_000)
    assert kinds(before) == ["begin-unmeasured"] and before["coverage"] == 0.5
    assert before["complete"] is True and before["uncertainty"] is None


def test_a_tail_that_nobody_could_read_is_declared(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1, 1, 1, 5]))
    usage = ask("usage", id=UUID, metric="cpu", **{
        "from": base / 1000, "to": base / 1000 + 180})["usages"][0]
    assert (usage["value"], usage["uncertainty"], usage["complete"]) == (1200, None, True)
    assert usage["reasons"] == [{"reason": "tail-unmeasured", "epoch": "h1/b/1/2",
                                 "from": base / 1000 + 120, "to": base / 1000 + 180}]


def test_usage_is_explained_by_samples_and_subtractions(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1] * 5))
    usage = ask("usage", id=UUID, metric="cpu", explain=True, **{
        "from": base / 1000 + 90, "to": base / 1000 + 180})["usages"][0]
    assert usage["explanation"] == [{
        "parameter": "total", "epoch": "h1/b/1/2", "life": "", "segment": 0,
        "start": base / 1000, "usage": 900,
        "from": {"at": base / 1000 + 90, "before": [base / 1000 + 60, 600],
                 "after": [base / 1000 + 120, 1200], "counter": 900},
        "to": {"at": base / 1000 + 180, "before": [base / 1000 + 180, 1800],
               "after": [base / 1000 + 240, 2400], "counter": 1800}}]


def test_usage_is_split_by_project_at_the_moment_it_changed(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1] * 11))
    with Peer(server, worker="infos", spool="infos") as peer:
        for since, project in ((120_000, "p2"), (-5_000, "p1"), (300_000, "p1")):
            peer.wait_ack(peer.send_enveloped("1", {"host": "h1", "instances": [
                {"uuid": UUID, "since": base + since, "name": "i", "project_id": project,
                 "vcpus": 2}]}))

    def usages(metric, **more):
        answer = ask("usage", id=UUID, metric=metric, **more, **{
            "from": base / 1000, "to": base / 1000 + 600})["usages"]
        return {usage.get("project_id"): usage for usage in answer}

    cpu = usages("cpu", by="project")
    assert {name: usage["value"] for name, usage in cpu.items()} == {"p1": 4200, "p2": 1800}
    assert all(usage["complete"] and usage["uncertainty"] == 0 for usage in cpu.values())
    assert usages("cpu")[None]["value"] == 6000
    assert usages("vcpus_time", by="project")["p2"]["value"] == 180_000 * 2
    assert usages("state_time", parameter="running")[None]["value"] == 600_000
    assert ask.raw("usage", id=UUID, by="colour", **{"from": base / 1000})["code"] == 400


def test_what_a_server_refused_is_a_gap_that_hinders_nothing_that_bridges_it(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1] * 4))
    with Peer(server, worker="w1", spool="w1") as peer:
        peer.sequence = 1
        peer.send_enveloped("3", b"not JSON", times=[base + 240_000] * 2, until=base + 240_000)
        peer.wait_ack(peer.send_enveloped(
            "3", {"host": "h1", "readings": minutes(base, [1] * 7)[5:]},
            times=[base + 300_000, base + 360_000], until=base + 360_000))
    usage = ask("usage", id=UUID, metric="cpu", **{
        "from": base / 1000, "to": base / 1000 + 360})["usages"][0]
    assert (usage["value"], usage["uncertainty"], usage["complete"]) == (3600, 0, True)
    records = server.questions.ask("store.records", kind="gap", prefix="h1\x1f")[1]
    assert b"refused" in records


def test_adjacent_windows_add_up(server, ask):
    base = base_ms()
    chance = random.Random(7)
    value, readings = 0, []
    for i in range(60):
        value += chance.randint(0, 10**9)
        readings.append(reading(base + i * 60_000, [["cpu", "total", [value]]], start=base - 7000))
    send_readings(server, readings)
    cuts = sorted(chance.randint(-10_000, 3_600_000) for _ in range(8))

    def used(begin, end):
        return ask("usage", id=UUID, metric="cpu", **{
            "from": (base + begin) / 1000, "to": (base + end) / 1000})["usages"][0]["value"]

    parts = [used(a, b) for a, b in zip(cuts, cuts[1:]) if a < b]
    assert sum(parts) == used(cuts[0], cuts[-1])


def test_series_are_the_samples_as_they_were_read(server, ask):
    base = base_ms()
    send_readings(server, [reading(base + i * 1000, [["nic", "vnet0", [i, 2 * i]]], start=base)
                           for i in range(5)])
    answer = ask("series", id=UUID, metric="nic_outgoing", **{
        "from": base // 1000 + 1, "to": base // 1000 + 4})
    assert answer == {"id": UUID, "metric": "nic_outgoing", "unit": "bytes", "series": [
        {"parameter": "vnet0", "epoch": "h1/b/1/2", "life": "", "segment": 0, "start": base // 1000,
         "samples": [[base // 1000 + i, 2 * i] for i in (1, 2, 3)]}]}


def test_workers_and_status_are_passed_on(server, ask):
    with Peer(server) as old:
        old.send("0", ["WORKER1", time.time(), 1])
        server.wait_counter("heartbeats", 1)
    assert [worker["id"] for worker in ask("workers")] == ["WORKER1"]
    assert ask("status")["counters"]["heartbeats"] == 1


def send_projects(server, base, uuid=UUID, name="i",
                  changes=((-5_000, "p1"), (120_000, "p2"), (300_000, "p1"))):
    """Whose the instance was, from when on."""
    with Peer(server, worker="infos" + uuid[:4], spool="infos" + uuid[:4]) as peer:
        for since, project in changes:
            peer.wait_ack(peer.send_enveloped("1", {"host": "h1", "instances": [
                {"uuid": uuid, "since": base + since, "name": name, "project_id": project,
                 "flavor_name": "f" + project, "vcpus": 2}]}))


def test_steps_add_up_and_each_is_what_its_own_window_answers(server, ask):
    base = base_ms()
    chance = random.Random(8)
    value, readings = 0, []
    for i in range(60):
        value += chance.randint(0, 10**9)
        readings.append(reading(base + i * 60_000, [["cpu", "total", [value]], [
            "mem", "total", [1 << 20, chance.randint(0, 1 << 20)]]], start=base))
    send_readings(server, readings)
    window = {"from": base // 1000 + 100, "to": base // 1000 + 2000}
    metrics = ["cpu", "mem_free"]
    steps = ask("usage", id=UUID, metric=metrics, step=300, **window)["usages"]
    for metric in metrics:
        some = [step for step in steps if step["metric"] == metric]
        assert [step["from"] for step in some] == list(range(window["from"], window["to"], 300))
        assert [step["to"] for step in some] == [
            min(step["from"] + 300, window["to"]) for step in some]
        for step in some:
            [alone] = ask("usage", id=UUID, metric=metric,
                          **{"from": step["from"], "to": step["to"]})["usages"]
            assert alone == {name: step[name] for name in alone}
    whole = ask("usage", id=UUID, metric=metrics, **window)["usages"]
    assert sum(step["value"] for step in steps if "value" in step) == whole[0]["value"]
    assert max(step["max"] for step in steps if "max" in step) == whole[1]["max"]
    assert ask.refused("usage", id=UUID, step=1, **{"from": base // 1000, "to": base // 1000 +
                                                     10_001})[0] == 413


def test_steps_of_projects_are_cut_where_both_begin(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1] * 11))
    send_projects(server, base)
    usages = ask("usage", id=UUID, metric="cpu", by="project", step=240, **{
        "from": base / 1000, "to": base / 1000 + 600})["usages"]
    assert [(u["project_id"], u["from"] - base // 1000, u["value"]) for u in usages] == [
        ("p1", 0, 1200), ("p1", 240, 1800), ("p1", 480, 1200), ("p2", 0, 1200), ("p2", 240, 600)]


def test_by_host_needs_no_states(server, ask):
    """Of collectors that read none, and of old workers, of whom no host is known."""
    base = base_ms()
    for host, first in (("h1", 0), ("h2", 5)):
        with Peer(server, worker=host, spool=host) as peer:
            peer.wait_ack(peer.send_enveloped("3", {"host": host, "readings": [
                reading(base + (first + i) * 60_000, [["cpu", "total", [i * i * 1000]]],
                        epoch=f"{host}/b/1/2", start=base + first * 60_000)
                for i in range(6)]}))
    with Peer(server) as old:
        for i in range(3):
            old.send("2", {"instance-00000009": [
                ("cpu", "total", (base // 1000 + i * 60, i * 700))]})
        server.wait_counter("stored", 12 + 3)
    window = {"metric": "cpu", "from": base / 1000, "to": base / 1000 + 600}

    def used(id, **more):
        return [(usage.get("host"), usage["value"])
                for usage in ask("usage", id=id, **window, **more)["usages"]]

    assert used(UUID) == [(None, 50_000)]
    assert used(UUID, by="host") == [("h1", 25_000), ("h2", 25_000)]
    assert used(UUID, by="host", step=300) == [
        ("h1", 25_000), ("h1", 0), ("h2", 0), ("h2", 25_000)]
    assert used("instance-00000009", by="host") == [("", 1400)] and used(
        "instance-00000009") == [(None, 1400)]


def test_a_question_of_projects_is_about_their_time_only(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1] * 11))
    send_projects(server, base)
    send_projects(server, base, OTHER, "j", ((0, "p3"),))
    window = {"from": base / 1000, "to": base / 1000 + 600}

    def used(*projects, **more):
        usages = ask("usage", id=UUID, metric="cpu", projects=projects, **more, **window)["usages"]
        return [usage["value"] for usage in usages]

    assert used("p1") == [4200] and used("p2") == [1800] and used("p1", "p2") == [6000]
    assert used("p1", by="flavor") == [4200] and used("p2", by="host") == [1800]
    assert ask("usage", id=UUID, projects=["p2"], metric="cpu", **{
        "from": base / 1000, "to": base / 1000 + 60})["usages"] == []
    [series] = ask("series", id=UUID, metric="cpu", projects=["p2"], **window)["series"]
    assert series["samples"] == [[base // 1000 + t, t * 10] for t in (120, 180, 240)]
    assert ask("instances", projects=["p2"])[0]["flavor_name"] == "fp2"
    assert [entry["id"] for entry in ask("instances", projects=["p3"])] == [OTHER]
    for method in ("usage", "series", "instance"):
        for name in (OTHER, "j"):
            code, message = ask.refused(method, id=name, metric="cpu", projects=["p1"], **window)
            assert (code, message) == (404, f"there is no instance '{name}'")
    told = ask("instance", id=UUID, projects=["p2"], **window)
    assert [entry["project_id"] for entry in told["history"]] == ["p2"]
    assert told["project_id"] == "p2"
    for wrong in ("p1", [1], [""], ["p"] * 1001):
        assert ask.refused("usage", id=UUID, projects=wrong, **window)[0] == 400


def test_an_instance_is_told_with_its_history(server, ask):
    base = base_ms()
    send_readings(server, minutes(base, [1, 1, 3, 3, 1, 5]))
    send_projects(server, base)
    told = ask("instance", id="i")
    assert told["id"] == UUID and told["metrics"] == ["cpu", "state"]
    assert [(entry["since"] - base / 1000, entry["project_id"], entry["flavor_name"])
            for entry in told["history"]] == [(-5, "p1", "fp1"), (120, "p2", "fp2"),
                                              (300, "p1", "fp1")]
    assert told["runs"] == [{
        "host": "h1", "epoch": "h1/b/1/2", "begin": base // 1000, "is_begin_known": True,
        "end": base // 1000 + 300, "unseen_from": None}]
    assert [(state["at"] - base // 1000, state["state"]) for state in told["states"]] == [
        (0, "running"), (120, "paused"), (240, "running"), (300, "shutoff")]
    later = ask("instance", id=UUID, **{"from": base / 1000 + 180, "to": base / 1000 + 270})
    assert [state["state"] for state in later["states"]] == ["paused", "running"]


def test_what_there_is_of_an_instance_is_listed_without_samples(server, ask):
    base = base_ms()
    send_readings(server, [reading(base + i * 1000, [
        ["nic", "vnet0", [i, 2 * i]], ["cpu", "total", [i]]], start=base) for i in range(50)])
    window = {"from": base // 1000 + 1, "to": base // 1000 + 40}
    listed = ask("series", id=UUID, samples=False, **window)["series"]
    assert {(each["metric"], each["parameter"]) for each in listed} == {
        ("cpu", "total"), ("nic_incoming", "vnet0"), ("nic_outgoing", "vnet0")}
    assert listed[0] == {"parameter": "total", "epoch": "h1/b/1/2", "life": "", "segment": 0,
                         "start": base // 1000, "metric": "cpu", "unit": "ns", "kind": "counter",
                         "first": base // 1000 + 1, "last": base // 1000 + 39}
    assert len(ask("series", id=UUID, samples=False, metric="cpu", **window)["series"]) == 1


def test_the_table_of_metrics_is_answered(ask):
    metrics = {metric["name"]: metric for metric in ask("metrics")}
    assert metrics["cpu"]["unit"] == "ns" and metrics["cpu"]["kind"] == "counter"
    assert metrics["nic_incoming"]["parameter"] == "NIC" and "state_time" in metrics
