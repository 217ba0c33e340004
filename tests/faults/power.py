# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Runs programs on a disk that loses power (shim/calls.c has the rules)."""

import os
import shutil
import subprocess

import harness


class Disk:
    """A directory whose files and names are durable only by being synced."""

    def __init__(self, directory):
        self.path = str(directory / "disk")
        self.durable = str(directory / "durable")
        os.mkdir(self.path)

    def empty(self):
        shutil.rmtree(self.path)
        os.mkdir(self.path)

    def environment(self, cut_after=0, tear=None, count_from=None, fail_sync=0):
        shutil.rmtree(self.durable, ignore_errors=True)
        variables = {
            "LD_PRELOAD": os.path.join(harness.BUILD, "tests/faults/libpower.so"),
            "ASAN_OPTIONS": "verify_asan_link_order=0",
            "POWER_DIRECTORY": self.path, "POWER_DURABLE": self.durable,
            "POWER_CUT_AFTER": str(cut_after),
            "POWER_FAIL_SYNC": str(fail_sync)}
        if tear is not None:
            variables["POWER_TEAR"] = str(tear)
        if count_from is not None:
            variables["POWER_COUNT_FROM"] = count_from
        return variables

    def come_back(self):
        """The power is back: the directory has only what was durable."""
        shutil.rmtree(self.path)
        subprocess.run(["cp", "-rL", "--sparse=always", self.durable + "/1", self.path], check=True)
