# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Usage is exact through the whole life of a guest: suspend, save, reboot, destroy, start, undefine;
what nobody could read is declared by the samples that are stored."""

import itertools
import re
import socket
import time

import pytest

import boot
import metering
from daemons import virsh
from metering import DISK_READ, DISK_WRITTEN, NIC_IN, NIC_OUT

RUNNING, PAUSED, OFF = 1, 3, 5
DESTROYED, SAVED = 2, 5
OFF_EPOCH = f"{socket.gethostname()}/off"
AMOUNTS = {("blk", DISK_WRITTEN): 3 << 20, ("blk", DISK_READ): 1 << 20,
           ("nic", NIC_OUT): 1042 * 50, ("nic", NIC_IN): 400 * 30}
METRICS = {("blk", DISK_WRITTEN): "blk_write", ("blk", DISK_READ): "blk_read",
           ("nic", NIC_OUT): "nic_outgoing", ("nic", NIC_IN): "nic_incoming"}
NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"
NEW_IMAGE = "11111111-2222-4333-8444-555555555555"


def work(lab, guest):
    guest.write("vda", AMOUNTS["blk", DISK_WRITTEN])
    guest.read("vdb", AMOUNTS["blk", DISK_READ])
    guest.transmit(1000, 50)
    guest.receive(lab.state["bridge"], 400, 30)


def used(meter, guest):
    return {key: meter.usage(guest, *key) for key in AMOUNTS}


def grown(meter, guest, before):
    now = used(meter, guest)
    return {key: now[key] - before[key] for key in AMOUNTS}


def counters(guest):
    """As libvirt and the host's side of the NIC say now."""
    disks = [metering.disk_counters(guest, disk) for disk in ("vda", "vdb")]
    nic = metering.link_nic(guest)
    return {("blk", DISK_READ): sum(read for read, _ in disks),
            ("blk", DISK_WRITTEN): sum(written for _, written in disks),
            ("nic", NIC_IN): nic["rx_bytes"], ("nic", NIC_OUT): nic["tx_bytes"]}


def pause(meter, guest):
    """Suspends and resumes it, which reads it."""
    guest.virsh("suspend")
    since = time.time()
    guest.virsh("resume")
    for group in ("blk", "nic", "state"):
        meter.wait_read(guest, group, since)


def wait_end(meter, guest, epoch):
    """Until the run is closed; its last state sample."""
    return meter.wait(lambda: [last for last in meter.states(guest)[epoch][-1:]
                               if last[1] == OFF], "the end of the run")[0]


def assert_tail(meter, guest, epoch, end_ms):
    """What happened after the last reading is declared by the sample that closes the run."""
    for group in ("cpu", "nic", "blk"):
        last_ms = metering.last_time(meter.server, guest, group, epoch=epoch)
        assert 0 < last_ms < end_ms, group


@pytest.fixture
def guest(spare):
    if spare.virsh("domstate").strip() != "running":
        spare.start()
        spare.wait_ready()
    return spare


@pytest.fixture
def meter(start, tmp_path, guest):
    each = metering.Meter(start, tmp_path)
    each.wait_read(guest)
    return each


@pytest.fixture
def answers(start, meter):
    return metering.Answers(start, meter.server)


@pytest.fixture
def rare_meter(start, tmp_path):
    """Its rounds are far apart, so that only events are read."""
    return metering.Meter(start, tmp_path, interval=600)


def test_suspend_and_save_are_exact_by_their_events_alone(lab, guest, rare_meter):
    meter = rare_meter
    meter.wait_read(guest, since=1)
    pause(meter, guest)
    before = used(meter, guest)
    work(lab, guest)
    pause(meter, guest)
    assert grown(meter, guest, before) == AMOUNTS
    work(lab, guest)
    guest.virsh("managedsave")
    first = meter.epochs(guest)[0]
    end_ms, _, reason = wait_end(meter, guest, first)
    assert reason == SAVED
    assert grown(meter, guest, before) == {key: 2 * value for key, value in AMOUNTS.items()}
    assert_tail(meter, guest, first, end_ms)
    guest.virsh("start")  # goes on where it was saved, in another QEMU
    work(lab, guest)
    second = meter.wait(lambda: meter.epochs(guest)[1], "the second run")

    def is_exact():
        pause(meter, guest)
        return {key: meter.usage(guest, *key, epoch=second) for key in AMOUNTS} == counters(guest)

    # QEMU announces the NIC for a while after it went on.
    meter.wait(is_exact, "what the second run used")
    assert meter.usage(guest, "blk", DISK_WRITTEN, epoch=second) == AMOUNTS["blk", DISK_WRITTEN]


def test_a_change_of_state_is_sharp(guest, rare_meter):
    meter = rare_meter
    meter.wait_read(guest, since=1)
    pause(meter, guest)
    samples = meter.states(guest)[meter.epochs(guest)[0]]
    changes = [(at - before, was, now) for (before, was, _), (at, now, _)
               in zip(samples, samples[1:]) if was != now]
    assert changes == [(1, RUNNING, PAUSED), (1, PAUSED, RUNNING)]


def test_a_reboot_is_the_same_run(lab, guest, meter):
    before = used(meter, guest)
    guest.forget_console()
    try:
        guest.exec("reboot -f", 5)
    except (RuntimeError, TimeoutError, OSError):
        pass  # it does not answer any more
    guest.wait_ready()
    work(lab, guest)
    meter.wait_read(guest, since=time.time())
    meter.wait_read(guest, "nic")
    assert used(meter, guest) == counters(guest)
    assert used(meter, guest) != before
    assert len(meter.epochs(guest)) == 1


def begin_usage(lab, guest, meter, answers):
    """A sample's time, and what was used behind it, which is read."""
    begin = answers.wait_sample(guest, "blk_write")
    work(lab, guest)
    meter.wait_read(guest)
    meter.wait_read(guest, "nic")
    return begin


def change_definition(guest, *changes):
    """Each is (pattern, text); defined again under the same UUID."""
    xml = guest.file("xml").read_text()
    for pattern, text in changes:
        xml, count = re.subn(pattern, text, xml)
        assert count == 1, pattern
    guest.file("xml").write_text(xml)
    virsh("define", str(guest.file("xml")))


def resize(guest, flavor, vcpus, memory_mib):
    """As nova does it: the guest is defined anew while it is off."""
    guest.virsh("destroy")
    change_definition(
        guest, (r"(<memory unit='MiB'>)\d+<", rf"\g<1>{memory_mib}<"),
        (r"<vcpu>\d+<", f"<vcpu>{vcpus}<"),
        (r"<nova:memory>\d+<", f"<nova:memory>{memory_mib}<"),
        (r"<nova:vcpus>\d+<", f"<nova:vcpus>{vcpus}<"),
        (r'flavor name="[^"]*"', f'flavor name="{flavor}"'))
    guest.start()


def start_of(meter, guest, epoch):
    """When the run began, in milliseconds."""
    (start_ms,) = {track["start"] for track in metering.tracks(meter.server, guest, "cpu", 0)
                   if track["epoch"] == epoch}
    return start_ms


def run_times(meter, guest, first, second):
    """When the first run ended and the second one began, in milliseconds."""
    (end_ms, code, reason), = meter.states(guest)[first][-1:]
    assert (code, reason) == (OFF, DESTROYED)
    begin_ms = start_of(meter, guest, second)
    assert end_ms < begin_ms
    return end_ms, begin_ms


def finish_usage(lab, guest, meter, answers, begin):
    """A second run's work, too; the API's answers of the whole are the sum of both runs'. Gives
    the time until which they are, the end of the first run and the second one's beginning (ms)."""
    guest.wait_ready()
    booted = counters(guest)
    work(lab, guest)
    end = answers.wait_sample(guest, "blk_write")
    first, second = meter.epochs(guest)
    end_ms, begin_ms = run_times(meter, guest, first, second)
    now = counters(guest)
    assert now == {key: booted[key] + AMOUNTS[key] for key in AMOUNTS}
    for key, metric in METRICS.items():
        usage = meter.wait(lambda metric=metric: [each for each in [
            answers.usage(guest.uuid, metric, begin, end)] if each["complete"]], metric)[0]
        assert usage["value"] == AMOUNTS[key] + now[key], (metric, usage)
        tail_ms = end_ms - metering.last_time(meter.server, guest, key[0], epoch=first)
        assert {(each["reason"], each["epoch"]) for each in usage["reasons"]} == {
            ("tail-unmeasured", first)}, usage
        # A NIC has less: its states while it was destroyed tell that it was gone already.
        assert 0 < (end - begin) * 1000 - usage["covered_ms"] <= tail_ms, usage
        assert meter.usage(guest, *key, epoch=second) == now[key]
    return end, end_ms, begin_ms


def assert_time(answers, guest, metric, begin, end, amount, parameter="total"):
    usage = answers.usage(guest.uuid, metric, begin, end, parameter)
    assert (usage["value"], usage["coverage"], usage["complete"]) == (amount, 1, True), usage


def test_a_resize_is_a_second_run_and_time_is_of_the_flavor_it_had(lab, guest, meter, answers):
    begin = begin_usage(lab, guest, meter, answers)
    resize(guest, "m1.small", 2, 128)
    end, end_ms, begin_ms = finish_usage(lab, guest, meter, answers, begin)
    assert guest.must("grep -c ^processor /proc/cpuinfo").strip() == "2"
    before, after = end_ms - begin * 1000, end * 1000 - begin_ms
    assert_time(answers, guest, "vcpus_time", begin, end, before + 2 * after)
    assert_time(answers, guest, "memory_time", begin, end, 96 * before + 128 * after)
    assert_time(answers, guest, "disk_time", begin, end, (end - begin) * 1000)
    assert_time(answers, guest, "state_time", begin, end, begin_ms - end_ms, "shutoff")
    assert_time(answers, guest, "state_time", begin, end, (end - begin) * 1000)
    infos = meter.server.instances()[guest.uuid]["infos"]
    # The ports change with each run, too.
    flavors = [flavor for flavor, _ in itertools.groupby(
        (info["vcpus"], info["memory_mib"]) for info in infos)]
    assert flavors == [(1, 96), (2, 128)]


def test_a_flavor_holds_from_the_beginning_of_its_run_however_late_it_is_read(guest, meter):
    (first,) = meter.epochs(guest)
    meter.worker.stop()
    resize(guest, "m1.medium", 1, 112)
    meter.restart_worker()
    (second,) = meter.wait(lambda: set(meter.epochs(guest)) - {first}, "the second run")
    since = meter.wait(lambda: [info["since"] for info in
                                meter.server.instances()[guest.uuid]["infos"]
                                if info["memory_mib"] == 112], "the new flavor")
    begin_ms = start_of(meter, guest, second)
    assert since == [begin_ms] and begin_ms < meter.states(guest)[second][0][0]
    # What another worker finds in a run that was known before may have come later.
    meter.worker.stop()
    changed_ms = time.time() * 1000
    guest.virsh("metadata", "--live", "--uri", NOVA, "--key", "nova", "--set",
                "<instance><name>renamed</name></instance>")
    meter.restart_worker()
    since = meter.wait(lambda: [info["since"] for info in
                                meter.server.instances()[guest.uuid]["infos"]
                                if "renamed" in info["texts"]], "the new name")
    assert len(since) == 1 and since[0] > changed_ms
    guest.virsh("destroy")  # forgets the name


def test_a_rebuild_is_a_second_run_on_a_new_disk(lab, guest, meter, answers):
    begin = begin_usage(lab, guest, meter, answers)
    guest.virsh("destroy")
    disk = guest.file("raw")
    size_bytes = disk.stat().st_size
    disk.unlink()
    with open(disk, "wb") as new:
        new.truncate(size_bytes)
    change_definition(guest, ('type="image" uuid="[^"]*"', f'type="image" uuid="{NEW_IMAGE}"'))
    guest.start()
    end, end_ms, begin_ms = finish_usage(lab, guest, meter, answers, begin)
    vcpus = answers.ask("instances", id=guest.uuid)[0]["vcpus"]
    assert_time(answers, guest, "vcpus_time", begin, end,
                vcpus * ((end - begin) * 1000 - (begin_ms - end_ms)))
    texts = [info["texts"] for info in meter.server.instances()[guest.uuid]["infos"]]
    assert guest.about["image_id"] in texts[0] and NEW_IMAGE in texts[-1]


def test_destroy_and_start_are_two_runs_and_undefine_ends_it(lab, guest, meter):
    work(lab, guest)
    meter.wait_read(guest)
    meter.wait_read(guest, "nic")
    before = counters(guest)
    assert used(meter, guest) == before
    guest.virsh("destroy")
    first = meter.epochs(guest)[0]
    end_ms, _, reason = wait_end(meter, guest, first)
    assert reason == DESTROYED
    assert_tail(meter, guest, first, end_ms)
    assert used(meter, guest) == before
    off = meter.wait(lambda: len(meter.states(guest)[OFF_EPOCH]) > 2 and
                     meter.states(guest)[OFF_EPOCH], "it is read while it is off")
    assert {(code, reason) for _, code, reason in off} == {(OFF, DESTROYED)}
    assert off[0][0] == end_ms

    guest.start()
    guest.wait_ready()
    work(lab, guest)
    meter.wait_read(guest)
    meter.wait_read(guest, "nic")
    now = counters(guest)
    assert used(meter, guest) == {key: before[key] + now[key] for key in AMOUNTS}
    guest.virsh("destroy")
    wait_end(meter, guest, meter.epochs(guest)[1])
    guest.virsh("undefine")
    last = meter.wait(lambda: [each for each in meter.states(guest)[OFF_EPOCH][-1:]
                               if each[1] == 0], "it is undefined")
    meter.restart_worker()
    meter.wait_read(lab.guests[0])
    assert meter.states(guest)[OFF_EPOCH][-1:] == last
    virsh("define", str(guest.file("xml")))


def test_a_guest_that_is_off_is_described_and_its_end_is_seen_late_too(lab, start, tmp_path):
    guest = lab.define()
    try:
        meter = metering.Meter(start, tmp_path)
        info = meter.wait(lambda: meter.server.instances()[guest.uuid]["infos"], "it is described")
        assert guest.about["project_id"] in info[-1]["texts"]
        meter.wait(lambda: meter.states(guest)[OFF_EPOCH], "it is off")
        meter.worker.stop()
    finally:
        lab.remove(guest)
    meter.restart_worker()
    meter.wait(lambda: meter.states(guest)[OFF_EPOCH][-1][1] == 0, "it is gone")
    assert list(meter.states(guest)) == [OFF_EPOCH]


def test_a_guest_that_lives_for_two_seconds_is_metered(lab, rare_meter):
    """Its boot sector reads 32 KiB and writes them back; the next round is minutes away."""
    meter, guest = rare_meter, lab.define(boot.from_disk)
    try:
        guest.file("raw").write_bytes(boot.sector().ljust(1 << 20, b"\0"))
        guest.virsh("start")
        meter.wait(lambda: meter.usage(guest, "blk", DISK_WRITTEN) == boot.BYTES, "its bytes")
        read, written = metering.disk_counters(guest, "vda")
        guest.virsh("destroy")
        epoch = meter.epochs(guest)[0]
        end_ms, _, reason = wait_end(meter, guest, epoch)
        (track,) = metering.tracks(meter.server, guest, "cpu", 0)
        assert end_ms - track["start"] < 10_000
        assert (reason, written) == (DESTROYED, boot.BYTES)
        assert meter.usage(guest, "blk", DISK_READ, "vda") == read >= boot.BYTES + 512
        assert track["samples"][-1][1] > 0
        assert_tail(meter, guest, epoch, end_ms)
    finally:
        lab.remove(guest)
