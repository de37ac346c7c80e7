"""Which index an export of request logs walks, and how far at once: that of the consumers, environments, endpoints or
statuses to which its filters come down, else that of the app as a whole.

Endpoints and statuses are those that are known as the export begins.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from analytics.exports.filters import Filter, all_of, ids_meant
from analytics.models import App
from analytics.request_logs import STREAMS_MAX
from analytics.selection import statuses_on_file

# Where filters leave more than this share of what there is, its index leads nowhere.
SHARE_MAX: Final = 0.5
# By which fields the keys of which column are found: of each key, whether the filters let it through.
LEADS: Final = (
    ("environment_id", {"env"}, "SELECT v.id, {wanted} FROM analytics_environment AS v WHERE v.app_id = %s"),
    ("endpoint_id", {"method", "path"}, "SELECT e.id, {wanted} FROM analytics_endpoint AS e WHERE e.app_id = %s"),
    ("status_code", {"status_code"}, "SELECT r.status_code, {wanted} FROM unnest(%s::bigint[]) AS r (status_code)"),
)


class Walk(NamedTuple):
    """Keys of the index by `column`, each a stream in order of time; without column the app's requests as a whole.

    To compare and order by the key too leaves the planner no index but this one.
    """

    column: str = ""
    keys: Sequence[int] = (0,)

    @property
    def place(self) -> str:
        return f"{self.column}, at, uuid" if self.column else "at, uuid"

    @property
    def start(self) -> str:
        """A place's own, of the stream `stream`; its time and uuid are arguments."""
        return "stream.key, %s, %s" if self.column else "%s, %s"

    def shares(self, ended: Counter[int], examined: int) -> list[int]:
        """How many rows of each stream a page looks at: half of all for each alike, half for those that ended pages,
        by how often. A busy stream among quiet ones would else end every page early.
        """
        alike, total = examined // max(1, len(self.keys)), ended.total()
        if not total:
            return [max(1, alike) for _ in self.keys]
        return [max(1, (alike + examined * ended[key] // total) // 2) for key in self.keys]


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
