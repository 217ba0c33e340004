# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""libvirt for the test guests: uses what runs, starts what is missing, takes it back.

What was started is kept in a dictionary that the caller saves, so that another process can take it
back later. A process is known by its pid and its start, and never by its name."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from image import HERE, run

URI = "qemu:///system"
UNITS = ("virtlogd.socket virtlogd-admin.socket virtlogd.service "
         "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service "
         "virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket virtqemud.service").split()
PATIENCE_S = 60


def wait_until(is_done, what, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while True:
        found = is_done()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def virsh(*words):
    return run("virsh", "-q", "-c", URI, *words)


def does_answer():
    try:
        virsh("version")
        return True
    except RuntimeError:
        return False


def start_ticks(pid):
    """When the process started, since boot; None if there is none (or only its zombie)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def active_units():
    return [unit for unit in UNITS if subprocess.run(
        ["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0]


def running_networks():
    return [line.split()[0] for line in virsh("net-list", "--name").splitlines() if line.split()]


def start_by_hand(name, started, directory):
    program = shutil.which(name, path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))
    with open(directory / f"{name}.log", "ab") as log:
        process = subprocess.Popen([sys.executable, HERE / "reaper.py", program],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True, cwd="/")
    started["processes"].append([name, process.pid, start_ticks(process.pid)])


def is_program(name):
    return shutil.which(name, path="/usr/sbin:/usr/bin") is not None


def is_logger_running():
    """Whether somebody holds virtlogd's socket open (a stale file in /run says nothing)."""
    return any(" /run/libvirt/virtlogd-sock" in line or " /var/run/libvirt/virtlogd-sock" in line
               for line in pathlib.Path("/proc/net/unix").read_text().splitlines())


def start(started, directory):
    """Fills started. Nothing is done if libvirt answers already."""
    if does_answer():
        return
    daemon = "libvirtd" if is_program("libvirtd") else "virtqemud"
    links = set(os.listdir("/sys/class/net"))
    if os.path.isdir("/run/systemd/system"):
        before = active_units()
        run("systemctl", "start", f"{daemon}.service")
        started["units"] = [unit for unit in active_units() if unit not in before]
    else:
        started["is_run_new"] = not os.path.isdir("/run/libvirt")
        if not is_logger_running():
            start_by_hand("virtlogd", started, directory)
            wait_until(is_logger_running, "virtlogd listens")
        start_by_hand(daemon, started, directory)
    wait_until(does_answer, f"{daemon} answers")
    if set(os.listdir("/sys/class/net")) - links:  # it started networks that were down
        started["networks"] = running_networks()


def end_process(name, pid, ticks):
    if ticks is None or start_ticks(pid) != ticks:
        return
    os.kill(pid, signal.SIGTERM)
    try:
        wait_until(lambda: start_ticks(pid) != ticks, f"{name} ends", 20)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def stop(started):
    if does_answer() and virsh("list", "--name").split():
        return  # somebody else's guests need it by now
    for network in started.get("networks", []):
        virsh("net-destroy", network)
    if started.get("units"):
        run("systemctl", "stop", *reversed(started["units"]))
    for name, pid, ticks in reversed(started["processes"]):
        end_process(name, pid, ticks)
    if started.get("is_run_new"):
        shutil.rmtree("/run/libvirt", ignore_errors=True)
