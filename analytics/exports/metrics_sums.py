"""What traffic adds up to in each period and group: which table tells it, and the query of one chunk of time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

from django.db import connection

from analytics.exports.filters import Condition, all_hold
from analytics.histograms import Histogram, unpack
from analytics.models import App
from analytics.partitions import TRAFFIC_MINUTES, TRAFFIC_QUARTER_TOTALS, TRAFFIC_QUARTERS
from analytics.periods import DAY, HOUR, MINUTE, QUARTER, TimePeriod
from analytics.sources import InForce, predicate
from keys.partitions import Partitions

CONSUMERS_AT_ONCE: Final = 250
# Sums that hostile reports drove beyond their type stay at its highest value.
SUM_MAX, BUCKET_MAX = 2**63 - 1, 2**48 - 1

# By what can be grouped, in the order in which groups are sorted. None is null, so that sums and durations are joined
# by equality: 0 is no consumer, '' no path.
GROUPS: Final[Mapping[str, str]] = {
    "consumer_id": "t.consumer_id",
    "env": "coalesce(v.name, '')",
    "path": "coalesce(e.path, '')",
    "method": "coalesce(e.method, '')",
    "status_code": "t.status_code",
}
COUNTED = """
SELECT width_bucket(t.{time}, %s::timestamptz[]) AS period{groups}, t.requests, t.bytes_received, t.bytes_sent,
       CASE WHEN t.status_code = ANY(e.expected_statuses) THEN 0 ELSE t.status_code / 100 END AS error_class,
       t.durations
  FROM {table} AS t
  LEFT JOIN analytics_environment AS v ON v.id = t.environment_id
  LEFT JOIN analytics_endpoint AS e ON e.id = t.endpoint_id
 WHERE t.app_id = %s AND t.{time} >= %s AND t.{time} < %s AND e.is_excluded IS NOT TRUE AND {wanted}
"""
SUMS = """
SELECT {keys},
       least(sum(requests), {most})::bigint AS requests,
       least(sum(bytes_received), {most})::bigint AS bytes_received,
       least(sum(bytes_sent), {most})::bigint AS bytes_sent,
       least(sum(CASE WHEN error_class = 4 THEN requests ELSE 0 END), {most})::bigint AS client_errors,
       least(sum(CASE WHEN error_class = 5 THEN requests ELSE 0 END), {most})::bigint AS server_errors
  FROM counted GROUP BY {keys}
"""
# By bucket first: to merge one array after the other costs several times as much.
DURATIONS = """
SELECT {keys}, array_agg(bucket + count) AS durations
  FROM (SELECT {keys}, (packed >> 48) << 48 AS bucket, least(sum(packed & {most}), {most})::bigint AS count
          FROM counted CROSS JOIN unnest(durations) AS packed GROUP BY {keys}, bucket) AS buckets
 GROUP BY {keys}
"""
# One statement, so that sums and durations are of the same moment.
BOTH = """
WITH counted AS MATERIALIZED ({counted}), sums AS ({sums}), times AS ({durations})
SELECT * FROM sums LEFT JOIN times USING ({keys})
"""
SUMS_ALONE = "WITH counted AS MATERIALIZED ({counted}), sums AS ({sums}) SELECT *, NULL FROM sums"
EVERY_SO_MANY_CONSUMERS = """
SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM analytics_consumer WHERE app_id = %s) AS c
 WHERE place %% %s = 0 ORDER BY id
"""


class Table(NamedTuple):
    """Where traffic stands: by what grain of time, and how much of it one query reads."""

    partitions: Partitions
    time: str
    grain: timedelta
    chunk: timedelta


MINUTES: Final = Table(TRAFFIC_MINUTES, "minute", MINUTE, HOUR)
QUARTERS: Final = Table(TRAFFIC_QUARTERS, "quarter", QUARTER, DAY)
TOTALS: Final = Table(TRAFFIC_QUARTER_TOTALS, "quarter", QUARTER, DAY)  # of all consumers


class Consumers(NamedTuple):
    """Those whose ids lie above `after`, up to `up_to`. 0, "no consumer", counts as one."""

    after: int
    up_to: int


@dataclass(slots=True)
class Sums:
    """Of one group in one period. Errors are without those that are expected of their endpoint."""

    requests: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    client_errors: int = 0
    server_errors: int = 0
    durations: Histogram = field(default_factory=Histogram)

    def add(self, other: "Sums") -> None:
        self.requests += other.requests
        self.bytes_received += other.bytes_received
        self.bytes_sent += other.bytes_sent
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.durations.merge(other.durations)


class Group(NamedTuple):
    """The number of a period, from 0, and its values of what is grouped by."""

    period: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of an app: `groups` in the order of GROUPS, `tiles` of the whole range.

    `consumer_ids` is what the filters leave of the consumers, where they name any: it leads to an index.
    """

    app_id: int
    table: Table
    groups: tuple[str, ...]
    filters: Condition
    tiles: list[InForce]
    with_durations: bool
    consumer_ids: list[int] | None = None

    def sums(
        self, periods: Sequence[TimePeriod], chunk: TimePeriod, consumers: Consumers | None = None
    ) -> Iterator[tuple[Group, Sums]]:
        """What a chunk of these periods, which tile time, adds to each group. One SELECT."""
        statement = self.statement(periods, chunk, consumers)
        with connection.cursor() as cursor:
            cursor.execute(*statement)
            rows = cursor.fetchall()
        width = len(self.groups)
        for period, *columns in rows:
            requests, received, sent, client_errors, server_errors, durations = columns[width:]
            sums = Sums(requests, received, sent, client_errors, server_errors, unpack(durations or ()))
            yield Group(period - 1, tuple(columns[:width])), sums

    def statement(
        self, periods: Sequence[TimePeriod], chunk: TimePeriod, consumers: Consumers | None = None
    ) -> tuple[str, list[Any]]:
        wanted, arguments = self._wanted(chunk, consumers)
        counted = COUNTED.format(
            time=self.table.time,
            table=self.table.partitions.table,
            groups="".join(f", {GROUPS[name]} AS {name}" for name in self.groups),
            wanted=wanted,
        )
        keys = ", ".join(["period", *self.groups])
        statement = (BOTH if self.with_durations else SUMS_ALONE).format(
            counted=counted,
            sums=SUMS.format(keys=keys, most=SUM_MAX),
            durations=DURATIONS.format(keys=keys, most=BUCKET_MAX),
            keys=keys,
        )
        return statement, [[period.start for period in periods], self.app_id, *chunk, *arguments]

    def _wanted(self, chunk: TimePeriod, consumers: Consumers | None) -> Condition:
        sources = Condition(*predicate(_within(self.tiles, chunk), time=f"t.{self.table.time}"))
        conditions = [sources, self.filters]
        if self.consumer_ids is not None:
            conditions.append(Condition("t.consumer_id = ANY(%s)", [self.consumer_ids]))
        if consumers is not None:
            conditions.append(Condition("t.consumer_id > %s AND t.consumer_id <= %s", [*consumers]))
        return all_hold(conditions)


def ranges_of_consumers(app: App) -> list[Consumers]:
    """Of a bounded number each, in order; the last holds those yet to come. One SELECT."""
    with connection.cursor() as cursor:
        cursor.execute(EVERY_SO_MANY_CONSUMERS, [app.pk, CONSUMERS_AT_ONCE])
        bounds = [-1, *(pk for (pk,) in cursor.fetchall()), SUM_MAX]
    return [Consumers(after, up_to) for after, up_to in pairwise(bounds)]


def chunks(start: datetime, end: datetime, length: timedelta) -> Iterator[TimePeriod]:
    """[start, end) in pieces of at most this length."""
    while start < end:
        stop = min(start + length, end)
        yield TimePeriod(start, stop)
        start = stop


def _within(tiles: Iterable[InForce], chunk: TimePeriod) -> list[InForce]:
    return [
        tile._replace(start=max(tile.start, chunk.start), end=min(tile.end, chunk.end))
        for tile in tiles
        if tile.start < chunk.end and tile.end > chunk.start
    ]
