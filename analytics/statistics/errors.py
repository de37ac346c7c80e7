"""Which errors an app told of within a slice: groups of the same error, how often each occurred, and to whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet

from analytics.models import Consumer, ErrorGroup, ErrorKind
from analytics.periods import TimePeriod
from analytics.statistics.slices import Slice

# The groups that were seen last are counted; an app may have ten thousand of them.
GROUPS_EXAMINED, GROUPS_SHOWN, CONSUMERS_SHOWN = 500, 25, 20
OCCURRENCES: Final = """
SELECT group_id, least(sum(occurrences), {most})::bigint, count(DISTINCT nullif(consumer_id, 0))
  FROM analytics_errorquarter
 WHERE group_id = ANY(%s) AND quarter >= %s AND quarter < %s AND (%s::bigint IS NULL OR consumer_id = %s)
 GROUP BY group_id
"""
OVER_TIME: Final = """
SELECT width_bucket(quarter, %s::timestamptz[]), least(sum(occurrences), {most})::bigint
  FROM analytics_errorquarter
 WHERE group_id = %s AND quarter >= %s AND quarter < %s AND (%s::bigint IS NULL OR consumer_id = %s) GROUP BY 1
"""
BY_CONSUMER: Final = """
SELECT consumer_id, least(sum(occurrences), {most})::bigint AS occurrences
  FROM analytics_errorquarter
 WHERE group_id = %s AND quarter >= %s AND quarter < %s AND (%s::bigint IS NULL OR consumer_id = %s)
 GROUP BY consumer_id ORDER BY occurrences DESC, consumer_id LIMIT %s
"""
SUM_MAX: Final = 2**63 - 1


class CountedGroup(NamedTuple):
    """Within the slice; the group itself tells of all time."""

    group: ErrorGroup
    occurrences: int
    consumers: int


@dataclass(frozen=True, slots=True)
class CountedGroups:
    """The most frequent first. `is_bounded`: there were more than were examined."""

    groups: list[CountedGroup]
    is_bounded: bool


class ToConsumer(NamedTuple):
    """None is whoever named no consumer."""

    consumer: Consumer | None
    occurrences: int


@dataclass(frozen=True, slots=True)
class GroupHistory:
    by_period: list[int]
    consumers: list[ToConsumer]


def error_groups(slice_: Slice, kind: ErrorKind) -> CountedGroups:
    """Those that occurred within the slice. Two SELECTs."""
    groups = {group.pk: group for group in _seen_in(slice_, kind)[: GROUPS_EXAMINED + 1]}
    is_bounded = len(groups) > GROUPS_EXAMINED
    consumer_id = slice_.selection.consumer_id
    asked = [list(groups)[:GROUPS_EXAMINED], slice_.start, slice_.end, consumer_id, consumer_id]
    counted = [CountedGroup(groups[pk], *counts) for pk, *counts in _rows(OCCURRENCES, asked)] if groups else []
    counted.sort(key=lambda each: (-each.occurrences, -each.group.pk))
    return CountedGroups(counted[:GROUPS_SHOWN], is_bounded)


def history_of(group: ErrorGroup, periods: Sequence[TimePeriod], *, consumer_id: int | None = None) -> GroupHistory:
    """How often it occurred in each of these periods, which tile time, and to whom most; or to that one alone.

    Three SELECTs.
    """
    asked = [group.pk, periods[0].start, periods[-1].end, consumer_id, consumer_id]
    by_period = [0] * len(periods)
    for number, occurrences in _rows(OVER_TIME, [[period.start for period in periods], *asked]):
        by_period[number - 1] = occurrences
    rows = _rows(BY_CONSUMER, [*asked, CONSUMERS_SHOWN])
    consumers = Consumer.objects.in_bulk([pk for pk, _ in rows])
    return GroupHistory(by_period, [ToConsumer(consumers.get(pk), occurrences) for pk, occurrences in rows])


def _seen_in(slice_: Slice, kind: ErrorKind) -> QuerySet[ErrorGroup]:
    """Whose first and last time embrace the slice, in the order of the index."""
    selection = slice_.selection
    chosen = Q(app=selection.app_id, kind=kind, environment__in=selection.environments)
    chosen &= Q(last_seen_at__gte=slice_.start, first_seen_at__lt=slice_.end)
    if selection.endpoints is not None:
        chosen &= Q(endpoint__in=selection.endpoints.keys)
    rows = ErrorGroup.objects.filter(chosen).exclude(endpoint__in=selection.excluded)
    return rows.select_related("endpoint", "environment").defer("stacktrace").order_by("-last_seen_at")


def _rows(statement: str, arguments: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(most=SUM_MAX), arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
