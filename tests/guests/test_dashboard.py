# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The page in Chromium, of real guests: every view shows what the API answers, and that is what the
guests did."""

import datetime
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

import harness
import metering

pytest.importorskip("selenium")

from browser import get, sums, usages  # noqa: E402

if not shutil.which("chromedriver"):
    pytest.skip("this needs chromium and its driver", allow_module_level=True)

MIB = 1 << 20
HOST = socket.gethostname()
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
DEAD_SECONDS = 10
SCREENSHOTS = pathlib.Path(__file__).resolve().parent.parent / "page/screenshots.py"


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S")


def work(lab, guest, amount):
    """Gives {metric: what it used}."""
    guest.write("vda", amount * MIB)
    guest.read("vdb", amount * MIB)
    guest.transmit(1000, 50 * amount)
    guest.receive(lab.state["bridge"], 400, 30 * amount)
    return {"blk_write": amount * MIB, "blk_read": amount * MIB,
            "nic_outgoing": 1042 * 50 * amount, "nic_incoming": 400 * 30 * amount}


class Cloud(metering.Answers):
    """A server, a worker and an API over HTTP; the guests work from `begin` to `end`."""

    def __init__(self, start, directory, lab):
        self.server = start(harness.Server, f"server.worker_dead_seconds={DEAD_SECONDS}")
        pull, pub = (self.server.endpoints[name].rpartition(":")[2] for name in ("pull", "pub"))
        self.worker = start(harness.Worker, *metering.worker_options(
            directory, dataserver_port=pull, dataserver_pub_port=pub))
        super().__init__(start, self.server, f"api.http_port={harness.free_ports(1)}")
        self.url = self.api.endpoints["http"] + "/"
        self.guests = lab.guests[:2]
        self.begin = max(self.wait_sample(guest, "blk_write") for guest in self.guests)
        self.used = {guest.uuid: work(lab, guest, amount)
                     for guest, amount in zip(self.guests, (3, 1))}
        self.end = max(self.wait_sample(guest, metric) for guest in self.guests
                       for metric in ("blk_write", "nic_outgoing"))

    def window(self):
        return f"from={iso(self.begin)}&to={iso(self.end)}"

    def wait_complete(self, query):
        def is_complete():
            found = usages(self.url, f"{query}&metric=cpu&metric=nic_outgoing&metric=blk_write")
            return all(usage["complete"] for each in found.values() for usage in each)

        harness.until(is_complete, "everything is told")


@pytest.fixture(scope="module")
def cloud(lab, tmp_path_factory):
    directory = tmp_path_factory.mktemp("dashboard")
    for guest in lab.guests:
        guest.wake()
    with harness.programs(directory) as start:
        yield Cloud(start, directory, lab)


def bytes_of(text):
    """The first amount in a text such as "3.01 MiB/s"."""
    number, unit = re.search(r"([\d.,]+) (\w+)", text).groups()
    return float(number.replace(",", "")) * UNITS[unit]


def test_the_overview_is_of_all_guests_and_who_used_most_leads(browser, cloud):
    browser.open(cloud.url)
    listed = get(cloud.url, "v1/instances")["instances"]
    assert {guest.uuid for guest in cloud.guests} <= {entry["id"] for entry in listed}
    assert "1 / 1" in browser.text("#tile-workers") and "all alive" in browser.text("#tile-workers")
    assert f"of {len(listed)}" in browser.text("#tile-instances")
    assert HOST in browser.text(".health tbody")
    names = {entry["id"]: entry["display_name"] for entry in listed}
    for kind, metrics in (("network", ["nic_incoming", "nic_outgoing"]),
                          ("disk", ["blk_read", "blk_write"])):
        total = {}
        for metric in metrics:
            for entry in get(cloud.url, f"v1/usage?all=true&parameter=total&from=now-1h&metric="
                                        f"{metric}")["instances"]:
                for usage in entry["usages"]:
                    name = names[entry["id"]]
                    total[name] = total.get(name, 0) + usage["value"]
        shown = {row.text.split("\n")[0]: row.text for row in browser.all(f"#top-{kind} li")}
        assert list(shown) == sorted(filter(total.get, total), key=total.get, reverse=True)[:5]
        for name, text in shown.items():
            assert bytes_of(text.partition("\n")[2]) == pytest.approx(total[name], rel=0.01)
            assert f"demo-project · {HOST}" in text
    assert len(browser.all("#top-cpu li")) >= 2 and len(browser.all("#top-memory li")) >= 2


def test_a_guest_is_found_by_its_address(browser, cloud):
    guest = cloud.guests[1]
    browser.open(f"{cloud.url}#/instances?q={guest.about['address']}")
    [row] = browser.all("main tbody tr")
    for text in (guest.about["display_name"], guest.uuid, guest.about["address"], HOST,
                 "demo-project", "m1.tiny"):
        assert text in row.text


def test_the_worker_of_this_host_is_shown(browser, cloud):
    browser.open(cloud.url + "#/workers")
    [row] = browser.all("main tbody tr")
    assert HOST in row.text and "alive" in row.text
    assert str(len(get(cloud.url, "v1/instances")["instances"])) in row.text.split()


@pytest.mark.parametrize("of", ["project", "instance"])
def test_a_report_is_the_apis_and_what_the_guests_did_to_the_last_byte(browser, cloud, of):
    guest = cloud.guests[0]
    which, query = {"project": (f"project={guest.about['project_id']}",) * 2,
                    "instance": (f"instance={guest.uuid}", f"id={guest.uuid}")}[of]
    cloud.wait_complete(f"{query}&{cloud.window()}")
    browser.open(f"{cloud.url}#/report?{which}&period=custom&{cloud.window()}")
    shown, expected = browser.figures(), sums(cloud.url, f"{query}&{cloud.window()}")
    assert shown == {metric: expected[metric] for metric in shown}
    assert {"cpu", "state_time", "vcpus_time", "memory_time"} <= set(shown)
    used = list(cloud.used.values()) if of == "project" else [cloud.used[guest.uuid]]
    assert {metric: int(shown[metric]) for metric in used[0]} == {
        metric: sum(each[metric] for each in used) for metric in used[0]}
    assert "Complete" in browser.text("#verdict")


def test_what_is_not_there_is_told(browser, cloud):
    browser.open(cloud.url + "#/instance/nobody")
    assert "That does not exist" in browser.text("[role=alert]")
    assert all("404" in each for each in browser.complaints())


def test_pictures_are_made_of_what_runs(cloud, tmp_path):
    subprocess.run([sys.executable, SCREENSHOTS, tmp_path / "pictures", cloud.url], check=True,
                   timeout=harness.TIMEOUT)
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert len(pictures) == 10 and len(set(pictures.values())) == 10
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())


def rows_of(browser, name):
    """{begin: cells} of a plot's table."""
    browser.one(f"#card-{name} summary").click()
    browser.one(f"#card-{name} tbody tr")
    cells = browser.execute_script("""
        return [...document.querySelectorAll(arguments[0])].map(
            (row) => [...row.children].map((cell) => cell.innerText));""",
                                   f"#card-{name} tbody tr")
    return {row[0]: row[1:] for row in cells}


def test_a_guest_is_plotted_as_the_api_has_it_and_a_drag_zooms(browser, cloud):
    guest = cloud.guests[0]
    browser.open(f"{cloud.url}#/instance/{guest.uuid}")
    assert guest.about["display_name"] in browser.text("h1")
    assert "running" in browser.text("#state") and "m1.tiny" in browser.text(".facts")
    for name in ("cpu", "memory", "network", "disk"):
        assert browser.all(f"#plot-{name} canvas"), name
    assert "%" in browser.text("#now") and "MiB" in browser.text("#now")
    assert f" on {HOST}" in browser.text("#events")
    (begin, end), part = browser.zoom("#plot-network", 150)
    assert end - begin == pytest.approx(3600 * part, rel=0.1)
    begin, end = int(cloud.begin) // 10 * 10 - 50, -int(-cloud.end // 10) * 10
    cloud.wait_complete(f"id={guest.uuid}&from={begin}&to={end}")
    browser.open(f"{cloud.url}#/instance/{guest.uuid}?from={begin}&to={end}")
    assert "a point each 10 s" in browser.text("#shown")
    for plot, metrics in (("network", ("nic_incoming", "nic_outgoing")),
                          ("disk", ("blk_read", "blk_write"))):
        rows = rows_of(browser, plot)
        for column, metric in enumerate(metrics):
            steps = [step for step in usages(
                cloud.url, f"id={guest.uuid}&metric={metric}&step=10&from={begin}&to={end}")[metric]
                if step["to"] > cloud.begin]  # what was read
            assert sum(step["value"] for step in steps) >= cloud.used[guest.uuid][metric]
            for step in steps:
                middle = iso((step["from"] + step["to"]) / 2).replace("T", " ")
                assert bytes_of(rows[middle][column]) == pytest.approx(
                    step["value"] * 1000 / step["covered_ms"], rel=0.02, abs=0.01)


def test_a_worker_that_died_is_the_first_thing_to_see(browser, cloud):
    """The last one here."""
    cloud.worker.kill()
    cloud.server.wait_line(f"worker '{HOST}' is dead")
    browser.open(cloud.url)
    assert f"Dead: {HOST}" in browser.text(".banner.wrong")
    assert "1 dead" in browser.text("#tile-workers")
    browser.open(f"{cloud.url}#/report?instance={cloud.guests[0].uuid}&period=today")
    assert "Not complete yet" in browser.text("#verdict")
    assert f"The worker of {HOST} has told nothing later" in browser.text("#verdict")
