"""What a point of a cumulative stream adds to the point before it (pure; contract, ruling 2).

Differences are taken bucket by bucket in the reporter's own form and only then filed in ours, so that whatever way a
series is cut into reports, it sums to its last values.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from analytics.histograms import SIZE, TIME, Bounds, Histogram, from_explicit, from_exponential
from analytics.models import Source
from analytics.observations import CumulativePoint, Measure, ReportedBuckets, Traffic
from analytics.reports.cleaning import EPOCH

KEPT_NS: Final = 48 * 3600 * 10**9
DURATIONS, REQUEST_SIZES = "durations", "request_sizes"


@dataclass(frozen=True, slots=True)
class State:
    """The last point of a stream."""

    time_ns: int
    count: int
    sum: float
    buckets: ReportedBuckets


NOTHING: Final = ReportedBuckets(())


def state_of(point: CumulativePoint) -> State:
    return State(point.time_ns, point.count, point.sum, point.buckets)


def is_newer(point: CumulativePoint, last: State | None) -> bool:
    return last is None or point.time_ns > last.time_ns


def added(point: CumulativePoint, last: State | None, *, now: datetime) -> Traffic | None:
    """What a newer point adds: filed at the minute of the last one, of the stream's start for the first.

    None when it only sets the base: the first point of a stream that began more than 48 hours before it, for what it
    counted until then may have been counted already. What fell begins anew, at the last point.
    Errors: BadHistogram.
    """
    if last is None or point.time_ns - last.time_ns > KEPT_NS:
        if point.time_ns - point.start_ns > KEPT_NS:
            return None
        last = State(point.start_ns, 0, 0.0, NOTHING)
    at = min(EPOCH + timedelta(microseconds=last.time_ns // 1000), now)
    buckets = _difference(point.buckets, last.buckets)
    if point.count < last.count or buckets is None:
        last = State(last.time_ns, 0, 0.0, NOTHING)
        buckets = point.buckets
    return _traffic(point, last, buckets, at)


def _traffic(point: CumulativePoint, last: State, buckets: ReportedBuckets, at: datetime) -> Traffic:
    count = point.count - last.count
    unit = point.measure.unit
    if point.measure.column == DURATIONS:
        durations = _histogram(buckets, point.measure, TIME)
        return Traffic(at, point.call, Source.METRIC, count, durations=durations, scope=point.scope)
    # Rounded before they are subtracted: rounding adds up to nothing over a series.
    size_bytes = max(0, round(point.sum * unit) - round(last.sum * unit))
    sizes = _histogram(buckets, point.measure, SIZE)
    if point.measure.column == REQUEST_SIZES:
        return Traffic(
            at, point.call, Source.METRIC, 0, bytes_received=size_bytes, request_sizes=sizes, scope=point.scope
        )
    return Traffic(at, point.call, Source.METRIC, 0, bytes_sent=size_bytes, response_sizes=sizes, scope=point.scope)


def _difference(new: ReportedBuckets, old: ReportedBuckets) -> ReportedBuckets | None:
    """None when a bucket fell: the stream began anew. No buckets when the bounds changed: nobody knows theirs."""
    if old is NOTHING:
        return new
    if new.scale is not None and old.scale is not None:
        return _exponential_difference(new, new.scale, old, old.scale)
    if (new.scale, new.limits, len(new.counts)) != (old.scale, old.limits, len(old.counts)):
        return msgspec.structs.replace(new, counts=(), zeros=0)
    counts = tuple(one - other for one, other in zip(new.counts, old.counts, strict=True))
    return None if min(counts, default=0) < 0 else msgspec.structs.replace(new, counts=counts)


def _exponential_difference(
    new: ReportedBuckets, new_scale: int, old: ReportedBuckets, old_scale: int
) -> ReportedBuckets | None:
    """At the coarser of both scales, to which the finer one is taken exactly."""
    scale = min(new_scale, old_scale)
    counts = _at_scale(new, new_scale - scale)
    counts.subtract(_at_scale(old, old_scale - scale))
    zeros = new.zeros - old.zeros
    if zeros < 0 or min(counts.values(), default=0) < 0:
        return None
    offset = min(counts, default=0)
    dense = tuple(counts[index] for index in range(offset, max(counts, default=-1) + 1))
    return ReportedBuckets(dense, scale=scale, zeros=zeros, offset=offset, highest=new.highest)


def _at_scale(buckets: ReportedBuckets, coarser_by: int) -> Counter[int]:
    counts: Counter[int] = Counter()
    for index, count in enumerate(buckets.counts, start=buckets.offset):
        if count:
            counts[index >> coarser_by] += count
    return counts


def _histogram(buckets: ReportedBuckets, measure: Measure, bounds: Bounds) -> Histogram | None:
    if not buckets.counts and not buckets.zeros:
        return None
    if buckets.scale is None:
        return from_explicit(buckets.limits, buckets.counts, bounds, unit=measure.unit, highest=buckets.highest)
    return from_exponential(buckets.scale, buckets.zeros, buckets.offset, buckets.counts, bounds, unit=measure.unit)
