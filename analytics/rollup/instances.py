"""Instances: when each was last heard of, what it is made of, and which one OTLP scope of it is counted."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.db.backends.utils import CursorWrapper

from analytics.models import Instance
from analytics.observations import Observed
from analytics.rollup.columns import columns
from analytics.rollup.placing import Placed
from analytics.rollup.resolving import Resolver

OTHER_SCOPE: Final = "other_scope"
OWN_SCOPE: Final = "apitally"  # the SDK's own measurements outrank every other instrumentation's
UPDATE = """
UPDATE analytics_instance AS kept
   SET client = g.client, versions = g.versions::jsonb, metric_scope = g.scope, started_at = g.started_at,
       last_seen_at = g.seen_at
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::text[])
    AS g (id, started_at, seen_at, client, versions, scope)
 WHERE kept.id = g.id
"""


def meet(cursor: CursorWrapper, placed: Sequence[Placed], resolver: Resolver, *, now: datetime) -> None:
    """Gives each its instance, and leaves it the traffic of the scope that counts. Writes instances that changed."""
    ids = resolver.instances(_name(each) for each in placed if _has_instance(each.said))
    rows = {_name_of(row): row for row in Instance.objects.filter(pk__in=ids.values())} if ids else {}
    before = {name: _fields(row) for name, row in rows.items()}
    for each in placed:
        if row := rows.get(_name(each)):
            each.instance_id = row.pk
            _learn(row, each.said)
            row.last_seen_at = row.last_seen_at or now  # what tells no time is of now
            row.metric_scope = _scope(row.metric_scope, _scopes(each.said))
    for each in placed:
        if row := rows.get(_name(each)):
            _keep_scope(each, row.metric_scope)
    _write(cursor, [row for name, row in sorted(rows.items()) if _fields(row) != before[name]])


def _name(placed: Placed) -> tuple[int, str]:
    return placed.environment_id, placed.said.instance


def _name_of(row: Instance) -> tuple[int, str]:
    return row.environment_id, row.identifier


def _has_instance(said: Observed) -> bool:
    return bool(said.instance or _scopes(said))


def _learn(row: Instance, said: Observed) -> None:
    """The newest startup says what it is made of. In whichever order this is learned, the row ends the same."""
    for startup in said.startups:
        told = (startup.at, startup.client or said.client, startup.versions)
        if row.started_at is None or _rank(*told) > _rank(row.started_at, row.client, row.versions):
            row.started_at, row.client, row.versions = told
    if row.started_at is None:  # one process has one client; should two be told, no order decides
        row.client = max(row.client, said.client)
    row.last_seen_at = max([*_heard(said), *filter(None, [row.last_seen_at])], default=None)


def _heard(said: Observed) -> Iterator[datetime]:
    """When it told of anything, by its own clock."""
    yield from (at for _, at in said.alive)
    yield from (startup.at for startup in said.startups)
    yield from (told.at for told in said.resources)
    yield from (traffic.at for traffic in said.traffic)
    yield from (request.at for request in said.requests)
    yield from (error.at for error in said.errors)


def _rank(at: datetime, client: str, versions: dict[str, str]) -> tuple[datetime, str, str]:
    return at, client, json.dumps(versions, sort_keys=True)


def _scopes(said: Observed) -> list[str]:
    """In the order in which they come."""
    return list(dict.fromkeys(item.scope for items in (said.traffic, said.cumulative) for item in items if item.scope))


def _scope(kept: str, seen: Sequence[str]) -> str:
    if OWN_SCOPE in (kept, *seen):
        return OWN_SCOPE
    return kept or next(iter(seen), "")


def _keep_scope(placed: Placed, scope: str) -> None:
    """No request is counted from two scopes of one instance."""
    counted = ("", scope)
    traffic = [item for item in placed.traffic if item.scope in counted]
    points = [item for item in placed.points if item.scope in counted]
    if left_out := len(placed.traffic) - len(traffic) + len(placed.points) - len(points):
        placed.traffic, placed.points = traffic, points
        placed.dropped[OTHER_SCOPE] += left_out


def _fields(row: Instance) -> tuple[object, ...]:
    return row.started_at, row.last_seen_at, row.client, json.dumps(row.versions), row.metric_scope


def _write(cursor: CursorWrapper, rows: Sequence[Instance]) -> None:
    if rows:
        cursor.execute(UPDATE, columns((row.pk, *_fields(row)) for row in rows))
