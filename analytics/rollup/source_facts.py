"""Which source spoke of which environment, when, and whether of requests: what sources are judged from."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from analytics.models import Record
from analytics.rollup.columns import columns
from analytics.rollup.judging import judge, quarter_of

# What is on file already is neither written nor locked.
UPSERT = """
INSERT INTO analytics_sourcequarter AS kept (environment_id, record, source, quarter, has_requests)
SELECT g.* FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::timestamptz[], %s::boolean[])
         AS g (environment_id, record, source, quarter, has_requests)
  LEFT JOIN analytics_sourcequarter AS known USING (environment_id, record, source, quarter)
 WHERE known.has_requests IS NULL OR (g.has_requests AND NOT known.has_requests)
ON CONFLICT (environment_id, record, quarter, source) DO UPDATE SET has_requests = true
RETURNING environment_id, record, quarter
"""
SYNCED = """
UPDATE analytics_environment AS kept SET last_sync_at = g.at
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS g (id, at)
 WHERE kept.id = g.id AND (kept.last_sync_at IS NULL OR kept.last_sync_at < g.at)
"""


class Fact(NamedTuple):
    """That a source told of an environment at a time. Of request logs the source is RequestSource's number.

    Without requests it says that the source is alive. Of request logs that is never said: they are silent without.
    """

    environment_id: int
    record: Record
    source: int
    at: datetime
    has_requests: bool


def file_facts(cursor: CursorWrapper, facts: Iterable[Fact], *, now: datetime) -> None:
    """And has the environments judged anew of which something new was said. The caller holds the app's turn."""
    told: dict[tuple[int, int, int, datetime], bool] = {}
    for fact in facts:
        place = fact.environment_id, fact.record.value, fact.source, quarter_of(fact.at)
        told[place] = told.get(place, False) or fact.has_requests
    if not told:
        return
    cursor.execute(UPSERT, columns((*place, has_requests) for place, has_requests in sorted(told.items())))
    changed: dict[tuple[int, Record], datetime] = {}
    for environment_id, record, quarter in cursor.fetchall():
        of = environment_id, Record(record)
        changed[of] = min(quarter, changed.get(of, quarter))
    if changed:
        judge([(*of, since) for of, since in sorted(changed.items())], now=now)


def mark_synced(cursor: CursorWrapper, alive: Iterable[tuple[int, datetime]]) -> None:
    """Environments (ids) and when something was heard of them: the newest is kept."""
    newest: dict[int, datetime] = {}
    for environment_id, at in alive:
        newest[environment_id] = max(at, newest.get(environment_id, at))
    if newest:
        cursor.execute(SYNCED, columns(sorted(newest.items())))
