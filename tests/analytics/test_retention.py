"""How long what was observed is kept; a wrong clock drops nothing, and nothing that is kept counts twice for it."""

from datetime import UTC, datetime

import pytest
from django.conf import LazySettings
from django.db import connection

from analytics.models import (
    App,
    CumulativeStream,
    DroppedItems,
    Environment,
    ErrorGroup,
    ErrorQuarter,
    Instance,
    RejectedReport,
    ReportIdentity,
    ReportKind,
    SourceQuarter,
)
from analytics.partitions import ALL, MINUTES, QUARTERS, REQUESTS
from analytics.rollup.retention import Pruned, newest_told, prune_analytics
from keys.ledger.drain import drain_all
from keys.models import Decision, UsageHour, UsageWindow
from keys.partitions import Partitions
from tests.analytics.folds import decide
from tests.analytics.reporting import (
    DAY,
    HOUR,
    NOW,
    body,
    error,
    file,
    filed,
    ingest,
    new_app,
    observed,
    receive,
    rows,
    traffic,
)
from tests.analytics.test_cumulative import points, said, totals
from tests.cast import Tenant
from tests.store_redis import StoreRedis

ATTACHED = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1"


def _attached(partitions: Partitions) -> list[str]:
    return [name for (name,) in rows(ATTACHED, partitions.table)]


@pytest.fixture(autouse=True)
def _no_partitions(stores: object) -> None:
    """None that other tests made."""
    with connection.cursor() as cursor:
        for partitions in ALL:
            for name in _attached(partitions):
                cursor.execute(f"DROP TABLE {name}")


def test_each_table_is_dropped_when_its_time_is_over(alice: Tenant) -> None:
    file(new_app(alice), observed(traffic(1)))
    ages = {REQUESTS: (14, 15, 16), MINUTES: (31, 32, 33), QUARTERS: (390, 420, 460)}
    for tables, days in ages.items():
        for partitions in tables:
            partitions.make(partitions.lacking_of(NOW - age * DAY for age in days))
    dropped = prune_analytics(NOW).partitions
    assert dropped == [
        *(f"{partitions.table}_20260530" for partitions in REQUESTS),
        *(f"{partitions.table}_20260513" for partitions in MINUTES),
        *(f"{partitions.table}_{month}" for partitions in QUARTERS for month in ("202503", "202504")),
    ]
    assert _attached(QUARTERS[0]) == ["analytics_trafficquarter_202505", "analytics_trafficquarter_202606"]
    again = prune_analytics(NOW)
    assert (again.partitions, +again.rows) == ([], {})


def test_two_that_prune_at_once_do_not_stop_each_other(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw the same days, the other was faster."""
    days = REQUESTS[0]
    days.make(days.lacking_of(NOW - age * DAY for age in (0, 20, 21)))
    seen = days._attached()
    days.drop_before(NOW - 15 * DAY)
    monkeypatch.setattr(Partitions, "_attached", lambda _: seen)
    days.drop_before(NOW - 15 * DAY)
    assert _attached(days) == [days.name(NOW)]


def test_how_long_is_a_setting_of_each(alice: Tenant, settings: LazySettings) -> None:
    settings.LIMITLY_REQUEST_LOG_DAYS, settings.LIMITLY_TRAFFIC_MINUTE_DAYS = 3, 5
    settings.LIMITLY_TRAFFIC_MONTHS = 2
    file(new_app(alice), observed(traffic(1)))
    for tables, oldest in ((REQUESTS, 3), (MINUTES, 5), (QUARTERS, 61)):
        for partitions in tables:
            partitions.make(partitions.lacking_of(NOW - (oldest + more) * DAY for more in (0, 31)))
    prune_analytics(NOW)
    kept = {partitions: _attached(partitions)[0].rpartition("_")[2] for partitions in ALL}
    assert kept == (
        dict.fromkeys(REQUESTS, "20260612") | dict.fromkeys(MINUTES, "20260610") | dict.fromkeys(QUARTERS, "202604")
    )


def test_decisions_windows_and_hours_are_none_of_its_business(stores: StoreRedis, alice: Tenant) -> None:
    decide(stores, alice, NOW - 34 * DAY)
    decide(stores, alice, NOW)
    drain_all(for_s=5)
    file(new_app(alice), observed(traffic(1)))
    prune_analytics(NOW)
    assert (Decision.objects.count(), UsageHour.objects.count()) == (2, 2)
    assert UsageWindow.objects.get().units_allowed == 2


def test_a_clock_that_runs_ahead_drops_nothing(alice: Tenant) -> None:
    app = new_app(alice)
    receive(app, body(observed(traffic(1), errors=[error(1)])))
    ingest()
    before = [_attached(partitions) for partitions in ALL]
    pruned = prune_analytics(NOW + 900 * DAY)
    assert pruned.partitions == []
    assert not +pruned.rows
    assert [_attached(partitions) for partitions in ALL] == before
    assert ReportIdentity.objects.count() == 1


def test_as_long_as_nobody_told_of_anything_nothing_is_dropped(alice: Tenant) -> None:
    REQUESTS[0].make(REQUESTS[0].lacking_of([NOW - 100 * DAY]))
    assert newest_told() is None
    assert prune_analytics(NOW) == Pruned()


def test_the_newest_is_of_any_environment_and_record(alice: Tenant, bob: Tenant) -> None:
    file(new_app(alice), observed(traffic(1, at=NOW - DAY)), observed(environment="dev"))
    file(new_app(bob), observed(traffic(1, at=NOW)))
    assert newest_told() == datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


def _at(days: float) -> datetime:
    """So long before the newest that is told."""
    return NOW.replace(minute=0, second=0) - days * DAY


def test_rows_of_other_tables_go_when_their_time_is_over(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(traffic(1), errors=[error(1), error(1, at=NOW - 460 * DAY)]))
    file(app, observed(errors=[error(1, at=NOW - 460 * DAY)], environment="dev"))
    prod = Environment.objects.get(name="prod")
    for days, name in ((33, "old"), (31, "young")):
        Instance.objects.create(environment=prod, identifier=name, last_seen_at=_at(days))
    for days in (34, 36):
        DroppedItems.objects.create(app=app, kind=ReportKind.LOG, reason="x", hour=_at(days), items=1)
    _reject(app, _at(6.9), _at(7.1))
    quarter = {"environment_id": prod.pk, "record": 1, "source": 1, "has_requests": True}
    SourceQuarter.objects.create(quarter=_at(460), **quarter)
    pruned = prune_analytics(NOW)
    assert +pruned.rows == {
        "error groups": 1, "error quarters": 2, "dropped items": 1, "rejected reports": 1, "source quarters": 1,
        "instances": 2,
    }  # fmt: skip
    assert (ErrorGroup.objects.get().environment, ErrorQuarter.objects.get().occurrences) == (prod, 1)
    assert sorted(Instance.objects.values_list("identifier", flat=True)) == ["one", "young"]


def _reject(app: App, *moments: datetime) -> None:
    for moment in moments:
        row = RejectedReport.objects.create(
            app=app, kind=ReportKind.LOG, reason="x", size_bytes=0, body=b"", received_at=moment
        )
        RejectedReport.objects.filter(pk=row.pk).update(created_at=moment)


def test_an_identity_outlives_every_report_that_may_still_be_it(alice: Tenant) -> None:
    app = new_app(alice)
    report = body(observed(traffic(3)))
    receive(app, report)
    ingest(now=_at(0))
    file(app, observed(traffic(1, at=NOW + 4 * DAY)), now=NOW + 4 * DAY)
    waiting = receive(app, report, received_at=NOW + DAY)
    assert prune_analytics(NOW + 4 * DAY).rows["report identities"] == 0
    assert ingest(now=NOW + 4 * DAY) == len(waiting)
    assert sum(amounts[0] for amounts in filed().values()) == 4
    assert prune_analytics(NOW + 4 * DAY).rows["report identities"] == 1


def test_a_streams_state_outlives_every_point_that_would_count_whole_without_it(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, said(points(3, start=NOW - HOUR)))
    for days in (1, 2, 3, 4):
        file(app, observed(traffic(1, at=NOW + days * DAY)), now=NOW + days * DAY)
        prune_analytics(NOW + days * DAY)
    file(app, said(points(9, at=NOW + 40 * HOUR, start=NOW - HOUR)), now=NOW + 4 * DAY)
    assert totals()[0] == 4 + 9
    file(app, observed(traffic(1, at=NOW + 6 * DAY)), now=NOW + 6 * DAY)
    assert prune_analytics(NOW + 6 * DAY).rows["cumulative streams"] == 3
    assert CumulativeStream.objects.count() == 0
