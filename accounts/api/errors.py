"""How whatever goes wrong behind the API is answered: one table, in the API's shape, never HTML."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.errors import NotFoundError, RefusedError
from keys.invalidation import NotYetInForce
from limitly_site.dialects import Dialect, error_shape

RETRY_AFTER_S = "1"
UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout, RedisError)
CODES: dict[type[exceptions.APIException], str] = {
    exceptions.NotAuthenticated: "UNAUTHORIZED",
    exceptions.AuthenticationFailed: "INVALID_API_KEY",
    exceptions.PermissionDenied: "FORBIDDEN",
    exceptions.NotFound: "NOT_FOUND",
    exceptions.MethodNotAllowed: "METHOD_NOT_ALLOWED",
    exceptions.UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE",
    exceptions.ParseError: "VALIDATION_ERROR",
}
logger = logging.getLogger(__name__)


def answer_exception(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: also for what is nobody's wish, so that no stack trace leaves the house."""
    match error:
        case Http404():
            return _error(404, "Not found", "NOT_FOUND")
        case PermissionDenied():
            return _error(403, "Not allowed", "FORBIDDEN")
        case exceptions.ValidationError():
            field, message = _first(error.detail)
            return _error(400, message, "VALIDATION_ERROR", details={"field": field, "message": message})
        case NotFoundError():
            return _error(400, str(error), error.code, details={"field": error.field, "message": str(error)})
        case RefusedError():
            return _error(400, str(error), error.code)
        case NotYetInForce():
            return _error(503, "Saved, but not yet in force: it will be once Redis answers", "SERVICE_UNAVAILABLE")
        case exceptions.APIException():
            return _api_exception(error)
    if isinstance(error, UNREACHABLE):
        logger.warning("a store cannot be reached: %s: %s", type(error).__name__, error)
        return _error(503, "The stores cannot be reached", "SERVICE_UNAVAILABLE")
    logger.error("%s failed", context["request"].path, exc_info=error)
    return _error(500, "Something went wrong on our side", "INTERNAL_ERROR")


def answer_plainly(status: int, sentence: str, code: str) -> Any:
    """A Django error view (handler400…): JSON on the API's paths, a plain sentence elsewhere."""

    def view(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
        dialect = Dialect.of_path(request.path)
        if dialect is None:
            return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
        return JsonResponse(error_shape(dialect, error=sentence, code=code), status=status)

    return view


bad_request = answer_plainly(400, "Bad request: is the host in LIMITLY_ALLOWED_HOSTS?", "VALIDATION_ERROR")
forbidden = answer_plainly(403, "Not allowed", "FORBIDDEN")
not_found = answer_plainly(404, "Not found", "NOT_FOUND")
failed = answer_plainly(500, "Something went wrong on our side", "INTERNAL_ERROR")


def _error(status: int, error: str, code: str, *, details: dict[str, str] | None = None) -> Response:
    shape: dict[str, Any] = {"error": error, "code": code} | ({"details": details} if details else {})
    headers = {"Retry-After": RETRY_AFTER_S} if status == 503 else None
    return Response(shape, status=status, headers=headers)


def _api_exception(error: exceptions.APIException) -> Response:
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), "VALIDATION_ERROR")
    response = _error(error.status_code, _first(error.detail)[1], code)
    if isinstance(error, exceptions.ParseError):
        response.data["details"] = {"field": "", "message": _first(error.detail)[1]}
    return response


def _first(detail: Any, field: str = "") -> tuple[str, str]:
    """The first field and message of DRF's nested details."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        return _first(inner, "" if name == "non_field_errors" else str(name))
    if isinstance(detail, list):
        return _first(detail[0], field)
    return field, str(detail)
