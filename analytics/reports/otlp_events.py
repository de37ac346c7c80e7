"""The four events of Apitally's SDK, log records of the scope `apitally`: what each one's body says."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from analytics.models import IDENTIFIER_LENGTH, LABEL_LENGTH, METHOD_LENGTH, PATH_LENGTH, ErrorKind
from analytics.observations import ConsumerTold, EndpointTold, SeenError, Startup
from analytics.reports.cleaning import clean
from analytics.reports.otlp_harvest import CLIENT_LENGTH, ITEMS_MAX, Harvest, Sender
from analytics.reports.otlp_messages import AnyValue
from analytics.reports.otlp_values import SHOWN, TOLD, plain, text, whole_number

ATTRIBUTES_MAX: Final = 10
ATTRIBUTE_LENGTH: Final = 1_024
TYPE_LENGTH: Final = 256
SENTRY_ID_LENGTH: Final = 64
SUMMARY_LENGTH: Final = 256
VERSIONS_MAX: Final = 32
ENDPOINTS_MAX: Final = 10_000
COUNT_MAX: Final = 2**31


class _Path(msgspec.Struct, gc=False):
    method: str
    path: str
    summary: str | None = None
    description: str | None = None


class _Startup(msgspec.Struct, gc=False):
    framework: str | None = None
    versions: dict[str, str | None] | None = None
    paths: list[_Path] | None = None


def _startup(harvest: Harvest, sender: Sender, body: AnyValue, at: datetime) -> None:
    try:
        told = msgspec.json.decode(body.string_value or "", type=_Startup, strict=False)
    except (msgspec.DecodeError, RecursionError):
        harvest.dropped["bad_event"] += 1
        return
    paths = told.paths or []
    if len(paths) > ENDPOINTS_MAX:
        harvest.dropped["too_many"] += len(paths) - ENDPOINTS_MAX
    client = f"{sender.gathered.observed.client} {told.framework or ''}"
    sender.gathered.observed.startups.append(
        Startup(
            at=at,
            client=clean(client.strip(), CLIENT_LENGTH),
            versions=_versions(told.versions or {}),
            endpoints=tuple(_endpoint(path) for path in paths[:ENDPOINTS_MAX]),
        )
    )


def _versions(told: dict[str, str | None]) -> dict[str, str]:
    pairs = [(name, version) for name, version in told.items() if version][:VERSIONS_MAX]
    return {clean(name, LABEL_LENGTH): clean(version, LABEL_LENGTH) for name, version in pairs}


def _endpoint(told: _Path) -> EndpointTold:
    return EndpointTold(
        method=clean(told.method.upper(), METHOD_LENGTH),
        path=clean(told.path, PATH_LENGTH),
        summary=clean(told.summary or "", SUMMARY_LENGTH),
        description=clean(told.description or "", SHOWN.text),
    )


def _consumer(harvest: Harvest, sender: Sender, body: AnyValue, at: datetime) -> None:
    told = _fields(body)
    identifier = text(told, "identifier", at_most=IDENTIFIER_LENGTH)
    if not identifier:
        harvest.dropped["bad_event"] += 1
        return
    attributes = told.get("attributes")
    sender.gathered.observed.consumers.append(
        ConsumerTold(
            identifier=identifier,
            at=at,
            name=text(told, "name", at_most=LABEL_LENGTH) or None,
            group=text(told, "group", at_most=LABEL_LENGTH) or None,
            attributes=_attributes(attributes) if isinstance(attributes, dict) else {},
        )
    )


def _attributes(told: dict[str, object]) -> dict[str, str | None]:
    """An empty one is to be deleted."""
    return {
        name[:LABEL_LENGTH]: text(told, name, at_most=ATTRIBUTE_LENGTH) or None
        for name in list(told)[:ATTRIBUTES_MAX]
        if name
    }


def _validation_error(harvest: Harvest, sender: Sender, body: AnyValue, at: datetime) -> None:
    told = _fields(body)
    location = ".".join(filter(None, (text(told, "source"), text(told, "field"))))
    _file_error(harvest, sender, told, at, kind=ErrorKind.VALIDATION, location=location[:TYPE_LENGTH])


def _server_error(harvest: Harvest, sender: Sender, body: AnyValue, at: datetime) -> None:
    _file_error(harvest, sender, _fields(body), at, kind=ErrorKind.SERVER)


def _file_error(
    harvest: Harvest, sender: Sender, told: dict[str, object], at: datetime, *, kind: ErrorKind, location: str = ""
) -> None:
    """One for each consumer whom it met."""
    method = text(told, "method").upper()[:METHOD_LENGTH]
    errors = sender.gathered.observed.errors
    for consumer, count in _counts(told) if method else [(None, None)]:
        if count is None or not 1 <= count <= COUNT_MAX:
            harvest.dropped["bad_event"] += 1
        elif len(errors) == ITEMS_MAX:
            harvest.dropped["too_many"] += 1
        else:
            errors.append(
                SeenError(
                    at=at,
                    kind=kind,
                    method=method,
                    path=text(told, "path", at_most=PATH_LENGTH),
                    consumer=consumer,
                    type=text(told, "type", at_most=TYPE_LENGTH),
                    message=text(told, "message"),
                    count=count,
                    location=location,
                    stacktrace=text(told, "stacktrace", at_most=TOLD.text),
                    sentry_event_id=text(told, "sentry_event_id", at_most=SENTRY_ID_LENGTH),
                )
            )


def _counts(told: dict[str, object]) -> Iterator[tuple[str | None, int | None]]:
    """Of each consumer. Version 1.0.0 sends a list, the specification shows a single consumer and count."""
    counts = told.get("counts")
    for each in counts if isinstance(counts, list) else [told]:
        if isinstance(each, dict):
            consumer = text(each, "consumer", at_most=IDENTIFIER_LENGTH) or None
            yield consumer, whole_number(each.get("count"))
        else:
            yield None, None


def _fields(body: AnyValue) -> dict[str, object]:
    told = plain(body, TOLD)
    return told if isinstance(told, dict) else {}


Event = Callable[[Harvest, Sender, AnyValue, datetime], None]
EVENTS: Final[dict[str, Event]] = {
    "apitally.app.startup": _startup,
    "apitally.consumer.update": _consumer,
    "apitally.request.validation_error": _validation_error,
    "apitally.request.server_error": _server_error,
}
