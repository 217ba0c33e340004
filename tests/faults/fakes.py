# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""VMs of the fake collector, whose counters are known at any time (src/collect/fake/fake.c)."""

import json
import time
import uuid

from harness import until

START_MS = 1577836800000
RATES = {("cpu", 0): 7, ("nic", 0): 100, ("nic", 1): 11}


class FakeVms:
    """The VMs of one worker: options for it, and a check of what a server has of them."""

    def __init__(self, directory, name="fakes", count=2):
        self.uuids = [str(uuid.uuid4()) for _ in range(count)]
        self.directory = directory / name
        self.directory.mkdir()
        self.spool = self.directory / "spool"
        script = self.directory / "script.json"
        script.write_text(json.dumps({"instances": [
            {"uuid": each, "name": f"{name}-{i}", "readings": {
                "cpu": {"total": [RATES["cpu", 0]]},
                "nic": {"vnet0": [RATES["nic", 0], RATES["nic", 1]]},
                "state": {"total": [1, 1]}}}
            for i, each in enumerate(self.uuids)]}))
        self.options = [f"worker.id={name}", "worker.interval=1", "worker.collector=fake",
                        f"worker.fake_script={script}", f"worker.spool_dir={self.spool}"]

    @staticmethod
    def now_ms():
        return int(time.time() * 1000)

    def last_ms(self, server):
        series = server.scan(self.uuids[-1], "cpu", begin=self.now_ms() - 60_000)
        return max((time_ms for samples in series.values() for time_ms, _ in samples), default=0)

    def check(self, server):
        """All values are right; returns the times of ticks, which all VMs have in common."""
        ticks = None
        for each in self.uuids:
            for group in ("cpu", "nic"):
                for (_, _, column), samples in server.scan(each, group).items():
                    times = [time_ms for time_ms, _ in samples]
                    assert len(times) == len(set(times))
                    for time_ms, value in samples:
                        assert value == RATES[group, column] * ((time_ms - START_MS) // 1000)
                    its = {time_ms for time_ms in times if time_ms % 1000 == 0}
                    assert ticks is None or its == ticks
                    ticks = its
        return ticks

    def check_every_second(self, server):
        """Likewise, and from the first tick to the last none is missing."""
        ticks = self.check(server)
        assert len(ticks) == (max(ticks) - min(ticks)) // 1000 + 1


def wait_all(fleet, server, after_ms):
    until(lambda: all(vms.last_ms(server) > after_ms for vms in fleet), "every worker goes on")
