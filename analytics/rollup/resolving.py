"""Names become ids: what an app's reports name is looked up, and made when it is new and the app has room for it.

A name that is known costs a SELECT and writes nothing. New ones are made in sorted order, and without complaint about
those that somebody else made meanwhile (a binding makes environments too). The caller holds the app's turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from analytics.rollup.columns import columns
from analytics.templates import OTHER_PATH

Method: TypeAlias = str
Path: TypeAlias = str
Call: TypeAlias = tuple[Method, Path]
Name = TypeVar("Name", bound=tuple[Any, ...])

OTHER_METHOD: Final = "_OTHER"  # OpenTelemetry's word for a method that it does not know
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
# What an index of PostgreSQL takes of a text that does not compress, less the method.
PATH_MAX_BYTES: Final = 2_600
GROUPS_MAX: Final = 10_000
# Of one app: each start of a process is one. Those long silent are pruned (retention).
INSTANCES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """Statements that find names and make them, and answer them with their ids, last; and one that counts all.

    They are given app, now and at_most, and names by their columns, first and second.
    """

    find: str
    make: str
    count: str


ENVIRONMENTS = Table(
    find="SELECT name, id FROM analytics_environment WHERE app_id = %(app)s AND name = ANY(%(first)s::text[])",
    make="""INSERT INTO analytics_environment (app_id, name, created_at)
            SELECT %(app)s, name, %(now)s FROM unnest(%(first)s::text[]) AS name
            ON CONFLICT (app_id, name) DO NOTHING RETURNING name, id""",
    count="SELECT count(*) FROM (SELECT FROM analytics_environment WHERE app_id = %(app)s LIMIT %(at_most)s) AS its",
)
GROUPS = Table(
    find="SELECT name, id FROM analytics_consumergroup WHERE app_id = %(app)s AND name = ANY(%(first)s::text[])",
    make="""INSERT INTO analytics_consumergroup (app_id, name)
            SELECT %(app)s, name FROM unnest(%(first)s::text[]) AS name
            ON CONFLICT (app_id, name) DO NOTHING RETURNING name, id""",
    count="SELECT count(*) FROM (SELECT FROM analytics_consumergroup WHERE app_id = %(app)s LIMIT %(at_most)s) AS its",
)
CONSUMERS = Table(
    find="""SELECT identifier, id FROM analytics_consumer
             WHERE app_id = %(app)s AND identifier = ANY(%(first)s::text[])""",
    make="""INSERT INTO analytics_consumer (app_id, identifier, created_at, name, attributes, told_at)
            SELECT %(app)s, identifier, %(now)s, '', '{}', '{}' FROM unnest(%(first)s::text[]) AS identifier
            ON CONFLICT (app_id, identifier) DO NOTHING RETURNING identifier, id""",
    count="SELECT count(*) FROM (SELECT FROM analytics_consumer WHERE app_id = %(app)s LIMIT %(at_most)s) AS its",
)
ENDPOINTS = Table(
    find="""SELECT method, path, e.id FROM analytics_endpoint AS e
              JOIN unnest(%(first)s::text[], %(second)s::text[]) AS g (method, path) USING (path, method)
             WHERE app_id = %(app)s""",
    make="""INSERT INTO analytics_endpoint (app_id, method, path, created_at, summary, description, is_excluded,
                                            expected_statuses)
            SELECT %(app)s, method, path, %(now)s, '', '', false, '{}'
              FROM unnest(%(first)s::text[], %(second)s::text[]) AS g (method, path)
            ON CONFLICT (app_id, path, method) DO NOTHING RETURNING method, path, id""",
    count="SELECT count(*) FROM (SELECT FROM analytics_endpoint WHERE app_id = %(app)s LIMIT %(at_most)s) AS its",
)
INSTANCES = Table(
    find="""SELECT environment_id, identifier, i.id FROM analytics_instance AS i
              JOIN unnest(%(first)s::bigint[], %(second)s::text[]) AS g (environment_id, identifier)
             USING (environment_id, identifier)""",
    make="""INSERT INTO analytics_instance (environment_id, identifier, client, versions, metric_scope)
            SELECT environment_id, identifier, '', '{}', ''
              FROM unnest(%(first)s::bigint[], %(second)s::text[]) AS g (environment_id, identifier)
            ON CONFLICT (environment_id, identifier) DO NOTHING RETURNING environment_id, identifier, id""",
    count="""SELECT count(*) FROM (SELECT FROM analytics_instance WHERE environment_id IN (
               SELECT id FROM analytics_environment WHERE app_id = %(app)s) LIMIT %(at_most)s) AS its""",
)
LINK = """
INSERT INTO analytics_endpoint_environments (endpoint_id, environment_id)
SELECT endpoint_id, environment_id FROM unnest(%s::bigint[], %s::bigint[]) AS g (endpoint_id, environment_id)
 WHERE NOT EXISTS (SELECT FROM analytics_endpoint_environments AS known
                    WHERE known.endpoint_id = g.endpoint_id AND known.environment_id = g.environment_id)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Ids:
    """Of every endpoint that was asked for, and of consumers and groups for which the app had room."""

    endpoints: dict[Call, int]
    consumers: dict[str, int]
    groups: dict[str, int]

    def endpoint_of(self, method: Method, path: Path) -> int:
        return self.endpoints[method, path]

    def consumer_of(self, identifier: str | None) -> int:
        """0 without a consumer."""
        return self.consumers.get(identifier, 0) if identifier else 0


class Resolver:
    """Looks up, and makes, what one app's batch names."""

    def __init__(self, cursor: CursorWrapper, app_id: int, *, now: datetime) -> None:
        self._cursor = cursor
        self._app_id = app_id
        self._now = now

    def environments(self, names: Iterable[str]) -> dict[str, int]:
        """Those beyond LIMITLY_APP_ENVIRONMENTS_MAX are missing."""
        return self._texts(ENVIRONMENTS, names, at_most=settings.LIMITLY_APP_ENVIRONMENTS_MAX)

    def instances(self, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """By environment (id) and identifier. Those beyond INSTANCES_MAX are missing."""
        return self._ids(INSTANCES, set(names), at_most=INSTANCES_MAX)

    def consumers(self, identifiers: Iterable[str]) -> dict[str, int]:
        """Those beyond LIMITLY_APP_CONSUMERS_MAX are missing: their requests count without a consumer."""
        return self._texts(CONSUMERS, identifiers, at_most=settings.LIMITLY_APP_CONSUMERS_MAX)

    def groups(self, names: Iterable[str]) -> dict[str, int]:
        """Those beyond GROUPS_MAX are missing."""
        return self._texts(GROUPS, names, at_most=GROUPS_MAX)

    def endpoints(self, calls: Iterable[Call]) -> dict[Call, int]:
        """Every one has an id: beyond LIMITLY_APP_ENDPOINTS_MAX that of its method and the path `/{other}`."""
        kept = {call: (call[0], _indexable(call[1])) for call in calls}
        wanted = set(kept.values())
        ids = self._ids(ENDPOINTS, wanted, at_most=settings.LIMITLY_APP_ENDPOINTS_MAX)
        others = {call: _other(*call) for call in wanted - ids.keys()}
        found = self._ids(ENDPOINTS, set(others.values()), at_most=None)
        ids |= {call: found[other] for call, other in others.items()}
        return {call: ids[name] for call, name in kept.items()}

    def link(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Endpoints (ids) and the environments (ids) in which they were seen."""
        if wanted := sorted(set(pairs)):
            self._cursor.execute(LINK, columns(wanted))

    def _texts(self, table: Table, names: Iterable[str], *, at_most: int) -> dict[str, int]:
        return {name: pk for (name,), pk in self._ids(table, {(name,) for name in names}, at_most=at_most).items()}

    def _ids(self, table: Table, names: set[Name], *, at_most: int | None) -> dict[Name, int]:
        """One SELECT where all are known; else the rows are counted up to `at_most`, and the first new ones made."""
        found = self._named(table.find, sorted(names))
        new = sorted(names - found.keys())
        if new and at_most is not None:
            self._cursor.execute(table.count, {"app": self._app_id, "at_most": at_most})
            new = new[: at_most - self._cursor.fetchone()[0]]
        found |= self._named(table.make, new)
        return found | self._named(table.find, [name for name in new if name not in found])

    def _named(self, statement: str, names: Sequence[Name]) -> dict[Name, int]:
        if not names:
            return {}
        given = dict(zip(("first", "second"), columns(names), strict=False))
        self._cursor.execute(statement, {"app": self._app_id, "now": self._now, **given})
        rows: list[Any] = self._cursor.fetchall()
        return {row[:-1]: row[-1] for row in rows}


def _other(method: Method, path: Path) -> Call:
    """Unknown methods together and unmatched requests apart, so that no more than two dozen are beyond the limit."""
    return method if method in METHODS else OTHER_METHOD, OTHER_PATH if path else ""


def _indexable(path: Path) -> Path:
    if len(path) * 4 <= PATH_MAX_BYTES or path.isascii():
        return path
    return path.encode()[:PATH_MAX_BYTES].decode(errors="ignore")
