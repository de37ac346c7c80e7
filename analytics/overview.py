"""What goes on among apps: requests, errors and response times of all accounts or one, who called, how far it is told.

From the sums by quarter hour, of each environment's source in force; endpoints that staff left out are left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import QueryCanceled

from analytics.histograms import Histogram, unpack
from analytics.models import Consumer, Environment
from analytics.statistics.environments import ClassRow, by_class, durations, scope_of
from analytics.statistics.sampling import every_of
from keys.overview import Count

# How long a page waits for each of its two sums, rather than for all of it.
PATIENCE_MS: Final = 250
CONSUMERS_MAX: Final = 100_000


class TooMuchError(Exception):
    """It is not added up in time: ask for a shorter period, or one account."""


@dataclass(slots=True)
class Traffic:
    """Errors are without those that are expected of their endpoint. Durations are those that were told, in seconds."""

    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    durations: Histogram = field(default_factory=Histogram)

    @property
    def errors(self) -> int:
        return self.client_errors + self.server_errors

    def add(self, other: "Traffic") -> None:
        self.requests += other.requests
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.durations.merge(other.durations)

    def percentile_ms(self, percent: float) -> float | None:
        seconds = self.durations.percentile(percent)
        return None if seconds is None else round(seconds * 1_000, 2)


class Added(NamedTuple):
    """`every`: durations are those of every so-many-th quarter hour; 1 = of all."""

    tiles: list[Traffic]
    every: int


@dataclass(frozen=True, slots=True)
class Told:
    """How far traffic is told: nothing before `until` is still on its way here. Lags in seconds; 0 when all is done."""

    until: datetime
    fold_lag_s: float
    inbox_lag_s: float


def environments_of(account_id: int | None) -> list[Environment]:
    """With their apps. One SELECT."""
    rows = Environment.objects.order_by("pk")
    return list(rows if account_id is None else rows.filter(app__account=account_id))


def traffic_in(environments: Iterable[Environment], starts: Sequence[datetime], end: datetime) -> Added:
    """Of each of these starts of tiles, whole quarter hours, the last of which ends at `end`. Four SELECTs.

    Errors: TooMuchError after PATIENCE_MS.
    """
    scope = scope_of(environments, start=starts[0], end=end)
    tiles, buckets = [Traffic() for _ in starts], 0
    with _patience() as cursor:
        cursor.execute(*by_class(scope, starts))
        for row in map(ClassRow._make, cursor.fetchall()):
            tiles[row.tile - 1].add(Traffic(row.requests, row.client_errors, row.server_errors))
            buckets += row.buckets
        every = every_of(buckets)
        cursor.execute(*durations(scope, starts, every=every))
        for tile, packed in cursor.fetchall():
            tiles[tile - 1].durations = unpack(packed)
    return Added(tiles, every)


@contextmanager
def _patience() -> Iterator[CursorWrapper]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
            yield cursor
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMuchError from error
        raise


def total(traffic: Iterable[Traffic]) -> Traffic:
    summed = Traffic()
    for each in traffic:
        summed.add(each)
    return summed


def active_consumers(environments: Iterable[Environment], since: datetime) -> Count:
    """Who called since then. One SELECT, of an index for each app."""
    app_ids = {environment.app_id for environment in environments}
    called = Consumer.objects.filter(app__in=app_ids, last_request_at__gte=since)
    number = called.order_by()[:CONSUMERS_MAX].count()
    return Count(number, is_cut=number == CONSUMERS_MAX)


def told_until(now: datetime, *, drained_until: datetime, fold_lag_s: float, received: datetime | None) -> Told:
    """Of traffic: it lacks what is not drained, not folded, or in the inbox, whose oldest report was `received`."""
    inbox_lag_s = 0.0 if received is None else max(0.0, (now - received).total_seconds())
    behind = timedelta(seconds=max(fold_lag_s, inbox_lag_s))
    return Told(min(now - behind, drained_until), fold_lag_s, inbox_lag_s)
