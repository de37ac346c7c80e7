"""What reports and decisions say, whatever their wire format: the one language between parsers and the roll-up.

Parsers (analytics.reports) make these values, the roll-up (analytics.rollup) files them. Everything is bounded, masked
and clean (no NUL, no NaN, aware UTC) by the time that it stands here.
"""

from collections import Counter
from datetime import datetime
from uuid import UUID

import msgspec

from analytics.histograms import Histogram
from analytics.models import ErrorKind, ReportKind, RequestSource, Source


class Report(msgspec.Struct, frozen=True, gc=False):
    """One body as it lies in the inbox. `environment` is as the URL or header said, not yet a slug."""

    id: int
    app_id: int
    kind: ReportKind
    environment: str
    message_id: str
    is_json: bool
    received_at: datetime
    body: bytes


class BadReport(Exception):
    """A report that cannot be used as a whole; `reason` is a word that does not change (RejectedReport.reason)."""

    def __init__(self, reason: str, explanation: str = "") -> None:
        super().__init__(reason, explanation)
        self.reason = reason
        self.explanation = explanation


class Call(msgspec.Struct, frozen=True, gc=False):
    """What was called with which outcome: the columns by which traffic is grouped. `path` is '' without a route."""

    method: str
    path: str
    status_code: int
    consumer: str | None = None


class Traffic(msgspec.Struct, frozen=True):
    """Requests of one call within one minute (`at` lies in it). Histograms are in seconds and bytes.

    `scope` is the OTLP scope that measured it, '' elsewhere: of one instance a single scope is counted.
    """

    at: datetime
    call: Call
    source: Source
    requests: int
    bytes_received: int = 0
    bytes_sent: int = 0
    durations: Histogram | None = None
    request_sizes: Histogram | None = None
    response_sizes: Histogram | None = None
    scope: str = ""


class CumulativePoint(msgspec.Struct, frozen=True):
    """One point of a cumulative OTLP stream: the roll-up files what it adds to the point before it.

    `stream` is the digest of app, environment, resource, scope, metric, attributes and start. `measure` says which
    column it feeds. Buckets are as reported: exponential (`scale`, `offset`) or explicit (`limits`).
    """

    stream: bytes
    measure: "Measure"
    call: Call
    scope: str
    start_ns: int
    time_ns: int
    count: int
    sum: float
    buckets: "ReportedBuckets"


class Measure(msgspec.Struct, frozen=True, gc=False):
    """`column` is durations, request_sizes or response_sizes; `unit` the size of the metric's unit in s or bytes."""

    column: str
    unit: float


class ReportedBuckets(msgspec.Struct, frozen=True, gc=False):
    """Buckets in the reporter's own form; `scale` is None for explicit bounds (then `limits` holds them)."""

    counts: tuple[int, ...]
    scale: int | None = None
    zeros: int = 0
    offset: int = 0
    limits: tuple[float, ...] = ()
    highest: float | None = None


class SeenException(msgspec.Struct, frozen=True, gc=False):
    type: str
    message: str
    stacktrace: str
    sentry_event_id: str | None = None


class Detail(msgspec.Struct, frozen=True, gc=False):
    """What was captured of a request. `trace_id` is None without a trace; `server_span_id` '' unless it was a span."""

    request_headers: tuple[tuple[str, str], ...] = ()
    response_headers: tuple[tuple[str, str], ...] = ()
    request_body: str | None = None
    response_body: str | None = None
    exception: SeenException | None = None
    trace_id: UUID | None = None
    server_span_id: str = ""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request for the request logs."""

    uuid: UUID
    at: datetime
    call: Call
    url: str
    request_size_bytes: int
    response_size_bytes: int
    response_time_ms: int
    client_ip: str | None = None
    detail: Detail | None = None
    source: RequestSource = RequestSource.REPORT


class SeenSpan(msgspec.Struct, frozen=True, gc=False):
    """`kind` is SERVER, CLIENT, INTERNAL, PRODUCER or CONSUMER; `status` OK, ERROR or UNSET; ids are hex.

    A hub's request without a trace is its own trace: then `trace_id` is the request's uuid.
    """

    trace_id: UUID
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    attributes: dict[str, object]
    request_uuid: UUID | None = None


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the application logged while it answered a request. `id` is made from the report and its place."""

    id: UUID
    at: datetime
    trace_id: UUID
    server_span_id: str
    message: str
    level: str = ""
    logger: str = ""
    file: str = ""
    line: int | None = None
    attributes: dict[str, object] = {}
    request_uuid: UUID | None = None


class ConsumerTold(msgspec.Struct, frozen=True):
    """What an app said of a consumer. None = not told; an attribute of None = delete it."""

    identifier: str
    at: datetime
    name: str | None = None
    group: str | None = None
    attributes: dict[str, str | None] = {}


class EndpointTold(msgspec.Struct, frozen=True, gc=False):
    method: str
    path: str
    summary: str = ""
    description: str = ""


class Startup(msgspec.Struct, frozen=True):
    """A process that began: what it is made of and what it serves."""

    at: datetime
    client: str
    versions: dict[str, str]
    endpoints: tuple[EndpointTold, ...]


class SeenError(msgspec.Struct, frozen=True, gc=False):
    """`location` is of a field that was not valid (`body.qty`), '' for exceptions."""

    at: datetime
    kind: ErrorKind
    method: str
    path: str
    consumer: str | None
    type: str
    message: str
    count: int
    location: str = ""
    stacktrace: str = ""
    sentry_event_id: str = ""


class Resources(msgspec.Struct, frozen=True, gc=False):
    """`cpu_percent` is of one core for the hub (may exceed 100), of all processors for OTLP."""

    at: datetime
    cpu_percent: float | None
    memory_bytes: int | None


class Observed(msgspec.Struct):
    """All that one report says of one instance in one environment (a slug, or '' where it names none that is one).

    `alive` holds the times at which a source spoke of the environment, be it of nothing; they alone never switch one.
    """

    environment: str
    instance: str
    client: str = ""
    alive: list[tuple[Source, datetime]] = []
    traffic: list[Traffic] = []
    cumulative: list[CumulativePoint] = []
    requests: list[Request] = []
    spans: list[SeenSpan] = []
    log_lines: list[LogLine] = []
    consumers: list[ConsumerTold] = []
    startups: list[Startup] = []
    errors: list[SeenError] = []
    resources: list[Resources] = []


class Parsed(msgspec.Struct):
    """A report that was understood: its identity within its app (32 bytes), what it says, and what was left out."""

    identity: bytes
    observed: list[Observed]
    dropped: Counter[str]
