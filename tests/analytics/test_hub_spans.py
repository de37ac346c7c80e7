"""Spans and application logs of a request log: bounded, clean, masked, and known by their request."""

from collections import Counter
from uuid import UUID

import pytest

from analytics.masking import MASKED
from analytics.observations import LogLine, Parsed, SeenSpan
from tests.analytics.hub_reports import NOW, SECONDS, UUID_TEXT, line, log_body, parsed

NOW_NS = int(SECONDS) * 10**9
HOUR_NS = 3600 * 10**9
SPAN_ID = "419b2dca4629e483"


def _span(**fields: object) -> dict[str, object]:
    return {"span_id": SPAN_ID, "name": "root", "start_time": NOW_NS, "end_time": NOW_NS + 5, **fields}


def _log(**fields: object) -> dict[str, object]:
    return {"timestamp": SECONDS, "message": "text", **fields}


def _read(*spans: object, logs: object = None, trace_id: str | None = None) -> Parsed:
    return parsed("log", log_body(line(spans=list(spans), logs=logs, trace_id=trace_id)))


def _only_span(**fields: object) -> SeenSpan:
    found = _read(_span(**fields))
    assert found.dropped == Counter()
    (span,) = found.observed[0].spans
    return span


def _attribute(name: str, value: object) -> object:
    return _only_span(attributes={name: value}).attributes[name]


def _log_lines(*logs: object) -> list[LogLine]:
    found = _read(logs=list(logs))
    assert found.dropped == Counter()
    return found.observed[0].log_lines


def test_without_a_trace_the_request_is_its_own() -> None:
    found = _read(_span(), logs=[_log()]).observed[0]
    assert found.spans[0].trace_id == found.log_lines[0].trace_id == UUID(UUID_TEXT)
    found = _read(_span(), logs=[_log()], trace_id="ab" * 16).observed[0]
    assert found.spans[0].trace_id == found.log_lines[0].trace_id == UUID("ab" * 16)
    assert found.spans[0].request_uuid == found.log_lines[0].request_uuid == UUID(UUID_TEXT)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({}, ("INTERNAL", "UNSET")),
        ({"kind": "server", "status": "ok"}, ("SERVER", "OK")),
        ({"kind": "PRODUCER", "status": "ERROR"}, ("PRODUCER", "ERROR")),
        ({"kind": "odd", "status": "odd"}, ("INTERNAL", "UNSET")),
    ],
)
def test_kind_and_status_are_words_of_opentelemetry(told: dict[str, object], kept: tuple[str, str]) -> None:
    span = _only_span(**told)
    assert (span.kind, span.status) == kept


@pytest.mark.parametrize("parent", [None, "", "0" * 16, "odd"])
def test_a_parent_that_is_none_makes_a_root(parent: str | None) -> None:
    assert _only_span(parent_span_id=parent).parent_span_id == ""
    assert _only_span(parent_span_id="AB" * 8).parent_span_id == "ab" * 8


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        (NOW_NS, NOW_NS + 7, (NOW_NS, NOW_NS + 7)),
        (str(NOW_NS), str(NOW_NS + 7), (NOW_NS, NOW_NS + 7)),
        (NOW_NS, NOW_NS - 7, (NOW_NS, NOW_NS)),  # nothing ends before it begins
        (NOW_NS + HOUR_NS, NOW_NS + HOUR_NS + 7, (NOW_NS, NOW_NS + 7)),  # a clock ahead: begun at receipt
        (NOW_NS - 47 * HOUR_NS, NOW_NS, (NOW_NS - 47 * HOUR_NS, NOW_NS)),
        (NOW_NS, 10**30, (NOW_NS, 2**63 - 1)),
        (10**30, 10**30, (NOW_NS, NOW_NS)),
    ],
)
def test_times_are_nanoseconds_in_order(start: object, end: object, kept: tuple[int, int]) -> None:
    span = _only_span(start_time=start, end_time=end)
    assert (span.start_ns, span.end_ns) == kept


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"span_id": None}, "bad_span_id"),
        ({"span_id": "0" * 16}, "bad_span_id"),
        ({"span_id": "xyz"}, "bad_span_id"),
        ({"start_time": None}, "bad_time"),
        ({"end_time": None}, "bad_time"),
        ({"start_time": "soon"}, "bad_time"),
        ({"start_time": -5}, "bad_time"),
        ({"start_time": "9" * 30}, "bad_time"),
        ({"start_time": 0}, "too_late"),
        ({"start_time": NOW_NS - 49 * HOUR_NS}, "too_late"),
        ({"name": 7}, "unknown_shape"),
        ({}, "duplicate"),
    ],
)
def test_a_bad_span_is_left_out_alone(change: dict[str, object], reason: str) -> None:
    found = _read(_span(), _span() | change, _span(span_id="b" * 16))
    assert [span.span_id for span in found.observed[0].spans] == [SPAN_ID, "b" * 16]
    assert found.dropped == Counter({reason: 1})


def test_attributes_are_plain_and_bounded() -> None:
    attributes = {
        "text": "a\0" + "x" * 5000,
        "number": 7,
        "huge": 10**30,
        "float": 0.5,
        "flag": True,
        "null": None,
        "list": ["a\0", 1, False],
        "nested": {"a": [1, {"b": None}]},
        "mixed": [["a"], 1],
        "n\0" + "n" * 300: 1,
    }
    assert _only_span(attributes=attributes).attributes == {
        "text": "a\ufffd" + "x" * 4094,
        "number": 7,
        "huge": str(10**30),
        "float": 0.5,
        "flag": True,
        "list": ["a\ufffd", 1, False],
        "nested": '{"a":[1,{"b":null}]}',
        "mixed": '[["a"],1]',
        "n\ufffd" + "n" * 254: 1,
    }


def test_too_many_attributes_are_cut() -> None:
    found = _read(_span(attributes={f"a{number}": number for number in range(1000)}))
    assert len(found.observed[0].spans[0].attributes) == 128
    assert found.dropped == Counter({"too_many_attributes": 872})


@pytest.mark.parametrize("attributes", [[], "text", 7])
def test_attributes_that_are_none_cost_no_span(attributes: object) -> None:
    found = _read(_span(attributes=attributes))
    assert found.observed[0].spans[0].attributes == {}
    assert found.dropped == Counter({"unknown_shape": 1})


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("http.url", "https://a.b/c?token=s&x=1", f"https://a.b/c?token={MASKED}&x=1"),
        ("url.full", "https://a.b/c?x=1#access_token=s", f"https://a.b/c?x=1#access_token={MASKED}"),
        ("http.target", "/c?api_key=s", f"/c?api_key={MASKED}"),
        ("url.query", "api-key=s&x=1", f"api-key={MASKED}&x=1"),
        ("url.fragment", "access_token=s&x=1", f"access_token={MASKED}&x=1"),
        ("http.request.header.authorization", ["Bearer s"], MASKED),
        ("http.request.header.x_api_key", "s", MASKED),
        ("http.response.header.set-cookie", ["a=b"], MASKED),
        ("http.request.header.accept", ["*/*"], ["*/*"]),
        ("http.response.header.location", ["/c?pwd=s"], [f"/c?pwd={MASKED}"]),
        ("body", {"password": "s", "x": 1}, f'{{"password":"{MASKED}","x":1}}'),
        ("url.path", "/token/secret", "/token/secret"),
    ],
)
def test_secrets_in_attributes(name: str, value: object, kept: object) -> None:
    assert _attribute(name, value) == kept


def test_a_secret_in_a_spans_name() -> None:
    assert _only_span(name="GET /c?token=s").name == f"GET /c?token={MASKED}"


def test_log_lines_are_bounded_and_clean() -> None:
    (told,) = _log_lines(
        _log(message="m\0" + "m" * 3000, level="l" * 20, logger="n" * 300, file="/" + "f" * 2000, line=2**31)
    )
    assert (told.at, told.message) == (NOW, "m\ufffd" + "m" * 2046)
    assert (told.level, told.logger, told.file, told.line) == ("l" * 16, "n" * 256, "/" + "f" * 1023, None)


def test_a_level_may_be_a_number_and_a_message_empty() -> None:
    (told,) = _log_lines(_log(level=30, message=None))
    assert (told.level, told.message) == ("30", "")


def test_ids_of_log_lines_are_made_from_their_places() -> None:
    first, second = _log_lines(_log(), _log())
    assert first.id != second.id
    assert [first.id, second.id] == [each.id for each in _log_lines(_log(message="x"), _log())]


def test_a_bad_log_line_is_left_out_alone() -> None:
    bad = [_log(timestamp=None), _log(timestamp=0), _log(message=7), "text"]
    found = _read(logs=[_log(), *bad])
    assert [each.message for each in found.observed[0].log_lines] == ["text"]
    assert found.dropped == Counter({"bad_time": 1, "too_late": 1, "unknown_shape": 2})


@pytest.mark.parametrize("instead", ["spans", 7, {"a": 1}])
def test_what_is_no_list_costs_no_request(instead: object) -> None:
    found = parsed("log", log_body(line(spans=instead, logs=instead)))
    assert len(found.observed[0].requests) == 1
    assert found.dropped == Counter({"unknown_shape": 2})


def test_a_text_that_javascript_cut_within_a_character_does_not_cost_the_line() -> None:
    (told,) = _log_lines(_log(message="cut \ud83d"))
    assert told.message == "cut \ufffd"


def test_a_nan_that_python_wrote_does_not_cost_the_line() -> None:
    assert _only_span(attributes={"ratio": float("nan"), "x": 1}).attributes == {"x": 1}
