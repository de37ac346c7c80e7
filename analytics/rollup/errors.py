"""Errors that are the same are one group: how often it occurred, when, to whom, and its newest stack trace."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db.backends.utils import CursorWrapper

from analytics.models import ErrorGroup
from analytics.observations import SeenError
from analytics.rollup.columns import columns
from analytics.rollup.judging import quarter_of
from analytics.rollup.merging import REQUESTS_MAX
from analytics.rollup.resolving import Ids

ERROR_GROUP_LIMIT: Final = "error_group_limit"
GROUPS_MAX: Final = 10_000  # of one app
KNOWN = """
SELECT environment_id, endpoint_id, kind, fingerprint FROM analytics_errorgroup
  JOIN unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::text[]) AS g (environment_id, endpoint_id, kind, hex)
 USING (environment_id, endpoint_id, kind) WHERE app_id = %s AND fingerprint = decode(hex, 'hex')
"""
UPSERT_GROUPS = """
INSERT INTO analytics_errorgroup AS kept (app_id, environment_id, endpoint_id, kind, fingerprint, occurrences,
                                          first_seen_at, last_seen_at, type, message, location, stacktrace,
                                          sentry_event_id)
SELECT %s, environment_id, endpoint_id, kind, decode(hex, 'hex'), occurrences, first_at, last_at, type, message,
       location, stacktrace, sentry
  FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::text[], %s::bigint[], %s::timestamptz[],
              %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS g (environment_id, endpoint_id, kind, hex, occurrences, first_at, last_at, type, message, location,
          stacktrace, sentry)
ON CONFLICT (app_id, environment_id, endpoint_id, kind, fingerprint) DO UPDATE
   SET occurrences = kept.occurrences + excluded.occurrences,
       first_seen_at = least(kept.first_seen_at, excluded.first_seen_at),
       (last_seen_at, stacktrace, sentry_event_id) = (
         SELECT * FROM (VALUES (kept.last_seen_at, kept.stacktrace, kept.sentry_event_id),
                               (excluded.last_seen_at, excluded.stacktrace, excluded.sentry_event_id)) AS word
          ORDER BY word DESC LIMIT 1)
RETURNING environment_id, endpoint_id, kind, fingerprint, id
"""
UPSERT_QUARTERS = """
INSERT INTO analytics_errorquarter AS kept (group_id, quarter, consumer_id, occurrences)
SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[])
ON CONFLICT (group_id, quarter, consumer_id) DO UPDATE SET occurrences = kept.occurrences + excluded.occurrences
"""


class Group(NamedTuple):
    """What makes errors the same. Of exceptions the stack trace does not: lines move from release to release."""

    environment_id: int
    endpoint_id: int
    kind: int
    fingerprint: bytes


@dataclass(slots=True)
class Occurrences:
    newest: SeenError
    count: int
    first_at: datetime

    def add(self, error: SeenError) -> None:
        self.count += error.count
        self.first_at = min(self.first_at, error.at)
        self.newest = max(self.newest, error, key=_word)


class Seen(NamedTuple):
    """An error, its environment's id, and where it is counted if it is left out."""

    error: SeenError
    environment_id: int
    dropped: Counter[str]


def file_errors(cursor: CursorWrapper, app_id: int, seen: Iterable[Seen], ids: Ids) -> None:
    """What makes a group more than an app has room for is dropped. The caller holds the app's turn."""
    errors = [(_group_of(each, ids), each) for each in seen if 0 < each.error.count <= REQUESTS_MAX]
    if not errors:
        return
    groups = {group for group, _ in errors}
    fit = groups - _without_room(cursor, app_id, groups)
    sums: dict[Group, Occurrences] = {}
    quarters: Counter[tuple[Group, datetime, int]] = Counter()
    for group, each in errors:
        error = each.error
        if group not in fit:
            each.dropped[ERROR_GROUP_LIMIT] += 1
            continue
        quarters[group, quarter_of(error.at), ids.consumer_of(error.consumer)] += error.count
        if group in sums:
            sums[group].add(error)
        else:
            sums[group] = Occurrences(error, error.count, error.at)
    _write(cursor, app_id, sums, quarters)


def _group_of(seen: Seen, ids: Ids) -> Group:
    error = seen.error
    same = json.dumps([error.type, error.message, error.location]).encode()
    endpoint_id = ids.endpoint_of(error.method, error.path)
    return Group(seen.environment_id, endpoint_id, error.kind.value, hashlib.sha256(same).digest())


def _without_room(cursor: CursorWrapper, app_id: int, groups: set[Group]) -> set[Group]:
    cursor.execute(KNOWN, [*columns(map(_names, groups)), app_id])
    new = groups - set(map(_group, cursor.fetchall()))
    if not new:
        return new
    room = GROUPS_MAX - ErrorGroup.objects.filter(app=app_id)[:GROUPS_MAX].count()
    return set(sorted(new)[room:])


def _write(
    cursor: CursorWrapper,
    app_id: int,
    sums: Mapping[Group, Occurrences],
    quarters: Mapping[tuple[Group, datetime, int], int],
) -> None:
    if not sums:
        return
    rows = sorted(sums.items())
    given = ((*_names(group), of.count, of.first_at, of.newest.at, *_texts(of.newest)) for group, of in rows)
    cursor.execute(UPSERT_GROUPS, [app_id, *columns(given)])
    pks = {_group(row[:-1]): row[-1] for row in cursor.fetchall()}
    counted = sorted((pks[group], quarter, consumer, count) for (group, quarter, consumer), count in quarters.items())
    cursor.execute(UPSERT_QUARTERS, columns(counted))


def _names(group: Group) -> tuple[int, int, int, str]:
    return group.environment_id, group.endpoint_id, group.kind, group.fingerprint.hex()


def _group(row: tuple[int, int, int, bytes]) -> Group:
    environment_id, endpoint_id, kind, fingerprint = row
    return Group(environment_id, endpoint_id, kind, bytes(fingerprint))


def _texts(error: SeenError) -> tuple[str, ...]:
    return error.type, error.message, error.location, error.stacktrace, error.sentry_event_id


def _word(error: SeenError) -> tuple[datetime, str, str]:
    """Of the same instant the greater, so that no order decides."""
    return error.at, error.stacktrace, error.sentry_event_id
