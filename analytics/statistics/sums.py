"""What a slice of traffic adds up to: over time by class of status, by endpoint, and by status of an endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from analytics.periods import TimePeriod
from analytics.statistics.environments import IN_PERIOD, by_class, scope_of
from analytics.statistics.slices import Slice
from analytics.traffic import SUM_MAX

# Statuses that staff expect of an endpoint are no errors there (as in the API's export of metrics).
SUMMED: Final = """
       least(sum(requests), {most})::bigint AS requests,
       least(sum(bytes_received), {most})::bigint AS bytes_received,
       least(sum(bytes_sent), {most})::bigint AS bytes_sent,
       least(sum(CASE WHEN error_class = 4 THEN requests ELSE 0 END), {most})::bigint AS client_errors,
       least(sum(CASE WHEN error_class = 5 THEN requests ELSE 0 END), {most})::bigint AS server_errors"""
COUNTED: Final = """
  FROM {table}
  LEFT JOIN (SELECT id AS known_id, expected_statuses FROM analytics_endpoint) AS known ON known_id = endpoint_id
 CROSS JOIN LATERAL (SELECT CASE WHEN status_code = ANY(expected_statuses) THEN 0 ELSE status_code / 100 END
                         AS error_class) AS judged
 WHERE {rows}"""
BY_KEYS: Final = "SELECT {keys}, {summed}, max(quarter) {counted} GROUP BY {numbers}"


@dataclass(frozen=True, slots=True)
class Sums:
    """Errors are without those that are expected of their endpoint."""

    requests: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    client_errors: int = 0
    server_errors: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.requests + other.requests,
            self.bytes_received + other.bytes_received,
            self.bytes_sent + other.bytes_sent,
            self.client_errors + other.client_errors,
            self.server_errors + other.server_errors,
        )

    @property
    def errors(self) -> int:
        return self.client_errors + self.server_errors

    @property
    def error_percent(self) -> float | None:
        return 100 * self.errors / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class TimeSums:
    """Of one period: of each class of status (2 is 2xx; 0 is none told) what it adds up to."""

    period: TimePeriod
    by_class: dict[int, Sums]

    @property
    def total(self) -> Sums:
        return sum(self.by_class.values(), Sums())


@dataclass(frozen=True, slots=True)
class EndpointSums:
    """`last_quarter` is the start of the newest quarter hour of the slice with a request."""

    endpoint_id: int
    sums: Sums
    last_quarter: datetime


@dataclass(frozen=True, slots=True)
class StatusSums:
    """Of one status of an endpoint; expected ones have requests, but no errors."""

    endpoint_id: int
    status_code: int
    sums: Sums
    last_quarter: datetime


def over_time(slice_: Slice, periods: Sequence[TimePeriod]) -> list[TimeSums]:
    """Of each of these periods, which tile time and cover the slice. Three SELECTs at most."""
    found = [TimeSums(period, {}) for period in periods]
    starts = [period.start for period in periods]
    rows = _of_environments(slice_, starts) if slice_.selection.is_whole else _of_calls(slice_, starts)
    for number, status_class, *columns, _ in rows:
        found[number - 1].by_class[status_class] = Sums(*columns)
    return found


def by_endpoint(slice_: Slice) -> list[EndpointSums]:
    """Those with traffic, the most requests first. One SELECT."""
    rows = _rows(slice_, "endpoint_id")
    found = [EndpointSums(pk, Sums(*columns), newest) for pk, *columns, newest in rows]
    return sorted(found, key=lambda each: (-each.sums.requests, each.endpoint_id))


def by_error_status(slice_: Slice) -> list[StatusSums]:
    """The statuses of 400 and above of each endpoint, the most frequent first. One SELECT."""
    rows = _rows(slice_, "endpoint_id", "status_code", and_sql="status_code >= 400")
    found = [StatusSums(pk, status, Sums(*columns), newest) for pk, status, *columns, newest in rows]
    return sorted(found, key=lambda each: (-each.sums.requests, each.endpoint_id, each.status_code))


def _of_environments(slice_: Slice, starts: list[datetime]) -> list[tuple[Any, ...]]:
    scope = scope_of(slice_.selection.environments, start=slice_.start, end=slice_.end)
    with connection.cursor() as cursor:
        cursor.execute(*by_class(scope, starts))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return [row for row in rows if row[2]]


def _of_calls(slice_: Slice, starts: list[datetime]) -> list[tuple[Any, ...]]:
    return _rows(slice_, IN_PERIOD, "status_code / 100", of_keys=[starts])


def _rows(slice_: Slice, *keys: str, of_keys: Sequence[Any] = (), and_sql: str = "TRUE") -> list[tuple[Any, ...]]:
    """For each value of the keys: it, the columns of Sums, the newest quarter hour."""
    where = slice_.rows()
    statement = BY_KEYS.format(
        keys=", ".join(keys),
        summed=SUMMED.format(most=SUM_MAX),
        counted=COUNTED.format(table=where.table, rows=f"{where.sql} AND {and_sql}"),
        numbers=", ".join(str(number) for number in range(1, len(keys) + 1)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*of_keys, *where.arguments])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
