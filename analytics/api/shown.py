"""How traffic, request logs and one request's details are shown. Plain dictionaries: a page may hold a thousand."""

from datetime import datetime
from typing import Any

from analytics.request_details import Line, RaisedException, RequestDetails, TraceSpan
from analytics.request_logs import LoggedRequest
from analytics.traffic import PeriodSum


def instant(moment: datetime, *, timespec: str = "milliseconds") -> str:
    """Of an aware UTC time."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def period_sum(of: PeriodSum) -> dict[str, Any]:
    return {
        "period_start": instant(of.period.start, timespec="seconds"),
        "period_end": instant(of.period.end, timespec="seconds"),
        "requests": of.requests,
        "bytes_received": of.bytes_received,
        "bytes_sent": of.bytes_sent,
    }


def logged_request(request: LoggedRequest) -> dict[str, Any]:
    return {
        "timestamp": instant(request.at),
        "request_uuid": str(request.uuid),
        "env": request.environment,
        "consumer": request.consumer,
        "consumer_id": request.consumer_id,
        "method": request.method,
        "path": request.path,
        "url": request.url,
        "status_code": request.status_code,
        "request_size_bytes": request.request_size_bytes,
        "response_size_bytes": request.response_size_bytes,
        "response_time_ms": request.response_time_ms,
        "client_ip": request.client_ip,
        "client_country_iso_code": request.country,
    }


def request_details(details: RequestDetails) -> dict[str, Any]:
    """A body is the text that was captured, be it JSON."""
    return logged_request(details.request) | {
        "request_headers": details.request_headers,
        "response_headers": details.response_headers,
        "request_body_json": details.request_body,
        "response_body_json": details.response_body,
        "trace_id": details.trace_id and details.trace_id.hex,
        "exception": details.exception and _exception(details.exception),
        "logs": [_line(line) for line in details.lines],
        "spans": [_span(span) for span in details.spans],
    }


def _exception(raised: RaisedException) -> dict[str, Any]:
    return raised._asdict()


def _line(line: Line) -> dict[str, Any]:
    return {
        "timestamp": instant(line.at, timespec="microseconds"),
        "message": line.message,
        "level": line.level and line.level.upper(),
        "logger": line.logger,
        "file": line.file,
        "line": line.line,
    }


def _span(span: TraceSpan) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id or None,
        "name": span.name,
        "kind": span.kind,
        "start_time_ns": span.start_ns,
        "end_time_ns": span.end_ns,
        "duration_ns": span.end_ns - span.start_ns,
        "status": span.status,
        "attributes": span.attributes,
    }
