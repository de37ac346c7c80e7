"""How a decision is answered over HTTP: one table from verdict to status, body and headers."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from keys.validation.parsing import BODY_MAX_BYTES, BodyFault
from keys.validation.verdicts import Budget, Decision, Quota, Verdict

Headers = list[tuple[bytes, bytes]]
JSON: Final = (b"content-type", b"application/json")
RETRY_STORES_S: Final = 1


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


SendAnswer = Callable[[Answer], None]


class QuotaDetails(msgspec.Struct, frozen=True):
    """`limit` and `remaining` are -1 without limit; `reset_time` and `plan_name` null without plan."""

    current_usage: int
    limit: int
    remaining: int
    reset_time: str | None
    plan_name: str | None
    period_start: str
    period_end: str


class AllowedBody(msgspec.Struct, frozen=True):
    success: bool
    details: QuotaDetails


class OverQuotaBody(msgspec.Struct, frozen=True):
    success: bool
    error: str
    details: QuotaDetails


class FaultBody(msgspec.Struct, frozen=True, omit_defaults=True):
    success: bool
    error: str
    code: str
    details: dict[str, str] | None = None


# verdict -> status, sentence, code
REFUSALS: Final = {
    Verdict.UNAUTHORIZED: (401, "Invalid access key", "INVALID_API_KEY"),
    Verdict.FORBIDDEN: (403, "This access key lacks the scope", "FORBIDDEN"),
    Verdict.BUSY: (429, "Too many requests of this access key", "RATE_LIMIT_EXCEEDED"),
    Verdict.NOT_FOUND: (404, "API key not found", "API_KEY_NOT_FOUND"),
    Verdict.KEY_DISABLED: (403, "API key is disabled", "API_KEY_DISABLED"),
    Verdict.KEY_EXPIRED: (403, "API key has expired", "API_KEY_EXPIRED"),
    Verdict.USER_DISABLED: (403, "User is disabled", "USER_DISABLED"),
}
_encode = msgspec.json.Encoder().encode


def answer_decision(decision: Decision) -> Answer:
    if decision.quota is not None and decision.budget is not None:
        return _answer_quota(decision.verdict, decision.quota, decision.budget.now_ms)
    status, sentence, code = REFUSALS[decision.verdict]
    headers: Headers = []
    if decision.verdict is Verdict.BUSY and decision.budget is not None:
        headers.append((b"retry-after", b"%d" % decision.budget.seconds_left))
    return refuse(status, sentence, code, headers)


def answer_fault(fault: BodyFault) -> Answer:
    details = {"field": fault.field, "message": fault.message}
    body = _encode(FaultBody(False, "Invalid request", "INVALID_REQUEST", details))
    return Answer(400, [JSON], body)


def refuse(status: int, sentence: str, code: str, headers: Headers | None = None) -> Answer:
    return Answer(status, [JSON, *(headers or ())], _encode(FaultBody(False, sentence, code)))


ABSENT = refuse(401, "Give an access key: Authorization: Bearer lk_…", "UNAUTHORIZED")
NOT_OF_THE_FORM = refuse(*REFUSALS[Verdict.UNAUTHORIZED])
WRONG_METHOD = refuse(405, "Use POST", "METHOD_NOT_ALLOWED", [(b"allow", b"POST")])
WRONG_TYPE = refuse(415, "Send JSON, as Content-Type: application/json", "UNSUPPORTED_MEDIA_TYPE")
TOO_LARGE = refuse(413, f"The body is larger than {BODY_MAX_BYTES} bytes", "PAYLOAD_TOO_LARGE")
HEAD_TOO_LARGE = refuse(431, "The request's head is too large", "INVALID_REQUEST")
TOO_SLOW = refuse(400, "The body did not arrive in time", "INVALID_REQUEST")
UNAVAILABLE = refuse(
    503,
    "No decision could be made in time",
    "SERVICE_UNAVAILABLE",
    [(b"retry-after", b"%d" % RETRY_STORES_S)],
)
FAILED = refuse(500, "Something went wrong on our side", "INTERNAL_ERROR")


def budget_headers(budget: Budget) -> Headers:
    """The access key's minute, on every answer outside validate."""
    return [
        (b"x-ratelimit-limit", b"%d" % budget.limit),
        (b"x-ratelimit-remaining", b"%d" % budget.remaining),
        (b"x-ratelimit-reset", b"%d" % budget.reset_s),
    ]


def _answer_quota(verdict: Verdict, quota: Quota, now_ms: int) -> Answer:
    details = QuotaDetails(
        quota.used,
        quota.limit,
        quota.remaining,
        iso_time(quota.end_ms) if quota.plan_name is not None else None,
        quota.plan_name,
        iso_time(quota.start_ms),
        iso_time(quota.end_ms),
    )
    headers = _quota_headers(quota, now_ms)
    if verdict is Verdict.ALLOWED:
        return Answer(200, headers, _encode(AllowedBody(True, details)))
    headers.append((b"retry-after", b"%d" % _seconds_until(quota.end_ms, now_ms)))
    return Answer(200, headers, _encode(OverQuotaBody(False, "Rate limit exceeded", details)))


def _quota_headers(quota: Quota, now_ms: int) -> Headers:
    """X-RateLimit-* of the api key's quota and the pair of draft-ietf-httpapi-ratelimit-headers."""
    remaining = quota.remaining
    headers = [
        *_window_headers(quota.limit, quota.plan_name, quota.start_ms, quota.end_ms),
        (b"x-ratelimit-remaining", b"%d" % remaining),
    ]
    if quota.limit >= 0:
        left_s = _seconds_until(quota.end_ms, now_ms)
        headers.append((b"ratelimit", b'"quota";r=%d;t=%d' % (remaining, left_s)))
    return headers


@lru_cache(maxsize=4096)
def _window_headers(limit: int, plan_name: str | None, start_ms: int, end_ms: int) -> tuple[tuple[bytes, bytes], ...]:
    """Those that are the same for every call in a window."""
    headers = [JSON, (b"x-ratelimit-limit", b"%d" % limit)]
    if plan_name is None:
        headers.append((b"x-ratelimit-reset", b"-1"))
    else:
        headers.append((b"x-ratelimit-reset", b"%d" % math.ceil(end_ms / 1000)))
        headers.append((b"x-ratelimit-plan", _header_text(plan_name)))
    if limit >= 0:
        headers.append((b"ratelimit-policy", b'"quota";q=%d;w=%d' % (limit, (end_ms - start_ms) // 1000)))
    return tuple(headers)


def _seconds_until(moment_ms: int, now_ms: int) -> int:
    return max(1, math.ceil((moment_ms - now_ms) / 1000))


@lru_cache(maxsize=4096)
def iso_time(ms: int) -> str:
    """UTC, ISO 8601, `Z`; milliseconds only where there are any."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    precision = "milliseconds" if ms % 1000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _header_text(text: str) -> bytes:
    """Printable ASCII as it is, all else percent-encoded UTF-8."""
    return quote(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}").encode()
