"""What SDKs capture of a request, in every spelling: headers, bodies, exceptions; masked, and the client's address."""

import base64
import binascii
import ipaddress
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec
from msgspec import field

from analytics.masking import BODY_MAX_BYTES, TOO_LARGE, mask_body, mask_headers, mask_url
from analytics.observations import Detail, SeenException
from analytics.reports.cleaning import clean
from analytics.reports.hub_json import NOTHING, Items, Tally
from analytics.reports.hub_values import (
    MESSAGE_LENGTH,
    SENTRY_LENGTH,
    STACKTRACE_LENGTH,
    TYPE_LENGTH,
    Consumer,
    Number,
    status_of,
    text_of,
)

Headers = tuple[tuple[str, str], ...]

URL_LENGTH: Final = 4096
HEADERS_MAX, HEADER_NAME_LENGTH, HEADER_LENGTH = 128, 256, 8192
# Nearest to the client first; the protocol has no other word of its address.
ADDRESS_HEADERS: Final = ("x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip", "fly-client-ip")


class RequestSeen(msgspec.Struct, gc=False):
    timestamp: Number | None = None
    method: str | None = None
    path: str | None = None
    url: str | None = None
    headers: msgspec.Raw = NOTHING
    size: Number | None = None
    consumer: Consumer = None
    body: str | None = None


class ResponseSeen(msgspec.Struct, gc=False):
    """snake_case of Python, Go, .NET; camelCase of JavaScript, Java."""

    status_code: Number | None = None
    status_code_js: Number | None = field(default=None, name="statusCode")
    response_time: Number | None = None
    response_time_js: Number | None = field(default=None, name="responseTime")
    headers: msgspec.Raw = NOTHING
    size: Number | None = None
    body: str | None = None

    @property
    def status(self) -> int:
        return status_of(self.status_code) or status_of(self.status_code_js)

    @property
    def seconds(self) -> Number | None:
        return self.response_time_js if self.response_time is None else self.response_time


class ExceptionSeen(msgspec.Struct, gc=False):
    """`traceback` of Python, `stacktrace` of JavaScript, Go, .NET, `stackTrace` of Java; `msg` of the serverless."""

    type: str | None = None
    message: str | None = None
    msg: str | None = None
    traceback: str | None = None
    stacktrace: str | None = None
    stacktrace_java: str | None = field(default=None, name="stackTrace")
    sentry_event_id: str | None = None
    sentry_event_id_js: str | None = field(default=None, name="sentryEventId")

    def seen(self) -> SeenException:
        return SeenException(
            type=text_of(self.type, TYPE_LENGTH),
            message=text_of(self.message or self.msg, MESSAGE_LENGTH),
            stacktrace=text_of(self.traceback or self.stacktrace or self.stacktrace_java, STACKTRACE_LENGTH),
            sentry_event_id=text_of(self.sentry_event_id or self.sentry_event_id_js, SENTRY_LENGTH) or None,
        )


_HEADERS: Final = Items(list[tuple[str, str]], tuple[str, str], are_parts=True)


def detail_of(
    request: RequestSeen,
    response: ResponseSeen,
    *,
    request_headers: Headers,
    exception: ExceptionSeen | None,
    trace_id: UUID | None = None,
    tally: Tally,
) -> Detail | None:
    """Masked; None where nothing was captured. `request_headers` as headers_of has them, not masked yet."""
    detail = Detail(
        request_headers=tuple(mask_headers(request_headers)),
        response_headers=tuple(mask_headers(headers_of(response.headers, tally))),
        request_body=body_of(request.body, tally),
        response_body=body_of(response.body, tally),
        exception=exception.seen() if exception else None,
        trace_id=trace_id,
    )
    return None if detail == _UNCAPTURED else detail


_UNCAPTURED: Final = Detail()


def headers_of(raw: msgspec.Raw, tally: Tally) -> Headers:
    """Bounded and clean. Errors: BadReport too_many."""
    told = _HEADERS.read(raw, tally)
    if len(told) > HEADERS_MAX:
        tally.drop("too_many_headers", len(told) - HEADERS_MAX)
    return tuple((clean(name, HEADER_NAME_LENGTH), clean(value, HEADER_LENGTH)) for name, value in told[:HEADERS_MAX])


def body_of(encoded: str | None, tally: Tally) -> str | None:
    """Of base64; too large a body is the word for it, as sentinels of the SDKs are words."""
    if not encoded:
        return None
    if len(encoded) > 2 * BODY_MAX_BYTES:
        return TOO_LARGE
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        tally.drop("bad_body")
        return None
    if len(body) > BODY_MAX_BYTES:
        return TOO_LARGE
    return mask_body(clean(body.decode(errors="replace"), BODY_MAX_BYTES))


def url_of(url: str | None) -> str:
    return mask_url(text_of(url, URL_LENGTH))


def address_of(headers: Iterable[tuple[str, str]]) -> str | None:
    """The client's address as proxies told it: any valid one, the first of x-forwarded-for."""
    told: dict[str, str] = {}
    for name, value in headers:
        told.setdefault(name.lower(), value)
    for name in ADDRESS_HEADERS:
        if name in told and (address := _address(told[name].partition(",")[0].strip())):
            return address
    return None


def _address(text: str) -> str | None:
    """With or without a port; a zone (`%eth0`) says nothing outside of its host."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
