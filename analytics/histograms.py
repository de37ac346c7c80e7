"""The one form of a histogram: base 2^(1/8), which is OTLP's scale 3; in seconds or bytes (pure).

Bucket i covers (2^(i/8), 2^((i+1)/8)]. What comes in another form is filed by the rules here (contract, ruling 13);
merging adds counts. A value that is read back is off by 4.5 % at most, or by the width of the reporter's own bucket.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SCALE = 3


class Bounds(NamedTuple):
    """The lowest and highest bucket; what lies beyond is filed in them."""

    lowest: int
    highest: int


TIME = Bounds(-160, 135)  # a microsecond to over a day
SIZE = Bounds(-1, 319)  # a byte to a terabyte


class BadHistogram(ValueError):
    """A point that cannot be counted: NaN, negative counts, bounds that do not rise."""


@dataclass(slots=True)
class Histogram:
    """Counts by bucket; values of zero are counted apart."""

    zeros: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.zeros + self.buckets.total()

    def merge(self, other: "Histogram") -> None:
        self.zeros += other.zeros
        self.buckets.update(other.buckets)

    def add(self, value: float, count: int, bounds: Bounds) -> None:
        """Errors: BadHistogram."""
        if math.isnan(value) or value < 0 or count < 0:
            raise BadHistogram(f"{count} times {value}")
        if value == 0:
            self.zeros += count
        elif count:
            self.buckets[bucket_of(value, bounds)] += count

    def percentile(self, percent: float) -> float | None:
        """By nearest rank, a value in the histogram's unit; None without values."""
        rank = max(1, math.ceil(self.count * percent / 100))
        if not self.count:
            return None
        if rank <= self.zeros:
            return 0.0
        rank -= self.zeros
        for index in sorted(self.buckets):
            rank -= self.buckets[index]
            if rank <= 0:
                return float(2 ** ((index + 0.5) / 8))
        raise AssertionError("the rank is at most the count")


# How a bucket is kept in the database (migration 0003 merges there): the index above, the count below.
_COUNT_BITS, _INDEX_SHIFT, _ZERO_INDEX = 48, 1024, -1000


def pack(histogram: Histogram | None) -> list[int]:
    """Sparse and sorted, zeros first: (index + 1024) << 48 | count for each bucket that is not empty."""
    if histogram is None:
        return []
    counts = [(_ZERO_INDEX, histogram.zeros), *sorted(histogram.buckets.items())]
    return [(index + _INDEX_SHIFT) << _COUNT_BITS | count for index, count in counts if count]


def unpack(packed: Iterable[int]) -> Histogram:
    histogram = Histogram()
    for bucket in packed:
        index, count = (bucket >> _COUNT_BITS) - _INDEX_SHIFT, bucket & (1 << _COUNT_BITS) - 1
        if index == _ZERO_INDEX:
            histogram.zeros += count
        else:
            histogram.buckets[index] += count
    return histogram


def bucket_of(value: float, bounds: Bounds) -> int:
    """Of a value above zero."""
    if math.isinf(value):
        return bounds.highest
    return _clamp(math.ceil(8 * math.log2(value)) - 1, bounds)


def from_exponential(
    scale: int, zeros: int, offset: int, counts: Sequence[int], bounds: Bounds, *, unit: float = 1
) -> Histogram:
    """Of an OTLP exponential histogram, scales -10 to 20; `unit` is the size of its unit in ours.

    Errors: BadHistogram.
    """
    if not -10 <= scale <= 20 or zeros < 0 or any(count < 0 for count in counts):
        raise BadHistogram(f"scale {scale}, or a negative count")
    histogram = Histogram(zeros)
    for index, count in enumerate(counts, start=offset):
        if count:
            ours = _rescale(index, scale) if unit == 1 else _rescale_unit(index, scale, unit)
            histogram.buckets[_clamp(ours, bounds)] += count
    return histogram


def from_explicit(
    limits: Sequence[float], counts: Sequence[int], bounds: Bounds, *, unit: float = 1, highest: float | None = None
) -> Histogram:
    """Of an OTLP histogram with explicit bounds; `unit` is the size of its unit in ours. Errors: BadHistogram."""
    if len(counts) != len(limits) + 1 or any(count < 0 for count in counts):
        raise BadHistogram("a count for each bucket, none negative")
    if any(math.isnan(limit) for limit in limits) or list(limits) != sorted(set(limits)):
        raise BadHistogram("bounds that rise")
    histogram = Histogram()
    lows, highs = [-math.inf, *limits], [*limits, math.inf]
    for low, high, count in zip(lows, highs, counts, strict=True):
        if count:
            histogram.add(_middle(low, high, highest) * unit, count, bounds)
    return histogram


def from_pairs(pairs: Iterable[tuple[float, int]], bounds: Bounds) -> Histogram:
    """Of values and how often each was seen. Errors: BadHistogram."""
    histogram = Histogram()
    for value, count in pairs:
        histogram.add(value, count, bounds)
    return histogram


def from_hub_times(times_ms: Mapping[str, int]) -> Histogram:
    """Of the hub's response times: key = milliseconds, floored to tens. Errors: BadHistogram, ValueError."""
    return from_pairs((((int(key) + 5) / 1000, count) for key, count in times_ms.items()), TIME)


def from_hub_sizes(sizes_kb: Mapping[str, int]) -> Histogram:
    """Of the hub's sizes: key = whole kilobytes. Errors: BadHistogram, ValueError."""
    return from_pairs((((int(key) + 0.5) * 1000, count) for key, count in sizes_kb.items()), SIZE)


def _rescale(index: int, scale: int) -> int:
    """Exact towards coarser buckets; from coarser ones the middle of those it covers."""
    if scale >= SCALE:
        return index >> (scale - SCALE)
    return (index << (SCALE - scale)) + (1 << (SCALE - 1 - scale))


def _rescale_unit(index: int, scale: int, unit: float) -> int:
    """Our bucket of the middle of theirs, by logarithms: the value itself may be beyond any float."""
    return math.ceil(8 * (math.ldexp(index + 0.5, -scale) + math.log2(unit))) - 1


def _middle(low: float, high: float, highest: float | None) -> float:
    """Of a bucket (low, high] with explicit bounds: the value under which it is filed."""
    if high == math.inf:
        return highest if highest is not None and highest > low else math.nextafter(max(low, 0.0), math.inf)
    if low <= 0:
        return max(high, 0.0) / 2
    return math.sqrt(low * high)


def _clamp(index: int, bounds: Bounds) -> int:
    return min(max(index, bounds.lowest), bounds.highest)
