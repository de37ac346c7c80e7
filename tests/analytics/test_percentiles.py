"""Percentiles that are read back, against the true ones of the durations that were measured, by every form of report:
off by 4.5 % at most where the reporter is as fine as we are, else within the reporter's own bucket (ruling 13)."""

import bisect
import math
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from analytics.histograms import TIME, Histogram, from_explicit, from_exponential, from_hub_times

# As the SDKs of OpenTelemetry have them unless they are told otherwise, in seconds.
LIMITS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
OURS = 0.045
measured = st.lists(st.floats(1e-4, 1e2), min_size=1, max_size=200)
percents = st.sampled_from([50, 75, 90, 95, 99])


def true_percentile(seconds: Sequence[float], percent: int) -> float:
    """By nearest rank."""
    return sorted(seconds)[max(1, math.ceil(len(seconds) * percent / 100)) - 1]


def read_back(histogram: Histogram, percent: int) -> float:
    found = histogram.percentile(percent)
    assert found is not None
    return found


def exponential(seconds: Sequence[float], scale: int) -> Histogram:
    """As an SDK files them: (b^i, b^(i+1)], b = 2^(2^-scale)."""
    counts = Counter(math.ceil(math.ldexp(math.log2(value), scale)) - 1 for value in seconds)
    dense = [counts[index] for index in range(min(counts), max(counts) + 1)]
    return from_exponential(scale, 0, min(counts), dense, TIME)


@given(measured, percents, st.integers(3, 9))
def test_of_exponential_histograms_as_fine_as_ours(seconds: list[float], percent: int, scale: int) -> None:
    true = true_percentile(seconds, percent)
    assert abs(read_back(exponential(seconds, scale), percent) - true) <= OURS * true


@given(measured, percents, st.integers(-10, 2))
def test_of_coarser_exponential_histograms(seconds: list[float], percent: int, scale: int) -> None:
    index = math.ceil(math.ldexp(math.log2(true_percentile(seconds, percent)), scale)) - 1
    low, high = (math.ldexp(edge, -scale) for edge in (index, index + 1))  # as powers of two
    found = math.log2(read_back(exponential(seconds, scale), percent))
    assert max(low, TIME.lowest / 8) - 1 / 16 <= found <= min(high, (TIME.highest + 1) / 8) + 1 / 16


@given(measured, percents)
def test_of_histograms_with_explicit_bounds(seconds: list[float], percent: int) -> None:
    counts = [0] * (len(LIMITS) + 1)
    for value in seconds:
        counts[bisect.bisect_left(LIMITS, value)] += 1
    place = bisect.bisect_left(LIMITS, true_percentile(seconds, percent))
    low, high = [0.0, *LIMITS][place], [*LIMITS, max(seconds)][place]
    found = read_back(from_explicit(LIMITS, counts, TIME, highest=max(seconds)), percent)
    assert low * (1 - OURS) <= found <= high * (1 + OURS)


@given(measured, percents)
def test_of_the_hubs_tens_of_milliseconds(seconds: list[float], percent: int) -> None:
    counts = Counter(str(int(value * 100) * 10) for value in seconds)
    low = int(true_percentile(seconds, percent) * 100) / 100
    found = read_back(from_hub_times(counts), percent)
    assert low * (1 - OURS) <= found <= (low + 0.01) * (1 + OURS)
    assert abs(found - (low + 0.005)) <= OURS * (low + 0.005)


@given(st.lists(measured, min_size=2, max_size=5), percents)
def test_of_what_several_reports_and_quarter_hours_add_up_to(parts: list[list[float]], percent: int) -> None:
    merged = Histogram()
    for number, part in enumerate(parts):
        merged.merge(exponential(part, 3 + number))
    true = true_percentile([value for part in parts for value in part], percent)
    assert abs(read_back(merged, percent) - true) <= OURS * true
