"""What environments add up to, whatever was called and by whom: over time, by class of status, and how long it took.

Read from a few rows for each quarter hour. What staff left out, or expect as errors, is taken off again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from analytics.models import TAKEN_OFF, Endpoint, Environment, Record
from analytics.sources import InForce, in_force, predicate
from analytics.statistics.sampling import IN_SAMPLE
from analytics.traffic import SUM_MAX

COUNT_MAX: Final = 2**48 - 1
WHEN: Final = "app_id = ANY(%s) AND quarter >= %s AND quarter < %s AND {sources}"
AMOUNTS: Final = ("requests", "bytes_received", "bytes_sent", "client_errors", "server_errors")
ALL: Final = """
SELECT quarter, status_class, requests, bytes_received, bytes_sent,
       CASE status_class WHEN 4 THEN requests ELSE 0 END AS client_errors,
       CASE status_class WHEN 5 THEN requests ELSE 0 END AS server_errors,
       cardinality(durations) AS buckets
  FROM analytics_environmentquarter WHERE {when}"""
LEFT_OUT: Final = """
 UNION ALL
SELECT quarter, status_code / 100, -requests, -bytes_received, -bytes_sent,
       CASE status_code / 100 WHEN 4 THEN -requests ELSE 0 END,
       CASE status_code / 100 WHEN 5 THEN -requests ELSE 0 END, 0
  FROM analytics_trafficquartertotal WHERE {when} AND endpoint_id = ANY(%s)"""
EXPECTED: Final = """
 UNION ALL
SELECT quarter, status_code / 100, 0, 0, 0,
       CASE status_code / 100 WHEN 4 THEN -requests ELSE 0 END,
       CASE status_code / 100 WHEN 5 THEN -requests ELSE 0 END, 0
  FROM analytics_trafficquartertotal
 WHERE {when} AND (endpoint_id, status_code) IN (SELECT * FROM unnest(%s::bigint[], %s::int[]))"""
# The number, from 1, of the period that holds a quarter hour; its argument are their starts.
IN_PERIOD: Final = "width_bucket(quarter, %s::timestamptz[])"
BY_CLASS: Final = """
SELECT {tile}, status_class, {amounts}, sum(buckets)::bigint FROM ({rows}) AS summed GROUP BY 1, 2
"""
DURATIONS: Final = """
SELECT tile, array_agg(bucket + count)
  FROM (SELECT tile, (packed >> 48) << 48 AS bucket,
               least(sum(sign * (packed & {most})), {most})::bigint AS count
          FROM ({rows}) AS told CROSS JOIN unnest(durations) AS packed GROUP BY 1, 2) AS buckets
 WHERE count > 0 GROUP BY tile
"""
TOLD: Final = """
SELECT {tile} AS tile, {sign} AS sign, durations FROM {table}
 WHERE {when} AND {in_sample}"""


class ClassRow(NamedTuple):
    """Of one tile (the first is 1) and class of status. Errors are without those that are expected of their endpoint.

    `buckets` says how many buckets of durations it was read from.
    """

    tile: int
    status_class: int
    requests: int
    bytes_received: int
    bytes_sent: int
    client_errors: int
    server_errors: int
    buckets: int


@dataclass(frozen=True, slots=True)
class Scope:
    """These environments' sources in force in [start, end), which are quarter hours; of which endpoints something is
    taken off, and of which apps those are. `expected` are pairs of endpoint and status."""

    app_ids: list[int]
    start: datetime
    end: datetime
    tiles: list[InForce]
    left_out: list[int]
    expected: list[tuple[int, int]]
    apps_with_either: list[int]

    def when(self, app_ids: list[int]) -> tuple[str, list[Any]]:
        """SQL over a table of quarter hours, and its arguments."""
        sources, of_sources = predicate(self.tiles, time="quarter")
        return WHEN.format(sources=sources), [app_ids, self.start, self.end, *of_sources]


def scope_of(environments: Iterable[Environment], *, start: datetime, end: datetime) -> Scope:
    """Two SELECTs."""
    environments = list(environments)
    app_ids = sorted({environment.app_id for environment in environments})
    tiles = in_force(environments, record=Record.TRAFFIC, start=start, end=end)
    taken_off = list(Endpoint.objects.filter(TAKEN_OFF, app__in=app_ids))
    return Scope(
        app_ids,
        start,
        end,
        tiles,
        [endpoint.pk for endpoint in taken_off if endpoint.is_excluded],
        [(each.pk, status) for each in taken_off if not each.is_excluded for status in each.expected_statuses],
        sorted({endpoint.app_id for endpoint in taken_off}),
    )


def by_class(scope: Scope, starts: Sequence[datetime]) -> tuple[str, list[Any]]:
    """A statement whose rows are ClassRow's, and its arguments; the tiles, which cover the scope, begin at `starts`."""
    when, arguments = scope.when(scope.app_ids)
    _, of_totals = scope.when(scope.apps_with_either)
    rows = ALL
    if scope.left_out:
        rows, arguments = rows + LEFT_OUT, [*arguments, *of_totals, scope.left_out]
    if scope.expected:
        endpoint_ids, statuses = zip(*scope.expected, strict=True)
        rows, arguments = rows + EXPECTED, [*arguments, *of_totals, list(endpoint_ids), list(statuses)]
    amounts = ", ".join(f"greatest(0, least(sum({amount}), {SUM_MAX}))::bigint" for amount in AMOUNTS)
    return BY_CLASS.format(tile=IN_PERIOD, amounts=amounts, rows=rows.format(when=when)), [list(starts), *arguments]


def durations(scope: Scope, starts: Sequence[datetime], *, every: int = 1) -> tuple[str, list[Any]]:
    """A statement that gives each tile's packed histogram, of every so-many-th quarter hour; and its arguments."""
    when, of_time = scope.when(scope.app_ids)
    told = TOLD.format(tile=IN_PERIOD, sign=1, table="analytics_environmentquarter", when=when, in_sample=IN_SAMPLE)
    arguments = [list(starts), *of_time, every]
    if scope.left_out:
        _, of_totals = scope.when(scope.apps_with_either)
        off = TOLD.format(
            tile=IN_PERIOD, sign=-1, table="analytics_trafficquartertotal", when=when, in_sample=IN_SAMPLE
        )
        told += f" UNION ALL {off} AND endpoint_id = ANY(%s)"
        arguments += [list(starts), *of_totals, every, scope.left_out]
    return DURATIONS.format(most=COUNT_MAX, rows=told), arguments
