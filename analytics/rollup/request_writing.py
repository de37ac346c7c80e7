"""The statements of single requests: logs, details, spans and application logs by COPY, in the caller's transaction.

A request may be told twice, by reports that are not the same. What is on file already is looked up by its key and not
copied again; the caller holds the app's turn, so nobody files the same meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TypeVar

import msgspec
from django.db.backends.utils import CursorWrapper

from analytics.countries import country_of
from analytics.observations import Detail, LogLine, Request, SeenSpan
from analytics.reports.cleaning import EPOCH
from analytics.rollup.columns import columns
from analytics.rollup.copying import copying
from analytics.rollup.resolving import Ids

COPY_REQUESTS = """
COPY analytics_requestlog (app_id, at, uuid, environment_id, endpoint_id, consumer_id, source, status_code, url,
                           request_size_bytes, response_size_bytes, response_time_ms, client_ip, country) FROM STDIN
"""
COPY_DETAILS = """
COPY analytics_requestdetail (app_id, at, uuid, request_headers, response_headers, request_body, response_body,
                              exception_type, exception_message, exception_stacktrace, sentry_event_id, trace_id,
                              server_span_id) FROM STDIN
"""
COPY_SPANS = """
COPY analytics_span (app_id, trace_id, span_id, at, parent_span_id, request_uuid, name, kind, start_ns, end_ns, status,
                     attributes) FROM STDIN
"""
COPY_LINES = """
COPY analytics_applog (app_id, trace_id, at, id, server_span_id, request_uuid, message, level, logger, file, line,
                       attributes) FROM STDIN
"""
# A look into an index for each, whatever the planner thinks of the table: these scalar queries are no join.
REQUESTS_ON_FILE = """
SELECT n - 1 FROM unnest(%s::timestamptz[], %s::uuid[]) WITH ORDINALITY AS g (at, uuid, n)
 WHERE (SELECT true FROM analytics_requestlog AS t
         WHERE t.app_id = %s AND t.at = g.at AND t.uuid = g.uuid)
"""
SPANS_ON_FILE = """
SELECT n - 1 FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) WITH ORDINALITY AS g (trace_id, span_id, at, n)
 WHERE (SELECT true FROM analytics_span AS t
         WHERE t.app_id = %s AND t.trace_id = g.trace_id AND t.span_id = g.span_id AND t.at = g.at)
"""
LINES_ON_FILE = """
SELECT n - 1 FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[]) WITH ORDINALITY AS g (trace_id, at, id, n)
 WHERE (SELECT true FROM analytics_applog AS t
         WHERE t.app_id = %s AND t.trace_id = g.trace_id AND t.at = g.at AND t.id = g.id)
"""

Key = TypeVar("Key", bound=tuple[str, ...])
Item = TypeVar("Item")
Value = int | str | None
_json = msgspec.json.Encoder().encode


def write_requests(cursor: CursorWrapper, app_id: int, requests: Iterable[tuple[int, Request]], ids: Ids) -> None:
    """Each with its environment's id."""
    given = {(each.at.isoformat(), each.uuid.hex): (environment_id, each) for environment_id, each in requests}
    new = _not_on_file(cursor, REQUESTS_ON_FILE, app_id, given)
    _copy(cursor, COPY_REQUESTS, ((app_id, *key, *_request_columns(*its, ids)) for key, its in new))
    detailed = ((key, request.detail) for key, (_, request) in new if request.detail)
    _copy(cursor, COPY_DETAILS, ((app_id, *key, *_detail_columns(detail)) for key, detail in detailed))


def write_spans(cursor: CursorWrapper, app_id: int, spans: Iterable[SeenSpan]) -> None:
    given = {(span.trace_id.hex, span.span_id, start_of(span).isoformat()): span for span in spans}
    new = _not_on_file(cursor, SPANS_ON_FILE, app_id, given)
    _copy(cursor, COPY_SPANS, ((app_id, *key, *_span_columns(span)) for key, span in new))


def write_lines(cursor: CursorWrapper, app_id: int, lines: Iterable[LogLine]) -> None:
    given = {(line.trace_id.hex, line.at.isoformat(), line.id.hex): line for line in lines}
    new = _not_on_file(cursor, LINES_ON_FILE, app_id, given)
    _copy(cursor, COPY_LINES, ((app_id, *key, *_line_columns(line)) for key, line in new))


def start_of(span: SeenSpan) -> datetime:
    """To the microsecond."""
    return EPOCH + timedelta(microseconds=span.start_ns // 1000)


def _not_on_file(
    cursor: CursorWrapper, statement: str, app_id: int, given: Mapping[Key, Item]
) -> Sequence[tuple[Key, Item]]:
    """By key, which is the order of the index that they go into."""
    ranked = sorted(given.items(), key=itemgetter(0))
    if not ranked:
        return ()
    cursor.execute(statement, [*columns(key for key, _ in ranked), app_id])
    on_file = {place for (place,) in cursor.fetchall()}
    return [each for place, each in enumerate(ranked) if place not in on_file]


def _copy(cursor: CursorWrapper, statement: str, rows: Iterator[tuple[Value, ...]]) -> None:
    """Nothing is sent where there are no rows. Instants, ids and JSON come as text, which psycopg writes natively."""
    first = next(rows, None)
    if first is None:
        return
    with copying(cursor, statement) as copy:
        copy.write_row(first)
        for row in rows:
            copy.write_row(row)


def _request_columns(environment_id: int, request: Request, ids: Ids) -> tuple[Value, ...]:
    call = request.call
    return (
        environment_id,
        ids.endpoint_of(call.method, call.path),
        ids.consumer_of(call.consumer) or None,
        request.source.value,
        call.status_code,
        request.url,
        request.request_size_bytes,
        request.response_size_bytes,
        request.response_time_ms,
        request.client_ip,
        country_of(request.client_ip),
    )


def _detail_columns(detail: Detail) -> tuple[Value, ...]:
    raised = detail.exception
    return (
        _json(detail.request_headers).decode(),
        _json(detail.response_headers).decode(),
        detail.request_body,
        detail.response_body,
        raised.type if raised else None,
        raised.message if raised else None,
        raised.stacktrace if raised else None,
        raised.sentry_event_id if raised else None,
        detail.trace_id.hex if detail.trace_id else None,
        detail.server_span_id,
    )


def _span_columns(span: SeenSpan) -> tuple[Value, ...]:
    return (
        span.parent_span_id,
        span.request_uuid.hex if span.request_uuid else None,
        span.name,
        span.kind,
        span.start_ns,
        span.end_ns,
        span.status,
        _json(span.attributes).decode(),
    )


def _line_columns(line: LogLine) -> tuple[Value, ...]:
    return (
        line.server_span_id,
        line.request_uuid.hex if line.request_uuid else None,
        line.message,
        line.level,
        line.logger,
        line.file,
        line.line,
        _json(line.attributes).decode(),
    )
