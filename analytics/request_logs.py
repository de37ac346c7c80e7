"""The request logs of an app, page by page in the order of time, or against it: which index is walked, and how far.

A page walks the index that leads to the fewest rows and looks at a bounded number of them, whatever the filters. Where
few match it ends early and says where the next one begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from analytics.exports.filters import Condition, all_hold
from analytics.models import Environment, Record
from analytics.selection import Selection
from analytics.sources import in_force, predicate

# Rows that one page looks at: 20 to 30 ms where none of them matches.
EXAMINED_MAX = 20_000
# Endpoints or statuses that are walked side by side; where there are more, all requests are walked.
STREAMS_MAX = 100
# A uuid below every other, and one above: between two instants nothing is left out.
FIRST_UUID, LAST_UUID = UUID(int=0), UUID(int=2**128 - 1)
MICROSECOND = timedelta(microseconds=1)

# What is shown of a request log `r`, in LoggedRequest's order.
SHOWN = """r.at, r.uuid, environment.name, r.consumer_id, consumer.identifier, coalesce(endpoint.method, ''),
       nullif(endpoint.path, ''), r.url, r.status_code, r.request_size_bytes, r.response_size_bytes,
       r.response_time_ms, host(r.client_ip), nullif(r.country, '')"""
NAMED = """LEFT JOIN analytics_environment AS environment ON environment.id = r.environment_id
  LEFT JOIN analytics_endpoint AS endpoint ON endpoint.id = r.endpoint_id
  LEFT JOIN analytics_consumer AS consumer ON consumer.id = r.consumer_id"""
# A stream is one key of an index that is in order of time within each key, or the app as a whole. The first rows of
# each are examined; the last of them comes back wanted or not, for beyond it nobody has looked. To compare and order by
# the key too leaves the planner no index but the one that was chosen.
PAGE = f"""
SELECT {SHOWN}, r.is_wanted, r.is_last
  FROM (SELECT found.*
          FROM unnest(%s::bigint[]) AS stream (key) CROSS JOIN LATERAL (
               SELECT examined.*, place = %s AS is_last
                 FROM (SELECT *, ({{wanted}}) AS is_wanted, row_number() OVER (ORDER BY {{order}}) AS place
                         FROM analytics_requestlog
                        WHERE app_id = %s AND at >= %s AND at <= %s AND {{walked}}
                        ORDER BY {{order}} LIMIT %s) AS examined
                WHERE is_wanted OR place = %s ORDER BY {{order}} LIMIT %s) AS found
         ORDER BY at {{way}}, uuid {{way}} LIMIT %s) AS r
  {NAMED}
 ORDER BY r.at {{way}}, r.uuid {{way}}
"""  # noqa: S608  # constants of this module alone
WALKED = "(at, uuid) > (%s, %s) AND (at, uuid) < (%s, %s)"
WALKED_BY = "({column}, at, uuid) > (stream.key, %s, %s) AND ({column}, at, uuid) < (stream.key, %s, %s)"


class LoggedRequest(NamedTuple):
    """One request as it is shown. `path` is None where no route matched, `consumer` where nobody was named."""

    at: datetime
    uuid: UUID
    environment: str | None
    consumer_id: int | None
    consumer: str | None
    method: str
    path: str | None
    url: str
    status_code: int
    request_size_bytes: int
    response_size_bytes: int
    response_time_ms: int
    client_ip: str | None
    country: str | None


class Position(NamedTuple):
    """The row after which a page begins."""

    at: datetime
    uuid: UUID


@dataclass(frozen=True, slots=True)
class LogPage:
    """`end` is None where nothing follows; else the next page begins after it, be this one empty."""

    requests: list[LoggedRequest]
    end: Position | None


class Streams(NamedTuple):
    """What a page walks: keys of the index by `column`, or, without one, the app's requests as a whole."""

    column: str
    keys: list[int]


@dataclass(frozen=True, slots=True)
class Walk:
    """Which rows of an app are wanted, and by which streams they are looked for. `wanted` speaks of
    analytics_requestlog; the streams must lead to every wanted row."""

    app_id: int
    wanted: Condition
    streams: Streams

    def page(
        self, after: Position, before: Position, *, limit: int, newest_first: bool = False, examined_max: int
    ) -> LogPage:
        """At most `limit` requests that lie between two places. One SELECT."""
        statement = self.statement(after, before, rows=limit + 1, newest_first=newest_first, examined_max=examined_max)
        with connection.cursor() as cursor:
            cursor.execute(*statement)
            return _cut(cursor.fetchall(), limit)

    def statement(
        self, after: Position, before: Position, *, rows: int, newest_first: bool = False, examined_max: int
    ) -> tuple[str, list[Any]]:
        """For the first `rows` rows between two places."""
        column, keys = self.streams
        share, way = max(1, examined_max // len(keys)), "DESC" if newest_first else "ASC"
        order = ", ".join(f"{name} {way}" for name in (column, "at", "uuid") if name)
        walked = WALKED_BY.format(column=column) if column else WALKED
        sql = PAGE.format(wanted=self.wanted.sql, order=order, walked=walked, way=way)
        examined = [self.app_id, after.at, before.at, *after, *before, share]
        return sql, [keys, share, *self.wanted.arguments, *examined, share, rows, rows]


def page_of(
    selection: Selection,
    *,
    start: datetime,
    end: datetime,
    after: Position | None = None,
    limit: int,
    examined_max: int = EXAMINED_MAX,
) -> LogPage:
    """At most `limit` requests of [start, end), ascending by time and uuid. Two SELECTs."""
    if selection.is_empty:
        return LogPage([], None)
    first = after or just_before(start)
    walk = _walk_of(selection, start=first.at, end=end)
    return walk.page(first, Position(end, FIRST_UUID), limit=limit, examined_max=examined_max)


def page_statement(
    selection: Selection, *, after: Position, end: datetime, rows: int, examined_max: int
) -> tuple[str, list[Any]]:
    """For the first `rows` rows after a position. One SELECT to know the sources in force."""
    walk = _walk_of(selection, start=after.at, end=end)
    return walk.statement(after, Position(end, FIRST_UUID), rows=rows, examined_max=examined_max)


def just_before(moment: datetime) -> Position:
    """Behind it comes whatever is of this moment or later."""
    return Position(moment - MICROSECOND, LAST_UUID)


def in_force_within(environments: Iterable[Environment], *, start: datetime, end: datetime) -> Condition:
    """Of these environments what the source in force tells. One SELECT."""
    tiles = in_force(environments, record=Record.REQUEST_LOG, start=start, end=end)
    return Condition(*predicate(tiles, time="at"))


def _walk_of(selection: Selection, *, start: datetime, end: datetime) -> Walk:
    sources = in_force_within(selection.environments, start=start, end=end)
    wanted = all_hold([sources, Condition(*selection.predicate())])
    return Walk(selection.app_id, wanted, narrowest(selection))


def narrowest(selection: Selection) -> Streams:
    """The index that leads to the fewest rows: a consumer's, else that of the smallest share of what there is.

    How many requests each environment, endpoint and status has is not asked: each counts as one of so many.
    """
    if selection.consumer_id is not None:
        return Streams("consumer_id", [selection.consumer_id])
    options = [(1.0, Streams("", [0]))]
    if selection.known_environments is not None:
        keys = [environment.pk for environment in selection.environments]
        options.append((len(keys) / selection.known_environments, Streams("environment_id", keys)))
    for column, chosen in (("endpoint_id", selection.endpoints), ("status_code", selection.statuses)):
        if chosen is not None and len(chosen.keys) <= STREAMS_MAX:
            options.append((chosen.share, Streams(column, chosen.keys)))
    return min(options, key=lambda option: option[0])[1]


def _cut(rows: Iterable[tuple[Any, ...]], limit: int) -> LogPage:
    """Up to the limit, or to the first row beyond which a stream was not examined."""
    shown: list[LoggedRequest] = []
    for *columns, is_wanted, is_last in rows:
        request = LoggedRequest(*columns)
        if len(shown) == limit:
            return LogPage(shown, Position(shown[-1].at, shown[-1].uuid))
        if is_wanted:
            shown.append(request)
        if is_last:
            return LogPage(shown, Position(request.at, request.uuid))
    return LogPage(shown, None)
