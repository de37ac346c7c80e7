"""What a line of a log becomes, and what of it is left out with which reason."""

import base64
import gzip
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from analytics.observations import BadReport, Call, Detail, Observed, Request
from analytics.reports.parsing import parse_report
from tests.analytics.hub_reports import NOW, SECONDS, UUID_TEXT, line, log_body, observed, parsed, report

OTHER_UUID = "00000000-0000-4000-8000-000000000001"
UUIDS = [UUID(UUID_TEXT)]
DEEP = b'{"x":' + b"[" * 5000


def _request(request: object = None, response: object = None, **more: object) -> Request:
    (only,) = observed("log", log_body(line(request, response, **more))).requests
    return only


def _log(*lines: object) -> Observed:
    return observed("log", log_body(*lines))


def test_the_least_that_a_line_may_say() -> None:
    """.NET leaves out zeros, Python and JavaScript what is empty."""
    told = {"uuid": UUID_TEXT, "request": {"timestamp": SECONDS, "method": "get", "url": "http://a.b/x"}}
    assert _log(told).requests == [
        Request(
            uuid=UUID(UUID_TEXT),
            at=NOW,
            call=Call("GET", "", 0),
            url="http://a.b/x",
            request_size_bytes=0,
            response_size_bytes=0,
            response_time_ms=0,
        )
    ]


def test_a_request_without_an_answer_is_one() -> None:
    (request,) = observed("log", log_body(line() | {"response": None, "exception": None, "spans": None})).requests
    assert (request.call, request.response_size_bytes) == (Call("GET", "", 0), 0)
    assert parsed("log", log_body(line() | {"request": None})).dropped == Counter({"bad_time": 1})


def test_a_consumer_may_be_told_as_a_number_or_an_object() -> None:
    assert [_request({"consumer": told}).call.consumer for told in (7, {"identifier": "bob"}, "bob")] == [
        "7",
        "bob",
        "bob",
    ]


@pytest.mark.parametrize(
    ("told", "kept"), [(None, 0), (-1, 0), (0, 0), (46, 46), (46.0, 46), (10**14, 10**13), (10**300, 10**13)]
)
def test_sizes(told: float | None, kept: int) -> None:
    request = _request({"size": told}, {"size": told})
    assert (request.request_size_bytes, request.response_size_bytes) == (kept, kept)


@pytest.mark.parametrize(
    ("told", "kept"),
    [(None, 0), (-0.5, 0), (float("nan"), 0), (0.0004, 0), (0.0126, 13), (7, 7000), (1e300, 2**31 - 1)],
)
def test_durations_are_told_in_seconds(told: float | None, kept: int) -> None:
    assert _request(None, {"response_time": told}).response_time_ms == kept


@pytest.mark.parametrize(("told", "kept"), [(200, 200), (599.0, 599), (0, 0), (99, 0), (600, 0), (None, 0), (-5, 0)])
def test_a_status_that_is_none_is_zero(told: object, kept: int) -> None:
    assert _request(None, {"status_code": told}).call.status_code == kept


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": None}, "bad_time"),
        ({"timestamp": 0}, "too_late"),
        ({"timestamp": SECONDS - 48 * 3600 - 1}, "too_late"),
        ({"method": None}, "no_method"),
        ({"method": "x" * 17}, "too_long"),
        ({"path": "/" + "x" * 1024}, "too_long"),
        ({"url": 7}, "unknown_shape"),
        ({"timestamp": "now"}, "unknown_shape"),
    ],
)
def test_a_bad_line_is_left_out_alone(change: dict[str, object], reason: str) -> None:
    spans = [{"span_id": "a" * 16, "start_time": int(SECONDS) * 10**9, "end_time": int(SECONDS) * 10**9}]
    found = parsed("log", log_body(line(), line(change, uuid=OTHER_UUID, spans=spans)))
    assert [request.uuid for request in found.observed[0].requests] == UUIDS
    assert found.observed[0].spans == []
    assert found.dropped == Counter({reason: 1})


@pytest.mark.parametrize("uuid", [None, "", "no uuid", "1234", UUID_TEXT + "0"])
def test_a_line_without_a_uuid_is_left_out(uuid: str | None) -> None:
    found = parsed("log", log_body(line(uuid=uuid), line()))
    assert [request.uuid for request in found.observed[0].requests] == UUIDS
    assert found.dropped == Counter({"bad_uuid": 1})


def test_a_line_that_is_told_twice_is_one() -> None:
    found = parsed("log", log_body(line(), line({"method": "POST"})))
    assert [request.call.method for request in found.observed[0].requests] == ["GET"]
    assert found.dropped == Counter({"duplicate": 1})


def test_a_clock_that_is_ahead_is_filed_at_receipt() -> None:
    assert _request({"timestamp": SECONDS + 540}).at == NOW + timedelta(minutes=9)
    assert _request({"timestamp": SECONDS + 660}).at == NOW


def test_lines_that_cannot_be_read_are_left_out_alone() -> None:
    bad = [b"{", b"", b"\xff\xfe", b"[]", b'"text"', DEEP, b"  "]
    found = parsed("log", b"\n".join([*bad, gzip.decompress(log_body(line()))]))
    assert [request.uuid for request in found.observed[0].requests] == UUIDS
    assert found.dropped == Counter({"bad_json": 2, "unknown_shape": 2, "too_deep": 1})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"\n\n", "bad_json"),
        (b"{\n[]", "bad_json"),
        (b"[]\n{", "unknown_shape"),
        (DEEP, "too_deep"),
        (b"\xff", "bad_json"),
        (b"\x1f\x8b\x08", "bad_gzip"),
    ],
    ids=["nothing", "blank", "half", "list", "deep", "not UTF-8", "gzip"],
)
def test_a_log_of_which_no_line_can_be_read_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadReport) as refused:
        parsed("log", body)
    assert refused.value.reason == reason


def test_a_file_is_known_by_its_uuid_else_by_its_lines() -> None:
    one, other = log_body(line()), log_body(line({"method": "POST"}))

    def identity(body: bytes, file_uuid: str = "") -> bytes:
        return parse_report(report("log", body, message_id=file_uuid)).identity

    assert identity(one, "f") == identity(other, "f") != identity(one, "g")
    assert identity(one) == identity(gzip.decompress(one))  # whatever its compression
    assert identity(one) != identity(other)
    assert len(identity(one)) == 32


def test_nothing_captured_needs_no_detail() -> None:
    assert _request().detail is None
    assert _request({"headers": None, "body": None}, {"headers": [], "body": ""}).detail is None
    assert _request(trace_id="0" * 32).detail is None
    assert _request(trace_id="zz").detail is None
    assert _request(trace_id="A" * 32).detail == Detail(trace_id=UUID("a" * 32))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"ok":true}', '{"ok":true}'),
        (b"<body too large>", "<body too large>"),
        (b"<masked>", "<masked>"),
        (b"text\0 of \xff bytes", "text\ufffd of \ufffd bytes"),
        (b"x" * 50_000, "x" * 50_000),
        (b"x" * 50_001, "[BODY_TOO_LARGE]"),
        (b"x" * 500_000, "[BODY_TOO_LARGE]"),
    ],
    ids=["json", "too large", "masked", "no text", "at the bound", "over it", "far over it"],
)
def test_bodies_are_base64(body: bytes, kept: str) -> None:
    encoded = base64.b64encode(body).decode()
    detail = _request({"body": encoded}, {"body": encoded}).detail
    assert detail == Detail(request_body=kept, response_body=kept)


@pytest.mark.parametrize("body", ["not base64", "é", "AAA"])
def test_a_body_that_is_no_base64_is_left_out_of_its_line(body: str) -> None:
    found = parsed("log", log_body(line({"body": body})))
    assert found.observed[0].requests[0].detail is None
    assert found.dropped == Counter({"bad_body": 1})


def test_headers_are_bounded_and_bad_ones_left_out() -> None:
    headers = [["accept", "*/*"], ["x\0", "y\0"], ["n" * 300, "v" * 9000], ["null", None], "x", ["one"], [1, 2]]
    found = parsed("log", log_body(line({"headers": headers})))
    detail = found.observed[0].requests[0].detail
    assert detail == Detail(
        request_headers=(("accept", "*/*"), ("x\ufffd", "y\ufffd"), ("n" * 256, "v" * 8192)),
    )
    assert found.dropped == Counter({"unknown_shape": 4})


def test_too_many_headers_are_cut() -> None:
    found = parsed("log", log_body(line(None, {"headers": [["a", "b"]] * 130})))
    detail = found.observed[0].requests[0].detail
    assert detail is not None
    assert len(detail.response_headers) == 128
    assert found.dropped == Counter({"too_many_headers": 2})


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], None),
        ([["x-forwarded-for", "203.0.113.7, 10.0.0.1"]], "203.0.113.7"),
        ([["X-Forwarded-For", " 10.1.2.3:4711 "]], "10.1.2.3"),
        ([["x-forwarded-for", "unknown"], ["x-real-ip", "192.168.1.4"]], "192.168.1.4"),
        ([["cf-connecting-ip", "2001:DB8::1"]], "2001:db8::1"),
        ([["x-forwarded-for", "[2001:db8::2]:443"]], "2001:db8::2"),
        ([["x-real-ip", "fe80::1%eth0"]], "fe80::1"),
        ([["x-real-ip", "999.1.1.1"], ["true-client-ip", "198.51.100.9"]], "198.51.100.9"),
        ([["x-forwarded-for", "203.0.113.7"], ["x-forwarded-for", "203.0.113.8"]], "203.0.113.7"),
        ([["host", "203.0.113.7"]], None),
    ],
)
def test_the_clients_address_is_what_proxies_told(headers: object, address: str | None) -> None:
    assert _request({"headers": headers}).client_ip == address
    assert _request(None, {"headers": headers}).client_ip is None  # a response's headers tell nothing of it


def test_the_url_is_bounded_and_never_missing() -> None:
    assert _request({"url": "http://a.b/" + "x" * 5000}).url == "http://a.b/" + "x" * 4085
    assert _request({"url": None, "path": "/x"}).url == "/x"
    assert _request({"url": None}).url == ""


def test_a_report_holds_100000_items_at_most() -> None:
    small = b'{"uuid":"x"}\n'
    assert parsed("log", small * 100_000).dropped == Counter({"bad_uuid": 100_000})
    with pytest.raises(BadReport) as refused:
        parsed("log", small * 100_001)
    assert refused.value.reason == "too_many"


def test_headers_are_no_items() -> None:
    """Else a busy file of an SDK, with a dozen headers a line, would be refused."""
    told = [
        line({"headers": [["a", "b"]] * 60}, {"headers": [["a", "b"]] * 60}, uuid=str(UUID(int=n))) for n in range(900)
    ]
    assert len(_log(*told).requests) == 900
