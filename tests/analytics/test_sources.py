"""Readers take the source that is in force: each quarter hour is told by one, and only by one."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.secrets import Bucket
from analytics import services
from analytics.models import App, Environment, Record, Source, TrafficSource
from analytics.observations import Call, Observed, Traffic
from analytics.periods import QUARTER
from analytics.rollup.filing import file_observed
from analytics.rollup.folding import fold_bucket
from analytics.rollup.judging import Change, judge_silent
from analytics.rollup.partitioning import making_partitions
from analytics.sources import InForce, in_force, predicate, with_source
from keys.ledger.drain import drain_all
from tests.analytics.folds import decide
from tests.analytics.histories import NOON, at, rows
from tests.analytics.reporting import call, observed, request
from tests.cast import BY, Tenant, new_tenant
from tests.queries import counting_queries
from tests.store_redis import StoreRedis

DAY = 96  # quarter hours


@pytest.fixture
def prod(db: None) -> Environment:
    app = services.create_app(new_tenant("Alice").account, by=BY, name="Shop")
    return Environment.objects.create(app=app, name="prod")


def _change(environment: Environment, source: int, since: datetime, record: Record = Record.TRAFFIC) -> None:
    TrafficSource.objects.create(environment=environment, source=source, since=since, record=record)


def _tiles(environment: Environment, start: int, end: int, record: Record = Record.TRAFFIC) -> list[Any]:
    found = in_force([environment], record=record, start=at(start), end=at(end))
    return [(tile.source, (tile.start - NOON) // QUARTER, (tile.end - NOON) // QUARTER) for tile in found]


# --- reading ------------------------------------------------------------------------------------------------------
def test_before_the_first_change_it_is_decisions(prod: Environment) -> None:
    assert _tiles(prod, 0, 10) == [(1, 0, 10)]
    _change(prod, Source.METRIC, at(4))
    assert _tiles(prod, 0, 10) == [(1, 0, 4), (3, 4, 10)]


def test_what_changed_before_the_range_holds_in_it_and_what_changes_after_does_not(prod: Environment) -> None:
    for source, quarter in ((2, -20), (3, -10), (1, 5), (3, 10)):
        _change(prod, source, at(quarter))
    assert _tiles(prod, 0, 10) == [(3, 0, 5), (1, 5, 10)]
    assert _tiles(prod, 5, 11) == [(1, 5, 10), (3, 10, 11)]


def test_tiles_cover_the_range_without_gap_or_overlap(prod: Environment) -> None:
    chance = random.Random(7)
    for quarter in chance.sample(range(-50, 50), 30):
        _change(prod, chance.randint(1, 3), at(quarter))
    tiles = in_force([prod], record=Record.TRAFFIC, start=at(-30), end=at(30))
    assert (tiles[0].start, tiles[-1].end) == (at(-30), at(30))
    assert all(one.end == other.start for one, other in pairwise(tiles))


def test_a_pin_outranks_what_is_judged_of_traffic_alone(prod: Environment) -> None:
    _change(prod, Source.METRIC, at(4))
    _change(prod, 2, at(4), record=Record.REQUEST_LOG)
    services.pin_source(prod, source=Source.SPAN, by=BY)
    assert _tiles(prod, 0, 10) == [(2, 0, 10)]
    assert _tiles(prod, 0, 10, Record.REQUEST_LOG) == [(1, 0, 4), (2, 4, 10)]
    services.pin_source(prod, source=None, by=BY)
    assert _tiles(prod, 0, 10) == [(1, 0, 4), (3, 4, 10)]


def test_many_environments_cost_one_select(prod: Environment) -> None:
    others = [Environment.objects.create(app=prod.app, name=f"e{number}") for number in range(5)]
    with counting_queries() as seen:
        assert len(in_force([prod, *others], record=Record.TRAFFIC, start=at(0), end=at(9))) == 6
    assert len(seen) == 1


def test_environments_that_agree_are_one_term() -> None:
    tiles = [InForce(pk, 1, at(0), at(9)) for pk in (5, 6)] + [InForce(7, 3, at(0), at(9))]
    sql, arguments = predicate(tiles, time="quarter")
    assert sql.count("OR") == 1
    assert arguments == [[5, 6], 1, at(0), at(9), [7], 3, at(0), at(9)]


def test_nothing_is_in_force_of_no_environment() -> None:
    assert predicate([], time="minute") == ("FALSE", [])


def test_staff_is_shown_what_is_in_force_now_and_since_when(prod: Environment) -> None:
    dev = Environment.objects.create(app=prod.app, name="dev")
    _change(prod, Source.METRIC, at(0))
    _change(prod, Source.DECISION, at(9))
    shown: Any = with_source(Environment.objects.all(), now=at(5)).order_by("name")
    assert [(row.name, row.source, row.since) for row in shown] == [(dev.name, None, None), (prod.name, 3, at(0))]


# --- decisions, reports, silence, decisions -----------------------------------------------------------------------
DECIDED = (*range(0, 12, 2), *range(DAY, DAY + 40, 4), *range(3 * DAY, 3 * DAY + 8, 2))
REPORTED = (4, 5, 6, 9, 50, DAY, DAY + 5, DAY + 20)
END = at(4 * DAY)


def _report(app: App, environment: str, quarter: int, requests: int) -> None:
    told = Traffic(at=at(quarter), call=Call("GET", "/o", 200), source=Source.METRIC, requests=requests)
    said = [Observed(environment=environment, instance="i", traffic=[told])]
    making_partitions(transaction.atomic(lambda: file_observed(app, said, now=END)))


def _counted(environment: Environment) -> dict[int, int]:
    """What a reader sees of each quarter hour."""
    where, arguments = predicate(in_force([environment], record=Record.TRAFFIC, start=at(-9), end=END), time="minute")
    found: Counter[int] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT minute, requests FROM analytics_trafficminute WHERE {where}", arguments)  # noqa: S608
        for minute, requests in cursor.fetchall():
            found[(minute - NOON) // QUARTER] += requests
    return dict(found)


def _app_that_decides_all_the_time(stores: StoreRedis, tenant: Tenant) -> App:
    app = services.create_app(tenant.account, by=BY, name="Shop")
    services.bind_access_key(tenant.access_key, app, environment_name="prod", by=BY)
    for quarter in DECIDED:
        for seq in range(2):
            decide(stores, tenant, at(quarter) + timedelta(minutes=seq), endpoint="/o")
    drain_all(for_s=10)
    return app


def _work_in_any_order(tenant: Tenant, works: list[Callable[[], object]], seed: int) -> None:
    """Beside folding, a few decisions at a time."""
    works = [*works, *[partial(fold_bucket, Bucket(tenant.account.bucket), now=END, at_most=7)] * 8]
    random.Random(seed).shuffle(works)
    for work in works:
        work()
    judge_silent(END)


@pytest.mark.parametrize("seed", range(3))
def test_each_quarter_hour_is_one_sources_own_count_whatever_the_order_of_arrival(
    stores: StoreRedis, alice: Tenant, seed: int
) -> None:
    """Decisions are made all the time; for a day there are reports of the same. A second environment is untouched."""
    app = _app_that_decides_all_the_time(stores, alice)
    works: list[Callable[[], object]] = [partial(_report, app, "prod", quarter, 10 + quarter) for quarter in REPORTED]
    works += [partial(_report, app, "dev", quarter, 1) for quarter in REPORTED]
    _work_in_any_order(alice, works, seed)
    prod, dev = Environment.objects.get(name="prod"), Environment.objects.get(name="dev")
    from_reports = {quarter: 10 + quarter for quarter in REPORTED if quarter > 4}
    from_decisions = {quarter: 2 for quarter in DECIDED if not 4 < quarter <= max(REPORTED)}
    assert _counted(prod) == from_reports | from_decisions
    assert rows(prod.pk) == [Change(Source.METRIC, at(5)), Change(Source.DECISION, at(max(REPORTED) + 1))]
    assert _counted(dev) == dict.fromkeys(REPORTED, 1)
    assert rows(dev.pk) == [Change(Source.METRIC, at(4)), Change(Source.DECISION, at(max(REPORTED) + 1))]


# --- the same of request logs, judged by themselves ---------------------------------------------------------------
def _log(app: App, quarter: int, *, number: int) -> None:
    """As an SDK logs three requests."""
    logged = [request(10 * number + each, at=at(quarter), of=call("/o")) for each in range(3)]
    making_partitions(transaction.atomic(lambda: file_observed(app, [observed(requests=logged)], now=END)))


def _shown(environment: Environment) -> dict[int, int]:
    """Request logs that a reader sees of each quarter hour."""
    tiles = in_force([environment], record=Record.REQUEST_LOG, start=at(-9), end=END)
    where, arguments = predicate(tiles, time="at")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT at FROM analytics_requestlog WHERE {where}", arguments)  # noqa: S608
        return dict(Counter((moment - NOON) // QUARTER for (moment,) in cursor.fetchall()))


@pytest.mark.parametrize("seed", range(3))
def test_request_logs_are_one_sources_too_whatever_the_order_of_arrival(
    stores: StoreRedis, alice: Tenant, seed: int
) -> None:
    app = _app_that_decides_all_the_time(stores, alice)
    works: list[Callable[[], object]] = [
        partial(_log, app, quarter, number=number) for number, quarter in enumerate(REPORTED)
    ]
    _work_in_any_order(alice, works, seed)
    prod = Environment.objects.get()
    from_reports = {quarter: 3 for quarter in REPORTED if quarter > 4}
    assert _shown(prod) == from_reports | {q: 2 for q in DECIDED if not 4 < q <= max(REPORTED)}
    assert rows(prod.pk, record=Record.REQUEST_LOG) == [Change(2, at(5)), Change(1, at(max(REPORTED) + 1))]
    assert rows(prod.pk) == []  # a log is no traffic
