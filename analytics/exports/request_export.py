"""The export of request logs: what may be asked of it, and its rows, read in pages that are each a query of its own.

A page examines a bounded number of rows, whatever few of them are wanted; between two pages no transaction, cursor or
connection is needed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection

from analytics.exports.fields import REQUEST_FIELDS, Field, Kind
from analytics.exports.filters import Condition, Filter, all_hold, all_of, read_filters
from analytics.exports.parsing import BadExport, at, moment, names_of, time_range, whole_number
from analytics.exports.walks import Walk, walk_of
from analytics.exports.writing import Page, Row
from analytics.models import App, Record
from analytics.selection import environments_of
from analytics.sources import in_force, predicate

ROWS_MAX: Final = 1_000_000
RATE_MAX: Final = 0.5
FIRST_UUID: Final = UUID(int=0)
LAST_UUID: Final = UUID(int=2**128 - 1)
MICROSECOND: Final = timedelta(microseconds=1)
Found = TypeVar("Found")
SAMPLE_BITS: Final = 32

# The rows of each stream after a position, as many as its share, each with whether it is wanted. The last one is
# marked: beyond it nobody has looked, so that there the next page goes on, be it wanted or not.
EXAMINED = """
SELECT r.at, r.uuid, r.is_last, r.key, ({wanted}) AS is_wanted{shown}
  FROM ({streams}) AS r
  LEFT JOIN analytics_environment AS v ON v.id = r.environment_id
  LEFT JOIN analytics_endpoint AS e ON e.id = r.endpoint_id
"""
# Each by its key, for its limit keeps the planner from reading all details of the range instead.
DETAIL = """
  LEFT JOIN LATERAL (SELECT * FROM analytics_requestdetail AS captured
                      WHERE captured.app_id = r.app_id AND captured.at = r.at AND captured.uuid = r.uuid LIMIT 1) AS d
         ON TRUE
"""
ROWS = "SELECT * FROM ({examined}) AS x WHERE is_wanted OR is_last ORDER BY at, uuid LIMIT %s"
# Up to the first row beyond which nobody has looked.
COUNT = """
SELECT count(*) FILTER (WHERE is_wanted), max(at) FILTER (WHERE is_last),
       (array_agg(uuid) FILTER (WHERE is_last))[1], max(key) FILTER (WHERE is_last)
  FROM (SELECT *, bool_or(is_last) OVER before AS is_beyond FROM ({examined}) AS x
        WINDOW before AS (ORDER BY at, uuid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS y
 WHERE is_beyond IS NOT TRUE
"""
# The first 32 bits of a digest of the uuid: the same request is in every sample of its rate and above.
SAMPLED = f"('x' || left(md5(uuid_send(r.uuid)), {SAMPLE_BITS // 4}))::bit({SAMPLE_BITS})::bigint < %s"


class Pace(NamedTuple):
    """How many rows a page examines, and how many it holds."""

    examined: int
    held: int


# Headers and bodies of one request may be a hundred kilobytes.
NARROW, WIDE = Pace(5_000, 1_000), Pace(1_000, 100)


@dataclass(frozen=True, slots=True)
class RequestExport:
    """Requests of [since, until). `sample` is about how many rows, or which share of them."""

    since: datetime
    until: datetime
    fields: tuple[Field, ...]
    filters: tuple[Filter, ...] = ()
    sample: int | float | None = None
    limit: int = ROWS_MAX

    @property
    def reads_details(self) -> bool:
        return any(field.is_of_detail for field in (*self.fields, *(each.field for each in self.filters)))

    @property
    def pace(self) -> Pace:
        return WIDE if self.reads_details else NARROW


class Position(NamedTuple):
    """The row after which a page begins; `ended` is the stream of which the page before looked at no more, if any."""

    at: datetime
    uuid: UUID
    ended: int | None = None


def read_request_export(given: Mapping[str, object], *, now: datetime) -> RequestExport:
    """Errors: BadExport. What is not known is ignored."""
    with at("since"):
        since = moment(given.get("since"))
    with at("until"):
        until = moment(given["until"]) if "until" in given else now
    time_range(since, until)
    with at("fields"):
        fields = _fields(given.get("fields"))
    with at("filters"):
        filters = read_filters(given.get("filters", []), REQUEST_FIELDS)
    with at("sample"):
        sample = _sample(given.get("sample"))
    with at("limit"):
        limit = whole_number(given.get("limit", ROWS_MAX), at_least=1, at_most=ROWS_MAX)
    return RequestExport(since, until, fields, filters, sample, limit)


def pages_of(export: RequestExport, app: App) -> Iterator[Page]:
    """In order of time and uuid. Six SELECTs at once at most, one for each page; a number as sample counts all pages
    first.
    """
    tiles = in_force(environments_of(app), record=Record.REQUEST_LOG, start=export.since, end=export.until)
    sources = Condition(*predicate(tiles, time="r.at"))
    walk = walk_of(export.filters, app, since=export.since, until=export.until)
    return _Reading(export, app.pk, sources, walk).pages()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Which rows of which app are read, from which sources, by which index."""

    export: RequestExport
    app_id: int
    sources: Condition
    walk: Walk

    def pages(self) -> Iterator[Page]:
        rate = self.export.sample if isinstance(self.export.sample, float) else 1.0
        if isinstance(self.export.sample, int):
            wanted = 0
            for count in self._walk(self._count):
                wanted += count
                yield Page([], self.export.since)
            rate = self.export.sample / max(self.export.sample, wanted)
        left = self.export.limit
        for page in self._walk(partial(self._page, rate)):
            yield page._replace(rows=page.rows[:left])
            left -= len(page.rows)
            if left <= 0:
                return

    def _walk(self, read: Callable[[Position, list[int]], tuple[Found, Position | None]]) -> Iterator[Found]:
        after: Position | None = Position(self.export.since - MICROSECOND, LAST_UUID)
        ended: Counter[int] = Counter()
        while after is not None:
            found, after = read(after, self.walk.shares(ended, examined=self.export.pace.examined))
            if after is not None and after.ended is not None:
                ended[after.ended] += 1
            yield found

    def _page(self, rate: float, after: Position, shares: list[int]) -> tuple[Page, Position | None]:
        shown = "".join(f", {field.as_shown} AS {field.name}" for field in self.export.fields)
        examined = self._examined(after, shares, shown=shown, rate=rate)
        held = self.export.pace.held
        found = _fetch(ROWS.format(examined=examined.sql), [*examined.arguments, held])
        rows: list[Row] = []
        for when, uuid, is_last, key, is_wanted, *values in found:
            if is_wanted:
                rows.append(self._row(values))
            if is_last:
                return Page(rows, when), Position(when, uuid, key)
        if len(found) < held:
            return Page(rows, self.export.until), None
        end = Position(*found[-1][:2])
        return Page(rows, end.at), end

    def _count(self, after: Position, shares: list[int]) -> tuple[int, Position | None]:
        examined = self._examined(after, shares)
        ((wanted, at, uuid, key),) = _fetch(COUNT.format(examined=examined.sql), examined.arguments)
        return wanted, None if at is None else Position(at, uuid, key)

    def _examined(self, after: Position, shares: list[int], *, shown: str = "", rate: float = 1.0) -> Condition:
        """What is examined after a row, each with whether it is wanted."""
        conditions = [self.sources, Condition("e.is_excluded IS NOT TRUE", []), all_of(self.export.filters)]
        if rate < 1:
            conditions.append(Condition(SAMPLED, [int(rate * 2**SAMPLE_BITS)]))
        wanted = all_hold(conditions)
        streams = self.walk.streams(self.app_id, (after.at, after.uuid), (self.export.until, FIRST_UUID), shares)
        sql = EXAMINED.format(wanted=wanted.sql, shown=shown, streams=streams.sql)
        return Condition(sql + (DETAIL if self.export.reads_details else ""), [*wanted.arguments, *streams.arguments])

    def _row(self, values: Sequence[object]) -> Row:
        return {
            field.name: json.loads(str(value)) if field.kind is Kind.HEADERS else value
            for field, value in zip(self.export.fields, values, strict=True)
        }


def _fetch(sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return list(cursor.fetchall())


def _fields(given: object) -> tuple[Field, ...]:
    """In the order of the contract's table, whatever the order of the names."""
    if given is None:
        return tuple(field for field in REQUEST_FIELDS.values() if field.is_default)
    named = names_of(given, REQUEST_FIELDS)
    return tuple(field for field in REQUEST_FIELDS.values() if field.is_always or field.name in named)


def _sample(given: object) -> int | float | None:
    if given is None:
        return None
    if not isinstance(given, float):
        return whole_number(given, at_least=1, at_most=ROWS_MAX)
    if not 0 < given <= RATE_MAX:
        raise BadExport(f"Give a rate above 0, up to {RATE_MAX}, or a whole number of rows.")
    return given
