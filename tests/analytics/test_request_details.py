"""One request with all that is known of it; and which spans and lines of a trace are its own."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from analytics.models import Environment, RequestSource
from analytics.partitions import APP_LOGS, SPANS
from analytics.request_details import AROUND, LINES_MAX, SPANS_MAX, TraceSpan, own_spans
from analytics.request_details import LINES as LINES_OF
from analytics.request_details import SPANS as SPANS_OF
from tests.analytics.filed import (
    detail,
    endpoint,
    file_rows,
    file_whole_request,
    line,
    observe,
    request,
    span,
)
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

AT = datetime(2026, 6, 15, 12, 0, 0, 250_000, tzinfo=UTC)
START_NS = 1_781_524_800_250_000_000


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def _get(api: ApiClient, of: Tenant, environment: Environment, uuid: UUID) -> dict[str, Any]:
    answer = api.get(f"/v1/apps/{environment.app_id}/request-logs/{uuid}?include_consumer_id=true", of=of)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_everything_that_was_captured_is_shown(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    row = file_whole_request(prod, AT)
    shown = _get(api, alice, prod, row.uuid)
    server = f"{row.uuid.int:032x}"[:16]
    own = {
        "parent_span_id": None,
        "start_time_ns": START_NS,
        "end_time_ns": START_NS + 50_000_000,
        "duration_ns": 50_000_000,
    }
    assert (shown["timestamp"], shown["path"], shown["status_code"]) == (
        "2026-06-15T12:00:00.250Z",
        "/orders/{id}",
        500,
    )
    assert shown["request_headers"] == [["content-type", "application/json"]]
    assert shown["response_headers"] == [["x", "1"], ["x", "2"]]
    assert (shown["request_body_json"], shown["response_body_json"]) == ('{"qty": 1}', "")
    assert shown["exception"] == {
        "type": "KeyError",
        "message": "'qty'",
        "stacktrace": "Traceback …",
        "sentry_event_id": None,
    }
    assert len(shown["trace_id"]) == 32
    assert shown["logs"] == [
        {
            "timestamp": "2026-06-15T12:00:00.250000Z",
            "message": "about to fail",
            "level": "INFO",
            "logger": "shop.orders",
            "file": "orders.py",
            "line": 42,
        }
    ]
    assert shown["spans"] == [
        own | {
            "span_id": "00000000000000bb",
            "parent_span_id": server,
            "name": "SELECT",
            "kind": "INTERNAL",
            "status": "UNSET",
            "attributes": {},
        },
        own | {
            "span_id": server,
            "name": "POST /orders/{id}",
            "kind": "SERVER",
            "status": "ERROR",
            "attributes": {"rows": 12},
        },
    ]  # fmt: skip


def test_of_a_bare_request_lists_are_empty_and_all_else_is_null(
    api: ApiClient, alice: Tenant, prod: Environment
) -> None:
    """As a decision is: nothing was captured of it."""
    row = request(prod, endpoint(prod.app, "GET"), AT, source=RequestSource.DECISION, status_code=0)
    file_rows([row])
    shown = _get(api, alice, prod, row.uuid)
    assert {name for name, value in shown.items() if value is None} == {
        "consumer", "consumer_id", "path", "client_ip", "client_country_iso_code", "request_body_json",
        "response_body_json", "trace_id", "exception",
    }  # fmt: skip
    assert [shown[name] for name in ("request_headers", "response_headers", "logs", "spans")] == [[], [], [], []]


def test_what_a_line_or_an_exception_does_not_say_is_null(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    row = request(prod, endpoint(prod.app, "GET /a"), AT)
    captured = detail(row, sentry_event_id="e1")
    file_rows([row])
    file_rows([captured])
    file_rows([line(captured, "", at=AT + timedelta(microseconds=1)), line(captured, "first", level="warn")])
    shown = _get(api, alice, prod, row.uuid)
    assert shown["exception"] == {"type": None, "message": None, "stacktrace": None, "sentry_event_id": "e1"}
    assert [(each["message"], each["level"]) for each in shown["logs"]] == [("first", "WARN"), ("", None)]
    assert {shown["logs"][1][name] for name in ("level", "logger", "file", "line")} == {None}


def test_of_a_trace_with_two_requests_each_shows_its_own(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    """The first called the second, of the same app; its own child came in another report, on another day's table."""
    route, trace = endpoint(prod.app, "GET /a"), uuid4()
    one, two = (request(prod, route, AT + timedelta(hours=number)) for number in (11, 13))
    outer = detail(one, trace_id=trace, server_span_id="a" * 16)
    inner = detail(two, trace_id=trace, server_span_id="b" * 16)
    file_rows([one, two])
    file_rows([outer, inner])
    file_rows(
        [
            span(outer, "a" * 16, "f" * 16, kind="SERVER"),
            span(inner, "c" * 16, "a" * 16, kind="CLIENT"),
            span(inner, "b" * 16, "c" * 16, kind="SERVER"),
            span(inner, "d" * 16, "b" * 16),
        ]
    )
    file_rows([line(outer, "outer"), line(inner, "inner"), line(inner, "of neither", server_span_id="")])
    first, second = (_get(api, alice, prod, row.uuid) for row in (one, two))
    assert first["trace_id"] == second["trace_id"] == trace.hex
    assert [(each["span_id"][0], each["parent_span_id"]) for each in first["spans"]] == [("a", None), ("c", "a" * 16)]
    assert [(each["span_id"][0], each["parent_span_id"]) for each in second["spans"]] == [("b", None), ("d", "b" * 16)]
    assert [each["logs"][0]["message"] for each in (first, second)] == ["outer", "inner"]
    assert [len(each["logs"]) for each in (first, second)] == [1, 1]


def test_a_hubs_request_finds_its_own_by_uuid(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    """Without a trace it is its own."""
    row = request(prod, endpoint(prod.app, "GET /a"), AT)
    captured = detail(row, trace_id=None, server_span_id="")
    file_rows([row])
    file_rows([captured])
    file_rows(
        [
            span(captured, "a" * 16, trace_id=row.uuid, request_uuid=row.uuid, kind="SERVER"),
            span(captured, "b" * 16, "a" * 16, trace_id=row.uuid, request_uuid=row.uuid),
        ]
    )
    file_rows([line(captured, "of it", trace_id=row.uuid, server_span_id="", request_uuid=row.uuid)])
    shown = _get(api, alice, prod, row.uuid)
    assert shown["trace_id"] is None
    assert [each["span_id"][0] for each in shown["spans"]] == ["a", "b"]
    assert [each["message"] for each in shown["logs"]] == ["of it"]


def test_a_neighbours_and_another_apps_request_are_not_there(
    api: ApiClient, alice: Tenant, bob: Tenant, prod: Environment
) -> None:
    row, second, foreign = file_whole_request(prod, AT), observe(alice), observe(bob)
    for tenant, environment in ((bob, foreign), (alice, second)):
        answer = api.get(f"/v1/apps/{environment.app_id}/request-logs/{row.uuid}", of=tenant)
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": "Request not found", "code": "NOT_FOUND", "detail": "Request not found"},
        )
    answer = api.get(f"/v1/apps/{prod.app_id}/request-logs/{row.uuid}", of=bob)
    assert (answer.status_code, answer.json()["error"]) == (404, "App not found")


@pytest.mark.parametrize("form", [str, lambda uuid: uuid.hex, lambda uuid: str(uuid).upper()])
def test_a_uuid_is_known_in_every_spelling(api: ApiClient, alice: Tenant, prod: Environment, form: Any) -> None:
    row = file_whole_request(prod, AT)
    answer = api.get(f"/v1/apps/{prod.app_id}/request-logs/{form(row.uuid)}", of=alice)
    assert answer.json()["request_uuid"] == str(row.uuid)


@pytest.mark.parametrize("uuid", ["1", "x" * 36, "1" * 31, "1" * 33, "1_1" + "1" * 29, "%C2%B2" * 32, "1" * 1000])
def test_what_is_no_uuid_is_unprocessable(api: ApiClient, alice: Tenant, prod: Environment, uuid: str) -> None:
    answer = api.get(f"/v1/apps/{prod.app_id}/request-logs/{uuid}", of=alice)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["path", "request_uuid"])


def test_a_request_costs_the_same_however_many_spans(api: ApiClient, alice: Tenant, prod: Environment) -> None:
    row = file_whole_request(prod, AT)
    with counting_queries() as few:
        _get(api, alice, prod, row.uuid)
    captured = detail(row, trace_id=UUID(_get(api, alice, prod, row.uuid)["trace_id"]))
    file_rows(span(captured, f"{number:016x}", captured.server_span_id) for number in range(1000, 1100))
    with counting_queries() as many:
        assert len(_get(api, alice, prod, row.uuid)["spans"]) == 102
    assert len(few) == len(many) <= 5


MANY_SPANS = """
INSERT INTO analytics_span (app_id, at, trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                            attributes)
SELECT %s, %s + n * interval '1 s', md5((n / 10)::text)::uuid, n, '', '', 'INTERNAL', 0, 0, 'OK', '{}'
  FROM generate_series(1, 100000) AS n
"""
MANY_LINES = """
INSERT INTO analytics_applog (app_id, at, id, trace_id, server_span_id, message, level, logger, file, attributes)
SELECT app_id, at, gen_random_uuid(), trace_id, '', '', '', '', '', '{}' FROM analytics_span
"""


def test_of_a_hundred_thousand_spans_and_lines_a_traces_are_found_by_its_id(prod: Environment) -> None:
    for table in (SPANS, APP_LOGS):
        table.make(table.lacking(AT, AT + timedelta(days=2)))
    with connection.cursor() as cursor:
        cursor.execute(MANY_SPANS, [prod.app_id, AT])
        cursor.execute(MANY_LINES)
        cursor.execute("ANALYZE analytics_span, analytics_applog")
        trace: list[Any] = [prod.app_id, UUID(int=1), AT - AROUND, AT + AROUND]
        asked: list[tuple[str, list[Any]]] = [
            (SPANS_OF, [AT, SPANS_MAX]),
            (LINES_OF, [UUID(int=1), "", LINES_MAX]),
        ]
        for statement, more in asked:
            cursor.execute(f"EXPLAIN {statement}", [*trace, *more])
            scans = [line for (line,) in cursor.fetchall() if re.search(r" on analytics_\w+_2026061[56] ", line)]
            assert len(scans) == 2
            assert all("_pkey on " in scan for scan in scans), scans


# --- whose span, without a database -------------------------------------------------------------------------------
def _span(span_id: str, parent: str = "", kind: str = "INTERNAL", *, at: int = 0, of: UUID | None = None) -> TraceSpan:
    return TraceSpan(span_id, parent, of, span_id, kind, at, at + 10, "OK", {})


def _own(*spans: TraceSpan, server: str = "a", uuid: int = 1) -> list[tuple[str, str]]:
    own = own_spans(spans, uuid=UUID(int=uuid), server_span_id=server)
    return [(each.span_id, each.parent_span_id) for each in own]


def test_all_that_hangs_below_the_server_span_is_the_requests() -> None:
    spans = [_span("c", "b", at=2), _span("b", "a", "CLIENT", at=1), _span("a", "far away", "SERVER")]
    assert _own(*spans) == [("a", ""), ("b", "a"), ("c", "b")]


def test_what_hangs_below_another_request_is_not() -> None:
    spans = [_span("a", "", "SERVER"), _span("b", "a"), _span("x", "b", "SERVER", at=1), _span("y", "x", at=2)]
    assert _own(*spans) == [("a", ""), ("b", "a")]
    assert _own(*spans, server="x") == [("x", ""), ("y", "x")]


def test_an_orphan_is_a_root_of_the_only_request_of_its_trace() -> None:
    spans = [_span("a", "", "SERVER"), _span("o", "never came", at=99), _span("p", "o", at=100)]
    assert _own(*spans) == [("a", ""), ("o", ""), ("p", "o")]


def test_an_orphan_among_several_requests_is_of_those_that_were_answered_when_it_began() -> None:
    spans = [
        _span("a", "", "SERVER"),
        _span("x", "", "SERVER", at=50),
        _span("o", "lost", at=10),
        _span("q", "lost", at=51),
    ]
    assert _own(*spans) == [("a", ""), ("o", "")]
    assert _own(*spans, server="x") == [("x", ""), ("q", "")]


def test_a_report_that_names_the_request_outweighs_parents() -> None:
    mine, other = UUID(int=1), UUID(int=2)
    spans = [_span("a", "", "SERVER", of=mine), _span("b", "a", of=other, at=1), _span("c", "b", at=2)]
    assert _own(*spans, server="", uuid=1) == [("a", "")]
    assert _own(*spans, server="", uuid=2) == [("b", ""), ("c", "b")]


def test_spans_that_are_each_others_parents_end_the_walk() -> None:
    spans = [_span("a", "", "SERVER"), _span("b", "c"), _span("c", "b"), _span("d", "d")]
    assert _own(*spans) == [("a", ""), ("b", "c"), ("c", "b"), ("d", "d")]
    assert _own(*spans, _span("x", "", "SERVER", at=50), server="x") == [("x", "")]


def test_a_chain_of_thousands_is_walked_once() -> None:
    chain = [_span(str(number), str(number - 1), at=number) for number in range(5_000, 0, -1)]
    assert len(_own(*chain, _span("0", "", "SERVER"), server="0")) == 5_001


def test_a_trace_without_its_requests_own_span_shows_what_is_there() -> None:
    assert _own(_span("o", "a", at=1), server="a") == [("o", "")]
    assert _own(server="a") == []
