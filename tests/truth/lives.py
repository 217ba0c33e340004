# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Random lives of instances, with the true value of each counter at every millisecond.

A *world* has hosts and instances. Each run of a QEMU has counters of its own, exact integers that
grow piece by piece: idle, at a constant rate, in bursts. All times here are true time; what a
worker's clock makes of them is in Host.clock. Everything comes from one seed.
"""

import bisect
import random
import uuid
from dataclasses import dataclass, field

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
FOREVER = 1 << 62

RUNNING, PAUSED, SHUTOFF = 1, 3, 5
# virDomainShutoffReason
SHUTDOWN, DESTROYED, CRASHED, MIGRATED, SAVED = 1, 2, 3, 4, 5


class Counter:
    """An integer that grows from 0 at `begin` and stays as it is after `end`."""

    def __init__(self, begin):
        self.times, self.values, self.rates = [begin], [0], [0]
        self.end = FOREVER
        self.resets = []

    def add_piece(self, time, rate, burst=0):
        self.values.append(self.at(time) + burst)
        self.times.append(time)
        self.rates.append(rate)

    def at(self, time):
        """The truth: how much was used up to and including that time."""
        if time < self.times[0]:
            return 0
        time = min(time, self.end)
        i = bisect.bisect_right(self.times, time) - 1
        return self.values[i] + self.rates[i] * (time - self.times[i])

    def raw(self, time):
        """What the hypervisor shows: less, after a reset that should not have been."""
        i = bisect.bisect_right(self.resets, time)
        return self.at(time) - (self.at(self.resets[i - 1]) if i else 0)


@dataclass
class Device:
    group: str
    parameter: str
    life: str
    begin: int
    start_known: bool = True  # the worker can tell when its counters were zero
    own_start: bool = False   # and must, as it is not the run's
    end: int = FOREVER
    counters: list = field(default_factory=list)  # in the order of the group's columns


@dataclass
class Run:
    """One QEMU."""
    host: str
    number: int
    start: int
    start_known: bool
    start_seen: bool = True  # by an event
    end: int = FOREVER
    end_seen: bool = True
    end_reason: int = DESTROYED
    states: list = field(default_factory=list)   # (time, state)
    devices: list = field(default_factory=list)
    hung: list = field(default_factory=list)     # [from, to): blk and mem do not answer

    def state_at(self, time):
        return [state for since, state in self.states if since <= time][-1]

    def is_hung(self, time):
        return is_within(time, self.hung)


@dataclass
class Instance:
    uuid: str
    name: str
    runs: list = field(default_factory=list)
    defined: list = field(default_factory=list)  # [host, from, to]
    infos: list = field(default_factory=list)    # (time, {...})

    def info_at(self, time):
        known = [info for since, info in self.infos if since <= time]
        return known[-1] if known else None

    def is_defined(self, host, time):
        return any(where == host and begin <= time < end for where, begin, end in self.defined)


@dataclass
class Host:
    name: str
    interval: int
    begin: int                                   # when its worker starts
    dead: int = FOREVER
    retired: int = None
    away: list = field(default_factory=list)     # [from, to): the worker does not run
    libvirt: list = field(default_factory=list)  # [from, to): libvirt does not answer
    clock: list = field(default_factory=list)    # (true time, offset from then on)

    def is_blind(self, time):
        return (time < self.begin or time >= self.dead or is_within(time, self.away)
                or is_within(time, self.libvirt))

    def blind_parts(self):
        return sorted(self.away + self.libvirt)


@dataclass
class World:
    seed: int
    begin: int
    end: int
    hosts: dict
    instances: list


def is_within(time, intervals):
    return any(begin <= time < end for begin, end in intervals)


@dataclass
class Shape:
    """What may happen in a world. Each is a chance or a number."""
    hosts: tuple = (2, 4)
    instances: tuple = (3, 6)
    hours: float = 2
    intervals: tuple = (5, 10, 30, 60)
    away: float = 0.4
    libvirt: float = 0.3
    dead: float = 0.3
    step: float = 0.4
    hung: float = 0.15
    reset: float = 0.0
    huge: float = 0.05
    short_lives: float = 0.15
    start_known: float = 0.8     # of runs
    device_start_known: float = 0.6
    seen: float = 0.85           # starts and ends, by events
    migration_seen: float = 0.9


class Maker:
    """Draws one world."""

    def __init__(self, seed, begin, shape=None):
        self.random = random.Random(seed)
        self.shape = shape or Shape()
        self.begin, self.end = begin, begin + int(self.shape.hours * HOUR)
        self.world = World(seed, self.begin, self.end, {}, [])
        self.numbers = 0
        self.is_deadly = self.chance(0.5)  # hosts may die, or else clocks may step

    def chance(self, probability):
        return self.random.random() < probability

    def number(self):
        self.numbers += 1
        return self.numbers

    def make(self):
        for i in range(self.random.randint(*self.shape.hosts)):
            self.make_host(f"compute{i + 1}")
        for i in range(self.random.randint(*self.shape.instances)):
            self.make_instance(i)
        return self.world

    # hosts

    def make_host(self, name):
        begin = self.begin + (self.random.randrange(20 * MINUTE) if self.chance(0.3)
                              else self.random.randrange(5 * SECOND))
        host = Host(name, self.random.choice(self.shape.intervals) * SECOND, begin,
                    clock=[(0, 0)])
        first = len(self.world.hosts) == 0
        if not first and self.is_deadly and self.chance(self.shape.dead):
            host.dead = self.random.randrange(self.begin + 30 * MINUTE, self.end)
            host.retired = host.dead + self.random.randrange(5 * MINUTE)
        elif not self.is_deadly and self.chance(self.shape.step):
            self.step_clock(host)
        else:
            self.make_blind(host)
        self.world.hosts[name] = host

    def make_blind(self, host):
        """Times at which nothing is read; they do not touch each other."""
        time = host.begin + self.random.randrange(5 * MINUTE, 40 * MINUTE)
        while time < self.end:
            length = int(self.random.choice([3 * SECOND, 30 * SECOND, 5 * MINUTE, 20 * MINUTE])
                         * (0.5 + self.random.random()))
            if self.chance(self.shape.away):
                host.away.append((time, time + length))
            elif self.chance(self.shape.libvirt):
                host.libvirt.append((time, time + length))
            time += length + self.random.randrange(10 * MINUTE, 60 * MINUTE)

    def step_clock(self, host):
        """The clock goes wrong, ahead or behind (not to before the worker's first reading), and is
        set right later."""
        wrong = host.begin + self.random.randrange(10 * MINUTE, 60 * MINUTE)
        step = self.random.randrange(MINUTE, 3 * HOUR)
        if self.chance(0.5):
            step = -self.random.randrange(MINUTE, wrong - host.begin)
        host.clock.append((wrong, step))
        host.clock.append((wrong + self.random.randrange(MINUTE, 40 * MINUTE), 0))

    # counters

    def make_counter(self, begin, end, scale):
        """Grows from begin to end, about `scale` a second when it is busy."""
        counter = Counter(begin)
        time, stop = begin, min(end, self.end)
        while time < stop:
            kind = self.random.random()
            burst = self.random.randrange(10 * scale) if kind > 0.8 else 0
            if self.chance(self.shape.huge / 100):
                burst = self.random.randrange(1 << 58)
            rate = 0 if kind < 0.3 else self.random.randrange(1, max(2, scale // 500))
            counter.add_piece(time, rate, burst if time > begin else 0)
            time += 1 + int(self.random.expovariate(1 / (self.random.choice((2, 30, 400))
                                                         * SECOND)))
        counter.end = end
        return counter

    def make_device(self, run, group, parameter, life, begin, end):
        device = Device(group, parameter, life, begin, end=end)
        scales = {"cpu": [500_000_000], "nic": [1_000_000, 200_000], "blk": [2_000_000, 5_000_000]}
        device.counters = [self.make_counter(begin, end, scale) for scale in scales[group]]
        run.devices.append(device)
        return device

    # instances

    def make_instance(self, i):
        identity = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        instance = Instance(identity, f"instance-{i + 1:08x}")
        self.world.instances.append(instance)
        time = self.begin - 10 * MINUTE + self.random.randrange(int(self.shape.hours * HOUR * 0.6))
        self.change_info(instance, time - 1)
        Life(self, instance, time).live()

    def change_info(self, instance, time, **changes):
        info = dict(instance.infos[-1][1]) if instance.infos else {
            "project_id": f"p{self.random.randrange(3)}", "flavor_id": "f1", "vcpus": 1,
            "memory_mib": 512, "disk_gib": 10}
        info.update(changes)
        instance.infos.append((time, info))


class Life:
    """One instance from its creation on."""

    def __init__(self, maker, instance, time):
        self.maker, self.instance, self.time = maker, instance, time
        self.random, self.chance, self.shape = maker.random, maker.chance, maker.shape
        self.host = self.pick_host()
        self.run = None
        self.disks = self.random.randint(1, 2)
        self.pace = self.random.choice((1, 3, 8))

    def hosts_alive(self):
        return [host for host in self.maker.world.hosts.values() if host.dead > self.time]

    def pick_host(self, other_than=None):
        hosts = [host for host in self.hosts_alive() if host is not other_than]
        return self.random.choice(hosts) if hosts else None

    def wait(self, longest=30 * MINUTE):
        self.time += 1 + int(self.random.choice((SECOND, 20 * SECOND, 3 * MINUTE, longest))
                             * self.pace * self.random.random())

    def define(self, host):
        self.instance.defined.append([host.name, self.time, FOREVER])

    def undefine(self, host, time=None):
        for entry in self.instance.defined:
            if entry[0] == host.name and entry[2] == FOREVER:
                entry[2] = self.time if time is None else time

    def live(self):
        if self.host:
            self.define(self.host)
            self.go_on()
            if self.run and self.host.dead < self.maker.end:
                self.end_run(self.host.dead, CRASHED, seen=False)

    def go_on(self):
        if self.chance(0.3):
            self.wait()
        while self.time < self.maker.end:
            if self.host.dead <= self.time:
                if not self.leave_the_dead():
                    return
                continue
            if not self.run:
                self.start()
                if self.chance(self.shape.short_lives):
                    self.time += self.random.randrange(200, 15 * SECOND)
                    self.stop(self.random.choice((SHUTDOWN, DESTROYED, CRASHED)))
                    self.wait()
                    continue
            self.wait()
            if self.time >= min(self.maker.end, self.host.dead):
                continue
            self.random.choice((self.pause, self.restart, self.restart, self.save, self.migrate,
                                self.migrate, self.plug, self.plug, self.unplug, self.replug,
                                self.resize, self.hand_over, self.rest, self.hang, self.reset,
                                self.vanish))()
            if self.time == FOREVER:
                return

    def leave_the_dead(self):
        """The host died: what ran there ended, unseen; perhaps it is evacuated."""
        dead = self.host
        if self.run:
            self.end_run(dead.dead, CRASHED, seen=False)
        self.undefine(dead, dead.dead)
        self.host = self.pick_host()
        self.time += self.random.randrange(SECOND, 5 * MINUTE)
        if not self.host or self.chance(0.3):
            return False
        self.define(self.host)
        return True

    # runs

    def start(self, host=None, paused=False):
        host = host or self.host
        number = self.maker.number()
        run = Run(host.name, number, self.time, start_known=self.chance(self.shape.start_known),
                  start_seen=self.chance(self.shape.seen))
        run.states.append((self.time, PAUSED if paused else RUNNING))
        self.instance.runs.append(run)
        self.run = run
        self.maker.make_device(run, "cpu", "total", "", self.time, FOREVER)
        for _ in range(self.random.randint(0, 2)):
            self.add_nic(known=True)
        for i in range(self.disks):
            self.maker.make_device(run, "blk", "vd" + "abcdefgh"[i], "", self.time, FOREVER)
        return run

    def add_nic(self, known, own_start=False):
        number = self.maker.number()
        device = self.maker.make_device(self.run, "nic", f"vnet{number % 5}", f"if{number}",
                                        self.time, FOREVER)
        device.start_known, device.own_start = known, own_start

    def end_run(self, time, reason, seen=True):
        run = self.run
        run.end, run.end_reason, run.end_seen = time, reason, seen
        run.states = [(since, state) for since, state in run.states if since < time] \
            or run.states[:1]
        run.hung = [(begin, min(end, time)) for begin, end in run.hung]
        for device in run.devices:
            device.end = min(device.end, time)
            for counter in device.counters:
                counter.end = device.end
        self.run = None

    def stop(self, reason):
        if self.time >= self.host.dead:
            return
        self.end_run(self.time, reason, seen=self.chance(self.shape.seen))

    # what happens to it

    def pause(self):
        self.run.states.append((self.time, PAUSED))
        self.time += self.random.randrange(100, 5 * MINUTE)
        self.run.states.append((self.time, RUNNING))

    def restart(self):
        self.stop(self.random.choice((SHUTDOWN, DESTROYED, CRASHED)))
        if self.chance(0.5):
            self.wait()
        else:
            self.time += self.random.randrange(1, 3 * SECOND)

    def save(self):
        self.stop(SAVED)
        self.wait()

    def migrate(self):
        """Two QEMUs for a while."""
        source, target = self.host, self.pick_host(self.host)
        if not target:
            return
        old = self.run
        self.define(target)
        self.start(target, paused=True)
        new = self.run
        overlap = self.random.randrange(100, self.random.choice((SECOND, 2 * MINUTE)))
        if self.time + overlap >= min(source.dead, target.dead):
            overlap = 1
        self.time += overlap
        self.run = old
        self.end_run(self.time, MIGRATED, seen=self.chance(self.shape.migration_seen))
        self.undefine(source, self.time + self.random.randrange(1, SECOND))
        self.host, self.run = target, new
        new.states.append((self.time, RUNNING))

    def devices(self, group):
        return [device for device in self.run.devices
                if device.group == group and device.end == FOREVER]

    def plug(self):
        if self.run.is_hung(self.time):
            return  # it takes the monitor
        known = self.chance(self.shape.device_start_known)
        if self.chance(0.5):
            self.add_nic(known, own_start=True)
        else:
            self.plug_disk("vd" + "abcdefgh"[len(self.devices("blk"))], known)
        self.time += 1

    def plug_disk(self, name, known):
        if any(device.parameter == name for device in self.devices("blk")):
            return
        device = self.maker.make_device(self.run, "blk", name, f"plug{self.maker.number()}",
                                        self.time, FOREVER)
        device.start_known, device.own_start = known, True

    def unplug(self):
        candidates = self.devices("nic") + self.devices("blk")[1:]
        if not candidates or self.run.is_hung(self.time):
            return None
        device = self.random.choice(candidates)
        device.end = self.time
        for counter in device.counters:
            counter.end = self.time
        self.time += 1
        return device

    def replug(self):
        device = self.unplug()
        if not device:
            return
        self.time += self.random.randrange(1, 30 * SECOND)
        if self.run.is_hung(self.time):
            return
        if device.group == "nic":
            self.add_nic(self.chance(self.shape.device_start_known), own_start=True)
        else:
            self.plug_disk(device.parameter, self.chance(self.shape.device_start_known))

    def resize(self):
        """Cold: off, elsewhere on with another flavor; the old definition goes later."""
        self.stop(SHUTDOWN)
        source, target = self.host, self.pick_host()
        self.time += self.random.randrange(SECOND, MINUTE)
        vcpus = self.random.randint(1, 8)
        self.maker.change_info(self.instance, self.time, flavor_id=f"f{vcpus}", vcpus=vcpus,
                               memory_mib=512 * vcpus, disk_gib=10 * vcpus)
        if target and target is not source:
            self.undefine(source, self.time + self.random.randrange(5 * MINUTE))
            self.define(target)
            self.host = target

    def hand_over(self):
        self.maker.change_info(self.instance, self.time,
                               project_id=f"p{self.random.randrange(3)}")

    def rest(self):
        self.stop(SHUTDOWN)
        self.wait(60 * MINUTE)

    def hang(self):
        if self.chance(self.shape.hung * 4) and len(self.host.clock) == 1:
            self.run.hung.append((self.time, self.time + self.random.randrange(20 * MINUTE)))

    def reset(self):
        """A counter that begins anew though nothing tells why."""
        if self.chance(self.shape.reset):
            device = self.random.choice(self.run.devices)
            for counter in device.counters:
                counter.resets.append(self.time)

    def vanish(self):
        if self.chance(0.3):
            self.stop(DESTROYED)
            if not self.run:
                self.time += self.random.randrange(3 * SECOND)
                self.undefine(self.host)
                self.time = FOREVER


def make_world(seed, begin, shape=None):
    return Maker(seed, begin, shape).make()
