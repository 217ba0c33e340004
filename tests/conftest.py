# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Fixtures of all suites: see harness.py for what they hand out."""

import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import harness  # noqa: E402

# A shell's background jobs ignore it, and so would every program that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start(tmp_path):
    with harness.programs(tmp_path) as start_program:
        yield start_program


@pytest.fixture
def server(start):
    return start(harness.Server, "server.retention_days=36500")


@pytest.fixture(scope="session")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def english(downloads):
    from browser import Browser  # only its tests need Selenium

    browser = Browser("en", downloads)
    yield browser
    browser.quit()


@pytest.fixture
def browser(english):
    """Nothing is complained about; a test that expects complaints takes them away itself."""
    english.size()
    english.get_log("browser")
    yield english
    assert english.complaints() == []
    english.get("about:blank")
