"""Who called an app within a slice: how often, with how many errors, who of them is new, by which group, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from django.db import connection

from analytics.models import Consumer, ConsumerGroup
from analytics.periods import TimePeriod
from analytics.statistics.slices import Slice
from analytics.statistics.sums import COUNTED, IN_PERIOD, SUMMED, Sums
from analytics.traffic import SUM_MAX

CONSUMERS_ON_A_PAGE, PAGES_MAX, GROUPS_MAX = 50, 200, 20


class Order(StrEnum):
    """By what consumers are ordered; ties by id, so that pages neither repeat nor miss one."""

    REQUESTS = "requests"
    ERRORS = "errors"
    NEWEST = "last"


# A consumer is new when its first request of all, whichever environment it came in, lies within the slice; and new in
# a period when it lies in that one. The rows are read once: who called in a period is what they are summed from.
CONSUMERS: Final = """
WITH active AS MATERIALIZED (
  SELECT consumer_id, {in_period} AS period, {summed}, max(quarter) AS newest {counted} GROUP BY 1, 2),
summed AS (SELECT consumer_id, {totals}, max(newest) AS newest FROM active GROUP BY consumer_id),
known AS MATERIALIZED (
  SELECT summed.*, c.group_id, c.id IS NOT NULL AS is_known,
         coalesce(width_bucket(c.first_request_at, %s::timestamptz[]), 0) AS first_period
    FROM summed LEFT JOIN analytics_consumer AS c ON c.id = summed.consumer_id),
page AS (
  SELECT *, row_number() OVER (ORDER BY {order} DESC, consumer_id) AS place FROM known
   ORDER BY place LIMIT %s OFFSET %s),
grouped AS (
  SELECT group_id, {totals}, count(*) FILTER (WHERE is_known) AS consumers,
         count(*) FILTER (WHERE first_period > 0) AS new,
         max(newest) AS newest
    FROM known GROUP BY GROUPING SETS ((), (group_id)) HAVING grouping(group_id) = 1 OR group_id IS NOT NULL
   ORDER BY grouping(group_id) DESC, sum(requests) DESC, group_id LIMIT %s),
by_period AS (
  SELECT period, count(*) AS consumers, count(*) FILTER (WHERE first_period >= period) AS new
    FROM active JOIN known USING (consumer_id) WHERE is_known GROUP BY period)
SELECT 'consumer', consumer_id, requests, bytes_received, bytes_sent, client_errors, server_errors,
       is_known::int, (first_period > 0)::int, newest, place FROM page
UNION ALL
SELECT CASE WHEN group_id IS NULL THEN 'all' ELSE 'group' END, group_id, requests, bytes_received, bytes_sent,
       client_errors, server_errors, consumers, new, newest,
       row_number() OVER (ORDER BY requests DESC NULLS LAST, group_id) FROM grouped
UNION ALL
SELECT 'period', period, 0, 0, 0, 0, 0, consumers, new, NULL, 0 FROM by_period
 ORDER BY 11
"""
TOTALS: Final = ", ".join(
    f"least(coalesce(sum({name}), 0), {SUM_MAX})::bigint AS {name}"
    for name in ("requests", "bytes_received", "bytes_sent", "client_errors", "server_errors")
)
ORDERS: Final = {
    Order.REQUESTS: "requests",
    Order.ERRORS: "client_errors + server_errors",
    Order.NEWEST: "newest",
}


@dataclass(frozen=True, slots=True)
class ConsumerSums:
    """`consumer` is None for requests that named nobody, or whom nobody knows any more."""

    consumer: Consumer | None
    sums: Sums
    is_new: bool
    last_quarter: datetime


@dataclass(frozen=True, slots=True)
class GroupSums:
    name: str
    sums: Sums
    consumers: int
    new: int


class PeriodCallers(NamedTuple):
    """How many consumers called within a period: for the first time ever, or not."""

    new: int = 0
    returning: int = 0


@dataclass(slots=True)
class Callers:
    """A page of consumers; and of all of them, how many there are and who of them is new."""

    page: list[ConsumerSums] = field(default_factory=list)
    groups: list[GroupSums] = field(default_factory=list)
    by_period: list[PeriodCallers] = field(default_factory=list)
    total: Sums = field(default_factory=Sums)
    consumers: int = 0
    new: int = 0
    has_more: bool = False

    @property
    def returning(self) -> int:
        return self.consumers - self.new


def callers(slice_: Slice, periods: Sequence[TimePeriod], *, order: Order = Order.REQUESTS, page: int = 0) -> Callers:
    """Of these periods, which tile time and begin and end with the slice. Two SELECTs, three with groups.

    Pages are counted from 0, up to PAGES_MAX; groups without a request are left out. Consumers are summed before they
    are ordered, so that a later page costs what the first one does.
    """
    rows = _rows(slice_, periods, order, page)
    found = Callers(by_period=[PeriodCallers()] * len(periods))
    names = ConsumerGroup.objects.in_bulk([row[1] for row in rows if row[0] == "group"])
    consumers = Consumer.objects.select_related("group").in_bulk([row[1] for row in rows if row[0] == "consumer"])
    for kind, pk, *columns, known, new, newest, _ in rows:
        sums = Sums(*columns)
        match kind:
            case "consumer":
                found.page.append(ConsumerSums(consumers.get(pk), sums, bool(new), newest))
            case "group":
                found.groups.append(GroupSums(str(names.get(pk, "")), sums, known, new))
            case "period":
                found.by_period[pk - 1] = PeriodCallers(new, known - new)
            case _:
                found.total, found.consumers, found.new = sums, known, new
    found.has_more = len(found.page) > CONSUMERS_ON_A_PAGE
    del found.page[CONSUMERS_ON_A_PAGE:]
    return found


def _rows(slice_: Slice, periods: Sequence[TimePeriod], order: Order, page: int) -> list[tuple[Any, ...]]:
    where, starts = slice_.rows(by_consumer=True), [period.start for period in periods]
    statement = CONSUMERS.format(
        in_period=IN_PERIOD,
        summed=SUMMED.format(most=SUM_MAX),
        counted=COUNTED.format(table=where.table, rows=where.sql),
        order=ORDERS[order],
        totals=TOTALS,
    )
    bounds = [CONSUMERS_ON_A_PAGE + 1, min(max(page, 0), PAGES_MAX) * CONSUMERS_ON_A_PAGE, GROUPS_MAX + 1]
    with connection.cursor() as cursor:
        cursor.execute(statement, [starts, *where.arguments, starts, *bounds])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
