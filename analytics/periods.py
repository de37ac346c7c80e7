"""Hours, days and months of a time zone as instants: they tile time, whatever a zone does to its clocks (pure).

An hour that occurs twice is two periods, a missing one none; where clocks change within an hour, so does the period.
A midnight that occurs twice begins the day at its first, one that does not exist at the moment of change. A month
begins with its first day; minutes are the same everywhere. (PostgreSQL's date_trunc does otherwise: Havana, the Azores,
Lord Howe.)
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

# The grain of traffic; today's zones change their clocks at quarter hours, by quarter hours.
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class TimePeriod(NamedTuple):
    """Aware UTC; start inclusive, end exclusive."""

    start: datetime
    end: datetime


def periods(start: datetime, end: datetime, *, interval: Interval, zone: ZoneInfo) -> Iterator[TimePeriod]:
    """Every period that begins before `end` and ends after `start`, in order."""
    for since, until in pairwise(BOUNDARIES[interval](start, end, zone)):
        if until > start and since < end:
            yield TimePeriod(since, until)


def whole(start: datetime, end: datetime, *, grain: timedelta) -> TimePeriod:
    """The shortest period of whole minutes, or quarter hours, that holds [start, end)."""
    past_the_grain = (start - EPOCH) % grain
    up_to_the_grain = (EPOCH - end) % grain
    return TimePeriod((start - past_the_grain).astimezone(UTC), (end + up_to_the_grain).astimezone(UTC))


def _months(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Beginnings of months, from one at or before `start` to one at or after `end`."""
    day, last = (start.astimezone(zone).date() - DAY).replace(day=1), end.astimezone(zone).date() + 32 * DAY
    while day <= last:
        yield _beginning_of(day, zone)
        day = (day + 31 * DAY).replace(day=1)


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
    before = (instant - QUARTER).astimezone(zone).utcoffset()
    while instant <= end + 3 * HOUR:
        shown = instant.astimezone(zone)
        offset = shown.utcoffset()
        if shown.minute == 0 or offset != before:
            yield instant
        following = instant + HOUR
        # From a full hour on whose clocks show the same an hour later nothing begins before that: no zone has ever
        # changed its clocks and changed them back within an hour.
        is_plain = shown.minute == 0 and following.astimezone(zone).utcoffset() == offset
        before, instant = offset, following if is_plain else instant + QUARTER


def _minutes(start: datetime, end: datetime, _: ZoneInfo) -> Iterator[datetime]:
    instant, last = whole(start, end, grain=MINUTE)
    while instant <= last:
        yield instant
        instant += MINUTE


BOUNDARIES: Mapping[Interval, Callable[[datetime, datetime, ZoneInfo], Iterator[datetime]]] = {
    Interval.MINUTE: _minutes,
    Interval.HOUR: _hours,
    Interval.DAY: _days,
    Interval.MONTH: _months,
}
