"""Histograms as the database keeps and merges them."""

from collections import Counter

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.histograms import SIZE, Histogram, pack, unpack

histograms = st.builds(
    Histogram,
    zeros=st.integers(0, 2**40),
    buckets=st.dictionaries(st.integers(-160, SIZE.highest), st.integers(1, 2**40), max_size=20).map(Counter),
)


@given(histograms)
def test_what_is_packed_is_unpacked(histogram: Histogram) -> None:
    assert unpack(pack(histogram)) == histogram


def test_nothing_is_packed_as_nothing() -> None:
    assert pack(None) == pack(Histogram()) == []


@given(histograms)
def test_packed_buckets_are_sorted_and_fit_a_bigint(histogram: Histogram) -> None:
    packed = pack(histogram)
    assert packed == sorted(packed)
    assert all(0 < bucket < 2**63 for bucket in packed)


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(histograms, histograms)
def test_the_database_merges_as_python_does(one: Histogram, other: Histogram) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT analytics_merge_histograms(%s::bigint[], %s::bigint[])", [pack(one), pack(other)])
        merged = unpack(cursor.fetchone()[0])
    one.merge(other)
    assert merged == one


@pytest.mark.django_db
def test_the_database_sums_histograms() -> None:
    packed = [pack(Histogram(zeros, Counter({3: 2, -160: 1}))) for zeros in (0, 1, 5)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT analytics_sum_histograms(h::bigint[]) FROM unnest(%s::text[]) AS h",
            [["{" + ",".join(map(str, each)) + "}" for each in packed]],
        )
        assert unpack(cursor.fetchone()[0]) == Histogram(6, Counter({3: 6, -160: 3}))
