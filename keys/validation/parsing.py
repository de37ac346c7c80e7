"""What a body of validate must hold: one type that parses it, bounds it and describes it in the OpenAPI document."""

import re
from ipaddress import ip_address
from typing import Annotated

import msgspec
from msgspec import Meta

BODY_MAX_BYTES = 16 * 1024
METHOD_FORM = re.compile(r"[A-Z]{1,16}")
# Where msgspec says a fault is: "… - at `$.cost`", or "… missing required field `endpoint`".
FAULTY_FIELD = re.compile(r"`\$\.(\w+)|field `(\w+)`")


class ValidateBody(msgspec.Struct, frozen=True):
    """As the contract spells it; an optional field may be null, unknown fields are ignored."""

    api_key: Annotated[str, Meta(min_length=1, max_length=128)]
    endpoint: Annotated[str, Meta(min_length=1, max_length=2048)]
    method: Annotated[str, Meta(min_length=1, max_length=16)]
    ip_address: Annotated[str, Meta(max_length=45)] | None = None
    cost: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    dry_run: bool | None = None


class ParsedCall(msgspec.Struct, frozen=True):
    """A body that may be decided: defaults filled in, method in upper case."""

    api_key: str
    endpoint: str
    method: str
    ip: str
    cost: int
    is_dry_run: bool


class BodyFault(msgspec.Struct, frozen=True):
    """What is wrong with a body; `field` is empty where it is the body as a whole."""

    field: str
    message: str


_decoder = msgspec.json.Decoder(ValidateBody)


def parse_body(body: bytes) -> ParsedCall | BodyFault:
    try:
        given = _decoder.decode(body)
    except msgspec.ValidationError as error:
        return _fault(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BodyFault("", f"not JSON: {error}")
    method = given.method.upper()
    if not METHOD_FORM.fullmatch(method):
        return BodyFault("method", "Give 1 to 16 letters, such as GET.")
    for field, text in (("api_key", given.api_key), ("endpoint", given.endpoint)):
        if not _is_clean(text):
            return BodyFault(field, "It holds a NUL character or half of a surrogate pair.")
    ip = _ip(given.ip_address)
    if ip is None:
        return BodyFault("ip_address", "Give an IPv4 or IPv6 address.")
    cost = 1 if given.cost is None else given.cost
    return ParsedCall(given.api_key, given.endpoint, method, ip, cost, bool(given.dry_run))


def _is_clean(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def _ip(text: str | None) -> str | None:
    """The address in its usual spelling, '' when none was given, None when it is none."""
    if text is None:
        return ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return str(address).partition("%")[0]  # PostgreSQL's inet knows no zone


def _fault(message: str) -> BodyFault:
    found = FAULTY_FIELD.search(message)
    field = (found[1] or found[2]) if found else ""
    return BodyFault(field, message.partition(" - at ")[0])
