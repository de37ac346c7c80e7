"""The messages of OTLP, as far as they are read, by the names that protobuf gives their fields.

OTLP's JSON is decoded into these; protobuf's own messages have the same attributes and stand in for them. In JSON, ids
are hex, 64-bit integers numbers or text, enumerations numbers (OTLP 1.x, "JSON Protobuf Encoding").
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, NamedTuple

import msgspec


class Form(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Absent is what protobuf takes for absent: zero, nothing."""


class Id(bytes):
    """Of a trace or span. What is not hex is no id."""


class AnyValue(Form, frozen=True):
    """One of these, the one that is not None."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    array_value: "Values | None" = None
    kvlist_value: "KeyValues | None" = None
    bytes_value: bytes | None = None

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802  # protobuf's name
        return next((name for name in self.__struct_fields__ if getattr(self, name) is not None), None)


class Values(Form, frozen=True):
    values: tuple[AnyValue, ...] = ()


class KeyValue(Form, frozen=True):
    key: str = ""
    value: AnyValue = AnyValue()


class KeyValues(Form, frozen=True):
    values: tuple[KeyValue, ...] = ()


class Resource(Form, frozen=True):
    attributes: tuple[KeyValue, ...] = ()


class Scope(Form, frozen=True):
    name: str = ""


class Event(Form, frozen=True):
    name: str = ""
    attributes: tuple[KeyValue, ...] = ()


class Status(Form, frozen=True):
    code: int = 0


class Span(Form, frozen=True):
    trace_id: Id = Id()
    span_id: Id = Id()
    parent_span_id: Id = Id()
    name: str = ""
    kind: int = 0
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: tuple[KeyValue, ...] = ()
    events: tuple[Event, ...] = ()
    status: Status = Status()


class LogRecord(Form, frozen=True):
    time_unix_nano: int = 0
    observed_time_unix_nano: int = 0
    severity_number: int = 0
    severity_text: str = ""
    body: AnyValue = AnyValue()
    attributes: tuple[KeyValue, ...] = ()
    trace_id: Id = Id()
    event_name: str = ""


class NumberPoint(Form, frozen=True):
    attributes: tuple[KeyValue, ...] = ()
    time_unix_nano: int = 0
    as_double: float = 0.0
    as_int: int = 0


class HistogramPoint(Form, frozen=True):
    attributes: tuple[KeyValue, ...] = ()
    start_time_unix_nano: int = 0
    time_unix_nano: int = 0
    count: int = 0
    sum: float = 0.0
    bucket_counts: tuple[int, ...] = ()
    explicit_bounds: tuple[float, ...] = ()
    max: float = 0.0
    flags: int = 0


class Buckets(Form, frozen=True):
    offset: int = 0
    bucket_counts: tuple[int, ...] = ()


class ExponentialPoint(Form, frozen=True):
    attributes: tuple[KeyValue, ...] = ()
    start_time_unix_nano: int = 0
    time_unix_nano: int = 0
    count: int = 0
    sum: float = 0.0
    scale: int = 0
    zero_count: int = 0
    positive: Buckets = Buckets()
    negative: Buckets = Buckets()
    flags: int = 0


class Numbers(Form, frozen=True):
    data_points: tuple[NumberPoint, ...] = ()


class Histograms(Form, frozen=True):
    data_points: tuple[HistogramPoint, ...] = ()
    aggregation_temporality: int = 0


class ExponentialHistograms(Form, frozen=True):
    data_points: tuple[ExponentialPoint, ...] = ()
    aggregation_temporality: int = 0


class Shape(Enum):
    """What the points of a series are."""

    NUMBERS = auto()
    EXPLICIT = auto()
    EXPONENTIAL = auto()


class Series(NamedTuple):
    """A metric's points. `shape` says of which kind they are, None of one that is not read. Of numbers, `temporality`
    says nothing."""

    name: str
    unit: str
    shape: Shape | None = None
    temporality: int = 0
    points: Iterable[Any] = ()


class Metric(Form, frozen=True):
    name: str = ""
    unit: str = ""
    gauge: Numbers | None = None
    sum: Numbers | None = None
    histogram: Histograms | None = None
    exponential_histogram: ExponentialHistograms | None = None

    @property
    def series(self) -> Series:
        if numbers := self.gauge or self.sum:
            return Series(self.name, self.unit, Shape.NUMBERS, 0, numbers.data_points)
        if explicit := self.histogram:
            return Series(self.name, self.unit, Shape.EXPLICIT, explicit.aggregation_temporality, explicit.data_points)
        if fine := self.exponential_histogram:
            return Series(self.name, self.unit, Shape.EXPONENTIAL, fine.aggregation_temporality, fine.data_points)
        return Series(self.name, self.unit)


# A body is entries of a resource, each has scopes, each scope items: alike in all three signals but for the names.
class ScopeSpans(Form, frozen=True, rename={"items": "spans"}):
    scope: Scope = Scope()
    items: tuple[Span, ...] = ()


class ResourceSpans(Form, frozen=True, rename={"scopes": "scopeSpans"}):
    resource: Resource = Resource()
    scopes: tuple[ScopeSpans, ...] = ()


class Traces(Form, frozen=True, rename={"entries": "resourceSpans"}):
    entries: tuple[ResourceSpans, ...] = ()


class ScopeLogs(Form, frozen=True, rename={"items": "logRecords"}):
    scope: Scope = Scope()
    items: tuple[LogRecord, ...] = ()


class ResourceLogs(Form, frozen=True, rename={"scopes": "scopeLogs"}):
    resource: Resource = Resource()
    scopes: tuple[ScopeLogs, ...] = ()


class Logs(Form, frozen=True, rename={"entries": "resourceLogs"}):
    entries: tuple[ResourceLogs, ...] = ()


class ScopeMetrics(Form, frozen=True, rename={"items": "metrics"}):
    scope: Scope = Scope()
    items: tuple[Metric, ...] = ()


class ResourceMetrics(Form, frozen=True, rename={"scopes": "scopeMetrics"}):
    resource: Resource = Resource()
    scopes: tuple[ScopeMetrics, ...] = ()


class Metrics(Form, frozen=True, rename={"entries": "resourceMetrics"}):
    entries: tuple[ResourceMetrics, ...] = ()


Body = Traces | Logs | Metrics
