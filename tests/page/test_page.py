# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""The page in Chromium, on real programs: what it shows is what the API answers, in every view, for everybody."""

import csv
import json
import re
import subprocess
import urllib.request

import pytest
from browser import DESKTOP, PHONE, Browser, get, sums, usages
from scene import HOSTILE, HUGE, PROJECTS, fill_many, identity
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from harness import BUILD, ROOT, Worker, until

PAGE_SIZE_MAX = 250_000
SCRIPTING_MAX_MS = 100
WEB = f"#/instance/{identity('web-01')}"
VIEWS = [
    "#/",
    "#/instances",
    "#/instances?q=shop",
    "#/workers",
    WEB,
    WEB + "?from=now-7d",
    "#/report",
    "#/report?project=*&period=last-month",
    f"#/report?instance={identity('web-01')}&period=this-month",
]


# The files.


def page_files(cloud):
    with open(ROOT + "/web/meson.build", encoding="utf-8") as build:
        names = re.findall(r"'([\w.-]+\.(?:html|css|js|svg))'", build.read())
    assert len(names) > 15
    for name in names:
        with urllib.request.urlopen(f"{cloud.url}page/{name}", timeout=60) as response:
            yield name, response.headers, response.read().decode()


def test_the_page_is_small_and_asks_nobody_else(cloud):
    size = 0
    for name, headers, text in page_files(cloud):
        size += len(text.encode())
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        if not name.startswith("dygraph"):
            assert re.findall(r"https?://(?!www\.w3\.org/2000/svg|dygraphs\.com)", text) == [], name
            assert "innerHTML" not in text
    print(f"\npage: {size} bytes")
    assert size <= PAGE_SIZE_MAX


def test_both_languages_say_all_there_is_to_say():
    def keys(language):
        with open(f"{ROOT}/web/{language}.js", encoding="utf-8") as texts:
            return {
                key: set(re.findall(r"\{\w+\}", text))
                for key, text in re.findall(r'^\t"([^"]+)": "(.*)",$', texts.read(), re.M)
            }

    assert len(keys("en")) > 200 and keys("en") == keys("zh")


# The views.


def test_the_overview_says_who_is_there_and_who_uses_most(browser, cloud):
    browser.open(cloud.url)
    assert "3 / 3" in browser.text("#tile-workers") and "all alive" in browser.text("#tile-workers")
    instances = get(cloud.url, "v1/instances")["instances"]
    assert f"of {len(instances)}" in browser.text("#tile-instances")
    assert "samples/s" in browser.text("#tile-ingest") and "ago" in browser.text("#tile-complete")
    names = {instance["id"]: instance["display_name"] for instance in instances}
    used = {
        answer["id"]: answer["usages"][0]["value"]
        for answer in get(cloud.url, "v1/usage?all=true&metric=cpu&from=now-1h")["instances"]
    }
    top = [names[id] for id in sorted(used, key=used.get, reverse=True)[:5]]
    assert [link.text for link in browser.all("#top-cpu a")] == top
    for kind in ("memory", "network", "disk", "external"):
        assert len(browser.all(f"#top-{kind} li")) == 5
    browser.all("#top-cpu a")[1].click()
    browser.wait_text(top[1], "h1")


def test_an_instance_is_shown_with_its_plots_marks_and_gaps(browser, cloud):
    browser.open(cloud.url + WEB)
    assert "web-01" in browser.text("h1")
    for name in ("cpu", "memory", "network", "disk", "external"):
        assert browser.all(f"#plot-{name} canvas"), name
        label = browser.one(f"#plot-{name}").get_attribute("aria-label")
        gap = re.search(r"(\d+) points without readings", label)
        assert "least" in label and gap and 8 <= int(gap[1]) <= 20, label
    events = browser.text("#events")
    for words in (
        "migrated from compute1 to compute2",
        "paused on compute2",
        "running on compute2",
        "no readings for",
    ):
        assert words in events
    assert "%" in browser.text("#now") and "KiB/s" in browser.text("#now")
    # A plot's table has what the API answers for the step.
    browser.one("#card-network summary").click()
    row = browser.text("#card-network tbody tr")
    window = re.search(
        r"([\d-]+ [\d:]+) to ([\d-]+ [\d:]+), a point each (\d+) s", browser.text("#shown")
    )
    assert window[3] == "20" and row.count("/s") == 2


def rate_of(browser, cloud, begin):
    """The mean rate of the first step, which begins then, by the table and by the API, in KiB/s; of
    the time that is known of it."""
    browser.one("#card-network summary").click()
    browser.wait_text("KiB/s", "#card-network tbody")
    step = int(re.search(r"a point each (\d+) s", browser.text("#shown"))[1])
    shown = float(re.search(r"([\d.]+) KiB/s", browser.text("#card-network tbody tr"))[1])
    [usage] = usages(
        cloud.url, f"id={identity('web-02')}&metric=nic_incoming&from={begin}&to={begin + step}"
    )["nic_incoming"]
    return shown, usage["value"] * 1000 / usage["covered_ms"] / 1024


def test_a_point_is_the_mean_rate_of_its_step(browser, cloud):
    begin = cloud.now // 1000 // 20 * 20 - 1800
    browser.open(f"{cloud.url}#/instance/{identity('web-02')}?from={begin}&to={begin + 1200}")
    shown, expected = rate_of(browser, cloud, begin)
    assert shown == pytest.approx(expected, rel=0.02)


def test_a_drag_zooms_and_the_address_says_to_what(browser, cloud):
    browser.open(cloud.url + WEB)
    (begin, end), part = browser.zoom("#plot-cpu", 150)
    assert end - begin == pytest.approx(3600 * part, rel=0.1)
    browser.back()
    browser.wait(lambda: not browser.range(), "the range before")
    browser.wait_shown()


def test_what_a_worker_reads_now_is_shown_without_being_asked_for(browser, start_cloud, tmp_path):
    cloud, name = start_cloud(), identity("live")
    script = {
        "instances": [
            {
                "uuid": name,
                "name": "instance-1",
                "info": {"display_name": "live", "project_id": "p1"},
                "vcpus": 2,
                "readings": {
                    "cpu": {"total": [1_500_000_000]},
                    "nic": {"vnet0": [2048, 4096]},
                    "state": {"total": [1, 1]},
                },
            }
        ]
    }
    (tmp_path / "script.json").write_text(json.dumps(script))
    port = {
        socket: endpoint.rsplit(":", 1)[1] for socket, endpoint in cloud.server.endpoints.items()
    }
    worker = Worker(
        tmp_path,
        "worker.id=w1",
        "worker.collector=fake",
        "worker.interval=1",
        f"worker.spool_dir={tmp_path}/spool",
        f"worker.fake_script={tmp_path}/script.json",
        "worker.dataserver_host=127.0.0.1",
        f"worker.dataserver_port={port['pull']}",
        f"worker.dataserver_pub_port={port['pub']}",
    )
    try:
        cloud.server.wait_counter("stored", 20)
        browser.open(f"{cloud.url}#/instance/{name}")
        # The fake counts whole seconds, so its first reading, between two of them, is a little low.
        rates = r"(?s)15[0-2] %.*in\s+2(\.0\d)? KiB/s.*out\s+4(\.0\d)? KiB/s"
        first = browser.text("#now")
        assert re.search(rates, first)
        browser.wait(lambda: browser.text("#now") != first, "later values")
        assert re.search(rates, browser.text("#now"))
    finally:
        worker.stop()


def test_keys_and_buttons_zoom_and_move(browser, cloud):
    now = cloud.now // 1000
    browser.open(f"{cloud.url}{WEB}?from={now - 3600}&to={now - 1800}")
    browser.one("#zoom-in").click()
    browser.wait(lambda: browser.range() == (now - 3150, now - 2250), "half the span")
    browser.wait_shown()
    browser.one(".figures").send_keys(Keys.ARROW_LEFT)
    browser.wait(lambda: browser.range() == (now - 3600, now - 2700), "the half before")
    browser.wait_shown()
    browser.one(".figures").send_keys("-")
    browser.wait(lambda: browser.range() == (now - 4050, now - 2250), "twice the span")
    browser.wait_shown()


@pytest.mark.parametrize(
    "query, expected",
    [
        ("cart-db", {"cart-db"}),
        (identity("notebook")[:13], {"notebook"}),
        ("SHOP compute3", {"search-api", "mail-relay"}),
        (
            PROJECTS["analytics"],
            {"spark-master", "spark-worker-1", "spark-worker-2", "notebook", "warehouse"},
        ),
        ("10.0.0.12", {"notebook"}),
        ("no such thing", set()),
    ],
)
def test_a_search_finds_by_name_id_address_project_and_host(browser, cloud, query, expected):
    browser.open(cloud.url)
    browser.one("#query").send_keys(query, Keys.ENTER)
    browser.wait(lambda: "instances?q=" in browser.current_url and browser.all("#found"), "results")
    browser.wait_shown()
    assert {link.text for link in browser.all("tbody th a")} == expected
    if not expected:
        assert f"No instance matches “{query}”" in browser.text()


def test_a_name_is_never_markup(browser, cloud):
    for view in (
        "#/instances?q=onerror",
        f"#/instance/{identity('hostile')}",
        "#/report?project=edge&period=last-month",
        "#/instances?q=" + HOSTILE,
    ):
        browser.open(cloud.url + view)
        assert HOSTILE in browser.text()
        assert browser.all("main img") == []


# Reports.


@pytest.mark.parametrize(
    "what, query",
    [
        ("project=edge&period=last-month", "project=edge&from=last-month&to=this-month"),
        ("project=*&period=last-month", "all=true&from=last-month&to=this-month"),
        (
            f"project={PROJECTS['shop']}&period=yesterday",
            f"project={PROJECTS['shop']}&from=yesterday&to=today",
        ),
        (
            "instance=cart-db&period=last-month",
            f"id={identity('cart-db')}&from=last-month&to=this-month",
        ),
    ],
)
def test_a_reports_figures_are_the_apis_to_the_last_digit(browser, cloud, what, query):
    browser.open(f"{cloud.url}#/report?{what}")
    expected, shown = sums(cloud.url, query), browser.figures()
    assert shown and shown == {metric: expected[metric] for metric in shown}
    assert {"cpu", "nic_incoming", "state_time", "vcpus_time"} <= set(shown)
    assert "Complete. Nothing" in browser.text("#verdict")
    if "edge" in what:
        assert int(shown["nic_incoming"]) == HUGE and f"{HUGE:,}" in browser.text()


def test_no_figure_is_cut_off_on_a_phone(browser, cloud):
    browser.size(PHONE)
    browser.open(cloud.url + "#/report?project=edge&period=last-month")
    shown = browser.execute_script("""
        return [...document.querySelectorAll("data[data-metric], .stacked strong")].map((figure) =>
            [figure.innerText, figure.getBoundingClientRect().right
                <= figure.closest(".scroll").getBoundingClientRect().right]);""")
    assert f"{HUGE:,}" in {text for text, _ in shown}
    assert [text for text, is_whole in shown if not is_whole] == []


def test_last_months_usage_of_a_project_is_four_steps_away(browser, cloud):
    browser.open(cloud.url)
    browser.one("a[href='#/report']").click()
    browser.one("#project").send_keys("shop")
    browser.one("#period").send_keys("Last month")
    browser.one("#show").click()
    browser.one("#verdict")
    assert re.search(r"\d\d-01 00:00 to \d{4}-\d\d-01 00:00 \(UTC\)", browser.text())
    assert (
        "Usage of shop" in browser.text()
        and len(browser.all("#answer section:last-child tbody tr")) == 6
    )


def test_a_report_that_is_not_complete_says_why(browser, cloud):
    browser.open(f"{cloud.url}#/report?instance={identity('web-01')}&period=this-month")
    assert "Not complete yet" in browser.text("#verdict")
    assert "3 workers have not told everything yet (compute1, compute2, compute3)" in browser.text(
        "#verdict"
    )


def test_a_custom_period_is_asked_for(browser, cloud):
    browser.open(
        f"{cloud.url}#/report?project=edge&period=custom&from=2026-01-01T00:00&to=2026-01-02T12:30"
    )
    assert "Nothing was used in this time" in browser.text("#nothing")
    assert browser.one("#to").get_attribute("value") == "2026-01-02T12:30"


def test_the_file_has_the_figures_that_are_shown(browser, cloud, downloads):
    browser.execute_cdp_cmd(
        "Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    browser.open(f"{cloud.url}#/report?project=edge&period=last-month")
    browser.one("#download").click()
    path = until(lambda: next(iter(downloads.glob("kanyun-edge-*.csv")), None), "the file")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for metric, value in browser.figures().items():
        assert sum(int(row["value"]) for row in rows if row["metric"] == metric) == int(value)


# What is not well.


def test_an_empty_system_says_what_to_do(browser, start_cloud):
    cloud = start_cloud()
    for view, words in (
        ("#/", "Nothing is metered yet"),
        ("#/instances", "Run kanyun-worker"),
        ("#/workers", "No worker has been heard yet"),
        ("#/report", "Nothing is metered yet"),
    ):
        browser.open(cloud.url + view)
        assert words in browser.text()


def test_a_dead_worker_is_the_first_thing_to_see(browser, start_cloud):
    cloud = start_cloud("server.worker_dead_seconds=1")
    cloud.read("compute9", [], 1795000000000)
    cloud.server.wait_line("worker 'compute9' is dead")
    browser.open(cloud.url)
    assert "Dead: compute9" in browser.text(".banner.wrong") and "1 dead" in browser.text(
        "#tile-workers"
    )
    browser.open(cloud.url + "#/workers")
    assert "dead" in browser.text("tr.dead") and "workers retire" in browser.text()


def test_what_does_not_exist_and_an_api_that_is_away_are_told(browser, start_cloud):
    cloud = start_cloud()
    browser.open(cloud.url + "#/instance/nobody")
    assert "That does not exist" in browser.text("[role=alert]") and "nobody" in browser.text(
        "[role=alert]"
    )
    browser.open(cloud.url + "#/nothing")
    assert browser.text("h1") == "There is no such page."
    browser.open(cloud.url)
    cloud.api.stop()
    browser.wait_text("Not up to date: kanyun-api does not answer", ".stale")
    assert "Nothing is metered yet" in browser.text()
    browser.one("a[href='#/workers']").click()
    browser.wait_text("kanyun-api does not answer", "[role=alert]")
    assert browser.all("#retry")
    complaints = browser.complaints()
    assert complaints and all(
        "404" in each or "ERR_CONNECTION" in each for each in complaints
    ), complaints


def test_one_that_is_told_to_come_again_does(browser, start_cloud):
    cloud = start_cloud(api=["api.readers=1"])
    fill_many(cloud, 7)
    browser.open(cloud.url)
    assert "20 / 20" in browser.text("#tile-workers") and browser.all("#top-cpu li")
    assert all("503" in each for each in browser.complaints())


def token(name, *projects):
    run = subprocess.run(
        [BUILD + "/src/cli/kanyun", "token", name, *projects],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout, run.stderr.strip()


def give(browser, text):
    browser.wait(
        lambda: browser.execute_script("return document.getElementById('token').open"), "the dialog"
    )
    browser.one("#token-value").send_keys(text, Keys.ENTER)


def test_a_token_is_asked_for_and_kept_in_the_tab_only(browser, start_cloud, tmp_path):
    made = {"all": token("all"), "p1": token("p1", "p1")}
    path = tmp_path / "tokens"
    path.write_text("".join(line for line, _ in made.values()))
    path.chmod(0o600)
    cloud = start_cloud(api=[f"api.http_tokens={path}"])
    fill_many(cloud, 7)
    browser.get(cloud.url)
    give(browser, "kanyun_wrong")
    browser.wait_text("That token is not valid", "#token-wrong")
    give(browser, made["all"][1])
    browser.wait_text("vm-0006", "#top-cpu")
    assert browser.execute_script("return localStorage.length") == 0
    browser.open(cloud.url)
    browser.one("#footer button").click()
    give(browser, made["p1"][1])
    browser.wait_text("Your token is of projects")
    browser.wait_text("vm-0001", "#top-cpu")
    assert "vm-0006" not in browser.text()
    browser.open(cloud.url + "#/workers")
    assert "You may not see this" in browser.text()
    path.chmod(0o666)
    browser.one("#retry").click()
    browser.wait_text("kanyun cannot answer now", "[role=alert]")
    complaints = browser.complaints()
    assert all(re.search("40[13]|503", each) for each in complaints), complaints
    browser.execute_script("sessionStorage.clear()")


# For everybody.


def test_chinese_is_spoken_to_a_chinese_browser_and_kept_when_chosen(cloud):
    browser = Browser("zh-CN")
    try:
        browser.open(cloud.url)
        assert (
            browser.text("h1") == "概览"
            and browser.execute_script("return document.documentElement.lang") == "zh-CN"
        )
        for view in VIEWS:
            browser.open(cloud.url + view)
            assert re.search("[一-鿿]", browser.text("h1"))
        browser.one("#language").click()
        browser.wait_text("Usage report", "h1")
        browser.open(cloud.url)
        assert browser.text("h1") == "Overview"
        assert browser.complaints() == []
    finally:
        browser.quit()


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_and_is_made_for_all_readers(browser, cloud, view, size):
    browser.size(size)
    browser.open(cloud.url + view)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    wrong = browser.execute_script("""
        const wrong = [], all = (selector) => [...document.querySelectorAll(selector)];
        const named = (element) => element.getAttribute("aria-label") || element.innerText?.trim() || element.labels?.[0]?.innerText.trim();
        for (const landmark of ["header", "nav[aria-label]", "main", "footer", "[role=search]", "h1"])
            if (all(landmark).length !== 1) wrong.push(`${all(landmark).length} of ${landmark}`);
        for (const element of all("a, button, input, select, [role=img], [role=region], [role=group]"))
            if (element.checkVisibility() && !named(element) && !element.querySelector("img")) wrong.push("no name: " + element.outerHTML.slice(0, 90));
        for (const table of all("table"))
            if (!table.caption?.innerText || !table.querySelector("th[scope=col]") || !table.querySelector("th[scope=row]"))
                wrong.push("a table without caption or heads");
        const ids = all("[id]").map((element) => element.id);
        wrong.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => "twice: " + id));
        let level = 0;
        for (const heading of all("main :is(h1, h2, h3)")) {
            const own = Number(heading.tagName[1]);
            if (own > level + 1) wrong.push("skips to " + heading.outerHTML.slice(0, 60));
            level = own;
        }
        return wrong;""")
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(browser, cloud, scheme):
    browser.scheme(scheme)
    for view in ("#/", WEB, "#/report?project=*&period=this-month"):
        browser.open(cloud.url + view)
        faint = browser.execute_script("""
            const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
            const light = (color) => parse(color).slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
            const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (parse(c)[3] !== 0) return c; } return "rgb(255,255,255)"; };
            const faint = [];
            for (const e of document.querySelectorAll("body *")) {
                if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
                const [a, b] = [light(getComputedStyle(e).color), light(behind(e))], ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${e.className} ${e.textContent.slice(0, 40)}`);
            }
            return faint;""")
        assert faint == []
    browser.scheme("light")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, cloud):
    browser.open(cloud.url)
    seen = []
    for _ in range(12):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.append(
            browser.execute_script(
                """
            const e = document.activeElement, style = getComputedStyle(e);
            return [e.id || e.getAttribute("href"), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];"""
            )
        )
    assert seen[0][0] == "skip" and {
        "#/",
        "#/instances",
        "#/report",
        "#/workers",
        "query",
        "language",
    } <= {name for name, _ in seen}
    assert all(is_outlined for _, is_outlined in seen), seen
    browser.one("a[href='#/workers']").send_keys(Keys.ENTER)
    browser.wait_text("Workers", "h1")
    browser.wait(
        lambda: browser.execute_script("return document.activeElement.tagName") == "H1",
        "the focus at the new view",
    )
    assert "Workers" in browser.execute_script("return document.getElementById('live').textContent")


# How fast.


def scripting_ms(profile, url):
    """The time in which functions of the page ran, with what they called and the collector."""
    nodes = {node["id"]: node for node in profile["nodes"]}
    counted = set()

    def walk(node, is_of_page):
        frame = node["callFrame"]
        is_of_page = is_of_page or frame["url"].startswith(url)
        if is_of_page or frame["functionName"] == "(garbage collector)":
            counted.add(node["id"])
        for child in node.get("children", []):
            walk(nodes[child], is_of_page)

    walk(profile["nodes"][0], False)
    times = zip(profile["samples"], profile["timeDeltas"])
    return sum(delta for node, delta in times if node in counted) / 1000


def test_the_first_view_of_a_thousand_instances_is_fast(browser, start_cloud):
    cloud, loads = start_cloud("server.worker_dead_seconds=3600"), []
    fill_many(cloud, 1000)
    browser.open(cloud.url + "#/nothing")  # the process that the page will be in
    browser.execute_cdp_cmd("Profiler.enable", {})
    browser.execute_cdp_cmd("Profiler.setSamplingInterval", {"interval": 200})
    for _ in range(8):  # others may want this machine, too
        browser.get(cloud.url + "#/nothing")
        browser.execute_cdp_cmd("Profiler.start", {})
        browser.get(cloud.url)
        browser.wait_shown()
        profile = browser.execute_cdp_cmd("Profiler.stop", {})["profile"]
        loads.append(scripting_ms(profile, cloud.url))
        if loads[-1] <= SCRIPTING_MAX_MS:
            break
    assert "of 1,000" in browser.text("#tile-instances") and len(browser.all("#top-cpu li")) == 5
    print(f"\nfirst view, 1,000 instances: {min(loads):.0f} ms of scripting")
    assert 1 < min(loads) <= SCRIPTING_MAX_MS, loads
