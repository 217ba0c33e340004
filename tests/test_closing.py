# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What is done once and kept: months that are closed, hosts that are retired."""

import datetime
import json
import os

import pytest

from harness import Api, Peer, Server, until
from test_api import UUID, Answers, api, ask, reading  # noqa: F401 (fixtures)
from test_clients import run  # noqa: F401 (a fixture)

OTHER = "7f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968"


def last_month():
    """The month before this one: its name, and its first and last instant in milliseconds."""
    this = datetime.datetime.now(datetime.timezone.utc).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0)
    first = (this - datetime.timedelta(days=1)).replace(day=1)
    return first.strftime("%Y-%m"), int(first.timestamp() * 1000), int(this.timestamp() * 1000)


@pytest.fixture
def peer(server):
    with Peer(server, worker="w1", spool="w1") as sender:
        yield sender


def send(peer, times, uuid=UUID, until_ms=None, rate=600, start=None):
    """Readings of an instance that runs: cpu grows by `rate` a minute since the first one."""
    begin = start if start is not None else times[0]
    peer.wait_ack(peer.send_enveloped("3", {"host": "h1", "readings": [
        reading(t, [["state", "total", [1, 1]], ["cpu", "total", [rate * (t - begin) // 60_000]]],
                uuid=uuid, epoch=f"h1/{uuid[:4]}/1", start=begin) for t in times]},
        times=[min(times), max(times)], until=until_ms or max(times)))


def a_month_of_readings(peer, begin, end):
    hours = list(range(begin, end + 3_600_001, 3_600_000))
    send(peer, hours)
    return 600 * 60 * (len(hours) - 2)


def test_a_closed_month_stays_and_later_data_stand_beside_it(ask, run, peer):  # noqa: F811
    month, begin, end = last_month()
    used = a_month_of_readings(peer, begin, end)
    closed = run("close", month)
    assert f"{month} closed" in closed and "1 instances, 0 figures" in closed
    before = json.loads(run("closed", month, UUID, "--json"))
    assert (before["adjustments"], before["is_data_deleted"]) == ([], False)
    assert [figure["value"] for figure in before["usages"] if figure["metric"] == "cpu"] == [used]
    # A second epoch of the same month comes late.
    peer.wait_ack(peer.send_enveloped("3", {"host": "h1", "readings": [
        reading(t, [["state", "total", [1, 1]], ["cpu", "total", [value]]], epoch="h1/late/1",
                start=begin) for t, value in ((begin + 60_000, 5), (begin + 120_000, 77))]}))
    after = json.loads(run("closed", month, UUID, "--json"))
    assert after["usages"] == before["usages"]
    [adjustment] = [each for each in after["adjustments"] if each["metric"] == "cpu"]
    assert (adjustment["closed"], adjustment["now"], adjustment["adjustment"]) == (
        used, used + 77, 77)
    assert ["cpu", "total", str(used), "ns", "77"] in [
        line.split()[-5:] for line in run("closed", month, UUID).splitlines()]
    assert closed.splitlines()[1] in run("closed", month)
    assert closed.splitlines()[1] in run("closed")
    assert f"{month} is closed already" in run("close", month, status=1)


def test_what_comes_of_an_instance_without_figures_is_an_adjustment(run, peer):  # noqa: F811
    month, begin, end = last_month()
    a_month_of_readings(peer, begin, end)
    run("closed", month, OTHER, status=1)
    run("close", month)
    send(peer, [begin + hour * 3_600_000 for hour in range(1, 20)], uuid=OTHER, until_ms=end)
    data = json.loads(run("closed", month, OTHER, "--json"))
    [adjustment] = [each for each in data["adjustments"] if each["metric"] == "cpu"]
    assert data["id"] == OTHER and data["usages"] == []
    assert (adjustment["closed"], adjustment["adjustment"]) == (0, 600 * 60 * 18)
    assert ["cpu", "total", "0", "ns", str(600 * 60 * 18)] in [
        line.split()[-5:] for line in run("closed", month, OTHER).splitlines()]
    assert run("closed", month).splitlines()[2:] == [UUID, OTHER]
    assert json.loads(run("closed", month, "--json"))["ids"] == [UUID, OTHER]
    send(peer, [end + 60_000], uuid="9" + OTHER[1:])
    assert run("closed", month).splitlines()[2:] == [UUID, OTHER]
    run("closed", month, "no such instance", status=1)


def test_a_figure_that_was_changed_since_is_found(server, run, peer):  # noqa: F811
    month, begin, end = last_month()
    a_month_of_readings(peer, begin, end)
    run("close", month)
    assert "SHA-256" in run("closed", month)
    figures = json.loads(run("closed", month, UUID, "--json"))
    del figures["adjustments"], figures["is_data_deleted"]
    figures["usages"][0]["value"] += 1
    server.questions.ask("store.put", kind=f"closed/{month}", key=UUID,
                         value=json.dumps(figures, sort_keys=True, separators=(",", ":")))
    run("closed", month, status=1)


def test_a_month_with_figures_that_may_change_is_not_closed_but_by_force(run, peer):  # noqa: F811
    month, begin, end = last_month()
    a_month_of_readings(peer, begin, end)
    send(peer, [end - 7_200_000, end - 3_600_000], uuid=OTHER, until_ms=end - 3_600_000)
    message = run("close", month, status=1)
    assert "figures may still change" in message and f"{month} is not closed" in message
    assert "1 instances" not in run("closed")
    assert "2 instances" in run("close", "--force", month)


def test_months_that_are_wrong_or_not_over_are_refused(run):  # noqa: F811
    assert "no month is closed" in run("closed")
    for month, words in (("2026-13", "expected one like"), ("2999-01", "is not over")):
        assert words in run("close", month, status=1)
    assert "is not closed" in run("closed", "2001-01", status=1)


def test_a_retired_host_is_no_longer_waited_for_until_it_speaks_again(ask, run, peer):  # noqa: F811
    _, begin, _ = last_month()
    send(peer, [begin, begin + 60_000])

    def usage():
        return ask("usage", id=UUID, metric="cpu", **{
            "from": begin / 1000, "to": begin / 1000 + 600})["usages"][0]

    assert usage()["complete"] is False
    assert "is not between" in run("workers", "retire", "w1", "--at",
                                   str(begin // 1000 + 59), status=1)
    assert "there is no worker 'w9'" in run("workers", "retire", "w9", status=1)
    assert "host h1 is retired" in run("workers", "retire", "w1", "--at", str(begin // 1000 + 120))
    retired = usage()
    assert (retired["value"], retired["complete"], retired["covered_ms"]) == (600, True, 540_000)
    assert retired["reasons"] == [{"reason": "tail-unmeasured", "epoch": f"h1/{UUID[:4]}/1",
                                   "from": begin / 1000 + 60, "to": begin / 1000 + 120}]
    until(lambda: ask("workers") == [], "w1 is not missed any more")
    send(peer, [begin + 300_000], start=begin)
    assert [worker["id"] for worker in ask("workers")] == ["w1"]
    back = usage()
    assert (back["value"], back["complete"]) == (3000, False)


DAY = 86_400_000


def has_day(tmp_path, ms):
    date = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return os.path.exists(tmp_path / "data" / f"day-{date:%Y%m%d}.db")


def mark_closed(server, ms):
    name = f"{datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc):%Y-%m}"
    server.questions.ask("store.put", kind="closed", key=name, value="{}")


def start_forgetful(start):
    """A server that keeps a day, but months that are not closed."""
    return start(Server, "server.retention_days=1", "server.retention_check_seconds=1",
                 "server.seal_after_seconds=1", "server.keep_unclosed=yes")


def test_retention_keeps_months_that_are_not_closed(start, tmp_path):
    _, begin, _ = last_month()
    before = begin - 2 * DAY  # the last day but one of the month before that
    server = start_forgetful(start)
    with Peer(server, worker="w1", spool="w1") as sender:
        send(sender, [before, begin, begin + DAY])
    until(lambda: has_day(tmp_path, before) and has_day(tmp_path, begin), "the days are sealed")
    mark_closed(server, before)
    until(lambda: not has_day(tmp_path, before), "the day of the closed month is deleted")
    assert has_day(tmp_path, begin) and has_day(tmp_path, begin + DAY)
    mark_closed(server, begin)
    until(lambda: not has_day(tmp_path, begin) and not has_day(tmp_path, begin + DAY),
          "the others follow")


def test_retention_keeps_the_left_edge_of_months_that_are_not_closed(start, tmp_path):
    _, begin, _ = last_month()
    hour = 3_600_000
    server = start_forgetful(start)
    answers = Answers(start(Api, "api.api_host=127.0.0.1", "api.api_port=0",
                            f"api.server_port={server.endpoints['rep'].rsplit(':', 1)[1]}"))

    def first_hours():
        [usage] = answers("usage", id=UUID, metric="cpu", **{
            "from": begin / 1000, "to": (begin + 6 * hour) / 1000})["usages"]
        return usage["value"], usage["coverage"]

    with Peer(server, worker="w1", spool="w1") as sender:
        for at, value in ((-30, 1000), (-6, 2000), (6, 9200), (48, 9300)):
            time = begin + at * hour
            sender.wait_ack(sender.send_enveloped("3", {"host": "h1", "readings": [reading(
                time, [["state", "total", [1, 1]], ["cpu", "total", [value]]],
                epoch="h1/x/1")]}, times=[time, time], until=time))
    assert first_hours() == (3600, 1)
    until(lambda: has_day(tmp_path, begin - 30 * hour), "the days are sealed")
    mark_closed(server, begin - DAY)
    until(lambda: not has_day(tmp_path, begin - 30 * hour), "what nothing needs is deleted")
    assert first_hours() == (3600, 1)


class TestOfWhatIsDeletedBeforeItIsClosed:
    @pytest.fixture
    def server(self, start):
        return start(Server, "server.retention_days=1", "server.retention_check_seconds=1",
                     "server.seal_after_seconds=1", "server.keep_unclosed=no")

    def test_a_month_whose_data_are_deleted_is_not_closed(
            self, server, ask, run, peer, tmp_path):  # noqa: F811
        month, begin, end = last_month()
        a_month_of_readings(peer, begin, end)
        until(lambda: not server.scan(UUID, "cpu"), "the readings are deleted")
        assert "were deleted (retention_days)" in ask.refused("close", month=month)[1]
        assert "were deleted (retention_days)" in ask.refused("close", month=month, id=UUID)[1]
        assert month not in run("closed")


class TestOfWhatRetentionDeleted:
    @pytest.fixture
    def server(self, start):
        return start_forgetful(start)

    def test_a_closed_month_whose_data_are_deleted_has_no_adjustments(
            self, server, run, peer, tmp_path):  # noqa: F811
        month, begin, end = last_month()
        used = a_month_of_readings(peer, begin, end)
        until(lambda: has_day(tmp_path, begin), "the days are sealed")
        run("close", month)
        until(lambda: not has_day(tmp_path, begin), "the month's first day is deleted")
        after = json.loads(run("closed", month, UUID, "--json"))
        assert used in [figure["value"] for figure in after["usages"]]
        assert (after["adjustments"], after["is_data_deleted"]) == ([], True)
        assert json.loads(run("closed", month, "--json"))["is_data_deleted"] is True
        text = run("closed", month, UUID)
        assert "were deleted" in text and ["cpu", "total", str(used), "ns", "-"] in [
            line.split()[-5:] for line in text.splitlines()]
        assert "were deleted" in run("closed", month)
