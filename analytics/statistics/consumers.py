"""Who called an app within a slice: how often, with how many errors, who of them is new, by which group, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from analytics.models import TAKEN_OFF, Consumer, ConsumerGroup, Endpoint
from analytics.periods import TimePeriod
from analytics.statistics.environments import IN_PERIOD
from analytics.statistics.slices import Slice
from analytics.statistics.sums import Sums
from analytics.traffic import SUM_MAX

CONSUMERS_ON_A_PAGE, PAGES_MAX, GROUPS_MAX = 50, 200, 20


class Order(StrEnum):
    """By what consumers are ordered; ties by id, so that pages neither repeat nor miss one."""

    REQUESTS = "requests"
    ERRORS = "errors"
    NEWEST = "last"


# A consumer is new when its first request of all, whichever environment it came in, lies within the slice; and new in
# a period when it lies in that one. In which periods a consumer called is a bit of each: a month of an app may be a
# million rows, which are read and hashed once, by consumer alone.
CONSUMERS: Final = """
WITH summed AS MATERIALIZED (
  SELECT consumer_id, {requests} AS requests, {client_errors} AS client_errors, {server_errors} AS server_errors,
         max(quarter) AS newest, bit_or(1::bigint << {in_period}) AS periods
    FROM {table} WHERE {rows} GROUP BY consumer_id),
known AS MATERIALIZED (
  SELECT summed.*, c.group_id, c.id IS NOT NULL AS is_known,
         coalesce(width_bucket(c.first_request_at, %s::timestamptz[]), 0) AS first_period
    FROM summed LEFT JOIN analytics_consumer AS c ON c.id = summed.consumer_id),
page AS (
  SELECT *, row_number() OVER (ORDER BY {order} DESC, consumer_id) AS place
    FROM (SELECT * FROM known ORDER BY {order} DESC, consumer_id LIMIT %s OFFSET %s) AS found),
grouped AS (
  SELECT group_id, {totals}, count(*) FILTER (WHERE is_known) AS consumers,
         count(*) FILTER (WHERE first_period > 0) AS new, max(newest) AS newest
    FROM known GROUP BY GROUPING SETS ((), (group_id)) HAVING grouping(group_id) = 1 OR group_id IS NOT NULL
   ORDER BY grouping(group_id) DESC, sum(requests) DESC, group_id LIMIT %s),
begun AS (
  SELECT first_period, count(*) AS new FROM known
   WHERE first_period > 0 AND periods >> first_period & 1 = 1 GROUP BY first_period)
SELECT 'consumer', consumer_id, requests, client_errors, server_errors, is_known::int, (first_period > 0)::int, newest,
       place FROM page
UNION ALL
SELECT CASE WHEN group_id IS NULL THEN 'all' ELSE 'group' END, group_id, requests, client_errors, server_errors,
       consumers, new, newest, row_number() OVER (ORDER BY requests DESC NULLS LAST, group_id) FROM grouped
UNION ALL
SELECT 'period', period, 0, 0, 0, consumers, coalesce(new, 0), NULL, 0
  FROM (SELECT ARRAY[{by_period}] AS counts FROM known WHERE is_known) AS active
 CROSS JOIN unnest(counts) WITH ORDINALITY AS of_period (consumers, period)
  LEFT JOIN begun ON first_period = period
 ORDER BY 9
"""
# A bit of a bigint for each period, and one that stays 0.
PERIODS_MAX: Final = 62
CALLED_IN: Final = "count(*) FILTER (WHERE periods >> {period} & 1 = 1)"
TOTALS: Final = ", ".join(
    f"least(coalesce(sum({name}), 0), {SUM_MAX})::bigint AS {name}"
    for name in ("requests", "client_errors", "server_errors")
)
# Added up as floats, which takes half the time of bigints: exact up to 2**53, more than anybody calls; at most MOST.
MOST: Final = 9_200_000_000_000_000_000
ADDED: Final = f"least(coalesce(sum(requests::float8) {{filter}}, 0), {MOST})::bigint"
OF_CLASS: Final = "FILTER (WHERE status_code / 100 = {of}{unexpected})"
UNEXPECTED: Final = " AND (endpoint_id, status_code) NOT IN (SELECT * FROM unnest(%s::bigint[], %s::int[]))"
# With PostgreSQL's usual 4 MB the rows are sorted on disk rather than hashed, which takes twice as long.
WORK_MEM_MB: Final = 32
ORDERS: Final = {
    Order.REQUESTS: "requests",
    Order.ERRORS: "client_errors + server_errors",
    Order.NEWEST: "newest",
}


@dataclass(frozen=True, slots=True)
class ConsumerSums:
    """`consumer` is None for requests that named nobody, or whom nobody knows any more. Sums are without bytes."""

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
    """Of these periods, PERIODS_MAX at most, which tile time and begin and end with the slice. Four SELECTs at most.

    Pages are counted from 0, up to PAGES_MAX; groups without a request are left out. Consumers are summed before they
    are ordered, so that a later page costs what the first one does.
    """
    rows = _rows(slice_, periods, order, page)
    found = Callers(by_period=[PeriodCallers()] * len(periods))
    names = ConsumerGroup.objects.in_bulk([row[1] for row in rows if row[0] == "group"])
    consumers = Consumer.objects.select_related("group").in_bulk([row[1] for row in rows if row[0] == "consumer"])
    for kind, pk, requests, client_errors, server_errors, known, new, newest, _ in rows:
        sums = Sums(requests, client_errors=client_errors, server_errors=server_errors)
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
    if len(periods) > PERIODS_MAX:
        raise ValueError(f"{len(periods)} periods are more than {PERIODS_MAX}.")
    where, starts = slice_.rows(by_consumer=True), [period.start for period in periods]
    expected = _expected(slice_.selection.app_id)
    unexpected = UNEXPECTED if expected else ""
    statement = CONSUMERS.format(
        requests=ADDED.format(filter=""),
        client_errors=ADDED.format(filter=OF_CLASS.format(of=4, unexpected=unexpected)),
        server_errors=ADDED.format(filter=OF_CLASS.format(of=5, unexpected=unexpected)),
        in_period=IN_PERIOD,
        table=where.table,
        rows=where.sql,
        order=ORDERS[order],
        totals=TOTALS,
        by_period=", ".join(CALLED_IN.format(period=number) for number in range(1, len(periods) + 1)),
    )
    bounds = [CONSUMERS_ON_A_PAGE + 1, min(max(page, 0), PAGES_MAX) * CONSUMERS_ON_A_PAGE, GROUPS_MAX + 1]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM_MB}MB'")
        cursor.execute(statement, [*expected, *expected, starts, *where.arguments, starts, *bounds])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _expected(app_id: int) -> tuple[list[int], ...]:
    """Endpoints and the statuses that staff expect of them, side by side; nothing where there are none."""
    rows = Endpoint.objects.filter(TAKEN_OFF, app=app_id, is_excluded=False).values_list("pk", "expected_statuses")
    pairs = [(pk, status) for pk, statuses in rows for status in statuses]
    return tuple(list(column) for column in zip(*pairs, strict=True))
