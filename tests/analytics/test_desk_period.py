"""Of which time a page of the desk tells: its names, the reader's days, and what is wrong with a query."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from accounts.desk.zones import reader_zone
from analytics.desk.period import NAMES, Period, period_of

NOW = datetime(2026, 3, 29, 12, 34, 56, tzinfo=UTC)  # the day on which Berlin's clocks went forward
BERLIN = "Europe/Berlin"


@pytest.fixture
def in_berlin() -> Iterator[None]:
    with timezone.override(ZoneInfo(BERLIN)):
        yield


def asked(query: str) -> Period:
    return period_of(RequestFactory().get(f"/admin/desk/?{query}"), now=NOW)


def test_without_a_query_the_last_day_is_shown() -> None:
    period = asked("")
    assert (period.name, period.start, period.end) == ("24h", NOW - timedelta(days=1), NOW)


def test_yesterday_is_the_readers(in_berlin: None) -> None:
    period = asked("period=yesterday")
    assert (period.start, period.end) == (
        datetime(2026, 3, 27, 23, tzinfo=UTC),
        datetime(2026, 3, 28, 23, tzinfo=UTC),
    )
    assert asked("period=today").start == period.end


def test_times_of_ones_own_are_read_in_the_readers_zone_and_carried_by_links(in_berlin: None) -> None:
    period = asked("period=custom&from=2026-03-01T00:00&to=2026-03-02T12:30")
    assert (period.start, period.end) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 2, 11, 30, tzinfo=UTC),
    )
    assert period.query == {"period": "custom", "zone": BERLIN, "from": "2026-03-01T00:00", "to": "2026-03-02T12:30"}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("period=decade", "There is no such period."),
        ("period=custom", "Give both times, such as 2026-03-01T00:00."),
        ("period=custom&from=x&to=y", "Give both times, such as 2026-03-01T00:00."),
        ("period=custom&from=0001-01-01T00:00&to=9999-12-31T23:59", "Give both times, such as 2026-03-01T00:00."),
        ("period=custom&from=2026-03-02&to=2026-03-01", "Let it end after it begins, at most 400 days later."),
        ("period=custom&from=2020-03-02&to=2026-03-01", "Let it end after it begins, at most 400 days later."),
    ],
)
def test_a_wrong_query_is_told_and_shows_the_last_day(query: str, error: str, in_berlin: None) -> None:
    period = asked(query)
    assert (period.name, period.error) == ("24h", error)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "custom"])
def test_tiles_touch_each_other_and_cover_the_period(name: str, in_berlin: None) -> None:
    period = asked(f"period={name}")
    tiles = period.tiles()
    assert tiles[0].start <= period.start
    assert tiles[-1].end >= period.end
    assert all(before.end == after.start for before, after in pairwise(tiles))
    assert len(tiles) <= 200


def test_the_desk_speaks_in_the_readers_zone_and_falls_back_to_utc() -> None:
    def zone_of(path: str, cookie: str = "") -> str:
        request = RequestFactory().get(path)
        request.COOKIES["limitly_zone"] = cookie
        seen = []
        reader_zone(lambda _: seen.append(timezone.get_current_timezone_name()) or HttpResponse())(request)  # type: ignore[func-returns-value]
        return seen[0]

    assert zone_of("/admin/", "Europe%2FBerlin") == BERLIN
    assert zone_of("/admin/?zone=Asia/Kolkata", "Europe%2FBerlin") == "Asia/Kolkata"
    assert zone_of("/admin/?zone=Nowhere", "Europe%2FBerlin") == BERLIN
    assert zone_of("/admin/", "../etc/passwd") == "UTC"
    assert zone_of("/v1/docs", "Europe%2FBerlin") == "UTC"


@pytest.mark.parametrize(
    ("query", "length", "number"),
    [
        ("period=1h", timedelta(minutes=15), 5),
        ("period=24h", timedelta(hours=1), 25),
        ("period=7d", timedelta(days=1), 8),
        ("period=30d", timedelta(days=1), 31),
    ],
)
def test_few_tiles_are_hours_or_days_of_the_reader(query: str, length: timedelta, number: int, in_berlin: None) -> None:
    tiles = asked(query).tiles(are_few=True)
    assert len(tiles) == number
    assert {tile.end - tile.start for tile in tiles[:-1]} == {length}  # the last day lost an hour
    assert all(one.end == other.start for one, other in pairwise(tiles))
    assert tiles[0].start <= asked(query).start < asked(query).end <= tiles[-1].end
