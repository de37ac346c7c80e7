"""What official SDKs really sent is read to exactly the numbers that they sent."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from analytics.histograms import Histogram
from analytics.models import ErrorKind, Source
from analytics.observations import (
    BadReport,
    Call,
    ConsumerTold,
    EndpointTold,
    Observed,
    Resources,
    Startup,
    Traffic,
)
from analytics.reports.parsing import parse_report
from tests.analytics.hub_reports import captured, sizes, times

ALICE, BOB = "alice@example.com", "bob"
SYNCS = ["py-0.25.1-fastapi/003-sync", "py-0.25.1-django/003-sync", "js-0.25.8-express/003-sync"]


def _read(name: str) -> Observed:
    found = parse_report(captured(name))
    assert found.dropped == Counter()
    (observed,) = found.observed
    return observed


def _traffic(
    minute: datetime, user: str, *, statuses: tuple[int, int], sent: list[int], first: Histogram | None = None
) -> list[Traffic]:
    """Of the shop that every SDK was recorded with; it differs by route syntax, by statuses and by sizes."""
    calls = [
        (Call("GET", user, 200, ALICE), 3),
        (Call("GET", user, statuses[0], ALICE), 1),
        (Call("POST", "/orders", 201, BOB), 1),
        (Call("POST", "/orders", statuses[1], BOB), 1),
        (Call("GET", "/boom", 500, ALICE), 1),
        (Call("GET", "/boom", 500), 1),
        (Call("GET", "/big", 200), 1),
        (Call("GET", "/stream", 200), 1),
        (Call("GET", "/healthz", 200), 1),
    ]
    received = [0, 0, 46, 28, 0, 0, 0, 0, 0]
    return [
        Traffic(
            at=minute,
            call=call,
            source=Source.METRIC,
            requests=count,
            bytes_received=received[number],
            bytes_sent=sent[number],
            durations=(number == 0 and first) or times((0, count)),
            request_sizes=sizes((0, 1)) if received[number] else None,
            response_sizes=sizes((sent[number] // 1000, count)) if sent[number] else None,
        )
        for number, (call, count) in enumerate(calls)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "py-0.25.1-fastapi/003-sync",
            _traffic(
                datetime(2026, 11, 22, 16, 49, tzinfo=UTC),
                "/users/{user_id}",
                statuses=(422, 422),
                sent=[75, 157, 11, 149, 0, 0, 60008, 18, 11],
            ),
        ),
        (
            "py-0.25.1-fastapi-hub-failures/004-sync",
            _traffic(
                datetime(2026, 11, 22, 17, 19, tzinfo=UTC),
                "/users/{user_id}",
                statuses=(422, 422),
                sent=[75, 157, 11, 149, 0, 0, 60008, 18, 11],
            ),
        ),
        (
            "py-0.25.1-django/003-sync",
            _traffic(
                datetime(2026, 11, 22, 17, 3, tzinfo=UTC),
                "/users/{user_id}",
                statuses=(422, 400),
                sent=[81, 76, 11, 40, 145, 145, 60008, 0, 12],
            ),
        ),
        (
            "js-0.25.8-express/003-sync",
            _traffic(
                datetime(2026, 11, 22, 17, 16, tzinfo=UTC),
                "/users/:userId",
                statuses=(422, 400),
                sent=[81, 81, 11, 84, 917, 917, 60008, 0, 11],
            ),
        ),
        (
            "js-0.25.8-express-otel/003-sync",
            _traffic(
                datetime(2026, 11, 22, 17, 19, tzinfo=UTC),
                "/users/:userId",
                statuses=(422, 400),
                sent=[81, 81, 11, 84, 927, 927, 60008, 0, 11],
                first=times((0, 2), (10, 1)),
            ),
        ),
    ],
)
def test_a_sync_is_its_traffic(name: str, expected: list[Traffic]) -> None:
    assert _read(name).traffic == expected


def test_a_sync_tells_of_its_process() -> None:
    observed = _read("py-0.25.1-fastapi/003-sync")
    at = datetime(2026, 11, 22, 16, 49, 52, 229344, tzinfo=UTC)
    assert observed.environment == "dev"
    assert observed.instance == "f1b63725-6fd6-4f44-b4ca-d680970e0b81"
    assert observed.alive == [(Source.METRIC, at)]
    assert observed.resources == [Resources(at, 0.8, 59_826_176)]
    assert observed.consumers == [ConsumerTold(ALICE, at, name="Alice", group="Admins")]
    assert (observed.requests, observed.startups, observed.cumulative) == ([], [], [])


def test_an_empty_sync_is_a_sign_of_life_alone() -> None:
    observed = _read("py-0.25.1-fastapi/002-sync")
    at = datetime(2026, 11, 22, 16, 49, 42, 166311, tzinfo=UTC)
    assert observed == Observed("dev", "f1b63725-6fd6-4f44-b4ca-d680970e0b81", alive=[(Source.METRIC, at)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "py-0.25.1-fastapi/003-sync",
            [
                ("GET /users/{user_id}", ALICE, "path.user_id", "int_parsing", "Input should be a valid integer"),
                ("POST /orders", BOB, "body.qty", "int_parsing", "Input should be a valid integer"),
            ],
        ),
        ("py-0.25.1-django/003-sync", [("GET /users/{user_id}", ALICE, "path.user_id", "int_parsing", "bad int")]),
        (
            "js-0.25.8-express/003-sync",
            [
                ("GET /users/:userId", ALICE, "params.userId", "field", "bad int"),
                ("POST /orders", BOB, "body.qty", "field", "qty must be int"),
            ],
        ),
    ],
)
def test_a_syncs_validation_errors(name: str, expected: list[tuple[str, str, str, str, str]]) -> None:
    errors = [error for error in _read(name).errors if error.kind is ErrorKind.VALIDATION]
    told = [(f"{e.method} {e.path}", e.consumer, e.location, e.type, e.message[:31]) for e in errors]
    assert told == [(*rest, message) for *rest, message in expected]
    assert {error.count for error in errors} == {1}


@pytest.mark.parametrize("name", SYNCS)
def test_a_syncs_server_errors(name: str) -> None:
    errors = [error for error in _read(name).errors if error.kind is ErrorKind.SERVER]
    is_js = name.startswith("js")
    assert [(e.method, e.path, e.consumer, e.type, e.message, e.count, e.location) for e in errors] == [
        ("GET", "/boom", consumer, "TypeError" if is_js else "builtins.ValueError", "kaboom", 1, "")
        for consumer in (ALICE, None)
    ]
    assert all(
        error.stacktrace.startswith("TypeError: kaboom\n    at file:///srv/shop/js/app.mjs:30:32")
        if is_js
        else error.stacktrace.endswith("ValueError: kaboom")
        for error in errors
    )


def test_a_fastapi_startup_knows_its_endpoints_by_their_openapi_document() -> None:
    report = captured("py-0.25.1-fastapi/001-startup")
    (observed,) = parse_report(report).observed
    assert observed.alive == [(Source.METRIC, report.received_at)]
    assert observed.client == "python:starlette"
    assert observed.startups == [
        Startup(
            at=report.received_at,
            client="python:starlette",
            versions={
                "python": "3.11.7",
                "apitally": "0.25.1",
                "uvicorn": "0.54.0",
                "fastapi": "0.165.0",
                "starlette": "1.10.0",
                "app": "1.2.3",
            },
            endpoints=(
                EndpointTold("GET", "/users/{user_id}", summary="Get a user"),
                EndpointTold("POST", "/orders", summary="Create Order"),
                EndpointTold("GET", "/boom", summary="Boom"),
                EndpointTold("GET", "/big", summary="Big"),
                EndpointTold("GET", "/stream", summary="Stream"),
                EndpointTold("GET", "/healthz", summary="Healthz"),
            ),
        )
    ]


@pytest.mark.parametrize(
    ("name", "client", "framework", "paths"),
    [
        (
            "py-0.25.1-django/001-startup",
            "python:django",
            ("django", "5.2.19"),
            ["GET /users/{user_id}", "GET /boom", "GET /big", "POST /orders"],
        ),
        (
            "js-0.25.8-express/002-startup",
            "js:express",
            ("express", "5.3.0"),
            ["GET /users/:userId", "POST /orders", "GET /boom", "GET /big", "GET /stream", "GET /healthz"],
        ),
    ],
)
def test_a_startup_without_a_document(name: str, client: str, framework: tuple[str, str], paths: list[str]) -> None:
    (startup,) = _read(name).startups
    assert startup.client == client
    assert framework in startup.versions.items()
    assert startup.versions["app"] == "1.2.3"
    assert [f"{endpoint.method} {endpoint.path}" for endpoint in startup.endpoints] == paths
    assert {(endpoint.summary, endpoint.description) for endpoint in startup.endpoints} == {("", "")}


def test_what_is_sent_again_after_a_failure_is_the_same_report() -> None:
    folder = "py-0.25.1-fastapi-hub-failures"
    found = {
        name: parse_report(captured(f"{folder}/{name}")).identity
        for name in ("002-startup", "003-startup", "004-sync", "006-sync", "009-sync", "005-log")
    }
    assert found["002-startup"] == found["003-startup"]
    assert found["004-sync"] == found["006-sync"]
    assert len(set(found.values())) == 4
    assert {len(identity) for identity in found.values()} == {32}


def test_a_sync_is_judged_by_the_time_of_its_receipt() -> None:
    report = captured(SYNCS[0])
    late = msgspec.structs.replace(report, received_at=report.received_at + timedelta(hours=48, seconds=1))
    with pytest.raises(BadReport) as refused:
        parse_report(late)
    assert refused.value.reason == "too_late"
