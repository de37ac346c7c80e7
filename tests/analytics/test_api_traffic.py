"""Traffic by hour and day, as Apitally's clients ask for it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.models import Environment, Record, Source
from analytics.periods import QUARTER
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe, stop_clock, switch
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

NOW = datetime(2026, 6, 15, 12, 37, 5, tzinfo=UTC)
NOON = NOW.replace(minute=0, second=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def prod(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> Environment:
    stop_clock(monkeypatch, NOW)
    return observe(alice)


def _get(api: ApiClient, of: Tenant, environment: Environment, query: str = "") -> dict[str, Any]:
    answer = api.get(f"/v1/apps/{environment.app_id}/traffic?{query}", of=of)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def _requests(page: dict[str, Any]) -> dict[str, int]:
    """By start, of the periods that have any."""
    return {each["period_start"]: each["requests"] for each in page["data"] if each["requests"]}


def test_a_day_by_hour_is_shown_unless_told_otherwise(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    file_traffic(
        [
            Traffic(prod, route, NOON, requests=2, bytes_received=3, bytes_sent=5),
            Traffic(prod, route, NOON + 2 * QUARTER, requests=7, bytes_received=11, bytes_sent=13),
            Traffic(prod, route, NOON - 24 * HOUR),
            Traffic(prod, route, NOON - 24 * HOUR - QUARTER),
        ]
    )
    page = _get(api, alice, prod)
    assert (len(page["data"]), page["has_more"], page["next_token"]) == (25, False, None)
    assert page["data"][-1] == {
        "period_start": "2026-06-15T12:00:00Z",
        "period_end": "2026-06-15T13:00:00Z",
        "requests": 9,
        "bytes_received": 14,
        "bytes_sent": 18,
    }
    assert _requests(page) == {"2026-06-14T12:00:00Z": 1, "2026-06-15T12:00:00Z": 9}


def test_thirty_days_by_day_is_what_days_begin_with(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    data = _get(api, alice, prod, "interval=day")["data"]
    assert len(data) == 31
    assert (data[0]["period_start"], data[-1]["period_end"]) == ("2026-05-16T00:00:00Z", "2026-06-16T00:00:00Z")
    assert {each["requests"] for each in data} == {0}


@pytest.mark.parametrize(
    ("query", "length"),
    [
        ("intervals=days", 31),
        ("intervals=hours", 25),
        ("interval=day&intervals=hours", 31),
        ("interval=hour&intervals=days", 25),
        ("interval=&intervals=days", 31),
    ],
)
def test_older_clients_say_intervals(api: ApiClient, alice: Tenant, prod: Environment, query: str, length: int) -> None:
    assert len(_get(api, alice, prod, query)["data"]) == length


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("start=2026-06-15T09:59:00Z&end=2026-06-15T11:00:00Z", "09:00", "10:00"),
        ("start=2026-06-15T09:00:00Z&end=2026-06-15T11:00:01Z", "09:00", "11:00"),
        ("start=2026-06-15T05:30:00&end=2026-06-15T06:00:00&timezone=America/New_York", "09:00", "09:00"),
        ("start=2026-06-15T11:30:00%2B02:00&end=2026-06-15T10:00:00Z&timezone=America/New_York", "09:00", "09:00"),
        ("start=2026-06-15T15:29:00&timezone=Asia/Kolkata", "09:30", "12:30"),
        ("start=2026-06-15&end=2026-06-15T05:00:00Z&timezone=America/New_York", "04:00", "04:00"),
        ("start=2026-06-15T11:00:00.000000000%2B00:00&end=2100-01-01T00:00:00Z", "11:00", "12:00"),
        ("start=2026-06-15t11:00:00z&end=2026-06-15T10:30:00-01:30", "11:00", "11:00"),
        ("start=2026-06-15T05:30:00&end=2026-06-15T06:00:00&timezone=%20America/New_York%20", "09:00", "09:00"),
        ("start=2026-06-15T09:00:00Z&start=2026-06-15T11:00:00Z", "11:00", "12:00"),
        ("timezone=UTC&start=2026-06-15T07:00:00&timezone=America/New_York", "11:00", "12:00"),
        ("start=2026-06-15T12:30:00Z", "12:00", "12:00"),
    ],
)
def test_the_range_begins_with_its_first_period_and_ends_now(
    api: ApiClient, alice: Tenant, prod: Environment, query: str, first: str, last: str
) -> None:
    data = _get(api, alice, prod, query)["data"]
    assert [data[0]["period_start"], data[-1]["period_start"]] == [f"2026-06-15T{each}:00Z" for each in (first, last)]


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        ("2025-11-02T01:30:00", "2025-11-02T05:00:00Z"),  # occurs twice: the first
        ("2026-03-08T02:30:00", "2026-03-08T07:00:00Z"),  # does not exist: as if the clocks had not changed yet
    ],
)
def test_a_local_time_that_occurs_twice_or_not_at_all(
    api: ApiClient, alice: Tenant, prod: Environment, start: str, shown: str
) -> None:
    page = _get(api, alice, prod, f"start={start}&timezone=America/New_York&limit=1")
    assert page["data"][0]["period_start"] == shown


def test_nothing_older_than_the_oldest_month_that_is_kept_is_shown(
    api: ApiClient, alice: Tenant, prod: Environment
) -> None:
    data = _get(api, alice, prod, "interval=day&start=1970-01-01T00:00:00Z&limit=1000")["data"]
    before = _get(api, alice, prod, "start=1970-01-01T00:00:00Z&end=1971-01-01T00:00:00Z")
    assert (data[0]["period_start"], len(data)) == ("2025-05-01T00:00:00Z", 365 + 31 + 15)
    assert before == {"data": [], "has_more": False, "next_token": None}


def test_a_range_that_has_not_begun_is_empty(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    page = _get(api, alice, prod, "start=2026-06-15T12:38:00Z&end=2026-06-15T13:00:00Z")
    assert page["data"] == []


def test_traffic_of_an_environment_and_of_a_consumer(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    dev, route = observe(alice, app=prod.app, name="dev"), endpoint(prod.app, "GET /a")
    ann = prod.app.consumers.create(identifier="ann")
    file_traffic(
        [
            Traffic(prod, route, NOON, requests=1),
            Traffic(prod, route, NOON, requests=2, consumer=ann),
            Traffic(prod, route, NOON, requests=4, consumer=ann, status_code=500),
            Traffic(dev, route, NOON, requests=8, consumer=ann, bytes_sent=9),
        ]
    )
    sums = {
        query: _requests(_get(api, alice, prod, query))["2026-06-15T12:00:00Z"]
        for query in ("", f"app_env_id={prod.pk}", f"consumer_id={ann.pk}", f"app_env_id={dev.pk}&consumer_id={ann.pk}")
    }
    assert list(sums.values()) == [15, 7, 14, 8]
    assert _get(api, alice, prod, f"consumer_id={ann.pk}")["data"][-1]["bytes_sent"] == 9


def test_only_a_consumers_traffic_reads_the_larger_table(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    ann = prod.app.consumers.create(identifier="ann")
    for query, table in (("", "analytics_environmentquarter"), (f"consumer_id={ann.pk}", "analytics_trafficquarter")):
        with counting_queries() as queries:
            _get(api, alice, prod, query)
        assert f" FROM {table}\n" in queries[-1]


def test_excluded_endpoints_are_left_out(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    health, unmatched = endpoint(prod.app, "GET /health", is_excluded=True), endpoint(prod.app, "GET")
    file_traffic(
        [
            Traffic(prod, health, NOON, requests=100, bytes_received=7, bytes_sent=11),
            Traffic(prod, health, NOON, requests=50, status_code=503, bytes_received=7, bytes_sent=11),
            Traffic(prod, health, NOON - HOUR, requests=9, bytes_received=7, bytes_sent=11),
            Traffic(prod, unmatched, NOON, requests=3, bytes_received=1, bytes_sent=2),
        ]
    )
    answer = _get(api, alice, prod)
    assert _requests(answer) == {"2026-06-15T12:00:00Z": 3}
    assert (answer["data"][-1]["bytes_received"], answer["data"][-1]["bytes_sent"]) == (1, 2)


def test_each_quarter_hour_shows_the_source_in_force_in_its_environment(
    api: ApiClient, alice: Tenant, prod: Environment
) -> None:
    other, route = Environment.objects.create(app=prod.app, name="other"), endpoint(prod.app, "GET /a")
    prod.sources.all().delete()
    switch(prod, Record.TRAFFIC, Source.METRIC, since=NOON - HOUR + QUARTER)
    switch(prod, Record.TRAFFIC, Source.DECISION, since=NOON)
    file_traffic(
        Traffic(environment, route, NOON - HOUR + number * QUARTER, requests=requests, source=source)
        for environment in (prod, other)
        for number in range(5)
        for requests, source in ((1, Source.DECISION), (10, Source.SPAN), (100, Source.METRIC))
    )
    prod_sums = _requests(_get(api, alice, prod, f"app_env_id={prod.pk}"))
    assert prod_sums == {"2026-06-15T11:00:00Z": 1 + 3 * 100, "2026-06-15T12:00:00Z": 1}
    assert _requests(_get(api, alice, prod)) == {"2026-06-15T11:00:00Z": 301 + 4, "2026-06-15T12:00:00Z": 2}
    other.pinned_source = Source.SPAN
    other.save()
    assert _requests(_get(api, alice, prod, f"app_env_id={other.pk}"))["2026-06-15T11:00:00Z"] == 40


def test_a_sum_beyond_a_bigint_stays_at_its_highest(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    file_traffic(Traffic(prod, route, NOON, bytes_sent=2**63 - 1, status_code=status) for status in (200, 500))
    assert _get(api, alice, prod)["data"][-1]["bytes_sent"] == 2**63 - 1


# --- pages --------------------------------------------------------------------------------------------------------
def test_pages_hold_every_period_once_whenever_they_are_read(
    api: ApiClient, alice: Tenant, prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _get(api, alice, prod, "interval=day&timezone=America/Havana")["data"]
    seen: list[dict[str, Any]] = []
    query = "limit=7&interval=day&timezone=America/Havana"
    while query:
        page = _get(api, alice, prod, query)
        seen += page["data"]
        assert page["has_more"] == (page["next_token"] is not None)
        stop_clock(monkeypatch, NOW + timedelta(days=3))
        query = f"limit=9&next_token={page['next_token']}" if page["has_more"] else ""
    assert seen == whole
    assert len(seen) == 31


def test_a_token_takes_its_parameters_repeated_or_left_out(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    asked = "intervals=days&start=2020-01-01T00:00:00&end=2100-01-01T00:00:00&timezone=Asia/Kathmandu"
    token = _get(api, alice, prod, f"{asked}&limit=3")["next_token"]
    rest = _get(api, alice, prod, f"next_token={token}")["data"]
    for repeated in (asked, "interval=day", "start=2020-01-01T00:00:00", "start=2019-12-31T18:15:00Z", "limit=100"):
        assert _get(api, alice, prod, f"next_token={token}&{repeated}")["data"] == rest
    for other in ("interval=hour", "start=2020-01-01T00:00:00Z", "timezone=UTC", "app_env_id=1", "consumer_id=1"):
        answer = api.get(f"/v1/apps/{prod.app_id}/traffic?next_token={token}&{other}", of=alice)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "next_token"])


# --- whose, how often, and what is wrong --------------------------------------------------------------------------
def test_ids_of_another_app_give_an_empty_list(api: ApiClient, alice: Tenant, bob: Tenant, prod: Environment) -> None:
    foreign = observe(bob)
    consumer = foreign.app.consumers.create(identifier="c")
    file_traffic([Traffic(foreign, endpoint(foreign.app, "GET /a"), NOON, consumer=consumer)])
    for query in (f"app_env_id={foreign.pk}", f"consumer_id={consumer.pk}", "app_env_id=2147483647"):
        assert _get(api, alice, prod, query) == {"data": [], "has_more": False, "next_token": None}
    assert _requests(_get(api, alice, prod)) == {}
    assert api.get(f"/v1/apps/{foreign.app_id}/traffic", of=alice).status_code == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("interval=week", "interval"),
        ("interval=month", "interval"),
        ("interval=minute", "interval"),
        ("intervals=day", "intervals"),
        ("timezone=Mars/Olympus", "timezone"),
        ("timezone=../../etc/passwd", "timezone"),
        ("timezone=America", "timezone"),
        (f"timezone={'x' * 65}", "timezone"),
        ("timezone=localtime", "timezone"),
        ("timezone=posixrules", "timezone"),
        ("timezone=right/UTC", "timezone"),
        ("timezone=posix/UTC", "timezone"),
        ("timezone=utc", "timezone"),
        ("start=yesterday", "start"),
        ("end=2026-13-01T00:00:00Z", "end"),
        ("start=2026-06-15T11:00:00Z&end=2026-06-15T11:00:00Z", "start"),
        ("start=2026-06-15T11:00:00&end=2026-06-15T11:00:00Z&timezone=America/New_York", "start"),
        ("start=2026-06-15T12:38:00Z", "start"),
        ("start=2026-06-15T12:37:05Z", "start"),
        ("end=2026-06-14T12:37:05Z", "start"),
        ("start=0001-01-01T00:00:00%2B14:00", "start"),
        ("end=9999-12-31T23:59:59-14:00", "end"),
        ("start=1781524800", "start"),
        ("limit=1.5", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("app_env_id=0", "app_env_id"),
        ("consumer_id=2147483648", "consumer_id"),
        ("next_token=forged", "next_token"),
    ],
)
def test_a_wrong_parameter_is_named(api: ApiClient, alice: Tenant, prod: Environment, query: str, name: str) -> None:
    answer = api.get(f"/v1/apps/{prod.app_id}/traffic?{query}", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert [each["loc"] for each in answer.json()["detail"]] == [["query", name]]


def test_a_year_costs_as_many_queries_as_a_day(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    def cost(query: str) -> int:
        with counting_queries() as queries:
            _get(api, alice, prod, query)
        return len(queries)

    few = cost("")
    for number in range(5):
        environment = observe(alice, app=prod.app, name=f"env-{number}")
        route = endpoint(prod.app, f"GET /{number}")
        file_traffic(Traffic(environment, route, NOON - days * timedelta(days=1)) for days in range(0, 390, 30))
    assert cost("interval=day&start=2025-05-01T00:00:00Z&limit=1000") == few <= 6
