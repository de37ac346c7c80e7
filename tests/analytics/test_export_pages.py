"""Request logs in their thousands: read in bounded pages, in flat memory, by indexes, while more arrive."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from django.db import connection

from analytics.exports import request_export
from analytics.exports.request_export import NARROW, WIDE, Pace, RequestExport, pages_of, read_request_export
from analytics.exports.walks import TOGETHER_MAX, Walk
from analytics.exports.writing import Page, Row, ndjson
from analytics.models import Endpoint, Environment, RequestLog, RequestSource
from analytics.partitions import REQUEST_DETAILS, REQUEST_LOGS
from tests.analytics import filed
from tests.analytics.test_request_export import chosen
from tests.cast import Tenant, new_tenant
from tests.queries import counting_queries

pytestmark = pytest.mark.django_db
START = datetime(2026, 6, 1, tzinfo=UTC)
NUMBER, DAYS = 100_000, 5
NOW = START + DAYS * timedelta(days=1)
REQUESTS = """
INSERT INTO analytics_requestlog (app_id, at, uuid, environment_id, endpoint_id, consumer_id, source, status_code, url,
                                  request_size_bytes, response_size_bytes, response_time_ms, country)
SELECT %s, %s + n * %s::interval, md5(n::text)::uuid, %s, %s, n %% 100, %s, CASE WHEN n = %s THEN 500 ELSE 200 END,
       'https://shop.example.com/things/' || n, 0, n, 1, ''
  FROM generate_series(0, %s - 1) AS n
"""
DETAILS = """
INSERT INTO analytics_requestdetail (app_id, at, uuid, request_headers, response_headers, request_body, server_span_id)
SELECT app_id, at, uuid, '[["n", "1"]]', '[]', repeat('x', %s), '' FROM analytics_requestlog
"""


def shop_with(number: int, *, of: Tenant | None = None, body_length: int = 100) -> Environment:
    """So many requests over five days, numbered by their sizes; the twentieth of the last failed."""
    environment = filed.observe(of or new_tenant("Alice"))
    endpoint = filed.endpoint(environment.app, "GET /things/{id}")
    for table in (REQUEST_LOGS, REQUEST_DETAILS):
        table.make(START + day * timedelta(days=1) for day in range(DAYS))
    step, source = f"{DAYS * 86_400_000_000 // number} microseconds", RequestSource.REPORT.value
    told: list[Any] = [environment.app_id, START, step, environment.pk, endpoint.pk, source, number - 20, number]
    with connection.cursor() as cursor:
        cursor.execute(REQUESTS, told)
        cursor.execute(DETAILS, [body_length])
        cursor.execute(
            "ANALYZE analytics_requestlog, analytics_requestdetail, analytics_endpoint, analytics_environment"
        )
    return environment


def asked(**more: object) -> RequestExport:
    return read_request_export({"since": START.isoformat()} | more, now=NOW)


def any_of(field: str, values: Sequence[object]) -> list[dict[str, object]]:
    return [{"field": field, "op": "in", "value": [*values]}]


def only(field: str, value: object) -> list[dict[str, object]]:
    return [{"field": field, "op": "eq", "value": value}]


class Ascending:
    """Whether rows come in the order in which they were numbered, each once; those without a number are arrivals."""

    def __init__(self) -> None:
        self.numbered = self.arrivals = 0

    def take(self, page: Page) -> None:
        for row in page.rows:
            if row["response_size_bytes"] == NUMBER:
                self.arrivals += 1
            else:
                assert row["response_size_bytes"] == self.numbered
                self.numbered += 1


def test_a_hundred_thousand_rows_come_once_in_flat_memory_while_others_arrive() -> None:
    shop, taken = shop_with(NUMBER), Ascending()
    endpoint, resident = Endpoint.objects.get(), []
    with counting_queries() as queries:
        for number, page in enumerate(pages_of(asked(), shop.app)):
            ndjson(page.rows)
            taken.take(page)
            assert len(page.rows) <= NARROW.held
            resident.append(resident_bytes())
            if number in (10, 50):  # one behind what was read, and one ahead
                times = [START + number * timedelta(minutes=1), NOW - number * timedelta(minutes=1)]
                filed.file_rows(filed.request(shop, endpoint, at, response_size_bytes=NUMBER) for at in times)
    assert (taken.numbered, taken.arrivals) == (NUMBER, 2)
    assert len([query for query in queries if "row_number()" in query]) == NUMBER / NARROW.held + 1
    assert max(resident) - resident[10] < 16 * 2**20  # all rows together would be ten times as much


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def test_large_details_make_small_pages() -> None:
    """A body may have 50,000 bytes: a hundred of them at a time, of however many that are wanted."""
    shop = shop_with(1_500, body_length=50_000)
    export = asked(fields=["request_body_json", "request_headers"], limit=950)
    tracemalloc.start()
    sizes = [(len(page.rows), len(ndjson(page.rows))) for page in pages_of(export, shop.app)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [held for held, _ in sizes] == [WIDE.held] * 9 + [50]
    assert max(written for _, written in sizes) < WIDE.held * 51_000
    assert peak < 30 * 2**20


def test_what_matches_little_is_looked_for_in_bounded_pages() -> None:
    shop = shop_with(30_000)
    export = asked(filters=only("response_size_bytes", 29_980))
    with counting_queries() as queries:
        pages = list(pages_of(export, shop.app))
    assert [row["response_size_bytes"] for page in pages for row in page.rows] == [29_980]
    assert len(pages) == 30_000 / NARROW.examined + 1
    assert len(queries) == len(pages) + 2
    assert [page.read_up_to for page in pages] == sorted({page.read_up_to for page in pages})
    sample = asked(sample=100, filters=[{"field": "url", "op": "like", "value": "%07"}])
    with counting_queries() as queries:
        rows = [row for page in pages_of(sample, shop.app) for row in page.rows]
    assert 70 <= len(rows) <= 130  # about four standard deviations around 100, of 299
    assert len(queries) == 2 * len(pages) + 2  # for all are counted first


def test_of_one_consumer_or_environment_only_their_rows_are_looked_at() -> None:
    shop = shop_with(30_000)
    dev = filed.observe(new_tenant("Bob"), app=shop.app, name="dev")
    filed.file_rows([filed.request(dev, Endpoint.objects.get(), START, consumer_id=7, response_size_bytes=NUMBER)])
    of_dev, of_seven = only("env", "dev"), only("consumer_id", 7)
    found = {}
    for name, filters in {"dev": of_dev, "seven": of_seven, "both": of_dev + of_seven}.items():
        with counting_queries() as queries:
            found[name] = [row["response_size_bytes"] for row in rows_of(shop, filters)]
        assert len([query for query in queries if "row_number()" in query]) == 1
    assert found == {"dev": [NUMBER], "seven": [NUMBER, *range(7, 30_000, 100)], "both": [NUMBER]}
    assert list(pages_of(asked(filters=only("env", "none")), shop.app)) == [Page([], NOW)]
    of_others = rows_of(shop, [*only("env", "prod"), {"field": "consumer_id", "op": "neq", "value": 7}])
    assert [row["response_size_bytes"] for row in of_others[:8]] == [*range(7), 8]


PACES = (Pace(1, 1), Pace(7, 3), Pace(50, 50), Pace(49, 60), NARROW)


@pytest.mark.parametrize("wanted", [[7], [7, 7, 3, 8, 10_000], [1, *range(50, 60)], [*range(1, 101)], [10_000], []])
def test_pages_of_streams_that_end_early_lose_nothing(wanted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    shop = shop_with(1_000)
    with connection.cursor() as cursor:
        cursor.execute(LOPSIDED)
    stored = RequestLog.objects.filter(app_id=shop.app_id, consumer_id__in=wanted).order_by("at", "uuid")
    expected = list(stored.values_list("uuid", flat=True))
    half = max(1, len(expected) // 2)
    for pace in [each for each in PACES if each.examined > len(expected) / 60]:
        monkeypatch.setattr(request_export, "NARROW", pace)
        assert uuids_of(shop, filters=any_of("consumer_id", wanted)) == list(map(str, expected))
        sample = uuids_of(shop, filters=any_of("consumer_id", wanted), sample=half)
        assert sample == chosen(expected, half / max(half, len(expected)))  # for which all were counted, each once


def uuids_of(shop: Environment, **more: object) -> list[object]:
    return [row["request_uuid"] for page in pages_of(asked(**more), shop.app) for row in page.rows]


def test_several_keys_are_walked_side_by_side_and_nothing_else_is_looked_at() -> None:
    """Whether consumers, statuses, methods or paths: what filters come down to is known before a request is read."""
    shop = shop_with(30_000)
    filed.endpoint(shop.app, "GET /other")
    rare = filed.endpoint(shop.app, "POST /rare/{id}")
    filed.file_rows([filed.request(shop, rare, NOW - timedelta(hours=1), status_code=404, response_size_bytes=NUMBER)])
    cases: list[tuple[list[dict[str, object]], list[int]]] = [
        (any_of("consumer_id", [7, 9]), sorted([*range(7, 30_000, 100), *range(9, 30_000, 100)])),
        ([{"field": "status_code", "op": "gt", "value": 404}], [29_980]),
        (any_of("status_code", [404, 503]), [NUMBER]),
        ([{"field": "path", "op": "like", "value": "/RARE%"}], []),
        ([{"field": "path", "op": "contains", "value": "RARE"}], [NUMBER]),
        (any_of("method", ["POST", "PUT"]), [NUMBER]),
        (only("path", "/other") + only("status_code", 200), []),
    ]
    for filters, expected in cases:
        with counting_queries() as queries:
            assert [row["response_size_bytes"] for row in rows_of(shop, filters)] == expected, filters
        assert len([query for query in queries if "row_number()" in query]) == 1, filters
        assert len(queries) <= 6


# The first consumer has nine requests of ten, as many as ninety others had.
LOPSIDED = "UPDATE analytics_requestlog SET consumer_id = 1 WHERE consumer_id >= 10"


def test_a_busy_consumer_among_quiet_ones_makes_no_short_pages() -> None:
    shop = shop_with(30_000)
    with connection.cursor() as cursor:
        cursor.execute(LOPSIDED)
    with counting_queries() as queries:
        rows = rows_of(shop, any_of("consumer_id", [*range(1, 101)]))
    assert [row["response_size_bytes"] for row in rows] == [number for number in range(30_000) if number % 100]
    pages = [query for query in queries if "row_number()" in query]
    assert len(pages) <= 1.5 * len(rows) / NARROW.held


def test_half_of_what_a_page_looks_at_is_shared_alike_and_half_by_what_ended_pages() -> None:
    walk = Walk("consumer_id", [1, 2, 3, 4])
    assert walk.shares(Counter(), examined=100) == [25, 25, 25, 25]
    assert walk.shares(Counter({1: 1}), examined=100) == [62, 12, 12, 12]
    assert walk.shares(Counter({1: 3, 2: 1}), examined=100) == [50, 25, 12, 12]
    assert walk.shares(Counter({4: 5}), examined=1) == [1, 1, 1, 1]
    assert walk.shares(Counter(), examined=NARROW.examined) == [TOGETHER_MAX // 4] * 4
    assert Walk("consumer_id", []).shares(Counter(), examined=100) == []


def test_an_app_as_a_whole_is_all_that_a_page_looks_at() -> None:
    assert Walk().shares(Counter(), examined=101) == Walk().shares(Counter({0: 9}), examined=101) == [101]


def rows_of(shop: Environment, filters: list[dict[str, object]]) -> list[Row]:
    return [row for page in pages_of(asked(filters=filters), shop.app) for row in page.rows]


VARIANTS: list[dict[str, object]] = [
    {},
    {"filters": only("response_time_ms", 500)},
    {"filters": only("response_body_json", "nothing")},
    {"filters": any_of("consumer_id", range(1, 101))},
    {"filters": any_of("consumer_id", range(1, 102))},
    {"filters": any_of("consumer_id", range(1, 100, 2)), "fields": ["request_body_json"], "limit": 2_500},
    {"fields": ["request_headers", "request_body_json"], "limit": 2_500},
    {"sample": 100},
    {"filters": only("env", "prod")},
    {"sample": 0.001, "filters": [{"field": "url", "op": "ilike", "value": "%7%"}]},
]


def test_no_page_scans_a_table() -> None:
    shop = shop_with(NUMBER)
    filed.observe(new_tenant("Bob"), app=shop.app, name="dev")
    for more in VARIANTS:
        with statements() as seen:
            for _ in pages_of(asked(**more), shop.app):
                pass
        assert len(seen) > 10
        for statement in (seen[0], seen[len(seen) // 2], seen[-1]):
            assert_by_index(*statement)


@pytest.mark.parametrize(
    ("filters", "column"),
    [
        (any_of("consumer_id", [7, 8]), "consumer_id"),
        (any_of("consumer_id", range(1, 101)), "consumer_id"),
        (only("consumer_id", 7), "consumer_id"),
        (only("status_code", 500), "status_code"),
        (only("path", "/rare"), "endpoint_id"),
        (only("env", "dev"), "environment_id"),
    ],
)
def test_of_a_hundred_thousand_rows_those_of_the_keys_are_found_by_their_index(
    filters: list[dict[str, object]], column: str
) -> None:
    shop = shop_with(NUMBER)
    filed.endpoint(shop.app, "GET /rare")
    filed.observe(new_tenant("Bob"), app=shop.app, name="dev")
    with statements() as seen:
        next(pages_of(asked(filters=filters), shop.app))
    (statement,) = seen
    assert_by_index(*statement, index=f"app_id_{column}_at_uuid_idx")


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """The statements of pages, with their arguments."""
    seen: list[tuple[str, Any]] = []
    fetch = request_export._fetch

    def recording(sql: str, arguments: Any) -> Any:
        seen.append((sql, arguments))
        return fetch(sql, arguments)

    with patch.object(request_export, "_fetch", recording):
        yield seen


def assert_by_index(sql: str, arguments: Any, *, index: str = "") -> None:
    """Nothing of the large tables is scanned, and no more rows are looked at than a page may examine."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", arguments)
        ((plan,),) = cursor.fetchone()
    for node in nodes(plan["Plan"]):
        if node.get("Relation Name", "").startswith("analytics_request"):
            assert "Index" in node["Node Type"], node
            assert index in node["Index Name"], node
            assert node["Actual Rows"] * node["Actual Loops"] <= NARROW.examined + node["Actual Loops"], node


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)
