"""The four events of Apitally's SDK, log records of the scope `apitally`: what each one's body says."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec.json import Decoder

from analytics.models import IDENTIFIER_LENGTH, LABEL_LENGTH, METHOD_LENGTH, PATH_LENGTH, ErrorKind
from analytics.observations import BadReport, ConsumerTold, SeenError
from analytics.reports.cleaning import clean
from analytics.reports.hub_json import Tally, read
from analytics.reports.hub_startup import StartupSeen, startup_of
from analytics.reports.otlp_harvest import CLIENT_LENGTH, ITEMS_MAX, Harvest, Sender
from analytics.reports.otlp_messages import AnyValue
from analytics.reports.otlp_values import TOLD, plain, text, whole_number

ATTRIBUTES_MAX: Final = 10
ATTRIBUTE_LENGTH: Final = 1_024
TYPE_LENGTH: Final = 256
SENTRY_ID_LENGTH: Final = 64
COUNT_MAX: Final = 2**31


class _Startup(StartupSeen, gc=False):
    """As the hub's, but for who tells it."""

    framework: str | None = None


_STARTUP: Final = Decoder(_Startup)


def _startup(harvest: Harvest, sender: Sender, body: AnyValue, at: datetime) -> None:
    tally = Tally()
    try:
        told = read((body.string_value or "").encode(), _STARTUP)
        startup = startup_of(told, at=at, tally=tally)
    except BadReport:
        harvest.dropped["bad_event"] += 1
        return
    harvest.dropped.update(tally.dropped)
    observed = sender.gathered.observed
    client = clean(f"{observed.client} {told.framework or ''}".strip(), CLIENT_LENGTH)
    observed.startups.append(msgspec.structs.replace(startup, client=client))


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
