# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Files of the embedded store that are damaged, cut short, emptied or gone: the server starts, what
can be read is there, and answers say what is missing."""

import datetime
import os
import shutil
import sqlite3
import subprocess

import pytest

from harness import BUILD, TIMEOUT, Api, Peer, Server
from test_api import OTHER, UUID, Answers, reading

HOUR = 3_600_000
DAY = 24 * HOUR
BEGIN = 1_790_000_000_000 // DAY * DAY
EPOCH = "h1/b/1/2"
LOST = 1  # the day that is damaged
OPTIONS = ["server.retention_days=36500", "server.seal_after_seconds=1",
           "server.retention_check_seconds=1"]


class Sender:
    """The worker of h1. UUID runs, and uses 1 ns each millisecond since BEGIN; OTHER is off."""

    def __init__(self, server, sequence=0):
        self.peer = Peer(server, worker="w1", spool="w1")
        self.peer.sequence = sequence

    def send(self, times):
        readings = [reading(at, [["state", "total", [1, 1]], ["cpu", "total", [at - BEGIN]]],
                            epoch=EPOCH, start=BEGIN) for at in times]
        readings += [reading(at, [["state", "total", [5, 1]]], uuid=OTHER, epoch="h1/off")
                     for at in times]
        with self.peer as peer:
            peer.wait_ack(peer.send_enveloped("3", {"host": "h1", "readings": readings},
                                              times=[times[0], times[-1]], until=times[-1]))


def day_file(directory, day, ending=""):
    date = datetime.datetime.fromtimestamp((BEGIN + day * DAY) / 1000, datetime.timezone.utc)
    return os.path.join(directory, "data", f"day-{date:%Y%m%d}.db{ending}")


@pytest.fixture
def sealed(start, tmp_path):
    """Three days of hourly readings, in their files; the server is stopped."""
    server = start(Server, *OPTIONS)
    Sender(server).send([BEGIN])
    server.wait_counter("store_chunks_written", 2)
    Sender(server, sequence=1).send(range(BEGIN + HOUR, BEGIN + 3 * DAY + 1, HOUR))
    chunks = server.wait_counter("store_chunks_written", 2 + 2 * 4)["store_chunks_written"]
    # One more is sealed after the journal's rows of those are deleted.
    Sender(server, sequence=2).send([BEGIN + 3 * DAY + HOUR])
    server.wait_counter("store_chunks_written", chunks + 1)
    server.stop()
    assert os.path.exists(day_file(tmp_path, LOST))
    return tmp_path


def ask(start, server, method="usage", **arguments):
    port = server.endpoints["rep"].rsplit(":", 1)[1]
    api = start(Api, "api.api_host=127.0.0.1", "api.api_port=0", f"api.server_port={port}")
    answer = Answers(api).raw(method, **arguments)
    api.stop()
    return answer


def usage(start, server, begin, end, uuid=UUID, metric="cpu"):
    answer = ask(start, server, id=uuid, metric=metric, parameter="total",
                 **{"from": (BEGIN + begin) / 1000, "to": (BEGIN + end) / 1000})
    assert answer["code"] == 0, answer
    return answer["data"]["usages"][0]


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2 // 4096 * 4096)


def overwrite(path):
    size = os.path.getsize(path)
    with open(path, "wb") as file:
        file.write(b"\xa5" * size)


def empty(path):
    os.truncate(path, 0)


def overwrite_rows(path, tables=("chunks", "thinned", "month")):
    """What only an answer notices: the file is whole, what it holds is not."""
    with sqlite3.connect(path) as db:
        for table in tables:
            db.execute(f"UPDATE {table} SET rows = zeroblob(length(rows))")
    db.close()


def copy(directory):
    return subprocess.run(
        [os.path.join(BUILD, "src/cli/kanyun"), "store", "copy", "-c", "/dev/null",
         "--from", f"sqlite:{directory}/data", "--to", f"sqlite:{directory}/copied"],
        text=True, capture_output=True, timeout=TIMEOUT)


@pytest.mark.parametrize("damage", [cut, overwrite, empty, os.unlink])
def test_a_damaged_day_is_set_aside_and_its_readings_are_known_to_be_lost(start, sealed, damage):
    damage(day_file(sealed, LOST))
    for _ in range(2):  # and it stays so
        server = start(Server, *OPTIONS)
        server.wait_line(f"readings of the day from .* are lost: '{day_file(sealed, LOST)}.damaged'")
        assert server.questions.ask("status")[0]["damaged_days"] == 1
        assert len(server.scan(UUID, "cpu")[("total", EPOCH, 0)]) == 50
        # The counter bridges it: all of it is exact, but not when in it what was used.
        assert usage(start, server, 0, 3 * DAY)["value"] == 3 * DAY
        inside = usage(start, server, 0, DAY + 12 * HOUR)
        assert inside["uncertainty"] >= 12 * HOUR > inside["value"] - DAY - 12 * HOUR
        server.stop()


def test_what_a_damaged_day_could_have_told_is_a_gap(start, sealed):
    overwrite(day_file(sealed, LOST))
    server = start(Server, *OPTIONS)
    whole = usage(start, server, 0, 3 * DAY, uuid=OTHER, metric="state_time")
    # It was off before and after, and could have run meanwhile.
    assert [(r["reason"], r["cause"], r["host"]) for r in whole["reasons"]
            if r["reason"] == "gap"] == [("gap", "damaged", "h1")]
    assert whole["covered_ms"] == 2 * DAY - 1


def test_late_readings_of_a_damaged_day_are_kept(start, sealed):
    overwrite(day_file(sealed, LOST))
    server = start(Server, *OPTIONS)
    chunks = server.counters()["store_chunks_written"]
    Sender(server, sequence=3).send([BEGIN + DAY + 12 * HOUR])
    server.wait_counter("store_chunks_written", chunks + 1)
    assert usage(start, server, 0, DAY + 12 * HOUR)["uncertainty"] == 0
    server.stop()
    server = start(Server, *OPTIONS)
    assert server.questions.ask("status")[0]["damaged_days"] == 1
    assert usage(start, server, 0, DAY + 12 * HOUR)["uncertainty"] == 0


def test_a_repaired_day_is_whole_again(start, sealed):
    path = day_file(sealed, LOST)
    shutil.copy(path, sealed / "backup")
    overwrite(path)
    server = start(Server, *OPTIONS)
    before = usage(start, server, 0, 3 * DAY, uuid=OTHER, metric="state_time")
    server.stop()
    os.rename(sealed / "backup", path)
    os.unlink(path + ".damaged")
    server = start(Server, *OPTIONS)
    assert server.questions.ask("status")[0]["damaged_days"] == 0
    assert usage(start, server, 0, DAY + 12 * HOUR)["uncertainty"] == 0
    after = usage(start, server, 0, 3 * DAY, uuid=OTHER, metric="state_time")
    assert "damaged" in str(before["reasons"]) and "damaged" not in str(after["reasons"])


def test_what_turns_out_to_be_damaged_is_an_error_and_set_aside_at_the_next_start(start, sealed):
    overwrite_rows(day_file(sealed, LOST))
    server = start(Server, *OPTIONS)
    window = {"id": UUID, "metric": "cpu", "from": BEGIN / 1000, "to": (BEGIN + 2 * DAY) / 1000}
    for _ in range(2):
        answer = ask(start, server, **window)
        assert answer["code"] != 0 and "is damaged" in answer["message"], answer
    assert server.counters()["store_corrupt"] >= 1
    # What needs nothing of it is answered.
    assert usage(start, server, 2 * DAY + HOUR, 3 * DAY)["value"] == DAY - HOUR
    server.stop()
    server = start(Server, *OPTIONS)
    server.wait_line("readings of the day from .* are lost")
    assert usage(start, server, 0, 3 * DAY)["value"] == 3 * DAY


@pytest.mark.parametrize("is_known", [True, False])
def test_what_a_copy_cannot_read_is_a_gap_of_it(start, sealed, is_known):
    """Whether a question had found it before, or the copy does, which is then made again."""
    overwrite_rows(day_file(sealed, LOST))
    if is_known:
        server = start(Server, *OPTIONS)
        answer = ask(start, server, **{"id": UUID, "metric": "cpu", "from": BEGIN / 1000,
                                       "to": (BEGIN + 2 * DAY) / 1000})
        assert "is damaged" in answer["message"], answer
        server.stop()
    else:
        made = copy(sealed)
        assert made.returncode == 1 and "is damaged" in made.stderr, made.stderr
    made = copy(sealed)
    assert made.returncode == 0, made.stderr
    assert f"are lost: '{day_file(sealed, LOST)}.damaged'" in made.stderr
    for _ in range(2):  # the server that has it now takes nothing back
        server = start(Server, *OPTIONS, data="copied")
        assert len(server.scan(UUID, "cpu")[("total", EPOCH, 0)]) == 50
        whole = usage(start, server, 0, 3 * DAY, uuid=OTHER, metric="state_time")
        assert [(r["cause"], r["host"]) for r in whole["reasons"] if r["reason"] == "gap"] == \
            [("damaged", "h1")]
        assert whole["covered_ms"] == 2 * DAY - 1
        server.stop()


def test_damage_is_an_error_only_to_questions_that_need_what_is_damaged(start, sealed):
    overwrite_rows(day_file(sealed, LOST), tables=["chunks"])
    server = start(Server, *OPTIONS)
    assert usage(start, server, 0, 3 * DAY)["value"] == 3 * DAY
    window = {"id": UUID, "metric": "cpu", "from": BEGIN / 1000, "to": (BEGIN + DAY + HOUR) / 1000}
    answer = ask(start, server, **window)
    assert answer["code"] != 0 and "is damaged" in answer["message"], answer


def test_a_day_that_cannot_be_sealed_loses_nothing(start, sealed):
    overwrite_rows(day_file(sealed, LOST))
    cut_later = day_file(sealed, LOST)
    server = start(Server, *OPTIONS)
    with open(cut_later, "r+b") as file:  # behind its back: the table of chunks
        file.seek(4096)
        file.write(b"\xa5" * (os.path.getsize(cut_later) - 4096))
    at = BEGIN + DAY + 30 * 60_000
    Sender(server, sequence=3).send([at])
    server.wait_line("cannot tidy the store: .* is damaged")
    server.stop()
    server = start(Server, *OPTIONS)
    server.wait_line("readings of the day from .* are lost")
    assert (at, at - BEGIN) in server.scan(UUID, "cpu")[("total", EPOCH, 0)]


def test_a_damaged_catalogue_is_refused_with_what_to_do(start, sealed):
    overwrite(os.path.join(sealed, "data", "kanyun.db"))
    with pytest.raises(AssertionError, match="kanyun.db"):
        start(Server, *OPTIONS)
