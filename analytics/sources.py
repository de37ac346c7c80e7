"""Which source of an environment's traffic, or request logs, is in force when: readers take that one alone.

The rows of TrafficSource say it; the roll-up judges and keeps them (analytics.rollup.judging).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery

from analytics.models import Environment, Record, Source, TrafficSource


class InForce(NamedTuple):
    """An environment's source within [start, end). Of request logs 1 is decisions and 2 reports (RequestSource)."""

    environment_id: int
    source: int
    start: datetime
    end: datetime


def in_force(environments: Iterable[Environment], *, record: Record, start: datetime, end: datetime) -> list[InForce]:
    """For each environment what tiles [start, end), in order. One SELECT; rows that lie before `start` count."""
    pinned = {environment.pk: environment.pinned_source for environment in environments}
    changes: dict[int, list[tuple[datetime, int]]] = {pk: [(start, Source.DECISION)] for pk in pinned}
    rows = TrafficSource.objects.filter(environment__in=pinned, record=record, since__lt=end).order_by("since")
    for environment_id, since, source in rows.values_list("environment_id", "since", "source"):
        changes[environment_id].append((since, source))
    found = []
    for environment_id, its in changes.items():
        pin = pinned[environment_id] if record is Record.TRAFFIC else None
        found += [InForce(environment_id, pin, start, end)] if pin else _tiles(environment_id, its, start, end)
    return found


def with_source(environments: QuerySet[Environment], *, now: datetime) -> QuerySet[Environment]:
    """Annotated with the `source` of traffic that is judged to be in force now, and `since` when; both None at first.

    A pin is not looked at: what is shown is pinned_source where there is one.
    """
    changes = TrafficSource.objects.filter(environment=OuterRef("pk"), record=Record.TRAFFIC, since__lte=now)
    latest = changes.order_by("-since")[:1]
    return environments.annotate(source=Subquery(latest.values("source")), since=Subquery(latest.values("since")))


def predicate(tiles: Sequence[InForce], *, time: str) -> tuple[str, list[list[int] | int | datetime]]:
    """SQL (and its arguments) that is true for rows of these environments, sources and times; `time` is its column.

    Tiles of the same source and time are one term, so that an app whose environments agree costs one comparison.
    """
    alike: dict[tuple[int, datetime, datetime], list[int]] = {}
    for tile in tiles:
        alike.setdefault((tile.source, tile.start, tile.end), []).append(tile.environment_id)
    terms: list[str] = []
    arguments: list[list[int] | int | datetime] = []
    for (source, start, end), environment_ids in alike.items():
        terms.append(f"(environment_id = ANY(%s) AND source = %s AND {time} >= %s AND {time} < %s)")
        arguments += [environment_ids, source, start, end]
    return f"({' OR '.join(terms)})" if terms else "FALSE", arguments


def _tiles(environment_id: int, changes: list[tuple[datetime, int]], start: datetime, end: datetime) -> list[InForce]:
    tiles = []
    for number, (since, source) in enumerate(changes):
        first = start if number == 0 else max(since, start)
        last = min(changes[number + 1][0], end) if number + 1 < len(changes) else end
        if first < last:
            tiles.append(InForce(environment_id, source, first, last))
    return tiles
