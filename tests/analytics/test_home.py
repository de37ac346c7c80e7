"""The desk's first page: each figure exact, for whoever may see it, whatever is missing."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics.desk import home
from analytics.models import Source
from keys.models import CallCount
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.cast import Tenant

NOW = datetime(2026, 6, 17, 12, 20, tzinfo=UTC)
QUARTER = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
HOME = reverse("admin:index")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "timezone", SimpleNamespace(now=lambda: NOW))


def _count(tenant: Tenant, start: datetime, allowed: int, denied: int, *, grain: int = 15) -> None:
    """As a drain would."""
    bucket = tenant.account.bucket
    for account_id in (tenant.account.pk, 0):
        row, _ = CallCount.objects.get_or_create(
            account_id=account_id, grain=grain, start=start, bucket=bucket,
            defaults={"calls_allowed": 0, "calls_denied": 0},
        )  # fmt: skip
        row.calls_allowed += allowed
        row.calls_denied += denied
        row.save()


def _figures(client: Client, **query: Any) -> dict[str, str]:
    answer = client.get(HOME, {"zone": "UTC"} | query)
    assert answer.status_code == 200
    return {figure.title: figure.value for figure in answer.context["figures"]}


def test_decisions_are_counted_of_all_accounts_or_one(desk: Client, alice: Tenant, bob: Tenant) -> None:
    _count(alice, QUARTER, 30, 10)
    _count(alice, QUARTER - timedelta(hours=23), 5, 0)
    _count(alice, QUARTER - timedelta(hours=24), 1_000, 0)
    _count(bob, QUARTER, 1, 2)
    of_all, of_alice = _figures(desk, period="24h"), _figures(desk, period="24h", account=alice.account.pk)
    assert (of_all["Decisions"], of_all["Allowed"], of_all["Denied"]) == ("48", "36", "12")
    assert (of_alice["Decisions"], of_alice["Allowed"], of_alice["Denied"]) == ("45", "35", "10")


def test_the_last_hour_is_told_by_the_minute(desk: Client, alice: Tenant) -> None:
    _count(alice, NOW - timedelta(minutes=60), 1, 0, grain=1)
    _count(alice, NOW - timedelta(minutes=61), 50, 0, grain=1)
    _count(alice, NOW - timedelta(minutes=1), 2, 3, grain=1)
    _count(alice, QUARTER, 99, 99)
    answer = desk.get(HOME, {"period": "1h", "zone": "UTC"})
    chart = answer.context["charts"][0]
    assert (chart.title, len(chart.labels), chart.labels[0], chart.labels[-1]) == (
        "Decisions by minute", 60, "11:20", "12:19",
    )  # fmt: skip
    assert [(name, sum(values)) for name, values in chart.series] == [("Allowed", 3), ("Denied", 3)]
    assert chart.series[1].values[-1] == 3


@pytest.mark.parametrize(
    ("period", "length", "by"), [("24h", 97, "quarter hour"), ("7d", 169, "hour"), ("30d", 31, "day")]
)
def test_what_was_counted_lies_in_one_tile(desk: Client, alice: Tenant, period: str, length: int, by: str) -> None:
    for number in range(4 * 24 * 40):
        if number % 37 == 0:
            _count(alice, QUARTER - number * timedelta(minutes=15), 1, 0)
    chart = desk.get(HOME, {"period": period, "zone": "UTC"}).context["charts"][0]
    shown = desk.get(HOME, {"period": period, "zone": "UTC"}).context
    first = home.call_tiles(shown["period"], NOW)[0].start
    assert (chart.title, len(chart.labels)) == (f"Decisions by {by}", length)
    assert sum(chart.series[0].values) == sum(
        QUARTER - number * timedelta(minutes=15) >= first for number in range(0, 4 * 24 * 40, 37)
    )


def test_days_begin_where_the_reader_lives(desk: Client, alice: Tenant) -> None:
    _count(alice, datetime(2026, 6, 16, 18, 30, tzinfo=UTC), 7, 0)  # midnight in Kolkata
    _count(alice, datetime(2026, 6, 16, 18, 15, tzinfo=UTC), 4, 0)
    chart = desk.get(HOME, {"period": "30d", "zone": "Asia/Kolkata"}).context["charts"][0]
    told = dict(zip(chart.labels, chart.series[0].values, strict=True))
    assert (told["Wed 17 Jun"], told["Tue 16 Jun"]) == (7, 4)


def test_the_browsers_zone_is_taken_from_its_cookie(desk: Client, alice: Tenant) -> None:
    desk.cookies["limitly_zone"] = "Asia%2FKolkata"
    assert "times of Asia/Kolkata" in desk.get(HOME).content.decode()


def test_requests_errors_and_response_times_are_added_up(desk: Client, alice: Tenant, bob: Tenant) -> None:
    shop, other = observe(alice), observe(bob)
    orders, health = endpoint(shop.app, "GET /orders"), endpoint(shop.app, "GET /health", is_excluded=True)
    file_traffic(
        [
            Traffic(shop, orders, QUARTER, 90, seconds={0.1: 90}),
            Traffic(shop, orders, QUARTER, 6, status_code=500, seconds={2.0: 6}),
            Traffic(shop, orders, QUARTER - timedelta(hours=1), 4, status_code=404),
            Traffic(shop, health, QUARTER, 1_000, status_code=503, seconds={9.0: 500, 0.1: 500}),
            Traffic(other, endpoint(other.app, "GET /a"), QUARTER, 100),
        ]
    )
    of_alice = _figures(desk, account=alice.account.pk)
    assert (of_alice["Requests"], of_alice["Error rate"]) == ("100", "10.00 %")
    assert (of_alice["p50"], of_alice["p95"], of_alice["p99"]) == ("101 ms", "1,915 ms", "1,915 ms")
    assert (_figures(desk)["Requests"], _figures(desk)["Error rate"]) == ("200", "5.00 %")


def test_errors_that_are_expected_of_an_endpoint_are_none(desk: Client, alice: Tenant) -> None:
    shop = observe(alice)
    search = endpoint(shop.app, "GET /search", expected_statuses=[404])
    file_traffic(
        [Traffic(shop, search, QUARTER, 9, status_code=404), Traffic(shop, search, QUARTER, 1, status_code=400)]
    )
    assert _figures(desk)["Error rate"] == "10.00 %"


def test_of_very_many_response_times_every_so_many_quarter_hours_are_taken(
    desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.statistics.sampling.BUCKETS_MAX", 2)
    shop = observe(alice)
    orders = endpoint(shop.app, "GET /orders")
    file_traffic(
        Traffic(shop, orders, QUARTER - number * timedelta(minutes=15), 10, seconds={0.1: 10}) for number in range(10)
    )
    answer = desk.get(HOME)
    figures = {figure.title: (figure.value, figure.note) for figure in answer.context["figures"]}
    assert figures["Requests"][0] == "100"
    assert figures["p95"] == ("101 ms", "of 20 measured, one quarter hour in 5")
    times = answer.context["charts"][-1]
    assert times.title == "Response times by quarter hour, one quarter hour in 5"
    assert json.loads(times.data)["isSample"] is True


def test_traffic_of_another_source_than_the_one_in_force_is_not_added(desk: Client, alice: Tenant) -> None:
    shop = observe(alice)
    orders = endpoint(shop.app, "GET /orders")
    file_traffic([Traffic(shop, orders, QUARTER, 5), Traffic(shop, orders, QUARTER, 5, source=Source.DECISION)])
    assert _figures(desk)["Requests"] == "5"
