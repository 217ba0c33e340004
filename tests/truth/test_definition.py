# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The definition of usage against the truth, without any C: what docs/usage.md promises must hold
for whatever happens to instances, workers and messages."""

import os
import random

import pytest

from definition import Knowledge, unite
from lives import HOUR, MINUTE, Shape
from observer import Faults, tell

BEGIN = 1793491200000  # 2026-11-01
LONG = os.environ.get("KANYUN_LONG") == "1"
SEEDS = range(400 if LONG else 40)
METRICS = ["cpu", "nic_incoming", "nic_outgoing", "blk_read", "blk_write"]


def learn(deliveries, retired=()):
    knowledge = Knowledge()
    for delivery in deliveries:
        knowledge.take(delivery.body, delivery.envelope, delivery.time)
    for _, host, at in retired:
        knowledge.retire(host, at)
    return knowledge


def last_moment(story):
    return max([delivery.time for delivery in story.deliveries]
               + [time for time, _, _ in story.retired])


def edges_of(story, instance):
    """Times at which something happens to an instance, and of samples."""
    times = [time for run in instance.runs for time in (run.start, run.end)]
    times += [time for run in instance.runs for device in run.devices
              for time in (device.begin, device.end)]
    for host in story.world.hosts.values():
        times += [time for part in host.blind_parts() for time in part]
        times += [time + offset for time, offset in host.clock[1:]]
    return [time for time in times if time < story.world.end]


def windows(story, instance, count, seed):
    """Random [from, to): anywhere, near what happens, on ticks, long and short."""
    generator = random.Random(f"windows {seed} {instance.uuid}")
    world, special = story.world, edges_of(story, instance)

    def moment():
        kind = generator.random()
        if kind < 0.4 and special:
            near = generator.choice((0, 0, 1, -1, 999, -7000, 15000))
            return generator.choice(special) + near
        time = generator.randrange(world.begin - 10 * MINUTE, world.end + 10 * MINUTE)
        return time if kind < 0.6 else time // MINUTE * MINUTE

    def inside():
        """Two ticks of one run."""
        run = generator.choice(instance.runs)
        interval = world.hosts[run.host].interval
        first, last = -(-run.start // interval), min(run.end, world.end) // interval
        if last - first < 2:
            return moment(), moment()
        return (generator.randrange(first, last) * interval,
                generator.randrange(first, last) * interval)

    for _ in range(count):
        if instance.runs and generator.random() < 0.4:
            begin, end = inside()
            if begin != end:
                yield min(begin, end), max(begin, end)
            continue
        begin = moment()
        end = moment() if generator.random() < 0.7 else begin + generator.randrange(1, 5 * MINUTE)
        if begin != end:
            yield min(begin, end), max(begin, end)


def questions(story, knowledge, seed, count):
    """(uuid, metric, parameter, begin, end)"""
    generator = random.Random(f"questions {seed}")
    for instance in story.world.instances:
        for begin, end in windows(story, instance, count, seed):
            metric = generator.choice(METRICS)
            parameters = knowledge.timeline(instance.uuid).parameters(metric)
            yield instance.uuid, metric, generator.choice(["total", *parameters]), begin, end


def is_untold(story, uuid, begin, end):
    return any(owner == uuid and low < end and begin < high for owner, low, high in story.untold)


def explain(story, question, answer, truth):
    return f"seed {story.world.seed}: {question}: truth {truth}, {answer}"


def check_against_truth(story, question, answer):
    uuid, metric, parameter, begin, end = question
    truth = story.truth.usage(uuid, metric, parameter, begin, end)
    assert answer.value >= 0
    assert 0 <= answer.covered_ms <= answer.window_ms == end - begin
    assert (answer.uncertainty is None) == (answer.covered_ms < answer.window_ms)
    if answer.covered_ms < answer.window_ms or not answer.complete:
        assert answer.reasons, explain(story, question, answer, truth)
    if not is_untold(story, uuid, begin, end):
        if answer.complete and answer.uncertainty is not None:
            assert abs(answer.value - truth) <= answer.uncertainty, \
                explain(story, question, answer, truth)
        if answer.complete:
            assert answer.value - truth <= answer.edges, explain(story, question, answer, truth)
    return answer.uncertainty == 0 and answer.value == truth > 0


def run_seed(seed, count, shape=None, faults=None):
    """Checks all questions of a seed; how many had non-zero usage that was exact."""
    story = tell(seed, BEGIN, shape, faults)
    knowledge = learn(story.deliveries, story.retired)
    now = last_moment(story) + HOUR
    return sum(check_against_truth(story, question, knowledge.usage(*question, now))
               for question in questions(story, knowledge, seed, count))


@pytest.mark.parametrize("seed", SEEDS)
def test_usage_is_the_truth_where_it_was_measured(seed):
    run_seed(seed, 300 if LONG else 80)


def test_most_windows_of_a_calm_cloud_are_exact():
    calm = Shape(away=0, libvirt=0, dead=0, step=0, hung=0, short_lives=0)
    exact = sum(run_seed(seed, 50, calm, Faults(0, 0, 0, 0, 0.05, 0.05, 0, 0, 0))
                for seed in range(10))
    assert exact > 150


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_a_fall_is_reported_and_what_it_hides_is_not_called_measured(seed):
    shape = Shape(reset=0.8, away=0, libvirt=0, dead=0, step=0)
    run_seed(seed, 80, shape, Faults(0, 0, 0, 0, 0.05, 0.05, 0, 0, 0))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_complete_never_changes(seed):
    story = tell(seed, BEGIN)
    generator = random.Random(f"prefixes {seed}")
    asked = []
    whole = learn(story.deliveries, story.retired)
    everything = list(questions(story, whole, seed, 12))
    heard = {}
    for delivery in story.deliveries:
        heard.setdefault(delivery.envelope["worker"], delivery.time)
    events = [(delivery.time, delivery) for delivery in story.deliveries]
    events += [(time, (host, at)) for time, host, at in story.retired]
    events.sort(key=lambda event: event[0])
    knowledge = Knowledge()
    checkpoints = set(generator.sample(range(len(events)), min(len(events), 12)))
    for i, (time, event) in enumerate(events):
        if isinstance(event, tuple):
            knowledge.retire(*event)
        else:
            knowledge.take(event.body, event.envelope, event.time)
        if i in checkpoints and time >= max(heard.values()):
            for question in everything:
                if question[4] <= time and not is_read_twice(story, question) and \
                        is_known(knowledge, question):
                    answer = knowledge.usage(*question, time)
                    if answer.complete:
                        asked.append((question, time, answer))
    for question, time, answer in asked:
        now = whole.usage(*question, last_moment(story) + HOUR)
        assert now == answer, f"seed {seed}: {question}, complete at {time}: {answer}, then {now}"


def is_known(knowledge, question):
    """Whether there would be an answer at all."""
    uuid, metric, parameter, _, _ = question
    timeline = knowledge.timeline(uuid)
    return timeline.runs and (parameter in timeline.parameters(metric) or parameter == "total")


def is_read_twice(story, question):
    """Whether a clock stepped back to before the window's end, on a host of the instance."""
    uuid, _, _, _, end = question
    instance = next(each for each in story.world.instances if each.uuid == uuid)
    return any(story.stepped.get(run.host, end) < end for run in instance.runs) or any(
        story.stepped.get(host, end) < end for host, _, _ in instance.defined)


@pytest.mark.parametrize("seed", SEEDS)
def test_adjacent_windows_add_up(seed):
    story = tell(seed, BEGIN)
    knowledge = learn(story.deliveries, story.retired)
    generator = random.Random(seed)
    now = last_moment(story) + HOUR
    for uuid, metric, parameter, begin, end in questions(story, knowledge, seed, 10):
        middle = generator.randint(begin, end)
        parts = [knowledge.usage(uuid, metric, parameter, *window, now)
                 for window in ((begin, middle), (middle, end))]
        answer = knowledge.usage(uuid, metric, parameter, begin, end, now)
        assert sum(part.value for part in parts) == answer.value
        if parameter != "total":
            assert sum(part.covered_ms for part in parts) == answer.covered_ms
        assert answer.complete <= parts[0].complete
        for name in ("project", "flavor", "host"):
            by = knowledge.usage_by(name, uuid, metric, parameter, begin, end, now)
            assert sum(part.value for part in by.values()) == answer.value


@pytest.mark.parametrize("seed", SEEDS)
def test_order_and_duplicates_do_not_matter(seed):
    story = tell(seed, BEGIN)
    shuffled = story.deliveries + story.deliveries[::3]
    random.Random(seed).shuffle(shuffled)
    one = learn(story.deliveries, story.retired)
    other = learn(shuffled, story.retired)
    now = last_moment(story)
    for question in questions(story, one, seed, 20):
        assert one.usage(*question, now) == other.usage(*question, now)


@pytest.mark.parametrize("seed", SEEDS)
def test_time_is_metered_as_instances_ran(seed):
    """Time in runs, where it is known, is the true time in runs."""
    story = tell(seed, BEGIN, Shape(step=0))
    knowledge = learn(story.deliveries, story.retired)
    now = last_moment(story) + HOUR
    for instance in story.world.instances:
        for begin, end in windows(story, instance, 40, seed):
            answer = knowledge.usage(instance.uuid, "vcpus_time", "total", begin, end, now)
            states = knowledge.usage(instance.uuid, "state_time", "total", begin, end, now)
            assert states.value <= states.covered_ms
            if is_untold(story, instance.uuid, begin, end) or not answer.complete:
                continue
            if answer.uncertainty is not None and not instance.infos[1:]:
                assert answer.value == instance.infos[0][1]["vcpus"] * true_run_time(
                    instance, begin, end), (seed, instance.uuid, begin, end, answer)


def true_run_time(instance, begin, end):
    return sum(high - low for low, high in unite(
        (max(begin, run.start), min(end, run.end)) for run in instance.runs))


@pytest.mark.skipif(not LONG, reason="KANYUN_LONG=1 runs it")
def test_a_long_life_is_read_fast_enough():
    shape = Shape(hours=24, intervals=(5,), hosts=(3, 3), instances=(6, 6))
    run_seed(1, 1000, shape)
