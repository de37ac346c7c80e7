"""Hours and days of a time zone as instants: they tile time, whatever a zone does to its clocks (pure).

An hour that occurs twice is two periods, a missing one none; where clocks change within an hour, so does the period.
A midnight that occurs twice begins the day at its first, one that does not exist at the moment of change.
(PostgreSQL's date_trunc does otherwise: Havana, the Azores, Lord Howe.)
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

# The grain of traffic; today's zones change their clocks at quarter hours, by quarter hours.
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"


class TimePeriod(NamedTuple):
    """Aware UTC; start inclusive, end exclusive."""

    start: datetime
    end: datetime


def periods(start: datetime, end: datetime, *, interval: Interval, zone: ZoneInfo) -> Iterator[TimePeriod]:
    """Every period that begins before `end` and ends after `start`, in order."""
    boundaries = _hours(start, end, zone) if interval is Interval.HOUR else _days(start, end, zone)
    for since, until in pairwise(boundaries):
        if until > start and since < end:
            yield TimePeriod(since, until)


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Beginnings of days, from one at or before `start` to one at or after `end`."""
    day, last = start.astimezone(zone).date() - DAY, end.astimezone(zone).date() + 2 * DAY
    before = None
    while day <= last:
        beginning = _beginning_of(day, zone)
        if beginning != before:  # a date that the zone skipped has no beginning of its own
            yield beginning
        before, day = beginning, day + DAY


def _beginning_of(day: date, zone: ZoneInfo) -> datetime:
    """The first midnight of this date; where the clocks jumped over it, the moment at which they did."""
    instant = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    while (instant - QUARTER).astimezone(zone).date() >= day:
        instant -= QUARTER
    return instant


def _hours(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Full hours, and changes of the clocks, from one at or before `start` to one at or after `end`."""
    instant = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    before = (instant - QUARTER).astimezone(zone)
    while instant <= end + 3 * HOUR:
        shown = instant.astimezone(zone)
        if shown.minute == 0 or shown.utcoffset() != before.utcoffset():
            yield instant
        before, instant = shown, instant + QUARTER
