"""What goes on among apps: requests, errors and response times of all accounts or one, who called, how far it is told.

From the sums by quarter hour, of each environment's source in force; endpoints that staff left out are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from accounts.secrets import Bucket
from analytics.histograms import Histogram, unpack
from analytics.models import Consumer, Environment, FoldPosition, Record
from analytics.sources import in_force, predicate
from keys.events import StreamId
from keys.ledger.following import filed_until, oldest_beyond
from keys.overview import Count

# How long a page waits for traffic to be added up, rather than for all of it.
PATIENCE_MS: Final = 1_000
CONSUMERS_MAX: Final = 100_000
BUCKET_MAX: Final = 2**48 - 1
TRAFFIC = f"""
WITH counted AS MATERIALIZED (
  SELECT width_bucket(t.quarter, %s::timestamptz[]) AS tile, t.requests, t.durations,
         CASE WHEN t.status_code = ANY(e.expected_statuses) THEN 0 ELSE t.status_code / 100 END AS error_class
    FROM analytics_trafficquartertotal AS t LEFT JOIN analytics_endpoint AS e ON e.id = t.endpoint_id
   WHERE t.app_id = ANY(%s) AND t.quarter >= %s AND t.quarter < %s AND e.is_excluded IS NOT TRUE AND {{sources}}),
sums AS (
  SELECT tile, sum(requests)::bigint AS requests, coalesce(sum(requests) FILTER (WHERE error_class = 4), 0)::bigint,
         coalesce(sum(requests) FILTER (WHERE error_class = 5), 0)::bigint
    FROM counted GROUP BY tile),
times AS (
  SELECT tile, array_agg(bucket + count) AS durations
    FROM (SELECT tile, (packed >> 48) << 48 AS bucket, least(sum(packed & {BUCKET_MAX}), {BUCKET_MAX})::bigint AS count
            FROM counted CROSS JOIN unnest(durations) AS packed GROUP BY tile, bucket) AS buckets
   GROUP BY tile)
SELECT * FROM sums LEFT JOIN times USING (tile)
"""  # noqa: S608  # constants alone


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


def traffic_in(environments: Iterable[Environment], starts: Sequence[datetime], end: datetime) -> list[Traffic]:
    """One for each of these starts of tiles, whole quarter hours, the last of which ends at `end`. Two SELECTs.

    Errors: TooMuchError after PATIENCE_MS.
    """
    environments = list(environments)
    tiles = in_force(environments, record=Record.TRAFFIC, start=starts[0], end=end)
    sources, arguments = predicate(tiles, time="t.quarter")
    app_ids = sorted({environment.app_id for environment in environments})
    sums = [Traffic() for _ in starts]
    rows = _patiently(TRAFFIC.format(sources=sources), [list(starts), app_ids, starts[0], end, *arguments])
    for tile, requests, client_errors, server_errors, durations in rows:
        sums[tile - 1] = Traffic(requests, client_errors, server_errors, unpack(durations or ()))
    return sums


def _patiently(statement: str, arguments: list[Any]) -> list[Any]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
            cursor.execute(statement, arguments)
            rows: list[Any] = cursor.fetchall()
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMuchError from error
        raise
    return rows


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


def told_until(now: datetime, *, drained_until: datetime, received: datetime | None) -> Told:
    """Of traffic: it lacks what is not drained, not folded, or in the inbox, whose oldest report was `received`.

    Three SELECTs at most.
    """
    unfolded = _oldest_unfolded()
    return Told(
        until=min(now, drained_until, unfolded or now, received or now),
        fold_lag_s=_age(unfolded, now),
        inbox_lag_s=_age(received, now),
    )


def _oldest_unfolded() -> datetime | None:
    folded = {Bucket(row.bucket): StreamId(row.ms, row.seq) for row in FoldPosition.objects.all()}
    behind = {
        bucket: (folded[bucket], until)
        for bucket, until in filed_until().items()
        if bucket in folded and folded[bucket] < until
    }
    return oldest_beyond(behind)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
