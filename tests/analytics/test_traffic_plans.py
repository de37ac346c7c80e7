"""A day of traffic among 100,000 rows is read by its index: of all consumers, and of one."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from analytics.models import Environment
from analytics.partitions import ENVIRONMENT_QUARTERS, TRAFFIC_QUARTER_TOTALS, TRAFFIC_QUARTERS
from analytics.selection import Chosen, Selection
from analytics.traffic import quarters_statement
from keys.partitions import Partitions
from tests.analytics.filed import endpoint, observe
from tests.cast import Tenant

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
# Of 30 days, each quarter hour with 35 rows: of as many endpoints, and of one endpoint's consumers.
TOTALS = """
INSERT INTO analytics_trafficquartertotal
SELECT %(app)s, %(now)s::timestamptz - quarter * interval '15 min', %(environment)s, %(route)s + n, 200, 3, 1, 0, 0,
       '{}', '{}', '{}'
  FROM generate_series(1, 2880) AS quarter, generate_series(0, 34) AS n
"""
BY_CONSUMER = """
INSERT INTO analytics_trafficquarter
SELECT %(app)s, %(now)s::timestamptz - quarter * interval '15 min', %(environment)s, %(route)s, 200, %(consumer)s + n,
       3, 1, 0, 0, '{}'
  FROM generate_series(1, 2880) AS quarter, generate_series(0, 34) AS n
"""
OF_ENVIRONMENTS = """
INSERT INTO analytics_environmentquarter
SELECT %(app)s, %(now)s::timestamptz - quarter * interval '15 min', %(environment)s, 2, 3, 35, 0, 0, '{}'
  FROM generate_series(1, 2880) AS quarter
"""


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def _fill(table: Partitions, statement: str, **names: Any) -> None:
    table.make(table.lacking(NOON - 30 * DAY, NOON))
    with connection.cursor() as cursor:
        cursor.execute(statement, names | {"now": NOON})
        cursor.execute(f"ANALYZE {table.table}")


def _assert_reads(selection: Selection, *indexes: str) -> None:
    """These indexes alone, and of their tables what they point to."""
    statement, arguments = quarters_statement(selection, start=NOON - DAY, end=NOON)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", arguments)
        scans = [line for (line,) in cursor.fetchall() if "Scan" in line]
    found = {name for scan in scans for name in re.findall(r"Scan (?:using|on) (\w+(?:pkey|idx))", scan)}
    assert found == set(indexes), scans
    assert not [scan for scan in scans if "Seq Scan" in scan]


def test_of_all_consumers_by_time(prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    _fill(TRAFFIC_QUARTER_TOTALS, TOTALS, app=prod.app_id, environment=prod.pk, route=route.pk)
    _assert_reads(
        Selection(prod.app_id, [prod], endpoints=Chosen([route.pk], 35)), "analytics_trafficquartertotal_202606_pkey"
    )


def test_of_all_calls_by_time_and_of_those_left_out_by_time_as_well(prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    names = {"app": prod.app_id, "environment": prod.pk, "route": route.pk}
    _fill(TRAFFIC_QUARTER_TOTALS, TOTALS, **names)
    _fill(ENVIRONMENT_QUARTERS, OF_ENVIRONMENTS, **names)
    whole = "analytics_environmentquarter_202606_pkey"
    _assert_reads(Selection(prod.app_id, [prod]), whole)
    left_out = Selection(prod.app_id, [prod], excluded=(route.pk,))
    _assert_reads(left_out, whole, "analytics_trafficquartertotal_202606_pkey")


def test_of_one_consumer_by_consumer_and_time(prod: Environment) -> None:
    route, ann = endpoint(prod.app, "GET /a"), prod.app.consumers.create(identifier="ann")
    names = {"app": prod.app_id, "environment": prod.pk, "route": route.pk, "consumer": ann.pk}
    _fill(TRAFFIC_QUARTERS, BY_CONSUMER, **names)
    selection = Selection(prod.app_id, [prod], consumer_id=ann.pk)
    _assert_reads(selection, "analytics_trafficquarter_202606_app_id_consumer_id_quarter_idx")
