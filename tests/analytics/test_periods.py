"""Hours, days and months of any zone tile time; the zones whose clocks are hardest to follow among them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.periods import EPOCH, MINUTE, QUARTER, Interval, TimePeriod, periods, whole

ZONES = [
    "UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "America/Havana", "Atlantic/Azores", "Africa/Cairo",
    "Australia/Lord_Howe",
]  # fmt: skip
CHANGES = {  # both changes of 2026, in UTC
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "America/Havana": ("2026-03-08T05:00", "2026-11-01T05:00"),
    "Atlantic/Azores": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "Africa/Cairo": ("2026-04-23T22:00", "2026-10-29T21:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),
}
HOURS = timedelta(hours=1)
instants = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def list_of(start: datetime, end: datetime, interval: Interval, zone: str) -> list[TimePeriod]:
    return list(periods(start, end, interval=interval, zone=ZoneInfo(zone)))


LENGTHS = {Interval.MINUTE: timedelta(hours=3), Interval.MONTH: timedelta(days=400)}
lengths = st.sampled_from(Interval).flatmap(
    lambda interval: st.tuples(
        st.just(interval), st.timedeltas(timedelta(seconds=1), LENGTHS.get(interval, timedelta(days=40)))
    )
)


@given(instants, lengths, st.sampled_from(ZONES))
def test_periods_tile_the_range_and_hold_its_ends(
    start: datetime, asked: tuple[Interval, timedelta], zone: str
) -> None:
    interval, length = asked
    found = list_of(start, start + length, interval, zone)
    assert found[0].start <= start < found[0].end
    assert found[-1].start < start + length <= found[-1].end
    assert all(one.end == two.start for one, two in pairwise(found))
    assert all(one.start < one.end for one in found)


@given(instants, st.sampled_from(ZONES))
def test_every_quarter_hour_of_a_day_shows_one_date(instant: datetime, zone: str) -> None:
    """Its neighbours show another: but a date that comes back after a change stays one day."""
    (day,) = list_of(instant, instant + timedelta(microseconds=1), Interval.DAY, zone)
    local = ZoneInfo(zone)
    shown = {
        (day.start + number * QUARTER).astimezone(local).date() for number in range((day.end - day.start) // QUARTER)
    }
    assert shown == {instant.astimezone(local).date()}
    assert (day.start - QUARTER).astimezone(local).date() not in shown
    assert day.end.astimezone(local).date() not in shown


@given(instants, st.sampled_from(ZONES))
def test_every_quarter_hour_of_an_hour_shows_one_hour_at_one_offset(instant: datetime, zone: str) -> None:
    (hour,) = list_of(instant, instant + timedelta(microseconds=1), Interval.HOUR, zone)
    quarters = [
        (hour.start + n * QUARTER).astimezone(ZoneInfo(zone)) for n in range((hour.end - hour.start) // QUARTER)
    ]
    assert {(each.hour, each.utcoffset()) for each in quarters} == {(quarters[0].hour, quarters[0].utcoffset())}
    assert hour.end - hour.start <= HOURS


@given(instants, st.sampled_from(ZONES))
def test_a_month_is_the_days_of_one_calendar_month(instant: datetime, zone: str) -> None:
    (month,) = list_of(instant, instant + timedelta(microseconds=1), Interval.MONTH, zone)
    days = list_of(month.start, month.end, Interval.DAY, zone)
    local = ZoneInfo(zone)
    names = [(day.start + timedelta(hours=12)).astimezone(local) for day in days]
    assert (days[0].start, days[-1].end) == month
    assert {(name.year, name.month) for name in names} == {
        (instant.astimezone(local).year, instant.astimezone(local).month)
    }
    assert [name.day for name in names] == list(range(1, len(days) + 1))


def test_months_begin_at_midnight_of_the_zone() -> None:
    found = list_of(at("2026-03-31T20:00"), at("2026-04-01T05:00"), Interval.MONTH, "America/New_York")
    assert [(month.start, month.end) for month in found] == [
        (at("2026-03-01T05:00"), at("2026-04-01T04:00")),
        (at("2026-04-01T04:00"), at("2026-05-01T04:00")),
    ]


@given(instants, st.timedeltas(timedelta(seconds=1), timedelta(days=1)), st.sampled_from([MINUTE, QUARTER]))
def test_a_whole_period_is_the_shortest_of_its_grain(start: datetime, length: timedelta, grain: timedelta) -> None:
    found = whole(start, start + length, grain=grain)
    assert found.start <= start < found.start + grain
    assert found.end - grain < start + length <= found.end
    assert (found.start - EPOCH) % grain == (found.end - EPOCH) % grain == timedelta()


@pytest.mark.parametrize(("zone", "changes"), CHANGES.items())
def test_a_day_of_change_is_shorter_or_longer(zone: str, changes: tuple[str, str]) -> None:
    lengths = []
    for change in map(at, changes):
        offsets = [(change + step).astimezone(ZoneInfo(zone)).utcoffset() for step in (-QUARTER, timedelta())]
        assert offsets[0] != offsets[1]
        days = list_of(change - timedelta(days=1), change + timedelta(days=1), Interval.DAY, zone)
        lengths.append({day.end - day.start for day in days} - {timedelta(days=1)})
    assert sorted(length for found in lengths for length in found) == sorted(
        timedelta(days=1) + sign * (HOURS / 2 if zone == "Australia/Lord_Howe" else HOURS) for sign in (-1, 1)
    )


def test_an_hour_that_occurs_twice_is_two_periods_and_a_missing_one_none() -> None:
    twice = list_of(at("2026-11-01T04:00"), at("2026-11-01T08:00"), Interval.HOUR, "America/New_York")
    missing = list_of(at("2026-03-08T05:00"), at("2026-03-08T08:00"), Interval.HOUR, "America/New_York")
    zone = ZoneInfo("America/New_York")
    assert [period.start.astimezone(zone).hour for period in twice] == [0, 1, 1, 2]
    assert [period.start.astimezone(zone).hour for period in missing] == [0, 1, 3]


def test_a_midnight_that_occurs_twice_and_one_that_does_not_exist() -> None:
    """Havana goes back from 1 to 0 o'clock, and forward from 0 to 1."""
    (twice,) = list_of(at("2026-11-01T12:00"), at("2026-11-01T13:00"), Interval.DAY, "America/Havana")
    (missing,) = list_of(at("2026-03-08T12:00"), at("2026-03-08T13:00"), Interval.DAY, "America/Havana")
    assert (twice.start, twice.end) == (at("2026-11-01T04:00"), at("2026-11-02T05:00"))
    assert (missing.start, missing.end) == (at("2026-03-08T05:00"), at("2026-03-09T04:00"))
