"""POST …/metrics: sums and percentiles of traffic for each period and group, as reckoned by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.exports.metrics_export import METRICS, Kept, pages_of, read_metrics_export
from analytics.exports.metrics_sums import CONSUMERS_AT_ONCE
from analytics.models import App, Consumer, Endpoint, Environment, Record, Source, TrafficQuarterTotal
from tests.analytics import filed
from tests.analytics.filed import Traffic
from tests.cast import Tenant, new_tenant
from tests.conftest import ApiClient

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def shop(db: None) -> Environment:
    return filed.observe(new_tenant("Alice"))


@pytest.fixture
def users(shop: Environment) -> Endpoint:
    return filed.endpoint(shop.app, "GET /users")


def rows(app: App, *metrics: str, now: datetime = NOON + DAY, **asked: Any) -> list[Any]:
    given = {"since": NOON.isoformat(), "metrics": list(metrics) or ["requests"]} | asked
    export = read_metrics_export(given, now=now, kept=Kept(minute_days=32, months=13))
    return [row for page in pages_of(export, app, now=now) for row in page.rows]


def where(field: str, op: str, value: object = None) -> dict[str, object]:
    return {"field": field, "op": op} | ({} if value is None else {"value": value})


# --- rows ---------------------------------------------------------------------------------------------------------
def test_a_row_has_its_period_its_group_and_what_was_asked_for(api: ApiClient, alice: Tenant) -> None:
    shop = filed.observe(alice)
    users = filed.endpoint(shop.app, "GET /users")
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0) - DAY
    filed.file_traffic([Traffic(shop, users, today, 98), Traffic(shop, users, today, 2, status_code=500)])
    asked = {"format": "ndjson", "since": today.isoformat(), "until": (today + HOUR).isoformat(), "interval": "hour"}
    asked |= {"group_by": ["env"], "metrics": ["requests", "error_rate"], "timezone": "Europe/London"}  # type: ignore[dict-item]
    answer = api.post(f"/v1/apps/{shop.app_id}/metrics", of=alice, json=asked)
    day = f"{today:%Y-%m-%d}"
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == (
        f'{{"period_start":"{day}T00:00:00Z","period_end":"{day}T01:00:00Z","env":"prod","requests":100,'
        '"error_rate":0.02}\n'
    )


def test_every_metric_is_reckoned_as_by_hand(shop: Environment, users: Endpoint) -> None:
    """The numbers of two quarters of an hour; a 404 of this endpoint is expected, as is a 501."""
    Endpoint.objects.filter(pk=users.pk).update(expected_statuses=[404, 501])
    filed.file_traffic(
        [
            Traffic(shop, users, NOON, 50, bytes_received=500, bytes_sent=5_000, seconds={0.1: 50}),
            Traffic(shop, users, NOON + QUARTER, 30, bytes_received=30, seconds={0.2: 30}),
            Traffic(shop, users, NOON, 9, status_code=400, bytes_sent=1),
            Traffic(shop, users, NOON, 8, status_code=404),
            Traffic(shop, users, NOON + QUARTER, 7, status_code=499),
            Traffic(shop, users, NOON, 6, status_code=500, seconds={3.0: 6}),
            Traffic(shop, users, NOON, 5, status_code=501),
            Traffic(shop, users, NOON, 4, status_code=302),
            Traffic(shop, users, NOON, 1, status_code=0),
        ]
    )
    (row,) = rows(shop.app, *METRICS, interval="hour", until="2026-06-10T13:00:00Z")
    assert list(row) == ["period_start", "period_end", *METRICS]
    assert row == {
        "period_start": "2026-06-10T12:00:00Z",
        "period_end": "2026-06-10T13:00:00Z",
        "requests": 120,
        "requests_per_minute": 2.0,
        "bytes_received": 530,
        "bytes_sent": 5_001,
        "client_errors": 16,
        "server_errors": 6,
        "error_rate": 22 / 120,
        "response_time_p50": 101,  # the middle of the bucket that holds 100 ms: 2^((-27 + 0.5) / 8) s
        "response_time_p75": 201,
        "response_time_p90": 201,
        "response_time_p95": 2954,
        "response_time_p99": 2954,
    }


def test_without_groups_every_period_has_a_row_and_with_groups_those_that_occurred(
    shop: Environment, users: Endpoint
) -> None:
    filed.file_traffic([Traffic(shop, users, NOON + HOUR, 3)])
    asked: dict[str, Any] = {"until": "2026-06-10T15:00:00Z", "interval": "hour"}
    plain = rows(shop.app, "requests", "requests_per_minute", "error_rate", "response_time_p99", **asked)
    assert [tuple(row.values())[2:] for row in plain] == [
        (0, 0.0, 0.0, None),
        (3, 0.05, 0.0, None),
        (0, 0.0, 0.0, None),
    ]
    grouped = rows(shop.app, group_by=["path"], **asked)
    assert [(row["period_start"], row["path"], row["requests"]) for row in grouped] == [
        ("2026-06-10T13:00:00Z", "/users", 3)
    ]


def test_without_an_interval_the_range_is_one_period_of_whole_quarters(shop: Environment, users: Endpoint) -> None:
    filed.file_traffic(Traffic(shop, users, NOON + number * QUARTER, 1 << (number + 1)) for number in range(-1, 4))
    (row,) = rows(shop.app, since="2026-06-10T12:07:00", until="2026-06-10T12:31:00")
    assert row == {"period_start": "2026-06-10T12:00:00Z", "period_end": "2026-06-10T12:45:00Z", "requests": 2 + 4 + 8}


def test_of_the_period_that_runs_the_minutes_that_passed_count(shop: Environment, users: Endpoint) -> None:
    filed.file_traffic([Traffic(shop, users, NOON, 90)])
    rate = [
        rows(shop.app, "requests_per_minute", interval="hour", now=NOON + passed)[0]["requests_per_minute"]
        for passed in (timedelta(seconds=5), QUARTER, HOUR)
    ]
    assert rate == [90.0, 6.0, 1.5]


def test_groups_are_shown_in_the_order_asked_for_and_sorted(shop: Environment, users: Endpoint) -> None:
    unmatched, dev = filed.endpoint(shop.app, "GET"), Environment.objects.create(app=shop.app, name="dev")
    filed.switch(dev, Record.TRAFFIC, Source.METRIC, since=filed.LONG_AGO)
    ann = Consumer.objects.create(app=shop.app, identifier="ann")
    filed.file_traffic(
        [
            Traffic(shop, users, NOON, 1, consumer=ann),
            Traffic(shop, users, NOON, 2),
            Traffic(dev, users, NOON, 4, status_code=404),
            Traffic(shop, unmatched, NOON, 8, status_code=0),
        ]
    )
    shown = rows(shop.app, group_by=["status_code", "path", "consumer_id", "env", "method"], interval="day")
    assert list(shown[0])[2:-1] == ["status_code", "path", "consumer_id", "env", "method"]
    assert [tuple(row.values())[2:] for row in shown] == [
        (404, "/users", None, "dev", "GET", 4),
        (0, None, None, "prod", "GET", 8),
        (200, "/users", None, "prod", "GET", 2),
        (200, "/users", ann.pk, "prod", "GET", 1),
    ]
    assert [(row["method"], row["requests"]) for row in rows(shop.app, group_by=["method", "method"])] == [("GET", 15)]


def test_many_consumers_are_read_in_ranges_each_group_once_in_order(shop: Environment, users: Endpoint) -> None:
    consumers = Consumer.objects.bulk_create(
        Consumer(app=shop.app, identifier=str(number)) for number in range(2 * CONSUMERS_AT_ONCE + 10)
    )
    filed.file_traffic(
        Traffic(shop, users, NOON + hour * HOUR, 1 + hour % 11, consumer=consumer)
        for consumer in (None, *consumers)
        for hour in (0, 2, -240)  # ten days before: out of the first range asked for
    )
    shown = rows(shop.app, group_by=["consumer_id"], interval="hour")
    ids = [None, *(consumer.pk for consumer in consumers)]
    assert [(row["consumer_id"], row["requests"]) for row in shown] == [
        *((pk, 1) for pk in ids),
        *((pk, 3) for pk in ids),
    ]
    whole = rows(shop.app, group_by=["consumer_id"], since="2026-05-20")
    assert [(row["consumer_id"], row["requests"]) for row in whole] == [(pk, 7) for pk in ids]
    few = [ids[-1], ids[1]]
    named = rows(shop.app, group_by=["consumer_id"], since="2026-05-20", filters=[where("consumer_id", "in", few)])
    assert [(row["consumer_id"], row["requests"]) for row in named] == [(ids[1], 7), (ids[-1], 7)]


# --- which traffic ------------------------------------------------------------------------------------------------
def test_of_every_environment_the_source_in_force_alone_counts(shop: Environment, users: Endpoint) -> None:
    dev = Environment.objects.create(app=shop.app, name="dev")
    filed.switch(dev, Record.TRAFFIC, Source.SPAN, since=NOON + HOUR)
    filed.file_traffic(
        Traffic(environment, users, NOON + hour * HOUR, 10 ** (source.value - 1), source=source)
        for environment in (shop, dev)
        for hour in range(3)
        for source in Source
    )
    shown = rows(shop.app, group_by=["env"], interval="hour")
    assert [row["requests"] for row in shown if row["env"] == "prod"] == [100, 100, 100]
    assert [row["requests"] for row in shown if row["env"] == "dev"] == [1, 10, 10]


def test_excluded_endpoints_are_left_out(shop: Environment, users: Endpoint) -> None:
    health = filed.endpoint(shop.app, "GET /health", is_excluded=True)
    filed.file_traffic([Traffic(shop, users, NOON, 1), Traffic(shop, health, NOON, 1_000)])
    assert [row["requests"] for row in rows(shop.app)] == [1]
    assert [row["path"] for row in rows(shop.app, group_by=["path"])] == ["/users"]


def test_consumers_alone_need_the_larger_table(shop: Environment, users: Endpoint) -> None:
    """Which both hold the same: here they do not, so that it shows which one was read."""
    ann = Consumer.objects.create(app=shop.app, identifier="ann")
    filed.file_traffic([Traffic(shop, users, NOON, 5, consumer=ann)])
    filed.file_rows([TrafficQuarterTotal(**_total(shop, users, 70))])
    asked: dict[str, Any] = {"until": "2026-06-10T13:00:00Z", "interval": "hour"}
    assert [row["requests"] for row in rows(shop.app, **asked)] == [75]
    assert [row["requests"] for row in rows(shop.app, group_by=["path"], **asked)] == [75]
    assert [row["requests"] for row in rows(shop.app, group_by=["consumer_id"], **asked)] == [5]
    assert [row["requests"] for row in rows(shop.app, filters=[where("consumer_id", "eq", ann.pk)], **asked)] == [5]


def _total(shop: Environment, endpoint: Endpoint, requests: int) -> dict[str, Any]:
    names = {"app_id": shop.app_id, "environment_id": shop.pk, "endpoint_id": endpoint.pk, "quarter": NOON + QUARTER}
    return names | {"status_code": 200, "source": 3, "requests": requests, "bytes_received": 0, "bytes_sent": 0}


@pytest.mark.parametrize("interval", ["minute", "hour", None])
def test_nothing_is_shown_of_another_app(shop: Environment, users: Endpoint, interval: str | None) -> None:
    other = filed.observe(new_tenant("Bob"))
    filed.file_traffic([Traffic(other, filed.endpoint(other.app, "GET /users"), NOON, 5)])
    asked: dict[str, Any] = {} if interval is None else {"interval": interval, "until": "2026-06-10T12:02:00Z"}
    assert {row["requests"] for row in rows(shop.app, **asked)} == {0}
    assert rows(shop.app, group_by=["env"], **asked) == []


@pytest.mark.parametrize(
    ("filters", "requests"),
    [
        ([where("env", "eq", "prod")], 15),
        ([where("env", "neq", "prod")], 16),
        ([where("method", "in", ["POST", "PUT"])], 8),
        ([where("method", "not_in", ["POST"])], 23),
        ([where("path", "like", "/us%")], 19),
        ([where("path", "like", "/US%")], 0),
        ([where("path", "not_like", "/us%")], 12),
        ([where("path", "contains", "ERS")], 27),
        ([where("path", "not_contains", "ERS")], 4),
        ([where("path", "eq", "/users"), where("status_code", "eq", 200)], 3),
        ([where("status_code", "neq", 200)], 24),
        ([where("status_code", "gte", 404)], 24),
        ([where("status_code", "gt", 404)], 8),
        ([where("status_code", "lt", 404)], 7),
        ([where("status_code", "lte", 404)], 23),
        ([where("status_code", "in", [404])], 16),
        ([where("status_code", "not_in", [404])], 15),
        ([where("status_code", "is_null")], 0),
        ([where("status_code", "is_not_null")], 31),
        ([where("consumer_id", "is_null")], 30),
        ([where("consumer_id", "is_not_null")], 1),
        ([where("consumer_id", "gt", 0)], 1),
        ([where("consumer_id", "lte", 0)], 0),
        ([where("consumer_id", "not_in", [0])], 31),
    ],
    ids=str,
)
def test_filters_of_metrics(
    shop: Environment, users: Endpoint, filters: list[dict[str, object]], requests: int
) -> None:
    dev = Environment.objects.create(app=shop.app, name="dev")
    filed.switch(dev, Record.TRAFFIC, Source.METRIC, since=filed.LONG_AGO)
    orders, unmatched = filed.endpoint(shop.app, "POST /orders"), filed.endpoint(shop.app, "GET")
    ann = Consumer.objects.create(app=shop.app, identifier="ann")
    filed.file_traffic(
        [
            Traffic(shop, users, NOON, 1, consumer=ann),
            Traffic(shop, users, NOON, 2),
            Traffic(shop, unmatched, NOON, 4),
            Traffic(shop, orders, NOON, 8, status_code=500),
            Traffic(dev, users, NOON, 16, status_code=404),
        ]
    )
    assert [row["requests"] for row in rows(shop.app, filters=filters)] == [requests]
