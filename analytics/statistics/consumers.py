"""Who called an app within a slice: how often, with how many errors, who of them is new, and by which group."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.db import connection

from analytics.models import Consumer, ConsumerGroup
from analytics.statistics.slices import Slice
from analytics.statistics.sums import COUNTED, SUMMED, Sums
from analytics.traffic import SUM_MAX

CONSUMERS_ON_A_PAGE, PAGES_MAX, GROUPS_MAX = 50, 200, 20


class Order(StrEnum):
    """By what consumers are ordered; ties by id, so that pages neither repeat nor miss one."""

    REQUESTS = "requests"
    ERRORS = "errors"
    NEWEST = "last"


# A consumer is new when its first request of all, whichever environment it came in, lies within the slice.
CONSUMERS: Final = """
WITH summed AS MATERIALIZED (
  SELECT consumer_id, {summed}, max(quarter) AS newest {counted} GROUP BY consumer_id),
known AS MATERIALIZED (
  SELECT summed.*, c.group_id, c.id IS NOT NULL AS is_known, coalesce(c.first_request_at >= %s, FALSE) AS is_new
    FROM summed LEFT JOIN analytics_consumer AS c ON c.id = summed.consumer_id),
page AS (
  SELECT *, row_number() OVER (ORDER BY {order} DESC, consumer_id) AS place FROM known
   ORDER BY place LIMIT %s OFFSET %s),
grouped AS (
  SELECT group_id, {totals}, count(*) FILTER (WHERE is_known) AS consumers, count(*) FILTER (WHERE is_new) AS new,
         max(newest) AS newest
    FROM known GROUP BY GROUPING SETS ((), (group_id)) HAVING grouping(group_id) = 1 OR group_id IS NOT NULL
   ORDER BY grouping(group_id) DESC, sum(requests) DESC, group_id LIMIT %s)
SELECT 'consumer', consumer_id, requests, bytes_received, bytes_sent, client_errors, server_errors,
       is_known::int, is_new::int, newest, place FROM page
UNION ALL
SELECT CASE WHEN group_id IS NULL THEN 'all' ELSE 'group' END, group_id, requests, bytes_received, bytes_sent,
       client_errors, server_errors, consumers, new, newest,
       row_number() OVER (ORDER BY requests DESC NULLS LAST, group_id) FROM grouped
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


@dataclass(slots=True)
class Callers:
    """A page of consumers; and of all of them, how many there are and who of them is new."""

    page: list[ConsumerSums] = field(default_factory=list)
    groups: list[GroupSums] = field(default_factory=list)
    total: Sums = field(default_factory=Sums)
    consumers: int = 0
    new: int = 0
    has_more: bool = False

    @property
    def returning(self) -> int:
        return self.consumers - self.new


def callers(slice_: Slice, *, order: Order = Order.REQUESTS, page: int = 0) -> Callers:
    """Pages are counted from 0, up to PAGES_MAX; groups without a request are left out. Two SELECTs, three with groups.

    Consumers are summed before they are ordered, so that a later page costs what the first one does.
    """
    rows = _rows(slice_, order, page)
    found = Callers()
    names = ConsumerGroup.objects.in_bulk([row[1] for row in rows if row[0] == "group"])
    consumers = Consumer.objects.select_related("group").in_bulk([row[1] for row in rows if row[0] == "consumer"])
    for kind, pk, *columns, known, new, newest, _ in rows:
        sums = Sums(*columns)
        match kind:
            case "consumer":
                found.page.append(ConsumerSums(consumers.get(pk), sums, bool(new), newest))
            case "group":
                found.groups.append(GroupSums(str(names.get(pk, "")), sums, known, new))
            case _:
                found.total, found.consumers, found.new = sums, known, new
    found.has_more = len(found.page) > CONSUMERS_ON_A_PAGE
    del found.page[CONSUMERS_ON_A_PAGE:]
    return found


def _rows(slice_: Slice, order: Order, page: int) -> list[tuple[Any, ...]]:
    where = slice_.rows(by_consumer=True)
    statement = CONSUMERS.format(
        summed=SUMMED.format(most=SUM_MAX),
        counted=COUNTED.format(table=where.table, rows=where.sql),
        order=ORDERS[order],
        totals=TOTALS,
    )
    bounds = [CONSUMERS_ON_A_PAGE + 1, min(max(page, 0), PAGES_MAX) * CONSUMERS_ON_A_PAGE, GROUPS_MAX + 1]
    with connection.cursor() as cursor:
        cursor.execute(statement, [*where.arguments, slice_.start, *bounds])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
