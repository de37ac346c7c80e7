"""Quarter hours reckoned anew from the journal: the same numbers, and only where the journal is whole."""

import random
import threading
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, transaction

from analytics.models import EnvironmentQuarter, TrafficQuarter, TrafficQuarterTotal
from analytics.partitions import ENVIRONMENT_QUARTERS, TRAFFIC_MINUTES
from analytics.rollup.rebuilding import app_days, rebuild_day, rebuild_traffic
from tests.analytics.reporting import DAY, HOUR, MINUTE, NOW, call, file, filed, new_app, observed, rows, told, traffic
from tests.cast import Tenant


@pytest.fixture(autouse=True)
def _journal(stores: object) -> None:
    """Of these days alone, whatever other tests made."""
    with connection.cursor() as cursor:
        for (name,) in rows(
            "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = %s::regclass", "analytics_trafficminute"
        ):
            cursor.execute(f"DROP TABLE {name}")
    TRAFFIC_MINUTES.make(TRAFFIC_MINUTES.lacking_of([NOW - 2 * DAY, NOW - DAY, NOW]))


def _lively(days: int = 3) -> list[object]:
    return [
        observed(
            traffic(
                n + 1,
                of=call(f"/{n % 3}", consumer=f"u{n % 4}", status=200 + n % 2),
                at=NOW - n % days * DAY - n * MINUTE,
            ),
            environment=("prod", "dev")[n % 2],
        )
        for n in range(30)
    ]


def test_what_was_lost_or_wrong_is_as_it_was(alice: Tenant, bob: Tenant) -> None:
    apps = [new_app(alice), new_app(bob)]
    said = _lively()
    for app in apps:
        file(app, *said)  # type: ignore[arg-type]
    before = filed()
    TrafficQuarter.objects.filter(environment_id__gt=1).delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE analytics_trafficquartertotal SET requests = 999, durations = '{}'")
        cursor.execute("DELETE FROM analytics_trafficquarter WHERE consumer_id % 2 = 0")
        cursor.execute("UPDATE analytics_environmentquarter SET requests = 1")
    written = rebuild_traffic(app_days(NOW))
    assert filed() == before == told(apps[0], said) | told(apps[1], said)  # type: ignore[arg-type]
    tables = (TrafficQuarter, TrafficQuarterTotal, EnvironmentQuarter)
    assert written == sum(table.objects.count() for table in tables)


def test_what_was_filed_before_is_in_the_sums_of_environments(alice: Tenant, bob: Tenant) -> None:
    migration = import_module("analytics.migrations.0011_environment_quarters_by_class")
    said = _lively()
    for app in (new_app(alice), new_app(bob)):
        file(app, *said)  # type: ignore[arg-type]
    sums = EnvironmentQuarter.objects.order_by("pk").values_list()
    before = list(sums)
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (migration.CREATE, migration.PARTITIONS, migration.FILL):
            cursor.execute(statement)
    assert list(sums) == before
    assert ENVIRONMENT_QUARTERS.lacking_of([NOW - 2 * DAY, NOW]) == set()
    file(new_app(alice), *said)  # type: ignore[arg-type]
    filed()


def test_what_is_older_than_the_journal_stays(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(traffic(5, at=NOW - 2 * DAY), traffic(7)))
    TRAFFIC_MINUTES.drop_before(NOW - DAY)
    rebuild_traffic(app_days(NOW))
    assert sorted(TrafficQuarter.objects.values_list("requests", flat=True)) == [5, 7]
    assert sorted(TrafficQuarterTotal.objects.values_list("requests", flat=True)) == [5, 7]
    assert sorted(EnvironmentQuarter.objects.values_list("requests", flat=True)) == [5, 7]


def test_a_day_that_retention_dropped_and_a_late_report_made_again_is_left_alone(
    alice: Tenant, settings: object
) -> None:
    settings.LIMITLY_TRAFFIC_MINUTE_DAYS = 3  # type: ignore[attr-defined]
    app = new_app(alice)
    file(app, observed(traffic(5, at=NOW - 9 * DAY), traffic(7)))
    TRAFFIC_MINUTES.drop_before(NOW - 3 * DAY)
    file(app, observed(traffic(1, at=NOW - 9 * DAY)))
    rebuild_traffic(app_days(NOW))
    assert sorted(TrafficQuarter.objects.values_list("requests", flat=True)) == [6, 7]


def test_a_day_that_is_dropped_after_it_was_chosen_is_left_alone(alice: Tenant) -> None:
    """A rebuild that runs over midnight, beside prune_analytics."""
    app = new_app(alice)
    file(app, observed(traffic(5, at=NOW - 2 * DAY), traffic(7)))
    chosen = app_days(NOW)
    TRAFFIC_MINUTES.drop_before(NOW - DAY)
    rebuild_traffic(chosen)
    for table in (TrafficQuarter, TrafficQuarterTotal, EnvironmentQuarter):
        assert sorted(table.objects.values_list("requests", flat=True)) == [5, 7]


def test_no_day_is_dropped_while_it_is_rebuilt(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(traffic(5, at=NOW - 2 * DAY)))
    day = TRAFFIC_MINUTES.span.start_of(NOW - 2 * DAY)
    dropped: list[list[str]] = []

    def drop() -> None:
        dropped.append(TRAFFIC_MINUTES.drop_before(NOW - DAY))
        connection.close()

    dropping = threading.Thread(target=drop)

    def clear_and_wait(execute: Any, sql: str, *given: Any) -> Any:
        """A drop comes between the look at the journal and the first row that is deleted."""
        if sql.startswith("DELETE") and not dropping.ident:
            dropping.start()
            dropping.join(0.3)
        return execute(sql, *given)

    with connection.execute_wrapper(clear_and_wait):
        rebuild_day(app.pk, day)
    dropping.join(30)
    assert dropped == [[TRAFFIC_MINUTES.name(day)]]
    assert list(TrafficQuarter.objects.values_list("requests", flat=True)) == [5]


def test_while_it_is_rebuilt_what_is_filed_counts_once(alice: Tenant) -> None:
    app = new_app(alice)
    said = _lively(days=1)
    random.shuffle(said)

    def rebuild() -> None:
        for _ in range(5):
            rebuild_traffic(app_days(NOW))
        connection.close()

    rebuilding = threading.Thread(target=rebuild)
    rebuilding.start()
    for each in said:
        file(app, each)  # type: ignore[arg-type]
    rebuilding.join()
    assert filed() == told(app, said)  # type: ignore[arg-type]


def test_without_a_journal_there_is_nothing_to_rebuild(alice: Tenant) -> None:
    TRAFFIC_MINUTES.drop_before(NOW + HOUR + 9 * DAY)
    assert app_days(NOW) == []
