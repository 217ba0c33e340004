# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What correct workers send of a world, and what the way does to it.

Worker reads one host's instances as docs/protocol.md and docs/usage.md demand of a worker, and
makes numbered messages. Way delays, reorders, repeats, thins and loses them. The outcome is a Story: the
deliveries in the order of arrival, and the truth to compare with. Everything comes from the seed.
"""

import heapq
import json
import random
from dataclasses import dataclass, field

from lives import FOREVER, HOUR, MINUTE, SECOND, SHUTOFF, make_world

NO_STATE = 0


@dataclass
class Message:
    kind: str
    body: object
    made: int                # true time
    number: int = 0
    spool: int = 0
    times: tuple = None
    until: int = None
    previous: int = None
    thinnable: bool = False
    keys: set = None         # what it has readings of


@dataclass
class Delivery:
    time: int
    kind: str
    body: object             # a dict, or bytes that are no JSON
    envelope: dict

    def frames(self):
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return self.kind.encode(), body, json.dumps(self.envelope).encode()


@dataclass
class Story:
    world: object
    deliveries: list
    retired: list            # (time of the command, host, at)
    truth: object
    untold: list             # (uuid, from, to): lost and nobody could know
    stepped: dict            # host: the earliest time that its clock stepped back to


@dataclass
class Faults:
    """What the way does; chances."""
    outage: float = 0.5
    thin: float = 0.4
    drop: float = 0.2
    lose: float = 0.001
    reorder: float = 0.05
    repeat: float = 0.05
    refuse: float = 0.0005
    silent: float = 0.1
    new_spool: float = 0.2
    late_hours: int = 2


class Truth:
    """The true usage in the time of the workers' clocks."""

    def __init__(self):
        self.curves = {}   # (uuid, metric, parameter): [(counter, pieces)]
        self.in_runs = {}  # uuid: [(from, to)] of hosts whose clock is right

    def add(self, key, counter, pieces):
        self.curves.setdefault(key, []).append((counter, pieces))

    @staticmethod
    def at(counter, pieces, time):
        total = 0
        for begin, offset, low, high in pieces:
            if time > begin:
                total += counter.at(min(time - offset, high)) - counter.at(low)
        return total

    def usage(self, identity, metric, parameter, begin, end):
        total = 0
        for (owner, name, device), curves in self.curves.items():
            if owner == identity and name == metric and parameter in ("total", device):
                total += sum(self.at(*curve, end) - self.at(*curve, begin) for curve in curves)
        return total


METRICS = {"cpu": ["cpu"], "nic": ["nic_incoming", "nic_outgoing"],
           "blk": ["blk_read", "blk_write"]}


class Worker:
    """Reads one host."""

    def __init__(self, world, host, seed):
        self.world, self.host = world, host
        self.random = random.Random(f"{seed} {host.name}")
        self.messages = []
        self.segment = 0
        self.last_full = None     # the true time of the last reading of all
        self.known = {}           # uuid: what was seen of it at last: "run" or "off"
        self.last_seen = {}       # uuid: the time of its last sample here
        self.sent_infos = {}
        self.first_read = {}      # id of a run or device: (segment, start as told)
        self.last_read = {}       # id of a device: (true time, values)
        self.bases = {}           # id of a device: [true time that each clock piece counts from]
        self.told = set()
        self.untold = []

    def chance(self, probability):
        return self.random.random() < probability

    # clocks

    def offset(self, time):
        return [offset for since, offset in self.host.clock if since <= time][-1]

    def wall(self, time):
        return time + self.offset(time)

    # what happens, in order

    def watch(self):
        for time, _, action in sorted(self.moments(), key=lambda moment: moment[:2]):
            action(time)
        return self.messages

    def moments(self):
        host, moments = self.host, []
        for time in [host.begin] + [end for _, end in host.blind_parts()]:
            if not host.is_blind(time):
                moments.append((time, 0, self.read_after_blindness))
        for i, (since, offset) in enumerate(host.clock):
            if i > 0 and not host.is_blind(since):
                back = offset < host.clock[i - 1][1]
                moments.append((since, 1, self.step_back if back else self.step_ahead))
            stop = host.clock[i + 1][0] if i + 1 < len(host.clock) else self.world.end
            moments += self.ticks(max(since, host.begin), stop, offset)
        for instance in self.world.instances:
            for run in instance.runs:
                if run.host == host.name:
                    moments += self.events(instance, run)
        return [moment for moment in moments
                if moment[0] < self.world.end and not host.is_blind(moment[0])]

    def ticks(self, begin, stop, offset):
        interval = self.host.interval
        moments, wall = [], -(-(begin + offset) // interval) * interval
        while wall - offset < stop:
            late = self.random.randrange(1200, 3000) if self.chance(0.01) else 0
            if wall - offset + late < stop:
                moments.append((wall - offset + late, 3, self.read_all))
            wall += interval
        return moments

    def events(self, instance, run):
        """Those of its lifecycle, as (time, order, action)."""
        def reading(groups):
            return lambda time: self.read_on_event(instance, run, time, groups)

        moments, cheap, all_groups = [], ("nic",), ("nic", "blk")
        if run.start_seen:
            moments.append((run.start + self.random.randrange(200), 2,
                            reading(all_groups if self.chance(0.5) else cheap)))
        for since, _ in run.states[1:]:
            if self.chance(0.9):
                moments.append((since, 2, reading(cheap)))
        for device in run.devices:
            for time in (device.begin, device.end):
                if run.start < time < run.end:
                    moments.append((time, 2, reading(all_groups)))
        if run.end_seen and run.end < FOREVER:
            if self.chance(0.5):
                moments.append((run.end - self.random.randrange(1, 50), 2, reading(all_groups)))
            moments.append((run.end, 2, lambda time: self.close(instance, run, time)))
        for name, _, end in instance.defined:
            if name == self.host.name and end < FOREVER and self.chance(0.5):
                moments.append((end, 2, lambda time: self.note_undefined(instance, time)))
        return moments

    # messages

    def send(self, kind, body, made, **details):
        message = Message(kind, body, made, number=len(self.messages) + 1, **details)
        self.messages.append(message)

    def send_gaps(self, gaps, time):
        if gaps:
            self.send("1", {"host": self.host.name, "gaps": gaps}, time)

    def send_readings(self, readings, time, until=None, thinnable=False):
        keys = set()
        for reading in readings:
            for entry in reading["data"]:
                keys.add((reading["uuid"], reading["epoch"], self.segment, entry[0], entry[1],
                          entry[3] if len(entry) > 3 else "",
                          entry[2][0] if entry[0] == "state" else None))
        moments = [reading["time"] for reading in readings]
        self.send("3", {"host": self.host.name, "readings": readings}, time,
                  times=(min(moments), max(moments)) if moments else None, until=until,
                  thinnable=thinnable, keys=keys)

    # readings

    def epoch(self, run):
        return f"{self.host.name}/boot/{run.number}/{run.number * 7}"

    def start_of(self, thing, time, known):
        """As it was told with the first reading; nothing in later segments."""
        if id(thing) not in self.first_read:
            begin = thing.start if hasattr(thing, "start") else thing.begin
            since = [since for since, _ in self.host.clock if since <= time]
            begun_in = [since for since, _ in self.host.clock if since <= begin]
            crossed_back = any(self.host.clock[i][1] < self.host.clock[i - 1][1]
                               for i in range(len(begun_in), len(since)))
            offset = self.offset(time if crossed_back else begin)
            self.first_read[id(thing)] = (self.segment, begin + offset if known else None)
        segment, start = self.first_read[id(thing)]
        return start if segment == self.segment else None

    def reading(self, instance, run, time, groups=("nic", "blk")):
        wall = self.wall(time)
        reading = {"uuid": instance.uuid, "time": wall, "epoch": self.epoch(run),
                   "segment": self.segment}
        # What ran before this worker's first reading: where it is not the only run, let the start
        # be known, as nothing could tell how much of it is missing.
        known = run.start_known or self.last_full is None and len(instance.runs) > 1
        start = self.start_of(run, time, known)
        if start is not None:
            reading["start"] = start
        reading["data"] = [["state", "total", [run.state_at(time), 1]]]
        for device in run.devices:
            if not device.begin <= time < device.end:
                continue
            if device.group == "cpu" or device.group in groups and not (
                    device.group == "blk" and run.is_hung(time)):
                reading["data"].append(self.tuple_of(device, time))
        self.last_seen[instance.uuid] = max(wall, self.last_seen.get(instance.uuid, wall))
        self.known[instance.uuid] = "run"
        return reading

    def tuple_of(self, device, time):
        values = [counter.raw(time) for counter in device.counters]
        self.note_reset(device, time)
        self.last_read[id(device)] = (time, values)
        return self.pack(device, values, self.start_of(device, time, device.start_known))

    @staticmethod
    def pack(device, values, start):
        packed = [device.group, device.parameter, list(values)]
        if device.own_start:
            packed += [device.life, start]
        elif device.life:
            packed += [device.life]
        return packed

    def note_reset(self, device, time):
        """A reset that cannot be seen, as the counter is higher again, is lost to everybody."""
        last, values = self.last_read.get(id(device), (device.begin - 1, [0, 0]))
        for counter, value in zip(device.counters, values):
            if any(last < reset <= time for reset in counter.resets) and \
                    counter.raw(time) >= value:
                self.untold.append((id(device), self.wall(last), self.wall(time)))

    def off_reading(self, instance, time, state):
        self.last_seen[instance.uuid] = self.wall(time)
        return {"uuid": instance.uuid, "time": self.wall(time), "segment": self.segment,
                "epoch": f"{self.host.name}/off", "data": [["state", "total", [state, 0]]]}

    def active(self, instance, time):
        return next((run for run in instance.runs
                     if run.host == self.host.name and run.start <= time < run.end), None)

    def read_after_blindness(self, time):
        """The first reading of all, or the first after a while without any."""
        gaps = []
        if self.last_full is not None:
            away = any(end == time for _, end in self.host.away)
            gaps.append({"from": self.wall(self.last_full), "to": self.wall(time),
                         "reason": "not-running" if away else "libvirt"})
            if away:
                self.known, self.sent_infos = {}, {}
        self.send_gaps(gaps, time)
        self.note_unread(time, blind=True)
        self.read_everything(time)

    def read_all(self, time):
        if self.last_full == time:
            return
        self.note_unread(time, blind=False)
        self.read_everything(time)

    def read_everything(self, time):
        gaps, readings, infos = [], [], []
        for instance in self.world.instances:
            run = self.active(instance, time)
            defined = instance.is_defined(self.host.name, time)
            if run:
                gaps += self.unknown_start(instance, run, time)
                readings.append(self.reading(instance, run, time))
            elif defined:
                readings.append(self.off_reading(instance, time, SHUTOFF))
                self.known[instance.uuid] = "off"
            elif instance.uuid in self.known:
                readings.append(self.off_reading(instance, time, NO_STATE))
                del self.known[instance.uuid]
            if run or defined:
                infos += self.new_info(instance, time)
        self.send_gaps(gaps, time)
        if infos:
            self.send("1", {"host": self.host.name, "instances": infos}, time)
        half = len(readings) // 2
        if half and self.chance(0.05):
            self.send_readings(readings[:half], time)
            readings = readings[half:]
        self.last_full = time
        self.send_readings(readings, time, until=self.wall(time), thinnable=True)

    def new_info(self, instance, time):
        info = instance.info_at(time)
        if not info or self.sent_infos.get(instance.uuid) == info:
            return []
        self.sent_infos[instance.uuid] = info
        return [dict(info, uuid=instance.uuid, since=self.wall(time), name=instance.name,
                     flavor_name=info["flavor_id"])]

    def unknown_start(self, instance, run, time):
        """It appeared while we watched, but nothing tells when its counters were zero."""
        if id(run) in self.first_read or run.start_known or self.last_full is None:
            return []
        return self.unread(instance, self.last_full, time)

    def unread(self, instance, begin, end):
        begin, end = sorted((self.wall(begin), self.wall(end)))
        return [{"uuid": instance.uuid, "from": begin, "to": end, "reason": "unread"}]

    def note_unread(self, time, blind):
        """Lives that began and ended since the last reading, and were not read."""
        last = self.last_full if self.last_full is not None else -1
        gaps = []
        for instance in self.world.instances:
            for run in instance.runs:
                if run.host != self.host.name or run.start > time:
                    continue
                if run.end <= time and id(run) not in self.first_read:
                    gaps += self.note_missed(instance, run, last, time, blind, run.start)
                    continue
                for device in run.devices:
                    if device.end <= time and id(device) not in self.last_read and \
                            run.end > last:
                        gaps += self.note_missed(instance, device, last, time, blind,
                                                 device.begin)
        self.send_gaps(gaps, time)

    def note_missed(self, instance, thing, last, time, blind, begin):
        if id(thing) in self.told:
            return []
        self.told.add(id(thing))
        if not blind and last >= 0:
            return self.unread(instance, min(begin, last), time)
        return []

    def read_on_event(self, instance, run, time, groups):
        if not run.start <= time < run.end or self.last_full is None:
            return
        self.send_gaps(self.unknown_start(instance, run, time), time)
        self.send_readings([self.reading(instance, run, time, groups)], time)

    def close(self, instance, run, time):
        if id(run) not in self.first_read:
            return
        reading = {"uuid": instance.uuid, "time": self.wall(time), "epoch": self.epoch(run),
                   "segment": self.segment, "data": [["state", "total", [SHUTOFF,
                                                                        run.end_reason]]]}
        start = self.start_of(run, time, run.start_known)
        if start is not None:
            reading["start"] = start
        self.known[instance.uuid] = "off"
        self.send_readings([reading], time)

    def note_undefined(self, instance, time):
        if instance.uuid in self.known and not self.active(instance, time):
            del self.known[instance.uuid]
            self.send_readings([self.off_reading(instance, time, NO_STATE)], time)

    # clock steps

    def note_bases(self, time, back):
        for instance in self.world.instances:
            for run in instance.runs:
                if run.host != self.host.name:
                    continue
                for device in run.devices:
                    base = time
                    if back and device.begin <= time < device.end:
                        base = self.last_read.get(id(device), (device.begin - 1,))[0]
                    self.bases.setdefault(id(device), []).append((self.wall(time), base))

    def step_ahead(self, time):
        self.note_bases(time, back=False)

    def step_back(self, time):
        """A new segment: its first samples repeat the last values, at the new clock's time."""
        self.note_bases(time, back=True)
        self.segment += 1
        readings = []
        for instance in self.world.instances:
            run = self.active(instance, time)
            if run and id(run) in self.first_read:
                data = [["state", "total", [run.state_at(time), 1]]]
                data += [self.pack(device, self.last_read[id(device)][1], None)
                         for device in run.devices
                         if device.begin <= time < device.end and id(device) in self.last_read]
                readings.append({"uuid": instance.uuid, "time": self.wall(time),
                                 "epoch": self.epoch(run), "segment": self.segment,
                                 "data": data})
        if readings:
            self.send_readings(readings, time)

    # the truth, in the time of this host's clock

    def tell_truth(self, truth):
        for instance in self.world.instances:
            for run in instance.runs:
                if run.host != self.host.name:
                    continue
                for device in run.devices:
                    pieces = self.pieces(device)
                    for metric, counter in zip(METRICS[device.group], device.counters):
                        truth.add((instance.uuid, metric, device.parameter), counter, pieces)

    def pieces(self, device):
        """[(wall time of its begin, offset, true time that it counts from, and to)]"""
        bases = self.bases.get(id(device), [])
        offsets = [offset for _, offset in self.host.clock]
        lows = [-1] + [base for _, base in bases]
        highs = lows[1:] + [FOREVER]
        begins = [-1] + [wall for wall, _ in bases]
        return list(zip(begins, offsets, lows, highs))


class Way:
    """Carries one host's messages to the server."""

    def __init__(self, world, host, messages, faults, seed):
        self.world, self.host, self.messages, self.faults = world, host, messages, faults
        self.random = random.Random(f"way {seed} {host.name}")
        self.arrivals = {}   # index of a message: when it arrives first
        self.dropped = {}    # index of a message: when the worker gave it up
        self.thinned = set()
        self.unbridged = set()
        self.outages = []
        self.silent_from = FOREVER

    def chance(self, probability):
        return self.random.random() < probability

    def carry(self):
        self.plan_outages()
        self.split_spools()
        heard = False
        for i, message in enumerate(self.messages):
            self.plan_arrival(i, message, is_first=not heard)
            heard = heard or message.until is not None
        for outage in self.outages:
            self.worsen(outage)
        self.lose_spools()
        self.lose_single()
        return self.deliver()

    def plan_outages(self):
        if len(self.host.clock) > 1:
            return  # a clock that is wrong, and cut off at once: docs/usage.md has its limits
        time = self.world.begin + self.random.randrange(20 * MINUTE)
        while time < self.world.end:
            length = self.random.choice((10 * SECOND, 5 * MINUTE,
                                         self.faults.late_hours * HOUR))
            length = int(length * self.random.random()) + 1
            if self.chance(self.faults.outage):
                self.outages.append((time, time + length))
            time += length + self.random.randrange(60 * MINUTE)
        if self.chance(self.faults.silent):
            self.silent_from = self.random.randrange(self.world.begin + 10 * MINUTE,
                                                     self.world.end)

    def split_spools(self):
        spool, first = 0, 0
        cuts = [end for _, end in self.host.away if self.chance(self.faults.new_spool)]
        for i, message in enumerate(self.messages):
            while cuts and message.made >= cuts[0]:
                cuts.pop(0)
                spool, first = spool + 1, i
            message.spool, message.number = spool, i - first + 1

    def plan_arrival(self, i, message, is_first):
        arrival = message.made + self.random.randrange(5, 500)
        if not is_first and self.chance(self.faults.reorder):
            arrival += self.random.randrange(30 * SECOND)
        for begin, end in self.outages if not is_first else ():
            if begin <= arrival < end:
                arrival = end + (message.made - begin) // 100 + self.random.randrange(50)
        if arrival < min(self.host.dead, self.silent_from):
            self.arrivals[i] = arrival

    def inside(self, outage):
        return [i for i, message in enumerate(self.messages)
                if outage[0] <= message.made < outage[1] and i in self.arrivals
                and self.arrivals[i] >= outage[1] and i > 5]

    def worsen(self, outage):
        """The spool runs over: the worker thins it, or drops the oldest."""
        waiting = self.inside(outage)
        if len(waiting) > 20 and self.chance(self.faults.thin):
            self.thin(waiting)
        if len(waiting) > 20 and self.chance(self.faults.drop):
            first = self.random.randrange(len(waiting))
            count = self.random.randrange(1, 40)
            for i in waiting[first:first + count]:
                self.drop(i, outage[1])

    def drop(self, i, time):
        self.arrivals.pop(i, None)
        self.thinned.discard(i)
        self.dropped[i] = time

    def thin(self, waiting):
        """Takes out middle readings: of everything in them the reading before and after stays."""
        for i in waiting[1:-1]:
            message, before, after = (self.messages[j] for j in (i, i - 1, i + 1))
            if message.thinnable and self.chance(0.7) and self.is_between(i) and \
                    before.spool == message.spool == after.spool:
                self.thinned.add(i)
                del self.arrivals[i]

    def is_between(self, i):
        """Whether all that it has is in the full readings before and after, too."""
        keys = self.messages[i].keys
        before = next((m.keys for m in reversed(self.messages[:i]) if m.until is not None), set())
        after = next((m.keys for m in self.messages[i + 1:] if m.until is not None), set())
        return keys and keys <= before and keys <= after

    def lose_spools(self):
        """What had not arrived when a new spool was begun never will."""
        begins = {}
        for message in self.messages:
            begins.setdefault(message.spool, message.made)
        for i, message in enumerate(self.messages):
            lost_at = begins.get(message.spool + 1, FOREVER)
            if self.arrivals.get(i, 0) >= lost_at:
                del self.arrivals[i]

    def lose_single(self):
        for i in list(self.arrivals):
            if i > 5 and self.chance(self.faults.lose):
                self.drop(i, self.messages[i].made + self.random.randrange(2, 10) * MINUTE)

    def deliver(self):
        """The deliveries in order, with the envelope as it was when each was sent."""
        events = [(time, 1, i) for i, time in self.arrivals.items()]
        for i, time in list(self.arrivals.items()):
            if self.chance(self.faults.repeat):
                events.append((time + self.random.randrange(10 * MINUTE), 1, i))
            if i - 1 in self.thinned and self.chance(0.5):
                self.unbridged.add(i)  # sent before its predecessor was thinned, and again after
                events.append((time + self.random.randrange(MINUTE), 1, i))
        events += [(time, 0, i) for i, time in self.dropped.items()]
        outstanding = {}
        waiting = {j for i in self.unbridged for j in self.bridged_by(i)}
        for i in sorted(set(self.arrivals) | set(self.dropped) | waiting):
            heapq.heappush(outstanding.setdefault(self.messages[i].spool, []), i)
        gone, deliveries = set(), []
        for time, is_arrival, i in sorted(events):
            heap = outstanding[self.messages[i].spool]
            if is_arrival:
                if i in gone and i in self.unbridged:
                    gone.update(self.bridged_by(i))
                while heap[0] in gone and heap[0] < i:
                    heapq.heappop(heap)
                deliveries.append(self.delivery(i, time, min(heap[0], i), i in gone))
            gone.add(i)
        return deliveries

    def bridged_by(self, i):
        """The thinned ones right before it: not out of the spool until it was sent again."""
        j = i - 1
        while j in self.thinned:
            yield j
            j -= 1

    def delivery(self, i, time, oldest, again):
        message = self.messages[i]
        envelope = {"worker": self.host.name, "spool": f"{self.host.name}-{message.spool}",
                    "seq": message.number, "oldest": self.messages[oldest].number}
        previous = i - 1
        while previous in self.thinned:
            previous -= 1
        if previous != i - 1 and (again or i not in self.unbridged):
            envelope["previous"] = self.messages[previous].number
        if message.times:
            envelope["times"] = list(message.times)
        if message.until is not None:
            envelope["until"] = message.until
        body = b"not JSON" if self.is_refused(i) else message.body
        return Delivery(time, message.kind, body, envelope)

    def is_refused(self, i):
        return i > 5 and random.Random(f"{self.host.name} {i}").random() < self.faults.refuse


class Untold:
    """Lives that left no trace at all: they began and ended where nobody read, or what was read
    is lost, and neither the reading before nor the one after saw the instance there. docs/usage.md
    says that nobody can declare them."""

    def __init__(self, worker, way):
        self.worker, self.host = worker, worker.host
        arrived = [message for i, message in enumerate(worker.messages)
                   if i in way.arrivals and not way.is_refused(i)]
        self.keys = {key[:2] + key[3:6] for message in arrived for key in message.keys or ()}
        self.full = [message for message in arrived if message.until is not None]
        self.unread = [gap for message in arrived for gap in message.body.get("gaps", ())
                       if gap["reason"] == "unread"]

    def find(self):
        for instance in self.worker.world.instances:
            for run in instance.runs:
                if run.host != self.host.name:
                    continue
                if not self.has(instance, run, "state", "total"):
                    if not self.is_declared(instance, run):
                        yield self.entry(instance, run.start, run.end)
                    continue
                for device in run.devices:
                    if not self.has(instance, run, device.group, device.parameter, device.life) \
                            and not self.is_unread(instance, device.begin, device.end):
                        yield self.entry(instance, device.begin, device.end)

    def has(self, instance, run, group, parameter, life=""):
        return (instance.uuid, self.worker.epoch(run), group, parameter, life) in self.keys

    def entry(self, instance, begin, end):
        return (instance.uuid, self.worker.wall(begin),
                self.worker.wall(end) if end < FOREVER else FOREVER)

    def is_unread(self, instance, begin, end):
        return any(gap["uuid"] == instance.uuid and gap["from"] <= self.worker.wall(begin)
                   and self.worker.wall(end) <= gap["to"] for gap in self.unread)

    def is_declared(self, instance, run):
        others = [other for other in instance.runs if other is not run]
        hosts = self.worker.world.hosts
        if self.is_unread(instance, run.start, run.end):
            return True
        if any(other.start < run.end and run.start < other.end
               or len(hosts[other.host].clock) > 1 for other in others):
            return False
        if self.host.retired:
            return not any(begin < run.end and run.start < end and name != self.host.name
                           for name, begin, end in instance.defined)
        before = [message for message in self.full if message.made <= run.start][-1:]
        after = [message for message in self.full if message.made >= run.end][:1]
        return any(reading["uuid"] == instance.uuid for message in before + after
                   for reading in message.body["readings"])


def tell(seed, begin, shape=None, faults=None):
    """The story of a seed."""
    world = make_world(seed, begin, shape)
    faults = faults or Faults()
    truth, deliveries, untold, stepped = Truth(), [], [], {}
    for host in world.hosts.values():
        worker = Worker(world, host, seed)
        way = Way(world, host, worker.watch(), faults, seed)
        deliveries += way.carry()
        worker.tell_truth(truth)
        untold += named(world, worker.untold)
        untold += Untold(worker, way).find()
        back = [since + offset for i, (since, offset) in enumerate(host.clock)
                if i and offset < host.clock[i - 1][1]]
        if back:
            stepped[host.name] = min(back)
    heard = {delivery.envelope["worker"] for delivery in deliveries}
    retired = [(host.retired + MINUTE, host.name, host.retired)
               for host in world.hosts.values() if host.retired and host.name in heard]
    deliveries.sort(key=lambda delivery: delivery.time)
    return Story(world, deliveries, retired, truth, untold, stepped)


def named(world, untold):
    """Entries of a device become entries of its instance."""
    owners = {id(device): instance.uuid for instance in world.instances
              for run in instance.runs for device in run.devices}
    return [(owners.get(owner, owner), begin, end) for owner, begin, end in untold]
