"""Which window of a plan an instant lies in: of the calendar, or counted from an anchor. Pure."""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final


class Period(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


# Where the calendar's windows count from: 1 January of a year that began on a Monday.
CALENDAR: Final = datetime(2001, 1, 1, tzinfo=UTC)
LENGTHS: Final = {Period.DAY: timedelta(days=1), Period.WEEK: timedelta(weeks=1)}
MONTHS: Final = {Period.MONTH: 1, Period.YEAR: 12}


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open: `start` belongs to it, `end` does not. Both aware, UTC."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        return (self.end - self.start) // timedelta(seconds=1)


def window_at(now: datetime, *, period: Period, anchor: datetime | None = None) -> Window:
    """The window that holds `now`. Windows tile time, before the anchor too.

    A month (or year) from an anchor on the 29th to 31st begins on the last day of a month that has no such day; each is
    reckoned from the anchor itself, so that none drifts. Errors: ValueError for a naive datetime, OverflowError or
    ValueError where the window would leave the years 1 to 9999.
    """
    anchor = CALENDAR if anchor is None else anchor
    if now.tzinfo is None or anchor.tzinfo is None:
        raise ValueError("give aware datetimes")
    now, anchor = now.astimezone(UTC), anchor.astimezone(UTC)
    if length := LENGTHS.get(period):
        start = anchor + (now - anchor) // length * length
        return Window(start, start + length)
    step = MONTHS[period]
    months = (now.year - anchor.year) * 12 + now.month - anchor.month
    number = months // step
    if _months_after(anchor, number * step) > now:
        number -= 1
    return Window(_months_after(anchor, number * step), _months_after(anchor, (number + 1) * step))


def following(window: Window, *, period: Period, anchor: datetime | None = None) -> Window:
    """The window that begins where this one ends."""
    return window_at(window.end, period=period, anchor=anchor)


def _months_after(anchor: datetime, months: int) -> datetime:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, last_day))
