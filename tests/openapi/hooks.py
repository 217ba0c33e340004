# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Questions that are well formed are about what tests/test_openapi.py has sent: of names and times
that were made up, all answers would be problems."""
import random

import schemathesis
from schemathesis.generation import GenerationMode

SELECTORS = ({"id": ["i"]}, {"id": ["j", "i"]}, {"all": "true"}, {"project": ["p1", "p3"]},
             {"id": ["instance-00000009@h9"]})
METRICS = ("cpu", "mem_free", "nic_incoming", "blk_read", "state_time", "vcpus_time")
KNOWN = {"from": ("now-3d", "this-month", "today-2d"), "to": ("now", "now-1m"),
         "parameter": ("total", "vda", "vnet0"), "step": ("1h", "86400", "30m"),
         "month": ("2026-10", "1970-01", "2026-12")}


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    query = case.query
    chance = random.Random(repr(query))
    if "from" in query and case.path != "/v1/instances/{id}":
        for name in ("id", "project", "all"):
            query.pop(name, None)
        query.update(chance.choice(SELECTORS))
    for name in KNOWN.keys() & query.keys():
        query[name] = chance.choice(KNOWN[name])
    if "metric" in query:
        metric = chance.choice(METRICS)
        query["metric"] = [metric] if isinstance(query["metric"], list) else metric
        query.pop("parameter", None)
    if "id" in case.path_parameters:
        case.path_parameters["id"] = chance.choice(("i", "j", "instance-00000009@h9"))
