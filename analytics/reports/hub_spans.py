"""Spans and application logs of a hub's request log, in every spelling."""

import re
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import msgspec
from msgspec import field
from msgspec.json import Decoder

from analytics.masking import HEADER, MASKED, mask_body, mask_url
from analytics.observations import BadReport, LogLine, SeenSpan
from analytics.reports.cleaning import AHEAD_AT_MOST, EPOCH, LATEST_AGE, clean
from analytics.reports.hub_json import NOTHING, BadItem, Items, Tally, read
from analytics.reports.hub_values import MESSAGE_LENGTH, Number, text_of, time_of
from analytics.reports.semantic_conventions import URL_PARTS

NS_MAX: Final = 2**63 - 1
LINE_MAX: Final = 2**31 - 1
ATTRIBUTES_MAX, ATTRIBUTE_NAME_LENGTH, ATTRIBUTE_LENGTH = 128, 256, 4096
NAME_LENGTH, LEVEL_LENGTH, LOGGER_LENGTH, FILE_LENGTH = 1024, 16, 256, 1024
KINDS: Final = frozenset({"SERVER", "CLIENT", "INTERNAL", "PRODUCER", "CONSUMER"})
STATUSES: Final = frozenset({"OK", "ERROR", "UNSET"})
SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")
TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
NO_SPAN, NO_TRACE = "0" * 16, "0" * 32
HEADER_ATTRIBUTE: Final = re.compile(r"http\.(?:request|response)\.header\.(.+)", re.DOTALL)


class SpanSeen(msgspec.Struct, gc=False):
    """Times in nanoseconds: numbers of Python, .NET, Java; decimal texts of JavaScript."""

    span_id: str | None = None
    span_id_js: str | None = field(default=None, name="spanId")
    parent_span_id: str | None = None
    parent_span_id_js: str | None = field(default=None, name="parentSpanId")
    name: str | None = None
    kind: str | None = None
    start_time: Number | str | None = None
    start_time_js: Number | str | None = field(default=None, name="startTime")
    end_time: Number | str | None = None
    end_time_js: Number | str | None = field(default=None, name="endTime")
    status: str | None = None
    attributes: msgspec.Raw = NOTHING


class LogSeen(msgspec.Struct, gc=False):
    timestamp: Number | None = None
    logger: str | None = None
    level: str | int | None = None
    message: str | None = None
    file: str | None = None
    line: int | None = None


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """When a report was received, and within which nanoseconds its times are taken as told (as cleaning has it)."""

    at: datetime
    ns: int
    earliest_ns: int
    latest_ns: int

    @classmethod
    def of(cls, received_at: datetime) -> "Receipt":
        times = (received_at, received_at - LATEST_AGE, received_at + AHEAD_AT_MOST)
        return cls(received_at, *((at - EPOCH) // timedelta(microseconds=1) * 1000 for at in times))


class RequestOf(msgspec.Struct, frozen=True, gc=False):
    """The request to which spans and logs belong; without a trace it is its own."""

    uuid: UUID
    trace_id: UUID
    receipt: Receipt


_SPANS: Final = Items(list[SpanSeen], SpanSeen)
_LOGS: Final = Items(list[LogSeen], LogSeen)
_ATTRIBUTES: Final = Decoder(dict[str, object])


def trace_of(text: str | None) -> UUID | None:
    """None for zeros, which JavaScript sends without a tracer, and for what is no trace id."""
    found = (text or "").lower()
    return UUID(hex=found) if TRACE_ID.fullmatch(found) and found != NO_TRACE else None


def spans_of(raw: msgspec.Raw, of: RequestOf, *, tally: Tally) -> list[SeenSpan]:
    """Errors: BadReport too_many."""
    return tally.kept(_SPANS.read(raw, tally), lambda seen: _span(seen, of, tally))


def log_lines_of(raw: msgspec.Raw, of: RequestOf, *, tally: Tally) -> list[LogLine]:
    """Errors: BadReport too_many."""
    return tally.kept(enumerate(_LOGS.read(raw, tally)), lambda numbered: _log_line(*numbered, of))


def _span(seen: SpanSeen, of: RequestOf, tally: Tally) -> SeenSpan:
    span_id = (seen.span_id or seen.span_id_js or "").lower()
    if not SPAN_ID.fullmatch(span_id) or span_id == NO_SPAN:
        raise BadItem("bad_span_id")
    parent_id = (seen.parent_span_id or seen.parent_span_id_js or "").lower()
    start_ns, end_ns = _within_bounds(
        _nanoseconds(seen.start_time_js if seen.start_time is None else seen.start_time),
        _nanoseconds(seen.end_time_js if seen.end_time is None else seen.end_time),
        of.receipt,
    )
    kind, status = (seen.kind or "").upper(), (seen.status or "").upper()
    return SeenSpan(
        trace_id=of.trace_id,
        span_id=span_id,
        parent_span_id=parent_id if SPAN_ID.fullmatch(parent_id) and parent_id != NO_SPAN else "",
        name=mask_url(text_of(seen.name, NAME_LENGTH)),
        kind=kind if kind in KINDS else "INTERNAL",
        start_ns=start_ns,
        end_ns=end_ns,
        status=status if status in STATUSES else "UNSET",
        attributes=_attributes(seen.attributes, tally),
        request_uuid=of.uuid,
    )


def _log_line(number: int, seen: LogSeen, of: RequestOf) -> LogLine:
    return LogLine(
        id=uuid5(of.uuid, f"log line {number}"),
        at=time_of(seen.timestamp, of.receipt.at),
        trace_id=of.trace_id,
        server_span_id="",
        message=text_of(seen.message, MESSAGE_LENGTH),
        level="" if seen.level is None else clean(str(seen.level), LEVEL_LENGTH),
        logger=text_of(seen.logger, LOGGER_LENGTH),
        file=text_of(seen.file, FILE_LENGTH),
        line=seen.line if seen.line is not None and 0 <= seen.line <= LINE_MAX else None,
        request_uuid=of.uuid,
    )


def _nanoseconds(told: Number | str | None) -> int:
    """Errors: BadItem bad_time."""
    if isinstance(told, str):
        told = int(told) if told.isdecimal() and len(told) <= 20 else None
    if told is None or told < 0:
        raise BadItem("bad_time")
    return int(min(told, NS_MAX))


def _within_bounds(start_ns: int, end_ns: int, receipt: Receipt) -> tuple[int, int]:
    """Of a clock that is too far ahead: begun at receipt, as long as it was. Errors: BadItem too_late."""
    if start_ns < receipt.earliest_ns:
        raise BadItem("too_late")
    length = max(end_ns - start_ns, 0)
    if start_ns > receipt.latest_ns:
        start_ns = receipt.ns
    return start_ns, min(start_ns + length, NS_MAX)


def _attributes(raw: msgspec.Raw, tally: Tally) -> dict[str, object]:
    """Bounded, clean and masked; None is no value."""
    if raw == NOTHING:
        return {}
    try:
        told = read(raw, _ATTRIBUTES)
    except BadReport as bad:
        tally.drop(bad.reason)
        return {}
    if len(told) > ATTRIBUTES_MAX:
        tally.drop("too_many_attributes", len(told) - ATTRIBUTES_MAX)
    kept = ((clean(name, ATTRIBUTE_NAME_LENGTH), value) for name, value in [*told.items()][:ATTRIBUTES_MAX])
    return {name: _attribute(name, value) for name, value in kept if value is not None}


def _attribute(name: str, value: object) -> object:
    header = HEADER_ATTRIBUTE.fullmatch(name)
    if header and HEADER.search(header[1]):
        return MASKED
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return [_scalar(name, each) for each in value[:ATTRIBUTES_MAX]]
    return _scalar(name, value)


def _scalar(name: str, value: object) -> object:
    if isinstance(value, str):
        text = clean(value, ATTRIBUTE_LENGTH)
        return mask_url(URL_PARTS[name] + text)[1:] if name in URL_PARTS else mask_url(text)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -NS_MAX <= value <= NS_MAX else clean(str(value), ATTRIBUTE_LENGTH)
    return _as_text(value)


def _as_text(value: object) -> str:
    """Of a list or an object within an attribute."""
    try:
        return clean(mask_body(msgspec.json.encode(value).decode()), ATTRIBUTE_LENGTH)
    except RecursionError:
        return MASKED  # nobody can say what it holds
