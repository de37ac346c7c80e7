"""Of which time a page of the desk tells, by its query; days are those of the reader's zone (accounts.desk.zones).

A view calls `period_of(request, now=...)`, puts it into its context as `period`, and its page says
`{% include "desk/period.html" %}` within its form of filters (by GET).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone

from analytics.periods import DAY, HOUR, QUARTER, Interval, TimePeriod, periods, whole

DEFAULT, CUSTOM = "24h", "custom"
NAMES: Mapping[str, str] = {
    "1h": "Last hour",
    "24h": "Last 24 hours",
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    CUSTOM: "From … to …",
}
LENGTHS: Mapping[str, timedelta] = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
LENGTH_MAX = 400 * DAY
# Longer than the first, a period is shown by the hour; longer than the second, by the day.
BY_QUARTER_MAX, BY_HOUR_MAX = 30 * HOUR, 8 * DAY
FEW_HOURS = 3 * HOUR


@dataclass(frozen=True, slots=True)
class Period:
    """`start` inclusive, `end` exclusive, in UTC. `error`: what was wrong with the query; the default stands then."""

    name: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    error: str = ""

    @property
    def names(self) -> Mapping[str, str]:
        return NAMES

    @property
    def local_start(self) -> str:
        """As an input of kind datetime-local has it."""
        return f"{self.start.astimezone(self.zone):%Y-%m-%dT%H:%M}"

    @property
    def local_end(self) -> str:
        return f"{self.end.astimezone(self.zone):%Y-%m-%dT%H:%M}"

    @property
    def query(self) -> dict[str, str]:
        """What a link to another page of the same period carries."""
        if self.name != CUSTOM:
            return {"period": self.name, "zone": self.zone.key}
        return {"period": CUSTOM, "zone": self.zone.key, "from": self.local_start, "to": self.local_end}

    def tiles(self, *, are_few: bool = False) -> list[TimePeriod]:
        """Quarter hours, hours of the zone or its days, without gaps; the first and last may reach over the ends.

        Few are hours where else were quarter hours, and days where else were hours: of a month 32 at most.
        """
        length = self.end - self.start
        by_quarter_max, by_hour_max = (FEW_HOURS, BY_QUARTER_MAX) if are_few else (BY_QUARTER_MAX, BY_HOUR_MAX)
        if length > by_quarter_max:
            interval = Interval.HOUR if length <= by_hour_max else Interval.DAY
            return list(periods(self.start, self.end, interval=interval, zone=self.zone))
        start, end = whole(self.start, self.end, grain=QUARTER)
        quarters = (end - start) // QUARTER
        return [TimePeriod(start + n * QUARTER, start + (n + 1) * QUARTER) for n in range(quarters)]

    def label(self, tile: TimePeriod) -> str:
        """A tile's beginning as the reader's calendar and clock have it, no longer than is needed."""
        start = tile.start.astimezone(self.zone)
        if tile.end - tile.start > 2 * HOUR:
            return f"{start:%a %d %b}"
        return f"{start:%H:%M}" if self.end - self.start <= DAY else f"{start:%a %d %b %H:%M}"


def period_of(request: HttpRequest, *, now: datetime, default: str = DEFAULT) -> Period:
    zone = ZoneInfo(timezone.get_current_timezone_name())
    name = request.GET.get("period") or default
    if name == CUSTOM:
        return _custom(request, zone, now, default)
    if name not in NAMES:
        return _named(default, zone, now, error="There is no such period.")
    return _named(name, zone, now)


def _named(name: str, zone: ZoneInfo, now: datetime, error: str = "") -> Period:
    today = _midnight(now, zone)
    if name == "today":
        return Period(name, today, now, zone, error)
    if name == "yesterday":
        return Period(name, _midnight(today - HOUR, zone), today, zone, error)
    return Period(name, now - LENGTHS[name], now, zone, error)


def _midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the zone's day began that holds the moment."""
    days = periods(moment, moment + timedelta(microseconds=1), interval=Interval.DAY, zone=zone)
    return next(days).start


def _custom(request: HttpRequest, zone: ZoneInfo, now: datetime, default: str) -> Period:
    start, end = (_moment(request.GET.get(name, ""), zone) for name in ("from", "to"))
    if start is None or end is None:
        return _named(default, zone, now, error="Give both times, such as 2026-03-01T00:00.")
    if not timedelta() < end - start <= LENGTH_MAX:
        return _named(default, zone, now, error=f"Let it end after it begins, at most {LENGTH_MAX.days} days later.")
    return Period(CUSTOM, start, end, zone)


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
