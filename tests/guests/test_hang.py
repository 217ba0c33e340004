# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A QEMU that hangs harms nobody else. With KANYUN_LONG=1 it hangs for two minutes."""

import os
import signal
import subprocess
import time

import pytest

import harness
import metering
from daemons import URI
from harness import until

INTERVAL = 2
ROUNDS = 60 if os.environ.get("KANYUN_LONG") == "1" else 6
ALL = {"cpu", "mem", "nic", "blk", "state"}
WRITTEN = {("blk_write", "vda"): 2 << 20, ("blk_write", "vdb"): 5120,
           ("blk_write", "total"): (2 << 20) + 5120, ("blk_read", "total"): 0}


@pytest.fixture
def receiver():
    with metering.Receiver() as each:
        yield each


@pytest.fixture
def worker(start, receiver, tmp_path, guests):
    program = start(harness.Worker,
                    *metering.worker_options(tmp_path, INTERVAL, monitor_timeout=1),
                    *receiver.options)
    until(lambda: all(ALL <= metering.groups_of(receiver.readings(), guest) for guest in guests),
          "a first whole round")
    return program


def next_tick():
    """Seconds since the epoch of the tick that comes next."""
    return (int(time.time()) // INTERVAL + 1) * INTERVAL


def wait_rounds(receiver, guest, first, count):
    """Until what is read without QEMU was read for so many ticks."""
    last_ms = (first + (count - 1) * INTERVAL) * 1000
    until(lambda: any(reading["uuid"] == guest.uuid and reading["time"] >= last_ms + INTERVAL * 1000
                      for reading in receiver.readings()),
          f"{count} rounds", harness.TIMEOUT + count * INTERVAL)


def assert_on_time(receiver, guest, first, count):
    """Each tick has its reading, taken within a second of it."""
    times = {reading["time"] for reading in receiver.readings()
             if reading["uuid"] == guest.uuid
             and any(entry[0] == "cpu" for entry in reading["data"])}
    ticks = {(first + i * INTERVAL) * 1000 for i in range(count)}
    assert ticks <= times, f"{guest.name} lacks {sorted(ticks - times)}"


def stop(guest):
    os.kill(guest.pid(), signal.SIGSTOP)


def spend(guest):
    guest.write("vda", WRITTEN["blk_write", "vda"])
    guest.write("vdb", WRITTEN["blk_write", "vdb"], 512)
    guest.transmit(1000, 20)


def must_answer(*words):
    subprocess.run(["virsh", "-q", "-c", URI, *words], check=True, timeout=10,
                   stdout=subprocess.DEVNULL)


def test_one_stopped_guest_is_named_and_the_others_are_read_every_round(
        worker, receiver, guests):
    stopped, others = guests[0], guests[1:]
    first = next_tick()
    stop(stopped)
    wait_rounds(receiver, stopped, first, ROUNDS)
    for guest in guests:
        assert_on_time(receiver, guest, first, ROUNDS)
    for guest in others:
        for begin in range(first, first + ROUNDS * INTERVAL, INTERVAL):
            read = receiver.readings(begin, begin + INTERVAL)
            assert metering.groups_of(read, guest) >= {"blk", "mem"}, f"{guest.name} at {begin}"
    later = receiver.readings(first + INTERVAL)
    assert "blk" not in metering.groups_of(later, stopped)
    assert {"cpu", "nic", "state"} <= metering.groups_of(later, stopped)
    worker.wait_line(f"{stopped.name}: its QEMU has not answered")
    assert not any(worker.count_lines(f"{guest.name}: its QEMU") for guest in others)
    assert_frontier_moved(receiver, first)
    stopped.wake()
    worker.wait_line(f"{stopped.name}: its QEMU answers again")
    assert_exact(receiver, stopped)


def assert_frontier_moved(receiver, first):
    """Every round was told to be complete, and nothing came that was told to be complete."""
    untils = {until_ms for _, until_ms in receiver.untils}
    ticks = {(first + i * INTERVAL) * 1000 for i in range(ROUNDS - 1)}
    assert ticks <= untils, sorted(ticks - untils)
    assert not receiver.early


def assert_exact(receiver, guest):
    guest.write("vda", 1 << 20)
    said = metering.disk_counters(guest, "vda")
    until(lambda: said == tuple(
        metering.value_of(receiver.readings(), guest, "blk", "vda", column)
        for column in (metering.DISK_READ, metering.DISK_WRITTEN)), "what it wrote is read")


def wait_usages(answers, guest, begin, end, condition, what):
    """Of its disks, once the condition holds for each."""
    def find():
        found = {key: answers.usage(guest.uuid, key[0], begin, end, key[1]) for key in WRITTEN}
        return found if all(map(condition, found.values())) else None

    return until(find, what, harness.TIMEOUT + ROUNDS * INTERVAL)


def is_waited_for(usage):
    """Its host was read up to the window's end, but it was not."""
    return [reason["reason"] for reason in usage["reasons"]] == ["not-answering"]


def is_complete(usage):
    return usage["complete"]


def assert_used(usages, times):
    for key, usage in usages.items():
        assert usage["value"] == WRITTEN[key] * times, (key, usage)
        assert (usage["uncertainty"], usage["coverage"], usage["reasons"]) == (0, 1, []), usage


def assert_not_answering(usages, begin, end, last):
    """All that it said is in the answer, which ends with its last sample."""
    for usage in usages.values():
        (reason,) = usage["reasons"]
        assert reason["since"] == last
        assert usage["complete"] is False and usage["uncertainty"] is None
        assert usage["covered_ms"] == (last - begin) * 1000
    assert {key: usage["value"] for key, usage in usages.items()} == WRITTEN, (begin, end)


def assert_known_without_qemu(answers, guest, begin, end):
    for metric, amount in (("nic_outgoing", 1042 * 20), ("state_time", (end - begin) * 1000)):
        usage = until(lambda metric=metric: [each for each in [
            answers.usage(guest.uuid, metric, begin, end)] if each["complete"]], metric)[0]
        assert (usage["value"], usage["reasons"]) == (amount, [])


def test_answers_about_the_others_are_exact_and_the_stopped_one_is_named_until_it_answers(
        start, tmp_path, guests):
    meter = metering.Meter(start, tmp_path, INTERVAL, monitor_timeout=1)
    answers = metering.Answers(start, meter.server)
    stopped, others = guests[0], guests[1:]
    begin = {guest.name: answers.wait_sample(guest, "blk_write") for guest in guests}
    spend(stopped)
    answers.wait_sample(stopped, "blk_write")
    first = next_tick()
    stop(stopped)
    stopped_at = time.time()
    for guest in others:
        spend(guest)
    meter.worker.wait_line(f"{stopped.name}: its QEMU has not answered")
    end = max(first + (ROUNDS - 1) * INTERVAL, next_tick())

    for guest in others:
        usages = wait_usages(answers, guest, begin[guest.name], end, is_complete, guest.name)
        assert_used(usages, 1)
    last = answers.samples(stopped, "blk_write")[-1][0]
    assert begin[stopped.name] < last <= stopped_at
    for window_end in (last + INTERVAL, end):
        said = wait_usages(answers, stopped, begin[stopped.name], window_end, is_waited_for,
                           "it does not answer")
        assert_not_answering(said, begin[stopped.name], window_end, last)
    assert_used(wait_usages(answers, stopped, begin[stopped.name], last, is_complete, "before"), 1)
    assert_known_without_qemu(answers, stopped, begin[stopped.name], end)

    stopped.wake()
    assert_used(wait_usages(answers, stopped, begin[stopped.name], end, is_complete, "woken"), 1)
    spend(stopped)
    later = answers.wait_sample(stopped, "blk_write")
    assert_used(wait_usages(answers, stopped, begin[stopped.name], later, is_complete, "later"), 2)


def test_with_all_stopped_libvirt_answers_and_all_comes_back(worker, receiver, guests):
    first = next_tick()
    begin = time.time()
    for guest in guests:
        stop(guest)
    worker.wait_line("its QEMU has not answered")
    wait_rounds(receiver, guests[0], first, ROUNDS)
    must_answer("list")
    for guest in guests:
        must_answer("dominfo", guest.name)
        assert_on_time(receiver, guest, first, ROUNDS)
    assert len(receiver.heartbeats(begin)) >= ROUNDS - 1
    woken = time.time()
    for guest in guests:
        guest.wake()
    until(lambda: all("blk" in metering.groups_of(receiver.readings(woken), guest)
                      for guest in guests), "all are read again")
    back = time.time() - woken
    assert back <= 2 * INTERVAL + 1, f"all are back after {back:.1f} s"


def test_a_stopped_guest_is_named_by_a_worker_whose_own_calls_do_not_hang(
        worker, start, receiver, tmp_path, guests):
    """The first worker's call holds the guest, so that NOWAIT passes it over for the second."""
    stop(guests[0])
    worker.wait_line(f"{guests[0].name}: its QEMU has not answered")
    (tmp_path / "second").mkdir()
    second = start(harness.Worker, *metering.worker_options(tmp_path / "second", INTERVAL),
                   "worker.id=second", *receiver.options)
    second.wait_line(f"{guests[0].name}: its QEMU has not answered")
    guests[0].wake()
    second.wait_line(f"{guests[0].name}: its QEMU answers again")


def test_a_worker_that_restarts_while_guests_hang_does_not_take_more_of_libvirt(
        worker, start, receiver, tmp_path, guests):
    for guest in guests:
        stop(guest)
    worker.wait_line("its QEMU has not answered")
    for _ in range(3):
        worker.kill()
        since = time.time()
        worker = start(harness.Worker,
                       *metering.worker_options(tmp_path, INTERVAL, monitor_timeout=1),
                       *receiver.options)
        until(lambda since=since: all("cpu" in metering.groups_of(receiver.readings(since), guest)
                                      for guest in guests), "CPU times of all")
        must_answer("list")
    must_answer("dominfo", guests[0].name)
    woken = time.time()
    for guest in guests:
        guest.wake()
    until(lambda: all("blk" in metering.groups_of(receiver.readings(woken), guest)
                      for guest in guests), "all are read again")


def test_a_worker_ends_well_while_libvirt_reports_events(start, tmp_path, guests):
    """Without a server it takes its time to say goodbye; events still come meanwhile."""
    worker = start(harness.Worker, *metering.worker_options(tmp_path, INTERVAL),
                   "worker.dataserver_port=1")
    rounds = 0
    while worker.process.poll() is None:
        must_answer("suspend", guests[0].name)
        must_answer("resume", guests[0].name)
        rounds += 1
        if rounds == 20:  # by now it has long been connected
            worker.signal(signal.SIGTERM)
    worker.stop()
