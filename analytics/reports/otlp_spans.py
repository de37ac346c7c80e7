"""What a span holds: attributes to show, and what a SERVER span says of its request: headers, bodies, exception."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from analytics.masking import BODY_MAX_BYTES, TOO_LARGE, mask_body, mask_headers, mask_url
from analytics.observations import SeenException
from analytics.reports.cleaning import clean
from analytics.reports.decoding import GZIP_MAGIC
from analytics.reports.otlp_messages import AnyValue, Event, KeyValue
from analytics.reports.otlp_values import NAME_LENGTH, SHOWN, TOLD, attributes_of, plain, text
from analytics.reports.semantic_conventions import URL_PARTS, URLS

REQUEST_HEADER: Final = "http.request.header."
RESPONSE_HEADER: Final = "http.response.header."
REQUEST_BODY: Final = "apitally.request.body"
RESPONSE_BODY: Final = "apitally.response.body"
BODIES: Final = (REQUEST_BODY, RESPONSE_BODY)
SENTRY_ID: Final = "apitally.exception.sentry_event_id"
UNZIPPED_MAX_BYTES: Final = 64 * 1024
ATTRIBUTES_READ: Final = 4 * SHOWN.items  # those shown, headers of both directions, and bodies
SENTRY_ID_LENGTH: Final = 64


class Captured(NamedTuple):
    """A span's attributes, sorted: `shown` is masked, headers and bodies are as they were sent."""

    shown: dict[str, object]
    request_headers: list[tuple[str, AnyValue]]
    response_headers: list[tuple[str, AnyValue]]
    bodies: dict[str, AnyValue]

    def body(self, name: str) -> str | None:
        value = self.bodies.get(name)
        return None if value is None else body_text(value)


def captured(attributes: Sequence[KeyValue]) -> Captured:
    """Of the first few hundred attributes; of those shown, the first 128."""
    sorted_out = Captured({}, [], [], {})
    shown, request_headers, response_headers, bodies = sorted_out
    for attribute in attributes[:ATTRIBUTES_READ]:
        name, value = attribute.key, attribute.value
        if name.startswith(REQUEST_HEADER):
            request_headers.append((name, value))
        elif name.startswith(RESPONSE_HEADER):
            response_headers.append((name, value))
        elif name in BODIES:
            bodies[name] = value
        elif len(shown) < SHOWN.items:
            shown[clean(name, NAME_LENGTH)] = plain(value)
    _mask_urls(shown)
    return sorted_out


def header_pairs(headers: Sequence[tuple[str, AnyValue]]) -> tuple[tuple[str, str], ...]:
    """Masked pairs, a pair for each value, names in lower case with dashes."""
    return tuple(mask_headers(islice(_pairs(headers), SHOWN.items)))


def body_text(value: AnyValue) -> str | None:
    """A body, text or bytes, perhaps compressed, without its secrets; None where there is none to read."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _masked(value.string_value or "")
    body = _unzipped(value.bytes_value or b"") if kind == "bytes_value" else None
    if body is None:
        return None
    return TOO_LARGE if len(body) > BODY_MAX_BYTES else _masked(body.decode(errors="replace"))


def exception(events: Iterable[Event], attributes: dict[str, object]) -> SeenException | None:
    """The first one that was recorded, as Apitally's SDK keeps it: what comes later followed from it."""
    for event in events:
        if event.name == "exception":
            told = attributes_of(event.attributes, TOLD)
            return SeenException(
                type=text(told, "exception.type", at_most=256),
                message=text(told, "exception.message"),
                stacktrace=text(told, "exception.stacktrace", at_most=TOLD.text),
                sentry_event_id=text(attributes, SENTRY_ID, at_most=SENTRY_ID_LENGTH) or None,
            )
    return None


def _pairs(headers: Sequence[tuple[str, AnyValue]]) -> Iterator[tuple[str, str]]:
    for attribute, value in headers:
        name = _header_name(attribute[:NAME_LENGTH])
        array = value.array_value
        for each in (array and array.values) or (value,):
            told = plain(each)
            if told != []:  # a header without values
                yield name, told if isinstance(told, str) else "" if told is None else str(told)


@lru_cache(maxsize=1024)
def _header_name(attribute: str) -> str:
    name = attribute.removeprefix(REQUEST_HEADER).removeprefix(RESPONSE_HEADER)
    return clean(name.lower().replace("_", "-"), NAME_LENGTH)


def _unzipped(body: bytes) -> bytes | None:
    """Nobody says whether it is compressed. Enough of it to tell that it is too large; None where it is broken."""
    if not body.startswith(GZIP_MAGIC):
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, UNZIPPED_MAX_BYTES)
    except zlib.error:
        return None


def _masked(body: str) -> str:
    return TOO_LARGE if len(body) > BODY_MAX_BYTES else mask_body(clean(body, BODY_MAX_BYTES))


def _mask_urls(shown: dict[str, object]) -> None:
    for name in URLS:
        if isinstance(url := shown.get(name), str):
            shown[name] = mask_url(url)
    for name, mark in URL_PARTS.items():
        if isinstance(part := shown.get(name), str):
            shown[name] = mask_url(mark + part)[1:]
