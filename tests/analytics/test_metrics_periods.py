"""Metrics over time: periods of any zone lose nothing, minutes come from the journal, percentiles are near the true."""

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from analytics.exports.metrics_export import Kept, read_metrics_export
from analytics.exports.metrics_sums import Reading
from analytics.exports.parsing import BadExport
from analytics.histograms import TIME, from_pairs, pack
from analytics.models import Consumer, Endpoint, Environment, Source, TrafficMinute
from tests.analytics import filed
from tests.analytics.filed import Traffic
from tests.analytics.test_export_pages import nodes
from tests.analytics.test_metrics_export import DAY, NOON, QUARTER, rows, where
from tests.analytics.test_periods import ZONES
from tests.cast import new_tenant

MINUTE = timedelta(minutes=1)
Asked = dict[str, Any]
IDS = count(-1, -1)  # beside those that the database gives


@pytest.fixture
def shop(db: None) -> Environment:
    return filed.observe(new_tenant("Alice"))


@pytest.fixture
def users(shop: Environment) -> Endpoint:
    return filed.endpoint(shop.app, "GET /users")


# --- periods ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("zone", ZONES)
def test_periods_are_of_the_zone_and_lose_nothing(shop: Environment, users: Endpoint, zone: str) -> None:
    """Both changes of the clocks lie in the range; the oracle asks of each quarter hour what the zone's clocks show."""
    start, local = datetime(2026, 3, 1, tzinfo=UTC), ZoneInfo(zone)
    chance = random.Random(zone)
    quarters = {start + chance.randrange(270 * 96) * QUARTER: chance.randrange(1, 9) for _ in range(600)}
    filed.file_traffic(Traffic(shop, users, quarter, requests) for quarter, requests in quarters.items())
    asked: Asked = {"since": "2026-03-01T00:00:00Z", "until": "2026-11-26T00:00:00Z", "timezone": zone}
    asked["now"] = start + 300 * DAY
    for interval, form in (("day", "%Y-%m-%d"), ("month", "%Y-%m")):
        expected = Counter[str]()
        for quarter, requests in quarters.items():
            expected[f"{quarter.astimezone(local):{form}}"] += requests
        shown = rows(shop.app, interval=interval, **asked)
        found = {f"{_middle(row).astimezone(local):{form}}": row["requests"] for row in shown}
        assert len(found) == len(shown)
        assert {name: requests for name, requests in found.items() if requests} == expected
        assert all(one["period_end"] == two["period_start"] for one, two in pairwise(shown))


def test_hours_and_the_range_as_a_whole_lose_nothing(shop: Environment, users: Endpoint) -> None:
    start = datetime(2026, 9, 25, tzinfo=UTC)  # Lord Howe's clocks go forward by half an hour on 3 October, at 15:30
    filed.file_traffic(Traffic(shop, users, start + number * QUARTER, 1 + number % 7) for number in range(15 * 96))
    asked: Asked = {"since": start.isoformat(), "now": start + 15 * DAY, "timezone": "Australia/Lord_Howe"}
    total = sum(1 + number % 7 for number in range(15 * 96))
    hours = rows(shop.app, interval="hour", **asked)
    assert sum(row["requests"] for row in hours) == total
    assert len({row["period_start"] for row in hours}) == len(hours) == 15 * 24 + 1
    assert [row["requests"] for row in rows(shop.app, **asked)] == [total]


def _middle(row: dict[str, str]) -> datetime:
    start, end = (datetime.fromisoformat(row[name]) for name in ("period_start", "period_end"))
    return start + (end - start) / 2


def test_times_without_offset_are_of_the_zone(shop: Environment, users: Endpoint) -> None:
    asked: Asked = {"since": "2026-06-10T12:00", "until": "2026-06-10T13:00", "timezone": "America/New_York"}
    (row,) = rows(shop.app, interval="hour", **asked)
    assert (row["period_start"], row["period_end"]) == ("2026-06-10T16:00:00Z", "2026-06-10T17:00:00Z")


def test_a_period_that_the_range_touches_is_shown_as_a_whole(shop: Environment, users: Endpoint) -> None:
    filed.file_traffic(Traffic(shop, users, NOON + number * QUARTER, 1) for number in range(-60, 60))
    (row,) = rows(shop.app, interval="day", since="2026-06-10T11:59:59Z", until="2026-06-10T12:00:01Z")
    assert row == {"period_start": "2026-06-10T00:00:00Z", "period_end": "2026-06-11T00:00:00Z", "requests": 96}


def test_the_range_ends_now_and_begins_with_what_is_kept(shop: Environment, users: Endpoint) -> None:
    filed.file_traffic([Traffic(shop, users, NOON, 1)])
    asked: Asked = {"since": "1970-01-01", "until": "2999-01-01", "interval": "day"}
    shown = rows(shop.app, now=NOON, **asked)
    assert (shown[0]["period_start"], shown[-1]["period_end"]) == ("2025-05-01T00:00:00Z", "2026-06-11T00:00:00Z")
    assert sum(row["requests"] for row in shown) == 1
    assert rows(shop.app, since="2027-01-01", until="2028-01-01", now=NOON) == []
    assert rows(shop.app, since="2020-01-01", until="2021-01-01", now=NOON) == []


# --- minutes ------------------------------------------------------------------------------------------------------
def minute(
    environment: Environment, of: Endpoint, at: datetime, requests: int, *, consumer_id: int = 0, **fields: Any
) -> TrafficMinute:
    """A line of the journal; a minute may have many."""
    names = {"app_id": environment.app_id, "environment_id": environment.pk, "endpoint_id": of.pk, "minute": at}
    sums = {"requests": requests, "bytes_received": 0, "bytes_sent": 2 * requests}
    usual = {"status_code": 200, "source": Source.METRIC.value, "consumer_id": consumer_id, "id": next(IDS)}
    return TrafficMinute(**names | sums | usual | fields)


def test_minutes_come_from_the_journal(shop: Environment, users: Endpoint) -> None:
    ann = Consumer.objects.create(app=shop.app, identifier="ann")
    filed.file_traffic([Traffic(shop, users, NOON, 1_000)])
    filed.file_rows(
        [
            minute(shop, users, NOON, 1, durations=pack(from_pairs([(0.1, 1)], TIME))),
            minute(shop, users, NOON, 2, consumer_id=ann.pk, durations=pack(from_pairs([(3.0, 2)], TIME))),
            minute(shop, users, NOON + 2 * MINUTE, 4, status_code=500),
            minute(shop, users, NOON, 8, source=Source.SPAN.value),
            minute(shop, users, NOON + 3 * MINUTE, 16),
        ]
    )
    asked: Asked = {"since": "2026-06-10T12:00:30Z", "until": "2026-06-10T12:02:10Z", "interval": "minute"}
    names = ("requests", "requests_per_minute", "bytes_sent", "server_errors", "response_time_p50")
    assert [tuple(row.values()) for row in rows(shop.app, *names, **asked)] == [
        ("2026-06-10T12:00:00Z", "2026-06-10T12:01:00Z", 3, 3.0, 6, 0, 2954),
        ("2026-06-10T12:01:00Z", "2026-06-10T12:02:00Z", 0, 0.0, 0, 0, None),
        ("2026-06-10T12:02:00Z", "2026-06-10T12:03:00Z", 4, 4.0, 8, 4, None),
    ]
    grouped = rows(shop.app, group_by=["consumer_id"], filters=[where("status_code", "eq", 200)], **asked)
    assert [(row["consumer_id"], row["requests"]) for row in grouped] == [(None, 1), (ann.pk, 2)]


def test_minutes_of_many_hours_are_all_there(shop: Environment, users: Endpoint) -> None:
    filed.file_rows(minute(shop, users, NOON + number * 7 * MINUTE, 1 + number) for number in range(100))
    shown = rows(shop.app, interval="minute", timezone="Asia/Kathmandu")
    assert len(shown) == 24 * 60
    assert [row["requests"] for row in shown if row["requests"]] == list(range(1, 101))
    assert all(one["period_end"] == two["period_start"] for one, two in pairwise(shown))


# --- percentiles --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_near_the_true_ones(shop: Environment, users: Endpoint, seed: int) -> None:
    """Ruling 13: 4.5 % and half a millisecond off at most; over endpoints and quarter hours together."""
    chance = random.Random(seed)
    orders = filed.endpoint(shop.app, "POST /orders")
    seconds: dict[Endpoint, list[float]] = {
        users: [chance.lognormvariate(-3, 1.5) for _ in range(400)],
        orders: [0.0, *(chance.uniform(0.001, 20) for _ in range(chance.randrange(100)))],
    }
    filed.file_traffic(
        Traffic(shop, endpoint, NOON + chance.randrange(8) * QUARTER, 1, seconds={each: 1})
        for endpoint, measured in seconds.items()
        for each in measured
    )
    percents = (50, 75, 90, 95, 99)
    names = [f"response_time_p{percent}" for percent in percents]
    together = rows(shop.app, *names, until="2026-06-10T14:00:00Z")
    apart = rows(shop.app, *names, until="2026-06-10T14:00:00Z", group_by=["path"])
    assert [row["path"] for row in apart] == ["/orders", "/users"]
    measured_of = [seconds[users] + seconds[orders], seconds[orders], seconds[users]]
    for row, measured in zip([*together, *apart], measured_of, strict=True):
        for percent, name in zip(percents, names, strict=True):
            assert row[name] == pytest.approx(_true_ms(measured, percent), rel=0.045, abs=0.5)


def _true_ms(seconds: list[float], percent: int) -> float:
    """By nearest rank."""
    return 1_000 * sorted(seconds)[max(1, math.ceil(len(seconds) * percent / 100)) - 1]


# --- plans --------------------------------------------------------------------------------------------------------
MANY_QUARTERS = """
INSERT INTO analytics_trafficquarter (app_id, quarter, environment_id, endpoint_id, status_code, consumer_id, source,
                                      requests, bytes_received, bytes_sent, durations)
SELECT %s, %s + n / 40 * interval '15 minutes', %s, %s, 200 + n %% 4, n %% 40 / 4, 3, 1, 1, 1,
       ARRAY[(1000::bigint << 48) + 1]
  FROM generate_series(0, 100000 - 1) AS n
"""
MANY_MINUTES = """
INSERT INTO analytics_trafficminute (app_id, minute, environment_id, endpoint_id, status_code, consumer_id, source,
                                     requests, bytes_received, bytes_sent, durations, request_sizes, response_sizes)
SELECT %s, %s + n / 10 * interval '1 minute', %s, %s, 200, n %% 10, 3, 1, 1, 1, '{}', '{}', '{}'
  FROM generate_series(0, 100000 - 1) AS n
"""


def test_a_hundred_thousand_rows_of_traffic_are_never_scanned(
    shop: Environment, users: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime(2026, 5, 16, tzinfo=UTC)
    filed.file_traffic(Traffic(shop, users, start + day * DAY, 1, status_code=404) for day in range(27))
    filed.file_rows(minute(shop, users, start + day * DAY, 1, status_code=404) for day in range(8))
    with connection.cursor() as cursor:
        cursor.execute(MANY_QUARTERS, [shop.app_id, start, shop.pk, users.pk])
        cursor.execute(MANY_MINUTES, [shop.app_id, start, shop.pk, users.pk])
        cursor.execute("ANALYZE analytics_trafficquarter, analytics_trafficminute, analytics_endpoint")
    seen = _statements(monkeypatch)
    asked: Asked = {"since": start.isoformat(), "until": (start + 6 * DAY).isoformat(), "group_by": ["consumer_id"]}
    for interval in ("minute", "day", "month", None):
        more = {} if interval is None else {"interval": interval}
        shown = rows(shop.app, "requests", "response_time_p50", **asked | more)
        assert sum(row["requests"] for row in shown) >= 6 * 96 * 40
        for statement in (seen[0], seen[len(seen) // 2], seen[-1]):
            _assert_by_index(*statement)
        seen.clear()


@pytest.mark.parametrize(("op", "value"), [("eq", 7), ("in", [7, 8])])
def test_traffic_of_consumers_that_are_named_is_found_by_their_index(
    shop: Environment, users: Endpoint, monkeypatch: pytest.MonkeyPatch, op: str, value: object
) -> None:
    start = datetime(2026, 5, 16, tzinfo=UTC)
    filed.file_traffic(Traffic(shop, users, start + day * DAY, 1, status_code=404) for day in range(27))
    with connection.cursor() as cursor:
        cursor.execute(MANY_QUARTERS, [shop.app_id, start, shop.pk, users.pk])
        cursor.execute("ANALYZE analytics_trafficquarter, analytics_endpoint")
    seen = _statements(monkeypatch)
    asked: Asked = {"since": start.isoformat(), "until": (start + DAY).isoformat()}
    (row,) = rows(shop.app, "requests", filters=[where("consumer_id", op, value)], **asked)
    assert row["requests"] == 96 * 4 * (1 if op == "eq" else 2)
    assert "(consumer_id = ANY (" in _assert_by_index(*seen[0])


def _statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    seen: list[tuple[str, list[Any]]] = []
    statement = Reading.statement

    def recording(*arguments: Any) -> tuple[str, list[Any]]:
        seen.append(statement(*arguments))
        return seen[-1]

    monkeypatch.setattr(Reading, "statement", recording)
    return seen


def _assert_by_index(sql: str, arguments: list[Any]) -> str:
    """By which conditions of indexes."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", arguments)
        ((plan,),) = cursor.fetchone()
    for node in nodes(plan["Plan"]):
        if node.get("Relation Name", "").startswith("analytics_traffic"):
            assert node["Node Type"] != "Seq Scan", node
    return " ".join(node.get("Index Cond", "") for node in nodes(plan["Plan"]))


# --- what is wrong ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"since": None}, ["since"]),
        ({"since": "2026-06-11", "until": "2026-06-10"}, ["since"]),
        ({"until": 5}, ["until"]),
        ({"metrics": None}, ["metrics"]),
        ({"metrics": []}, ["metrics"]),
        ({"metrics": "requests"}, ["metrics"]),
        ({"metrics": ["requests", "response_time_p42"]}, ["metrics", "1"]),
        ({"interval": "week"}, ["interval"]),
        ({"interval": ["day"]}, ["interval"]),
        ({"interval": "minute", "since": "2026-05-09T11:59:59Z"}, ["since"]),
        ({"group_by": "env"}, ["group_by"]),
        ({"group_by": ["consumer"]}, ["group_by", "0"]),
        ({"filters": [where("url", "eq", "/")]}, ["filters", "0", "field"]),
        ({"filters": [where("path", "ilike", "/")]}, ["filters", "0", "op"]),
        ({"filters": [where("path", "is_null")]}, ["filters", "0", "op"]),
        ({"filters": [where("consumer_id", "like", "1")]}, ["filters", "0", "op"]),
        ({"filters": [where("status_code", "eq", "200")]}, ["filters", "0", "value"]),
        ({"timezone": "Mars/Olympus"}, ["timezone"]),
        ({"timezone": "America"}, ["timezone"]),
        ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"timezone": ""}, ["timezone"]),
        ({"timezone": "x" * 5_000}, ["timezone"]),
        ({"timezone": "Europe/\0"}, ["timezone"]),
        ({"timezone": 5}, ["timezone"]),
        ({"timezone": "localtime"}, ["timezone"]),
        ({"timezone": "right/UTC"}, ["timezone"]),
    ],
)
def test_a_wrong_value_is_named_by_its_place(asked: dict[str, Any], place: list[str]) -> None:
    given = {"since": "2026-06-01", "metrics": ["requests"]} | asked
    with pytest.raises(BadExport) as refused:
        read_metrics_export(given, now=NOON, kept=Kept(minute_days=32, months=13))
    assert list(refused.value.place) == place


def test_minutes_of_exactly_32_days_are_offered() -> None:
    given = {"since": "2026-05-09T12:00:00Z", "metrics": ["requests"], "interval": "minute"}
    export = read_metrics_export(given, now=NOON, kept=Kept(minute_days=32, months=13))
    assert (NOON - export.since).days == 32
