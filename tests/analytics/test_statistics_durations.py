"""How long requests took: percentiles over time and by endpoint, the spread, and Apdex at its very bounds."""

from datetime import UTC, datetime

import pytest

from analytics.histograms import TIME, Histogram, from_pairs
from analytics.models import Environment
from analytics.periods import HOUR, QUARTER, TimePeriod
from analytics.statistics import sampling
from analytics.statistics.durations import Bar, apdex, bars, durations
from analytics.statistics.slices import slice_of
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.cast import Tenant

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOURS = [TimePeriod(NOON + n * HOUR, NOON + (n + 1) * HOUR) for n in range(3)]


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def test_durations_are_merged_by_period_and_by_endpoint(prod: Environment) -> None:
    fast, slow = endpoint(prod.app, "GET /fast"), endpoint(prod.app, "GET /slow")
    left_out = endpoint(prod.app, "GET /health", is_excluded=True)
    file_traffic(
        [
            Traffic(prod, fast, NOON, 90, seconds={0.01: 90}),
            Traffic(prod, fast, NOON + QUARTER, 5, status_code=500, seconds={0.01: 5}),
            Traffic(prod, slow, NOON + QUARTER, 5, seconds={2.0: 5}),
            Traffic(prod, slow, NOON + HOUR, 3, seconds={2.0: 2, 0: 1}),
            Traffic(prod, left_out, NOON, 3, seconds={9.0: 3}),
        ]
    )
    found = slice_of(prod.app, start=NOON, end=NOON + 3 * HOUR)
    assert found is not None
    told = durations(found, HOURS)
    ten_ms, two_s = (from_pairs([(value, 1)], TIME).percentile(50) for value in (0.01, 2.0))
    assert [each.count for each in told.by_period] == [100, 3, 0]
    assert [told.by_period[0].percentile(each) for each in (50, 95, 96)] == [ten_ms, ten_ms, two_s]
    assert told.by_period[1].zeros == 1
    assert told.by_period[2].percentile(50) is None
    assert told.by_endpoint == {
        fast.pk: from_pairs([(0.01, 95)], TIME),
        slow.pk: from_pairs([(2.0, 7), (0, 1)], TIME),
    }
    assert told.total == from_pairs([(0.01, 95), (2.0, 7), (0, 1)], TIME)


def test_of_very_many_those_of_every_so_many_quarter_hours_are_taken(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "BUCKETS_MAX", 10)
    orders = endpoint(prod.app, "GET /orders")
    file_traffic(Traffic(prod, orders, NOON + n * QUARTER, 1, seconds={0.1: 1, 2.0: 1}) for n in range(12))
    found = slice_of(prod.app, start=NOON, end=NOON + 3 * HOUR)
    assert found is not None
    told = durations(found, HOURS)
    assert told.every == 5
    taken = [n for n in range(12) if (NOON + n * QUARTER).timestamp() / 900 % 5 == 0]
    assert told.total == from_pairs([(0.1, len(taken)), (2.0, len(taken))], TIME)
    assert told.by_endpoint == {orders.pk: told.total}


def test_each_quarter_hour_of_a_day_has_its_turn() -> None:
    everies = {sampling.every_of(buckets) for buckets in range(0, 30_000_000, 100_000)}
    assert min(everies) == 1
    for every in everies:
        assert {n % 96 for n in range(0, 96 * every, every)} == set(range(96))


def test_bars_have_no_gaps_and_count_everything() -> None:
    histogram = from_pairs([(0.4, 3), (0.5, 1), (1.5, 2), (0, 4)], TIME)
    found = bars(histogram)
    assert [each.low_s for each in found] == pytest.approx([2**-1.5, 0.5, 2**-0.5, 1, 2**0.5])
    assert [each.high_s for each in found] == pytest.approx([0.5, 2**-0.5, 1, 2**0.5, 2])
    assert [each.requests for each in found] == [8, 0, 0, 0, 2]
    assert bars(Histogram()) == []
    assert bars(Histogram(zeros=2)) == [Bar(0, 0, 2)]


@pytest.mark.parametrize(
    ("seconds", "index"),
    [(0.0, 1.0), (0.5, 1.0), (0.51, 0.5), (2.0, 0.5), (2.01, 0.0), (60.0, 0.0)],
)
def test_apdex_is_exact_at_its_bounds(seconds: float, index: float) -> None:
    assert apdex(from_pairs([(seconds, 7)], TIME)) == index


def test_apdex_weighs_who_is_satisfied_and_who_bears_it() -> None:
    assert apdex(from_pairs([(0.1, 6), (1.0, 2), (9.0, 2)], TIME)) == 0.7
    assert apdex(Histogram()) is None
