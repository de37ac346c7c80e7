"""Bodies that nobody means well with: a report is refused with a reason, or what is wrong of it is left out."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.models import ReportKind
from analytics.observations import BadReport, Parsed, Report
from analytics.reports import otlp_harvest
from analytics.reports.otlp_logs import parse_logs
from analytics.reports.otlp_metrics import parse_metrics
from analytics.reports.otlp_traces import parse_traces
from tests.analytics.otlp_bodies import (
    CALL,
    NOW,
    PLAIN,
    any_value,
    event,
    exponential,
    fine,
    gauge,
    json_of,
    key_values,
    logs,
    metrics,
    observed,
    parsed,
    record,
    sized,
    span,
    traces,
)

ROOT = Path(__file__).parent.parent.parent
PARSERS = [parse_traces, parse_logs, parse_metrics]
REASONS = {"bad_gzip", "bad_protobuf", "bad_json", "too_deep", "too_large", "too_many"}


def outcome(parse: Callable[[Report], Parsed], body: bytes, *, is_json: bool = False) -> Parsed | str:
    try:
        return parse(Report(1, 7, ReportKind.TRACES, "", "", is_json, NOW, body))
    except BadReport as refused:
        if refused.reason in REASONS:
            return refused.reason
        raise


# --- anything at all ----------------------------------------------------------------------------------------------
@given(st.sampled_from(PARSERS), st.binary() | st.binary().map(gzip.compress), st.booleans())
def test_any_bytes_are_parsed_or_refused(parse: Callable[[Report], Parsed], body: bytes, is_json: bool) -> None:
    outcome(parse, body, is_json=is_json)


MEANT = [
    traces(span({**CALL, "http.request.header.a": ["b"], "apitally.request.body": b"{}"}), span({}, kind=1)),
    logs(record({"a": [1]}, {"code.lineno": 7})),
    logs(event("apitally.app.startup", '{"paths": []}'), event("apitally.consumer.update", {"identifier": "a"})),
    metrics(exponential("http.server.request.duration", fine([1, 2])), gauge("process.memory.usage", 7)),
]


@given(st.data(), st.sampled_from(MEANT), st.booleans())
def test_bytes_that_were_turned_are_parsed_or_refused(data: st.DataObject, message: Any, is_json: bool) -> None:
    body = bytearray(json_of(message) if is_json else message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for parse in PARSERS:
        outcome(parse, bytes(body), is_json=is_json)


@pytest.mark.parametrize("is_json", [False, True])
def test_a_truncated_body_is_refused_as_a_whole(is_json: bool) -> None:
    body = json_of(MEANT[0]) if is_json else MEANT[0].SerializeToString()
    outcomes = {outcome(parse_traces, body[:length], is_json=is_json) for length in range(1, len(body))}
    assert outcomes == {"bad_json" if is_json else "bad_protobuf"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(MEANT), st.integers(0), json_values)
def test_json_of_any_shape_is_parsed_or_refused(message: Any, place: int, value: object) -> None:
    """Whatever stands in the place of anything within a report."""
    told = json.loads(json_of(message))
    places = list(places_within(told))
    container, key = places[place % len(places)]
    container[key] = value
    for parse in PARSERS:
        outcome(parse, json.dumps(told).encode(), is_json=True)


def places_within(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield value, key
        yield from places_within(each)


# --- too much -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (traces(*[span(CALL)] * 12), 10),
        (logs(*[record("x")] * 12, resource=PLAIN), 10),
        (metrics(exponential("http.server.request.duration", *[fine([1])] * 12)), 10),
        (metrics(gauge("process.cpu.utilization", *[0.01] * 12)), 10),
    ],
    ids=["spans", "records", "points", "numbers"],
)
def test_what_is_over_the_bound_is_left_out_and_counted(
    message: Any, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_harvest, "ITEMS_MAX", 10)
    result = parsed(message)
    (seen,) = result.observed
    assert result.dropped == {"too_many": 2}
    requests = sum(each.requests for each in seen.traffic)
    percent = sum(each.cpu_percent or 0 for each in seen.resources)
    assert kept in (len(seen.spans), len(seen.log_lines), requests, round(percent))


def test_a_thousand_instances_may_speak_in_one_report() -> None:
    message = traces(span(CALL), resource={"service.instance.id": "0"})
    for number in range(1, 1002):
        message.MergeFrom(traces(span(CALL), resource={"service.instance.id": str(number)}))
    result = parsed(message)
    assert len(result.observed) == 1000
    assert result.dropped == {"too_many_instances": 2}


@pytest.mark.parametrize("is_json", [False, True])
def test_128_attributes_are_kept(is_json: bool) -> None:
    crowd = {f"a{number}": number for number in range(5_000)}
    assert len(observed(traces(span(crowd)), is_json=is_json).spans[0].attributes) == 128
    assert len(observed(logs(record("x", crowd), resource=PLAIN), is_json=is_json).log_lines[0].attributes) == 128


@pytest.mark.parametrize(
    "message",
    [traces(span({"a": "x" * 10_000_000}), span(CALL)), traces(span({str(n): n for n in range(100_000)}), span(CALL))],
    ids=["a text of 10 MB", "a hundred thousand attributes"],
)
def test_a_span_of_over_a_megabyte_is_left_out_and_the_rest_counts(message: Any) -> None:
    result = parsed(message)
    assert result.dropped == {"too_large": 1}
    assert len(result.observed[0].requests) == 1


def test_long_texts_are_cut() -> None:
    long = "x" * 100_000
    told = span({**CALL, "http.route": long, "user.id": long, long: long, "list": [long]}, name=long)
    seen = observed(traces(told, resource={"service.instance.id": long}))
    (request,) = seen.requests
    assert (len(seen.instance), len(request.call.path), len(request.call.consumer or "")) == (128, 1024, 128)
    assert len(seen.spans[0].name) == 1024
    assert len(str(seen.spans[0].attributes["x" * 1024])) == 8192
    assert seen.spans[0].attributes["list"] == ["x" * 8192]


def test_headers_beyond_those_shown_are_left_out() -> None:
    headers = {f"http.request.header.a{number}": ["x", "y"] for number in range(400)}
    (request,) = observed(traces(span({**CALL, **headers}))).requests
    assert request.detail is not None
    assert len(request.detail.request_headers) == 128


# --- too deep -----------------------------------------------------------------------------------------------------
def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("is_json", [False, True])
def test_a_value_is_kept_eight_deep(is_json: bool) -> None:
    (seen,) = observed(traces(span({"deep": nested(20)})), is_json=is_json).spans
    assert seen.attributes["deep"] == [[[[[[[[None]]]]]]]]


def test_a_value_that_is_too_deep_for_protobuf_is_left_out() -> None:
    value = b""
    for _ in range(1000):
        value = sized(5, sized(1, value))  # an array of one
    deep = span({}).SerializeToString() + sized(9, sized(1, b"deep") + sized(2, value))
    result = outcome(parse_traces, sized(1, sized(2, sized(2, deep) + sized(2, span(CALL).SerializeToString()))))
    assert isinstance(result, Parsed)
    assert result.dropped == {"bad_protobuf": 1}
    assert len(result.observed[0].requests) == 1


# --- what no database takes ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_json", [False, True])
def test_nul_is_replaced_everywhere(is_json: bool) -> None:
    told = {"http.request.method": "G\0T", "http.route": "/\0", "user.id": "\0", "a\0": ["\0", {"\0": "\0"}]}
    told |= {"http.request.header.a\0": ["\0"], "apitally.request.body": "\0", "url.path": "/\0"}
    message = traces(span(told, name="\0"), resource={"service.instance.id": "\0"}, scope="\0")
    assert "\0" not in repr(observed(message, is_json=is_json))
    assert "\\x00" not in repr(observed(message, is_json=is_json))
    lines = logs(record("\0", {"code.filepath": "\0"}, severity_text="\0"), resource=PLAIN, scope="\0")
    assert "\\x00" not in repr(observed(lines, is_json=is_json))
    points = exponential("http.server.request.duration", fine([1], {**CALL, "http.route": "/\0"}))
    assert "\\x00" not in repr(observed(metrics(points, scope="\0"), is_json=is_json))


# --- bombs --------------------------------------------------------------------------------------------------------
BOMBS = """
import django
django.setup()
from datetime import UTC, datetime
from analytics.models import ReportKind
from analytics.observations import BadReport, Report
from analytics.reports.otlp_metrics import parse_metrics
from analytics.reports.otlp_traces import parse_traces
from tests.analytics.otlp_bodies import sized

MILLIONS = 8_000_000
bombs = [
    (parse_traces, b"\\x0a\\x00" * MILLIONS),
    (parse_traces, sized(1, b"\\x12\\x00" * MILLIONS)),
    (parse_traces, sized(1, sized(2, b"\\x12\\x00" * MILLIONS))),
    (parse_metrics, sized(1, sized(2, sized(2, sized(10, b"\\x0a\\x00" * MILLIONS))))),
    (parse_traces, sized(1, sized(2, sized(2, b"\\x6a\\x00" * 500_000) * 15))),
    (parse_traces, b'{"resourceSpans":[' + b"{}," * 5_000_000 + b"{}]}"),
    (parse_traces, b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 900_000 + b"{}]}]}]}"),
]
def most_kb():  # of this process alone: ru_maxrss begins at what the parent held
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


before = most_kb()
for parse, body in bombs:
    try:
        parse(Report(1, 1, ReportKind.TRACES, "", "", body.startswith(b"{"), datetime.now(UTC), body))
    except BadReport:
        pass
print((most_kb() - before) // 1024)
"""


def test_millions_of_empty_messages_take_no_memory() -> None:
    """Decoded as a whole, some of these bodies of 16 MiB take over a gigabyte."""
    done = subprocess.run([sys.executable, "-c", BOMBS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300


def test_values_of_any_kind_are_kept_plain() -> None:
    kinds = {"none": None, "yes": True, "no": 0.5, "bytes": b"\xff", "map": {"a": 1}, "inf": float("-inf")}
    told = span({})
    told.attributes.extend(key_values(kinds))
    told.attributes.add(key="unset", value=any_value(None))
    (seen,) = observed(traces(told)).spans
    assert seen.attributes == {
        "none": None,
        "yes": True,
        "no": 0.5,
        "bytes": "/w==",
        "map": {"a": 1},
        "inf": "-inf",
        "unset": None,
    }
