"""One point of a histogram as OTLP reports it, exponential or with explicit bounds: what it counts, once checked."""

import math
from collections.abc import Sequence
from typing import Final

from analytics.histograms import SIZE, TIME, BadHistogram, Histogram, from_explicit, from_exponential
from analytics.observations import Measure, ReportedBuckets
from analytics.reports.otlp_messages import ExponentialPoint, HistogramPoint

BUCKETS_MAX: Final = 4_096
# What may be told of an interval: then 100,000 points stay within a bigint, and within a packed bucket's 48 bits.
DELTA_COUNT_MAX: Final = 2**31
DELTA_SUM_MAX: Final = float(2**46)
# And since a process began.
COUNT_MAX: Final = 2**47
SUM_MAX: Final = float(2**53)


def explicit_buckets(point: HistogramPoint, *, is_delta: bool) -> ReportedBuckets:
    """Without counts where a reporter keeps no buckets. Errors: BadHistogram."""
    counts = _checked(point, point.bucket_counts, zeros=0, is_delta=is_delta)
    highest = point.max if 0 < point.max < math.inf else None
    return ReportedBuckets(counts, limits=tuple(point.explicit_bounds), highest=highest)


def exponential_buckets(point: ExponentialPoint, *, is_delta: bool) -> ReportedBuckets:
    """Errors: BadHistogram."""
    counts = _checked(point, point.positive.bucket_counts, zeros=point.zero_count, is_delta=is_delta)
    if any(point.negative.bucket_counts):
        raise BadHistogram("values below zero")
    return ReportedBuckets(counts, scale=point.scale, zeros=point.zero_count, offset=point.positive.offset)


def histogram(buckets: ReportedBuckets, measure: Measure) -> Histogram:
    """In the one form, seconds or bytes. Errors: BadHistogram."""
    bounds = TIME if measure.column == "durations" else SIZE
    if buckets.scale is not None:
        reported = buckets.scale, buckets.zeros, buckets.offset, buckets.counts
        return from_exponential(*reported, bounds, unit=measure.unit)
    if not buckets.counts and not buckets.limits:
        return Histogram()
    return from_explicit(buckets.limits, buckets.counts, bounds, unit=measure.unit, highest=buckets.highest)


def _checked(
    point: HistogramPoint | ExponentialPoint, told: Sequence[int], *, zeros: int, is_delta: bool
) -> tuple[int, ...]:
    """The counts of its buckets, once it is clear that a process may have counted so."""
    count_max, sum_max = (DELTA_COUNT_MAX, DELTA_SUM_MAX) if is_delta else (COUNT_MAX, SUM_MAX)
    if not (0 <= point.count <= count_max and 0 <= point.sum <= sum_max):  # NaN is neither
        raise BadHistogram(f"{point.count} values, {point.sum} in all")
    if len(told) > BUCKETS_MAX:
        raise BadHistogram(f"{len(told)} buckets")
    counts = tuple(told)
    if min(counts, default=0) < 0 or zeros < 0 or sum(counts) + zeros > count_max:
        raise BadHistogram("a bucket counts less than none, or all too much")
    return counts
