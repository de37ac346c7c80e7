"""Whatever is sent as a report: it is refused with a word, or what is kept of it is clean. Nothing else happens."""

import base64
import gzip
import json
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.observations import BadReport, Parsed
from tests.analytics.hub_reports import NOW, SECONDS, UUID_TEXT, log_body, parsed, values_in

Path = tuple[str | int, ...]

WORD = re.compile(r"[a-z0-9_]{1,32}")
UNCLEAN = re.compile("[\x00\ud800-\udfff]")
NS = int(SECONDS) * 10**9

texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    [
        "\0",
        "\ud800",
        "GET",
        "/x",
        UUID_TEXT,
        "a" * 16,
        "b" * 32,
        "eyJhIjoxfQ==",
        "http://a.b/?token=s",
        "1e9",
        "x" * 99_999,
    ]
)
numbers = st.integers(-(10**30), 10**30) | st.floats() | st.sampled_from([0, 1, 200, SECONDS, NS, 10**400, 2**63, -1])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

CALL = {"consumer": "bob", "method": "GET", "path": "/x"}
ERROR = CALL | {"loc": ["a", 0], "msg": "m", "type": "t", "traceback": "t", "sentry_event_id": "s", "error_count": 1}
PATHS = [{"method": "get", "path": "/x", "summary": "s", "description": "d"}, {"method": "get", "path": "/y"}]
REQUEST = CALL | {"timestamp": SECONDS, "url": "/x?a=b", "headers": [["x-real-ip", "::1"]], "size": 1, "body": "e30="}
RESPONSE = {"status_code": 200, "response_time": 0.1, "headers": [["a", "b"]], "size": 1, "body": "e30="}
EXCEPTION = {"type": "t", "message": "m", "traceback": "t", "sentry_event_id": "s"}
SPAN = {
    "span_id": "a" * 16,
    "parent_span_id": "b" * 16,
    "name": "n",
    "kind": "CLIENT",
    "start_time": NS,
    "end_time": NS,
}
LOG = {"timestamp": SECONDS, "logger": "l", "level": "INFO", "message": "m", "file": "f", "line": 1}
STARTUP: dict[str, object] = {
    "message_uuid": "m",
    "instance_uuid": "i",
    "client": "c",
    "versions": {"v": "1"},
    "paths": PATHS,
    "openapi": json.dumps({"paths": {"/y": {"get": {"summary": "s"}}}}),
}
# All that may be told, at its best.
WHOLE: dict[str, dict[str, object]] = {
    "startup": STARTUP,
    "sync": {
        "message_uuid": "m",
        "instance_uuid": "i",
        "timestamp": SECONDS,
        "requests": [
            CALL
            | {"status_code": 200, "request_count": 1, "request_size_sum": 1, "response_size_sum": 1}
            | {"response_times": {"0": 1}, "request_sizes": {"0": 1}, "response_sizes": {"0": 1}}
        ],
        "validation_errors": [ERROR],
        "server_errors": [ERROR],
        "consumers": [{"identifier": "bob", "name": "Bob", "group": "g"}],
        "resources": {"cpu_percent": 0.5, "memory_rss": 1},
    },
    "log": {
        "uuid": UUID_TEXT,
        "request": REQUEST,
        "response": RESPONSE,
        "exception": EXCEPTION,
        "logs": [LOG],
        "spans": [SPAN | {"attributes": {"url.query": "a=b", "list": ["a"]}, "status": "OK"}],
        "trace_id": "c" * 32,
    },
    "logpush": {
        "trace": {
            "Event": {"Request": {"URL": "/x", "Method": "GET"}, "Response": {"Status": 200}},
            "EventTimestampMs": SECONDS * 1000,
        },
        "message": {
            "instance_uuid": "i",
            "request_uuid": UUID_TEXT,
            "startup": STARTUP,
            "consumer": {"identifier": "bob", "name": "Bob", "group": "g"},
            "request": REQUEST,
            "response": RESPONSE,
            "validation_errors": [ERROR],
            "exception": EXCEPTION,
            "exclude": False,
        },
    },
}


def _places(value: object, place: Path = ()) -> Iterator[Path]:
    if place:
        yield place
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        yield from _places(inner, (*place, name))


def _with(value: object, place: Path, instead: object) -> object:
    """The value with something else in one place; as it is where the place has gone."""
    if not place:
        return instead
    name, rest = place[0], place[1:]
    if isinstance(value, dict):
        return value | {name: _with(value.get(name), rest, instead)}
    if isinstance(value, list):
        return [_with(each, rest, instead) if number == name else each for number, each in enumerate(value)]
    return value


def _body(kind: str, told: object) -> object:
    if kind == "log":
        return log_body(told)
    if kind == "logpush" and isinstance(told, dict):
        packed = base64.b64encode(gzip.compress(json.dumps(told["message"]).encode(), 1)).decode()
        trace, logs = told["trace"], {"Logs": [{"Message": [f"apitally:{packed}"]}]}
        return log_body(trace | logs if isinstance(trace, dict) else trace)
    return told


def _clean_or_refused(kind: str, body: object) -> None:
    found = _parsed_or_word(kind, body)
    if isinstance(found, str):
        assert WORD.fullmatch(found)
        return
    assert len(found.identity) == 32
    assert all(WORD.fullmatch(reason) and count > 0 for reason, count in found.dropped.items())
    for value in values_in(found.observed):
        _assert_clean(value)
    for observed in found.observed:
        for counted in observed.traffic:
            assert counted.requests > 0
            assert min(counted.bytes_received, counted.bytes_sent) >= 0
            assert 100 <= counted.call.status_code <= 599
        for request in observed.requests:
            assert min(request.request_size_bytes, request.response_size_bytes, request.response_time_ms) >= 0
        for span in observed.spans:
            assert 0 < span.start_ns <= span.end_ns
            json.dumps(span.attributes, allow_nan=False)


def _parsed_or_word(kind: str, body: object) -> Parsed | str:
    try:
        return parsed(kind, body)
    except BadReport as bad:
        return bad.reason


def _assert_clean(value: object) -> None:
    if isinstance(value, str):
        assert not UNCLEAN.search(value)
        assert len(value) <= 65_536
    elif isinstance(value, datetime):
        assert value.tzinfo is not None
        assert NOW - timedelta(hours=48, minutes=1) <= value <= NOW + timedelta(minutes=10)
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, int):
        assert -(2**63) <= value < 2**63


@settings(deadline=None)
@given(st.sampled_from([*WHOLE]), st.binary(max_size=200), st.booleans())
def test_any_bytes(kind: str, body: bytes, is_gzip: bool) -> None:
    _clean_or_refused(kind, gzip.compress(body) if is_gzip else body)


@settings(deadline=None)
@given(st.sampled_from([*WHOLE]), values)
def test_any_json(kind: str, body: object) -> None:
    _clean_or_refused(kind, body)


@pytest.mark.parametrize("kind", WHOLE)
def test_anything_in_any_place(kind: str) -> None:
    places = st.sampled_from([*_places(WHOLE[kind])])

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(places, values), min_size=1, max_size=4))
    def spoil(changes: list[tuple[Path, object]]) -> None:
        spoilt: object = WHOLE[kind]
        for place, instead in changes:
            spoilt = _with(spoilt, place, instead)
        _clean_or_refused(kind, _body(kind, spoilt))

    spoil()


@pytest.mark.parametrize(
    ("kind", "reached"),
    [
        ("startup", {"startups", "alive"}),
        ("sync", {"traffic", "consumers", "errors", "resources", "alive"}),
        ("log", {"requests", "spans", "log_lines", "alive"}),
        ("logpush", {"traffic", "requests", "consumers", "startups", "errors", "alive"}),
    ],
)
def test_what_is_spoilt_here_is_good_before(kind: str, reached: set[str]) -> None:
    """Else the property above would hold of nothing."""
    found = parsed(kind, _body(kind, WHOLE[kind]))
    assert not found.dropped
    lists = {name: getattr(found.observed[0], name) for name in found.observed[0].__struct_fields__}
    assert {name for name, value in lists.items() if isinstance(value, list) and value} == reached
