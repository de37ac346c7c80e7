"""The explorer's pages among many requests: each row once, newest first, few rows looked at, and by an index."""

import random
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from analytics import exploring
from analytics.exploring import Sought, page_of, walk_of
from analytics.exports.filters import Condition
from analytics.models import App, Environment
from analytics.partitions import REQUEST_LOGS
from analytics.request_logs import EXAMINED_MAX, FIRST_UUID, Position, Streams, Walk, just_before
from keys.decided import DECIDED
from keys.models import UsageHour
from keys.partitions import DECISIONS
from tests.analytics.filed import endpoint, file_rows, observe, request
from tests.analytics.test_export_pages import nodes
from tests.cast import Tenant
from tests.queries import counting_queries

START, END = datetime(2026, 6, 14, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=UTC)
TIME: dict[str, Any] = {"start": START, "end": END}
MANY = 50_000
# Every seventh was denied, half of those for a reason that shares its status with others.
FILL = """
INSERT INTO analytics_requestlog
SELECT %(app)s, %(start)s + n * interval '3 s', gen_random_uuid(), %(environment)s,
       (%(routes)s::bigint[])[1 + n %% 20], CASE WHEN n %% 100 = 0 THEN %(consumer)s END, 1,
       CASE WHEN n %% 14 = 0 THEN 403 WHEN n %% 7 = 0 THEN 429 ELSE 200 END, '/', 0, 0, n %% 500,
       '10.0.0.1'::inet + n %% 250, ''
  FROM generate_series(1, %(rows)s) AS n
"""
FILL_LEDGER = """
INSERT INTO keys_decision (id, at, account_id, access_key_id, api_key_id, user_id, subject_kind, outcome, cost, method,
                           endpoint)
SELECT uuid, at, %(account)s, 1, %(key)s, %(user)s, '',
       CASE status_code WHEN 403 THEN 4 WHEN 429 THEN 2 ELSE 1 END, 1, 'GET', '/' FROM analytics_requestlog
"""


class Shop:
    """Decisions of two days, one in a hundred of the key's, in the ledger and as request logs."""

    def __init__(self, alice: Tenant) -> None:
        self.user = alice.user()
        self.key = alice.key(user=self.user).api_key
        self.prod: Environment = observe(alice)
        self.app: App = self.prod.app
        routes = [endpoint(self.app, f"GET /{number}").pk for number in range(20)]
        uma = self.app.consumers.create(identifier=str(self.user.pk), name="Uma")
        for table in (REQUEST_LOGS, DECISIONS):
            table.make([START, START + timedelta(days=1)])
        UsageHour.objects.create(
            account_id=alice.account.pk, key_id=self.key.pk, user_id=self.user.pk, hour=START + timedelta(hours=1)
        )
        told: dict[str, Any] = {
            "app": self.app.pk, "environment": self.prod.pk, "routes": routes, "consumer": uma.pk, "start": START,
            "rows": MANY, "account": alice.account.pk, "key": self.key.pk, "user": self.user.pk,
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(FILL, told)
            cursor.execute(FILL_LEDGER, told)
            cursor.execute("ANALYZE analytics_requestlog, keys_decision, analytics_endpoint, analytics_consumer")


@pytest.fixture
def shop(alice: Tenant) -> Shop:
    return Shop(alice)


# --- plans --------------------------------------------------------------------------------------------------------
def sought(shop: Shop) -> list[Sought]:
    return [
        Sought(outcome="denied"),
        Sought(outcome="key_expired"),
        Sought(outcome="key_disabled"),
        Sought(api_key=shop.key),
        Sought(user_id=shop.user.pk, outcome="over_quota"),
        Sought(outcome="allowed", at_least_ms=499),
        Sought(outcome="allowed", client="10.0.0.7", path="/1*"),
        Sought(outcome="allowed", client="192.0.2.1"),
        Sought(consumer="uma", outcome="denied", statuses=("4xx",)),
        Sought(statuses=("4xx",)),
        Sought(),
    ]


@pytest.mark.parametrize("newest_first", [True, False])
def test_no_filter_reads_a_table_as_a_whole(shop: Shop, newest_first: bool) -> None:
    for each in sought(shop):
        walk = walk_of(shop.app, each, **TIME)
        assert walk is not None
        places = just_before(START), Position(END, FIRST_UUID)
        assert_by_index(walk.statement(*places, rows=51, newest_first=newest_first, examined_max=EXAMINED_MAX), of=each)


def test_decisions_are_looked_up_by_their_key(shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(at), array_agg(id) FROM (SELECT at, id FROM keys_decision LIMIT 1000) AS d")
        times, ids = cursor.fetchone()
    assert_by_index((DECIDED, [times, ids, shop.app.account_id]), of=None)


def assert_by_index(statement: tuple[str, list[Any]], *, of: Sought | None) -> None:
    """But partitions without rows, which may be read as one likes."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement[0]}", statement[1])
        ((plan,),) = cursor.fetchone()
    read = 0
    for node in nodes(plan["Plan"]):
        if node.get("Relation Name", "").startswith(("analytics_requestlog", "keys_decision")):
            looked_at = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert "Index" in node["Node Type"] or looked_at == 0, (of, node)
            assert looked_at <= EXAMINED_MAX + 1, (of, node)
            read += looked_at
    assert read > 0, of


def test_a_page_that_finds_nothing_looks_at_a_bounded_number_of_rows(shop: Shop) -> None:
    walk = walk_of(shop.app, Sought(outcome="allowed", client="192.0.2.1"), **TIME)
    assert walk is not None
    pages, before, began = 0, None, time.monotonic()
    while pages == 0 or before is not None:
        with counting_queries() as queries:
            page = page_of(walk, shop.app, before=before, limit=50, **TIME)
        assert (page.rows, len(queries)) == ([], 1)
        pages, before = pages + 1, page.end
    assert pages == 3  # of 42,857 rows that were allowed
    assert (time.monotonic() - began) / pages < 2  # a machine that has nothing else to do takes 30 ms


def test_all_denied_are_exported_once(shop: Shop) -> None:
    walk = walk_of(shop.app, Sought(outcome="denied"), **TIME)
    rows = [row for page in exploring.export_of(walk, shop.app, **TIME) for row in page.rows]
    assert len(rows) == len({row["request_uuid"] for row in rows}) == MANY // 7
    assert [row["timestamp"] for row in rows] == sorted(str(row["timestamp"]) for row in rows)
    assert {row["outcome"] for row in rows} == {"over_quota", "key_expired"}
    assert {row["api_key"] for row in rows} == {shop.key.public_id}


# --- each once ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("column", ["", "status_code", "endpoint_id"])
def test_every_row_comes_once_in_order_however_little_a_page_looks_at(
    alice: Tenant, newest_first: bool, column: str
) -> None:
    """Many are of the same moment, so that uuids decide; the streams are of unlike lengths."""
    prod, chance = observe(alice), random.Random(5)
    routes = [endpoint(prod.app, f"GET /{number}") for number in range(3)]
    rows = [
        request(
            prod, chance.choice(routes), START + timedelta(hours=chance.randrange(47)), uuid=UUID(int=number << 64),
            status_code=chance.choices((200, 404, 500), (90, 9, 1))[0], response_time_ms=chance.randrange(4),
        )
        for number in range(300)
    ]  # fmt: skip
    file_rows(rows)
    wanted = [row for row in rows if row.response_time_ms == 1]
    wanted.sort(key=lambda row: (row.at, row.uuid), reverse=newest_first)
    keys = {"": [0], "status_code": [200, 404, 500], "endpoint_id": [route.pk for route in routes]}[column]
    walk = Walk(prod.app_id, Condition("response_time_ms = 1", []), Streams(column, keys))
    for limit, examined_max in product((1, 10), (3, 7, 60, 1000)):
        seen: list[UUID] = []
        first, last = just_before(START), Position(END, FIRST_UUID)
        while True:
            page = walk.page(first, last, limit=limit, newest_first=newest_first, examined_max=examined_max)
            assert len(page.requests) <= limit
            seen += [each.uuid for each in page.requests]
            if page.end is None:
                break
            first, last = (first, page.end) if newest_first else (page.end, last)
        assert seen == [row.uuid for row in wanted]
