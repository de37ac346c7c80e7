"""POST …/request-logs: rows as documented, of the range, from the source in force, of one account's app alone."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest

from analytics import services
from analytics.exports.fields import REQUEST_FIELDS
from analytics.exports.parsing import BadExport
from analytics.exports.request_export import pages_of, read_request_export
from analytics.models import App, Consumer, Endpoint, Environment, Record, RequestDetail, RequestSource
from tests.analytics import filed
from tests.cast import BY, Tenant
from tests.conftest import ApiClient

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
JUNE = {"since": "2026-06-01", "until": "2026-07-01"}
MANY = UUID(int=7)


@pytest.fixture
def shop(alice: Tenant) -> Environment:
    return filed.observe(alice)


@pytest.fixture
def users(shop: Environment) -> Endpoint:
    return filed.endpoint(shop.app, "GET /users/{id}")


def ask(api: ApiClient, tenant: Tenant, app: App, path: str = "request-logs", **asked: Any) -> httpx.Response:
    return api.post(f"/v1/apps/{app.pk}/{path}", of=tenant, json=JUNE | {"format": "ndjson"} | asked)


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def many(environment: Environment, of: Endpoint, number: int) -> list[UUID]:
    """So many requests, a second after the other."""
    uuids = [uuid5(MANY, str(each)) for each in range(number)]
    filed.file_rows(filed.request(environment, of, NOON + each * SECOND, uuid=uuid) for each, uuid in enumerate(uuids))
    return uuids


# --- rows ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["request-logs", "request-logs/stream"])
def test_a_row_has_the_fields_that_are_documented(
    api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint, path: str
) -> None:
    ann = Consumer.objects.create(app=shop.app, identifier="ann")
    filed.file_rows(
        [
            filed.request(
                shop,
                users,
                NOON + timedelta(microseconds=15_999),
                uuid=UUID("2fbc1df6-3124-4ed1-a376-7d2c64e4d5cf"),
                url="https://api.example.com/users/1",
                status_code=404,
                consumer_id=ann.pk,
                response_time_ms=122,
                client_ip="203.0.113.10",
                country="DE",
            )
        ]
    )
    answer = ask(api, alice, shop.app, path)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == (
        '{"timestamp":"2026-06-01T12:00:00.015Z","request_uuid":"2fbc1df6-3124-4ed1-a376-7d2c64e4d5cf","env":"prod",'
        '"method":"GET","path":"/users/{id}","url":"https://api.example.com/users/1",'
        f'"consumer_id":{ann.pk},"request_size_bytes":0,"status_code":404,"response_time_ms":122,'
        '"response_size_bytes":66,"client_ip":"203.0.113.10","client_country_iso_code":"DE"}\n'
    )


def test_all_fields_of_a_request_with_and_without_details(
    api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint
) -> None:
    first, second = many(shop, users, 2)
    captured = {
        "request_headers": [["Accept", "a/b"]],
        "response_headers": [],
        "request_body": '{"a": "é\\u0001"}',
        "response_body": "",
        "exception_type": "KeyError",
        "exception_message": "x",
        "exception_stacktrace": "Traceback\n",
        "sentry_event_id": "s1",
        "trace_id": UUID(int=0xAA),
    }
    filed.file_rows([RequestDetail(uuid=first, app_id=shop.app_id, at=NOON, **captured)])
    full, bare = rows(ask(api, alice, shop.app, fields=list(reversed(REQUEST_FIELDS))))
    assert list(full) == list(bare) == list(REQUEST_FIELDS)
    named = {"request_body": "request_body_json", "response_body": "response_body_json"}
    trace_id = {"trace_id": "000000000000000000000000000000aa"}
    assert {name: full[named.get(name, name)] for name in captured} == captured | trace_id
    assert {name: bare[named.get(name, name)] for name in captured} == {
        name: [] if name.endswith("headers") else None for name in captured
    }
    assert bare["request_uuid"] == str(second)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ([], ["timestamp", "request_uuid", "method", "url"]),
        (
            ["status_code", "timestamp", "status_code", "env"],
            ["timestamp", "request_uuid", "env", "method", "url", "status_code"],
        ),
    ],
)
def test_fields_replace_the_usual_ones_but_for_four(
    api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint, fields: list[str], names: list[str]
) -> None:
    many(shop, users, 1)
    assert [list(row) for row in rows(ask(api, alice, shop.app, fields=fields))] == [names]


# --- range and order ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("since", "until", "seconds"),
    [
        ("2026-06-01T12:00:01Z", "2026-06-01T12:00:03Z", [1, 2]),
        ("2026-06-01T12:00:01", "2026-06-01T12:00:03", [1, 2]),
        ("2026-06-01T14:00:01+02:00", "2026-06-01T17:30:02.000001+05:30", [1, 2]),
        ("2026-06-01t12:00:01.000000000z", "2026-06-01T12:00:03+00:00", [1, 2]),
        ("2026-06-01T12:00:00.000001Z", "2026-06-01T12:00:02Z", [1]),
        ("2026-05-01", "2026-06-01T12:00:00.000000001Z", []),
        ("2026-06-01T12:00:04Z", None, [4]),
    ],
)
def test_since_is_inclusive_until_exclusive_and_no_zone_is_utc(
    shop: Environment, users: Endpoint, since: str, until: str | None, seconds: list[int]
) -> None:
    uuids = many(shop, users, 5)
    asked = {"since": since} | ({} if until is None else {"until": until})
    export = read_request_export(asked, now=NOON + 10 * SECOND)
    shown = [row["request_uuid"] for page in pages_of(export, shop.app) for row in page.rows]
    assert shown == [str(uuids[second]) for second in seconds]


def test_rows_ascend_by_time_and_of_one_time_by_uuid(
    api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint
) -> None:
    times = [NOON + 2 * SECOND, NOON, NOON + SECOND, NOON + SECOND]
    filed.file_rows(filed.request(shop, users, at, uuid=UUID(int=9 - place)) for place, at in enumerate(times))
    shown = [UUID(row["request_uuid"]).int for row in rows(ask(api, alice, shop.app))]
    assert shown == [8, 6, 7, 9]


def test_the_limit_ends_it(api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint) -> None:
    uuids = many(shop, users, 20)
    assert [row["request_uuid"] for row in rows(ask(api, alice, shop.app, limit=7))] == list(map(str, uuids[:7]))


# --- which requests -----------------------------------------------------------------------------------------------
def test_the_source_in_force_alone_is_shown(alice: Tenant, api: ApiClient) -> None:
    """Decisions until reports came, and in another environment decisions alone."""
    shop = filed.observe(alice)
    dev = Environment.objects.create(app=shop.app, name="dev")
    filed.switch(shop, Record.REQUEST_LOG, RequestSource.DECISION, since=filed.LONG_AGO + SECOND)
    filed.switch(shop, Record.REQUEST_LOG, RequestSource.REPORT, since=NOON)
    users = filed.endpoint(shop.app, "GET /users")
    told = [
        (environment, second, source)
        for environment in (shop, dev)
        for second in (-1, 0)
        for source in (RequestSource.DECISION, RequestSource.REPORT)
    ]
    filed.file_rows(
        filed.request(environment, users, NOON + second * SECOND, source=source, response_time_ms=place)
        for place, (environment, second, source) in enumerate(told)
    )
    shown = rows(ask(api, alice, shop.app))
    assert {told[row["response_time_ms"]] for row in shown} == {
        (shop, -1, RequestSource.DECISION),
        (shop, 0, RequestSource.REPORT),
        (dev, -1, RequestSource.DECISION),
        (dev, 0, RequestSource.DECISION),
    }


def test_an_excluded_endpoint_is_left_out_at_once(
    api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint
) -> None:
    many(shop, users, 3)
    health = filed.endpoint(shop.app, "GET /health", is_excluded=True)
    filed.file_rows([filed.request(shop, health, NOON)])
    assert len(rows(ask(api, alice, shop.app))) == 3
    Endpoint.objects.filter(pk=users.pk).update(is_excluded=True)
    assert rows(ask(api, alice, shop.app)) == []


def test_another_accounts_app_is_not_there_and_its_rows_are_not_shown(
    api: ApiClient, alice: Tenant, bob: Tenant, shop: Environment, users: Endpoint
) -> None:
    many(shop, users, 2)
    foreign = filed.observe(bob)
    assert rows(ask(api, bob, foreign.app)) == []
    for path in ("request-logs", "request-logs/stream", "metrics"):
        answer = ask(api, bob, shop.app, path, metrics=["requests"])
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_an_app_without_environments_has_no_rows(api: ApiClient, alice: Tenant) -> None:
    app = services.create_app(alice.account, by=BY, name="New")
    assert rows(ask(api, alice, app)) == []


# --- samples ------------------------------------------------------------------------------------------------------
def sampled(app: App, sample: object, **asked: object) -> list[str]:
    export = read_request_export({"since": "2026-06-01", "sample": sample} | asked, now=NOON + timedelta(days=1))
    return [str(row["request_uuid"]) for page in pages_of(export, app) for row in page.rows]


def chosen(uuids: Iterable[UUID], rate: float) -> list[str]:
    """By the first 32 bits of their digests."""
    return [
        str(uuid)
        for uuid in uuids
        if int.from_bytes(md5(uuid.bytes, usedforsecurity=False).digest()[:4]) < int(rate * 2**32)
    ]


def test_a_rate_chooses_by_the_uuids_digest(shop: Environment, users: Endpoint) -> None:
    uuids = many(shop, users, 4_000)
    tenth = sampled(shop.app, 0.1)
    assert tenth == sampled(shop.app, 0.1) == chosen(uuids, 0.1)
    assert 340 <= len(tenth) <= 460  # three standard deviations around 400
    assert set(tenth) < set(sampled(shop.app, 0.5))
    assert sampled(shop.app, 1e-12) == []


def test_a_number_of_rows_is_a_rate_of_those_that_match(shop: Environment, users: Endpoint) -> None:
    uuids = many(shop, users, 4_000)
    filed.file_rows(
        filed.request(shop, users, NOON + each * SECOND, status_code=500, uuid=uuid5(MANY, f"500 {each}"))
        for each in range(1_000)
    )
    failed = [{"field": "status_code", "op": "eq", "value": 500}]
    fine = [{"field": "status_code", "op": "eq", "value": 200}]
    assert sampled(shop.app, 400, filters=fine) == chosen(uuids, 0.1)
    assert 160 <= len(sampled(shop.app, 200, filters=failed)) <= 240
    assert len(sampled(shop.app, 1_000, filters=failed)) == len(sampled(shop.app, 999_999, filters=failed)) == 1_000
    assert sampled(shop.app, 400, filters=fine, limit=5) == chosen(uuids, 0.1)[:5]
    assert sampled(shop.app, 5, since="2026-06-01T13:59:59", filters=fine) == []


# --- what is wrong ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"since": None}, ["since"]),
        ({"since": "yesterday"}, ["since"]),
        ({"since": 5}, ["since"]),
        ({"since": "1969-12-31"}, ["since"]),
        ({"since": "2026-06-01T25:00"}, ["since"]),
        ({"until": "2026-06-01"}, ["since"]),
        ({"until": "2026-05-01"}, ["since"]),
        ({"until": []}, ["until"]),
        ({"fields": "url"}, ["fields"]),
        ({"fields": ["url", "consumer"]}, ["fields", "1"]),
        ({"fields": [["url"]]}, ["fields", "0"]),
        ({"fields": ["url"] * 1001}, ["fields"]),
        ({"filters": {"status_code": 200}}, ["filters"]),
        ({"filters": [{"field": "path", "op": "eq", "value": {}}]}, ["filters", "0", "value"]),
        ({"sample": 0}, ["sample"]),
        ({"sample": -1}, ["sample"]),
        ({"sample": 0.0}, ["sample"]),
        ({"sample": 0.51}, ["sample"]),
        ({"sample": 1.0}, ["sample"]),
        ({"sample": True}, ["sample"]),
        ({"sample": "0.1"}, ["sample"]),
        ({"sample": 1_000_001}, ["sample"]),
        ({"limit": 0}, ["limit"]),
        ({"limit": 1_000_001}, ["limit"]),
        ({"limit": 1.5}, ["limit"]),
    ],
)
def test_a_wrong_value_is_named_by_its_place(asked: dict[str, Any], place: list[str]) -> None:
    with pytest.raises(BadExport) as refused:
        read_request_export(JUNE | asked, now=NOON)
    assert list(refused.value.place) == place


def test_a_wrong_value_is_422_in_apitallys_shape(api: ApiClient, alice: Tenant, shop: Environment) -> None:
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        ({"format": "csv"}, ["format"]),
        ({"format": ["ndjson"]}, ["format"]),
        ({"until": "2026-06-01"}, ["since"]),
        ({"filters": [{"field": "path", "op": "is_null"}, {"field": "path", "op": "="}]}, ["filters", "1", "op"]),
    ]
    for asked, place in wrong:
        answer = ask(api, alice, shop.app, **asked)
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        assert [each["loc"] for each in answer.json()["detail"]] == [["body", *place]]
        assert answer.json()["error"] == answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize("path", ["request-logs", "request-logs/stream", "metrics"])
def test_arrow_is_not_offered_and_the_answer_says_what_is(
    api: ApiClient, alice: Tenant, shop: Environment, path: str
) -> None:
    answer = ask(api, alice, shop.app, path, format="arrow")
    assert (answer.status_code, answer.json()["code"]) == (400, "UNSUPPORTED_FORMAT")
    assert "ndjson" in answer.json()["detail"]


HOSTILE = [
    (b"", 422),
    (b"null", 422),
    (b"{", 422),
    (b"[]", 422),
    (b"5", 422),
    (b"\xff", 422),
    (b'{"since": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422),
    (b'{"since": "2026-06-01", "filters": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
    (b'{"since": "2026-06-01", "metrics": ["requests"], "filters": [' + b"{}," * 200_000 + b"{}]}", 422),
    (b'{"since": "2026-06-01", "sample": NaN, "metrics": [1e999]}', 422),
    (b'{"since": "2026-06-01", "limit": ' + b"9" * 5_000 + b"}", 422),
    (b'{"since": "' + b"9" * 1_000_000 + b'"}', 422),
    (b'{"since": "2026-06-01", "x": "' + b"9" * 1_100_000 + b'"}', 413),
]


@pytest.mark.parametrize("path", ["request-logs", "metrics"])
def test_a_hostile_body_is_answered_in_shape(api: ApiClient, alice: Tenant, shop: Environment, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    for body, status in HOSTILE:
        answer = api.post(f"/v1/apps/{shop.app_id}/{path}", of=alice, content=body, headers=headers)
        assert (answer.status_code, set(answer.json())) == (status, {"error", "code", "detail"}), body[:50]
        if status == 422:
            assert answer.json()["code"] == "VALIDATION_ERROR"
            assert {each["loc"][0] for each in answer.json()["detail"]} == {"body"}


def test_what_is_unknown_is_ignored_and_null_is_not_given(
    api: ApiClient, alice: Tenant, shop: Environment, users: Endpoint
) -> None:
    many(shop, users, 2)
    nothing: dict[str, Any] = {
        "fields": None,
        "filters": None,
        "sample": None,
        "limit": None,
        "format": None,
        "columns": 5,
    }
    assert len(rows(ask(api, alice, shop.app, **nothing))) == 2
