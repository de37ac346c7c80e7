"""OTLP bodies as SDKs make them, in protobuf and in JSON, and what is parsed of them."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, HistogramDataPoint, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from analytics.models import ReportKind
from analytics.observations import Observed, Parsed, Report
from analytics.reports.otlp_logs import parse_logs
from analytics.reports.otlp_metrics import parse_metrics
from analytics.reports.otlp_traces import parse_traces

NOW = datetime(2026, 11, 20, 12, 30, 20, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
MINUTE_NS = 60 * 10**9
TRACE_ID, SPAN_ID = bytes(range(1, 17)), bytes(range(1, 9))
DELTA, CUMULATIVE = 1, 2
PLAIN = {"service.name": "shop", "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "python"}
APITALLY = {**PLAIN, "service.instance.id": "one", "telemetry.distro.name": "apitally-py"}
PARSERS: dict[Any, tuple[ReportKind, Callable[[Report], Parsed]]] = {
    ExportTraceServiceRequest: (ReportKind.TRACES, parse_traces),
    ExportLogsServiceRequest: (ReportKind.LOGS, parse_logs),
    ExportMetricsServiceRequest: (ReportKind.METRICS, parse_metrics),
}


def parsed(message: Any, *, is_json: bool = False, environment: str = "", received_at: datetime = NOW) -> Parsed:
    kind, parse = PARSERS[type(message)]
    body = json_of(message) if is_json else message.SerializeToString()
    return parse(Report(1, 7, kind, environment, "", is_json, received_at, body))


def observed(message: Any, **options: Any) -> Observed:
    """Of a report of one instance, of which nothing was left out."""
    result = parsed(message, **options)
    assert not result.dropped
    (only,) = result.observed
    return only


def json_of(message: Message) -> bytes:
    """As OTLP writes JSON: ids in hex, which protobuf's own JSON writes in base64."""
    return msgspec.json.encode(_hex_ids(MessageToDict(message, use_integers_for_enums=True)))


def _hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_hex_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {name: base64.b64decode(each).hex() if name in ids else _hex_ids(each) for name, each in value.items()}


def sized(field: int, content: bytes) -> bytes:
    """A field of protobuf that holds bytes, a text or a message, where no library would write it."""
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + content


def any_value(value: Any) -> Any:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    return AnyValue(string_value=value)


def key_values(attributes: Mapping[str, object]) -> list[Any]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]


def span(attributes: Mapping[str, object], **fields: Any) -> Any:
    """A SERVER span of 12.5 ms."""
    told = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "name": "GET",
        "kind": 2,
        "start_time_unix_nano": NOW_NS,
        "end_time_unix_nano": NOW_NS + 12_500_000,
    }
    return Span(attributes=key_values(attributes), **{**told, **fields})


def traces(*spans: Any, resource: Mapping[str, object] = PLAIN, scope: str = "asgi") -> Any:
    message = ExportTraceServiceRequest()
    entry = message.resource_spans.add()
    entry.resource.attributes.extend(key_values(resource))
    entry.scope_spans.add(spans=spans).scope.name = scope
    return message


def logs(*records: Any, resource: Mapping[str, object] = APITALLY, scope: str = "shop.orders") -> Any:
    message = ExportLogsServiceRequest()
    entry = message.resource_logs.add()
    entry.resource.attributes.extend(key_values(resource))
    entry.scope_logs.add(log_records=records).scope.name = scope
    return message


def record(body: object, attributes: Mapping[str, object] | None = None, **fields: Any) -> Any:
    told = {"time_unix_nano": NOW_NS, "trace_id": TRACE_ID, **fields}
    return LogRecord(body=any_value(body), attributes=key_values(attributes or {}), **told)


def event(name: str, body: object, **fields: Any) -> Any:
    """A log record of Apitally's own."""
    return LogRecord(body=any_value(body), time_unix_nano=NOW_NS, event_name=name, **fields)


def metrics(*told: Any, resource: Mapping[str, object] = PLAIN, scope: str = "asgi") -> Any:
    message = ExportMetricsServiceRequest()
    entry = message.resource_metrics.add()
    entry.resource.attributes.extend(key_values(resource))
    entry.scope_metrics.add(metrics=told).scope.name = scope
    return message


def exponential(name: str, *points: Any, unit: str = "s", temporality: Any = DELTA) -> Any:
    metric = Metric(name=name, unit=unit)
    metric.exponential_histogram.aggregation_temporality = temporality
    metric.exponential_histogram.data_points.extend(points)
    return metric


def explicit(name: str, *points: Any, unit: str = "s", temporality: Any = DELTA) -> Any:
    metric = Metric(name=name, unit=unit)
    metric.histogram.aggregation_temporality = temporality
    metric.histogram.data_points.extend(points)
    return metric


def gauge(name: str, *values: float, unit: str = "1", time_ns: int = NOW_NS) -> Any:
    metric = Metric(name=name, unit=unit)
    for value in values:
        point = metric.gauge.data_points.add(time_unix_nano=time_ns)
        setattr(point, "as_int" if isinstance(value, int) else "as_double", value)
    return metric


CALL = {"http.request.method": "GET", "http.route": "/users/{id}", "http.response.status_code": 200}
OLD_CALL = {"http.method": "GET", "http.target": "/users/{id}", "http.status_code": 200}
TIMES = {"start_time_unix_nano": NOW_NS - MINUTE_NS, "time_unix_nano": NOW_NS}


def fine(counts: Sequence[int], call: Mapping[str, object] = CALL, *, offset: int = -80, **fields: Any) -> Any:
    """A point of an exponential histogram."""
    told = {**TIMES, "count": sum(counts) + fields.get("zero_count", 0), "scale": 3, **fields}
    point = ExponentialHistogramDataPoint(attributes=key_values(call), **told)
    point.positive.offset = offset
    point.positive.bucket_counts.extend(counts)
    return point


def coarse(counts: Sequence[int], limits: Sequence[float], call: Mapping[str, object] = CALL, **fields: Any) -> Any:
    """A point of a histogram with explicit bounds."""
    told = {**TIMES, "count": sum(counts), **fields}
    return HistogramDataPoint(attributes=key_values(call), bucket_counts=counts, explicit_bounds=limits, **told)
