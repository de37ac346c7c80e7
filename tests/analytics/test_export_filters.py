"""Filters of the exports: every field, every operator of every kind; what is shown is what is compared."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.exports.fields import REQUEST_FIELDS, Field, Kind
from analytics.exports.filters import DENIALS, OPERATORS, all_of, read_filters
from analytics.exports.parsing import BadExport
from analytics.exports.request_export import pages_of, read_request_export
from analytics.exports.writing import Row
from analytics.models import App, Consumer, RequestDetail, RequestLog
from tests.analytics import filed
from tests.cast import new_tenant

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
BODY = '{"name": "Étoile", "share": "100%_of\\\\it"}'
HEADERS = [["Content-Type", "application/json"], ["X-Tag", "one"], ["x-tag", "Two 50%"]]
UUIDS = {name: UUID(int=number) for number, name in enumerate(("full", "failed", "unmatched", "bare"), start=1)}
ALL = set(UUIDS)


@pytest.fixture
def shop(db: None) -> App:
    """Four requests: one with all there is, one that failed, one that matched no route, and one with empty details."""
    alice = new_tenant("Alice")
    prod = filed.observe(alice)
    dev = filed.observe(alice, app=prod.app, name="dev")
    users, orders = filed.endpoint(prod.app, "GET /users"), filed.endpoint(prod.app, "POST /a_b/100%/{id}")
    unmatched = filed.endpoint(prod.app, "GET")
    ann, bob = (Consumer.objects.create(app=prod.app, identifier=name) for name in ("ann", "bob"))
    full = {"consumer_id": ann.pk, "client_ip": "203.0.113.10", "country": "DE", "request_size_bytes": 10}
    failed = {"consumer_id": bob.pk, "client_ip": "2001:db8::1", "country": "FR", "response_time_ms": 250}
    filed.file_rows(
        [
            filed.request(prod, users, NOON + timedelta(microseconds=123_456), uuid=UUIDS["full"], **full),
            filed.request(dev, orders, NOON + timedelta(seconds=1), uuid=UUIDS["failed"], status_code=500, **failed),
            filed.request(prod, unmatched, NOON + timedelta(seconds=2), uuid=UUIDS["unmatched"], status_code=404),
            filed.request(prod, users, NOON + timedelta(seconds=3), uuid=UUIDS["bare"], response_size_bytes=2**40),
        ]
    )
    filed.file_rows(
        [
            detail(prod.app, "full", request_headers=HEADERS, response_headers=[["X-Tag", "one"]], request_body=BODY),
            detail(
                prod.app,
                "failed",
                response_body="line\nbreak",
                exception_type="KeyError",
                exception_message="'a\\b'",
                exception_stacktrace="Traceback",
                sentry_event_id="abc",
                trace_id=UUID(int=255),
            ),
            detail(prod.app, "bare", request_body=""),
        ]
    )
    return prod.app


def detail(app: App, name: str, **fields: object) -> RequestDetail:
    at = RequestLog.objects.get(app_id=app.pk, uuid=UUIDS[name]).at
    usual: dict[str, object] = {"request_headers": [], "response_headers": []}
    return RequestDetail(uuid=UUIDS[name], app_id=app.pk, at=at, **usual | fields)


def rows_of(app: App, *filters: dict[str, object]) -> list[Row]:
    asked = {"since": "2026-06-01", "until": "2026-06-02", "fields": list(REQUEST_FIELDS), "filters": [*filters]}
    return [row for page in pages_of(read_request_export(asked, now=NOON), app) for row in page.rows]


def uuids_of(app: App, *filters: dict[str, object]) -> set[str]:
    return {str(row["request_uuid"]) for row in rows_of(app, *filters)}


def found(app: App, *filters: dict[str, object]) -> set[str]:
    uuids = uuids_of(app, *filters)
    return {name for name, uuid in UUIDS.items() if str(uuid) in uuids}


def where(field: str, op: str, value: object = None, **more: object) -> dict[str, object]:
    return {"field": field, "op": op} | ({} if value is None else {"value": value}) | more


def test_what_is_shown_is_what_is_compared(shop: App) -> None:
    rows = rows_of(shop)
    assert len(rows) == 4
    for name, field in REQUEST_FIELDS.items():
        for value in [row[name] for row in rows if field.kind is not Kind.HEADERS]:
            alike = {str(row["request_uuid"]) for row in rows if row[name] == value}
            if value is None:
                assert uuids_of(shop, where(name, "is_null")) == alike
                continue
            assert uuids_of(shop, where(name, "eq", value)) == alike
            if "in" in OPERATORS[field.kind]:
                assert uuids_of(shop, where(name, "in", [value])) == alike
            if "gte" in OPERATORS[field.kind]:
                assert uuids_of(shop, where(name, "gte", value), where(name, "lte", value)) == alike


def test_a_denial_is_the_complement(shop: App) -> None:
    samples: dict[Kind, object] = {
        Kind.MOMENT: NOON.isoformat(),
        Kind.UUID: str(UUIDS["full"]),
        Kind.NUMBER: 200,
        Kind.ID: 7,
    }
    tried = 0
    for name, field in REQUEST_FIELDS.items():
        key = {"key": "X-Tag"} if field.kind is Kind.HEADERS else {}
        value = samples.get(field.kind, "one")
        for denial in DENIALS.keys() & set(OPERATORS[field.kind]):
            denied = DENIALS[denial]
            given = {"in": [value], "is_null": None, "exists": None}.get(denied, value)
            holds, rest = (found(shop, where(name, op, given, **key)) for op in (denied, denial))
            assert (holds | rest, holds & rest) == (ALL, set()), (name, denial)
            tried += 1
    assert tried == 99


def check(shop: App, cases: list[tuple[dict[str, object], set[str]]]) -> None:
    assert [(filter_, found(shop, filter_)) for filter_, _ in cases] == cases


def test_texts_are_equal_in_a_list_or_null(shop: App) -> None:
    check(
        shop,
        [
            (where("path", "eq", "/users"), {"full", "bare"}),
            (where("path", "eq", "/Users"), set()),
            (where("path", "neq", "/users"), {"failed", "unmatched"}),
            (where("path", "in", ["/users", "/nothing"]), {"full", "bare"}),
            (where("path", "in", []), set()),
            (where("path", "not_in", []), ALL),
            (where("path", "is_null"), {"unmatched"}),
            (where("path", "is_not_null"), {"full", "failed", "bare"}),
            (where("env", "eq", "dev"), {"failed"}),
            (where("request_body_json", "eq", ""), {"bare"}),
            (where("request_body_json", "is_null"), {"failed", "unmatched"}),
            (where("client_country_iso_code", "not_in", ["DE", "FR"]), {"unmatched", "bare"}),
        ],
    )


def test_a_percent_sign_is_the_only_wildcard(shop: App) -> None:
    check(
        shop,
        [
            (where("path", "like", "/us%"), {"full", "bare"}),
            (where("path", "like", "us"), set()),
            (where("path", "like", "%"), {"full", "failed", "bare"}),
            (where("path", "not_like", "%"), {"unmatched"}),
            (where("path", "like", "/a_b%"), {"failed"}),
            (where("path", "like", "/a%b%"), {"failed"}),
            (where("path", "like", "_users"), set()),
            (where("path", "like", "%100%"), {"failed"}),
            (where("path", "like", "/USERS"), set()),
            (where("path", "ilike", "/USERS"), {"full", "bare"}),
            (where("path", "not_ilike", "/USERS"), {"failed", "unmatched"}),
            (where("request_body_json", "ilike", "%éTOILE%"), {"full"}),
            (where("request_body_json", "like", '%100%_of\\\\it"}'), {"full"}),
            (where("response_body_json", "like", "line%break"), {"failed"}),
            (where("exception_message", "like", "'a\\b'"), {"failed"}),
            (where("exception_message", "like", "'a\\%"), {"failed"}),
            (where("exception_message", "like", "'a\\"), set()),
            (where("client_ip", "like", "203.0.113.%"), {"full"}),
        ],
    )


def test_what_is_contained_has_no_wildcard_and_no_case(shop: App) -> None:
    check(
        shop,
        [
            (where("path", "contains", "SER"), {"full", "bare"}),
            (where("path", "contains", "0%"), {"failed"}),
            (where("path", "contains", "A_B"), {"failed"}),
            (where("path", "contains", "s%r"), set()),
            (where("path", "contains", ""), {"full", "failed", "bare"}),
            (where("path", "not_contains", "SER"), {"failed", "unmatched"}),
            (where("request_body_json", "contains", "éTOILE"), {"full"}),
            (where("request_body_json", "contains", "_of\\\\it"), {"full"}),
            (where("exception_message", "contains", "\\"), {"failed"}),
        ],
    )


def test_times_are_compared_in_milliseconds_whatever_their_zone(shop: App) -> None:
    check(
        shop,
        [
            (where("timestamp", "eq", "2026-06-01T12:00:00.123Z"), {"full"}),
            (where("timestamp", "eq", "2026-06-01T14:00:00.123+02:00"), {"full"}),
            (where("timestamp", "neq", "2026-06-01T12:00:01"), {"full", "unmatched", "bare"}),
            (where("timestamp", "gt", "2026-06-01T12:00:01"), {"unmatched", "bare"}),
            (where("timestamp", "gte", "2026-06-01T12:00:01"), {"failed", "unmatched", "bare"}),
            (where("timestamp", "lt", "2026-06-01T12:00:01"), {"full"}),
            (where("timestamp", "lte", "2026-06-01T12:00:01"), {"full", "failed"}),
        ],
    )


def test_ids_are_compared_by_value_not_by_spelling(shop: App) -> None:
    check(
        shop,
        [
            (where("request_uuid", "eq", UUIDS["bare"].hex.upper()), {"bare"}),
            (where("request_uuid", "not_in", [str(UUIDS["bare"])]), ALL - {"bare"}),
            (where("request_uuid", "is_not_null"), ALL),
            (where("trace_id", "eq", "ff" + "0" * 30), set()),
            (where("trace_id", "eq", "0" * 30 + "FF"), {"failed"}),
            (where("trace_id", "is_not_null"), {"failed"}),
            (where("sentry_event_id", "neq", "abc"), ALL - {"failed"}),
            (where("consumer_id", "is_null"), {"unmatched", "bare"}),
            (where("consumer_id", "eq", 2**31 - 1), set()),
        ],
    )


def test_numbers_are_compared(shop: App) -> None:
    check(
        shop,
        [
            (where("status_code", "gte", 404), {"failed", "unmatched"}),
            (where("status_code", "gt", 404), {"failed"}),
            (where("status_code", "lt", 404), {"full", "bare"}),
            (where("status_code", "lte", 404), {"full", "unmatched", "bare"}),
            (where("status_code", "neq", 404), {"full", "failed", "bare"}),
            (where("status_code", "in", [404, 500, 2**63 - 1]), {"failed", "unmatched"}),
            (where("status_code", "not_in", [404, 500]), {"full", "bare"}),
            (where("response_size_bytes", "eq", 2**40), {"bare"}),
            (where("response_time_ms", "gt", -5), ALL),
        ],
    )


def test_of_headers_any_value_of_the_name_counts_whatever_its_case(shop: App) -> None:
    def header(op: str, value: object = None, key: str = "x-TAG") -> dict[str, object]:
        return where("request_headers", op, value, key=key)

    check(
        shop,
        [
            (header("exists", key="content-TYPE"), {"full"}),
            (header("not_exists", key="Content-Type"), ALL - {"full"}),
            (header("exists", key="X"), set()),
            (header("eq", "one"), {"full"}),
            (header("eq", "ONE"), set()),
            (header("neq", "one"), ALL - {"full"}),
            (header("in", ["x", "Two 50%"]), {"full"}),
            (header("not_in", ["x"]), ALL),
            (header("like", "Two%"), {"full"}),
            (header("like", "two%"), set()),
            (header("not_like", "Two%"), ALL - {"full"}),
            (header("ilike", "two 50%"), {"full"}),
            (header("contains", "WO 50%"), {"full"}),
            (header("not_contains", "wo"), ALL - {"full"}),
            (where("response_headers", "eq", "one", key="X-Tag"), {"full"}),
        ],
    )


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text("ab%_\\\n", max_size=8), st.text("ab%_\\\n", max_size=5))
def test_patterns_match_as_pythons_would(value: str, pattern: str) -> None:
    text = Field("text", Kind.TEXT, "x.value")
    by_python = re.fullmatch(".*".join(map(re.escape, pattern.split("%"))), value, re.DOTALL) is not None
    for op, expected in (("like", by_python), ("not_like", not by_python), ("contains", pattern in value)):
        holds = all_of(read_filters([where("text", op, pattern)], {"text": text}))
        with connection.cursor() as cursor:
            statement = f"SELECT {holds.sql} FROM (SELECT %s::text AS value) AS x"  # noqa: S608  # what is tested
            cursor.execute(statement, [*holds.arguments, value])
            assert cursor.fetchone() == (expected,), op


def test_all_filters_have_to_hold(shop: App) -> None:
    assert found(shop, where("status_code", "gte", 200), where("path", "is_null")) == {"unmatched"}
    assert found(shop) == ALL


@pytest.mark.parametrize(
    ("filter_", "place"),
    [
        ("x", ()),
        ({}, ("field",)),
        ({"field": "path"}, ("op",)),
        (where("cosumer", "eq", 1), ("field",)),
        ({"field": ["path"], "op": "eq"}, ("field",)),
        (where("path", "gt", "/"), ("op",)),
        (where("status_code", "like", "2%"), ("op",)),
        (where("timestamp", "in", []), ("op",)),
        (where("consumer_id", "gt", 1), ("op",)),
        (where("request_headers", "is_null", key="x"), ("op",)),
        (where("path", "eq"), ("value",)),
        (where("path", "eq", 5), ("value",)),
        (where("path", "eq", "\0"), ("value",)),
        (where("path", "eq", "\ud800"), ("value",)),
        (where("path", "eq", "x" * 4097), ("value",)),
        (where("path", "is_null", "x"), ("value",)),
        (where("path", "in", "x"), ("value",)),
        (where("path", "in", ["x"] * 1001), ("value",)),
        (where("path", "in", ["x", None]), ("value", "1")),
        (where("path", "in", [["x"]]), ("value", "0")),
        (where("status_code", "eq", "200"), ("value",)),
        (where("status_code", "eq", True), ("value",)),
        (where("status_code", "eq", 200.0), ("value",)),
        (where("status_code", "eq", 2**63), ("value",)),
        (where("consumer_id", "eq", 0), ("value",)),
        (where("consumer_id", "eq", 2**31), ("value",)),
        (where("timestamp", "eq", "noon"), ("value",)),
        (where("timestamp", "eq", "0001-01-01T00:00:00+14:00"), ("value",)),
        (where("request_uuid", "eq", "x"), ("value",)),
        (where("trace_id", "in", ["0" * 31]), ("value", "0")),
        (where("request_headers", "exists"), ("key",)),
        (where("request_headers", "exists", key=5), ("key",)),
        (where("path", "eq", "/", key="x"), ("key",)),
    ],
)
def test_a_filter_that_makes_no_sense_is_named_by_its_place(filter_: object, place: tuple[str, ...]) -> None:
    with pytest.raises(BadExport) as refused:
        read_filters([where("path", "is_null"), filter_], REQUEST_FIELDS)
    assert refused.value.place == ("1", *place)


@pytest.mark.parametrize("filters", [{}, "x", None, [where("path", "is_null")] * 101])
def test_filters_are_a_list_of_a_hundred_at_most(filters: object) -> None:
    with pytest.raises(BadExport):
        read_filters(filters, REQUEST_FIELDS)
