"""Processor and memory of instances: means and peaks of each, over time, and of nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from analytics.models import Environment, Instance
from analytics.partitions import RESOURCE_MINUTES
from analytics.periods import HOUR, MINUTE, TimePeriod
from analytics.statistics.resources import Place, Used, by_instance, over_time
from tests.analytics.filed import observe
from tests.cast import Tenant

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
FILE = """
INSERT INTO analytics_resourceminute (app_id, environment_id, minute, instance_id, at, cpu_percent, memory_bytes)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def use(instance: Instance, minute: datetime, cpu_percent: float | None, memory_bytes: int | None) -> None:
    RESOURCE_MINUTES.make(RESOURCE_MINUTES.lacking(minute, minute))
    place = instance.environment.app_id, instance.environment_id, minute, instance.pk
    with connection.cursor() as cursor:
        cursor.execute(FILE, [*place, minute, cpu_percent, memory_bytes])


def test_each_instance_has_means_and_peaks_over_time_and_in_all(prod: Environment, alice: Tenant) -> None:
    one, two = (Instance.objects.create(environment=prod, identifier=name) for name in ("one", "two"))
    dev = Instance.objects.create(environment=observe(alice, app=prod.app, name="dev"), identifier="dev")
    use(one, NOON - MINUTE, 99, 999)
    use(one, NOON, 10, 100)
    use(one, NOON + MINUTE, 30, 300)
    use(one, NOON + HOUR, 50, None)
    use(two, NOON + HOUR + MINUTE, None, 7)
    use(dev, NOON, 80, 800)
    place = Place(prod.app, [prod], NOON, NOON + 2 * HOUR)
    assert [(each.instance, each.used, each.first_minute, each.last_minute) for each in by_instance(place)] == [
        (two, Used(None, None, 7, 7), NOON + HOUR + MINUTE, NOON + HOUR + MINUTE),
        (one, Used(30, 50, 200, 300), NOON, NOON + HOUR),
    ]
    hours = [TimePeriod(NOON, NOON + HOUR), TimePeriod(NOON + HOUR, NOON + 2 * HOUR)]
    assert over_time(place, hours, instance_ids=[one.pk, two.pk]) == {
        one.pk: [Used(20, 30, 200, 300), Used(50, 50, None, None)],
        two.pk: [Used(), Used(None, None, 7, 7)],
    }


def test_without_reports_there_is_no_instance(prod: Environment) -> None:
    place = Place(prod.app, [prod], NOON, NOON + timedelta(days=1))
    assert by_instance(place) == []
    assert over_time(place, [TimePeriod(NOON, NOON + HOUR)], instance_ids=[]) == {}
