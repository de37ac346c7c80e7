"""How Cloudflare's Logpush is read: events of Workers, in whose console a serverless SDK printed what it observed.

These SDKs send no sync: each of their requests is traffic as well as a request log. Cloudflare may deliver an event
twice; within a batch it is counted once, and a batch that comes again is known by its content.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import field
from msgspec.json import Decoder

from analytics.histograms import SIZE, TIME, Bounds, Histogram, from_pairs
from analytics.models import ErrorKind, Source
from analytics.observations import (
    BadReport,
    Call,
    Observed,
    Parsed,
    Report,
    Request,
    SeenError,
    SeenException,
    Traffic,
)
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
from analytics.reports.hub import ConsumerSeen, ErrorSeen, consumers_of, error_of, instance_of
from analytics.reports.hub_json import NOTHING, TEXT_MAX_BYTES, BadItem, Items, Tally, identity, lines, read
from analytics.reports.hub_startup import StartupSeen, startup_of
from analytics.reports.hub_values import (
    Number,
    consumer_of,
    method_of,
    milliseconds_of,
    path_of,
    seconds_of,
    size_of,
    status_of,
    time_of,
    uuid_of,
)

PREFIX: Final = "apitally:"
MESSAGE_MAX_BYTES: Final = 512 * 1024  # Cloudflare cuts messages at 16 KB
MESSAGES_MAX_BYTES: Final = 64 * 1024 * 1024  # of one report: what a bomb in each message may cost


class WorkerRequest(msgspec.Struct, gc=False):
    url: str | None = field(default=None, name="URL")
    method: str | None = field(default=None, name="Method")


class WorkerResponse(msgspec.Struct, gc=False):
    status: Number | None = field(default=None, name="Status")


class WorkerEvent(msgspec.Struct, gc=False):
    request: WorkerRequest | None = field(default=None, name="Request")
    response: WorkerResponse | None = field(default=None, name="Response")


class WorkerTrace(msgspec.Struct, gc=False):
    event: msgspec.Raw = field(default=NOTHING, name="Event")
    timestamp_ms: Number | None = field(default=None, name="EventTimestampMs")
    logs: msgspec.Raw = field(default=NOTHING, name="Logs")


class WorkerLog(msgspec.Struct, gc=False):
    """`Message` holds the arguments of console.log."""

    message: list[object] | str | None = field(default=None, name="Message")


class MessageSeen(msgspec.Struct, gc=False):
    """What a serverless SDK says of one request: snake_case of Python, camelCase of JavaScript."""

    instance_uuid: str | None = None
    instance_uuid_js: str | None = field(default=None, name="instanceUuid")
    request_uuid: str | None = None
    request_uuid_js: str | None = field(default=None, name="requestUuid")
    startup: StartupSeen | None = None
    consumer: ConsumerSeen | None = None
    request: RequestSeen = field(default_factory=RequestSeen)
    response: ResponseSeen = field(default_factory=ResponseSeen)
    validation_errors: msgspec.Raw = NOTHING
    validation_errors_js: msgspec.Raw = field(default=NOTHING, name="validationErrors")
    exception: ExceptionSeen | None = None
    exclude: bool = False


_TRACE: Final = Decoder(WorkerTrace)
_TRACES: Final = Items(list[WorkerTrace], WorkerTrace)
_EVENT: Final = Decoder(WorkerEvent)
_LOGS: Final = Items(list[WorkerLog], WorkerLog)
_MESSAGE: Final = Decoder(MessageSeen)
_ERRORS: Final = Items(list[ErrorSeen], ErrorSeen)


def parse_logpush(report: Report) -> Parsed:
    """One Observed for each instance. Errors: BadReport."""
    body = decoded(report.body)
    reader = _Reader(report.received_at, slug(report.environment))
    for trace in _traces(body, reader.tally):
        reader.add(trace)
    return Parsed(identity(report.kind, None, body), [*reader.observed.values()], reader.tally.dropped)


def _traces(body: bytes, tally: Tally) -> Iterable[WorkerTrace]:
    """Of JSON lines, or of a list in JSON. Errors: BadReport."""
    text = body.strip()
    if not (text.startswith(b"[") and text.endswith(b"]")):
        return lines(body, _TRACE, tally)
    if len(body) > TEXT_MAX_BYTES:
        raise BadReport("too_large", f"over {TEXT_MAX_BYTES} bytes of JSON in one piece")
    return _TRACES.read(msgspec.Raw(text), tally)


class _Reader:
    def __init__(self, received_at: datetime, environment: str) -> None:
        self.tally = Tally()
        self.observed: dict[str, Observed] = {}
        self._received_at, self._environment = received_at, environment
        self._uuids: set[UUID] = set()
        self._unpacked_bytes = 0

    def add(self, trace: WorkerTrace) -> None:
        """Events without a word of the SDK are other Workers' affair. Errors: BadReport too_many, too_large."""
        for packed in _packed_messages(trace, self.tally):
            if self._unpacked_bytes > MESSAGES_MAX_BYTES:
                raise BadReport("too_large", f"over {MESSAGES_MAX_BYTES} bytes in its messages")
            self._add(trace, packed)

    def _add(self, trace: WorkerTrace, packed: str) -> None:
        try:
            seen = read(self._unpacked(packed), _MESSAGE)
            event = read(trace.event, _EVENT)
        except BadReport as bad:
            self.tally.drop(bad.reason)
            return
        try:
            self._observe(seen, event, _at(trace, self._received_at))
        except BadItem as bad:
            self.tally.drop(bad.reason)

    def _unpacked(self, packed: str) -> bytes:
        """Errors: BadReport bad_base64, bad_gzip, too_large."""
        try:
            message = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadReport("bad_base64", str(error)) from error
        self._unpacked_bytes += MESSAGE_MAX_BYTES
        unpacked = decoded(message, at_most=MESSAGE_MAX_BYTES)
        self._unpacked_bytes += len(unpacked) - MESSAGE_MAX_BYTES
        return unpacked

    def _observe(self, seen: MessageSeen, event: WorkerEvent, at: datetime) -> None:
        """Errors: BadItem."""
        uuid = uuid_of(seen.request_uuid or seen.request_uuid_js)
        call = _call(seen, event)
        if uuid in self._uuids:
            raise BadItem("duplicate")
        self._uuids.add(uuid)
        observed = self._of_instance(seen, at)
        if seen.startup:
            startup = startup_of(seen.startup, at=at, tally=self.tally)
            observed.client = startup.client
            observed.startups.append(startup)
        if seen.consumer:
            observed.consumers += consumers_of([seen.consumer], at=at, tally=self.tally)
        if not seen.exclude:
            observed.requests.append(self._request(uuid, seen, event, call, at))
        if call.path and call.status_code:
            observed.traffic.append(_traffic(seen, call, at))
        self._add_errors(observed, seen, call, at)

    def _of_instance(self, seen: MessageSeen, at: datetime) -> Observed:
        instance = instance_of(seen.instance_uuid or seen.instance_uuid_js)
        observed = self.observed.setdefault(instance, Observed(self._environment, instance))
        latest = max([at, *(time for _, time in observed.alive)])
        observed.alive = [(Source.METRIC, latest)]  # traffic tells of the other times
        return observed

    def _request(self, uuid: UUID, seen: MessageSeen, event: WorkerEvent, call: Call, at: datetime) -> Request:
        request, response = seen.request, seen.response
        headers = headers_of(request.headers, self.tally)
        return Request(
            uuid=uuid,
            at=at,
            call=call,
            url=url_of(event.request.url if event.request else None),
            request_size_bytes=size_of(request.size),
            response_size_bytes=size_of(response.size),
            response_time_ms=milliseconds_of(response.seconds),
            client_ip=address_of(headers),
            detail=detail_of(request, response, request_headers=headers, exception=seen.exception, tally=self.tally),
        )

    def _add_errors(self, observed: Observed, seen: MessageSeen, call: Call, at: datetime) -> None:
        """Only of routes: of what matched none the request log alone tells."""
        if not call.path:
            return
        raw = seen.validation_errors if seen.validation_errors != NOTHING else seen.validation_errors_js
        for error in _ERRORS.read(raw, self.tally):
            error.method, error.path, error.consumer, error.error_count = call.method, call.path, call.consumer, 1
            observed.errors.append(error_of(error, kind=ErrorKind.VALIDATION, at=at))
        if seen.exception:
            observed.errors.append(_exception(seen.exception.seen(), call, at))


def _packed_messages(trace: WorkerTrace, tally: Tally) -> Iterator[str]:
    for log in _LOGS.read(trace.logs, tally):
        for text in log.message if isinstance(log.message, list) else [log.message]:
            if isinstance(text, str) and text.startswith(PREFIX):
                yield text.removeprefix(PREFIX).strip()


def _at(trace: WorkerTrace, received_at: datetime) -> datetime:
    """Errors: BadItem bad_time, too_late."""
    told = trace.timestamp_ms
    return time_of(None if told is None else max(min(told, 1e18), -1e18) / 1000, received_at)


def _call(seen: MessageSeen, event: WorkerEvent) -> Call:
    """Cloudflare knows method and status; the SDK the route, and the status of Python. Errors: BadItem."""
    method = event.request.method if event.request else None
    status = seen.response.status or status_of(event.response.status if event.response else None)
    return Call(method_of(method), path_of(seen.request.path), status, consumer_of(seen.request.consumer))


def _traffic(seen: MessageSeen, call: Call, at: datetime) -> Traffic:
    request, response, seconds = seen.request, seen.response, seen.response.seconds
    return Traffic(
        at=at.replace(second=0, microsecond=0),
        call=call,
        source=Source.METRIC,
        requests=1,
        bytes_received=size_of(request.size),
        bytes_sent=size_of(response.size),
        durations=None if seconds is None else _one(seconds_of(seconds), TIME),
        request_sizes=None if request.size is None else _one(size_of(request.size), SIZE),
        response_sizes=None if response.size is None else _one(size_of(response.size), SIZE),
    )


def _exception(seen: SeenException, call: Call, at: datetime) -> SeenError:
    return SeenError(
        at=at,
        kind=ErrorKind.SERVER,
        method=call.method,
        path=call.path,
        consumer=call.consumer,
        type=seen.type,
        message=seen.message,
        count=1,
        stacktrace=seen.stacktrace,
    )


def _one(value: float, bounds: Bounds) -> Histogram:
    return from_pairs([(value, 1)], bounds)
