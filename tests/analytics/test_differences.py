"""What a point of a cumulative stream adds to the one before it, whatever way the series is cut and shuffled."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.histograms import SIZE, TIME, BadHistogram, Histogram, from_explicit, from_exponential
from analytics.observations import CumulativePoint, Measure, ReportedBuckets, Traffic
from analytics.reports.cleaning import EPOCH
from analytics.rollup.differences import State, added, is_newer, state_of
from tests.analytics.reporting import DAY, HOUR, MINUTE, NOW, call

SECOND_NS = 10**9
FINEST = 8
LIMITS = (0.005, 0.1, 1.0, 7.5)
DURATIONS, SIZES = Measure("durations", 1), Measure("response_sizes", 1)


def ns(moment: datetime) -> int:
    return int((moment - EPOCH) / timedelta(microseconds=1)) * 1000


def point(
    buckets: ReportedBuckets,
    *,
    at: datetime = NOW,
    start: datetime = NOW - HOUR,
    measure: Measure = DURATIONS,
    total: float = 0.0,
    count: int | None = None,
) -> CumulativePoint:
    counted = sum(buckets.counts) + buckets.zeros if count is None else count
    return CumulativePoint(b"s" * 32, measure, call(), "flask", ns(start), ns(at), counted, total, buckets)


def explicit(*counts: int, limits: tuple[float, ...] = LIMITS) -> ReportedBuckets:
    return ReportedBuckets(counts, limits=limits)


def exponential(counts: Counter[int], scale: int, *, zeros: int = 0) -> ReportedBuckets:
    """Of indexes at the finest scale."""
    coarse: Counter[int] = Counter()
    for index, count in counts.items():
        coarse[index >> (FINEST - scale)] += count
    offset = min(coarse, default=0)
    dense = tuple(coarse[index] for index in range(offset, max(coarse, default=-1) + 1))
    return ReportedBuckets(dense, scale=scale, zeros=zeros, offset=offset)


def run(points: Iterable[CumulativePoint], *, now: datetime = NOW + DAY) -> list[Traffic]:
    """As the roll-up does, of one stream."""
    last: State | None = None
    traffic = []
    for each in points:
        if is_newer(each, last):
            addition = added(each, last, now=now)
            last = state_of(each)
            traffic += [addition] if addition else []
    return traffic


def merged(histograms: Iterable[Histogram | None]) -> Histogram:
    whole = Histogram()
    for each in histograms:
        if each:
            whole.merge(each)
    return whole


# --- any series, cut and shuffled in any way ----------------------------------------------------------------------
@st.composite
def exponential_series(draw: st.DrawFn, lowest_scale: int = 3) -> list[CumulativePoint]:
    """Counts that rise, and scales that fall as an SDK's do when its range grows."""
    steps = draw(
        st.lists(st.dictionaries(st.integers(-400, 400), st.integers(1, 50), max_size=6), min_size=1, max_size=8)
    )
    scales = sorted(
        draw(st.lists(st.integers(lowest_scale, FINEST), min_size=len(steps), max_size=len(steps))), reverse=True
    )
    counts: Counter[int] = Counter()
    points, zeros = [], 0
    for number, (step, scale) in enumerate(zip(steps, scales, strict=True)):
        counts.update(step)
        zeros += number % 2
        buckets = exponential(counts, scale, zeros=zeros)
        points.append(point(buckets, at=NOW + number * MINUTE, total=sum(counts.values()) * 0.7))
    return points


@st.composite
def explicit_series(draw: st.DrawFn) -> list[CumulativePoint]:
    steps = draw(st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=8))
    counts, points = [0] * 5, []
    for number, step in enumerate(steps):
        counts = [one + other for one, other in zip(counts, step, strict=True)]
        points.append(point(explicit(*counts), at=NOW + number * MINUTE, total=sum(counts) * 123.45, measure=SIZES))
    return points


def deliveries(points: Sequence[CumulativePoint]) -> st.SearchStrategy[list[CumulativePoint]]:
    """The last one, and any others, some of them twice, in any order."""
    others = st.lists(st.sampled_from(points), max_size=12)
    return others.flatmap(lambda some: st.permutations([*some, points[-1]]))


@given(exponential_series().flatmap(lambda points: st.tuples(st.just(points), deliveries(points))))
def test_an_exponential_series_sums_to_its_last_point(
    given_: tuple[list[CumulativePoint], list[CumulativePoint]],
) -> None:
    points, delivered = given_
    last, traffic = points[-1], run(delivered)
    scale = last.buckets.scale
    assert scale is not None
    assert sum(each.requests for each in traffic) == last.count
    whole = from_exponential(scale, last.buckets.zeros, last.buckets.offset, last.buckets.counts, TIME)
    assert +merged(each.durations for each in traffic).buckets == +whole.buckets
    assert merged(each.durations for each in traffic).zeros == whole.zeros


@given(exponential_series(lowest_scale=-2).flatmap(deliveries))
def test_at_coarse_scales_too_every_request_is_in_a_bucket(delivered: list[CumulativePoint]) -> None:
    traffic = run(delivered)
    assert sum(each.requests for each in traffic) == max(delivered, key=lambda each: each.time_ns).count
    assert all(each.durations is None or each.durations.count == each.requests for each in traffic)


@given(explicit_series().flatmap(lambda points: st.tuples(st.just(points), deliveries(points))))
def test_an_explicit_series_sums_to_its_last_point_to_the_byte(
    given_: tuple[list[CumulativePoint], list[CumulativePoint]],
) -> None:
    points, delivered = given_
    last, traffic = points[-1], run(delivered)
    assert sum(each.bytes_sent for each in traffic) == round(last.sum)
    assert {each.requests for each in traffic} <= {0}  # a size is of a request that durations count
    whole = from_explicit(LIMITS, last.buckets.counts, SIZE)
    assert +merged(each.response_sizes for each in traffic).buckets == +whole.buckets


# --- where it is filed --------------------------------------------------------------------------------------------
def test_the_first_point_is_filed_at_the_streams_start_and_a_later_one_at_the_point_before() -> None:
    series = [point(explicit(1, 0, 0, 0, 0)), point(explicit(3, 0, 0, 0, 0), at=NOW + MINUTE)]
    assert [(each.at, each.requests) for each in run(series)] == [(NOW - HOUR, 1), (NOW, 2)]


def test_what_lies_ahead_of_the_clock_is_filed_by_the_clock() -> None:
    ahead = point(explicit(1, 0, 0, 0, 0), start=NOW + DAY, at=NOW + 2 * DAY)
    assert [each.at for each in run([ahead], now=NOW)] == [NOW]


def test_a_stream_that_began_over_48_hours_before_its_first_point_only_sets_the_base() -> None:
    old = [point(explicit(9, 0, 0, 0, 0), start=NOW - 3 * DAY, at=NOW + n * MINUTE) for n in range(1)]
    next_one = point(explicit(11, 0, 0, 0, 0), start=NOW - 3 * DAY, at=NOW + MINUTE)
    assert [each.requests for each in run([*old, next_one])] == [2]
    assert [each.requests for each in run([point(explicit(9, 0, 0, 0, 0), start=NOW - 2 * DAY)])] == [9]
    assert run([point(explicit(9, 0, 0, 0, 0), start=datetime(1970, 1, 1, tzinfo=UTC))]) == []


def test_a_stream_that_was_silent_for_48_hours_only_sets_the_base() -> None:
    series = [point(explicit(4, 0, 0, 0, 0)), point(explicit(9, 0, 0, 0, 0), at=NOW + 2 * DAY + MINUTE)]
    assert [each.requests for each in run(series, now=NOW + 3 * DAY)] == [4]


@pytest.mark.parametrize(
    "fallen",
    [explicit(1, 1, 0, 0, 0), explicit(9, 0, 0, 0, 0)],  # fewer in all; more in all, but fewer in one bucket
)
def test_a_count_that_fell_is_a_new_stream_since_the_last_point(fallen: ReportedBuckets) -> None:
    series = [point(explicit(2, 3, 0, 0, 0)), point(fallen, at=NOW + MINUTE)]
    first, second = run(series)
    assert (first.requests, second.requests, second.at) == (5, sum(fallen.counts), NOW)


def test_with_other_bounds_the_count_is_exact_and_the_difference_has_no_buckets() -> None:
    series = [point(explicit(2, 3, 0, 0, 0)), point(explicit(9, 0, limits=(1.0,)), at=NOW + MINUTE)]
    assert [(each.requests, each.durations and each.durations.count) for each in run(series)] == [(5, 5), (4, None)]


def test_a_histogram_without_buckets_counts_all_the_same() -> None:
    series = [point(ReportedBuckets(()), count=3), point(ReportedBuckets(()), count=5, at=NOW + MINUTE)]
    assert [(each.requests, each.durations) for each in run(series)] == [(3, None), (2, None)]


def test_milliseconds_and_received_sizes_are_known_by_their_measure() -> None:
    ms = point(explicit(0, 0, 4, 0, 0, limits=(5.0, 10.0, 25.0, 100.0)), measure=Measure("durations", 0.001))
    exponential_ms = point(exponential(Counter({7 * 2**FINEST: 4}), 3, zeros=2), measure=Measure("durations", 0.001))
    kilo = point(explicit(0, 0, 0, 1, 0), total=1.5, measure=Measure("request_sizes", 1024))
    for of_ms, count in ((ms, 4), (exponential_ms, 6)):
        durations = run([of_ms])[0].durations
        assert durations is not None
        assert durations.count == count
    median = run([ms])[0].durations
    assert median is not None
    assert median.percentile(50) == pytest.approx(0.0158, rel=0.05)
    assert (run([kilo])[0].bytes_received, run([kilo])[0].bytes_sent) == (1536, 0)


def test_bounds_that_do_not_rise_are_refused() -> None:
    with pytest.raises(BadHistogram):
        run([point(explicit(1, 1, 1, limits=(2.0, 1.0)))])
