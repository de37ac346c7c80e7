"""How a report is answered: one table of refusals, in the three tongues that reporters understand.

What the SDKs do on each status is in their documentation and source: the hub's (0.x) stop for good on 404, drop what
is answered 422, send again after any 5xx; OTLP's drop on 4xx and send again after 429 and 503 (of 5xx and 408 only
these two are retried by every OpenTelemetry SDK).
"""

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from keys.validation.replies import JSON, Answer, Headers

OTLP_MAX_BYTES: Final = 4 * 1024 * 1024
HUB_MAX_BYTES: Final = 5 * 1024 * 1024
PROTOBUF: Final = (b"content-type", b"application/x-protobuf")


class Tongue(Enum):
    HUB = "hub"
    OTLP_PROTOBUF = "OTLP in protobuf"
    OTLP_JSON = "OTLP in JSON"


class Refusal(NamedTuple):
    """`rpc_code` is google.rpc.Code's number for it, which OTLP's bodies carry."""

    status: int
    code: str
    rpc_code: int
    sentence: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class HubError(msgspec.Struct, frozen=True):
    """Apitally's shape: SDKs of the first generation read the JSON of a 422."""

    error: str
    code: str
    detail: str


class RpcStatus(msgspec.Struct, frozen=True):
    code: int
    message: str


def retry_after(seconds: int) -> tuple[tuple[bytes, bytes]]:
    return ((b"retry-after", b"%d" % seconds),)


NO_SUCH_PATH = Refusal(404, "NOT_FOUND", 5, "Not found")
WRONG_METHOD = Refusal(405, "METHOD_NOT_ALLOWED", 12, "Use POST", ((b"allow", b"POST"),))
WRONG_TYPE = Refusal(415, "UNSUPPORTED_MEDIA_TYPE", 3, "Send application/x-protobuf or application/json")
WRONG_ENCODING = Refusal(400, "VALIDATION_ERROR", 3, "Send Content-Encoding gzip or identity")
UNKNOWN_TOKEN = Refusal(401, "UNAUTHORIZED", 16, "Give a live write token: Authorization: Bearer apt_…")
UNKNOWN_CLIENT = Refusal(404, "NOT_FOUND", 5, "No app reports under this client id")
OTLP_TOO_LARGE = Refusal(413, "PAYLOAD_TOO_LARGE", 3, f"The body is larger than {OTLP_MAX_BYTES} bytes")
HUB_TOO_LARGE = Refusal(422, "PAYLOAD_TOO_LARGE", 3, f"The body is larger than {HUB_MAX_BYTES} bytes")
TOO_MANY = Refusal(429, "RATE_LIMIT_EXCEEDED", 8, "Too many reports of this app and signal")
TOO_SLOW = Refusal(503, "SERVICE_UNAVAILABLE", 4, "The body did not arrive in time", retry_after(1))
NO_ROOM = Refusal(503, "SERVICE_UNAVAILABLE", 14, "Too many reports are being sent at once", retry_after(1))
BACKLOG = Refusal(503, "SERVICE_UNAVAILABLE", 14, "Too many reports wait to be counted", retry_after(15))
UNREACHABLE = Refusal(503, "SERVICE_UNAVAILABLE", 14, "The report could not be stored now", retry_after(5))
ELSEWHERE = Refusal(503, "SERVICE_UNAVAILABLE", 14, "This process takes no reports", retry_after(15))
FAILED = Refusal(500, "INTERNAL_ERROR", 13, "Something went wrong on our side")


def too_many(wait_s: int) -> Refusal:
    return TOO_MANY._replace(headers=retry_after(wait_s))


@lru_cache(maxsize=16)
def answer_accepted(tongue: Tongue, export_interval_s: int) -> Answer:
    """Of a report that is in the inbox for good: what it holds was not looked at."""
    match tongue:
        case Tongue.HUB:
            return Answer(202, [JSON], b"{}")
        case Tongue.OTLP_JSON:
            return Answer(200, [JSON, _interval(export_interval_s)], b"{}")
        case Tongue.OTLP_PROTOBUF:  # an empty Export…ServiceResponse has no bytes
            return Answer(200, [PROTOBUF, _interval(export_interval_s)], b"")


@lru_cache(maxsize=256)
def answer_refused(tongue: Tongue, refusal: Refusal, export_interval_s: int) -> Answer:
    headers: Headers = [*refusal.headers]
    if tongue is Tongue.HUB:
        body = msgspec.json.encode(HubError(refusal.sentence, refusal.code, refusal.sentence))
        return Answer(refusal.status, [JSON, *headers], body)
    headers.append(_interval(export_interval_s))
    if tongue is Tongue.OTLP_JSON:
        body = msgspec.json.encode(RpcStatus(refusal.rpc_code, refusal.sentence))
        return Answer(refusal.status, [JSON, *headers], body)
    return Answer(refusal.status, [PROTOBUF, *headers], rpc_status(refusal.rpc_code, refusal.sentence))


def rpc_status(code: int, message: str) -> bytes:
    """google.rpc.Status in protobuf: field 1 the code, field 2 the message."""
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first, the highest bit set on all but the last."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _interval(seconds: int) -> tuple[bytes, bytes]:
    """How often SDKs of 1.x shall send: they take 5 to 60 seconds, from any answer."""
    return (b"apitally-export-interval", b"%d" % seconds)
