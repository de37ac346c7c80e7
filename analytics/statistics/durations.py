"""How long the requests of a slice took: over time, of each endpoint, and how the durations are spread."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from django.db import connection

from analytics.histograms import Histogram, unpack
from analytics.periods import TimePeriod
from analytics.statistics.environments import COUNT_MAX, IN_PERIOD
from analytics.statistics.sampling import IN_SAMPLE, every_of
from analytics.statistics.slices import Slice

# By bucket first, and once for both questions: to merge one array after the other costs several times as much.
DURATIONS: Final = """
WITH buckets AS MATERIALIZED (
  SELECT {period} AS period, endpoint_id, (packed >> 48) << 48 AS bucket, sum(packed & {most}) AS count
    FROM {table} CROSS JOIN unnest(durations) AS packed WHERE {rows} AND {in_sample} GROUP BY 1, 2, 3)
SELECT period, NULL::bigint, array_agg(bucket + count)
  FROM (SELECT period, bucket, least(sum(count), {most})::bigint AS count FROM buckets GROUP BY 1, 2) AS by_period
 GROUP BY period
UNION ALL
SELECT NULL, endpoint_id, array_agg(bucket + count)
  FROM (SELECT endpoint_id, bucket, least(sum(count), {most})::bigint AS count FROM buckets GROUP BY 1, 2) AS by_route
 GROUP BY endpoint_id
"""
BUCKETS: Final = "SELECT coalesce(sum(cardinality(durations)), 0)::bigint FROM {table} WHERE {rows}"
# Apdex: who waits no longer is satisfied, up to four times that is bearable. Both are bounds of buckets.
SATISFIED_S, BEARABLE_S = 0.5, 2.0
_SATISFIED, _BEARABLE = -8, 8  # in eighths of a power of two
STEPS_OF_A_BAR: Final = 4  # two bars double


@dataclass(frozen=True, slots=True)
class Durations:
    """In seconds, of the requests whose duration was measured; a period without such has an empty histogram.

    `every`: they are those of every so-many-th quarter hour; 1 = of all.
    """

    by_period: list[Histogram]
    by_endpoint: dict[int, Histogram] = field(default_factory=dict)
    every: int = 1

    @property
    def total(self) -> Histogram:
        total = Histogram()
        for histogram in self.by_period:
            total.merge(histogram)
        return total


class Bar(NamedTuple):
    """Requests that took over `low_s`, up to `high_s`."""

    low_s: float
    high_s: float
    requests: int


def durations(slice_: Slice, periods: Sequence[TimePeriod]) -> Durations:
    """Of these periods, which tile time and cover the slice, and of each endpoint. Two SELECTs."""
    where = slice_.rows()
    with connection.cursor() as cursor:
        cursor.execute(BUCKETS.format(table=where.table, rows=where.sql), where.arguments)
        every = every_of(cursor.fetchone()[0])
        found = Durations([Histogram() for _ in periods], every=every)
        told = {"period": IN_PERIOD, "most": COUNT_MAX, "table": where.table, "rows": where.sql}
        starts = [period.start for period in periods]
        cursor.execute(DURATIONS.format(**told, in_sample=IN_SAMPLE), [starts, *where.arguments, every])
        for number, endpoint_id, packed in cursor.fetchall():
            if endpoint_id is None:
                found.by_period[number - 1] = unpack(packed)
            else:
                found.by_endpoint[endpoint_id] = unpack(packed)
    return found


def bars(histogram: Histogram) -> list[Bar]:
    """Without gaps from the shortest to the longest; what took no time at all belongs to the first."""
    counts: Counter[int] = Counter()
    for index, count in histogram.buckets.items():
        counts[index // STEPS_OF_A_BAR] += count
    if not counts:
        return [Bar(0, 0, histogram.zeros)] if histogram.zeros else []
    first, last = min(counts), max(counts)
    counts[first] += histogram.zeros
    return [Bar(_seconds(index), _seconds(index + 1), counts[index]) for index in range(first, last + 1)]


def apdex(histogram: Histogram) -> float | None:
    """Between 0 and 1; None without durations."""
    if not histogram.count:
        return None
    satisfied = histogram.zeros + _up_to(histogram, _SATISFIED)
    bearable = histogram.zeros + _up_to(histogram, _BEARABLE) - satisfied
    return (satisfied + bearable / 2) / histogram.count


def _up_to(histogram: Histogram, bound: int) -> int:
    return sum(count for index, count in histogram.buckets.items() if index < bound)


def _seconds(bar: int) -> float:
    return float(2 ** (bar * STEPS_OF_A_BAR / 8))
