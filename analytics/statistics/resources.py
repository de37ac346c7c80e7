"""How much processor time and memory an app's instances used: of each over a time, and in all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from analytics.models import App, Environment, Instance
from analytics.periods import TimePeriod

INSTANCES_SHOWN: Final = 50
USED: Final = """avg(cpu_percent), max(cpu_percent), avg(memory_bytes)::float8, max(memory_bytes)"""
MINUTES: Final = """
  FROM analytics_resourceminute
 WHERE app_id = %s AND environment_id = ANY(%s) AND minute >= %s AND minute < %s"""
BY_INSTANCE: Final = f"""
SELECT instance_id, {USED}, min(minute), max(minute) {MINUTES}
 GROUP BY instance_id ORDER BY max(minute) DESC, instance_id LIMIT %s
"""  # constants of this module alone
OVER_TIME: Final = f"""
SELECT instance_id, width_bucket(minute, %s::timestamptz[]), {USED} {MINUTES} AND instance_id = ANY(%s) GROUP BY 1, 2
"""  # constants of this module alone


class Used(NamedTuple):
    """Means and peaks of the minutes that were told of; None where none told it."""

    cpu_percent: float | None = None
    cpu_percent_max: float | None = None
    memory_bytes: float | None = None
    memory_bytes_max: int | None = None


@dataclass(frozen=True, slots=True)
class InstanceUse:
    """`instance` is None once its row is pruned."""

    instance_id: int
    instance: Instance | None
    used: Used
    first_minute: datetime
    last_minute: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Of which environments of an app, and when: [start, end)."""

    app: App
    environments: list[Environment]
    start: datetime
    end: datetime

    @property
    def arguments(self) -> list[Any]:
        return [self.app.pk, [each.pk for each in self.environments], self.start, self.end]


def by_instance(place: Place) -> list[InstanceUse]:
    """Those that told last, at most INSTANCES_SHOWN. Two SELECTs."""
    with connection.cursor() as cursor:
        cursor.execute(BY_INSTANCE, [*place.arguments, INSTANCES_SHOWN])
        rows = cursor.fetchall()
    instances = Instance.objects.select_related("environment").in_bulk([row[0] for row in rows])
    return [InstanceUse(pk, instances.get(pk), Used(*used), first, last) for pk, *used, first, last in rows]


def over_time(place: Place, periods: Sequence[TimePeriod], *, instance_ids: Iterable[int]) -> dict[int, list[Used]]:
    """Of each of these instances, in each of these periods, which tile time and cover the place's. One SELECT."""
    found = {pk: [Used()] * len(periods) for pk in instance_ids}
    starts = [period.start for period in periods]
    with connection.cursor() as cursor:
        cursor.execute(OVER_TIME, [starts, *place.arguments, list(found)])
        for pk, number, *used in cursor.fetchall():
            found[pk][number - 1] = Used(*used)
    return found
