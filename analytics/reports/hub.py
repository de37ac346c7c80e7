"""How a hub's startup and sync are read: what a process serves, and what it counted since its last word."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.json import Decoder

from analytics.histograms import from_hub_sizes, from_hub_times
from analytics.models import IDENTIFIER_LENGTH, ErrorKind, Source
from analytics.observations import BadReport, ConsumerTold, Observed, Parsed, Report, Resources, SeenError, Traffic
from analytics.reports.cleaning import clean, require_moment, slug
from analytics.reports.decoding import decoded
from analytics.reports.hub_json import NOTHING, BadItem, Items, Tally, identity, read
from analytics.reports.hub_startup import StartupSeen, startup_of
from analytics.reports.hub_values import (
    BYTES_MAX,
    MESSAGE_LENGTH,
    SENTRY_LENGTH,
    STACKTRACE_LENGTH,
    TYPE_LENGTH,
    Consumer,
    Number,
    consumer_of,
    count_of,
    counted_call,
    histogram_of,
    label_of,
    method_of,
    route_of,
    sum_of,
    text_of,
)

LOCATION_LENGTH, LOCATION_DEPTH = 256, 64
CPU_PERCENT_MAX: Final = 1e6


class SyncSeen(msgspec.Struct, gc=False):
    message_uuid: str | None = None
    instance_uuid: str | None = None
    timestamp: Number | None = None
    requests: msgspec.Raw = NOTHING
    validation_errors: msgspec.Raw = NOTHING
    server_errors: msgspec.Raw = NOTHING
    consumers: msgspec.Raw = NOTHING
    resources: msgspec.Raw = NOTHING


class RequestsSeen(msgspec.Struct, gc=False):
    consumer: Consumer = None
    method: str | None = None
    path: str | None = None
    status_code: Number | None = None
    request_count: int | None = None
    request_size_sum: int | None = None
    response_size_sum: int | None = None
    response_times: dict[str, int] | None = None
    request_sizes: dict[str, int] | None = None
    response_sizes: dict[str, int] | None = None


class ErrorSeen(msgspec.Struct, gc=False):
    """`loc` is of a validation error, `traceback` and `sentry_event_id` of an exception."""

    consumer: Consumer = None
    method: str | None = None
    path: str | None = None
    loc: list[str | int] | str | None = None
    msg: str | None = None
    type: str | None = None
    traceback: str | None = None
    sentry_event_id: str | None = None
    error_count: int | None = None


class ConsumerSeen(msgspec.Struct, gc=False):
    identifier: str | int | None = None
    name: str | None = None
    group: str | None = None


class ResourcesSeen(msgspec.Struct, gc=False):
    cpu_percent: Number | None = None
    memory_rss: Number | None = None


_STARTUP: Final = Decoder(StartupSeen)
_SYNC: Final = Decoder(SyncSeen)
_REQUESTS: Final = Items(list[RequestsSeen], RequestsSeen)
_ERRORS: Final = Items(list[ErrorSeen], ErrorSeen)
_CONSUMERS: Final = Items(list[ConsumerSeen], ConsumerSeen)
_RESOURCES: Final = Decoder(ResourcesSeen)


def parse_startup(report: Report) -> Parsed:
    """It has no time of its own: that of its receipt. Errors: BadReport."""
    body = decoded(report.body)
    seen, tally = read(body, _STARTUP), Tally()
    startup = startup_of(seen, at=report.received_at, tally=tally)
    observed = Observed(
        environment=slug(report.environment),
        instance=instance_of(seen.instance_uuid),
        client=startup.client,
        alive=[(Source.METRIC, report.received_at)],
        startups=[startup],
    )
    return Parsed(identity(report.kind, seen.message_uuid, body), [observed], tally.dropped)


def parse_sync(report: Report) -> Parsed:
    """All of it is filed at its timestamp: the counts have no other time. Errors: BadReport."""
    body = decoded(report.body)
    seen, tally = read(body, _SYNC), Tally()
    if seen.timestamp is None:
        raise BadReport("unknown_shape", "no timestamp")
    at = require_moment(seen.timestamp, report.received_at)
    observed = Observed(
        environment=slug(report.environment),
        instance=instance_of(seen.instance_uuid),
        alive=[(Source.METRIC, at)],
        traffic=tally.kept(_REQUESTS.read(seen.requests, tally), lambda item: _traffic(item, at)),
        consumers=consumers_of(_CONSUMERS.read(seen.consumers, tally), at=at, tally=tally),
        errors=[
            *_errors(seen.validation_errors, ErrorKind.VALIDATION, at, tally),
            *_errors(seen.server_errors, ErrorKind.SERVER, at, tally),
        ],
        resources=_resources(seen.resources, at, tally),
    )
    return Parsed(identity(report.kind, seen.message_uuid, body), [observed], tally.dropped)


def instance_of(instance_uuid: str | None) -> str:
    return text_of(instance_uuid, IDENTIFIER_LENGTH)


def consumers_of(seen: list[ConsumerSeen], *, at: datetime, tally: Tally) -> list[ConsumerTold]:
    """Of those of whom more than the identifier is told."""
    told = tally.kept(seen, lambda item: _consumer(item, at))
    return [consumer for consumer in told if consumer.name or consumer.group]


def error_of(seen: ErrorSeen, *, kind: ErrorKind, at: datetime) -> SeenError:
    """Errors: BadItem."""
    return SeenError(
        at=at,
        kind=kind,
        method=method_of(seen.method),
        path=route_of(seen.path),
        consumer=consumer_of(seen.consumer),
        type=text_of(seen.type, TYPE_LENGTH),
        message=text_of(seen.msg, MESSAGE_LENGTH),
        count=count_of(seen.error_count),
        location=_location(seen.loc) if kind is ErrorKind.VALIDATION else "",
        stacktrace=text_of(seen.traceback, STACKTRACE_LENGTH),
        sentry_event_id=text_of(seen.sentry_event_id, SENTRY_LENGTH),
    )


def _traffic(seen: RequestsSeen, at: datetime) -> Traffic:
    """A histogram may hold fewer than the requests: a size that was not known is in none. Errors: BadItem."""
    return Traffic(
        at=at.replace(second=0, microsecond=0),
        call=counted_call(seen.method, seen.path, seen.status_code, seen.consumer),
        source=Source.METRIC,
        requests=count_of(seen.request_count),
        bytes_received=sum_of(seen.request_size_sum),
        bytes_sent=sum_of(seen.response_size_sum),
        durations=histogram_of(seen.response_times, from_hub_times),
        request_sizes=histogram_of(seen.request_sizes, from_hub_sizes),
        response_sizes=histogram_of(seen.response_sizes, from_hub_sizes),
    )


def _consumer(seen: ConsumerSeen, at: datetime) -> ConsumerTold:
    identifier = consumer_of(seen.identifier)
    if identifier is None:
        raise BadItem("no_identifier")
    return ConsumerTold(identifier, at, name=label_of(seen.name), group=label_of(seen.group))


def _errors(raw: msgspec.Raw, kind: ErrorKind, at: datetime, tally: Tally) -> list[SeenError]:
    return tally.kept(_ERRORS.read(raw, tally), lambda item: error_of(item, kind=kind, at=at))


def _location(loc: list[str | int] | str | None) -> str:
    """`body.qty`; SDKs send its parts."""
    parts = [loc] if isinstance(loc, str) else [str(part)[:LOCATION_LENGTH] for part in (loc or [])[:LOCATION_DEPTH]]
    return clean(".".join(parts), LOCATION_LENGTH)


def _resources(raw: msgspec.Raw, at: datetime, tally: Tally) -> list[Resources]:
    if raw == NOTHING:
        return []
    try:
        seen = read(raw, _RESOURCES)
    except BadReport as bad:
        tally.drop(bad.reason)
        return []
    cpu_percent = _within(seen.cpu_percent, CPU_PERCENT_MAX, tally)
    memory = _within(seen.memory_rss, BYTES_MAX, tally)
    if cpu_percent is None and memory is None:
        return []
    return [Resources(at, cpu_percent, None if memory is None else int(memory))]


def _within(value: Number | None, at_most: float, tally: Tally) -> float | None:
    if value is not None and not 0 <= value <= at_most:
        tally.drop("out_of_range")
        return None
    return None if value is None else float(value)
