"""Which index an export of request logs walks, and how far at once: that of the consumers, environments, endpoints or
statuses to which its filters come down, else that of the app as a whole.

Endpoints and statuses are those that are known as the export begins.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from analytics.exports.filters import Condition, Filter, all_of, ids_meant
from analytics.models import App
from analytics.request_logs import STREAMS_MAX
from analytics.selection import statuses_on_file

# The rows after a place, in the order of the index. To compare and order by the key too leaves the planner no index but
# this one.
STREAM = """
SELECT *, row_number() OVER (ORDER BY {order}) = {share} AS is_last FROM analytics_requestlog
 WHERE app_id = %s AND at >= %s AND at < %s AND ({order}) > ({key}%s, %s) AND ({order}) < ({key}%s, %s)
 ORDER BY {order} LIMIT {share}
"""
# In order, and therefore read no further than to the end of a page.
WHOLE = "SELECT 0 AS key, stream.* FROM ({stream}) AS stream"
# Of one key, too: knowing it the planner takes its requests for few, and would sort all of them for each page. The
# outer limit is that of all shares together: it cuts nothing off, and tells how few rows there are.
SIDE_BY_SIDE = """
SELECT stream.key, examined.* FROM unnest(%s::bigint[], %s::bigint[]) AS stream (key, share)
 CROSS JOIN LATERAL ({stream}) AS examined LIMIT {together}
"""
# What lies beyond the end of the first stream that ends is looked at in vain: a page looks at fewer rows.
TOGETHER_MAX: Final = 2_000
# Where filters leave more than this share of what there is, its index leads nowhere.
SHARE_MAX: Final = 0.5
# By which fields the keys of which column are found: of each key, whether the filters let it through.
LEADS: Final = (
    ("environment_id", {"env"}, "SELECT v.id, {wanted} FROM analytics_environment AS v WHERE v.app_id = %s"),
    ("endpoint_id", {"method", "path"}, "SELECT e.id, {wanted} FROM analytics_endpoint AS e WHERE e.app_id = %s"),
    ("status_code", {"status_code"}, "SELECT r.status_code, {wanted} FROM unnest(%s::bigint[]) AS r (status_code)"),
)


Place = tuple[datetime, UUID]


class Walk(NamedTuple):
    """Keys of the index by `column`, each a stream in order of time; without column the app's requests as a whole."""

    column: str = ""
    keys: Sequence[int] = (0,)

    def shares(self, ended: Counter[int], *, examined: int) -> list[int]:
        """How many rows of each stream a page looks at: half of all for each alike, half for those that ended pages,
        by how often. A busy stream among quiet ones would else end every page early.
        """
        if not self.column:
            return [examined]
        all_together, total = min(examined, TOGETHER_MAX), ended.total()
        alike = all_together // max(1, len(self.keys))
        if not total:
            return [max(1, alike) for _ in self.keys]
        return [max(1, (alike + all_together * ended[key] // total) // 2) for key in self.keys]

    def streams(self, app_id: int, after: Place, before: Place, shares: list[int]) -> Condition:
        """The rows between two places, of each stream as many as its share; with its key, and whether it is the last
        that was looked at.
        """
        arguments: list[Any] = [app_id, after[0], before[0], *after, *before]
        if not self.column:
            stream = STREAM.format(order="at, uuid", key="", share=shares[0])
            return Condition(WHOLE.format(stream=stream), arguments)
        stream = STREAM.format(order=f"{self.column}, at, uuid", key="stream.key, ", share="stream.share")
        sql = SIDE_BY_SIDE.format(stream=stream, together=sum(shares))
        return Condition(sql, [list(self.keys), shares, *arguments])


def walk_of(filters: Sequence[Filter], app: App, *, since: datetime, until: datetime) -> Walk:
    """The consumers' that are named, else that of the smallest share of what there is; each key counts as one of so
    many. Four SELECTs at most, none without filters.
    """
    consumers = ids_meant(filters, "consumer_id")
    if consumers is not None and len(consumers) <= STREAMS_MAX:
        return Walk("consumer_id", consumers)
    options = [(1.0, Walk())]
    for column, fields, statement in LEADS:
        leading = [each for each in filters if each.field.name in fields]
        if not leading:
            continue
        of: Any = statuses_on_file(app, start=since, end=until) if column == "status_code" else app.pk
        keys, known = _let_through(statement, leading, of)
        if len(keys) <= min(STREAMS_MAX, SHARE_MAX * known):
            options.append((len(keys) / max(1, known), Walk(column, keys)))
    return min(options, key=lambda option: option[0])[1]


def _let_through(statement: str, filters: Sequence[Filter], of: Any) -> tuple[list[int], int]:
    """The keys, and of how many."""
    wanted = all_of(filters)
    with connection.cursor() as cursor:
        cursor.execute(statement.format(wanted=wanted.sql), [*wanted.arguments, of])
        rows = cursor.fetchall()
    return [key for key, is_let_through in rows if is_let_through], len(rows)
