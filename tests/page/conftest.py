# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""One full cloud for all tests of the page."""

import pytest
from scene import Cloud, fill


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "server.worker_dead_seconds=3600")
    cloud.now = fill(cloud)
    yield cloud
    cloud.close()


@pytest.fixture
def start_cloud(tmp_path):
    clouds = []

    def start(*options, **keywords):
        clouds.append(Cloud(tmp_path / f"cloud{len(clouds)}", *options, **keywords))
        return clouds[-1]

    yield start
    for each in clouds:
        each.close()
