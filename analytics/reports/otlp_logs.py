"""Logs: what an application logged while it answered requests, and the four events by which Apitally's SDK tells of
consumers, errors and its start."""

import hashlib
from datetime import datetime
from itertools import count
from typing import Final
from uuid import UUID

import msgspec
from opentelemetry.proto.logs.v1 import logs_pb2

from analytics.models import Source
from analytics.observations import LogLine, Parsed, Report
from analytics.reports.cleaning import clean
from analytics.reports.otlp import Signal, read
from analytics.reports.otlp_events import EVENTS
from analytics.reports.otlp_harvest import APITALLY, Harvest, Sender
from analytics.reports.otlp_messages import LogRecord, Logs
from analytics.reports.otlp_values import NAME_LENGTH, SHOWN, attributes_of, plain, text, version_8, whole
from analytics.reports.semantic_conventions import FILE, LINE, SERVER_SPAN_ID

RECORD_MAX_BYTES: Final = 5 * 1024 * 1024  # a startup may tell of 4 MB of OpenAPI
_RECORDS: Final = Signal[LogRecord](
    json=Logs,
    from_json=lambda record: record,
    from_wire=lambda harvest, wire, start, stop: harvest.message(
        logs_pb2.LogRecord.FromString, wire.data[start:stop], at_most=RECORD_MAX_BYTES
    ),
)
# By severity number: four of each, from 1.
LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
LEVEL_LENGTH: Final = 16
LINE_MAX: Final = 2**31 - 1
SPAN_ID_DIGITS: Final = 16


def parse_logs(report: Report) -> Parsed:
    """Errors: BadReport."""
    harvest = Harvest(report, b"logs")
    numbers = count()
    for sender, scope, records in read(harvest, _RECORDS):
        for record in records:
            if harvest.has_room():
                _file(harvest, sender, scope, record, next(numbers))
    return harvest.parsed()


def _file(harvest: Harvest, sender: Sender, scope: str, record: LogRecord, number: int) -> None:
    at = harvest.moment(record.time_unix_nano or record.observed_time_unix_nano)
    if at is None:
        return
    if sender.is_apitally:
        sender.gathered.hear(Source.METRIC, at)
    attributes = attributes_of(record.attributes)
    event = EVENTS.get(record.event_name or text(attributes, "event.name")) if scope == APITALLY else None
    if event is not None:
        event(harvest, sender, record.body, at)
        return
    line = _line(harvest, sender, scope, record, attributes, at, number)
    if line is not None:
        sender.gathered.observed.log_lines.append(line)


def _line(
    harvest: Harvest,
    sender: Sender,
    scope: str,
    record: LogRecord,
    attributes: dict[str, object],
    at: datetime,
    number: int,
) -> LogLine | None:
    """None, and counted, where it is of no request: those are not shown anywhere."""
    if len(record.trace_id) != 16 or record.trace_id == bytes(16):
        harvest.dropped["no_trace"] += 1
        return None
    server_span_id = text(attributes, SERVER_SPAN_ID, at_most=SPAN_ID_DIGITS + 1).lower()
    if len(server_span_id) != SPAN_ID_DIGITS or set(server_span_id) - set("0123456789abcdef"):
        if sender.is_apitally:
            harvest.dropped["no_request"] += 1
            return None
        server_span_id = ""
    line = whole(attributes, *LINE)
    return LogLine(
        id=_id(harvest.identity, number),
        at=at,
        trace_id=UUID(bytes=record.trace_id),
        server_span_id=server_span_id,
        message=_message(record),
        level=_level(record),
        logger=clean(scope, NAME_LENGTH),
        file=text(attributes, *FILE, at_most=NAME_LENGTH),
        line=line if line is not None and 0 <= line <= LINE_MAX else None,
        attributes={name: value for name, value in attributes.items() if name not in _TOLD_ELSEWHERE},
    )


_TOLD_ELSEWHERE: Final = frozenset({SERVER_SPAN_ID, *FILE, *LINE})


def _id(identity: bytes, number: int) -> UUID:
    """Of a report and a place in it."""
    return version_8(hashlib.sha256(identity + number.to_bytes(8)).digest())


def _level(record: LogRecord) -> str:
    """As the logger named it, else by its number."""
    if record.severity_text:
        return clean(record.severity_text, LEVEL_LENGTH)
    return LEVELS[(record.severity_number - 1) // 4] if 1 <= record.severity_number <= 24 else ""


def _message(record: LogRecord) -> str:
    """A body that is no text, as JSON."""
    body = plain(record.body)
    if body is None or isinstance(body, str):
        return body or ""
    return clean(msgspec.json.encode(body).decode(), SHOWN.text)
