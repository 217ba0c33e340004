# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""kanyun against the second implementation of the definition, and against the truth."""

import collections
import json
import os
import random
import time

import pytest

import driver
from definition import TIMES, Knowledge
from driver import Direct, Programs, Refused
from harness import BUILD
from lives import HOUR, Shape
from observer import Faults, tell
from test_definition import BEGIN, LONG, is_untold, last_moment, questions

SEEDS = range(1000, 1300) if LONG else range(1000, 1030)
WINDOWS = 200 if LONG else 30


def differences(mine, theirs):
    """Names of what differs between an Answer and a usage of kanyun-api."""
    different = [name for name in ("value", "uncertainty", "covered_ms", "complete")
                 if getattr(mine, name) != theirs[name]]
    if mine.kinds != {reason["reason"] for reason in theirs["reasons"]}:
        different.append("reasons")
    return different


class Comparison:
    """Asks both, counts what was equal, and keeps what was not."""

    def __init__(self, story, kanyun, knowledge):
        self.story, self.kanyun, self.knowledge = story, kanyun, knowledge
        self.equal, self.certain, self.exact = 0, 0, 0
        self.kinds = collections.Counter()
        self.different = []
        self.stepped = {}

    def ask(self, question, now):
        try:
            theirs = self.kanyun.usage(*question)
        except Refused:
            timeline = self.knowledge.timeline(question[0])
            known = question[1] not in TIMES and timeline.parameters(question[1])
            assert not known or not timeline.runs, f"kanyun knows nothing of {question}"
            return
        mine = self.knowledge.usage(*question, now)
        found = differences(mine, theirs)
        if found:
            self.different.append((found, question, now, mine, theirs))
            return
        self.equal += 1
        self.kinds.update(mine.kinds)
        if question[1] not in TIMES:
            self.check_truth(question, theirs, now)

    def may_be_used_again(self, uuid, now):
        """A clock that is set back later adds to times that were complete (docs/usage.md)."""
        if now >= last_moment(self.story):
            return False
        if uuid not in self.stepped:
            self.stepped[uuid] = any(
                reading["uuid"] == uuid and reading["segment"]
                for delivery in self.story.deliveries if isinstance(delivery.body, dict)
                for reading in delivery.body.get("readings", ()))
        return self.stepped[uuid]

    def check_truth(self, question, theirs, now):
        uuid, _, _, begin, end = question
        if self.may_be_used_again(uuid, now):
            return
        truth = self.story.truth.usage(*question)
        if theirs["complete"] and theirs["uncertainty"] is not None and \
                not is_untold(self.story, uuid, begin, end):
            assert abs(theirs["value"] - truth) <= theirs["uncertainty"], (question, truth, theirs)
            self.certain += 1
            self.exact += theirs["value"] == truth > 0

    def note(self):
        """A line to the results, of which docs/exactness.md makes its counts."""
        directory = os.path.join(BUILD, "results")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "truth.jsonl"), "a") as results:
            results.write(json.dumps({"seed": self.story.world.seed, "asked": self.equal +
                                      len(self.different), "different": len(self.different),
                                      "certain": self.certain, "exact": self.exact}) + "\n")

    def finish(self):
        self.note()
        counts = collections.Counter(tuple(entry[0]) for entry in self.different)
        shown = "\n".join(f"{found}: {question} at {now}\n  mine   {mine}\n  kanyun {theirs}"
                          for found, question, now, mine, theirs in self.different[:3])
        assert not self.different, (f"seed {self.story.world.seed}: {counts} of "
                                    f"{self.equal + len(self.different)}\n{shown}")


def all_questions(story, knowledge, seed, count):
    yield from questions(story, knowledge, seed, count)
    generator = random.Random(f"times {seed}")
    for uuid, _, _, begin, end in questions(story, knowledge, seed, max(1, count // 6)):
        metric = generator.choice(sorted(TIMES))
        parameter = generator.choice(["total", "running", "paused", "shutoff"]) \
            if metric == "state_time" else "total"
        yield uuid, metric, parameter, begin, end


def feed(story, kanyun, knowledge, seed, at_checkpoint):
    """Delivers everything; restarts, seals and asks on the way."""
    generator = random.Random(f"feed {seed}")
    events = [(delivery.time, delivery) for delivery in story.deliveries]
    events += [(moment, (host, at)) for moment, host, at in story.retired]
    events.sort(key=lambda event: event[0])
    for moment, event in events:
        if isinstance(event, tuple):
            kanyun.commit()
            kanyun.set_now(moment)
            kanyun.retire(*event)
            knowledge.retire(*event)
        else:
            kanyun.take(event)
            knowledge.take(event.body, event.envelope, event.time)
        action = generator.random()
        if action < 0.01:
            kanyun.commit()
        if action < 0.002 and kanyun.is_durable:
            kanyun.restart()
        elif action < 0.004:
            kanyun.seal(moment)
        elif action < 0.005:
            at_checkpoint(moment)
    kanyun.commit()


@pytest.mark.parametrize("seed", SEEDS)
def test_kanyun_answers_as_the_definition_says_and_tells_the_truth(seed, tmp_path):
    story, knowledge = tell(seed, BEGIN), Knowledge()
    with Direct("memory" if seed % 2 else f"sqlite:{tmp_path}") as kanyun:
        comparison = Comparison(story, kanyun, knowledge)

        def at_checkpoint(now):
            for question in all_questions(story, knowledge, f"{seed} {now}", 3):
                comparison.ask(question, now)

        feed(story, kanyun, knowledge, seed, at_checkpoint)
        now = last_moment(story) + HOUR
        kanyun.set_now(now)
        for question in all_questions(story, knowledge, seed, WINDOWS):
            comparison.ask(question, now)
        for name in ("project", "flavor", "host"):
            compare_parts(story, kanyun, knowledge, comparison, name, now)
    comparison.finish()


def compare_parts(story, kanyun, knowledge, comparison, name, now):
    for question in questions(story, knowledge, f"{name} {story.world.seed}", 2):
        mine = knowledge.usage_by(name, *question, now)
        try:
            theirs = kanyun.usage_by(name, *question)
        except Refused:
            continue
        if not theirs and not knowledge.timeline(question[0]).parameters(question[1]):
            continue
        for value, answer in mine.items():
            found = differences(answer, theirs[value]) if value in theirs else ["missing"]
            if found:
                comparison.different.append((found, (*question, name, value), now, answer,
                                             theirs.get(value)))


@pytest.mark.parametrize("seed", range(2000, 2010) if LONG else range(2000, 2002))
def test_the_programs_answer_so_too(seed, start):
    """Over ZeroMQ, with the server killed or stopped and everything sent again after it."""
    begin = int(time.time()) // 3600 * HOUR - 48 * HOUR
    story, knowledge = tell(seed, begin, Shape(step=0, hours=1)), Knowledge()
    kanyun = Programs(start)
    third = len(story.deliveries) // 3
    for part in range(3):
        for delivery in story.deliveries[:(part + 1) * third if part < 2 else None]:
            kanyun.take(delivery)
        if part < 2:
            kanyun.end(kill=part == 0)
            kanyun.start_all()
    for delivery in story.deliveries:
        knowledge.take(delivery.body, delivery.envelope)
    kanyun.settle_all(len(story.deliveries))
    for _, host, at in story.retired:
        kanyun.retire(host, at)
        knowledge.retire(host, at)
    comparison = Comparison(story, kanyun, knowledge)
    for question in all_questions(story, knowledge, seed, WINDOWS):
        comparison.ask(question, int(time.time() * 1000))
    comparison.finish()


@pytest.mark.skipif(not LONG, reason="KANYUN_LONG=1 runs it")
def test_a_day_of_many_instances(tmp_path):
    """Millions of samples, late and repeated, through the embedded store."""
    shape = Shape(hours=24, intervals=(5,), hosts=(4, 4), instances=(12, 12))
    story, knowledge = tell(1, BEGIN, shape, Faults(late_hours=12)), Knowledge()
    with Direct(f"sqlite:{tmp_path}") as kanyun:
        comparison = Comparison(story, kanyun, knowledge)
        feed(story, kanyun, knowledge, 1, lambda now: None)
        now = last_moment(story) + HOUR
        kanyun.set_now(now)
        for question in all_questions(story, knowledge, 1, 300):
            comparison.ask(question, now)
    comparison.finish()
