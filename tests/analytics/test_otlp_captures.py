"""What Apitally's SDK 1.0.0 and the plain OpenTelemetry SDK really sent is understood to the last number."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from analytics.histograms import Histogram
from analytics.models import ErrorKind, ReportKind, Source
from analytics.observations import Call, ConsumerTold, EndpointTold, Observed, Report
from analytics.reports.otlp_logs import parse_logs
from analytics.reports.otlp_metrics import parse_metrics
from analytics.reports.otlp_traces import parse_traces

CAPTURES = Path(__file__).parent / "captures"
RECEIVED = {
    "py-1.0.0-fastapi": datetime(2026, 11, 22, 17, 1, 30, tzinfo=UTC),
    "py-1.0.0-django": datetime(2026, 11, 22, 17, 5, 28, tzinfo=UTC),
    "py-1.0.0-fastapi-failures": datetime(2026, 11, 22, 17, 20, 0, tzinfo=UTC),
    "otel-1.45.1-flask": datetime(2026, 11, 26, 12, 13, 10, tzinfo=UTC),
    "otel-1.45.1-fastapi": datetime(2026, 11, 26, 12, 13, 40, tzinfo=UTC),
}
PARSERS = {
    "traces": (ReportKind.TRACES, parse_traces),
    "logs": (ReportKind.LOGS, parse_logs),
    "metrics": (ReportKind.METRICS, parse_metrics),
}
ALICE, BOB = "alice@example.com", "bob"


def report(folder: str, file: str) -> Report:
    kind, _ = PARSERS[file.split("-")[1]]
    body = (CAPTURES / folder / f"{file}.bin").read_bytes()
    return Report(1, 1, kind, "", "", False, RECEIVED[folder], body)


def observed(folder: str, file: str) -> Observed:
    """Of a capture all of which counts."""
    _, parse = PARSERS[file.split("-")[1]]
    parsed = parse(report(folder, file))
    assert not parsed.dropped
    (only,) = parsed.observed
    return only


@pytest.mark.parametrize("folder", [folder for folder in RECEIVED if folder.startswith("py-")])
def test_a_report_says_who_speaks(folder: str) -> None:
    seen = observed(folder, "003-traces")
    assert seen.environment == ("prod" if "django" in folder else "dev")
    assert UUID(seen.instance).version == 4
    assert seen.client == "apitally-py/1.0.0"
    assert [source for source, _ in seen.alive] == [Source.METRIC]


# --- traces -------------------------------------------------------------------------------------------------------
USERS, ORDERS = "/users/{user_id}", "/orders"


@pytest.mark.parametrize(("folder", "invalid"), [("py-1.0.0-fastapi", 422), ("py-1.0.0-django", 400)])
def test_server_spans_are_the_requests_that_were_made(folder: str, invalid: int) -> None:
    calls = Counter(request.call for request in observed(folder, "003-traces").requests)
    assert calls == {
        Call("GET", USERS, 200, ALICE): 3,
        Call("GET", USERS, 422, ALICE): 1,
        Call("POST", ORDERS, 201, BOB): 1,
        Call("POST", ORDERS, invalid, BOB): 1,
        Call("GET", "/boom", 500, ALICE): 1,
        Call("GET", "/boom", 500): 1,
        Call("GET", "/handled", 200, ALICE): 1,
        Call("GET", "/big", 200): 1,
        Call("GET", "/stream", 200): 1,
        Call("GET", "", 404): 1,
    }


def test_a_request_is_shown_as_it_was_captured() -> None:
    request = observed("py-1.0.0-fastapi", "003-traces").requests[4]
    assert request.at == datetime(2026, 11, 22, 17, 1, 14, 199946, tzinfo=UTC)
    assert (request.url, request.client_ip) == ("http://127.0.0.1:18814/orders", "127.0.0.1")
    assert (request.request_size_bytes, request.response_size_bytes, request.response_time_ms) == (46, 11, 1)
    detail = request.detail
    assert detail is not None
    assert detail.request_headers == (
        ("accept-encoding", "identity"),
        ("content-length", "46"),
        ("host", "127.0.0.1:18814"),
        ("user-agent", "Python-urllib/3.11"),
        ("x-user", "bob"),
        ("content-type", "application/json"),
        ("connection", "close"),
    )
    assert detail.response_headers == (("content-length", "11"), ("content-type", "application/json"))
    assert detail.request_body == '{"sku":"A1","qty":2,"password":"[REDACTED]"}'
    assert detail.response_body == '{"ok":true}'
    assert detail.trace_id == UUID("0c566987ac142992661ab5f0bb9ba115")
    assert detail.server_span_id == "129735a492141637"


@pytest.mark.parametrize("folder", ["py-1.0.0-fastapi", "py-1.0.0-django"])
def test_what_the_sdk_masked_or_cut_stays_so(folder: str) -> None:
    requests = observed(folder, "003-traces").requests
    bodies = {request.call.path: request.detail.response_body for request in requests if request.detail}
    assert requests[0].url.endswith("/users/0?limit=10&api_key=[REDACTED]")
    assert requests[0].detail is not None
    assert ("authorization", "[REDACTED]") in requests[0].detail.request_headers
    assert bodies["/big"] == "[BODY_TOO_LARGE]"
    assert bodies["/stream"] == "chunk0chunk1chunk2"


@pytest.mark.parametrize("folder", ["py-1.0.0-fastapi", "py-1.0.0-django"])
def test_exceptions_belong_to_their_requests_even_those_that_were_handled(folder: str) -> None:
    exceptions = [
        (request.call.path, exception.type, exception.message, exception.sentry_event_id)
        for request in observed(folder, "003-traces").requests
        if request.detail and (exception := request.detail.exception)
    ]
    assert exceptions == [
        ("/boom", "ValueError", "kaboom", None),
        ("/boom", "ValueError", "kaboom", None),
        ("/handled", "ZeroDivisionError", "division by zero", None),
    ]


@pytest.mark.parametrize(("folder", "queries"), [("py-1.0.0-fastapi", 3), ("py-1.0.0-django", 4)])
def test_spans_hang_below_their_requests(folder: str, queries: int) -> None:
    seen = observed(folder, "003-traces")
    servers = {span.span_id: span for span in seen.spans if span.kind == "SERVER"}
    children = [span for span in seen.spans if span.kind == "INTERNAL"]
    assert len(servers) == len(seen.requests) == 12
    assert [(span.name, servers[span.parent_span_id].name) for span in children] == [
        ("db.query", "GET /users/{user_id}")
    ] * queries
    assert {span.status for span in seen.spans} == {"UNSET", "ERROR"}
    assert not [name for span in seen.spans for name in span.attributes if ".header." in name or "body" in name[-4:]]


def test_a_remote_parent_is_kept() -> None:
    (stream,) = [span for span in observed("py-1.0.0-fastapi", "003-traces").spans if span.name == "GET /stream"]
    assert stream.parent_span_id == "00f067aa0ba902b7"
    assert stream.attributes["url.path"] == "/stream"


def test_what_was_sent_again_has_the_same_identity() -> None:
    first, again, other = (
        parse_traces(report(folder, file)).identity
        for folder, file in [
            ("py-1.0.0-fastapi-failures", "003-traces"),
            ("py-1.0.0-fastapi-failures", "004-traces"),
            ("py-1.0.0-fastapi", "003-traces"),
        ]
    )
    assert first == again != other


def test_entries_of_one_resource_are_one_instance() -> None:
    """Its body is two messages, one after the other."""
    assert len(observed("py-1.0.0-fastapi-failures", "003-traces").requests) == 12


# --- logs ---------------------------------------------------------------------------------------------------------
def test_application_logs_know_their_requests() -> None:
    lines = observed("py-1.0.0-fastapi", "004-logs").log_lines
    assert [(line.level, line.message) for line in lines] == [
        ("INFO", "loading user 0"),
        ("WARN", "slow query"),
        ("INFO", "loading user 1"),
        ("WARN", "slow query"),
        ("INFO", "loading user 2"),
        ("WARN", "slow query"),
        ("WARN", "order A1"),
    ]
    slow = lines[1]
    assert (slow.logger, slow.file, slow.line) == ("shop.orders", "/srv/shop/cap/py1/fastapi_app.py", 35)
    assert slow.attributes == {"rows": 12, "code.function.name": "get_user"}
    assert slow.trace_id == UUID("7e9e77cfcda9c3968092c42e80ce1500")
    assert {line.server_span_id for line in lines} <= {
        span.span_id for span in observed("py-1.0.0-fastapi", "003-traces").spans if span.kind == "SERVER"
    }
    assert len({line.id for line in lines}) == 7


def test_consumers_are_told() -> None:
    at = datetime(2026, 11, 22, 17, 1, 14, 195143, tzinfo=UTC)
    attributes: dict[str, str | None] = {"plan": "gold", "seats": "5"}
    assert observed("py-1.0.0-fastapi", "004-logs").consumers == [
        ConsumerTold(ALICE, at, "Alice", "Admins", attributes)
    ]


@pytest.mark.parametrize(
    ("folder", "framework", "first"),
    [
        ("py-1.0.0-fastapi", "fastapi", EndpointTold("GET", USERS, "Get a user")),
        ("py-1.0.0-django", "django", EndpointTold("GET", USERS)),
    ],
)
def test_a_startup_tells_of_versions_and_endpoints(folder: str, framework: str, first: EndpointTold) -> None:
    (startup,) = observed(folder, "001-logs").startups
    assert startup.client == f"apitally-py/1.0.0 {framework}"
    assert startup.versions["python"] == "3.11.7"
    assert framework in startup.versions
    assert startup.endpoints[0] == first
    paths = {"/users/{user_id}", "/orders", "/boom", "/handled", "/big", "/stream", "/healthz"}
    assert {endpoint.path for endpoint in startup.endpoints} == paths


@pytest.mark.parametrize(
    ("folder", "invalid"),
    [
        ("py-1.0.0-fastapi", [("GET", USERS, ALICE, "path.user_id", 1), ("POST", ORDERS, BOB, "body.qty", 1)]),
        ("py-1.0.0-django", [("GET", USERS, ALICE, "path.user_id", 1)]),
    ],
)
def test_errors_are_counted_by_consumer(folder: str, invalid: list[tuple[str, str, str, str, int]]) -> None:
    errors = observed(folder, "004-logs").errors
    validation = [error for error in errors if error.kind is ErrorKind.VALIDATION]
    assert [(error.method, error.path, error.consumer, error.location, error.count) for error in validation] == invalid
    assert {error.type for error in validation} == {"int_parsing"}
    server = [error for error in errors if error.kind is ErrorKind.SERVER]
    assert [(error.path, error.consumer, error.count) for error in server] == [("/boom", ALICE, 1), ("/boom", None, 1)]
    assert {(error.type, error.message) for error in server} == {("builtins.ValueError", "kaboom")}
    assert all(error.stacktrace.startswith("Traceback") for error in server)


# --- metrics ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("folder", "received", "sent"), [("py-1.0.0-fastapi", 74, 60_482), ("py-1.0.0-django", 74, 60_547)]
)
def test_metrics_sum_up_to_what_was_sent(folder: str, received: int, sent: int) -> None:
    traffic = observed(folder, "005-metrics").traffic
    assert sum(each.requests for each in traffic) == 12
    assert sum(each.bytes_received for each in traffic) == received
    assert sum(each.bytes_sent for each in traffic) == sent
    assert {(each.source, each.scope) for each in traffic} == {(Source.METRIC, "apitally")}
    assert all(each.durations and each.durations.count == each.requests for each in traffic)


def test_a_point_is_filed_in_the_minute_in_which_it_began() -> None:
    orders = next(each for each in observed("py-1.0.0-fastapi", "005-metrics").traffic if each.call.status_code == 201)
    assert orders.at == datetime(2026, 11, 22, 17, 1, tzinfo=UTC)
    assert (orders.requests, orders.bytes_received, orders.bytes_sent) == (1, 46, 11)
    assert orders.durations == Histogram(0, Counter({-79: 1}))
    assert orders.request_sizes == Histogram(0, Counter({44: 1}))
    assert orders.response_sizes == Histogram(0, Counter({27: 1}))


def test_a_heartbeat_is_a_sign_of_life_and_tells_of_resources() -> None:
    seen = observed("py-1.0.0-django", "006-metrics")
    at = datetime(2026, 11, 22, 17, 5, 33, 491971, tzinfo=UTC)
    assert seen.alive == [(Source.METRIC, at)]
    assert [(each.at, each.cpu_percent, each.memory_bytes) for each in seen.resources] == [(at, 0.05, 63_553_536)]
    assert not seen.traffic


# --- the plain SDK of Python 1.45.1: by default, and with OTEL_SEMCONV_STABILITY_OPT_IN=http or http/dup --------------
@pytest.mark.parametrize("conventions", ["old", "new", "both"])
def test_spans_of_the_plain_sdk_are_requests_and_traffic(conventions: str) -> None:
    seen = observed("otel-1.45.1-flask", f"{conventions}-traces")
    assert Counter(request.call for request in seen.requests) == {
        Call("GET", "/users/<int:i>", 200): 5,
        Call("GET", "", 404): 1,
    }
    assert {request.url for request in seen.requests} == {
        *(f"http://localhost/users/{number}?token=[REDACTED]" for number in range(5)),
        "http://localhost/nope",
    }
    assert {request.client_ip for request in seen.requests} == {"127.0.0.1"}
    assert [(each.call.path, each.requests, each.source) for each in seen.traffic] == [
        ("/users/<int:i>", 5, Source.SPAN)
    ]


USER, BOOM = Call("GET", "/users/{i}", 200), Call("POST", "/boom", 500)


@pytest.mark.parametrize(("conventions", "ending"), [("old", " (old conventions)"), ("new", ""), ("both", "")])
def test_cumulative_metrics_of_the_plain_sdk_count_each_request_once(conventions: str, ending: str) -> None:
    _, parse = PARSERS["metrics"]
    parsed = parse(report("otel-1.45.1-fastapi", f"{conventions}-metrics"))
    assert set(parsed.dropped) == {"no_route"}
    points = parsed.observed[0].cumulative
    assert {(each.call, each.measure.column): each.count for each in points} == {
        (USER, "durations"): 5,
        (BOOM, "durations"): 1,
        (USER, "response_sizes"): 5,
        (BOOM, "response_sizes"): 1,
        (BOOM, "request_sizes"): 1,
    }
    sizes = {(each.call, each.measure.column): each.sum for each in points if each.measure.column != "durations"}
    assert sizes == {(USER, "response_sizes"): 40, (BOOM, "response_sizes"): 21, (BOOM, "request_sizes"): 7}
    assert {each.scope for each in points} == {"opentelemetry.instrumentation.fastapi" + ending}
    assert len({each.stream for each in points}) == 5
    assert all(sum(each.buckets.counts) == each.count for each in points)
    assert {each.measure.unit for each in points} == ({1.0, 0.001} if ending else {1.0})
