"""The daily partitions of the table of decisions: made ahead, looked up, dropped when their days are over."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

DAY = timedelta(days=1)
DAYS_AHEAD = 7
# PARTITION OF would lock the whole table against readers and writers; a table that is attached later does not.
CREATE = """CREATE TABLE IF NOT EXISTS {name} (LIKE keys_decision INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"""
ATTACH = """ALTER TABLE keys_decision ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"""
ATTACHED = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'keys_decision'::regclass AND c.relname = ANY(%s)
"""
ALL_ATTACHED = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'keys_decision'::regclass ORDER BY 1
"""
# Any number that nobody else here uses: makers of partitions wait for each other.
ADVISORY_LOCK = 5_108_001


class DecisionPartitions:
    """A day is an aware UTC midnight; its partition holds [day, day + 1)."""

    def lacking(self, first: datetime, last: datetime) -> set[datetime]:
        """The days from the one of `first` to the one of `last` (both in stream order) that have no partition."""
        days = _days(first, last)
        return days - self._attached(days)

    def make(self, days: Iterable[datetime]) -> int:
        """Makes those that are not there, in a transaction of its own; how many it made."""
        made = 0
        with transaction.atomic(durable=not connection.in_atomic_block), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            wanted = set(days)
            for day in sorted(wanted - self._attached(wanted)):
                name = _name(day)
                cursor.execute(CREATE.format(name=name))
                cursor.execute(ATTACH.format(name=name, start=day.isoformat(), end=(day + DAY).isoformat()))
                made += 1
        return made

    def make_ahead(self, now: datetime) -> int:
        """Today's and the next week's."""
        return self.make(_days(now, now + DAYS_AHEAD * DAY))

    def drop_before(self, oldest_kept: datetime) -> list[str]:
        """Drops the partitions that lie wholly before; their names."""
        bound = _name(_midnight(oldest_kept))
        with connection.cursor() as cursor:
            cursor.execute(ALL_ATTACHED)
            doomed = [name for (name,) in cursor.fetchall() if name < bound]
            for name in doomed:
                cursor.execute(f"DROP TABLE {name}")
        return doomed

    def kept_since(self) -> datetime | None:
        """The start of the oldest partition; None when there is none."""
        with connection.cursor() as cursor:
            cursor.execute(ALL_ATTACHED)
            first = cursor.fetchone()
        return _day(first[0]) if first else None

    def _attached(self, days: set[datetime]) -> set[datetime]:
        with connection.cursor() as cursor:
            cursor.execute(ATTACHED, [[_name(day) for day in days]])
            return {_day(name) for (name,) in cursor.fetchall()}


def _name(day: datetime) -> str:
    return f"keys_decision_{day:%Y%m%d}"


def _day(name: str) -> datetime:
    return datetime.strptime(name.removeprefix("keys_decision_"), "%Y%m%d").replace(tzinfo=UTC)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days(first: datetime, last: datetime) -> set[datetime]:
    start = _midnight(first)
    return {start + number * DAY for number in range((_midnight(last) - start).days + 1)}
