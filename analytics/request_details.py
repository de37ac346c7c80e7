"""All that is known of one request: what was captured, and the spans and log lines of its trace that are its own."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from analytics.models import App
from analytics.request_logs import NAMED, SHOWN, LoggedRequest

SERVER = "SERVER"
# How far from a request its spans and lines are looked for, and how many. A trace may hold many requests (a script that
# calls an API all day): the nearest come first.
AROUND = timedelta(days=1)
SPANS_MAX = LINES_MAX = 5_000

REQUEST = f"""
SELECT {SHOWN}, d.request_headers, d.response_headers, d.request_body, d.response_body, d.exception_type,
       d.exception_message, d.exception_stacktrace, d.sentry_event_id, d.trace_id, d.server_span_id
  FROM analytics_requestlog AS r
  {NAMED}
  LEFT JOIN analytics_requestdetail AS d ON d.app_id = r.app_id AND d.at = r.at AND d.uuid = r.uuid
 WHERE r.app_id = %s AND r.uuid = %s
 ORDER BY r.at LIMIT 1
"""  # noqa: S608  # constants of two modules
# Of many requests, each by the key of its day's table.
CAPTURED = """
SELECT d.uuid, d.request_headers, d.response_headers, d.request_body, d.response_body
  FROM unnest(%s::timestamptz[], %s::uuid[]) AS wanted (at, uuid)
  JOIN analytics_requestdetail AS d ON d.app_id = %s AND d.at = wanted.at AND d.uuid = wanted.uuid
 WHERE d.at >= %s AND d.at <= %s
"""
SPANS = """
SELECT span_id, parent_span_id, request_uuid, name, kind, start_ns, end_ns, status, attributes FROM analytics_span
 WHERE app_id = %s AND trace_id = %s AND at >= %s AND at < %s
 ORDER BY abs(extract(epoch FROM at - %s)), start_ns, span_id LIMIT %s
"""
LINES = """
SELECT at, message, nullif(level, ''), nullif(logger, ''), nullif(file, ''), line FROM analytics_applog
 WHERE app_id = %s AND trace_id = %s AND at >= %s AND at < %s
   AND (request_uuid = %s OR (server_span_id = %s AND server_span_id <> ''))
 ORDER BY at, id LIMIT %s
"""


class RaisedException(NamedTuple):
    type: str | None
    message: str | None
    stacktrace: str | None
    sentry_event_id: str | None


class TraceSpan(NamedTuple):
    """`parent_span_id` is empty at a root; `request_uuid` tells of which request it is where its report said so."""

    span_id: str
    parent_span_id: str
    request_uuid: UUID | None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    attributes: dict[str, Any]


class Line(NamedTuple):
    """Of an application's log."""

    at: datetime
    message: str
    level: str | None
    logger: str | None
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """`trace_id` is None for a request that came without a trace."""

    request: LoggedRequest
    request_headers: list[list[str]]
    response_headers: list[list[str]]
    request_body: str | None
    response_body: str | None
    exception: RaisedException | None
    trace_id: UUID | None
    lines: list[Line]
    spans: list[TraceSpan]


class Captured(NamedTuple):
    """Of one request, masked when it was stored. A body is None where none was captured."""

    request_headers: list[list[str]]
    response_headers: list[list[str]]
    request_body: str | None
    response_body: str | None


NOT_CAPTURED = Captured([], [], None, None)


def captured_of(app: App, requests: Sequence[LoggedRequest]) -> dict[UUID, Captured]:
    """Of those whose details were captured. One SELECT; each may hold a hundred kilobytes."""
    if not requests:
        return {}
    moments = [request.at for request in requests]
    asked: list[Any] = [moments, [request.uuid for request in requests], app.pk, min(moments), max(moments)]
    with connection.cursor() as cursor:
        cursor.execute(CAPTURED, asked)
        return {
            uuid: Captured(json.loads(sent or "[]"), json.loads(answered or "[]"), *bodies)
            for uuid, sent, answered, *bodies in cursor.fetchall()
        }


def details_of(app: App, uuid: UUID) -> RequestDetails | None:
    """None unless the app has such a request. Three SELECTs."""
    with connection.cursor() as cursor:
        cursor.execute(REQUEST, [app.pk, uuid])
        row = cursor.fetchone()
        if row is None:
            return None
        request, captured = LoggedRequest(*row[: len(LoggedRequest._fields)]), row[len(LoggedRequest._fields) :]
        request_headers, response_headers, request_body, response_body, *raised, trace_id, server_span_id = captured
        trace = [app.pk, trace_id or uuid, request.at - AROUND, request.at + AROUND]
        cursor.execute(SPANS, [*trace, request.at, SPANS_MAX])
        spans = [TraceSpan(*span)._replace(attributes=json.loads(span[-1])) for span in cursor.fetchall()]
        cursor.execute(LINES, [*trace, uuid, server_span_id or "", LINES_MAX])
        lines = [Line(*line) for line in cursor.fetchall()]
    return RequestDetails(
        request,
        json.loads(request_headers or "[]"),
        json.loads(response_headers or "[]"),
        request_body,
        response_body,
        RaisedException(*raised) if any(each is not None for each in raised) else None,
        trace_id,
        lines,
        own_spans(spans, uuid=uuid, server_span_id=server_span_id or ""),
    )


def own_spans(spans: Iterable[TraceSpan], *, uuid: UUID, server_span_id: str) -> list[TraceSpan]:
    """Of a trace's spans those of one request, by start: its SERVER span and what hangs below it (pure).

    A span whose ancestors lead to no request is an orphan. Where the trace has no other request it is this one's, else
    if it began while this one was answered. A span whose parent is not among those shown becomes a root.
    """
    by_id = {span.span_id: span for span in spans}
    owners = _owners(by_id)
    own = {uuid, server_span_id}
    is_alone = all(owner is None or owner in own for owner in owners.values())
    server = by_id.get(server_span_id)
    shown = {
        span_id: span
        for span_id, span in by_id.items()
        if owners[span_id] in own or (owners[span_id] is None and (is_alone or _began_within(span, server)))
    }
    rooted = [span if span.parent_span_id in shown else span._replace(parent_span_id="") for span in shown.values()]
    return sorted(rooted, key=lambda span: (span.start_ns, span.span_id))


def _owners(by_id: dict[str, TraceSpan]) -> dict[str, UUID | str | None]:
    """Of each span the request it is of: the uuid that its report named, or the id of the nearest SERVER span."""
    owners: dict[str, UUID | str | None] = {}
    for span in by_id.values():
        climbed: dict[str, None] = {}
        above: TraceSpan | None = span
        while above is not None and above.span_id not in owners and above.span_id not in climbed:
            climbed[above.span_id] = None
            if above.request_uuid is not None or above.kind == SERVER:
                owners[above.span_id] = above.request_uuid or above.span_id
                break
            above = by_id.get(above.parent_span_id)
        owner = owners.get(above.span_id) if above is not None else None
        owners |= dict.fromkeys(climbed, owner)
    return owners


def _began_within(span: TraceSpan, server: TraceSpan | None) -> bool:
    return server is not None and server.start_ns <= span.start_ns <= server.end_ns
