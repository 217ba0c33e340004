# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""An answer about all guests that comes after a younger one about one of them is not taken for the
younger: its counters would seem to fall, and what they grew by would count twice."""

import os

import harness
import metering

SHIM = os.path.join(harness.BUILD, "tests/guests/liblate-answers.so")
EVENTS, BLOCK = 12, 65536


def test_an_older_answer_that_comes_later_counts_nothing_twice(guests, start, tmp_path):
    guest = guests[0]
    meter = metering.Meter(start, tmp_path, environment={
        "LD_PRELOAD": SHIM,
        "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")})
    meter.wait_read(guest)
    for _ in range(EVENTS):
        guest.write("vda", BLOCK)
        guest.virsh("suspend")
        guest.virsh("resume")
    meter.wait_read(guest)
    for track in metering.tracks(meter.server, guest, "blk", metering.DISK_WRITTEN):
        values = [value for _, value in track["samples"]]
        assert values == sorted(values), track
    assert meter.usage(guest, "blk", metering.DISK_WRITTEN) == \
        sum(metering.disk_counters(guest, disk)[1] for disk in ("vda", "vdb"))
