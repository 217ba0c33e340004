#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Runs a daemon, and reaps the processes that it leaves behind. In a container process 1 may take
half a minute for that, and so long libvirt waits for a QEMU that is a zombie.

    reaper.py PROGRAM [ARGUMENT...]

SIGTERM is handed on; it ends when the program does."""

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(command):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    program = os.posix_spawnp(command[0], command, os.environ)
    signal.signal(signal.SIGTERM, lambda *unused: os.kill(program, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == program:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))
