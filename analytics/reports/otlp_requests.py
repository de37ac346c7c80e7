"""What a SERVER span says of its request."""

import hashlib
from datetime import datetime
from uuid import UUID

from analytics.histograms import SIZE, TIME
from analytics.models import Source
from analytics.observations import Call, Detail, Request
from analytics.reports.otlp_harvest import Gathered, minute_of
from analytics.reports.otlp_messages import Span
from analytics.reports.otlp_spans import (
    REQUEST_BODY,
    RESPONSE_BODY,
    Captured,
    exception,
    header_pairs,
)
from analytics.reports.otlp_values import version_8
from analytics.reports.semantic_conventions import REQUEST_SIZE, RESPONSE_SIZE, client_ip, size, url

NANOSECONDS_PER_MS, NANOSECONDS_PER_SECOND = 10**6, 10**9


def request_uuid(trace_id: bytes, span_id: bytes) -> UUID:
    """Of a SERVER span, whoever reports it and however often: 122 bits of the SHA-256 of both ids, as version 8."""
    return version_8(hashlib.sha256(trace_id + span_id).digest())


def request_of(span: Span, found: Captured, call: Call, at: datetime, *, trace_id: UUID, duration_ns: int) -> Request:
    shown = found.shown
    detail = Detail(
        request_headers=header_pairs(found.request_headers),
        response_headers=header_pairs(found.response_headers),
        request_body=found.body(REQUEST_BODY),
        response_body=found.body(RESPONSE_BODY),
        exception=exception(span.events, shown),
        trace_id=trace_id,
        server_span_id=span.span_id.hex(),
    )
    return Request(
        uuid=request_uuid(span.trace_id, span.span_id),
        at=at,
        call=call,
        url=url(shown),
        request_size_bytes=size(shown, *REQUEST_SIZE) or 0,
        response_size_bytes=size(shown, *RESPONSE_SIZE) or 0,
        response_time_ms=round(duration_ns / NANOSECONDS_PER_MS),
        client_ip=client_ip(shown),
        detail=detail,
    )


def add_traffic(gathered: Gathered, found: Captured, call: Call, at: datetime, *, duration_ns: int) -> None:
    """A span as one request; sizes count where they are known."""
    tally = gathered.tally(minute_of(at), call, Source.SPAN)
    tally.requests += 1
    tally.durations.add(duration_ns / NANOSECONDS_PER_SECOND, 1, TIME)
    received, sent = size(found.shown, *REQUEST_SIZE), size(found.shown, *RESPONSE_SIZE)
    if received is not None:
        tally.bytes_received += received
        tally.request_sizes.add(received, 1, SIZE)
    if sent is not None:
        tally.bytes_sent += sent
        tally.response_sizes.add(sent, 1, SIZE)
