"""Spans of any OpenTelemetry SDK: requests, traffic, and what is shown of them."""

import gzip
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from analytics.histograms import Histogram
from analytics.models import Source
from analytics.observations import Call, ConsumerTold, Detail, Request
from analytics.reports.otlp_requests import request_uuid
from tests.analytics.otlp_bodies import (
    APITALLY,
    NOW,
    NOW_NS,
    SPAN_ID,
    TRACE_ID,
    key_values,
    observed,
    parsed,
    span,
    traces,
)

NEW = {
    "http.request.method": "GET",
    "http.route": "/users/{id}",
    "http.response.status_code": 200,
    "url.scheme": "https",
    "server.address": "api.example.com",
    "url.path": "/users/1",
    "url.query": "page=2",
    "client.address": "203.0.113.9",
    "http.request.body.size": 46,
    "http.response.body.size": 11,
    "user.id": "alice",
}
OLD = {
    "http.method": "GET",
    "http.route": "/users/{id}",
    "http.status_code": 200,
    "http.scheme": "https",
    "http.host": "api.example.com",
    "http.target": "/users/1?page=2",
    "net.peer.ip": "203.0.113.9",
    "http.request_content_length": 46,
    "http.response_content_length": 11,
    "apitally.consumer.identifier": "alice",
}


def request_of(attributes: Mapping[str, object], **fields: Any) -> Request:
    (request,) = observed(traces(span(attributes, **fields))).requests
    return request


def detail_of(attributes: Mapping[str, object], **fields: Any) -> Detail:
    detail = request_of({"http.request.method": "POST", **attributes}, **fields).detail
    assert detail is not None
    return detail


# --- requests -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("attributes", [NEW, OLD, {**OLD, **NEW}], ids=["new", "old", "both"])
def test_a_server_span_of_either_conventions_is_the_same_request(attributes: Mapping[str, object]) -> None:
    request = request_of(attributes)
    assert request.at == NOW
    assert request.call == Call("GET", "/users/{id}", 200, "alice")
    assert request.url == "https://api.example.com/users/1?page=2"
    assert (request.request_size_bytes, request.response_size_bytes) == (46, 11)
    assert (request.response_time_ms, request.client_ip) == (12, "203.0.113.9")


def test_the_uuid_of_a_request_is_made_of_its_trace_and_span_alone() -> None:
    again = request_of(OLD, name="other").uuid
    assert request_of(NEW).uuid == again == request_uuid(TRACE_ID, SPAN_ID)
    assert again == UUID("c3954ba1-7cf0-8511-94fd-f31460742bc1")
    assert again.version == 8
    assert again != request_uuid(TRACE_ID, SPAN_ID[::-1])


def test_apitallys_consumer_outranks_the_user() -> None:
    assert request_of({**NEW, "apitally.consumer.identifier": "bob"}).call.consumer == "bob"


@pytest.mark.parametrize(
    ("attributes", "url"),
    [
        ({"url.path": "/a", "url.scheme": "http", "server.address": "h:8000", "server.port": 8000}, "http://h:8000/a"),
        ({"url.path": "/a", "url.scheme": "http", "server.address": "h", "server.port": 8000}, "http://h:8000/a"),
        ({"url.path": "/a", "url.scheme": "http", "server.address": "h", "server.port": 80}, "http://h/a"),
        ({"url.path": "/a", "url.scheme": "https", "server.address": "::1", "server.port": 444}, "https://[::1]:444/a"),
        ({"url.path": "/a", "url.query": "b=c"}, "/a?b=c"),
        ({"url.full": "https://h/a?token=x"}, "https://h/a?token=[REDACTED]"),
        ({"http.url": "https://h/a?b=c", "http.target": "/ignored"}, "https://h/a?b=c"),
        ({"http.target": "/a?b=c", "net.host.name": "h", "net.host.port": 81}, "http://h:81/a?b=c"),
        ({}, ""),
    ],
)
def test_a_url_is_made_of_what_was_told(attributes: Mapping[str, object], url: str) -> None:
    assert request_of({"http.request.method": "GET", **attributes}).url == url


@pytest.mark.parametrize(
    ("told", "kept"), [(99, 0), (600, 0), ("204", 204), (None, 0), (2**62, 0), (404.0, 404), (404.5, 0)]
)
def test_a_status_is_one_or_none(told: object, kept: int) -> None:
    assert request_of({**NEW, "http.response.status_code": told}).call.status_code == kept


@pytest.mark.parametrize(
    ("told", "kept"),
    [("2001:DB8::1", "2001:db8::1"), ("localhost", None), ("fe80::1%eth0", None), ("10.0.0.1", "10.0.0.1")],
)
def test_an_address_is_one_or_none(told: str, kept: str | None) -> None:
    assert request_of({**NEW, "client.address": told}).client_ip == kept


def test_a_server_of_something_else_than_http_is_a_span_only() -> None:
    seen = observed(traces(span({"rpc.system": "grpc"})))
    assert not seen.requests
    assert not seen.traffic
    assert [each.kind for each in seen.spans] == ["SERVER"]


def test_consumers_are_told_once_with_the_latest_time() -> None:
    labels = {**NEW, "user.full_name": "Alice", "apitally.consumer.group": "Admins"}
    spans = [span(labels, start_time_unix_nano=NOW_NS - ago * 10**9) for ago in (3, 1, 2)]
    assert observed(traces(*spans, span(NEW))).consumers == [
        ConsumerTold("alice", NOW - timedelta(seconds=1), "Alice", "Admins")
    ]


# --- what was captured --------------------------------------------------------------------------------------------
def test_headers_are_pairs_in_lower_case_and_masked() -> None:
    detail = detail_of(
        {
            "http.request.header.Content_Type": ["text/plain"],
            "http.request.header.x-api-key": ["abc"],
            "http.request.header.accept": ["a", "b"],
            "http.request.header.empty": [],
            "http.response.header.location": "/login?token=abc",
        }
    )
    assert detail.request_headers == (
        ("content-type", "text/plain"),
        ("x-api-key", "[REDACTED]"),
        ("accept", "a"),
        ("accept", "b"),
    )
    assert detail.response_headers == (("location", "/login?token=[REDACTED]"),)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ('{"password": "x", "a": 1}', '{"password":"[REDACTED]","a":1}'),
        (b'{"token": "x"}', '{"token":"[REDACTED]"}'),
        (gzip.compress(b'{"token": "x"}'), '{"token":"[REDACTED]"}'),
        (b"[BODY_TOO_LARGE]", "[BODY_TOO_LARGE]"),
        ("x" * 50_001, "[BODY_TOO_LARGE]"),
        ("ü" * 25_001, "[BODY_TOO_LARGE]"),
        (b"x" * 50_001, "[BODY_TOO_LARGE]"),
        (gzip.compress(b"x" * 10_000_000), "[BODY_TOO_LARGE]"),
        (b"\x1f\x8b rubbish", None),
        (b"\xff\0", "\ufffd\ufffd"),
        ("", ""),
        (None, None),
    ],
    ids=[
        "text",
        "bytes",
        "compressed",
        "cut by the SDK",
        "long",
        "long when encoded",
        "long bytes",
        "bomb",
        "broken",
        "no text",
        "empty",
        "absent",
    ],
)
def test_a_body_is_text_without_secrets(told: object, kept: str | None) -> None:
    assert detail_of({"apitally.request.body": told}).request_body == kept


def test_the_first_exception_is_kept_with_its_sentry_event() -> None:
    events = [
        Span.Event(name="exception", attributes=key_values({"exception.type": name, "exception.message": "no"}))
        for name in ("KeyError", "ValueError")
    ]
    exception = detail_of({"apitally.exception.sentry_event_id": "abc"}, events=events).exception
    assert exception is not None
    assert (exception.type, exception.message, exception.stacktrace) == ("KeyError", "no", "")
    assert exception.sentry_event_id == "abc"


# --- spans --------------------------------------------------------------------------------------------------------
def test_a_span_is_shown_without_headers_bodies_and_secrets() -> None:
    attributes = {
        **OLD,
        "url.query": "api_key=abc",
        "http.target": "/users/1?token=abc",
        "http.request.header.accept": ["*"],
        "apitally.response.body": "{}",
        "deep": {"list": [1, 2.5, True, float("nan"), b"bytes", None]},
    }
    (seen,) = observed(
        traces(span(attributes, status=Status(code=Status.STATUS_CODE_ERROR), parent_span_id=SPAN_ID[::-1]))
    ).spans
    assert (seen.kind, seen.status, seen.span_id, seen.parent_span_id) == (
        "SERVER",
        "ERROR",
        "0102030405060708",
        "0807060504030201",
    )
    assert (seen.start_ns, seen.end_ns) == (NOW_NS, NOW_NS + 12_500_000)
    assert seen.attributes["url.query"] == "api_key=[REDACTED]"
    assert seen.attributes["http.target"] == "/users/1?token=[REDACTED]"
    assert seen.attributes["deep"] == {"list": [1, 2.5, True, "nan", "Ynl0ZXM=", None]}
    assert not {"http.request.header.accept", "apitally.response.body"} & seen.attributes.keys()


def test_secrets_are_masked_wherever_a_span_tells_of_a_url() -> None:
    told = dict.fromkeys(("url.full", "url.original", "http.url", "http.target"), "https://h/a?token=abc&b=c")
    told |= {"url.query": "b=c&api%5Fkey=abc", "url.fragment": "access_token=abc", "other": "a=b"}
    (seen,) = observed(traces(span(told, kind=3, name="GET /a?token=abc"))).spans
    assert "abc" not in repr(seen)
    assert (seen.name, seen.attributes["other"]) == ("GET /a?token=[REDACTED]", "a=b")
    assert seen.attributes["url.full"] == "https://h/a?token=[REDACTED]&b=c"
    assert seen.attributes["url.query"] == "b=c&api%5Fkey=[REDACTED]"


@pytest.mark.parametrize(
    ("trace_id", "span_id"),
    [(b"", SPAN_ID), (bytes(16), SPAN_ID), (TRACE_ID, b""), (TRACE_ID, bytes(8)), (SPAN_ID,) * 2],
)
def test_a_span_without_ids_is_left_out(trace_id: bytes, span_id: bytes) -> None:
    result = parsed(traces(span(NEW, trace_id=trace_id, span_id=span_id), span(NEW)))
    assert result.dropped == {"bad_id": 1}
    assert len(result.observed[0].spans) == 1


@pytest.mark.parametrize("parent", [b"", bytes(8), SPAN_ID * 2])
def test_a_parent_that_is_none_is_left_out(parent: bytes) -> None:
    assert observed(traces(span(NEW, parent_span_id=parent))).spans[0].parent_span_id == ""


def test_kinds_are_named() -> None:
    kinds = [span({}, kind=kind, span_id=bytes([kind + 1] * 8)) for kind in range(7)]
    assert [each.kind for each in observed(traces(*kinds)).spans] == [
        "INTERNAL",
        "INTERNAL",
        "SERVER",
        "CLIENT",
        "PRODUCER",
        "CONSUMER",
        "INTERNAL",
    ]


def test_spans_of_single_messages_are_left_out_silently() -> None:
    names = ["GET / http send", "GET / http receive", "/ws websocket send", "/ws websocket receive", "http sender"]
    seen = observed(traces(*(span({}, kind=1, name=name) for name in names)))
    assert [each.name for each in seen.spans] == ["http sender"]


# --- times --------------------------------------------------------------------------------------------------------
DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("start", "end", "at", "ms"),
    [
        (NOW_NS - 10**9, NOW_NS, NOW - timedelta(seconds=1), 1000),
        (NOW_NS, NOW_NS - 10**9, NOW, 0),
        (NOW_NS + DAY_NS, NOW_NS + DAY_NS + 5_000_000, NOW, 5),
        (2**64 - 1, 2**64 - 1, NOW, 0),
        (NOW_NS, 2**64 - 1, NOW, 600_000),
    ],
    ids=["past", "backwards", "ahead", "highest", "endless"],
)
def test_times_are_kept_within_reason(start: int, end: int, at: object, ms: int) -> None:
    seen = observed(traces(span(NEW, start_time_unix_nano=start, end_time_unix_nano=end)))
    assert (seen.requests[0].at, seen.requests[0].response_time_ms) == (at, ms)
    assert seen.spans[0].end_ns - seen.spans[0].start_ns == ms * 10**6


def test_a_span_of_the_day_before_yesterday_is_too_late_and_the_rest_counts() -> None:
    result = parsed(traces(span(NEW), span(NEW, start_time_unix_nano=NOW_NS - 2 * DAY_NS - 10**9)))
    assert result.dropped == {"too_late": 1}
    assert len(result.observed[0].requests) == 1


# --- traffic ------------------------------------------------------------------------------------------------------
def test_spans_with_a_route_are_traffic() -> None:
    spans = [span(NEW), span(NEW), span({**NEW, "http.route": ""}), span({**NEW, "http.response.body.size": None})]
    seen = observed(traces(*spans))
    (traffic,) = seen.traffic
    assert len(seen.requests) == 4
    assert (traffic.at, traffic.call) == (NOW.replace(second=0), Call("GET", "/users/{id}", 200, "alice"))
    assert (traffic.source, traffic.requests, traffic.scope) == (Source.SPAN, 3, "")
    assert (traffic.bytes_received, traffic.bytes_sent) == (138, 22)
    assert traffic.durations == Histogram(0, Counter({-51: 3}))
    assert (traffic.request_sizes, traffic.response_sizes) == (
        Histogram(0, Counter({44: 3})),
        Histogram(0, Counter({27: 2})),
    )
    assert seen.alive == [(Source.SPAN, NOW)]


@pytest.mark.parametrize(
    "message", [traces(span(NEW), resource=APITALLY), traces(span(NEW), scope="apitally")], ids=["distro", "scope"]
)
def test_spans_of_apitallys_sdk_are_requests_but_never_traffic(message: Any) -> None:
    seen = observed(message)
    assert len(seen.requests) == 1
    assert not seen.traffic
    assert seen.alive == [(Source.METRIC, NOW)]


# --- who speaks ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("resource", "header", "environment"),
    [
        ({"deployment.environment.name": "Stage 1", "deployment.environment": "x"}, "y", "stage-1"),
        ({"deployment.environment": "dev"}, "y", "dev"),
        ({}, "Test", "test"),
        ({}, "", "prod"),
    ],
)
def test_the_environment_is_the_resources_else_the_headers(
    resource: Mapping[str, object], header: str, environment: str
) -> None:
    assert observed(traces(span(NEW), resource=resource), environment=header).environment == environment


@pytest.mark.parametrize(
    ("resource", "instance", "client"),
    [
        ({"service.instance.id": "one", "service.name": "shop"}, "one", ""),
        ({"service.name": "shop", "telemetry.sdk.name": "opentelemetry"}, "shop", "opentelemetry"),
        (
            {"telemetry.sdk.name": "otel", "telemetry.sdk.language": "go", "telemetry.sdk.version": "1.2"},
            "",
            "otel-go/1.2",
        ),
        ({"telemetry.distro.name": "d" * 80, "telemetry.sdk.version": "1"}, "", "d" * 64),
    ],
)
def test_instance_and_client_are_the_resources(resource: Mapping[str, object], instance: str, client: str) -> None:
    seen = observed(traces(span(NEW), resource=resource))
    assert (seen.instance, seen.client) == (instance, client)


def test_each_instance_and_environment_is_observed_apart() -> None:
    message = traces(span(NEW), resource={"service.instance.id": "one"})
    for resource in ({"service.instance.id": "two"}, {"service.instance.id": "one", "deployment.environment": "dev"}):
        message.MergeFrom(traces(span(NEW), resource=resource))
    message.MergeFrom(traces(span(NEW), resource={"service.instance.id": "one"}))
    found = {(each.environment, each.instance): len(each.requests) for each in parsed(message).observed}
    assert found == {("prod", "one"): 2, ("prod", "two"): 1, ("dev", "one"): 1}
