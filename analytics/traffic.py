"""What an app's traffic adds up to in each period: summed by quarter hour in SQL, folded into periods here."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from analytics.models import Record
from analytics.periods import TimePeriod
from analytics.selection import Selection
from analytics.sources import in_force, predicate

# Of consumers only one table knows; that of the totals is smaller by as many rows as an endpoint has consumers; where
# neither endpoints nor statuses are asked for, a row for each environment says it all.
BY_CONSUMER, TOTALS = "analytics_trafficquarter", "analytics_trafficquartertotal"
# A sum that a hostile report drove beyond a bigint stays at its highest value.
SUM_MAX = 2**63 - 1
QUARTERS = """
SELECT extract(epoch FROM quarter)::bigint,
       greatest(0, least(sum(requests), {most}))::bigint, greatest(0, least(sum(bytes_received), {most}))::bigint,
       greatest(0, least(sum(bytes_sent), {most}))::bigint
  FROM ({rows}) AS counted
 GROUP BY quarter ORDER BY quarter
"""
ROWS = """SELECT quarter, requests, bytes_received, bytes_sent
          FROM {table}
         WHERE app_id = %s AND quarter >= %s AND quarter < %s AND {sources} AND {selected}"""
OF_ENVIRONMENTS = """SELECT quarter, requests, bytes_received, bytes_sent
          FROM analytics_environmentquarter
         WHERE app_id = %s AND quarter >= %s AND quarter < %s AND {sources}"""
# Endpoints that staff left out are in an environment's sums (up to a bigint): they are taken off again.
EXCLUDED = """
         UNION ALL
        SELECT quarter, -requests, -bytes_received, -bytes_sent
          FROM analytics_trafficquartertotal
         WHERE app_id = %s AND quarter >= %s AND quarter < %s AND {sources} AND endpoint_id = ANY(%s)"""


class QuarterSum(NamedTuple):
    """`at` is the quarter hour's start in Unix seconds: tens of thousands are read for a year."""

    at: int
    requests: int
    bytes_received: int
    bytes_sent: int


class PeriodSum(NamedTuple):
    period: TimePeriod
    requests: int
    bytes_received: int
    bytes_sent: int


def by_period(selection: Selection, periods: Sequence[TimePeriod]) -> list[PeriodSum]:
    """A sum for each of these periods, which tile time. Two SELECTs; one row is read for each quarter hour."""
    if not periods or selection.is_empty:
        return fold([], periods)
    return fold(_quarters(selection, periods[0].start, periods[-1].end), periods)


def fold(quarters: Iterable[QuarterSum], periods: Iterable[TimePeriod]) -> list[PeriodSum]:
    """Both in order; a period without traffic has zeros. A quarter hour belongs to the period that holds its start."""
    rest = iter(quarters)
    quarter = next(rest, None)
    folded = []
    for period in periods:
        start, end = period.start.timestamp(), period.end.timestamp()
        requests = received = sent = 0
        while quarter is not None and quarter.at < end:
            if quarter.at >= start:
                requests += quarter.requests
                received += quarter.bytes_received
                sent += quarter.bytes_sent
            quarter = next(rest, None)
        folded.append(PeriodSum(period, requests, received, sent))
    return folded


def _quarters(selection: Selection, start: datetime, end: datetime) -> list[QuarterSum]:
    statement, arguments = quarters_statement(selection, start=start, end=end)
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return [QuarterSum(*row) for row in cursor.fetchall()]


def quarters_statement(selection: Selection, *, start: datetime, end: datetime) -> tuple[str, list[Any]]:
    """The sums of [start, end) by quarter hour, of each environment's source in force. One SELECT to know those."""
    tiles = in_force(selection.environments, record=Record.TRAFFIC, start=start, end=end)
    sources, of_sources = predicate(tiles, time="quarter")
    of_range = [selection.app_id, start, end, *of_sources]
    if selection.is_whole:
        rows, arguments = OF_ENVIRONMENTS, of_range
        if selection.excluded:
            rows, arguments = rows + EXCLUDED, [*of_range, *of_range, list(selection.excluded)]
        return QUARTERS.format(most=SUM_MAX, rows=rows.format(sources=sources)), arguments
    selected, of_selection = selection.predicate()
    table = TOTALS if selection.consumer_id is None else BY_CONSUMER
    rows = ROWS.format(table=table, sources=sources, selected=selected)
    return QUARTERS.format(most=SUM_MAX, rows=rows), [*of_range, *of_selection]
