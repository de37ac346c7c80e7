"""What serverless SDKs print and Cloudflare's Logpush brings: traffic, request logs and what goes with them."""

import base64
import gzip
import json
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from analytics.histograms import SIZE, TIME, from_pairs
from analytics.masking import MASKED
from analytics.models import ErrorKind, Source
from analytics.observations import (
    BadReport,
    Call,
    ConsumerTold,
    Detail,
    EndpointTold,
    Observed,
    Request,
    SeenError,
    SeenException,
    Startup,
    Traffic,
)
from tests.analytics.hub_reports import NOW, SECONDS, UUID_TEXT, observed, parsed

OTHER_UUID = "00000000-0000-4000-8000-000000000001"
PYTHON: dict[str, object] = {
    "instance_uuid": "i1",
    "request_uuid": UUID_TEXT,
    "request": {"path": "/orders", "headers": [["cf-connecting-ip", "203.0.113.7"]], "size": 46, "consumer": "bob"},
    "response": {"response_time": 0.012, "status_code": 422, "size": 11, "body": "eyJvayI6dHJ1ZX0="},
}


def _packed(message: object) -> str:
    return "apitally:" + base64.b64encode(gzip.compress(json.dumps(message).encode())).decode()


def _event(*messages: object, ms: object = SECONDS * 1000, status: int = 422) -> dict[str, object]:
    """As Cloudflare writes it; a message that is no text is packed as SDKs pack it."""
    texts = [message if isinstance(message, str) else _packed(message) for message in messages]
    return {
        "Event": {
            "RayID": "87ed87f80cf22d84",
            "Request": {"URL": "https://shop.workers.dev/orders?token=s", "Method": "POST"},
            "Response": {"Status": status},
        },
        "EventTimestampMs": ms,
        "EventType": "fetch",
        "Logs": [{"Level": "log", "Message": [text], "TimestampMs": ms} for text in texts],
        "Outcome": "ok",
    }


def _batch(*events: object) -> bytes:
    return gzip.compress(b"\n".join(json.dumps(event).encode() for event in events) + b"\n")


def _read(*messages: object) -> Observed:
    return observed("logpush", _batch(_event(*messages)))


def test_a_request_is_logged_and_counted() -> None:
    assert _read(PYTHON) == Observed(
        environment="dev",
        instance="i1",
        alive=[(Source.METRIC, NOW)],
        traffic=[
            Traffic(
                at=NOW,
                call=Call("POST", "/orders", 422, "bob"),
                source=Source.METRIC,
                requests=1,
                bytes_received=46,
                bytes_sent=11,
                durations=from_pairs([(0.012, 1)], TIME),
                request_sizes=from_pairs([(46, 1)], SIZE),
                response_sizes=from_pairs([(11, 1)], SIZE),
            )
        ],
        requests=[
            Request(
                uuid=UUID(UUID_TEXT),
                at=NOW,
                call=Call("POST", "/orders", 422, "bob"),
                url=f"https://shop.workers.dev/orders?token={MASKED}",
                request_size_bytes=46,
                response_size_bytes=11,
                response_time_ms=12,
                client_ip="203.0.113.7",
                detail=Detail(request_headers=(("cf-connecting-ip", "203.0.113.7"),), response_body='{"ok":true}'),
            )
        ],
    )


def test_javascript_spells_it_in_camel_case_and_leaves_the_status_to_cloudflare() -> None:
    found = _read(
        {
            "instanceUuid": "i1",
            "requestUuid": UUID_TEXT,
            "request": {"path": "/orders", "consumer": "bob"},
            "response": {"responseTime": 0.012},
            "validationErrors": [{"loc": ["qty"], "msg": "why", "type": "invalid_type"}],
            "exception": {"type": "Error", "msg": "kaboom", "stackTrace": "at x"},
        }
    )
    (request,) = found.requests
    assert (request.uuid, request.call, request.response_time_ms) == (
        UUID(UUID_TEXT),
        Call("POST", "/orders", 422, "bob"),
        12,
    )
    assert found.instance == "i1"
    assert found.errors == [
        SeenError(NOW, ErrorKind.VALIDATION, "POST", "/orders", "bob", "invalid_type", "why", count=1, location="qty"),
        SeenError(NOW, ErrorKind.SERVER, "POST", "/orders", "bob", "Error", "kaboom", count=1, stacktrace="at x"),
    ]
    assert request.detail == Detail(exception=SeenException("Error", "kaboom", "at x"))
    (counted,) = found.traffic
    assert (counted.durations, counted.request_sizes) == (from_pairs([(0.012, 1)], TIME), None)


def test_the_first_request_of_an_instance_brings_its_startup() -> None:
    startup = {
        "paths": [{"method": "get", "path": "/orders"}],
        "versions": {"python": "3.12.1"},
        "client": "python-serverless:starlette",
    }
    found = _read(PYTHON | {"startup": startup})
    assert found.client == "python-serverless:starlette"
    assert found.startups == [
        Startup(NOW, "python-serverless:starlette", {"python": "3.12.1"}, (EndpointTold("GET", "/orders"),))
    ]


def test_a_consumer_is_told_with_its_name() -> None:
    told = {"identifier": "bob", "name": "Bob", "group": "Admins"}
    assert _read(PYTHON | {"consumer": told}).consumers == [ConsumerTold("bob", NOW, name="Bob", group="Admins")]


def test_an_excluded_request_is_traffic_alone() -> None:
    found = _read(PYTHON | {"exclude": True})
    assert (len(found.traffic), found.requests) == (1, [])


def test_what_matched_no_route_is_a_request_log_alone() -> None:
    found = _read(PYTHON | {"request": {}, "exception": {"type": "E", "msg": "m", "traceback": "t"}})
    assert (found.traffic, found.errors) == ([], [])
    assert [request.call for request in found.requests] == [Call("POST", "", 422)]


def test_a_status_that_python_does_not_know_is_cloudflares() -> None:
    response = {"response_time": 0.012, "status_code": 0}
    found = observed("logpush", _batch(_event(PYTHON | {"response": response}, status=500)))
    assert [each.call.status_code for each in found.traffic] == [500]


def test_one_observed_for_each_instance() -> None:
    events = [
        _event(PYTHON),
        _event(PYTHON | {"instance_uuid": "i2", "request_uuid": OTHER_UUID}, ms=(SECONDS - 3600) * 1000),
        _event(PYTHON | {"request_uuid": "00000000-0000-4000-8000-000000000002"}, ms=(SECONDS - 60) * 1000),
    ]
    found = parsed("logpush", _batch(*events))
    assert found.dropped == Counter()
    assert [(each.instance, len(each.traffic), each.alive) for each in found.observed] == [
        ("i1", 2, [(Source.METRIC, NOW)]),
        ("i2", 1, [(Source.METRIC, NOW - timedelta(hours=1))]),
    ]


def test_an_event_that_is_delivered_twice_counts_once() -> None:
    found = parsed("logpush", _batch(_event(PYTHON), _event(PYTHON)))
    assert [len(each.traffic) for each in found.observed] == [1]
    assert found.dropped == Counter({"duplicate": 1})


def test_events_of_other_workers_are_none_of_ours() -> None:
    scheduled = {"Event": {"ScheduledTimeMs": 1}, "EventTimestampMs": 1, "Logs": []}
    found = parsed("logpush", _batch({"content": "test"}, scheduled, _event("order A1"), _event(PYTHON, "more")))
    assert [len(each.requests) for each in found.observed] == [1]
    assert found.dropped == Counter()
    assert parsed("logpush", _batch({"content": "test"})).observed == []


@pytest.mark.parametrize("shape", ["one text", "list in JSON", "plain"])
def test_other_shapes_of_a_batch(shape: str) -> None:
    event = _event(PYTHON)
    if shape == "one text":
        event["Logs"] = [{"Message": _packed(PYTHON) + "\n"}]
    body = json.dumps([event]).encode() if shape == "list in JSON" else json.dumps(event).encode()
    assert observed("logpush", body if shape == "plain" else gzip.compress(body)) == _read(PYTHON)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (_event("apitally:***"), "bad_base64"),
        (_event("apitally:" + base64.b64encode(gzip.compress(b"{}")[:-9]).decode()), "bad_gzip"),
        (_event("apitally:" + base64.b64encode(gzip.compress(b"{")).decode()), "bad_json"),
        (_event("apitally:" + base64.b64encode(gzip.compress(bytes(1_000_000))).decode()), "too_large"),
        (_event([]), "unknown_shape"),
        (_event(PYTHON | {"request_uuid": "x"}), "bad_uuid"),
        (_event(PYTHON | {"request": {"path": "/" + "x" * 2000}}), "too_long"),
        (_event(PYTHON | {"response": "text"}), "unknown_shape"),
        (_event(PYTHON, ms=None), "bad_time"),
        (_event(PYTHON, ms=0), "too_late"),
        (_event(PYTHON, ms=-(10**400)), "too_late"),
        (_event(PYTHON) | {"Event": None}, "unknown_shape"),
        (_event(PYTHON) | {"Event": {"Request": {"URL": "/"}}}, "no_method"),
        (_event(PYTHON) | {"Logs": "text"}, "unknown_shape"),
        ([], "unknown_shape"),
    ],
)
def test_a_bad_event_is_left_out_alone(event: object, reason: str) -> None:
    other = _event(PYTHON | {"request_uuid": OTHER_UUID})
    found = parsed("logpush", _batch(event, other))
    assert [request.uuid for each in found.observed for request in each.requests] == [UUID(OTHER_UUID)]
    assert found.dropped == Counter({reason: 1})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"7", "unknown_shape"),
        (gzip.compress(b"x", mtime=0)[:-1], "bad_gzip"),
        (b"[" + b" " * 6 * 1024 * 1024 + b"]", "too_large"),
    ],
    ids=["nothing", "half", "number", "gzip", "large"],
)
def test_a_batch_of_which_nothing_can_be_read_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadReport) as refused:
        parsed("logpush", body)
    assert refused.value.reason == reason


def test_bombs_in_messages_are_bounded_together() -> None:
    bomb = "apitally:" + base64.b64encode(gzip.compress(bytes(10_000_000))).decode()
    with pytest.raises(BadReport) as refused:
        parsed("logpush", _batch(*[_event(*[bomb] * 50)] * 3))
    assert refused.value.reason == "too_large"


def test_a_batch_is_known_by_its_content() -> None:
    batch = _batch(_event(PYTHON))
    again = gzip.compress(gzip.decompress(batch), 1)
    assert parsed("logpush", batch).identity == parsed("logpush", again).identity
    assert parsed("logpush", batch).identity != parsed("logpush", _batch(_event(PYTHON, ms=1))).identity
