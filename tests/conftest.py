# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Fixtures of all suites: see harness.py for what they hand out."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import harness  # noqa: E402


@pytest.fixture
def start(tmp_path):
    """Starts programs; those that still run at the end are stopped, and must end well."""
    programs = []

    def start_program(kind, *options, **keywords):
        program = kind(tmp_path, *options, **keywords)
        programs.append(program)
        return program

    yield start_program
    failures = []
    for program in reversed(programs):
        try:
            program.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def server(start):
    return start(harness.Server, "server.retention_days=36500")
