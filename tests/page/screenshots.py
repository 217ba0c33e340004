#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Makes pictures of every view of the page, with the programs of KANYUN_BUILD.

usage: screenshots.py DIRECTORY   which must be outside of the repository"""

import pathlib
import sys
import tempfile

from browser import DESKTOP, PHONE, Browser
from scene import Cloud, fill, fill_many, identity

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness import ROOT  # noqa: E402

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


def main(directory):
    directory = pathlib.Path(directory).resolve()
    if directory.is_relative_to(pathlib.Path(ROOT).resolve()):
        sys.exit("screenshots.py: choose a directory outside of the repository")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        full, empty = (
            Cloud(pathlib.Path(place) / name, "server.worker_dead_seconds=3600")
            for name in ("full", "empty")
        )
        fill(full)
        dead = Cloud(pathlib.Path(place) / "dead", "server.worker_dead_seconds=1")
        fill_many(dead, 40)
        dead.server.wait_line("worker 'node19' is dead")
        for language in ("en", "zh"):
            browser = Browser(language)
            for scheme in ("light", "dark"):
                browser.scheme(scheme)
                for size, device in ((DESKTOP, "desktop"), (PHONE, "phone")):
                    for view, address in VIEWS.items():
                        shoot(
                            browser,
                            full.url + address,
                            directory / f"{view}-{device}-{scheme}-{language}.png",
                            size,
                        )
                    for name, cloud in (("empty", empty), ("dead", dead)):
                        path = directory / f"{name}-{device}-{scheme}-{language}.png"
                        shoot(browser, cloud.url, path, size)
            browser.quit()
        for cloud in (full, empty, dead):
            cloud.close()


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
