"""Application logs and the four events of Apitally's SDK."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from analytics.models import ErrorKind, Source
from analytics.observations import ConsumerTold, EndpointTold, SeenError
from tests.analytics.otlp_bodies import (
    APITALLY,
    NOW,
    NOW_NS,
    PLAIN,
    TRACE_ID,
    event,
    logs,
    observed,
    parsed,
    record,
)

SERVER_SPAN = {"apitally.request.server_span_id": "00F067AA0BA902B7"}


# --- application logs ---------------------------------------------------------------------------------------------
def test_a_line_of_apitallys_sdk_knows_its_request() -> None:
    attributes = {**SERVER_SPAN, "code.file.path": "/srv/shop.py", "code.line.number": 31, "rows": 12}
    seen = observed(logs(record("slow query", attributes, severity_text="WARN", severity_number=13)))
    (line,) = seen.log_lines
    assert (line.at, line.trace_id, line.server_span_id) == (NOW, UUID(bytes=TRACE_ID), "00f067aa0ba902b7")
    assert (line.message, line.level, line.logger) == ("slow query", "WARN", "shop.orders")
    assert (line.file, line.line, line.attributes) == ("/srv/shop.py", 31, {"rows": 12})
    assert seen.alive == [(Source.METRIC, NOW)]


def test_a_line_of_another_sdk_is_of_its_trace() -> None:
    attributes = {"code.filepath": "/srv/shop.py", "code.lineno": 31}
    seen = observed(logs(record("hello", attributes), resource=PLAIN))
    (line,) = seen.log_lines
    assert (line.server_span_id, line.file, line.line) == ("", "/srv/shop.py", 31)
    assert not seen.alive


@pytest.mark.parametrize(
    ("told", "resource", "reason"),
    [
        (record("x", SERVER_SPAN, trace_id=b""), APITALLY, "no_trace"),
        (record("x", SERVER_SPAN, trace_id=bytes(16)), APITALLY, "no_trace"),
        (record("x", trace_id=b"short"), PLAIN, "no_trace"),
        (record("x"), APITALLY, "no_request"),
        (record("x", {"apitally.request.server_span_id": "zz"}), APITALLY, "no_request"),
        (record("x", SERVER_SPAN, time_unix_nano=1), APITALLY, "too_late"),
    ],
)
def test_a_line_of_no_request_is_left_out_and_the_rest_counts(told: Any, resource: Any, reason: str) -> None:
    result = parsed(logs(told, record("kept", SERVER_SPAN), resource=resource))
    assert result.dropped == {reason: 1}
    assert [line.message for line in result.observed[0].log_lines] == ["kept"]


@pytest.mark.parametrize(
    ("text", "number", "level"),
    [
        ("", 1, "TRACE"),
        ("", 8, "DEBUG"),
        ("", 9, "INFO"),
        ("", 16, "WARN"),
        ("", 17, "ERROR"),
        ("", 24, "FATAL"),
        ("", 0, ""),
        ("", 25, ""),
        ("Information", 9, "Information"),
        ("x" * 20, 0, "x" * 16),
    ],
)
def test_a_level_is_the_loggers_word_else_its_number(text: str, number: int, level: str) -> None:
    (line,) = observed(logs(record("x", SERVER_SPAN, severity_text=text, severity_number=number))).log_lines
    assert line.level == level


@pytest.mark.parametrize(
    ("body", "message"),
    [({"a": [1, None]}, '{"a":[1,null]}'), (7, "7"), (None, ""), ("a\0b", "a\ufffdb"), ("x" * 9000, "x" * 8192)],
)
def test_a_message_is_text(body: object, message: str) -> None:
    assert observed(logs(record(body, SERVER_SPAN))).log_lines[0].message == message


def test_a_line_is_filed_at_its_time_else_when_it_was_observed() -> None:
    told = record("x", SERVER_SPAN, time_unix_nano=0, observed_time_unix_nano=NOW_NS - 10**9)
    assert observed(logs(told)).log_lines[0].at == NOW - timedelta(seconds=1)


def test_the_same_report_gives_the_same_ids_and_each_line_its_own() -> None:
    message = logs(record("x", SERVER_SPAN), record("x", SERVER_SPAN))
    ids = [line.id for line in observed(message).log_lines]
    assert ids == [line.id for line in observed(message).log_lines]
    assert len(set(ids)) == 2
    assert {each.version for each in ids} == {8}
    assert not set(ids) & {line.id for line in observed(logs(record("y", SERVER_SPAN))).log_lines}


# --- events -------------------------------------------------------------------------------------------------------
def events(*told: Any) -> Any:
    return logs(*told, scope="apitally")


def bad(told: Any) -> None:
    """It is left out with its reason, and what comes after it counts."""
    result = parsed(events(told, event("apitally.consumer.update", {"identifier": "bob"})))
    assert result.dropped == {"bad_event": 1}
    assert [consumer.identifier for consumer in result.observed[0].consumers] == ["bob"]


def test_a_startup_is_json() -> None:
    told = {
        "framework": "fastapi",
        "versions": {"python": "3.11", "app": None},
        "paths": [
            {"method": "get", "path": "/a", "summary": "A", "description": "All"},
            {"method": "PUT", "path": "/b"},
        ],
        "config": {"sample_rate": 1.0},
        "openapi": "{}",
    }
    (startup,) = observed(events(event("apitally.app.startup", msgspec.json.encode(told).decode()))).startups
    assert (startup.at, startup.client, startup.versions) == (NOW, "apitally-py fastapi", {"python": "3.11"})
    assert startup.endpoints == (EndpointTold("GET", "/a", "A", "All"), EndpointTold("PUT", "/b"))


def test_a_startup_may_be_described_by_its_openapi_document() -> None:
    told = {
        "paths": [{"method": "GET", "path": "/a"}, {"method": "GET", "path": "/b", "summary": "Its own word"}],
        "openapi": json.dumps(
            {"paths": {path: {"get": {"summary": "S", "description": "D"}} for path in ("/a", "/b")}}
        ),
    }
    (startup,) = observed(events(event("apitally.app.startup", json.dumps(told)))).startups
    assert startup.endpoints == (EndpointTold("GET", "/a", "S", "D"), EndpointTold("GET", "/b", "Its own word", "D"))


def test_what_is_wrong_of_a_startup_is_left_out_alone() -> None:
    told = {
        "versions": {"python": "3.11", "build": 7},
        "paths": [{}, 5, {"method": "GET", "path": "/a"}],
        "openapi": {"paths": {}},
    }
    result = parsed(events(event("apitally.app.startup", json.dumps(told))))
    (startup,) = result.observed[0].startups
    assert (startup.versions, startup.endpoints) == ({"python": "3.11"}, (EndpointTold("GET", "/a"),))
    assert result.dropped == {"no_method": 1, "unknown_shape": 1, "bad_openapi": 1}


@pytest.mark.parametrize("body", ["", "{", "[]", '{"framework": 5}', "[" * 100_000, None, {"a": 1}])
def test_a_startup_that_is_none_is_left_out(body: object) -> None:
    bad(event("apitally.app.startup", body))


def test_a_consumer_is_told_and_empty_attributes_deleted() -> None:
    attributes = {"plan": "gold", "seats": 5, "old": "", "gone": None}
    told = {"identifier": "alice", "name": "Alice", "group": "", "attributes": attributes}
    assert observed(events(event("apitally.consumer.update", told))).consumers == [
        ConsumerTold("alice", NOW, "Alice", None, {"plan": "gold", "seats": "5", "old": None, "gone": None})
    ]


def test_what_a_consumer_is_told_to_be_is_bounded() -> None:
    told = {
        "identifier": "i" * 200,
        "name": "n" * 200,
        "attributes": {f"{number:02}" + "k" * 100: "v" * 2000 for number in range(20)},
    }
    (consumer,) = observed(events(event("apitally.consumer.update", told))).consumers
    assert (len(consumer.identifier), len(consumer.name or "")) == (128, 64)
    assert {(len(name), len(value or "")) for name, value in consumer.attributes.items()} == {(64, 1024)}
    assert len(consumer.attributes) == 10


@pytest.mark.parametrize("body", [{}, {"identifier": ""}, "alice", None])
def test_a_consumer_without_identifier_is_left_out(body: object) -> None:
    bad(event("apitally.consumer.update", body))


VALIDATION = {"method": "post", "path": "/orders", "source": "body", "field": "qty", "message": "no", "type": "int"}
SERVER = {"method": "GET", "path": "/boom", "type": "KeyError", "message": "no", "stacktrace": "Traceback"}


def error(kind: ErrorKind, **fields: Any) -> SeenError:
    told = {"at": NOW, "kind": kind, "type": "KeyError", "message": "no", "consumer": None, "count": 1, **fields}
    return SeenError(**told)


def test_errors_of_a_list_of_consumers_are_counted_by_consumer() -> None:
    counts = [{"consumer": "alice", "count": 2}, {"count": 1}]
    told = event("apitally.request.server_error", {**SERVER, "sentry_event_id": "abc", "counts": counts})
    same = {"method": "GET", "path": "/boom", "stacktrace": "Traceback", "sentry_event_id": "abc"}
    assert observed(events(told)).errors == [
        error(ErrorKind.SERVER, consumer="alice", count=2, **same),
        error(ErrorKind.SERVER, **same),
    ]


def test_errors_of_a_single_consumer_are_counted_too() -> None:
    told = event("apitally.request.validation_error", {**VALIDATION, "consumer": "bob", "count": 3})
    assert observed(events(told)).errors == [
        error(
            ErrorKind.VALIDATION,
            method="POST",
            path="/orders",
            consumer="bob",
            count=3,
            location="body.qty",
            type="int",
        )
    ]


@pytest.mark.parametrize(("source", "field", "location"), [("", "a.0.b", "a.0.b"), ("body", "", "body"), ("", "", "")])
def test_a_location_is_what_is_known_of_it(source: str, field: str, location: str) -> None:
    body = {**VALIDATION, "source": source, "field": field, "count": 1}
    assert observed(events(event("apitally.request.validation_error", body))).errors[0].location == location


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**SERVER},
        {**SERVER, "count": 0},
        {**SERVER, "count": -1},
        {**SERVER, "count": 2**40},
        {**SERVER, "count": "many"},
        {**SERVER, "counts": [5]},
        {**SERVER, "counts": [{}]},
        {**SERVER, "method": "", "count": 1},
    ],
)
def test_an_error_that_was_not_counted_is_left_out(body: object) -> None:
    bad(event("apitally.request.server_error", body))


def test_an_events_name_may_be_an_attribute() -> None:
    told = record({"identifier": "alice"}, {"event.name": "apitally.consumer.update"}, trace_id=b"")
    assert [consumer.identifier for consumer in observed(events(told)).consumers] == ["alice"]


def test_events_of_other_scopes_are_none() -> None:
    told = event("apitally.consumer.update", {"identifier": "alice"}, trace_id=TRACE_ID)
    seen = observed(logs(told, resource=PLAIN, scope="shop"))
    assert not seen.consumers
    assert [line.message for line in seen.log_lines] == ['{"identifier":"alice"}']
