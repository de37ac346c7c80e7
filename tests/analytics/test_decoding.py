"""A report's bytes: gunzipped, bounded, cleaned."""

import gzip
import time
from datetime import UTC, datetime, timedelta

import pytest

from analytics.observations import BadReport
from analytics.reports.cleaning import clean, moment, moment_ns, slug
from analytics.reports.decoding import DECODED_MAX_BYTES, decoded

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 1_000_000])
def test_a_body_is_what_was_compressed(body: bytes) -> None:
    assert decoded(gzip.compress(body)) == body
    assert decoded(body) == body


def test_members_are_concatenated_and_padding_is_ignored() -> None:
    assert decoded(gzip.compress(b"one") + gzip.compress(b"two") + b"\0\0") == b"onetwo"


def test_padding_may_lie_between_members() -> None:
    assert decoded(gzip.compress(b"one") + b"\0" * 9_000 + gzip.compress(b"two")) == b"onetwo"


def test_a_quarter_of_a_million_members_take_no_time() -> None:
    """As many as a hub's largest body may hold: if each cost a copy of all behind it, they took 20 s."""
    body = gzip.compress(b"") * 262_144
    before = time.process_time()
    assert decoded(body) == b""
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(b"x" * 1000)[:-4], "bad_gzip"),
        (gzip.compress(b"one") + b"rubbish", "bad_gzip"),
        (b"\x1f\x8b\x08", "bad_gzip"),
        (gzip.compress(bytes(DECODED_MAX_BYTES + 1)), "too_large"),
        (gzip.compress(bytes(DECODED_MAX_BYTES)) + gzip.compress(b"x"), "too_large"),
    ],
    ids=["truncated", "rubbish", "header", "bomb", "two members"],  # gzip writes the time into its bytes
)
def test_what_cannot_be_decompressed_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(BadReport) as refused:
        decoded(body)
    assert refused.value.reason == reason


def test_a_caller_may_bound_it_closer() -> None:
    assert decoded(gzip.compress(b"x" * 10), at_most=10) == b"x" * 10
    for body in (gzip.compress(b"x" * 11), b"x" * 11):
        with pytest.raises(BadReport) as refused:
            decoded(body, at_most=10)
        assert refused.value.reason == "too_large"


def test_texts_are_cut_and_cleaned() -> None:
    assert clean("a\0b\ud800c" + "x" * 100, 6) == "a\ufffdb\ufffdcx"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Prod", "prod"),
        (" my env! ", "my-env"),
        ("", "prod"),
        ("///", "prod"),
        ("a" * 40, "a" * 32),
        ("a_b-1", "a_b-1"),
    ],
)
def test_environments_are_slugs(given: str, kept: str) -> None:
    assert slug(given) == kept


@pytest.mark.parametrize(
    ("offset", "kept"),
    [
        (timedelta(0), NOW),
        (timedelta(minutes=9), NOW + timedelta(minutes=9)),
        (timedelta(minutes=11), NOW),
        (timedelta(hours=-47), NOW - timedelta(hours=47)),
        (timedelta(hours=-49), None),
    ],
)
def test_a_time_is_taken_within_bounds(offset: timedelta, kept: datetime | None) -> None:
    at = NOW + offset
    assert moment(at.timestamp(), NOW) == kept
    assert moment_ns(int(at.timestamp()) * 10**9, NOW) == kept


@pytest.mark.parametrize(
    ("seconds", "kept"), [(float("nan"), None), (float("inf"), NOW), (float("-inf"), None), (1e300, NOW), (0, None)]
)
def test_absurd_times_are_bounded_too(seconds: float, kept: datetime | None) -> None:
    assert moment(seconds, NOW) == kept
