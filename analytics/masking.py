"""What must not be kept of what was reported: secrets in queries, headers and bodies (pure; contract, ruling 10).

SDKs mask before they send; whatever they, or an OpenTelemetry SDK that knows nothing of it, let pass is masked here.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

MASKED: Final = "[REDACTED]"
TOO_LARGE: Final = "[BODY_TOO_LARGE]"
BODY_MAX_BYTES: Final = 50_000
DEPTH_MAX: Final = 100

QUERY = re.compile(r"auth|api[-_]?key|secret|token|password|pwd", re.IGNORECASE)
HEADER = re.compile(r"auth|api[-_]?key|secret|token|cookie", re.IGNORECASE)
BODY = re.compile(r"password|pwd|token|secret|auth|card[-_ ]?number|ccv|cvv|cvc|ssn", re.IGNORECASE)


def mask_url(url: str) -> str:
    """The query's values whose name tells of a secret; also in a fragment that is written like a query."""
    return "#".join(_mask_part(part, is_query=number > 0) for number, part in enumerate(url.split("#")))


def mask_headers(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if HEADER.search(name):
            yield name, MASKED
        elif name.lower() in ("location", "content-location", "referer"):
            yield name, mask_url(value)
        else:
            yield name, value


def mask_body(body: str) -> str:
    """A JSON text without its secrets, any other text as it is; too large a one as the word for it."""
    if len(body.encode()) > BODY_MAX_BYTES:
        return TOO_LARGE
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        return MASKED  # nobody can say what it holds
    except msgspec.DecodeError:
        return body
    return msgspec.json.encode(_mask(value, 0)).decode() if isinstance(value, dict | list) else body


def _mask_part(part: str, *, is_query: bool) -> str:
    before, mark, query = ("", "", part) if is_query else part.partition("?")
    return before + mark + "&".join(_mask_pair(pair) for pair in query.split("&"))


def _mask_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={MASKED}" if equals and value and QUERY.search(name) else pair


def _mask(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        return MASKED
    if isinstance(value, dict):
        return {
            name: MASKED if isinstance(inner, str) and BODY.search(name) else _mask(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_mask(inner, depth + 1) for inner in value]
    return value
