"""The partitions of large tables, by day or month: made ahead, looked up, dropped when their time is over."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from django.db import connection, transaction

DAY = timedelta(days=1)
AHEAD = 7 * DAY
# PARTITION OF would lock the whole table against readers and writers; a table that is attached later does not.
CREATE = """CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"""
ATTACH = """ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"""
ATTACHED = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = %s::regclass ORDER BY 1
"""
ABSENT = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL"
# Any number that nobody else here uses: makers of partitions wait for each other.
ADVISORY_LOCK = 5_108_001


class Span(Enum):
    """How long a partition is, by how its start stands in its name."""

    DAY = "%Y%m%d"
    MONTH = "%Y%m"

    def start_of(self, moment: datetime) -> datetime:
        """The beginning (aware UTC) of the span that holds a moment."""
        midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self is Span.DAY else midnight.replace(day=1)

    def next_after(self, start: datetime) -> datetime:
        return start + DAY if self is Span.DAY else (start + 31 * DAY).replace(day=1)


@dataclass(frozen=True, slots=True)
class Partitions:
    """Those of one table. Each is named by its start, and holds [start, next start)."""

    table: str
    span: Span = Span.DAY

    def lacking(self, first: datetime, last: datetime) -> set[datetime]:
        """The starts of those between two moments, both included, that are not there."""
        return self.lacking_of(self._starts(first, last))

    def lacking_of(self, moments: Iterable[datetime]) -> set[datetime]:
        """The starts of those that would hold these moments and are not there."""
        return {self.span.start_of(moment) for moment in moments} - set(self._attached())

    def make(self, starts: Iterable[datetime]) -> int:
        """Makes those that are not there, in a transaction of its own; how many it made."""
        made = 0
        with transaction.atomic(durable=not connection.in_atomic_block), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            for start in sorted(set(starts) - set(self._attached())):
                name, end = self.name(start), self.span.next_after(start)
                cursor.execute(CREATE.format(table=self.table, name=name))
                cursor.execute(ATTACH.format(table=self.table, name=name, start=start.isoformat(), end=end.isoformat()))
                made += 1
        return made

    def make_ahead(self, now: datetime) -> int:
        """Today's and the next week's."""
        return self.make(self._starts(now, now + AHEAD))

    def drop_before(self, oldest_kept: datetime) -> list[str]:
        """Drops the partitions that lie wholly before; their names. Who drops the same beside is no failure."""
        bound = self.span.start_of(oldest_kept)
        doomed = [self.name(start) for start in self._attached() if start < bound]
        with connection.cursor() as cursor:
            for name in doomed:
                cursor.execute(f"DROP TABLE IF EXISTS {name}")
        return doomed

    def kept_since(self) -> datetime | None:
        """The start of the oldest partition; None when there is none."""
        return next(iter(self._attached()), None)

    def _attached(self) -> list[datetime]:
        with connection.cursor() as cursor:
            cursor.execute(ATTACHED, [self.table])
            return [self._start(name) for (name,) in cursor.fetchall()]

    def name(self, start: datetime) -> str:
        return f"{self.table}_{start.strftime(self.span.value)}"

    def _start(self, name: str) -> datetime:
        return datetime.strptime(name.removeprefix(f"{self.table}_"), self.span.value).replace(tzinfo=UTC)

    def _starts(self, first: datetime, last: datetime) -> Iterator[datetime]:
        start = self.span.start_of(first)
        while start <= last:
            yield start
            start = self.span.next_after(start)


def lacking_among(wanted: Mapping[Partitions, Iterable[datetime]]) -> dict[Partitions, set[datetime]]:
    """Of several tables, the starts of those that would hold these moments and are not there. One SELECT."""
    starts = {each: {each.span.start_of(moment) for moment in moments} for each, moments in wanted.items()}
    names = {each.name(start): (each, start) for each in starts for start in starts[each]}
    lacking: dict[Partitions, set[datetime]] = {}
    with connection.cursor() as cursor:
        cursor.execute(ABSENT, [list(names)])
        for (name,) in cursor.fetchall():
            each, start = names[name]
            lacking.setdefault(each, set()).add(start)
    return lacking


DECISIONS = Partitions("keys_decision")
