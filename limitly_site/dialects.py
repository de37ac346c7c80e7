"""The dialects of the API: `/v1` as Limitly documents it, `/functions/v1` as its official SDKs expect it; and
Apitally's, which `/v1/team` and `/v1/apps` speak.

This module alone knows which path speaks which: the envelopes, and which of a value's fields either shows under which
name. Views answer with a Shown and know nothing of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder


class Dialect(Enum):
    """Each by the paths on which it is spoken; the first that fits."""

    APITALLY = r"/v1/(team|apps)(/|$)"
    DOCUMENTED = r"/v1(/|$)"
    SDK = r"/functions/v1(/|$)"

    @classmethod
    def of_path(cls, path: str) -> "Dialect | None":
        """None where no API is spoken (the admin, static files, health)."""
        return next((dialect for dialect in cls if re.match(dialect.value, path)), None)


class Kind(Enum):
    """What a value is, where the dialects show it differently."""

    PLAIN = "plain"
    KEY_USAGE = "key_usage"
    PLAN_USAGE = "plan_usage"
    CALLS = "calls"
    PLAN_USERS = "plan_users"
    PLAN_KEYS = "plan_keys"


@dataclass(frozen=True, slots=True)
class Shown:
    """A view's answer. `count` None = one object; else `data` is a page, and this is the total of all pages.

    `beside` is what the SDKs want around a page that the documentation shows bare.
    """

    data: Any
    count: int | None = None
    kind: Kind = Kind.PLAIN
    beside: Mapping[str, Any] | None = None


# Which of a value's fields each dialect shows; a field keeps its name unless it is renamed here.
SHOWN_FIELDS: dict[tuple[Kind, Dialect], dict[str, str]] = {
    (Kind.KEY_USAGE, Dialect.DOCUMENTED): {
        name: name for name in ("current_usage", "limit", "remaining", "reset_time", "period")
    },
    (Kind.KEY_USAGE, Dialect.SDK): {
        **{name: name for name in ("current_usage", "limit", "remaining", "reset_time", "period", "created_at")},
        "apiKeyId": "api_key_id",
        "apiKeyName": "api_key_name",
        "periodStart": "period_start",
        "periodEnd": "period_end",
        "totalRequests": "total_requests",
        "requestsInPeriod": "requests_in_period",
        "percentageUsed": "percentage_used",
        "planName": "plan_name",
        "isUnlimited": "is_unlimited",
    },
    (Kind.PLAN_USAGE, Dialect.DOCUMENTED): {
        name: name for name in ("total_users", "total_requests", "average_usage", "period")
    },
    (Kind.PLAN_USAGE, Dialect.SDK): {
        **{name: name for name in ("plan_id", "plan_name", "max_requests", "request_period", "total_requests")},
        **{name: name for name in ("percentage_used", "api_keys_count", "is_unlimited")},
        "users_count": "total_users",
    },
}
CALL_FIELDS = ("timestamp", "endpoint", "method", "status", "reason", "ip_address", "cost", "api_key_id")
SDK_CALL_FIELDS = ("api_key_id", "created_at", "endpoint", "method", "status_code", "response_time_ms")
SDK_PAGE_NAMES = {Kind.PLAN_USERS: "users", Kind.PLAN_KEYS: "api_keys"}


def envelope(dialect: Dialect, shown: Shown) -> dict[str, Any]:
    if shown.kind is Kind.CALLS:
        return _calls(dialect, shown)
    if dialect is Dialect.DOCUMENTED:
        return {"data": _pick(dialect, shown), "count": 1 if shown.count is None else shown.count}
    if name := SDK_PAGE_NAMES.get(shown.kind):
        return {"success": True, "data": {**(shown.beside or {}), name: shown.data}}
    if shown.count is None:
        return {"success": True, "data": _pick(dialect, shown)}
    return {"success": True, "data": shown.data, "count": shown.count}


def error_shape(
    dialect: Dialect | None,
    *,
    error: str,
    code: str,
    details: Mapping[str, str] | None = None,
    detail: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """`details` names the field in Limitly's dialects, `detail` the places in Apitally's."""
    if dialect is Dialect.APITALLY:
        return {"error": error, "code": code, "detail": error if detail is None else detail}
    shape: dict[str, Any] = {"error": error, "code": code}
    if details is not None:
        shape["details"] = details
    return {"success": False} | shape if dialect is Dialect.SDK else shape


def _pick(dialect: Dialect, shown: Shown) -> Any:
    fields = SHOWN_FIELDS.get((shown.kind, dialect))
    return {name: shown.data[of] for name, of in fields.items()} if fields else shown.data


def _calls(dialect: Dialect, shown: Shown) -> dict[str, Any]:
    """A page of history, inside of an object in both dialects."""
    if dialect is Dialect.DOCUMENTED:
        requests = [{name: call[name] for name in CALL_FIELDS if call.get(name) is not None} for call in shown.data]
        return {"data": {"requests": requests, "count": shown.count}, "count": 1}
    details = [
        {name: call[name] for name in SDK_CALL_FIELDS[:1] + SDK_CALL_FIELDS[2:]} | {"created_at": call["timestamp"]}
        for call in shown.data
    ]
    return {"success": True, "data": {**(shown.beside or {}), "requestsInPeriodDetails": details}}


class DialectRenderer(JSONRenderer):
    """JSON in the dialect that the path speaks."""

    encoder_class = JSONEncoder

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        context = renderer_context or {}
        dialect = Dialect.of_path(context["request"].path) if context.get("request") else None
        if isinstance(data, Shown):
            data = envelope(dialect or Dialect.DOCUMENTED, data)
        elif isinstance(data, dict) and "code" in data:
            data = error_shape(dialect, **data)
        body: bytes = super().render(data, accepted_media_type, renderer_context)
        return body


class DialectParser(JSONParser):
    """A JSON object without its nulls: the SDKs send every unset field as null. An empty body is an empty object."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = stream.read()
        if not body.strip():
            return {}
        try:
            given = json.loads(body.decode())
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            raise ParseError("The body is not JSON.") from error
        if given is None:
            return {}  # what the SDKs send where they have nothing to say
        if not isinstance(given, dict):
            raise ParseError("The body must be a JSON object.")
        return {name: value for name, value in given.items() if value is not None}


class AlwaysJson(BaseContentNegotiation):
    """Whatever a caller accepts: this API speaks JSON, in answers and in errors."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return parsers[0] if content_type in ("", "application/json") else None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type
