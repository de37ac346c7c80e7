"""Traces: every span is kept for the waterfall; a SERVER span is a request, and traffic where no SDK of Apitally made
it, for those send metrics."""

from datetime import datetime
from typing import Final
from uuid import UUID

from opentelemetry.proto.trace.v1 import trace_pb2

from analytics.masking import mask_url
from analytics.models import Source
from analytics.observations import Parsed, Report, SeenSpan
from analytics.reports.cleaning import clean
from analytics.reports.otlp import Signal, read
from analytics.reports.otlp_harvest import Harvest, Sender
from analytics.reports.otlp_messages import Span, Traces
from analytics.reports.otlp_requests import add_traffic, request_of
from analytics.reports.otlp_spans import Captured, captured
from analytics.reports.otlp_values import NAME_LENGTH
from analytics.reports.semantic_conventions import consumer_labels, span_call

_SPANS: Final = Signal[Span](
    json=Traces,
    from_json=lambda span: span,
    from_wire=lambda harvest, wire, start, stop: harvest.message(trace_pb2.Span.FromString, wire.data[start:stop]),
)
INTERNAL, SERVER = 1, 2
KINDS: Final = {SERVER: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
STATUSES: Final = {1: "OK", 2: "ERROR"}
# Spans that frameworks make of each message: they say nothing that the request's does not.
PLUMBING: Final = (" http send", " http receive", " websocket send", " websocket receive")
NO_TRACE, NO_SPAN = bytes(16), bytes(8)


def parse_traces(report: Report) -> Parsed:
    """Errors: BadReport."""
    harvest = Harvest(report, b"traces")
    for sender, _scope, spans in read(harvest, _SPANS):
        for span in spans:
            if harvest.has_room() and not (span.kind == INTERNAL and span.name.endswith(PLUMBING)):
                _file(harvest, sender, span)
    return harvest.parsed()


def _file(harvest: Harvest, sender: Sender, span: Span) -> None:
    if not (_is_id(span.trace_id, NO_TRACE) and _is_id(span.span_id, NO_SPAN)):
        harvest.dropped["bad_id"] += 1
        return
    start, end = _times(harvest, span)
    at = harvest.moment(start)
    if at is None:
        return
    found, trace_id = captured(span.attributes), UUID(bytes=span.trace_id)
    sender.gathered.hear(Source.METRIC if sender.is_apitally else Source.SPAN, at)
    sender.gathered.observed.spans.append(_seen(span, found, trace_id, start, end))
    if span.kind == SERVER:
        _file_request(sender, span, found, at, trace_id=trace_id, duration_ns=end - start)


def _is_id(told: bytes, nothing: bytes) -> bool:
    """Zeros are none."""
    return len(told) == len(nothing) and told != nothing


def _file_request(
    sender: Sender, span: Span, found: Captured, at: datetime, *, trace_id: UUID, duration_ns: int
) -> None:
    call, gathered = span_call(found.shown), sender.gathered
    if not call.method:
        return  # a server of something else than HTTP
    gathered.observed.requests.append(request_of(span, found, call, at, trace_id=trace_id, duration_ns=duration_ns))
    if call.consumer:
        name, group = consumer_labels(found.shown)
        if name or group:
            gathered.tell(call.consumer, at, name=name, group=group)
    if call.path and not sender.is_apitally:
        add_traffic(gathered, found, call, at, duration_ns=duration_ns)


def _times(harvest: Harvest, span: Span) -> tuple[int, int]:
    """Start and end, never in that order's reverse. A start too far ahead becomes the receipt; the duration stays."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if start > harvest.latest_ns:
        start, end = harvest.received_ns, harvest.received_ns + end - start
    return start, min(max(start, end), harvest.latest_ns)


def _seen(span: Span, found: Captured, trace_id: UUID, start: int, end: int) -> SeenSpan:
    parent = span.parent_span_id
    return SeenSpan(
        trace_id=trace_id,
        span_id=span.span_id.hex(),
        parent_span_id=parent.hex() if _is_id(parent, NO_SPAN) else "",
        name=mask_url(clean(span.name, NAME_LENGTH)),
        kind=KINDS.get(span.kind, "INTERNAL"),
        start_ns=start,
        end_ns=end,
        status=STATUSES.get(span.status.code, "UNSET"),
        attributes=found.shown,
    )
