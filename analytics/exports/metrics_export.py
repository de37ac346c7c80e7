"""The export of metrics: what may be asked of it, and a row for each period and group.

It is read in chunks of time, each a query of its own, so that neither a query nor what is kept of it grows with the
range; grouped by consumer, of whom there may be very many, in ranges of them besides.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from analytics.exports.fields import METRIC_FIELDS
from analytics.exports.filters import Filter, all_of, ids_meant, names_any, read_filters
from analytics.exports.metrics_sums import (
    CONSUMERS_AT_ONCE,
    GROUPS,
    MINUTES,
    QUARTERS,
    TOTALS,
    Consumers,
    Group,
    Reading,
    Sums,
    Table,
    chunks,
    ranges_of_consumers,
)
from analytics.exports.parsing import BadExport, at, moment, names_of, one_of, time_range, time_zone
from analytics.exports.writing import Page, Row
from analytics.models import App, Record
from analytics.partitions import traffic_kept_since
from analytics.periods import MINUTE, Interval, TimePeriod, periods, whole
from analytics.selection import environments_of
from analytics.sources import in_force

UTC: Final = ZoneInfo("UTC")
PERCENTILE: Final = "response_time_p"
MONTH_MAX: Final = timedelta(days=32)
CHUNKS_OF_A_RANGE: Final = 7
# What stands in the sums for "none"; a status of 0 is one.
NONE: Final[Mapping[str, object]] = {"consumer_id": 0, "env": "", "path": "", "method": ""}


class Kept(NamedTuple):
    """For how long traffic is kept."""

    minute_days: int
    months: int


@dataclass(frozen=True, slots=True)
class MetricsExport:
    """Of [since, until), which begins with what is kept and ends now at the latest. Without an interval it is one
    period. `group_by` and `metrics` stand in the order asked for.
    """

    since: datetime
    until: datetime
    metrics: tuple[str, ...]
    interval: Interval | None = None
    group_by: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    zone: ZoneInfo = UTC

    @property
    def table(self) -> Table:
        if self.interval is Interval.MINUTE:
            return MINUTES
        by_consumer = "consumer_id" in self.group_by or names_any(self.filters, "consumer_id")
        return QUARTERS if by_consumer else TOTALS

    def periods(self) -> Iterator[TimePeriod]:
        """Those that the range touches, each as a whole."""
        if self.since >= self.until:
            return iter(())
        if self.interval is None:
            return iter([whole(self.since, self.until, grain=self.table.grain)])
        return periods(self.since, self.until, interval=self.interval, zone=self.zone)


def read_metrics_export(given: Mapping[str, object], *, now: datetime, kept: Kept) -> MetricsExport:
    """Errors: BadExport. What is not known is ignored."""
    with at("timezone"):
        zone = time_zone(given.get("timezone", "UTC"))
    with at("since"):
        since = moment(given.get("since"), zone=zone)
    with at("until"):
        until = moment(given["until"], zone=zone) if "until" in given else now
    time_range(since, until)
    with at("metrics"):
        metrics = names_of(given.get("metrics"), METRICS)
        if not metrics:
            raise BadExport("Give a metric at least.")
    with at("interval"):
        interval = Interval(one_of(given["interval"], list(Interval))) if "interval" in given else None
    if interval is Interval.MINUTE and since < now - timedelta(days=kept.minute_days):
        raise BadExport(f"Traffic by the minute is kept for {kept.minute_days} days.", "since")
    with at("group_by"):
        group_by = names_of(given.get("group_by", []), METRIC_FIELDS)
    with at("filters"):
        filters = read_filters(given.get("filters", []), METRIC_FIELDS)
    since = max(since, traffic_kept_since(now, months=kept.months))
    return MetricsExport(since, min(until, now), tuple(metrics), interval, tuple(group_by), filters, zone)


def pages_of(export: MetricsExport, app: App, *, now: datetime) -> Iterator[Page]:
    """In order of period and group. Three SELECTs at once, one for each page.

    Without groups every period has a row, with groups those that occurred.
    """
    # A period reaches beyond the range.
    start, end = export.since - MONTH_MAX, export.until + MONTH_MAX
    tiles = in_force(environments_of(app), record=Record.TRAFFIC, start=start, end=end)
    groups = tuple(name for name in GROUPS if name in export.group_by)
    with_durations = any(name.startswith(PERCENTILE) for name in export.metrics)
    named = ids_meant(export.filters, "consumer_id")
    reading = Reading(app.pk, export.table, groups, all_of(export.filters), tiles, with_durations, named)
    ranges: list[Consumers | None] = [None]
    are_few = named is not None and len(named) <= CONSUMERS_AT_ONCE
    if "consumer_id" in groups and not are_few and len(found := ranges_of_consumers(app)) > 1:
        ranges = [*found]
    return _pages(export, reading, ranges, now=now)


def _pages(export: MetricsExport, reading: Reading, ranges: list[Consumers | None], *, now: datetime) -> Iterator[Page]:
    # Each of several ranges would show all periods of a run: then a run is one period, for rows are in order of time.
    # Of few consumers longer chunks are read, for they stand together in an index.
    chunk_length = reading.table.chunk
    run_length = chunk_length
    if len(ranges) > 1:
        chunk_length, run_length = CHUNKS_OF_A_RANGE * chunk_length, timedelta()
    for run in _runs(export.periods(), run_length):
        for consumers in ranges:
            sums: dict[Group, Sums] = defaultdict(Sums)
            for chunk in chunks(run[0].start, run[-1].end, chunk_length):
                for group, found in reading.sums(run, chunk, consumers):
                    sums[group].add(found)
                yield Page([], chunk.end)
            if not reading.groups:
                sums = {Group(number, ()): sums[Group(number, ())] for number in range(len(run))}
            rows = [_row(export, reading.groups, run[group.period], group, sums[group], now) for group in sorted(sums)]
            yield Page(rows, run[-1].end)


def _runs(periods: Iterable[TimePeriod], length: timedelta) -> Iterator[list[TimePeriod]]:
    """Of the periods those together that begin within this length of the first."""
    run: list[TimePeriod] = []
    for period in periods:
        if run and period.start >= run[0].start + length:
            yield run
            run = []
        run.append(period)
    if run:
        yield run


def _row(
    export: MetricsExport, groups: tuple[str, ...], period: TimePeriod, group: Group, sums: Sums, now: datetime
) -> Row:
    values = {
        name: None if value == NONE.get(name) else value for name, value in zip(groups, group.values, strict=True)
    }
    minutes = max(1.0, (min(period.end, now) - period.start) / MINUTE)
    return {
        "period_start": f"{period.start:%Y-%m-%dT%H:%M:%SZ}",
        "period_end": f"{period.end:%Y-%m-%dT%H:%M:%SZ}",
        **{name: values[name] for name in export.group_by},
        **{name: METRICS[name](sums, minutes) for name in export.metrics},
    }


def _error_rate(sums: Sums, _: float) -> float:
    return (sums.client_errors + sums.server_errors) / sums.requests if sums.requests else 0.0


def _percentile(percent: int, sums: Sums, _: float) -> int | None:
    seconds = sums.durations.percentile(percent)
    return None if seconds is None else round(seconds * 1000)


# Of the sums, and of the minutes of the period that have passed.
METRICS: Final[Mapping[str, Callable[[Sums, float], Any]]] = {
    "requests": lambda sums, _: sums.requests,
    "requests_per_minute": lambda sums, minutes: sums.requests / minutes,
    "bytes_received": lambda sums, _: sums.bytes_received,
    "bytes_sent": lambda sums, _: sums.bytes_sent,
    "client_errors": lambda sums, _: sums.client_errors,
    "server_errors": lambda sums, _: sums.server_errors,
    "error_rate": _error_rate,
    **{f"{PERCENTILE}{percent}": partial(_percentile, percent) for percent in (50, 75, 90, 95, 99)},
}
