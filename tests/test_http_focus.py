# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A month in the columns of FOCUS 1.2, whose quantities are those of /v1/usage."""

import collections
import csv
import datetime
import decimal
import io
import re

import pytest

from harness import Peer
from test_api import OTHER, UUID, minutes, reading, send_projects, send_readings
from test_http import start_api, tokens  # noqa: F401 (fixtures)
from test_http_forms import Forms

# FOCUS 1.2, specification/columns: feature level mandatory, and what may not be null.
MANDATORY = set("""BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd
    BillingPeriodStart ChargeCategory ChargeClass ChargeDescription ChargePeriodEnd
    ChargePeriodStart ContractedCost EffectiveCost InvoiceIssuerName ListCost PricingQuantity
    PricingUnit ProviderName PublisherName ServiceCategory ServiceName""".split())
USED = {"ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ResourceId", "ResourceName",
        "ResourceType", "ServiceSubcategory", "SubAccountId", "SubAccountName"}
MAY_BE_NULL = {"BillingAccountName", "ChargeClass", "ChargeDescription", "SubAccountId",
               "SubAccountName", "ResourceName"}
SCALES = {"ns": ("Seconds", 10**9), "ms": ("Seconds", 1000), "vCPU ms": ("Core-Seconds", 1000),
          "MiB ms": ("MiB-Seconds", 1000), "GiB ms": ("GiB-Seconds", 1000), "bytes": ("B", 1),
          "KiB": ("KiB", 1), "count": ("Count", 1)}
MONTH = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
NEXT = datetime.datetime(2026, 4, 1, tzinfo=datetime.timezone.utc)


def epoch(time):
    return int(time.timestamp())


@pytest.fixture
def scene(server):
    """From the last ten minutes of a month into the next one: UUID is p1's, p2's, p1's; OTHER is
    p3's, with a disk and a name that is a formula."""
    base = (epoch(NEXT) - 600) * 1000
    send_readings(server, minutes(base, [1] * 21) + [
        reading(base + i * 60_000, [["cpu", "total", [i * 12345678901]],
                                    ["blk", "vda", [i * 1000, i * 10]],
                                    ["blk", "vdb", [i * 7, i]]],
                uuid=OTHER, epoch="h1/b/3/4", start=base) for i in range(21)])
    send_projects(server, base)
    with Peer(server, worker="more", spool="more") as peer:
        peer.wait_ack(peer.send_enveloped("1", {"host": "h1", "instances": [
            {"uuid": OTHER, "since": base, "name": "j", "display_name": "@shop", "vcpus": 4,
             "project_id": "p3", "project_name": "Shop, Inc.", "flavor_id": "f-1",
             "flavor_name": "m1.large"}]}))
    return base // 1000


@pytest.fixture
def web(scene, start_api):  # noqa: F811
    return Forms(start_api())


def export(web, **query):
    status, kind, body = web.fetch("/v1/export/focus", query)
    assert (status, kind) == (200, "text/csv; charset=utf-8; header=present"), body
    return list(csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True))


def test_the_header_is_of_focus(web):
    status, _, body = web.fetch("/v1/export/focus", {"month": "2026-01"})
    assert status == 200 and body.count(b"\r\n") == 1  # nothing was there
    names = body.decode().strip().split(",")
    known = [name for name in names if not name.startswith("x_")]
    assert set(known) == MANDATORY | USED and len(set(names)) == len(names)
    assert known == sorted(known) == names[:len(known)]
    assert all(re.fullmatch(r"(x_)?([A-Z][a-z]*)+", name) for name in names)


def test_each_row_has_what_focus_wants(web):
    rows = export(web, month="2026-03")
    assert len(rows) > 10
    for row in rows:
        for name in (MANDATORY | USED) - MAY_BE_NULL:
            assert row[name] != "", name
        assert [row[name] for name in ("BilledCost", "ListCost", "EffectiveCost",
                                       "ContractedCost")] == ["0"] * 4
        assert (row["ChargeCategory"], row["ChargeFrequency"]) == ("Usage", "Usage-Based")
        assert (row["BillingAccountId"], row["BillingCurrency"], row["ProviderName"]) == (
            "default", "XXX", "OpenStack")
        assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (
            "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= \
            row["BillingPeriodEnd"]
        assert row["PricingQuantity"] == row["ConsumedQuantity"]
        unit, scale = SCALES[row["x_Unit"]]
        assert row["ConsumedUnit"] == row["PricingUnit"] == unit
        assert re.fullmatch(r"\d+(\.\d*[1-9])?", row["ConsumedQuantity"])
        assert decimal.Decimal(row["ConsumedQuantity"]) * scale == int(row["x_Value"])
    services = {row["x_Metric"]: (row["ServiceCategory"], row["ServiceSubcategory"])
                for row in rows}
    assert services["cpu"] == ("Compute", "Virtual Machines")
    assert services["blk_read"] == services["disk_time"] == ("Storage", "Block Storage")
    [shop] = [row for row in rows if row["x_Metric"] == "cpu" and row["ResourceId"] == OTHER]
    assert (shop["SubAccountId"], shop["SubAccountName"], shop["ResourceName"],
            shop["x_FlavorId"], shop["x_FlavorName"], shop["ConsumedQuantity"]) == (
        "p3", "Shop, Inc.", "'@shop", "f-1", "m1.large", "123.45678901")


def test_a_row_is_of_one_project_and_flavor(web):
    rows = [row for row in export(web, month="2026-03")
            if row["ResourceId"] == UUID and row["x_Metric"] == "cpu"]
    assert [(row["SubAccountId"], row["x_FlavorName"], row["ChargePeriodStart"],
             row["ChargePeriodEnd"], row["x_Value"]) for row in rows] == [
        ("p1", "fp1", "2026-03-01T00:00:00Z", "2026-03-31T23:52:00Z", "1200"),
        ("p2", "fp2", "2026-03-31T23:52:00Z", "2026-03-31T23:55:00Z", "1800"),
        ("p1", "fp1", "2026-03-31T23:55:00Z", "2026-04-01T00:00:00Z", "3000")]


@pytest.mark.parametrize("month, begin, end", [
    ("2026-03", MONTH, NEXT), ("2026-04", NEXT, NEXT.replace(month=5))])
def test_quantities_add_up_to_usage(web, month, begin, end):
    sums = collections.Counter()
    for row in export(web, month=month):
        sums[row["SubAccountId"], row["x_Metric"]] += int(row["x_Value"])
    assert sums == {(row["group"], row["metric"]): row["value"] for row in web.ok(
        "/v1/usage", all="true", by="project", from_=epoch(begin), to=epoch(end))["groups"]}
    assert sums["p1", "cpu"] > 0


def test_what_a_start_tells_of_the_month_before_counts(server, start_api):  # noqa: F811
    """The first sample is the next month's."""
    send_readings(server, [reading(epoch(NEXT) * 1000 + i * 60_000, [["cpu", "total", [900 + i]]],
                                   start=(epoch(NEXT) - 900) * 1000) for i in range(2)])
    web = Forms(start_api())
    assert [row["x_Value"] for row in export(web, month="2026-03")] == ["900"]
    assert [row["x_Value"] for row in export(web, month="2026-04")] == ["1"]
    assert export(web, month="2026-02") == export(web, month="2026-05") == []


def test_a_project_has_its_time_only(web):
    rows = export(web, month="2026-03", project="p2")
    assert {row["SubAccountId"] for row in rows} == {"p2"}
    assert [row["x_Value"] for row in rows if row["x_Metric"] == "cpu"] == ["1800"]
    assert export(web, month="2026-03", project="nobody") == []


def test_a_token_exports_its_projects(scene, tokens):  # noqa: F811
    api, _, webs = tokens
    answer = {name: {row["SubAccountId"] for row in export(Forms(api, webs[name].token),
                                                           month="2026-03")}
              for name in ("all", "p1", "p3")}
    assert answer == {"all": {"p1", "p2", "p3"}, "p1": {"p1"}, "p3": {"p3"}}
    assert webs["p1"].get("/v1/export/focus", {"month": "2026-03", "project": "p2"})[0] == 403


def test_the_biller_names_itself(web):
    for row in export(web, month="2026-03", account="c-7", provider="Clouds AG", currency="EUR"):
        assert (row["BillingAccountId"], row["BillingCurrency"], row["ProviderName"],
                row["PublisherName"], row["InvoiceIssuerName"]) == (
            "c-7", "EUR", "Clouds AG", "Clouds AG", "Clouds AG")


@pytest.mark.parametrize("query, status", [
    ({}, 400), ({"month": "2026"}, 400), ({"month": "2026-13"}, 400),
    ({"month": "2026-03", "currency": "euro"}, 400), ({"month": "2026-03", "account": ""}, 400),
    ({"month": "2026-03", "provider": "x" * 256}, 400), ({"month": "2026-03", "id": "i"}, 400)])
def test_what_is_wrong_is_a_problem(web, query, status):
    assert web.get("/v1/export/focus", query)[0] == status


def test_it_is_csv_only(web):
    assert web.fetch("/v1/export/focus", {"month": "2026-03"}, "application/json")[0] == 406
    assert web.fetch("/v1/export/focus", {"month": "2026-03"}, "text/csv")[0] == 200
