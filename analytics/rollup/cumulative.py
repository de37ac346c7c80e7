"""Cumulative OTLP streams: the last point of each is kept, and what comes after it counts as the difference.

The state stays 96 hours though a stream ends after 48: a report may be 48 hours late, and a point that its state had
not outlived would count whole, a second time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from django.db.backends.utils import CursorWrapper

from analytics.histograms import BadHistogram
from analytics.observations import CumulativePoint, ReportedBuckets, Traffic
from analytics.rollup.columns import columns
from analytics.rollup.differences import State, added, is_newer, state_of
from analytics.rollup.placing import Placed

BAD_HISTOGRAM: Final = "bad_histogram"
SELECT = """
SELECT stream, time_ns, count, sum, histogram FROM analytics_cumulativestream
 WHERE app_id = %s AND stream = ANY(%s::bytea[])
"""
UPSERT = """
INSERT INTO analytics_cumulativestream (app_id, stream, environment_id, time_ns, count, sum, histogram)
SELECT %s, decode(stream, 'hex'), environment_id, time_ns, count, sum, decode(histogram, 'hex')
  FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[], %s::text[])
    AS g (stream, environment_id, time_ns, count, sum, histogram)
ON CONFLICT (app_id, stream) DO UPDATE
   SET time_ns = excluded.time_ns, count = excluded.count, sum = excluded.sum, histogram = excluded.histogram
"""


class Seen(NamedTuple):
    """A point and the report that brought it."""

    point: CumulativePoint
    placed: Placed


def file_points(
    cursor: CursorWrapper, app_id: int, placed: Sequence[Placed], *, now: datetime
) -> list[tuple[Placed, Traffic]]:
    """What the points of a batch add, and their states kept. The caller holds the app's turn."""
    seen = sorted((Seen(point, each) for each in placed for point in each.points), key=lambda one: one.point.time_ns)
    if not seen:
        return []
    states = _read(cursor, app_id, {one.point.stream for one in seen})
    moved: dict[bytes, tuple[int, State]] = {}
    traffic = []
    for point, its in seen:
        last = states.get(point.stream)
        if not is_newer(point, last):
            continue  # late, or twice: what it counted is in the point that came before it
        try:
            addition = added(point, last, now=now)
        except BadHistogram:
            its.dropped[BAD_HISTOGRAM] += 1
            continue
        states[point.stream] = state_of(point)
        moved[point.stream] = its.environment_id, states[point.stream]
        if addition is not None:
            traffic.append((its, addition))
    _keep(cursor, app_id, moved)
    return traffic


def _read(cursor: CursorWrapper, app_id: int, streams: set[bytes]) -> dict[bytes, State]:
    cursor.execute(SELECT, [app_id, list(streams)])
    decode = msgspec.msgpack.Decoder(ReportedBuckets).decode
    return {
        bytes(stream): State(time_ns, count, total, decode(histogram))
        for stream, time_ns, count, total, histogram in cursor.fetchall()
    }


def _keep(cursor: CursorWrapper, app_id: int, moved: dict[bytes, tuple[int, State]]) -> None:
    if not moved:
        return
    encode = msgspec.msgpack.Encoder().encode
    rows = [
        (stream.hex(), environment_id, state.time_ns, state.count, state.sum, encode(state.buckets).hex())
        for stream, (environment_id, state) in sorted(moved.items())
    ]
    cursor.execute(UPSERT, [app_id, *columns(rows)])
