"""Processor time and memory: of each minute of an instance the last word, by the instance's own clock."""

from collections.abc import Iterable
from datetime import datetime

from django.db.backends.utils import CursorWrapper

from analytics.observations import Resources
from analytics.rollup.columns import columns
from analytics.rollup.merging import minute_of
from analytics.rollup.placing import Placed

UPSERT = """
INSERT INTO analytics_resourceminute AS kept (app_id, environment_id, minute, instance_id, at, cpu_percent,
                                                memory_bytes)
SELECT %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::timestamptz[], %s::float8[], %s::bigint[])
ON CONFLICT (app_id, environment_id, minute, instance_id) DO UPDATE
   SET at = excluded.at, cpu_percent = excluded.cpu_percent, memory_bytes = excluded.memory_bytes
 WHERE (excluded.at, coalesce(excluded.cpu_percent, -1), coalesce(excluded.memory_bytes, -1))
       > (kept.at, coalesce(kept.cpu_percent, -1), coalesce(kept.memory_bytes, -1))
"""


def file_resources(cursor: CursorWrapper, app_id: int, placed: Iterable[Placed]) -> None:
    newest: dict[tuple[int, datetime, int], Resources] = {}
    for each in placed:
        for told in each.said.resources:
            place = each.environment_id, minute_of(told.at), each.instance_id
            newest[place] = max(told, newest.get(place, told), key=_word)
    if newest:
        rows = ((*place, told.at, told.cpu_percent, told.memory_bytes) for place, told in sorted(newest.items()))
        cursor.execute(UPSERT, [app_id, *columns(rows)])


def _word(told: Resources) -> tuple[datetime, float, int]:
    """Of the same instant the greater, so that no order decides."""
    return (
        told.at,
        -1 if told.cpu_percent is None else told.cpu_percent,
        -1 if told.memory_bytes is None else told.memory_bytes,
    )
