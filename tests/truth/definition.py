# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""docs/usage.md once more, in Python integers.

Knowledge takes messages in any order and answers from what they say, and from `now`, alone. It
shares nothing with the C code but the document. `Knowledge` is what a server knows; `Timeline` is one
instance's runs and what is not known of it; `Curve` is C(t).
"""

import bisect
from dataclasses import dataclass, field

INFINITY = 1 << 62
SHUTOFF, REASON_MIGRATED = 5, 4
STATES = ["nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed",
          "pmsuspended"]

# name: (group, column), the counters of docs/metrics.md
COUNTERS = {
    "cpu": ("cpu", 0),
    "mem_swap_in": ("mem", 8), "mem_swap_out": ("mem", 9), "mem_major_fault": ("mem", 10),
    "mem_minor_fault": ("mem", 11),
    "nic_incoming": ("nic", 0), "nic_outgoing": ("nic", 1), "nic_rx_pkts": ("nic", 2),
    "nic_rx_errs": ("nic", 3), "nic_rx_drop": ("nic", 4), "nic_tx_pkts": ("nic", 5),
    "nic_tx_errs": ("nic", 6), "nic_tx_drop": ("nic", 7),
    "blk_read": ("blk", 0), "blk_write": ("blk", 1), "blk_rd_reqs": ("blk", 2),
    "blk_rd_times": ("blk", 3), "blk_wr_reqs": ("blk", 4), "blk_wr_times": ("blk", 5),
    "blk_fl_reqs": ("blk", 6), "blk_fl_times": ("blk", 7),
    "vcpu_time": ("vcpu", 0), "vcpu_delay": ("vcpu", 1),
    "vmnetwork": ("vmnetwork", 0), "vmnetwork_in": ("vmnetwork", 1),
    "vmnetwork_out": ("vmnetwork", 2), "vmnetwork_internal_in": ("vmnetwork", 3),
    "vmnetwork_internal_out": ("vmnetwork", 4)}
DEVICE_GROUPS = {"nic", "blk", "vcpu", "vmnetwork"}
TIMES = {"state_time": None, "vcpus_time": ("vcpus", 1), "memory_time": ("memory_mib", 1),
         "disk_time": ("disk_gib", 1)}


class Curve:
    """C(t) of one track."""

    def __init__(self, samples, start, jump=None):
        """samples: sorted (time, value); jump: what the first one counts, in a later segment."""
        self.first, self.last = samples[0][0], samples[-1][0]
        self.times, self.sums, self.falls = [], [], []
        if jump is not None:
            total = jump
        elif start is None:
            total = 0
        else:
            total = samples[0][1]
            if start < self.first:
                self.times.append(start)
                self.sums.append(0)
        self.times.append(self.first)
        self.sums.append(total)
        for (before, low), (time, value) in zip(samples, samples[1:]):
            if value < low:
                self.falls.append((before, time))
            total += value - low if value >= low else value
            self.times.append(time)
            self.sums.append(total)

    def at(self, time):
        i = bisect.bisect_right(self.times, time) - 1
        if i < 0:
            return 0
        if i == len(self.times) - 1:
            return self.sums[i]
        rise, length = self.sums[i + 1] - self.sums[i], self.times[i + 1] - self.times[i]
        return self.sums[i] + rise * (time - self.times[i]) // length

    def between(self, time):
        """The neighbours that the time is strictly between, by the index of the first, or None."""
        i = bisect.bisect_left(self.times, time)
        inside = 0 < i < len(self.times) and self.times[i] != time
        return i - 1 if inside else None

    def error_at(self, time):
        i = self.between(time)
        if i is None:
            return 0
        value = self.at(time)
        return max(value - self.sums[i], self.sums[i + 1] - value)

    def uncertainty(self, begin, end):
        i = self.between(begin)
        if i is not None and i == self.between(end):
            usage = self.at(end) - self.at(begin)
            return max(usage, self.sums[i + 1] - self.sums[i] - usage)
        return self.error_at(begin) + self.error_at(end)

    def next_at(self, time):
        """The first sample at that time or later."""
        i = bisect.bisect_left(self.times, time)
        return self.times[i] if i < len(self.times) and self.last >= time else None


class Family:
    """All segments of one device's life, of one metric."""

    def __init__(self, segments, start):
        """segments: {segment: sorted (time, value)}"""
        self.curves, self.jumps = [], []
        self.start_known = start is not None
        low = None
        for segment in sorted(segments):
            samples = segments[segment]
            jump = None
            if low is not None:
                jump = samples[0][1] - low if samples[0][1] >= low else samples[0][1]
                if jump:
                    self.jumps.append(jump)
            curve = Curve(samples, start if low is None else None, jump)
            if low is not None and samples[0][1] < low:
                curve.falls.insert(0, tuple(sorted((self.curves[-1].last, curve.first))))
            self.curves.append(curve)
            low = samples[-1][1]
        order = sorted(segments)
        self.first = (order[0], segments[order[0]][0][0])
        self.last = (order[-1], segments[order[-1]][-1][0])
        self.lowest = min(curve.times[0] for curve in self.curves)
        self.highest = max(curve.last for curve in self.curves)

    def usage(self, begin, end):
        return sum(curve.at(end) - curve.at(begin) for curve in self.curves)

    def uncertainty(self, begin, end):
        total = sum(curve.uncertainty(begin, end) for curve in self.curves)
        if any(self.lowest < edge < self.highest for edge in (begin, end)):
            total += sum(self.jumps)
        return total


class Device:
    """The samples of one device's life in one epoch."""

    def __init__(self):
        self.segments = {}    # segment: {time: [values]}
        self.start = None     # ((segment, time), unknown?, start)

    def add(self, segment, time, values, start):
        samples = self.segments.setdefault(segment, {})
        known = samples.setdefault(time, [])
        for i, value in enumerate(values):
            if i >= len(known):
                known.append(value)
            elif value is not None and (known[i] is None or value > known[i]):
                known[i] = value
        told = ((segment, time), start is None, start or 0)
        if self.start is None or told < self.start:
            self.start = told

    def keys(self, column=None):
        return [(segment, time) for segment, samples in self.segments.items()
                for time, values in samples.items()
                if column is None or len(values) > column and values[column] is not None]

    def family(self, column):
        segments = {}
        for segment, samples in self.segments.items():
            row = sorted((time, values[column]) for time, values in samples.items()
                         if len(values) > column and values[column] is not None)
            if row:
                segments[segment] = row
        if not segments:
            return None
        return Family(segments, None if self.start[1] else self.start[2])


@dataclass
class Instance:
    devices: dict = field(default_factory=dict)  # (epoch, group, parameter, life): Device
    starts: dict = field(default_factory=dict)   # epoch: ((segment, time), unknown?, start)
    infos: dict = field(default_factory=dict)    # (since, host): {...}
    gaps: set = field(default_factory=set)       # (host, from, to, cause)


@dataclass
class Spool:
    worker: str
    host: str = None
    oldest: int = 0
    numbers: dict = field(default_factory=dict)  # number: [previous, until, last time, refused]

    def last(self):
        """The last `until` over the numbers without a hole, and when it came."""
        until, heard, last = None, None, 0
        for number, (previous, told, _, _, arrival) in sorted(self.numbers.items()):
            if previous > last and previous >= self.oldest:
                break
            last = number
            if told is not None:
                until, heard = told, arrival
        return until, heard


@dataclass
class Run:
    epoch: str
    host: str
    begin: int
    first: tuple                # (segment, time) of the first sample, and the last of the state
    last: tuple
    start_known: bool
    end: int = INFINITY
    tail: tuple = None          # (from, to) where nobody saw the end
    migrated: bool = False

    @property
    def is_open(self):
        return self.end == INFINITY


@dataclass
class Answer:
    value: int
    uncertainty: int
    edges: int                  # the uncertainty of what was measured, whatever the coverage
    covered_ms: int
    window_ms: int
    complete: bool
    reasons: list

    @property
    def kinds(self):
        return {reason["reason"] for reason in self.reasons}


class Knowledge:
    """What a server knows of the messages that it received."""

    def __init__(self):
        self.instances, self.spools, self.retired = {}, {}, {}
        self.gaps = set()          # (host, from, to, cause), as workers told them
        self.timelines, self.hosts = {}, None

    # messages

    def take(self, body, envelope=None, arrival=INFINITY):
        """body: a dict; anything else is refused. arrival: the server's clock then."""
        self.timelines, self.hosts = {}, None
        is_known = isinstance(body, dict)
        if envelope:
            self.take_envelope(envelope, body.get("host") if is_known else None, not is_known,
                               arrival)
        if not is_known:
            return
        for reading in body.get("readings", ()):
            self.take_reading(reading)
        for info in body.get("instances", ()):
            self.instance(info["uuid"]).infos[(info["since"], body["host"])] = dict(
                info, host=info.get("host") or body["host"])
        for gap in body.get("gaps", ()):
            told = (body["host"], gap["from"], gap["to"], gap["reason"])
            if "uuid" in gap:
                self.instance(gap["uuid"]).gaps.add(told)
            else:
                self.gaps.add(told)

    def instance(self, uuid):
        return self.instances.setdefault(uuid, Instance())

    def take_envelope(self, envelope, host, refused, arrival):
        spool = self.spools.setdefault((envelope["worker"], envelope["spool"]),
                                       Spool(envelope["worker"]))
        spool.host = spool.host or host
        spool.oldest = max(spool.oldest, envelope["oldest"])
        number = envelope["seq"]
        previous = envelope.get("previous", number - 1)
        entry = spool.numbers.setdefault(
            number, [previous, envelope.get("until"), envelope.get("times", (0, 0))[1], refused,
                     arrival])
        entry[0] = min(entry[0], previous)
        entry[4] = min(entry[4], arrival)

    def take_reading(self, reading):
        instance = self.instance(reading["uuid"])
        epoch, segment = reading.get("epoch", ""), reading.get("segment", 0)
        time, start = reading["time"], reading.get("start")
        told = ((segment, time), start is None, start or 0)
        instance.starts[epoch] = min(instance.starts.get(epoch, told), told)
        for entry in reading["data"]:
            group, parameter, values = entry[:3]
            life = entry[3] if len(entry) > 3 else ""
            own = entry[4] if len(entry) > 4 else start
            if all(value is None for value in values):
                continue
            key = (epoch, group, parameter, life)
            if key not in instance.devices:
                instance.devices[key] = Device()
            instance.devices[key].add(segment, time, values, own)

    def retire(self, host, at):
        self.timelines, self.hosts = {}, None
        self.retired[host] = at

    # hosts

    def host(self, name):
        if self.hosts is None:
            names = {spool.host for spool in self.spools.values() if spool.host}
            self.hosts = {each: HostLine(each, self) for each in names}
        return self.hosts.get(name) or HostLine(name, self)

    def all_hosts(self):
        self.host("")
        return self.hosts

    # questions

    def timeline(self, uuid):
        if uuid not in self.timelines:
            self.timelines[uuid] = Timeline(self, self.instance(uuid))
        return self.timelines[uuid]

    def usage(self, uuid, metric, parameter, begin, end, now, only_host=None):
        timeline = self.timeline(uuid)
        if metric in TIMES:
            return timeline.time_usage(metric, parameter, begin, end, now, only_host)
        if parameter != "total" or COUNTERS[metric][0] not in DEVICE_GROUPS:
            return timeline.usage(metric, parameter, begin, end, now, only_host)
        parameters = timeline.parameters(metric) or [None]
        return add_up([timeline.usage(metric, each, begin, end, now, only_host)
                       for each in parameters], parallel=True)

    def usage_by(self, field_name, uuid, metric, parameter, begin, end, now):
        """{value of the field: Answer}; a host's value is of what ran there."""
        if field_name == "host":
            return {host: self.usage(uuid, metric, parameter, begin, end, now, host)
                    for host in self.timeline(uuid).hosts()}
        parts = {}
        for value, low, high in self.timeline(uuid).split(field_name, begin, end):
            parts.setdefault(value, []).append(self.usage(uuid, metric, parameter, low, high, now))
        return {value: add_up(answers) for value, answers in parts.items()}


def add_up(answers, parallel=False):
    """Of parameters beside each other, or of windows one after another."""
    reasons = []
    for answer in answers:
        reasons += [reason for reason in answer.reasons if reason not in reasons]
    reasons = in_order(reasons)
    unknown = any(answer.uncertainty is None for answer in answers)
    edges = sum(answer.edges for answer in answers)
    measure = min if parallel else sum
    return Answer(sum(answer.value for answer in answers), None if unknown else edges, edges,
                  measure(answer.covered_ms for answer in answers),
                  measure(answer.window_ms for answer in answers),
                  all(answer.complete for answer in answers), reasons)


class HostLine:
    """One host's frontier, first reading and gaps."""

    def __init__(self, name, knowledge):
        self.name = name
        self.retired = knowledge.retired.get(name)
        self.told = None       # the last `until`; the frontier is never after its arrival
        self.frontier, self.first, self.pending = None, None, None
        self.gaps = [gap[1:] for gap in sorted(knowledge.gaps) if gap[0] == name]
        spools = [spool for spool in knowledge.spools.values() if spool.host == name]
        spools.sort(key=lambda spool: min((entry[1] for entry in spool.numbers.values()
                                           if entry[1] is not None), default=INFINITY))
        for i, spool in enumerate(spools):
            self.follow(spool, is_new=i > 0 and not self.went_on(spools[i - 1], spool))
        self.silent_since = self.frontier
        if self.frontier is None:
            self.frontier = self.told = -INFINITY
        if self.retired is not None:
            if -INFINITY < self.frontier < self.retired:
                self.gaps.append((self.frontier, self.retired, "retired"))
            self.frontier = self.told = INFINITY

    @staticmethod
    def went_on(older, newer):
        """The older spool was told of after the newer one's end: it was not lost."""
        first = min((entry[1] for entry in newer.numbers.values() if entry[1] is not None),
                    default=INFINITY)
        (older_until, older_heard), (_, newer_heard) = older.last(), newer.last()
        return None not in (older_until, newer_heard) and older_until > first and \
            older_heard > newer_heard

    def follow(self, spool, is_new):
        """Over the numbers without a hole, or with holes that will stay."""
        if is_new:
            self.miss("spool-lost", -1)
        last = 0
        for number in sorted(spool.numbers):
            previous, until, last_time, refused, arrival = spool.numbers[number]
            if previous > last:
                if previous >= spool.oldest:
                    return
                self.miss("missing", max(last_time, until or 0))
            if refused:
                self.miss("refused", max(last_time, until or 0))
            last = number
            if until is not None:
                self.reach(until, arrival)

    def miss(self, cause, last_time):
        if self.pending:
            self.pending = (self.pending[0], max(self.pending[1], last_time))
        else:
            self.pending = (cause, last_time)

    def reach(self, until, arrival):
        if self.pending:
            cause, last_time = self.pending
            if until <= last_time:
                return
            if self.told is not None:  # else it is no gap
                self.gaps.append((*sorted((self.told, until)), cause))
            self.pending = None
        if self.first is None:
            self.first = until
        self.told = until
        self.frontier = min(until, arrival)


class Timeline:
    """What is known of one instance."""

    def __init__(self, knowledge, instance):
        self.knowledge, self.instance = knowledge, instance
        self.families = {}    # (epoch, group, column): {parameter: [Family]}
        self.unknowns = {}    # (epoch, group, column, parameter): what unknown_in_run found
        self.device_keys = {} # (epoch, group, column): sorted keys of all its samples
        self.states = {}      # epoch: sorted ((segment, time), state, reason)
        self.collect_states()
        self.runs = sorted(self.find_runs(), key=lambda run: (run.begin, run.epoch))
        for run in self.runs:
            self.find_end(run)
        self.infos = [(since, info) for (since, _), info in sorted(
            instance.infos.items(), key=lambda item: item[0])]
        self.host_gaps = self.find_gaps()
        self.off = self.find_off()
        self.unknown_off = self.find_unknown_off()

    # runs

    def collect_states(self):
        for (epoch, group, _, _), device in self.instance.devices.items():
            if group == "state":
                self.states[epoch] = sorted(
                    ((segment, time), values[0], values[1] if len(values) > 1 else None)
                    for segment, samples in device.segments.items()
                    for time, values in samples.items() if values[0] is not None)

    def epochs(self):
        return {epoch for epoch, _, _, _ in self.instance.devices if epoch}

    def off_samples(self, host):
        return self.states.get(f"{host}/off", [])

    def find_runs(self):
        for epoch in self.epochs():
            host = epoch.partition("/")[0]
            if epoch == f"{host}/off":
                continue
            keys = [key for (name, *_), device in self.instance.devices.items()
                    if name == epoch for key in device.keys()]
            first, last = min(keys), max(keys)
            if self.states.get(epoch):
                last = self.states[epoch][-1][0]
            _, unknown, start = self.instance.starts[epoch]
            begin = first[1] if unknown else min(start, first[1])
            yield Run(epoch, host, begin, first, last, start_known=not unknown)

    def find_end(self, run):
        states = self.states.get(run.epoch, [])
        if states and states[-1][1] == SHUTOFF:
            run.end = states[-1][0][1]
            run.migrated = states[-1][2] == REASON_MIGRATED
            return
        segment, last = run.last
        host = self.knowledge.host(run.host)
        evidence = [(other.first[0], other.begin) for other in self.runs
                    if other.host == run.host and other.first > run.last]
        evidence += [key for key, _, _ in self.off_samples(run.host) if key > run.last]
        evidence += [(segment, end) for _, end, _ in host.gaps if last < end <= host.told]
        if host.retired is not None:
            evidence.append((segment, max(last, host.retired)))
        if evidence:
            found = max(min(evidence), run.last)[1]
            run.tail = tuple(sorted((last, found)))
            run.end = run.tail[1]

    # off

    def hosts(self):
        return sorted({epoch.partition("/")[0] for epoch in self.epochs()})

    def samples_on(self, host):
        """All state samples on that host, in order: (key, state); 0: not defined."""
        return sorted((key, state)
                      for epoch, states in self.states.items()
                      if epoch.partition("/")[0] == host for key, state, _ in states)

    def find_gaps(self):
        """Gaps of hosts in which a life of this instance could have been missed."""
        found = []
        for name in self.hosts():
            gaps = [gap for gap in self.knowledge.host(name).gaps]
            gaps += [gap[1:] for gap in self.instance.gaps if gap[0] == name
                     and gap[3] != "unread"]
            times = sorted((key[1], state) for key, state in self.samples_on(name))
            for begin, end, cause in gaps:
                i = bisect.bisect_right(times, (begin, INFINITY))
                was_here = i > 0 and times[i - 1][1] != 0
                came = i < len(times) and times[i][0] <= end
                if was_here or came:
                    found.append((begin, end, {"reason": "gap", "from": begin, "to": end,
                                               "host": name, "cause": cause}))
        return found

    def find_off(self):
        """[from, to) outside of runs, from when the instance is known on."""
        known = [(run.begin, run.host, run.start_known) for run in self.runs]
        known += [(states[0][0][1], epoch.partition("/")[0], True)
                  for epoch, states in self.states.items() if epoch.endswith("/off")]
        if not known:
            self.known_from = self.first_known = INFINITY
            return []
        begin, host, reaches_back = min(known)
        self.first_known = begin
        first = self.knowledge.host(host).first
        self.known_from = min(begin, first) if reaches_back and first is not None else begin
        off, time = [], self.known_from
        for run in self.runs:
            if run.begin > time:
                off.append((time, run.begin))
            time = max(time, run.end)
        if time < INFINITY:
            off.append((time, INFINITY))
        return off

    def find_unknown_off(self):
        """(from, to, reason) of time that is neither a run nor known to be off."""
        unknown = [(-INFINITY, self.known_from,
                    {"reason": "begin-unmeasured", "to": self.known_from})]
        for host, begin, end, cause in self.instance.gaps:
            if cause == "unread":
                unknown.append((begin, end, {"reason": "gap", "from": begin, "to": end,
                                             "host": host, "cause": cause}))
        doubts = self.host_gaps + self.before_firsts() + self.after_migrations() + \
            self.in_dead_hosts()
        limit = self.off_limit()
        if limit:
            doubts.append((limit[0], INFINITY, None))
        unknown += self.unknown_beginnings()
        for low, high in self.off:
            for begin, end, reason in doubts:
                if max(low, begin) < min(high, end):
                    unknown.append((max(low, begin), min(high, end), reason))
        return unknown

    def presence(self, name):
        """[(from, to)]: when it is known to be defined and off on that host.

        What no sample follows after a gap, in which all was read again, is no longer there."""
        host, samples = self.knowledge.host(name), self.samples_on(name)
        ends = sorted(end for _, end, _ in host.gaps if end <= host.told)
        present = []
        for i, ((_, time), state) in enumerate(samples):
            following = samples[i + 1][0][1] if i + 1 < len(samples) else INFINITY
            j = bisect.bisect_right(ends, time)
            if j < len(ends):
                following = min(following, ends[j])
            if state == SHUTOFF and following > time:
                present.append((time, following))
        return unite(present)

    def off_limit(self):
        """(frontier, host): beyond it nothing is known of the instance's being off."""
        limits = []
        for name in self.hosts():
            samples, host = self.samples_on(name), self.knowledge.host(name)
            if not samples or samples[-1][1] == 0 or host.retired is not None:
                continue
            sign = max([samples[-1][0][1]] + [run.end for run in self.runs
                                              if run.host == name and not run.is_open])
            if not any(run.host != name and run.begin > sign for run in self.runs):
                limits.append((host.frontier, name))
        return min(limits, default=None)

    def in_dead_hosts(self):
        """While it is defined nowhere, it may have lived on a host that died untold."""
        present = unite(part for name in self.hosts() for part in self.presence(name))
        doubts = []
        for host in self.knowledge.all_hosts().values():
            for begin, end, cause in host.gaps:
                if cause == "retired":
                    reason = {"reason": "gap", "from": begin, "to": end, "host": host.name,
                              "cause": cause}
                    doubts += [(low, high, reason)
                               for low, high in subtract((begin, end), present)]
        return doubts

    def next_run(self, run):
        """When the run begins that goes on after this one's end."""
        return min((other.begin for other in self.runs
                    if other.begin > run.begin and other.end > run.end), default=INFINITY)

    def before_firsts(self):
        """What a host had in its first reading may have lived there before."""
        doubts = []
        for name in self.hosts():
            first, samples = self.knowledge.host(name).first, self.samples_on(name)
            if first is not None and any(time <= first for (_, time), _ in samples):
                doubts.append((-INFINITY, first, {"reason": "begin-unmeasured", "to": first}))
        return doubts

    def after_migrations(self):
        return [(run.end, self.next_run(run),
                 {"reason": "migrated-away", "since": run.end, "epoch": run.epoch})
                for run in self.runs if run.migrated]

    def unknown_beginnings(self):
        """A run that appears in a gap may have begun in it, and counted."""
        unknown = []
        for run in self.runs:
            if run.start_known:
                continue
            before = [key[1] for key, _ in self.samples_on(run.host) if key < run.first][-1:]
            for begin, end, cause in self.knowledge.host(run.host).gaps:
                if begin < run.begin <= end:
                    unknown.append((max([begin, *before]), run.begin,
                                    {"reason": "gap", "from": begin, "to": end,
                                     "host": run.host, "cause": cause}))
        return unknown

    # devices

    def parameters(self, metric):
        group, column = COUNTERS[metric]
        return sorted({parameter for _, name, parameter, _ in self.instance.devices
                       if name == group
                       and any(parameter in self.family_map(run.epoch, group, column)
                               for run in self.runs)})

    def family_map(self, epoch, group, column):
        key = (epoch, group, column)
        if key not in self.families:
            found = {}
            for (name, kind, parameter, _), device in self.instance.devices.items():
                if name == epoch and kind == group:
                    family = device.family(column)
                    if family:
                        found.setdefault(parameter, []).append(family)
            for families in found.values():
                families.sort(key=lambda family: family.first)
            self.families[key] = found
        return self.families[key]

    def witnesses(self, run, group, column):
        """When devices of a group were read in a run."""
        key = (run.epoch, group, column)
        if group not in DEVICE_GROUPS:
            return []
        if key not in self.device_keys:
            found = {each for (epoch, name, *_), device in self.instance.devices.items()
                     if epoch == run.epoch and name == group for each in device.keys(column)}
            if group == "nic":
                found |= {each for each, state, _ in self.states.get(run.epoch, ())
                          if state != SHUTOFF}
            self.device_keys[key] = sorted(found)
        return self.device_keys[key]

    def unknown_in_run(self, run, keys, families):
        """(from, to, reason) where this was not measured, in one run; keys: its witnesses."""
        if not families:
            return self.behind(run, keys[-1][1] if keys else run.begin)
        unknown = []
        for family in families:
            unknown += self.before_first(run, family, keys)
            for curve in family.curves:
                unknown += [(begin, end, {"reason": "fall", "at": end, "epoch": run.epoch})
                            for begin, end in curve.falls]
            gone = next_after(keys, family.last)
            if gone:
                unknown.append(self.tail(run, family.last, gone))
                unknown += self.behind(run, keys[-1][1])
            else:
                unknown += self.behind(run, family.last[1])
        return unknown

    @staticmethod
    def behind(run, last):
        """After the last sample, or the last reading in which the device was not."""
        if run.is_open:
            return [(last, INFINITY, None)]
        if run.tail:
            last = min(last, run.tail[0])
        if last >= run.end:
            return []
        return [(last, run.end, tail_reason(last, run.end, run))]

    def before_first(self, run, family, keys):
        """A device with an unknown start may have counted since the group's reading before."""
        if family.start_known:
            return []
        i = bisect.bisect_left(keys, family.first)
        since = keys[i - 1] if i > 0 else (run.first[0], run.begin)
        return [self.tail(run, since, family.first)]

    def tail(self, run, first, last):
        """Between two samples; where the clock stepped back, also what it read a second time."""
        times = [time for (segment, time), _, _ in self.states.get(run.epoch, ())
                 if first[0] < segment <= last[0]]
        low = min([first[1], last[1], *times])
        high = max(first[1], last[1])
        return (low, high, tail_reason(low, high, run))

    @staticmethod
    def settled(run, keys, families, time):
        """When it is decided how much was used until that time: None if it is not yet."""
        i = bisect.bisect_left(keys, (keys[-1][0], time)) if keys else 0
        reached = keys[i][1] if i < len(keys) else None
        latest = -INFINITY
        for family in families or [None]:
            if family and family.last[1] >= time:
                found = family.curves[-1].next_at(time)
                if family.first[1] > time and reached is not None:
                    found = min(found, reached)
            else:
                is_gone = not family or next_after(keys, family.last)
                choices = [reached if is_gone else None, None if run.is_open else run.end]
                found = min((each for each in choices if each is not None), default=None)
            if found is None:
                return None
            latest = max(latest, found)
        return latest

    def known_since(self, run, begin):
        """Since when a run is, for a window from `begin`: its start; or its last reading before."""
        if run.start_known:
            return run.begin
        return max((time for (segment, time), _, _ in self.states.get(run.epoch, ())
                    if segment == run.first[0] and time <= begin), default=run.begin)

    # answers

    def usage(self, metric, parameter, begin, end, now, only_host=None):
        group, column = COUNTERS[metric]
        value, edges, unknown = 0, 0, list(self.unknown_off)
        judgement = Judgement(self, begin, end, now)
        for run in self.runs:
            families = self.family_map(run.epoch, group, column).get(parameter, [])
            for family in families:
                if only_host in (None, run.host):
                    value += family.usage(begin, end)
                    edges += family.uncertainty(begin, end)
            key, keys = (run.epoch, group, column, parameter), self.witnesses(run, group, column)
            if key not in self.unknowns:
                self.unknowns[key] = self.unknown_in_run(run, keys, families)
            unknown += self.unknowns[key]
            if run.begin < end:
                last = max((family.last[1] for family in families),
                           default=self.known_since(run, begin))
                judgement.run(run, self.settled(run, keys, families, end), last)
        return judgement.answer(value, edges, unknown)

    # time

    def state_pieces(self, only_host):
        """[(from, to, state, in a run?)] one after another: what holds at each time."""
        pieces, time = [], -INFINITY
        for run in self.runs:
            time = max(run.begin, time)
            states = self.states.get(run.epoch, [])
            for i, (key, state, _) in enumerate(states):
                following = states[i + 1][0][1] if i + 1 < len(states) else key[1]
                if following > time and (i == 0 or i + 1 < len(states)):
                    if only_host in (None, run.host):
                        pieces.append((time, following, state, True))
                    time = following
        return sorted(pieces + self.off_pieces(only_host))

    def off_pieces(self, only_host):
        """While it is defined and off: since a sample that says 5, outside of runs."""
        defined = [part for name in self.hosts() if only_host in (None, name)
                   for part in self.presence(name)]
        pieces = []
        for low, high in self.off:
            for begin, end in unite((max(low, begin), min(high, end)) for begin, end in defined):
                pieces.append((begin, end, SHUTOFF, False))
        return pieces

    def time_usage(self, metric, parameter, begin, end, now, only_host=None):
        unknown = list(self.unknown_off)
        judgement = Judgement(self, begin, end, now)
        for run in self.runs:
            families = self.state_families(run)
            unknown += self.unknown_in_run(run, [], families)
            if run.begin < end:
                last = max((family.last[1] for family in families), default=run.begin)
                judgement.run(run, self.settled(run, [], families, end), last)
        holes = unite((low, high) for low, high, _ in unknown)
        value = 0
        for low, high, state, in_run in self.state_pieces(only_host):
            weight = self.weight(metric, parameter, state, in_run)
            for low, high in subtract((max(low, begin), min(high, end)), holes):
                value += weight(low, high)
        edges = self.doubt(metric, parameter, begin, end, only_host)
        if metric != "state_time" and not self.infos:
            judgement.complete = False
            judgement.reasons.append({"reason": "no-flavor"})
        return judgement.answer(value, edges, unknown)

    def state_families(self, run):
        """The states as if they were a counter, for when they were measured."""
        families = self.family_map(run.epoch, "state", 0).get("total", [])
        for family in families:
            family.start_known = True
            for curve in family.curves:
                curve.falls = []
        return families

    def weight(self, metric, parameter, state, in_run):
        """A function of (from, to): what that time adds."""
        if metric == "state_time":
            counts = parameter == "total" or STATES[state] == parameter
            return lambda low, high: (high - low) * counts
        name, factor = TIMES[metric]
        if not in_run and metric != "disk_time":
            return lambda low, high: 0
        return lambda low, high: sum(
            (until - since) * factor * info.get(name, 0)
            for info, since, until in self.infos_between(low, high))

    def doubt(self, metric, parameter, begin, end, only_host):
        """A change is somewhere between its two samples."""
        doubt = 0
        for epoch, states in self.states.items():
            host, _, rest = epoch.partition("/")
            if only_host not in (None, host):
                continue
            weight = self.weight(metric, "total", SHUTOFF, rest != "off")
            for (before, old, _), (after, new, _) in zip(states, states[1:]):
                low, high = max(begin, before[1]), min(end, after[1])
                if low < high and self.concerns(metric, parameter, old, new):
                    doubt += weight(low, high)
        return doubt

    @staticmethod
    def concerns(metric, parameter, old, new):
        if metric in ("vcpus_time", "memory_time"):
            return (old == SHUTOFF) != (new == SHUTOFF)
        if metric == "disk_time" or parameter == "total":
            return (old == 0) != (new == 0)
        return old != new and parameter in (STATES[old], STATES[new])

    # infos

    def infos_between(self, begin, end):
        """[(info, from, to)]; the first one also holds before."""
        for i, (since, info) in enumerate(self.infos):
            low = begin if i == 0 else max(begin, since)
            high = min(end, self.infos[i + 1][0]) if i + 1 < len(self.infos) else end
            if low < high:
                yield info, low, high

    def split(self, field_name, begin, end):
        names = {"project": "project_id", "flavor": "flavor_id", "host": "host"}
        parts = []
        for info, low, high in self.infos_between(begin, end):
            value = info.get(names[field_name], "")
            if parts and parts[-1][0] == value:
                parts[-1] = (value, parts[-1][1], high)
            else:
                parts.append((value, low, high))
        return parts or [("", begin, end)]


class Judgement:
    """Whether an answer is complete, and why it is not."""

    def __init__(self, timeline, begin, end, now):
        self.timeline, self.begin, self.end = timeline, begin, end
        self.complete = end <= now
        self.reasons = [] if self.complete else [{"reason": "future", "since": now}]
        # Before an instance was known, it depends on which host knew it first.
        self.needed = max(end, timeline.first_known) if begin < timeline.first_known else end
        self.hosts()

    def hosts(self):
        """What a host has not told of could be of any instance."""
        mine, others = set(self.timeline.hosts()), []
        for name, host in sorted(self.timeline.knowledge.all_hosts().items()):
            if host.frontier >= self.needed:
                continue
            self.complete = False
            if name in mine:
                self.silent(host)
            else:
                others.append((host.frontier, name, host))
        if others:
            self.silent(min(others)[2])
        for run in self.timeline.runs:
            if run.migrated and run.end < self.end and \
                    self.timeline.next_run(run) == INFINITY:
                self.complete = False
                self.reasons.append({"reason": "migrated-away", "since": run.end,
                                     "epoch": run.epoch})

    def silent(self, host):
        reason = {"reason": "worker-silent", "since": host.silent_since, "host": host.name}
        if reason not in self.reasons:
            self.reasons.append(reason)

    def run(self, run, settled, last):
        host = self.timeline.knowledge.host(run.host)
        if settled is not None and settled <= host.frontier:
            return
        self.complete = False
        if host.frontier < self.end or settled is not None:
            self.silent(host)
        if settled is None and last < min(self.end, host.frontier):
            self.reasons.append({"reason": "not-answering", "since": last, "epoch": run.epoch})

    def answer(self, value, edges, unknown):
        holes = []
        for low, high, reason in unknown:
            low, high = max(low, self.begin), min(high, self.end)
            if low < high:
                holes.append((low, high))
                if reason and reason not in self.reasons:
                    self.reasons.append(reason)
        window = self.end - self.begin
        covered = window - sum(high - low for low, high in unite(holes))
        return Answer(value, edges if covered == window else None, edges, covered, window,
                      self.complete, in_order(self.reasons))


def in_order(reasons):
    return sorted(reasons, key=lambda reason: sorted((key, str(value))
                                                     for key, value in reason.items()))


def tail_reason(begin, end, run):
    begin, end = sorted((begin, end))
    return {"reason": "tail-unmeasured", "from": begin, "to": end, "epoch": run.epoch}


def next_after(keys, key):
    i = bisect.bisect_right(keys, key)
    return keys[i] if i < len(keys) else None


def unite(intervals):
    """The union, as sorted intervals that do not touch."""
    united = []
    for low, high in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if united and low <= united[-1][1]:
            united[-1] = (united[-1][0], max(high, united[-1][1]))
        else:
            united.append((low, high))
    return united


def subtract(interval, holes):
    """What is left of an interval without sorted holes."""
    low, high = interval
    for begin, end in holes:
        if end <= low or begin >= high:
            continue
        if begin > low:
            yield low, begin
        low = max(low, end)
    if low < high:
        yield low, high
