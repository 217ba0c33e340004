#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Makes pictures of every view of the page: of a made-up cloud, with the programs of KANYUN_BUILD, in
both languages, light and dark; or, with URL, of what runs there.

usage: screenshots.py DIRECTORY [URL]   the directory must be outside of the repository"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from browser import DESKTOP, PHONE, Browser, get  # noqa: E402
from harness import ROOT  # noqa: E402
from scene import Cloud, fill, fill_many, identity  # noqa: E402

SIZES = {"desktop": DESKTOP, "phone": PHONE}
VIEWS = {
    "overview": "#/",
    "instances": "#/instances?q=shop",
    "workers": "#/workers",
    "instance": f"#/instance/{identity('web-01')}",
    "instance-month": f"#/instance/{identity('cart-db')}?from=now-30d",
    "report": "#/report?project=7d9a41f0c2&period=last-month",
    "report-instance": f"#/report?instance={identity('web-01')}&period=this-month",
    "missing": "#/instance/nobody",
}


def shoot(browser, url, path, size):
    browser.size(size)
    browser.open(url)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.size((size[0], min(max(height, size[1]), 3600)))
    browser.get_screenshot_as_file(str(path))


def shoot_made_up(directory, place):
    full, empty = (
        Cloud(place / name, "server.worker_dead_seconds=3600") for name in ("full", "empty")
    )
    fill(full)
    dead = Cloud(place / "dead", "server.worker_dead_seconds=1")
    fill_many(dead, 40)
    dead.server.wait_line("worker 'node19' is dead")
    for language in ("en", "zh"):
        browser = Browser(language)
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            for device, size in SIZES.items():
                for view, address in VIEWS.items():
                    path = directory / f"{view}-{device}-{scheme}-{language}.png"
                    shoot(browser, full.url + address, path, size)
                for name, cloud in (("empty", empty), ("dead", dead)):
                    path = directory / f"{name}-{device}-{scheme}-{language}.png"
                    shoot(browser, cloud.url, path, size)
        browser.quit()
    for cloud in (full, empty, dead):
        cloud.close()


def shoot_what_runs(directory, url):
    """With the first instance there is, in English."""
    first = get(url, "v1/instances")["instances"][0]
    views = {
        "overview": "#/",
        "instances": "#/instances",
        "workers": "#/workers",
        "instance": f"#/instance/{first['id']}",
        "report": f"#/report?project={first.get('project_id') or '*'}&period=today",
    }
    browser = Browser()
    for device, size in SIZES.items():
        for view, address in views.items():
            shoot(browser, url + address, directory / f"{view}-{device}.png", size)
    browser.quit()


def main(directory, url=None):
    directory = pathlib.Path(directory).resolve()
    if directory.is_relative_to(pathlib.Path(ROOT).resolve()):
        sys.exit("screenshots.py: choose a directory outside of the repository")
    directory.mkdir(parents=True, exist_ok=True)
    if url:
        shoot_what_runs(directory, url.rstrip("/") + "/")
        return
    with tempfile.TemporaryDirectory() as place:
        shoot_made_up(directory, pathlib.Path(place))


if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
main(*sys.argv[1:])
