"""What a batch adds up to, as pure functions: nothing is lost between minutes, quarter hours and totals."""

import copy
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analytics.histograms import Histogram
from analytics.models import Source
from analytics.observations import Call, Traffic
from analytics.rollup.judging import quarter_of
from analytics.rollup.merging import Amounts, Cell, Sums, by_quarter, merge, minute_of, of_all_consumers
from tests.analytics.reporting import NOW

histograms = st.none() | st.builds(
    Histogram, zeros=st.integers(0, 5), buckets=st.dictionaries(st.integers(-5, 5), st.integers(1, 9)).map(Counter)
)
amounts = st.builds(
    Traffic,
    at=st.integers(0, 40 * 60).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    call=st.just(Call("GET", "/", 200)),
    source=st.just(Source.METRIC),
    requests=st.integers(0, 100),
    bytes_received=st.integers(0, 100),
    bytes_sent=st.integers(0, 100),
    durations=histograms,
    request_sizes=histograms,
    response_sizes=histograms,
)
names = st.tuples(st.integers(1, 2), st.integers(1, 2), st.sampled_from([200, 500]), st.integers(0, 2), st.just(3))
items = st.lists(st.tuples(names, amounts).map(lambda it: (Cell(minute_of(it[1].at), *it[0]), it[1])), max_size=30)


def _whole(sums: Iterable[Amounts]) -> tuple[object, ...]:
    sums = list(sums)
    whole = [Histogram(), Histogram(), Histogram()]
    for each in sums:
        for histogram, told in zip(whole, (each.durations, each.request_sizes, each.response_sizes), strict=True):
            histogram.merge(told or Histogram())
    numbers = [(each.requests, each.bytes_received, each.bytes_sent) for each in sums]
    return sum(n[0] for n in numbers), sum(n[1] for n in numbers), sum(n[2] for n in numbers), *whole


@given(items)
def test_minutes_quarter_hours_and_totals_sum_to_what_was_given(given_: list[tuple[Cell, Traffic]]) -> None:
    minutes = merge(given_)
    quarters = by_quarter(minutes)
    totals = of_all_consumers(quarters)
    whole = _whole([amounts for _, amounts in given_])
    assert [_whole(sums.values()) for sums in (minutes, quarters, totals)] == [whole] * 3
    assert {quarter_of(cell.start) for cell in minutes} == {cell.start for cell in quarters}
    assert {cell._replace(consumer_id=0) for cell in quarters} == set(totals)
    assert all(list(sums) == sorted(sums) for sums in (minutes, quarters, totals))


@given(items)
def test_what_is_merged_is_not_changed_and_merges_again_to_the_same(given_: list[tuple[Cell, Traffic]]) -> None:
    before = copy.deepcopy(given_)
    first, again = of_all_consumers(by_quarter(merge(given_))), of_all_consumers(by_quarter(merge(given_)))
    assert given_ == before
    assert _comparable(first) == _comparable(again)


def _comparable(sums: Sums) -> list[object]:
    return [(cell, _whole([amounts])) for cell, amounts in sums.items()]
