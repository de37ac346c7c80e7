"""How a hub's log is read: gzip of JSON lines, one request each, with what was captured, spans and application logs.

It is never traffic: SDKs leave out what they are told to, and more than 100 requests a second.
"""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec
from msgspec.json import Decoder

from analytics.models import Source
from analytics.observations import Call, Observed, Parsed, Report, Request
from analytics.reports.captured import (
    ExceptionSeen,
    RequestSeen,
    ResponseSeen,
    address_of,
    detail_of,
    headers_of,
    url_of,
)
from analytics.reports.cleaning import slug
from analytics.reports.decoding import decoded
from analytics.reports.hub_json import NOTHING, BadItem, Tally, identity, lines
from analytics.reports.hub_spans import Receipt, RequestOf, log_lines_of, spans_of, trace_of
from analytics.reports.hub_values import (
    consumer_of,
    method_of,
    milliseconds_of,
    path_of,
    size_of,
    time_of,
    uuid_of,
)


class LineSeen(msgspec.Struct, gc=False):
    uuid: str | None = None
    request: RequestSeen | None = None
    response: ResponseSeen | None = None
    exception: ExceptionSeen | None = None
    logs: msgspec.Raw = NOTHING
    spans: msgspec.Raw = NOTHING
    trace_id: str | None = None
    trace_id_js: str | None = msgspec.field(default=None, name="traceId")


_LINE: Final = Decoder(LineSeen)


def parse_log(report: Report) -> Parsed:
    """Errors: BadReport."""
    body = decoded(report.body)
    observed = Observed(environment=slug(report.environment), instance="", alive=[(Source.METRIC, report.received_at)])
    reader = _Reader(Receipt.of(report.received_at), observed)
    for seen in lines(body, _LINE, reader.tally):
        reader.add(seen)
    return Parsed(identity(report.kind, report.message_id, body), [observed], reader.tally.dropped)


@dataclass(slots=True)
class _Reader:
    receipt: Receipt
    observed: Observed
    tally: Tally = field(default_factory=Tally)
    uuids: set[UUID] = field(default_factory=set)
    span_ids: set[tuple[UUID, str]] = field(default_factory=set)

    def add(self, seen: LineSeen) -> None:
        try:
            request, of = self._request(seen)
        except BadItem as bad:
            self.tally.drop(bad.reason)
            return
        self.observed.requests.append(request)
        self.observed.log_lines += log_lines_of(seen.logs, of, tally=self.tally)
        for span in spans_of(seen.spans, of, tally=self.tally):
            known = (span.trace_id, span.span_id)
            if known in self.span_ids:
                self.tally.drop("duplicate")
            else:
                self.span_ids.add(known)
                self.observed.spans.append(span)

    def _request(self, seen: LineSeen) -> tuple[Request, RequestOf]:
        """Errors: BadItem."""
        request, response = seen.request or RequestSeen(), seen.response or ResponseSeen()
        uuid = uuid_of(seen.uuid)
        at = time_of(request.timestamp, self.receipt.at)
        call = Call(method_of(request.method), path_of(request.path), response.status, consumer_of(request.consumer))
        if uuid in self.uuids:
            raise BadItem("duplicate")
        self.uuids.add(uuid)
        headers = headers_of(request.headers, self.tally)
        trace_id = trace_of(seen.trace_id or seen.trace_id_js)
        logged = Request(
            uuid=uuid,
            at=at,
            call=call,
            url=url_of(request.url or request.path),
            request_size_bytes=size_of(request.size),
            response_size_bytes=size_of(response.size),
            response_time_ms=milliseconds_of(response.seconds),
            client_ip=address_of(headers),
            detail=detail_of(
                request,
                response,
                request_headers=headers,
                exception=seen.exception,
                trace_id=trace_id,
                tally=self.tally,
            ),
        )
        return logged, RequestOf(uuid, trace_id or uuid, self.receipt)
