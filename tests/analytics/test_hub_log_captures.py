"""Request logs that official SDKs really sent, line by line."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest

from analytics.masking import MASKED
from analytics.models import RequestSource, Source
from analytics.observations import Call, Detail, LogLine, Observed, Request, SeenSpan
from analytics.reports.parsing import parse_report
from tests.analytics.hub_reports import captured

FASTAPI, DJANGO = "py-0.25.1-fastapi/004-log", "py-0.25.1-django/004-log"
EXPRESS, EXPRESS_OTEL = "js-0.25.8-express/004-log", "js-0.25.8-express-otel/004-log"
ALICE, BOB = "alice@example.com", "bob"


def _read(name: str) -> Observed:
    found = parse_report(captured(name))
    assert found.dropped == Counter()
    (observed,) = found.observed
    return observed


def _told(request: Request) -> tuple[str, str, int, str | None, int, int, int]:
    call = request.call
    return (
        call.method,
        call.path,
        call.status_code,
        call.consumer,
        request.request_size_bytes,
        request.response_size_bytes,
        request.response_time_ms,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            FASTAPI,
            [
                ("GET", "/users/{user_id}", 200, ALICE, 0, 25, 3),
                ("GET", "/users/{user_id}", 200, ALICE, 0, 25, 1),
                ("GET", "/users/{user_id}", 200, ALICE, 0, 25, 0),
                ("GET", "/users/{user_id}", 422, ALICE, 0, 157, 0),
                ("POST", "/orders", 201, BOB, 46, 11, 1),
                ("POST", "/orders", 422, BOB, 28, 149, 0),
                ("GET", "/boom", 500, ALICE, 0, 0, 4),
                ("GET", "/boom", 500, None, 0, 0, 1),
                ("GET", "/big", 200, None, 0, 60008, 1),
                ("GET", "/stream", 200, None, 0, 18, 2),
                ("GET", "", 404, None, 0, 22, 0),
            ],
        ),
        (
            DJANGO,
            [
                ("GET", "/users/{user_id}", 200, ALICE, 0, 27, 1),
                ("GET", "/users/{user_id}", 200, ALICE, 0, 27, 1),
                ("GET", "/users/{user_id}", 200, ALICE, 0, 27, 0),
                ("GET", "/users/{user_id}", 422, ALICE, 0, 76, 1),
                ("POST", "/orders", 201, BOB, 46, 11, 0),
                ("POST", "/orders", 400, BOB, 28, 40, 1),
                ("GET", "/boom", 500, ALICE, 0, 145, 0),
                ("GET", "/boom", 500, None, 0, 145, 0),
                ("GET", "/big", 200, None, 0, 60008, 0),
                ("GET", "/stream", 200, None, 0, 0, 0),
            ],
        ),
        (
            EXPRESS_OTEL,
            [
                ("GET", "/users/:userId", 200, ALICE, 0, 27, 12),
                ("GET", "/users/:userId", 200, ALICE, 0, 27, 5),
                ("GET", "/users/:userId", 200, ALICE, 0, 27, 1),
                ("GET", "/users/:userId", 422, ALICE, 0, 81, 5),
                ("POST", "/orders", 201, BOB, 46, 11, 5),
                ("POST", "/orders", 400, BOB, 28, 84, 1),
                ("GET", "/boom", 500, ALICE, 0, 927, 1),
                ("GET", "/boom", 500, None, 0, 927, 1),
                ("GET", "/big", 200, None, 0, 60008, 1),
                ("GET", "/stream", 200, None, 0, 0, 1),
                ("GET", "", 404, None, 0, 143, 1),
            ],
        ),
    ],
)
def test_each_line_is_a_request(name: str, expected: list[tuple[str, str, int, str | None, int, int, int]]) -> None:
    observed = _read(name)
    assert [_told(request) for request in observed.requests] == expected
    assert {request.source for request in observed.requests} == {RequestSource.REPORT}
    assert observed.traffic == []


def test_a_log_names_no_instance_and_is_a_sign_of_life() -> None:
    report, observed = captured(FASTAPI), _read(FASTAPI)
    assert (observed.environment, observed.instance) == ("dev", "")
    assert observed.alive == [(Source.METRIC, report.received_at)]


def test_a_request_with_all_that_was_captured() -> None:
    request = _read(FASTAPI).requests[4]
    assert request == Request(
        uuid=UUID("6dc9daf4-8204-4545-a4c6-c6b716d89914"),
        at=datetime(2026, 11, 22, 16, 49, 45, 793802, tzinfo=UTC),
        call=Call("POST", "/orders", 201, BOB),
        url="http://127.0.0.1:18811/orders",
        request_size_bytes=46,
        response_size_bytes=11,
        response_time_ms=1,
        detail=Detail(
            request_headers=(
                ("accept-encoding", "identity"),
                ("content-length", "46"),
                ("host", "127.0.0.1:18811"),
                ("user-agent", "Python-urllib/3.11"),
                ("x-user", "bob"),
                ("content-type", "application/json"),
                ("connection", "close"),
            ),
            response_headers=(("content-length", "11"), ("content-type", "application/json")),
            request_body='{"sku":"A1","qty":2,"password":"******"}',
            response_body='{"ok":true}',
            trace_id=UUID("a425059e4c520023b76de22dd25b0c9b"),
        ),
    )


@pytest.mark.parametrize("name", [FASTAPI, DJANGO, EXPRESS, EXPRESS_OTEL])
def test_what_an_sdk_let_pass_is_masked(name: str) -> None:
    """The pattern of 0.x does not know `api_key`; what it masked itself is left."""
    first = _read(name).requests[0]
    assert first.url.endswith(f"/users/0?limit=10&api_key={MASKED}")
    assert first.detail is not None
    assert {value for key, value in first.detail.request_headers if key.lower() == "authorization"} == {"******"}
    assert first.detail.response_body is not None
    assert first.detail.response_body.endswith('"token":"******"}')


@pytest.mark.parametrize("name", [FASTAPI, DJANGO, EXPRESS_OTEL])
def test_exceptions_of_lines(name: str) -> None:
    found = {
        number: request.detail.exception
        for number, request in enumerate(_read(name).requests)
        if request.detail and request.detail.exception
    }
    assert sorted(found) == [6, 7]
    kind = "TypeError" if name == EXPRESS_OTEL else "builtins.ValueError"
    assert {(each.type, each.message, each.sentry_event_id) for each in found.values()} == {(kind, "kaboom", None)}
    assert all("kaboom" in each.stacktrace for each in found.values())


def test_a_sentinel_is_left_in_the_bodys_place() -> None:
    detail = _read(FASTAPI).requests[8].detail
    assert detail is not None
    assert detail.response_body == "<body too large>"


def test_spans_and_log_lines_of_python() -> None:
    observed = _read(FASTAPI)
    request, trace = UUID("6dc9daf4-8204-4545-a4c6-c6b716d89914"), UUID("a425059e4c520023b76de22dd25b0c9b")
    spans = [span for span in observed.spans if span.request_uuid == request]
    assert spans[1] == SeenSpan(
        trace_id=trace,
        span_id="aa9fb0095305ad13",
        parent_span_id="4cef12695b79f27d",
        name="fastapi.endpoint",
        kind="INTERNAL",
        start_ns=1795366185794702971,
        end_ns=1795366185794834816,
        status="UNSET",
        attributes={"code.function.name": "fastapi_app.create_order"},
        request_uuid=request,
    )
    assert [(span.name, span.parent_span_id) for span in spans] == [
        ("fastapi.dependencies", "4cef12695b79f27d"),
        ("fastapi.endpoint", "4cef12695b79f27d"),
        ("root", "fccda2154c820cf3"),  # a span that nobody told of: whose parent is not there is a root
    ]
    (told,) = [each for each in observed.log_lines if each.request_uuid == request]
    assert told == LogLine(
        id=told.id,
        at=datetime(2026, 11, 22, 16, 49, 45, 794720, tzinfo=UTC),
        trace_id=trace,
        server_span_id="",
        message="order A1",
        level="WARNING",
        logger="shop.orders",
        file="/srv/shop/cap/py0/fastapi_app.py",
        line=41,
        request_uuid=request,
    )


def test_spans_and_log_lines_of_javascript() -> None:
    observed = _read(EXPRESS_OTEL)
    request, trace = UUID("9491769c-34aa-4f72-abcc-23f1b1777af2"), UUID("81493e01f794832c0bb304fa58164948")
    query, root = (span for span in observed.spans if span.request_uuid == request)
    assert query == SeenSpan(
        trace_id=trace,
        span_id="38be42d634b714a8",
        parent_span_id="6172fe72e0b16ea0",
        name="db.query",
        kind="INTERNAL",
        start_ns=1795367985379000000,
        end_ns=1795367985379179958,
        status="UNSET",
        attributes={"db.system": "sqlite"},
        request_uuid=request,
    )
    assert (root.name, root.parent_span_id) == ("GET /users/:userId", "")
    (told,) = [each for each in observed.log_lines if each.request_uuid == request]
    assert (told.message, told.level, told.logger, told.file, told.line) == (
        "loading user 0",
        "log",
        "console",
        "",
        None,
    )


@pytest.mark.parametrize(
    ("name", "spans", "errors", "log_lines"), [(FASTAPI, 36, 4, 4), (DJANGO, 14, 0, 0), (EXPRESS_OTEL, 15, 0, 5)]
)
def test_every_span_and_line_knows_its_request(name: str, spans: int, errors: int, log_lines: int) -> None:
    observed = _read(name)
    uuids = {request.uuid for request in observed.requests}
    assert (len(observed.spans), len(observed.log_lines)) == (spans, log_lines)
    assert sum(span.status == "ERROR" for span in observed.spans) == errors
    assert {span.request_uuid for span in observed.spans} | {line.request_uuid for line in observed.log_lines} <= uuids


def test_zeros_are_no_trace() -> None:
    """JavaScript sends them where nothing traces; its log lines then belong to the request alone."""
    observed = _read(EXPRESS)
    assert {request.detail.trace_id for request in observed.requests if request.detail} == {None}
    assert observed.spans == []
    assert [line.trace_id for line in observed.log_lines] == [line.request_uuid for line in observed.log_lines]
    assert len(observed.log_lines) == 5


def test_a_log_that_comes_again_is_the_same_report_with_the_same_ids() -> None:
    first, second = (parse_report(captured(FASTAPI)) for _ in range(2))
    assert first == second
    assert len({line.id for line in first.observed[0].log_lines}) == 4
