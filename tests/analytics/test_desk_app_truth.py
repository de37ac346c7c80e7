"""What the pages about an app say of themselves: until when they are true, and of whom and what they tell."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.desk.charts import Chart
from analytics.desk.app_page import NOT_BY_TRAFFIC, TABS
from analytics.models import (
    Consumer,
    Endpoint,
    Environment,
    ErrorGroup,
    ErrorKind,
    ErrorQuarter,
    InboxReport,
    ReportKind,
)
from analytics.periods import QUARTER
from analytics.rollup.folding import fold_decisions
from keys.events import to_ms
from keys.ledger import lag
from keys.ledger.drain import drain_all
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.cast import Tenant
from tests.keys.test_drain import append
from tests.store_redis import StoreRedis

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
LAST = NOW - QUARTER
CHARTS = {
    "app_traffic": {"requests", "sizes"},
    "app_endpoints": set(),
    "app_consumers": {"seen"},
    "app_errors": {"errors"},
    "app_performance": {"trend", "spread"},
    "app_resources": {"processor", "memory"},
}


@pytest.fixture(autouse=True)
def _the_clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.desk.app_page.timezone", SimpleNamespace(now=lambda: NOW))


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def orders(prod: Environment) -> Endpoint:
    return endpoint(prod.app, "GET /orders", expected_statuses=[404, 503])


@pytest.fixture
def consumers(prod: Environment) -> list[Consumer]:
    return [Consumer.objects.create(app=prod.app, identifier=name) for name in ("ann", "ben")]


@pytest.fixture
def failure(prod: Environment, orders: Endpoint, consumers: list[Consumer]) -> ErrorGroup:
    """Twice to ann, five times to ben."""
    told = {"type": "KeyError", "occurrences": 7, "first_seen_at": LAST, "last_seen_at": LAST, "fingerprint": b"1"}
    group = ErrorGroup.objects.create(app=prod.app, environment=prod, endpoint=orders, kind=ErrorKind.SERVER, **told)
    for consumer, occurrences in zip(consumers, (2, 5), strict=True):
        ErrorQuarter.objects.create(group=group, quarter=LAST, consumer_id=consumer.pk, occurrences=occurrences)
    return group


def address(of: Environment, name: str, *more: int) -> str:
    return reverse(f"desk:{name}", args=[of.app_id, *more])


def charts_of(answer: Any) -> dict[str, Chart]:
    return {name: value for name, value in answer.context_data.items() if isinstance(value, Chart)}


def figures(answer: Any) -> dict[str, tuple[str, str]]:
    return {each.title: (each.text, each.note) for each in answer.context["figures"]}


def test_every_tab_is_tried_here() -> None:
    assert CHARTS.keys() == {tab.name for tab in TABS}


@pytest.mark.parametrize("name", [*CHARTS, "app_error"])
def test_every_chart_says_until_which_moment_it_is_true(
    desk: Client, stores: StoreRedis, alice: Tenant, prod: Environment, failure: ErrorGroup, name: str
) -> None:
    page = address(prod, name, *([failure.pk] if name == "app_error" else []))
    assert {chart.true_until for chart in charts_of(desk.get(page)).values()} <= {NOW}
    append(stores, alice, f"{to_ms(NOW - timedelta(seconds=100))}-0", endpoint="/a")
    drain_all(for_s=5)
    append(stores, alice, f"{to_ms(NOW - timedelta(seconds=30))}-0", endpoint="/a")
    unfolded = charts_of(desk.get(page))
    assert unfolded.keys() == CHARTS.get(name, {"occurrences"})
    assert {chart.true_until for chart in unfolded.values()} <= {NOW - timedelta(seconds=100)}
    fold_decisions(for_s=5, now=NOW)
    assert {chart.true_until for chart in charts_of(desk.get(page)).values()} <= {NOW - timedelta(seconds=30)}


def test_reports_that_wait_are_not_in_a_chart_yet_and_it_says_so(desk: Client, prod: Environment) -> None:
    received = NOW - timedelta(seconds=7)
    InboxReport.objects.create(app=prod.app, kind=ReportKind.SYNC, environment="dev", received_at=received, body=b"x")
    answer = desk.get(address(prod, "app_resources"))
    assert {chart.true_until for chart in charts_of(answer).values()} == {received}
    assert answer.content.decode().count("2026-06-15 11:59:53") == 2


def test_a_period_that_is_over_is_true_to_its_end(desk: Client, prod: Environment) -> None:
    answer = desk.get(address(prod, "app_traffic"), {"period": "yesterday", "zone": "UTC"})
    assert answer.context["requests"].true_until == datetime(2026, 6, 15, tzinfo=UTC)


def test_without_redis_the_charts_stand_and_are_true_until_the_last_drain(
    desk: Client, stores: StoreRedis, alice: Tenant, prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(stores, alice, f"{to_ms(LAST)}-0", endpoint="/a")
    drain_all(for_s=5)
    fold_decisions(for_s=5, now=NOW)

    def unreachable() -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(lag, "client", unreachable)
    assert desk.get(address(prod, "app_traffic")).context["requests"].true_until == LAST


def test_an_error_is_told_of_the_consumer_alone_that_was_asked_for(
    desk: Client, prod: Environment, failure: ErrorGroup, consumers: list[Consumer]
) -> None:
    page = address(prod, "app_error", failure.pk)
    assert figures(desk.get(page))["In this period"] == ("7", "occurrences")
    answer = desk.get(page, {"consumer": consumers[0].pk})
    assert figures(answer)["In this period"] == ("2", "occurrences")
    assert figures(answer)["Of all time"] == ("7", "occurrences of all consumers")
    assert sum(answer.context["occurrences"].series[0].values) == 2
    assert [[cell.text for cell in row] for row in answer.context["consumers"].rows] == [["ann", "2"]]


def test_an_errors_page_asks_for_no_endpoint_but_leads_back_to_the_one_asked_for(
    desk: Client, prod: Environment, failure: ErrorGroup
) -> None:
    answer = desk.get(address(prod, "app_error", failure.pk), {"endpoint": failure.endpoint_id})
    page = answer.content.decode()
    assert '<select name="endpoint"' not in page
    assert f'<input type="hidden" name="endpoint" value="{failure.endpoint_id}">' in page
    assert f"endpoint={failure.endpoint_id}" in answer.context["all_errors"]


def test_a_group_leads_to_the_requests_of_its_endpoint_and_environment(
    desk: Client, prod: Environment, failure: ErrorGroup
) -> None:
    file_traffic([Traffic(prod, failure.endpoint, LAST, 1, status_code=500)])
    row = desk.get(address(prod, "app_errors")).context["server"].rows[0]
    for link in (row[-1].href, desk.get(address(prod, "app_error", failure.pk)).context["requests"]):
        found = desk.get(link)
        assert found.status_code == 200
        query = found.context["form"].query
        assert query == {"env": str(prod.pk), "status": "5xx", "method": "GET", "path": "/orders"}
    assert row[1].note == "expected: 503"


@pytest.mark.parametrize("name", ["endpoint", "consumer", "who"])
def test_resources_say_that_they_are_not_told_by_endpoint_or_consumer(
    desk: Client, prod: Environment, name: str
) -> None:
    page = address(prod, "app_resources")
    assert NOT_BY_TRAFFIC in desk.get(page, {name: "1"}).context["page"].notes
    assert desk.get(page).context["page"].notes == []


def test_a_field_that_is_not_valid_stands_with_its_place(desk: Client, prod: Environment, orders: Endpoint) -> None:
    told = {"type": "missing", "location": "body.qty", "occurrences": 1, "first_seen_at": LAST, "last_seen_at": LAST}
    group = ErrorGroup.objects.create(
        app=prod.app, environment=prod, endpoint=orders, kind=ErrorKind.VALIDATION, fingerprint=b"2", **told
    )
    ErrorQuarter.objects.create(group=group, quarter=LAST, consumer_id=0, occurrences=1)
    (row,) = desk.get(address(prod, "app_errors")).context["validation"].rows
    assert (row[0].text, row[1].note) == ("missing · body.qty", "expected: 404")
