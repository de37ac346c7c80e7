"""What the pages about an app read of large tables they read by an index: no table is read as a whole."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import Account
from analytics.models import App, Endpoint, Environment, ErrorGroup, ErrorKind
from analytics.overview import traffic_in
from analytics.partitions import ENVIRONMENT_QUARTERS, RESOURCE_MINUTES, TRAFFIC_QUARTER_TOTALS, TRAFFIC_QUARTERS
from analytics.periods import TimePeriod
from analytics.statistics.consumers import callers
from analytics.statistics.durations import durations
from analytics.statistics.errors import error_groups, history_of
from analytics.statistics.finding import apps_named
from analytics.statistics.resources import Place, by_instance, over_time
from analytics.statistics.slices import Slice, slice_of
from analytics.statistics.sums import by_endpoint, by_error_status
from analytics.statistics.sums import over_time as sums_over_time
from tests.analytics.filed import endpoint, observe
from tests.cast import Tenant

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LARGE = ("analytics_traffic", "analytics_error", "analytics_resource", "analytics_app_", "analytics_app ", "accounts_a")
# Of 30 days, each quarter hour (minute of three) with many rows.
TOTALS = """
INSERT INTO analytics_trafficquartertotal
SELECT %(app)s, %(now)s::timestamptz - quarter * interval '15 min', %(environment)s, %(route)s + n, 200, 3, 1, 0, 0,
       '{}', '{}', '{}'
  FROM generate_series(1, 2880) AS quarter, generate_series(0, 34) AS n
"""
OF_ENVIRONMENTS = """
INSERT INTO analytics_environmentquarter
SELECT %(app)s, %(now)s::timestamptz - quarter * interval '15 min', %(environment)s, class, 3, 35, 0, 0, '{}'
  FROM generate_series(1, 2880) AS quarter, generate_series(2, 5) AS class
"""
BY_CONSUMER = """
INSERT INTO analytics_trafficquarter
SELECT %(app)s, %(now)s::timestamptz - quarter * interval '15 min', %(environment)s, %(route)s, 200, 1 + n, 3, 1, 0, 0,
       '{}'
  FROM generate_series(1, 2880) AS quarter, generate_series(0, 34) AS n
"""
RESOURCES = """
INSERT INTO analytics_resourceminute (app_id, environment_id, minute, instance_id, at)
SELECT other, other, %(now)s::timestamptz - minute * interval '1 min', 1, %(now)s
  FROM generate_series(1, 720) AS minute, generate_series(%(app)s, %(app)s + 50) AS other
"""
ERRORS = """
INSERT INTO analytics_errorquarter (group_id, quarter, consumer_id, occurrences)
SELECT id, %(now)s::timestamptz - quarter * interval '15 min', 0, 1
  FROM analytics_errorgroup, generate_series(1, 50) AS quarter
"""


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def orders(prod: Environment) -> Endpoint:
    return endpoint(prod.app, "GET /orders")


@contextmanager
def scans() -> Iterator[list[str]]:
    """Fills with the scans by which the statements that run within are planned."""
    asked: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if re.match(r"\s*(SELECT|WITH)", sql):
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found
    with connection.cursor() as cursor:
        for sql, params in asked:
            if sql.startswith("SET "):
                continue
            cursor.execute(f"EXPLAIN {sql}", params)
            found += [line.strip() for (line,) in cursor.fetchall() if "Scan" in line]


def assert_by_index(found: list[str], *indexes: str) -> None:
    assert not [scan for scan in found if re.search(rf"Seq Scan on ({'|'.join(LARGE)})", scan)], found
    assert [index for index in indexes if not any(index in scan for scan in found)] == [], found


def a_day(environment: Environment, **narrowed: int) -> Slice:
    found = slice_of(environment.app, start=NOON - DAY, end=NOON, **narrowed)
    assert found is not None
    return found


def fill(statement: str, table: str, **names: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, names | {"now": NOON})
        cursor.execute(f"ANALYZE {table}")


def test_a_day_of_all_consumers(prod: Environment, orders: Endpoint) -> None:
    TRAFFIC_QUARTER_TOTALS.make(TRAFFIC_QUARTER_TOTALS.lacking(NOON - 30 * DAY, NOON))
    fill(TOTALS, TRAFFIC_QUARTER_TOTALS.table, app=prod.app_id, environment=prod.pk, route=orders.pk)
    slice_, whole = a_day(prod), [TimePeriod(NOON - DAY, NOON)]
    reads: list[Callable[[], object]] = [
        lambda: sums_over_time(a_day(prod, endpoint_id=orders.pk), whole),
        lambda: by_endpoint(slice_),
        lambda: by_error_status(slice_),
        lambda: durations(slice_, whole),
    ]
    for read in reads:
        with scans() as found:
            read()
        assert_by_index(found, "analytics_trafficquartertotal_202606_pkey")


def test_a_day_of_whole_environments_less_what_is_left_out_or_expected(prod: Environment, orders: Endpoint) -> None:
    for partitions, statement in ((ENVIRONMENT_QUARTERS, OF_ENVIRONMENTS), (TRAFFIC_QUARTER_TOTALS, TOTALS)):
        partitions.make(partitions.lacking(NOON - 30 * DAY, NOON))
        fill(statement, partitions.table, app=prod.app_id, environment=prod.pk, route=orders.pk)
    Endpoint.objects.bulk_create(Endpoint(app=prod.app, method="GET", path=f"/{number}") for number in range(3000))
    endpoint(prod.app, "GET /health", is_excluded=True)
    endpoint(prod.app, "GET /search", expected_statuses=[404])
    fill("SELECT %(now)s", "analytics_endpoint")
    with scans() as found:
        sums_over_time(a_day(prod), [TimePeriod(NOON - DAY, NOON)])
        traffic_in([prod], [NOON - DAY], NOON)
    read = ("analytics_environmentquarter_202606_pkey", "analytics_trafficquartertotal_202606_pkey")
    assert_by_index(found, *read, "endpoint_taken_off")


def test_a_day_by_consumer(prod: Environment, orders: Endpoint) -> None:
    TRAFFIC_QUARTERS.make(TRAFFIC_QUARTERS.lacking(NOON - 30 * DAY, NOON))
    fill(BY_CONSUMER, TRAFFIC_QUARTERS.table, app=prod.app_id, environment=prod.pk, route=orders.pk)
    slice_ = a_day(prod)
    with scans() as found:
        callers(slice_, [TimePeriod(NOON - DAY, NOON)])
    assert_by_index(found, "analytics_trafficquarter_202606_")


def test_errors_of_a_day_among_those_of_a_month(prod: Environment, orders: Endpoint) -> None:
    names = {"app": prod.app, "environment": prod, "endpoint": orders, "kind": ErrorKind.SERVER, "occurrences": 1}
    ErrorGroup.objects.bulk_create(
        ErrorGroup(
            **names,
            fingerprint=number.to_bytes(32),
            first_seen_at=NOON - (number + 2) * DAY,
            last_seen_at=NOON - number * DAY,
        )
        for number in range(2000)
    )
    group = ErrorGroup.objects.order_by("-last_seen_at")[0]
    fill(ERRORS, "analytics_errorquarter")
    fill("SELECT %(now)s", "analytics_errorgroup")
    slice_ = a_day(prod)
    with scans() as found:
        error_groups(slice_, ErrorKind.SERVER)
    assert_by_index(found, "error_group_latest", "analytics_errorquarter_pkey")
    with scans() as found:
        history_of(group, [TimePeriod(NOON - DAY, NOON)])
    assert_by_index(found, "analytics_errorquarter_pkey")


def test_resources_of_an_app_among_those_of_others(prod: Environment) -> None:
    RESOURCE_MINUTES.make(RESOURCE_MINUTES.lacking(NOON, NOON))
    fill(RESOURCES, RESOURCE_MINUTES.table, app=prod.app_id)
    place = Place(prod.app, [prod], NOON.replace(hour=0), NOON)
    with scans() as found:
        by_instance(place)
        over_time(place, [TimePeriod(place.start, place.end)], instance_ids=[1])
    assert_by_index(found, "analytics_resourceminute_20260615_pkey")


def test_apps_by_their_name_and_their_accounts(prod: Environment) -> None:
    Account.objects.bulk_create(Account(name=f"Account {n}", slug=f"a-{n}", bucket=n % 16) for n in range(3000))
    owner = Account.objects.get(slug="a-7")
    App.objects.bulk_create(App(account=owner, name=f"App {number}") for number in range(3000))
    fill("SELECT %(now)s", "analytics_app")
    fill("SELECT %(now)s", "accounts_account")
    with scans() as found:
        assert [app.name for app in apps_named("app 299")][-1:] == ["App 299"]
    assert_by_index(found, "account_named", "app_by_name")


def test_apps_are_found_by_either_beginning_newest_first(alice: Tenant, bob: Tenant) -> None:
    shop, alp = observe(alice).app, App.objects.create(account=bob.account, name="ALPine")
    assert list(apps_named("al")) == [alp, shop]
    assert list(apps_named("alp")) == [alp]
    assert list(apps_named("ho")) == []
