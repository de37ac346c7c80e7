"""One form of histogram: what is merged and read back stays within the bounds that the contract states."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.histograms import (
    SIZE,
    TIME,
    BadHistogram,
    Histogram,
    bucket_of,
    from_explicit,
    from_exponential,
    from_hub_sizes,
    from_hub_times,
    from_pairs,
)

seconds = st.floats(1e-5, 1e4)
counts = st.lists(st.integers(0, 1000), min_size=1, max_size=40)


@given(seconds)
def test_a_bucket_covers_its_value(value: float) -> None:
    index = bucket_of(value, TIME)
    assert 2 ** (index / 8) * (1 - 1e-12) <= value <= 2 ** ((index + 1) / 8) * (1 + 1e-12)


def test_46_bytes_are_in_bucket_44_as_the_sdk_files_them() -> None:
    assert bucket_of(46, SIZE) == 44


@given(st.lists(seconds, min_size=1), st.sampled_from([50, 75, 90, 95, 99]))
def test_a_percentile_is_the_true_one_within_four_and_a_half_percent(values: list[float], percent: int) -> None:
    true = sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]
    found = from_pairs(((value, 1) for value in values), TIME).percentile(percent)
    assert found is not None
    assert abs(found - true) <= 0.045 * true


@given(st.integers(4, 20), st.integers(-500, 500), counts)
def test_a_finer_scale_becomes_ours_exactly(scale: int, offset: int, given_counts: list[int]) -> None:
    fine = from_exponential(scale, 2, offset, given_counts, TIME)
    for index, count in enumerate(given_counts, start=offset):
        low, high = (2 ** (each / 2**scale) for each in (index, index + 1))
        assert bucket_of(math.sqrt(low * high), TIME) in fine.buckets or not count
    assert fine.count == sum(given_counts) + 2


@given(st.integers(0, 20), st.integers(-60, 60), st.sampled_from([0.001, 60.0]))
def test_in_another_unit_the_middle_of_a_bucket_is_filed(scale: int, index: int, unit: float) -> None:
    (found,) = from_exponential(scale, 0, index, [1], TIME, unit=unit).buckets
    true = 2 ** ((index + 0.5) / 2**scale) * unit
    assert abs(bucket_of(true, TIME) - found) <= 1  # on a bucket's edge logarithms may round either way


@pytest.mark.parametrize(("offset", "bucket"), [(2**31 - 1, TIME.highest), (-(2**31), TIME.lowest)])
def test_values_beyond_any_float_are_filed_at_the_ends(offset: int, bucket: int) -> None:
    assert from_exponential(-10, 0, offset, [1], TIME, unit=0.001).buckets == {bucket: 1}


@given(st.integers(3, 20), st.integers(-300, 300), counts, counts)
def test_merging_and_downscaling_commute(scale: int, offset: int, one: list[int], two: list[int]) -> None:
    apart = from_exponential(scale, 0, offset, one, TIME)
    apart.merge(from_exponential(scale, 0, offset, two, TIME))
    length = max(len(one), len(two))
    padded = [[*given_counts, *[0] * (length - len(given_counts))] for given_counts in (one, two)]
    together = from_exponential(scale, 0, offset, [a + b for a, b in zip(*padded, strict=True)], TIME)
    assert apart == together


@given(st.integers(-10, 2), st.integers(-3, 3))
def test_a_coarser_bucket_is_filed_within_itself(scale: int, index: int) -> None:
    (found,) = from_exponential(scale, 0, index, [1], TIME).buckets
    low, high = (each * 2 ** (3 - scale) for each in (index, index + 1))
    assert max(TIME.lowest, min(low, TIME.highest)) <= found <= min(TIME.highest, max(high, TIME.lowest))


def test_explicit_bounds_are_filed_at_the_middle_of_each_bucket() -> None:
    found = from_explicit([10, 1000], [1, 2, 4], TIME, unit=0.001, highest=3000)
    assert found.buckets == {bucket_of(0.005, TIME): 1, bucket_of(0.1, TIME): 2, bucket_of(3, TIME): 4}


def test_an_overflow_without_a_maximum_lies_just_above_the_last_bound() -> None:
    assert from_explicit([1.0], [0, 3], TIME).buckets == {0: 3}
    assert from_explicit([], [3], TIME).count == 3


def test_the_hubs_keys_are_the_middles_of_their_steps() -> None:
    assert from_hub_times({"0": 3, "120": 1}).buckets == {bucket_of(0.005, TIME): 3, bucket_of(0.125, TIME): 1}
    assert from_hub_sizes({"0": 2, "3": 1}).buckets == {bucket_of(500, SIZE): 2, bucket_of(3500, SIZE): 1}


def test_what_is_far_off_is_filed_in_the_last_bucket() -> None:
    assert from_pairs([(1e-30, 1), (1e30, 1), (math.inf, 1)], TIME).buckets == {TIME.lowest: 1, TIME.highest: 2}


def test_zeros_have_a_count_of_their_own() -> None:
    found = from_pairs([(0, 3), (1, 1)], SIZE)
    assert (found.zeros, found.percentile(50), found.count) == (3, 0.0, 4)
    assert Histogram().percentile(50) is None


@pytest.mark.parametrize("pair", [(math.nan, 1), (-1, 1), (1, -1)])
def test_a_value_that_is_none_is_refused(pair: tuple[float, int]) -> None:
    with pytest.raises(BadHistogram):
        from_pairs([pair], TIME)


@pytest.mark.parametrize(
    ("limits", "given_counts"), [([1, 2], [1, 1]), ([2, 1], [0, 0, 0]), ([1], [1, -1]), ([math.nan], [0, 0])]
)
def test_explicit_bounds_that_are_none_are_refused(limits: list[float], given_counts: list[int]) -> None:
    with pytest.raises(BadHistogram):
        from_explicit(limits, given_counts, TIME)


@pytest.mark.parametrize(("scale", "given_counts"), [(21, [1]), (-11, [1]), (3, [-1])])
def test_exponential_histograms_that_are_none_are_refused(scale: int, given_counts: list[int]) -> None:
    with pytest.raises(BadHistogram):
        from_exponential(scale, 0, 0, given_counts, TIME)
