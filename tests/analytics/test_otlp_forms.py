"""A report says the same in protobuf and in JSON, compressed or not, in one message or in several."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from analytics.models import ReportKind
from analytics.observations import BadReport, Observed, Parsed, Report
from analytics.reports.otlp_logs import parse_logs
from analytics.reports.otlp_metrics import parse_metrics
from analytics.reports.otlp_traces import parse_traces
from analytics.reports.wire import NUMBER, Wire
from tests.analytics.otlp_bodies import (
    APITALLY,
    CALL,
    MINUTE_NS,
    NOW,
    NOW_NS,
    OLD_CALL,
    PLAIN,
    coarse,
    event,
    explicit,
    exponential,
    fine,
    gauge,
    json_of,
    key_values,
    logs,
    metrics,
    parsed,
    record,
    span,
    traces,
)

Parse = Callable[[Report], Parsed]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int64s = st.integers(-(2**63), 2**63 - 1)
values = st.recursive(
    st.none() | st.booleans() | int64s | st.floats() | texts | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [
        *CALL,
        *OLD_CALL,
        "http.request.header.x-a_b",
        "http.response.header.location",
        "http.response.body.size",
        "apitally.request.body",
        "client.address",
        "code.lineno",
        "event.name",
        "url.path",
        "url.query",
        "user.id",
        "user.name",
    ]
)
attributes = st.dictionaries(names | texts, values, max_size=8)
times = st.integers(NOW_NS - 3 * 24 * 60 * MINUTE_NS, NOW_NS + 60 * MINUTE_NS) | st.integers(0, 2**64 - 1)
resources = st.sampled_from([PLAIN, APITALLY, {}]) | attributes
scopes = st.sampled_from(["asgi", "apitally", ""])
counts = st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), max_size=4)


@st.composite
def spans(draw: st.DrawFn) -> Any:
    return span(
        draw(attributes),
        trace_id=draw(st.binary(min_size=16, max_size=16) | st.binary(max_size=20)),
        kind=draw(st.integers(0, 6)),
        start_time_unix_nano=draw(times),
        end_time_unix_nano=draw(times),
        status=Status(code=draw(st.sampled_from(Status.StatusCode.values()))),
        events=[Span.Event(name="exception", attributes=key_values(draw(attributes)))],
    )


@st.composite
def records(draw: st.DrawFn) -> Any:
    told = draw(attributes) | draw(st.sampled_from([{}, {"apitally.request.server_span_id": "00f067aa0ba902b7"}]))
    names = st.sampled_from(["", "apitally.consumer.update", "apitally.request.server_error"])
    body = draw(values | st.fixed_dictionaries({"identifier": texts, "method": texts, "count": st.integers(0, 9)}))
    return record(
        body, told, time_unix_nano=draw(times), event_name=draw(names), severity_number=draw(st.integers(0, 30))
    )


@st.composite
def told_metrics(draw: st.DrawFn) -> Any:
    call = draw(st.sampled_from([CALL, OLD_CALL])) | draw(attributes)
    clock: dict[str, Any] = {
        "start_time_unix_nano": draw(times),
        "time_unix_nano": draw(times),
        "sum": draw(st.floats()),
    }
    name = draw(st.sampled_from(["request.duration", "duration", "request.body.size", "response.size"]))
    unit = draw(st.sampled_from(["", "s", "By", "ms"]))
    temporality = draw(st.integers(0, 2))
    told = draw(counts)
    return draw(
        st.sampled_from(
            [
                exponential(
                    f"http.server.{name}", fine(told, call, count=3, **clock), unit=unit, temporality=temporality
                ),
                explicit(
                    f"http.server.{name}",
                    coarse(told, [1, 2], call, count=3, **clock),
                    unit=unit,
                    temporality=temporality,
                ),
                gauge("process.cpu.utilization", draw(st.floats()), time_ns=draw(times)),
            ]
        )
    )


def said(result: Parsed) -> tuple[list[Observed], Counter[str]]:
    """All but what is made of the bytes themselves."""
    for each in result.observed:
        each.log_lines = [msgspec.structs.replace(line, id=line.trace_id) for line in each.log_lines]
    return result.observed, result.dropped


messages = st.one_of(
    st.builds(lambda told, who, scope: traces(*told, resource=who, scope=scope), st.lists(spans()), resources, scopes),
    st.builds(lambda told, who, scope: logs(*told, resource=who, scope=scope), st.lists(records()), resources, scopes),
    st.builds(
        lambda told, who, scope: metrics(*told, resource=who, scope=scope), st.lists(told_metrics()), resources, scopes
    ),
)


@given(messages)
def test_json_says_what_protobuf_says(message: Any) -> None:
    assert said(parsed(message)) == said(parsed(message, is_json=True))


def report(body: bytes, *, is_json: bool = False) -> Report:
    return Report(1, 7, ReportKind.TRACES, "", "", is_json, NOW, body)


@pytest.mark.parametrize("is_json", [False, True])
def test_compression_changes_nothing(is_json: bool) -> None:
    message = traces(span(CALL))
    body = json_of(message) if is_json else message.SerializeToString()
    plain = parse_traces(report(body, is_json=is_json))
    assert parse_traces(report(gzip.compress(body), is_json=is_json)) == plain
    assert plain.identity == hashlib.sha256(b"traces" + body).digest()


def test_the_same_bytes_in_another_signal_are_another_report() -> None:
    identities = {parse(report(b"")).identity for parse in (parse_traces, parse_logs, parse_metrics)}
    assert len(identities) == 3


def test_messages_one_after_the_other_are_one() -> None:
    """So do the buffers of SDKs hold them; of a part told twice, both count."""
    one, other = (traces(span(CALL, span_id=bytes([number] * 8))) for number in (1, 2))
    body = one.SerializeToString() + other.SerializeToString()
    (seen,) = parse_traces(report(body)).observed
    assert len(seen.requests) == 2
    assert seen.traffic[0].requests == 2


# --- JSON ---------------------------------------------------------------------------------------------------------
def json_body(**fields: object) -> bytes:
    told = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "kind": 2,
        "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": NOW_NS + 10**6,
        "attributes": [{"key": "http.request.method", "value": {"stringValue": "GET"}}],
        "unknown": {"a": [1]},
        **fields,
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [told]}]}], "more": 1}).encode()


def test_json_has_hex_ids_and_numbers_as_text() -> None:
    (seen,) = parse_traces(report(json_body(), is_json=True)).observed
    (request,) = seen.requests
    assert request.detail is not None
    assert str(request.detail.trace_id) == "5b8efff7-9803-8103-d269-b633813fc60c"
    assert (request.at, request.response_time_ms) == (NOW, 1)


@pytest.mark.parametrize("field", ["attributes", "events", "status", "parentSpanId", "name", "endTimeUnixNano"])
def test_a_field_that_is_null_is_absent(field: str) -> None:
    result = parse_traces(report(json_body(**{field: None}), is_json=True))
    assert not result.dropped
    assert len(result.observed[0].spans) == 1


@pytest.mark.parametrize("told", ["", "xyz", 5, "eee1"])
def test_what_is_not_hex_is_no_id(told: object) -> None:
    assert parse_traces(report(json_body(spanId=told), is_json=True)).dropped == {"bad_id": 1}


@pytest.mark.parametrize("told", [-5, -(10**30), 10**30])
def test_json_may_tell_of_any_number(told: int) -> None:
    result = parse_traces(report(json_body(startTimeUnixNano=told, endTimeUnixNano=told), is_json=True))
    assert result.dropped == ({"too_late": 1} if told < 0 else {})


BAD_ATTRIBUTE = {"key": "a", "value": {"stringValue": 5}}
GOOD_ATTRIBUTE = {"key": "http.request.method", "value": {"stringValue": "GET"}}


@pytest.mark.parametrize(
    ("fields", "spans", "requests"),
    [
        ({"attributes": [BAD_ATTRIBUTE, "b", {"key": 1}, GOOD_ATTRIBUTE]}, 1, 1),
        ({"attributes": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "x"}] * 3}}}]}, 1, 0),
        ({"events": [5, 5, {"name": 5}]}, 1, 1),
        ({"kind": "SPAN_KIND_SERVER"}, 0, 0),
        ({"status": []}, 0, 0),
        ({"startTimeUnixNano": "yesterday"}, 0, 0),
    ],
    ids=["attributes", "values", "events", "kind", "status", "time"],
)
def test_what_of_json_is_not_as_otlp_has_it_is_left_out_alone(fields: Any, spans: int, requests: int) -> None:
    """As of protobuf a broken item is. Beside it stands a whole one."""
    told = json.loads(json_body(**fields))
    told["resourceSpans"].append(json.loads(json_body())["resourceSpans"][0])
    result = parse_traces(report(json.dumps(told).encode(), is_json=True))
    (seen,) = result.observed
    assert (len(seen.spans), len(seen.requests)) == (1 + spans, 1 + requests)
    assert result.dropped == {"bad_json": 1 if not spans else 3}


def test_a_text_that_javascript_cut_within_a_character_does_not_cost_the_report() -> None:
    """The limit of an attribute's length cuts there, and JSON.stringify writes what is left as an escape."""
    cut = [GOOD_ATTRIBUTE, {"key": "note", "value": {"stringValue": "cut \ud83d"}}]
    (seen,) = parse_traces(report(json_body(attributes=cut), is_json=True)).observed
    assert seen.spans[0].attributes["note"] == "cut \ufffd"
    assert len(seen.requests) == 1


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("NaN", "bad_point"),
        ('"NaN"', "bad_point"),
        ("Infinity", "bad_point"),
        ('"-Infinity"', "bad_point"),
        ("1e999", "bad_json"),
    ],
)
def test_numbers_that_are_none_cost_their_point_alone(told: str, reason: str) -> None:
    """However they are written: protobuf's JSON does it in text, Python's and others' as a bare word."""
    points = fine([1], sum=0.125), fine([2], sum=0.5)
    body = json_of(metrics(exponential("http.server.request.duration", *points))).replace(b"0.125", told.encode())
    result = parse_metrics(report(body, is_json=True))
    assert [each.requests for each in result.observed[0].traffic] == [2]
    assert result.dropped == {reason: 1}


def test_a_mark_of_the_byte_order_is_no_content() -> None:
    assert len(parse_traces(report(b"\xef\xbb\xbf" + json_body(), is_json=True)).observed[0].requests) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"null", "bad_json"),
        (b"[]", "bad_json"),
        (b"\xff", "bad_json"),
        (b'{"resourceSpans": 5}', "bad_json"),
        (b'{"resourceSpans": [{"scopeSpans": [{"scope": {"name": "\xff"}}]}]}', "bad_json"),
        (b'{"a": ' + b"[" * 100_000, "too_deep"),
        (b'{"resourceSpans": [null, ' + b"[" * 100_000, "too_deep"),
        (b"[" + b"{}," * 1_000_001, "too_many"),
    ],
)
def test_what_is_no_json_of_otlp_is_refused_as_a_whole(body: bytes, reason: str) -> None:
    with pytest.raises(BadReport) as refused:
        parse_traces(report(body, is_json=True))
    assert refused.value.reason == reason


# --- protobuf -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("parse", [parse_traces, parse_logs, parse_metrics])
@pytest.mark.parametrize(
    "body",
    [b"\x0a", b"\x0a\x05a", b"\x0a" + b"\xff" * 10, b"\x0b", b"\x0d\x00", b"\x09\x00", b"\x0a\x02\x12\x01", b"{}"],
    ids=["key", "short", "long", "group", "four bytes", "eight bytes", "inner", "json"],
)
def test_what_is_no_protobuf_is_refused_as_a_whole(parse: Parse, body: bytes) -> None:
    with pytest.raises(BadReport) as refused:
        parse(report(body))
    assert refused.value.reason == "bad_protobuf"


def test_fields_that_are_not_known_are_skipped() -> None:
    unknown = b"\x98\x06\x05" + b"\x99\x06" + bytes(8) + b"\x9d\x06" + bytes(4) + b"\x9a\x06\x01x"
    (seen,) = parse_traces(report(unknown + traces(span(CALL)).SerializeToString() + unknown)).observed
    assert len(seen.requests) == 1


def test_a_broken_item_is_left_out_and_the_rest_counts() -> None:
    body = traces(span(CALL), span(CALL, name="broken")).SerializeToString().replace(b"broken", b"brok\xff\xff")
    result = parse_traces(report(body))
    assert result.dropped == {"bad_protobuf": 1}
    assert len(result.observed[0].requests) == 1


@given(int64s)
def test_integers_are_read_as_protobuf_writes_them(number: int) -> None:
    body = AnyValue(int_value=number).SerializeToString()
    assert list(Wire(body).fields(0, len(body))) == [(3, number % 2**64, NUMBER)]


def test_events_are_the_same_in_json() -> None:
    message = logs(event("apitally.consumer.update", {"identifier": "alice"}), scope="apitally")
    assert said(parsed(message)) == said(parsed(message, is_json=True))
    assert parsed(message, is_json=True).observed[0].consumers[0].identifier == "alice"
