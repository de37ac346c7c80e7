"""The same request as each family of SDKs spells it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from analytics.observations import Call, Detail, LogLine, Request, SeenException, SeenSpan
from analytics.reports.parsing import parse_report
from tests.analytics.hub_reports import NOW, SECONDS, UUID_TEXT, log_body, observed, report

TRACE = "a425059e4c520023b76de22dd25b0c9b"
START_NS = int(SECONDS) * 10**9 + 123
STACK = "at shop.Orders.create"
REQUEST = {
    "timestamp": SECONDS,
    "method": "POST",
    "path": "/orders",
    "url": "http://a.b/orders",
    "headers": [["content-type", "application/json"]],
    "size": 46,
    "consumer": "bob",
    "body": "eyJxdHkiOjJ9",
}
RESPONSE = {"headers": [["content-length", "11"]], "size": 11, "body": "eyJvayI6dHJ1ZX0="}
SNAKE = RESPONSE | {"status_code": 500, "response_time": 0.012}
CAMEL = RESPONSE | {"statusCode": 500, "responseTime": 0.012}
LOG = {"timestamp": SECONDS, "logger": "shop", "level": "WARN", "message": "order A1"}
SPAN = {
    "span_id": "419b2dca4629e483",
    "parent_span_id": "4cef12695b79f27d",
    "name": "db.query",
    "kind": "CLIENT",
    "start_time": START_NS,
    "end_time": START_NS + 1000,
    "status": "ERROR",
    "attributes": {"db.system": "sqlite"},
}
SPAN_JS = {
    "spanId": "419b2dca4629e483",
    "parentSpanId": "4cef12695b79f27d",
    "name": "db.query",
    "kind": "CLIENT",
    "startTime": str(START_NS),
    "endTime": str(START_NS + 1000),
    "status": "ERROR",
    "attributes": {"db.system": "sqlite"},
}
LINES: dict[str, dict[str, object]] = {
    "python": {
        "response": SNAKE,
        "exception": {"type": "ValueError", "message": "kaboom", "traceback": STACK, "sentry_event_id": "s1"},
        "logs": [LOG | {"file": "/x.py", "line": 41}],
        "spans": [SPAN],
        "trace_id": TRACE,
    },
    "javascript": {
        "response": CAMEL,
        "exception": {"type": "ValueError", "message": "kaboom", "stacktrace": STACK, "sentryEventId": "s1"},
        "logs": [LOG],
        "spans": [SPAN_JS],
        "traceId": TRACE,
    },
    "go": {
        "response": SNAKE,
        "exception": {"type": "ValueError", "message": "kaboom", "stacktrace": STACK},
        "logs": [LOG],
        "spans": [SPAN],
        "trace_id": TRACE,
    },
    "dotnet": {
        "response": SNAKE,
        "exception": {"type": "ValueError", "message": "kaboom", "stacktrace": STACK},
        "logs": [LOG],
        "spans": [SPAN],
        "trace_id": TRACE,
    },
    "java": {
        "response": CAMEL,
        "exception": {"type": "ValueError", "message": "kaboom", "stackTrace": STACK},
        "logs": [LOG],
        "spans": [SPAN],
        "trace_id": TRACE,
    },
    "java before its spans": {
        "response": CAMEL,
        "exception": {"type": "ValueError", "message": "kaboom", "stackTrace": STACK},
        "logs": None,
    },
}
TRACED = [family for family in LINES if family != "java before its spans"]


@pytest.mark.parametrize("family", LINES)
def test_a_request_is_the_same_in_every_spelling(family: str) -> None:
    (request,) = observed("log", log_body({"uuid": UUID_TEXT, "request": REQUEST, **LINES[family]})).requests
    assert request == Request(
        uuid=UUID(UUID_TEXT),
        at=NOW,
        call=Call("POST", "/orders", 500, "bob"),
        url="http://a.b/orders",
        request_size_bytes=46,
        response_size_bytes=11,
        response_time_ms=12,
        detail=Detail(
            request_headers=(("content-type", "application/json"),),
            response_headers=(("content-length", "11"),),
            request_body='{"qty":2}',
            response_body='{"ok":true}',
            exception=SeenException(
                "ValueError", "kaboom", STACK, sentry_event_id="s1" if family in ("python", "javascript") else None
            ),
            trace_id=UUID(TRACE) if family in TRACED else None,
        ),
    )


@pytest.mark.parametrize("family", TRACED)
def test_spans_and_log_lines_are_the_same_in_every_spelling(family: str) -> None:
    found = observed("log", log_body({"uuid": UUID_TEXT, "request": REQUEST, **LINES[family]}))
    (told,) = found.log_lines
    assert found.spans == [
        SeenSpan(
            trace_id=UUID(TRACE),
            span_id="419b2dca4629e483",
            parent_span_id="4cef12695b79f27d",
            name="db.query",
            kind="CLIENT",
            start_ns=START_NS,
            end_ns=START_NS + 1000,
            status="ERROR",
            attributes={"db.system": "sqlite"},
            request_uuid=UUID(UUID_TEXT),
        )
    ]
    assert told == LogLine(
        id=told.id,
        at=NOW,
        trace_id=UUID(TRACE),
        server_span_id="",
        message="order A1",
        level="WARN",
        logger="shop",
        file="/x.py" if family == "python" else "",
        line=41 if family == "python" else None,
        request_uuid=UUID(UUID_TEXT),
    )


def test_dotnet_tells_time_in_whole_seconds_and_leaves_out_what_is_zero() -> None:
    told = {
        "uuid": UUID_TEXT,
        "request": {"timestamp": 1795366185, "method": "GET", "url": "http://a.b/", "headers": []},
        "response": {"status_code": 200, "headers": []},
        "spans": [{"span_id": "419b2dca4629e483", "name": "Root", "kind": "INTERNAL", "start_time": START_NS}],
    }
    now = datetime(2026, 11, 22, 17, tzinfo=UTC)
    found = parse_report(report("log", log_body(told), received_at=now))
    (request,) = found.observed[0].requests
    assert request.at == datetime(2026, 11, 22, 16, 49, 45, tzinfo=UTC)
    assert (request.call, request.response_time_ms) == (Call("GET", "", 200), 0)
    assert found.dropped == {"bad_time": 1}  # a span without an end
