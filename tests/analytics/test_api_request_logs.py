"""Request logs, as Apitally's clients ask for them: every filter, alone and beside the others."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from analytics.models import Environment, Record, RequestLog, RequestSource
from tests.analytics.filed import endpoint, file_rows, observe, request, stop_clock, switch
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

NOW = datetime(2026, 6, 15, 12, 37, 5, tzinfo=UTC)
NOON = NOW.replace(minute=0, second=0)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def prod(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> Environment:
    stop_clock(monkeypatch, NOW)
    return observe(alice)


def _get(api: ApiClient, of: Tenant, environment: Environment, query: str = "", name: str = "request-logs") -> Any:
    answer = api.get(f"/v1/apps/{environment.app_id}/{name}?{query}", of=of)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _urls(page: Any) -> list[str]:
    return [each["url"] for each in page["data"]]


def test_an_item_has_all_that_the_client_reads(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    ann = prod.app.consumers.create(identifier="ann", name="Ann")
    row = request(
        prod,
        endpoint(prod.app, "POST /users/{id}"),
        NOON + timedelta(microseconds=123_456),
        consumer_id=ann.pk,
        status_code=201,
        url="https://shop.example.com/users/1?a=%2F",
        request_size_bytes=7,
        response_time_ms=122,
        client_ip="2001:db8::1",
        country="DE",
    )
    file_rows([row])
    assert _get(api, alice, prod) == {
        "data": [
            {
                "timestamp": "2026-06-15T12:00:00.123Z",
                "request_uuid": str(row.uuid),
                "env": "prod",
                "consumer": "ann",
                "consumer_id": ann.pk,
                "method": "POST",
                "path": "/users/{id}",
                "url": "https://shop.example.com/users/1?a=%2F",
                "status_code": 201,
                "request_size_bytes": 7,
                "response_size_bytes": 66,
                "response_time_ms": 122,
                "client_ip": "2001:db8::1",
                "client_country_iso_code": "DE",
            }
        ],
        "has_more": False,
        "next_token": None,
    }


def test_what_is_not_known_is_null(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    file_rows([request(prod, endpoint(prod.app, "GET"), NOON)])
    (item,) = _get(api, alice, prod)["data"]
    nulls = {name for name, value in item.items() if value is None}
    assert nulls == {"consumer", "consumer_id", "path", "client_ip", "client_country_iso_code"}


def test_the_order_is_by_time_and_then_by_uuid(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    uuids = [UUID(int=number << 96) for number in (5, 1, 2**32 - 1, 3)]
    file_rows(request(prod, route, NOON, uuid=uuid) for uuid in uuids)
    file_rows([request(prod, route, NOON - SECOND, uuid=UUID(int=2**128 - 1))])
    shown = [UUID(each["request_uuid"]) for each in _get(api, alice, prod)["data"]]
    assert shown == [UUID(int=2**128 - 1), *sorted(uuids)]


def test_a_day_back_is_shown_unless_told_otherwise(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    times = {"too old": NOW - 24 * HOUR - SECOND, "oldest": NOW - 24 * HOUR, "newest": NOW - SECOND, "ahead": NOW}
    file_rows(request(prod, route, at, url=url) for url, at in times.items())
    assert _urls(_get(api, alice, prod)) == ["oldest", "newest"]
    assert _urls(_get(api, alice, prod, "start=1970-01-01T00:00:00Z")) == ["too old", "oldest", "newest"]
    assert _urls(_get(api, alice, prod, "end=2100-01-01T00:00:00Z")) == ["oldest", "newest", "ahead"]


@pytest.mark.parametrize(
    "query",
    [
        "start=2026-06-15T10:00:00Z&end=2026-06-15T11:00:00Z",
        "start=2026-06-15T06:00:00&end=2026-06-15T07:00:00&timezone=America/New_York",
        "start=2026-06-15T10:00:00&end=2026-06-15T11:00:00.000000000%2B00:00",
        "start=2026-06-15T15:45:00&end=2026-06-15T11:00:00Z&timezone=Asia/Kathmandu",
        "start=2026-06-15T12:00:00+02:00&end=2026-06-15T13:00:00%2B02:00&timezone=America/Havana",
    ],
)
def test_a_range_holds_its_start_and_not_its_end(api: ApiClient, alice: Tenant, prod: Environment, query: str) -> None:
    route, microsecond = endpoint(prod.app, "GET /a"), timedelta(microseconds=1)
    times = [NOON - 2 * HOUR - microsecond, NOON - 2 * HOUR, NOON - HOUR - microsecond, NOON - HOUR]
    file_rows(request(prod, route, at, url=str(number)) for number, at in enumerate(times))
    assert _urls(_get(api, alice, prod, query)) == ["1", "2"]


# --- filters ------------------------------------------------------------------------------------------------------
@pytest.fixture
def shop(prod: Environment, alice: Tenant) -> dict[str, int]:
    """Requests whose urls say how they differ; ids by name."""
    app, dev = prod.app, observe(alice, app=prod.app, name="dev")
    ann, ben = (app.consumers.create(identifier=name) for name in ("ann", "ben"))
    users, orders, odd, unmatched, post = (
        endpoint(app, route) for route in ("GET /v1/users", "GET /v1/orders", r"GET /v1/a%b_c\d", "GET", "POST")
    )
    create = endpoint(app, "POST /v1/orders")
    rows = [
        request(prod, users, NOON, url="users", consumer_id=ann.pk),
        request(prod, users, NOON + SECOND, url="users 404", status_code=404, consumer_id=ben.pk),
        request(dev, orders, NOON + 2 * SECOND, url="dev orders", consumer_id=ann.pk),
        request(prod, create, NOON + 3 * SECOND, url="create 500", status_code=500, consumer_id=ann.pk),
        request(prod, odd, NOON + 4 * SECOND, url="odd", status_code=204),
        request(prod, unmatched, NOON + 5 * SECOND, url="unmatched 404", status_code=404),
        request(dev, post, NOON + 6 * SECOND, url="dev post 405", status_code=405, consumer_id=ben.pk),
        request(prod, orders, NOON + 7 * SECOND, url="status 0", status_code=0),
    ]
    file_rows(rows)
    return {"ann": ann.pk, "ben": ben.pk, "prod": prod.pk, "dev": dev.pk}


@pytest.mark.parametrize(
    ("query", "urls"),
    [
        ("app_env_id={dev}", ["dev orders", "dev post 405"]),
        ("consumer_id={ann}", ["users", "dev orders", "create 500"]),
        ("consumer_id={ann}&app_env_id={prod}", ["users", "create 500"]),
        ("method=post", ["create 500", "dev post 405"]),
        ("method=POST,%20GET&status_code=404", ["users 404", "unmatched 404"]),
        ("method=DELETE", []),
        ("path=/v1/users", ["users", "users 404"]),
        ("path=*orders", ["dev orders", "create 500", "status 0"]),
        ("path=*orders&method=GET", ["dev orders", "status 0"]),
        ("path=*", ["users", "users 404", "dev orders", "create 500", "odd", "status 0"]),
        ("path=/v1/a%25b_c%5Cd", ["odd"]),
        ("path=/v1/a*", ["odd"]),
        ("path=/v1/a%25", []),
        ("path=/v1/user_", []),
        ("path=/v1/use%25", []),
        ("path=/V1/users", []),
        ("path=%20", []),
        ("status_code=404", ["users 404", "unmatched 404"]),
        ("status_code=4xx", ["users 404", "unmatched 404", "dev post 405"]),
        ("status_code=2XX,%20500", ["users", "dev orders", "create 500", "odd"]),
        ("status_code=0", ["status 0"]),
        ("status_code=3xx", []),
        ("status_code=503,1xx", []),
        ("status_code=4xx&path=*users&consumer_id={ben}&app_env_id={prod}&method=GET", ["users 404"]),
        ("status_code=2xx&consumer_id={ben}", []),
        ("status_code=&path=&method=&consumer_id=&app_env_id={dev}", ["dev orders", "dev post 405"]),
        ("unknown=1&consumer_id={ben}", ["users 404", "dev post 405"]),
        ("limit=1", ["users"]),
        ("app_env_id=2147483647", []),
        ("consumer_id=2147483647", []),
    ],
)
def test_request_logs_are_found_by_every_filter(
    api: ApiClient, alice: Tenant, prod: Environment, shop: dict[str, int], query: str, urls: list[str]
) -> None:
    assert _urls(_get(api, alice, prod, query.format(**shop))) == urls


def test_the_older_name_answers_the_same(
    api: ApiClient, alice: Tenant, prod: Environment, shop: dict[str, int]
) -> None:
    query = "status_code=2xx&limit=2"
    old, new = (_get(api, alice, prod, query, name) for name in ("request-log", "request-logs"))
    assert old["data"] == new["data"]
    assert _urls(_get(api, alice, prod, f"next_token={old['next_token']}")) == ["odd"]


def test_excluded_endpoints_are_left_out(
    api: ApiClient, alice: Tenant, prod: Environment, shop: dict[str, int]
) -> None:
    prod.app.endpoints.filter(path="/v1/users").update(is_excluded=True)
    for query in ("", "path=/v1/users", "method=GET", "status_code=200"):
        assert not {"users", "users 404"} & set(_urls(_get(api, alice, prod, query)))
    prod.app.endpoints.update(is_excluded=False)
    assert "users" in _urls(_get(api, alice, prod))


def test_each_environment_shows_decisions_or_reports(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    other, route = Environment.objects.create(app=prod.app, name="other"), endpoint(prod.app, "GET /a")
    prod.sources.all().delete()
    switch(prod, Record.REQUEST_LOG, RequestSource.REPORT, since=NOON)
    switch(prod, Record.REQUEST_LOG, RequestSource.DECISION, since=NOON + 15 * SECOND)
    file_rows(
        request(environment, route, NOON + offset * SECOND, source=source, url=f"{environment} {source.label} {offset}")
        for environment in (prod, other)
        for offset in (-10, 0, 10, 20)
        for source in RequestSource
    )
    assert _urls(_get(api, alice, prod, f"app_env_id={prod.pk}")) == [
        "prod decision -10", "prod report 0", "prod report 10", "prod decision 20",
    ]  # fmt: skip
    assert len(_urls(_get(api, alice, prod))) == 8
    assert {url for url in _urls(_get(api, alice, prod)) if "other" in url} == {
        f"other decision {offset}" for offset in (-10, 0, 10, 20)
    }


# --- whose, how often, and what is wrong --------------------------------------------------------------------------
def test_a_neighbour_sees_nothing_of_it(
    api: ApiClient, alice: Tenant, bob: Tenant, prod: Environment, shop: dict[str, int]
) -> None:
    foreign = observe(bob)
    assert api.get(f"/v1/apps/{prod.app_id}/request-logs", of=bob).status_code == 404
    for query in ("", "app_env_id={prod}", "consumer_id={ann}", "path=*", "status_code=2xx"):
        page = _get(api, bob, foreign, query.format(**shop))
        assert page == {"data": [], "has_more": False, "next_token": None}
    assert _urls(_get(api, alice, prod, f"app_env_id={foreign.pk}")) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status_code=6xx", "status_code"),
        ("status_code=,", "status_code"),
        (f"status_code={'200,' * 33}", "status_code"),
        ("timezone=Nowhere", "timezone"),
        ("start=2026-06-15T11:00:00Z&end=2026-06-15T10:00:00Z", "start"),
        ("start=1969-12-31T23:59:59Z", "start"),
        ("end=3000-01-01T00:00:00Z", "end"),
        ("limit=0", "limit"),
        ("app_env_id=2147483648", "app_env_id"),
        ("consumer_id=x", "consumer_id"),
        (f"method={'x' * 65}", "method"),
        (f"path={'x' * 1025}", "path"),
        ("path=%00", "path"),
        (f"next_token={'x' * 1025}", "next_token"),
    ],
)
def test_a_wrong_parameter_is_named(api: ApiClient, alice: Tenant, prod: Environment, query: str, name: str) -> None:
    answer = api.get(f"/v1/apps/{prod.app_id}/request-logs?{query}", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert [each["loc"] for each in answer.json()["detail"]] == [["query", name]]


def test_a_page_costs_as_many_queries_however_long(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    query = "path=*&status_code=2xx&limit=1000"

    def cost() -> int:
        with counting_queries() as queries:
            _get(api, alice, prod, query)
        return len(queries)

    def rows(number: int) -> list[RequestLog]:
        route, consumer = endpoint(prod.app, f"GET /{number}"), prod.app.consumers.create(identifier=str(number))
        return [request(prod, route, NOON + n * SECOND, consumer_id=consumer.pk) for n in range(20)]

    file_rows(rows(0))
    few = cost()
    for number in range(1, 6):
        file_rows(rows(number))
    assert cost() == few <= 7
    assert len(_get(api, alice, prod, query)["data"]) == 120


def test_a_budget_is_told_with_every_page(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    paths: list[Callable[[int], str]] = [
        lambda app_id: f"/v1/apps/{app_id}/request-logs",
        lambda app_id: f"/v1/apps/{app_id}/traffic?limit=0",
        lambda app_id: f"/v1/apps/{app_id}/request-logs/{UUID(int=1)}",
    ]
    answers = [api.get(path(prod.app_id), of=alice) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 422, 404]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"-1"}
