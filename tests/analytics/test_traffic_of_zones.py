"""Traffic adds up in any zone: per hour and per day, on days of change too, as filed so shown."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.api.queries import INTERVALS
from analytics.models import Environment
from analytics.periods import QUARTER, Interval, TimePeriod, periods
from analytics.traffic import QuarterSum, fold
from tests.analytics import reporting as reports
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe, stop_clock
from tests.analytics.test_periods import CHANGES, ZONES, at
from tests.cast import Tenant
from tests.conftest import ApiClient

NOW = datetime(2026, 12, 20, 10, 7, tzinfo=UTC)
OLDEST = datetime(2025, 11, 1, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
quarters = st.integers(0, (NOW - OLDEST) // QUARTER - 1).map(lambda number: OLDEST + number * QUARTER)


@pytest.fixture
def prod(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> Environment:
    stop_clock(monkeypatch, NOW)
    return observe(alice)


def _label(interval: Interval, zone: ZoneInfo) -> Callable[[datetime], object]:
    """Of which period of the zone an instant is, by what its clocks and calendars show."""

    def shown(instant: datetime) -> object:
        local = instant.astimezone(zone)
        return local.date() if interval is Interval.DAY else (local.date(), local.hour, local.utcoffset())

    return shown


def _filed(zone: str) -> Counter[datetime]:
    """Requests by quarter hour: around both changes of the zone without a gap, elsewhere here and there."""
    chance = random.Random(zone)
    around = [at(change) + number * QUARTER for change in CHANGES.get(zone, ()) for number in range(-150, 150)]
    elsewhere = [OLDEST + chance.randrange((NOW - OLDEST) // QUARTER) * QUARTER for _ in range(300)]
    return Counter({quarter: chance.randint(1, 99) for quarter in [*around, *elsewhere, OLDEST]})


def _read(api: ApiClient, of: Tenant, environment: Environment, query: str) -> list[dict[str, Any]]:
    """All pages."""
    seen: list[dict[str, Any]] = []
    token = ""
    while token is not None:
        answer = api.get(f"/v1/apps/{environment.app_id}/traffic?limit=1000&{query}&next_token={token}", of=of)
        page = answer.json()
        seen += page["data"]
        token = page["next_token"]
    return seen


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("zone", ZONES)
def test_sums_of_periods_are_sums_of_what_was_filed(
    api: ApiClient, alice: Tenant, prod: Environment, zone: str, interval: Interval
) -> None:
    filed, route = _filed(zone), endpoint(prod.app, "GET /a")
    file_traffic(
        Traffic(prod, route, quarter, requests=requests, bytes_sent=3 * requests) for quarter, requests in filed.items()
    )
    label = _label(interval, ZoneInfo(zone))
    longest = 400 * DAY if interval is Interval.DAY else 40 * DAY

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from([at(change) - DAY for change in CHANGES.get(zone, ())] + [NOW - 30 * DAY]) | quarters,
        st.integers(1, longest // MINUTE).map(lambda minutes: minutes * MINUTE),
    )
    def reads(start: datetime, length: timedelta) -> None:
        end = start + length
        query = f"interval={interval}&timezone={zone}&start={start:%Y-%m-%dT%H:%M:%SZ}&end={end:%Y-%m-%dT%H:%M:%SZ}"
        shown = _read(api, alice, prod, query)
        bounds = [(_instant(each["period_start"]), _instant(each["period_end"])) for each in shown]
        assert bounds[0][0] <= start < bounds[0][1]
        assert bounds[-1][0] < min(end, NOW) <= bounds[-1][1]
        assert all(one[1] == two[0] for one, two in pairwise(bounds))
        expected = Counter[object]()
        for quarter, requests in filed.items():
            expected[label(quarter)] += requests
        assert [each["requests"] for each in shown] == [expected[label(first)] for first, _ in bounds]
        inside = sum(requests for quarter, requests in filed.items() if bounds[0][0] <= quarter < bounds[-1][1])
        assert sum(each["requests"] for each in shown) == inside
        assert sum(each["bytes_sent"] for each in shown) == 3 * inside

    reads()


def _instant(text: str) -> datetime:
    assert text.endswith(":00Z")
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("zone", ZONES)
def test_what_reports_sent_is_what_hours_and_days_of_a_zone_sum_to(
    api: ApiClient, alice: Tenant, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """From the inbox to the API: each report three times, in any order, by the minute around both changes."""
    stop_clock(monkeypatch, NOW)
    app, chance = reports.new_app(alice), random.Random(zone)
    changes = CHANGES.get(zone, CHANGES["America/New_York"])
    minutes = [at(change) + chance.randrange(-36 * 60, 36 * 60) * MINUTE for change in changes for _ in range(60)]
    sent = [(minute, chance.randint(1, 9)) for minute in minutes]
    said = [reports.observed(reports.traffic(requests, at=minute)) for minute, requests in sent]
    bodies = [reports.body(each, nonce=number) for number, each in enumerate(said)] * 3
    reports.receive(app, *chance.sample(bodies, len(bodies)))
    assert reports.ingest(now=NOW) == len(bodies)
    for interval in INTERVALS:
        label = _label(interval, ZoneInfo(zone))
        shown = Counter[object]()
        for change in changes:
            start, end = at(change) - 3 * DAY, at(change) + 3 * DAY
            query = f"interval={interval}&timezone={zone}&start={start:%Y-%m-%dT%H:%MZ}&end={end:%Y-%m-%dT%H:%MZ}"
            for each in _read(api, alice, app.environments.get(), query):
                shown[label(_instant(each["period_start"]))] += each["requests"]
        expected = Counter[object]()
        for minute, requests in sent:
            expected[label(minute)] += requests
        assert +shown == expected


# --- folding, without a database ----------------------------------------------------------------------------------
@settings(deadline=None)
@given(
    st.sets(st.integers(0, 4_000)),
    st.integers(0, 4_000),
    st.integers(1, 40 * 96),
    st.sampled_from(ZONES),
    st.sampled_from(INTERVALS),
)
def test_folding_counts_each_quarter_hour_of_the_periods_once(
    filed: set[int], first: int, length: int, zone: str, interval: Interval
) -> None:
    start = at("2026-03-01T00:00") + first * QUARTER
    tiles = list(periods(start, start + length * QUARTER, interval=interval, zone=ZoneInfo(zone)))
    instants = sorted(at("2026-03-01T00:00") + number * QUARTER for number in filed)
    sums = fold((QuarterSum(int(each.timestamp()), 1, 2, 3) for each in instants), tiles)
    assert [each.period for each in sums] == tiles
    assert [each.requests for each in sums] == [
        sum(tile.start <= instant < tile.end for instant in instants) for tile in tiles
    ]
    assert all((each.bytes_received, each.bytes_sent) == (2 * each.requests, 3 * each.requests) for each in sums)


def test_folding_leaves_out_what_lies_before_and_behind() -> None:
    hour = TimePeriod(at("2026-06-15T12:00"), at("2026-06-15T13:00"))
    instants = [hour.start - QUARTER, hour.start, hour.end - QUARTER, hour.end]
    (only,) = fold([QuarterSum(int(each.timestamp()), 1, 0, 0) for each in instants], [hour])
    assert only.requests == 2
    assert fold([], [hour])[0].requests == 0
    assert fold([QuarterSum(0, 1, 0, 0)], []) == []
