"""What must not be kept of what was reported: secrets in queries, headers and bodies (pure; contract, ruling 10).

SDKs mask before they send; whatever they, or an OpenTelemetry SDK that knows nothing of it, let pass is masked here.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote

import msgspec

MASKED: Final = "[REDACTED]"
TOO_LARGE: Final = "[BODY_TOO_LARGE]"
BODY_MAX_BYTES: Final = 50_000
DEPTH_MAX: Final = 100

QUERY = re.compile(r"auth|api[-_]?key|secret|token|password|pwd", re.IGNORECASE)
HEADER = re.compile(r"auth|api[-_]?key|secret|token|cookie", re.IGNORECASE)
BODY = re.compile(r"password|pwd|token|secret|auth|card[-_ ]?number|ccv|cvv|cvc|ssn", re.IGNORECASE)
# What SDKs 0.x have masked is left as it is; in a query it may be percent-encoded.
MASKED_BEFORE: Final = frozenset({"******", "%2A%2A%2A%2A%2A%2A", MASKED})
# A name and its text as JSON writes them. Possessive and bounded: linear in the length of whatever it is given.
TEXT_FIELD = re.compile(
    r'("(?P<name>(?:[^"\\]|\\.){1,100}+)"\s{0,20}+:\s{0,20}+")(?P<text>(?:[^"\\]++|\\.)*+)', re.DOTALL
)
# Numbers stay as they were written: 1.10 is not 1.1 to who looks for what an app has answered.
_JSON: Final = msgspec.json.Decoder(float_hook=lambda told: msgspec.Raw(told.encode()))


def mask_url(url: str) -> str:
    """The query's values whose name tells of a secret; also in a fragment that is written like a query."""
    if "?" not in url and "#" not in url:
        return url
    return "#".join(_mask_part(part, is_query=number > 0) for number, part in enumerate(url.split("#")))


def mask_headers(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if HEADER.search(name):
            yield name, _masked(value)
        elif name.lower() in ("location", "content-location", "referer"):
            yield name, mask_url(value)
        else:
            yield name, value


def mask_body(body: str) -> str:
    """A JSON text without its secrets; too large a one as the word for it.

    What is no JSON as a whole (JSON lines, a NaN, a text that was cut) loses those fields that look like JSON's.
    """
    if len(body.encode()) > BODY_MAX_BYTES:
        return TOO_LARGE
    try:
        value = _JSON.decode(body)
    except RecursionError:
        return MASKED  # nobody can say what it holds
    except msgspec.DecodeError:
        return TEXT_FIELD.sub(_mask_field, body)
    return msgspec.json.encode(_mask(value, 0)).decode() if isinstance(value, dict | list) else body


def _mask_part(part: str, *, is_query: bool) -> str:
    before, mark, query = ("", "", part) if is_query else part.partition("?")
    return before + mark + "&".join(_mask_pair(pair) for pair in query.split("&"))


def _mask_pair(pair: str) -> str:
    """A name may be percent-encoded: `api%5Fkey` is `api_key` to whom it was sent."""
    name, equals, value = pair.partition("=")
    return f"{name}={_masked(value)}" if equals and value and QUERY.search(unquote(name)) else pair


def _mask_field(field: re.Match[str]) -> str:
    return field[1] + (_masked(field["text"]) if BODY.search(field["name"]) else field["text"])


def _masked(value: str) -> str:
    return value if value in MASKED_BEFORE else MASKED


def _mask(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        return MASKED
    if isinstance(value, dict):
        return {
            name: _masked(inner) if isinstance(inner, str) and BODY.search(name) else _mask(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_mask(inner, depth + 1) for inner in value]
    return value
