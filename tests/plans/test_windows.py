"""Windows tile time, whatever the instant, the period and the anchor."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plans.windows import Period, Window, following, window_at

TICK = timedelta(microseconds=1)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2998, 12, 31), timezones=st.just(UTC))
anchors = st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 30), timezones=st.just(UTC))
periods = st.sampled_from(Period)
LENGTHS = {Period.DAY: (1, 1), Period.WEEK: (7, 7), Period.MONTH: (28, 31), Period.YEAR: (365, 366)}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year, month, day, hour…


@given(moments, periods, anchors)
@example(utc(2024, 2, 29), Period.YEAR, utc(2000, 2, 29))
@example(utc(2023, 2, 28), Period.MONTH, utc(2023, 1, 31, 12))
@example(utc(2026, 1, 1), Period.WEEK, None)
def test_windows_tile_time_without_gap_or_overlap(now: datetime, period: Period, anchor: datetime | None) -> None:
    window = window_at(now, period=period, anchor=anchor)
    after = following(window, period=period, anchor=anchor)
    before = window_at(window.start - TICK, period=period, anchor=anchor)
    assert window.start <= now < window.end
    assert (before.end, after.start) == (window.start, window.end)
    assert window_at(window.start, period=period, anchor=anchor) == window
    assert window_at(window.end - TICK, period=period, anchor=anchor) == window


@given(moments, periods, anchors)
def test_a_windows_length_is_a_periods(now: datetime, period: Period, anchor: datetime | None) -> None:
    shortest, longest = LENGTHS[period]
    window = window_at(now, period=period, anchor=anchor)
    assert timedelta(days=shortest) <= window.end - window.start <= timedelta(days=longest)
    assert window.seconds == (window.end - window.start).total_seconds()


@given(moments, periods)
def test_an_anchor_on_a_calendar_boundary_is_the_calendar(now: datetime, period: Period) -> None:
    boundary = window_at(utc(1990, 5, 17), period=period).start
    assert window_at(now, period=period, anchor=boundary) == window_at(now, period=period)


@given(moments, periods, anchors.filter(bool))
def test_a_window_begins_at_the_anchor(now: datetime, period: Period, anchor: datetime) -> None:
    assert window_at(anchor, period=period, anchor=anchor).start == anchor


@given(moments, periods, anchors)
def test_the_zone_in_which_an_instant_is_told_does_not_matter(
    now: datetime, period: Period, anchor: datetime | None
) -> None:
    elsewhere = now.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert window_at(elsewhere, period=period, anchor=anchor) == window_at(now, period=period, anchor=anchor)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (Period.DAY, utc(2026, 6, 1), utc(2026, 6, 2)),
        (Period.WEEK, utc(2026, 6, 1), utc(2026, 6, 8)),
        (Period.MONTH, utc(2026, 6, 1), utc(2026, 7, 1)),
        (Period.YEAR, utc(2026, 1, 1), utc(2027, 1, 1)),
    ],
)
def test_the_calendars_windows_of_1_june_2026(period: Period, start: datetime, end: datetime) -> None:
    assert window_at(utc(2026, 6, 1), period=period) == Window(start, end)


def test_a_week_runs_over_new_year() -> None:
    assert window_at(utc(2027, 1, 1, 5), period=Period.WEEK) == Window(utc(2026, 12, 28), utc(2027, 1, 4))


def test_a_31st_falls_on_the_last_day_of_a_shorter_month_and_does_not_drift() -> None:
    starts = [
        window_at(utc(2024, month, 28), period=Period.MONTH, anchor=utc(2023, 12, 31, 8)).end for month in (2, 3, 4)
    ]
    assert starts == [utc(2024, 2, 29, 8), utc(2024, 3, 31, 8), utc(2024, 4, 30, 8)]


def test_a_29_february_falls_on_the_28th_in_common_years() -> None:
    anchor = utc(2024, 2, 29)
    assert window_at(utc(2025, 6, 1), period=Period.YEAR, anchor=anchor) == Window(utc(2025, 2, 28), utc(2026, 2, 28))
    assert window_at(utc(2028, 6, 1), period=Period.YEAR, anchor=anchor).start == utc(2028, 2, 29)


def test_windows_reach_back_before_their_anchor() -> None:
    assert window_at(utc(2020, 3, 1), period=Period.MONTH, anchor=utc(2026, 5, 10)) == Window(
        utc(2020, 2, 10), utc(2020, 3, 10)
    )


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        window_at(datetime(2026, 1, 1), period=Period.DAY)  # what the test is about
