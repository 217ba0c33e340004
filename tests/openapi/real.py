# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Asks what standard input lists, [[path, parameters, status], ...], and holds each answer to the
document at the URL of the first argument. Ends with 1 at the first that is not as it says."""
import json
import sys

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (content_type_conformance,
                                               response_schema_conformance,
                                               status_code_conformance)

document = schemathesis.openapi.from_url(sys.argv[1])
for path, query, status in json.load(sys.stdin):
    named = {"id": query.pop("id")} if "{id}" in path else {}
    case = document[path]["GET"].Case(query=query, path_parameters=named)
    response = case.call()
    if response.status_code != status:
        sys.exit(f"{path} {query}: {response.status_code} {response.content[:500]}")
    case.validate_response(response, checks=[
        not_a_server_error, status_code_conformance, content_type_conformance,
        response_schema_conformance])
