# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Chromium without a window, as Debian has it, and questions to what it shows and to the API behind
it."""

import json
import os
import re
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DESKTOP, PHONE = (1280, 900), (390, 844)
WAIT = 20  # seconds; only a failure waits so long
LABELS = 78  # pixels of a plot that are its labels'


class Browser(webdriver.Chrome):
    def __init__(self, language="en", downloads=None):
        options = Options()
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--disable-background-networking",
            f"--lang={language}",
        ):
            options.add_argument(argument)
        options.add_experimental_option(
            "prefs",
            {
                "intl.accept_languages": language,
                "download.default_directory": str(downloads or "/nonexistent"),
            },
        )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        super().__init__(
            service=Service("/usr/bin/chromedriver", log_path=os.devnull), options=options
        )
        self.size()

    def size(self, size=DESKTOP, scale=1):
        self.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": size[0],
                "height": size[1],
                "deviceScaleFactor": scale,
                "mobile": size == PHONE,
            },
        )
        self.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size == PHONE})

    def scheme(self, name):
        self.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": name}]},
        )

    def wait(self, condition, what="a condition"):
        return WebDriverWait(self, WAIT, 0.05).until(lambda driver: condition(), what)

    def open(self, url):
        """The view at a fresh load, when it has been filled."""
        self.get("about:blank")
        self.get(url)
        self.wait_shown()

    def wait_shown(self):
        self.wait(
            lambda: self.all(".view:not([aria-busy])") and not self.all(".loading"),
            "the view is filled",
        )

    def all(self, selector):
        return self.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        self.wait(lambda: self.all(selector), selector)
        return self.all(selector)[0]

    def text(self, selector="main"):
        """Once, in one step: what is shown may be replaced between two."""
        self.one(selector)
        return self.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector
        )

    def wait_text(self, text, selector="main"):
        self.wait(lambda: text in self.text(selector), f"'{text}' in {selector}")

    def figures(self):
        """{metric: value, as its digits} of a report."""
        return {
            element.get_attribute("data-metric"): element.get_attribute("value")
            for element in self.all("data[data-metric]")
        }

    def range(self):
        """(from, to) of the address, where it says them in seconds."""
        found = re.search(r"from=(\d+)&to=(\d+)", self.current_url)
        return (int(found[1]), int(found[2])) if found else None

    def zoom(self, plot, pixels):
        """Drags over so much of its middle; gives the range, and the part of the plot that was."""
        ActionChains(self).move_to_element_with_offset(
            self.one(plot), -100, 10
        ).click_and_hold().move_by_offset(pixels, 0).release().perform()
        self.wait(self.range, "a range in the address")
        self.wait_shown()
        width = self.execute_script(
            "return document.querySelector(arguments[0] + ' canvas').clientWidth", plot
        )
        return self.range(), pixels / (width - LABELS)

    def complaints(self):
        return [
            entry["message"]
            for entry in self.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]


def get(url, path):
    with urllib.request.urlopen(url + path, timeout=60) as response:
        return json.load(response)


def usages(url, query):
    """{metric: [usage ...]} over all instances."""
    found = {}
    for answer in get(url, "v1/usage?parameter=total&" + query)["instances"]:
        for usage in answer["usages"]:
            found.setdefault(usage["metric"], []).append(usage)
    return found


def sums(url, query):
    """{metric: sum, as its digits} over all instances."""
    return {
        metric: str(sum(usage["value"] for usage in each))
        for metric, each in usages(url, query).items()
    }
