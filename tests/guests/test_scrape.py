# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What the worker tells Prometheus of real guests is what libvirt says of them, under the names of
the exporter that is chosen."""

import decimal
import shutil
import time

import pytest

import harness
import metering
from daemons import virsh
from test_metrics import INOVEX, Scraped, check

NS, KIB = decimal.Decimal(10**9), decimal.Decimal(1) / 1024

# By the name of inovex: the field of `virsh domstats` (of a device: without its number), and how
# many of its units are one of ours.
FIELDS = {
    "domain_info_state": ("state.state", 1),
    "domain_info_maximum_memory_bytes": ("balloon.maximum", KIB),
    "domain_info_memory_usage_bytes": ("balloon.current", KIB),
    "domain_memory_stats_maximum_bytes": ("balloon.maximum", KIB),
    "domain_memory_stats_current_balloon_bytes": ("balloon.current", KIB),
    "domain_memory_stats_unused_bytes": ("balloon.unused", KIB),
    "domain_memory_stats_usable_bytes": ("balloon.usable", KIB),
    "domain_memory_stats_available_bytes": ("balloon.available", KIB),
    "domain_memory_stats_disk_caches_bytes": ("balloon.disk_caches", KIB),
    "domain_memory_stats_rss_bytes": ("balloon.rss", KIB),
    "domain_memory_stats_swap_in_bytes": ("balloon.swap_in", KIB),
    "domain_memory_stats_swap_out_bytes": ("balloon.swap_out", KIB),
    "domain_memory_stats_major_fault_total": ("balloon.major_fault", 1),
    "domain_memory_stats_minor_fault_total": ("balloon.minor_fault", 1),
    "domain_memory_stats_last_update_timestamp_seconds": ("balloon.last-update", 1),
    "domain_vcpu_current": ("vcpu.current", 1),
    "domain_vcpu_maximum": ("vcpu.maximum", 1),
    "domain_vcpu_state": ("vcpu.state", 1),
    "domain_vcpu_time_seconds_total": ("vcpu.time", NS),
    "domain_vcpu_delay_seconds_total": ("vcpu.delay", NS),
    "domain_block_stats_read_bytes_total": ("block.rd.bytes", 1),
    "domain_block_stats_read_requests_total": ("block.rd.reqs", 1),
    "domain_block_stats_read_time_seconds_total": ("block.rd.times", NS),
    "domain_block_stats_write_bytes_total": ("block.wr.bytes", 1),
    "domain_block_stats_write_requests_total": ("block.wr.reqs", 1),
    "domain_block_stats_write_time_seconds_total": ("block.wr.times", NS),
    "domain_block_stats_flush_requests_total": ("block.fl.reqs", 1),
    "domain_block_stats_flush_time_seconds_total": ("block.fl.times", NS),
    "domain_block_stats_allocation_bytes": ("block.allocation", 1),
    "domain_block_stats_capacity_bytes": ("block.capacity", 1),
    "domain_block_stats_physical_bytes": ("block.physical", 1),
    "domain_interface_stats_receive_bytes_total": ("net.rx.bytes", 1),
    "domain_interface_stats_receive_packets_total": ("net.rx.pkts", 1),
    "domain_interface_stats_receive_errors_total": ("net.rx.errs", 1),
    "domain_interface_stats_receive_drops_total": ("net.rx.drop", 1),
    "domain_interface_stats_transmit_bytes_total": ("net.tx.bytes", 1),
    "domain_interface_stats_transmit_packets_total": ("net.tx.pkts", 1),
    "domain_interface_stats_transmit_errors_total": ("net.tx.errs", 1),
    "domain_interface_stats_transmit_drops_total": ("net.tx.drop", 1),
}
OURS = {"domain_block_stats_allocation_bytes", "domain_block_stats_physical_bytes"}

# What tinkoff's exporter calls otherwise; None: it does not have it.
TINKOFF = {
    "domain_info_state": "domain_info_vstate",
    "domain_openstack_info": "domain_info_meta",
    "domain_block_stats_info": "domain_block_meta",
    "domain_interface_stats_info": "domain_interface_meta",
    "domain_memory_stats_current_balloon_bytes": "domain_memory_stats_actual_balloon_bytes",
    "domain_memory_stats_disk_caches_bytes": "domain_memory_stats_disk_cache_bytes",
    "domain_block_stats_allocation_bytes": "domain_block_stats_allocation",
    "domain_block_stats_physical_bytes": "domain_block_stats_physicalsize_bytes",
    **dict.fromkeys((
        "domain_timed_out", "domain_vcpu_current", "domain_vcpu_maximum",
        "domain_memory_stats_maximum_bytes", "domain_memory_stats_swap_in_bytes",
        "domain_memory_stats_swap_out_bytes",
        "domain_memory_stats_last_update_timestamp_seconds")),
}
DIALECTS = {"inovex": {}, "tinkoff": TINKOFF}


def domstats(guest):
    """{(field without the device's number, device): value}; of the domain itself, device None."""
    words = dict(line.strip().split("=", 1)
                 for line in virsh("domstats", guest.name).splitlines() if "=" in line)
    found = {}
    for key, value in words.items():
        group, _, rest = key.partition(".")
        number, _, field = rest.partition(".")
        if not number.isdigit():
            found[key, None] = value
        elif field != "name":
            device = words.get(f"{group}.{number}.name", number)
            found[f"{group}.{field}", device] = value
    return {key: decimal.Decimal(value) for key, value in found.items()
            if value.lstrip("-").isdigit()}


def shown(scraped, guest, names):
    """The same keys, with what the worker shows."""
    found = {}
    for name, (field, scale) in FIELDS.items():
        for key, value in scraped.samples.get(f"libvirt_{names.get(name, name)}", {}).items():
            labels = dict(key)
            if labels["domain"] == guest.name:
                device = labels.get("target_device", labels.get("vcpu"))
                found.setdefault((field, device), []).append(decimal.Decimal(value) * scale)
    return found


def is_fresh(scraped, since):
    """Whether everything in it was read since that monotonic time."""
    ages = scraped.samples.get("kanyun_domain_reading_age_seconds")
    return ages and max(map(float, ages.values())) < time.monotonic() - since


def differences(worker, guests, names):
    """What is not between two answers of libvirt's, one before and one after the readings."""
    since, before = time.monotonic(), [domstats(guest) for guest in guests]
    cpu = [metering.process_cpu_ns(guest.pid()) for guest in guests]

    def fresh():
        scraped = Scraped(worker)
        return scraped if is_fresh(scraped, since) else None

    scraped, wrong = harness.until(fresh, "readings of from now on"), []
    for guest, then, cpu_then in zip(guests, before, cpu):
        now = domstats(guest)
        for key, values in shown(scraped, guest, names).items():
            wrong += [(guest.name, key, then[key], value, now[key]) for value in values
                      if not min(then[key], now[key]) <= value <= max(then[key], now[key])]
        value = decimal.Decimal(scraped("libvirt_domain_info_cpu_time_seconds_total",
                                        domain=guest.name)) * NS
        if not cpu_then <= value <= metering.process_cpu_ns(guest.pid()):
            wrong.append((guest.name, "cpu", value))
    return wrong


@pytest.fixture(params=DIALECTS)
def scraped_worker(request, start, tmp_path):
    """Nobody takes what it sends."""
    worker = start(harness.Worker, *metering.worker_options(
        tmp_path, vcpu_interval=1, metrics_dialect=request.param, http_port=harness.free_ports(1),
        dataserver_port=harness.free_ports(1)))
    return worker, DIALECTS[request.param]


@pytest.mark.skipif(not shutil.which("promtool"), reason="this needs promtool, of prometheus")
def test_the_worker_shows_what_libvirt_says_by_the_names_of_either_exporter(
        lab, guests, scraped_worker):
    worker, names = scraped_worker
    for number, guest in enumerate(guests[:2], 1):
        guest.write("vda", number << 20)
        guest.read("vdb", number << 18)
        guest.transmit(1000, 10 * number)
        guest.receive(lab.state["bridge"], 400, 30 * number)
    # What the balloon says changes every few seconds, so not only from the one to the other.
    wrong = []
    for _ in range(5):
        wrong = differences(worker, guests, names)
        if not wrong:
            break
    assert not wrong
    scraped = Scraped(worker)
    check(scraped)
    expected = {names.get(name, name) for name in {*INOVEX, *OURS}} - {None}
    found = {name.removeprefix("libvirt_") for name in scraped.samples
             if name.startswith("libvirt_domain_")}
    assert found == expected
    fields = {field for name, (field, _) in FIELDS.items() if names.get(name, name)}
    for guest in guests:
        assert set(shown(scraped, guest, names)) == {
            key for key in domstats(guest) if key[0] in fields}
        told = {"domain": guest.name, "instance_name": guest.about["display_name"],
                "uuid" if names else "instance_id": guest.uuid, "project_name": "demo-project"}
        info = names.get("domain_openstack_info", "domain_openstack_info")
        assert scraped(f"libvirt_{info}", **told) == "1"
