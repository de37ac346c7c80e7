"""The OpenAPI 3.1 document at /v1/schema: what each operation takes and answers, validate's from its own types."""

from functools import lru_cache
from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from analytics.api import openapi as analytics
from analytics.api import openapi_ingest as ingest
from keys.api import serializers as shapes
from keys.api import views
from keys.models import ApiKeyStatus
from keys.validation.parsing import ValidateBody
from keys.validation.replies import AllowedBody, FaultBody, OverQuotaBody
from limitly_site.dialects import Dialect
from limitly_site.pagination import DEFAULT_LIMIT, LIMIT_MAX, ROW_MAX
from plans.api import views as plan_views
from plans.api.serializers import PERIODS, PlanInput, PlanSerializer, UserInput, UserSerializer

INTRODUCTION = """Plans, users, API keys, and the question on every request: may it pass?

What was observed of your own applications (`/v1/team`, `/v1/apps`) is read as from Apitally. Its SDKs, and any
OpenTelemetry SDK, report it to the paths of `reports`, with credentials of the app.

Authenticate with `Authorization: Bearer lk_…` or `Api-Key: lk_…`. The same operations are at `/functions/v1` in the
shape that Limitly's official SDKs expect, Apitally's aside."""
ERRORS = {
    "400": "Something in the request is wrong; `details` names the field.",
    "401": "No access key, or none that is live.",
    "403": "The access key lacks the scope.",
    "404": "There is no such thing, or it is another account's.",
    "405": "Another method: see `Allow`.",
    "413": "The body is too large.",
    "415": "The body is not `application/json`.",
    "429": "The access key's minute is used up: see `Retry-After`.",
    "500": "Our fault.",
    "503": "A store cannot be reached: see `Retry-After`.",
}
ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "details": {
            "type": "object",
            "required": ["field", "message"],
            "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}


class UsageShape(serializers.Serializer[Any]):
    current_usage = serializers.IntegerField()
    limit = serializers.IntegerField(help_text="-1 = unlimited")
    remaining = serializers.IntegerField(help_text="-1 = unlimited")
    reset_time = serializers.DateTimeField(allow_null=True)
    period = serializers.ChoiceField(choices=PERIODS)


class UserUsageShape(serializers.Serializer[Any]):
    type = serializers.CharField()
    user_name = serializers.CharField()
    current_usage = serializers.IntegerField()
    limit = serializers.IntegerField()
    percentage_used = serializers.FloatField()
    plan_name = serializers.CharField(allow_null=True)
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    is_unlimited = serializers.BooleanField()


class PlanUsageShape(serializers.Serializer[Any]):
    total_users = serializers.IntegerField()
    total_requests = serializers.IntegerField()
    average_usage = serializers.FloatField()
    period = serializers.ChoiceField(choices=PERIODS)


class CallShape(serializers.Serializer[Any]):
    timestamp = serializers.DateTimeField()
    endpoint = serializers.CharField()
    method = serializers.CharField()
    status = serializers.ChoiceField(choices=["allowed", "denied"])
    reason = serializers.CharField(required=False)
    ip_address = serializers.CharField(required=False)
    cost = serializers.IntegerField()
    api_key_id = serializers.CharField()


class CallsShape(serializers.Serializer[Any]):
    requests = CallShape(many=True)
    count = serializers.IntegerField(help_text="of all that match; counted up to 10,000 where filters are given")


class DeletedShape(serializers.Serializer[Any]):
    message = serializers.CharField()


def _one(shape: Any, name: str) -> Any:
    return inline_serializer(f"{name}Answer", {"data": shape(), "count": serializers.IntegerField(default=1)})


def _many(shape: Any, name: str) -> Any:
    return inline_serializer(f"{name}List", {"data": shape(many=True), "count": serializers.IntegerField()})


def _query(name: str, kind: type | dict[str, Any] = str, says: str = "") -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=says)


PAGING = [
    _query("page", {"type": "integer", "minimum": 1, "maximum": ROW_MAX, "default": 1}),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": DEFAULT_LIMIT}),
]
KEY_FILTERS = [
    _query("user_id", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}),
    _query("plan_id"),
    _query("status", {"type": "string", "enum": list(ApiKeyStatus.values)}),
    _query("search", says="in the name, or the whole id"),
]
USER_FILTERS = [
    _query("email"),
    _query("search", says="in name and e-mail"),
    _query("is_disabled", {"type": "string", "enum": ["true", "false"]}),
    _query("plan_id"),
]
HISTORY_FILTERS = [
    _query("start", {"type": "string", "format": "date-time"}, "inclusive"),
    _query("end", {"type": "string", "format": "date-time"}, "exclusive"),
    _query("status", {"type": "string", "enum": ["allowed", "denied"]}),
    _query("method"),
    _query("endpoint"),
]
KEY, KEYS = _one(shapes.ApiKeySerializer, "ApiKey"), _many(shapes.ApiKeySerializer, "ApiKey")
ISSUED = _one(shapes.IssuedApiKeySerializer, "IssuedApiKey")
PLAN, PLANS = _one(PlanSerializer, "Plan"), _many(PlanSerializer, "Plan")
USER, USERS = _one(UserSerializer, "User"), _many(UserSerializer, "User")
CALLS, DELETED = _one(CallsShape, "Calls"), _one(DeletedShape, "Deleted")

OPERATIONS: dict[type[APIView], dict[str, dict[str, Any]]] = {
    views.ApiKeyList: {
        "get": {"summary": "List API keys", "parameters": PAGING + KEY_FILTERS, "responses": {200: KEYS}},
        "post": {"summary": "Issue an API key", "request": shapes.ApiKeyInput, "responses": {201: ISSUED}},
    },
    views.ApiKeyDetail: {
        "get": {"summary": "Read an API key", "responses": {200: KEY}},
        "put": {"summary": "Change an API key", "request": shapes.ApiKeyInput(partial=True), "responses": {200: KEY}},
        "delete": {"summary": "Delete an API key", "responses": {200: DELETED}},
    },
    views.ApiKeyRegenerate: {
        "post": {
            "summary": "Replace an API key's secret",
            "request": shapes.RegenerateInput,
            "responses": {200: ISSUED},
        }
    },
    views.ApiKeyUsage: {"get": {"summary": "An API key's usage", "responses": {200: _one(UsageShape, "KeyUsage")}}},
    views.ApiKeyRequests: {
        "get": {"summary": "An API key's history", "parameters": PAGING + HISTORY_FILTERS, "responses": {200: CALLS}}
    },
    plan_views.PlanList: {
        "get": {"summary": "List plans", "parameters": PAGING, "responses": {200: PLANS}},
        "post": {"summary": "Create a plan", "request": PlanInput, "responses": {201: PLAN}},
    },
    views.PlanDetail: {
        "get": {"summary": "Read a plan", "responses": {200: PLAN}},
        "put": {"summary": "Change a plan", "request": PlanInput(partial=True), "responses": {200: PLAN}},
        "delete": {"summary": "Delete a plan", "responses": {200: DELETED}},
    },
    views.PlanUsage: {"get": {"summary": "A plan's usage", "responses": {200: _one(PlanUsageShape, "PlanUsage")}}},
    plan_views.PlanUsers: {"get": {"summary": "A plan's users", "parameters": PAGING, "responses": {200: USERS}}},
    views.PlanKeys: {"get": {"summary": "A plan's own API keys", "parameters": PAGING, "responses": {200: KEYS}}},
    plan_views.UserList: {
        "get": {"summary": "List users", "parameters": PAGING + USER_FILTERS, "responses": {200: USERS}},
        "post": {"summary": "Register a user", "request": UserInput, "responses": {201: USER}},
    },
    views.UserDetail: {
        "get": {"summary": "Read a user", "responses": {200: USER}},
        "put": {"summary": "Change a user", "request": UserInput(partial=True), "responses": {200: USER}},
        "delete": {"summary": "Delete a user", "responses": {200: DELETED}},
    },
    views.UserUsage: {"get": {"summary": "A user's usage", "responses": {200: _one(UserUsageShape, "UserUsage")}}},
    views.UserKeys: {
        "get": {"summary": "A user's API keys", "parameters": PAGING, "responses": {200: KEYS}},
        "post": {"summary": "Issue an API key for a user", "request": shapes.UserKeyInput, "responses": {201: ISSUED}},
    },
    views.UserRequests: {
        "get": {"summary": "A user's history", "parameters": PAGING + HISTORY_FILTERS, "responses": {200: CALLS}}
    },
    **analytics.OPERATIONS,
}


class Schema(APIView):
    """Public, and outside the budget; made once a process."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(document(), content_type="application/vnd.oai.openapi+json")


@lru_cache(maxsize=1)
def document() -> bytes:
    for view, operations in OPERATIONS.items():
        described = {
            method: extend_schema(operation_id=_name(told["summary"]), **told) for method, told in operations.items()
        }
        extend_schema_view(**described)(view)
    generator: Any = SchemaGenerator  # untyped in its package
    rendered: bytes = OpenApiJsonRenderer().render(generator().get_schema(request=None, public=True))
    return rendered


def _name(summary: str) -> str:
    """`An API key's usage` -> `an_api_keys_usage`."""
    return "_".join(summary.lower().replace("'", "").split())


def only_documented(endpoints: list[tuple[Any, ...]], **_: object) -> list[tuple[Any, ...]]:
    """drf-spectacular's preprocessing hook: each operation once, under /v1."""
    return [endpoint for endpoint in endpoints if endpoint[3].cls in OPERATIONS and endpoint[0].startswith("/v1/")]


def complete(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: validate, reports, what any operation may answer, the credentials."""
    schemas = result["components"].setdefault("schemas", {})
    schemas |= {"Error": ERROR_SCHEMA, "ApitallyError": analytics.ERROR_SCHEMA} | ingest.schemas()
    result["info"]["description"] = INTRODUCTION
    result["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "Api-Key"},
    } | ingest.SECURITY_SCHEMES
    result["security"] = [{"bearer": []}, {"apiKey": []}]
    for path, operations in result["paths"].items():
        for operation in operations.values():
            operation.pop("security", None)
            _add_errors(path, operation)
    result["paths"] = {"/v1/validate": {"post": _validate(schemas)}, **result["paths"], **ingest.paths()}
    return result


def _validate(schemas: dict[str, Any]) -> dict[str, Any]:
    types = [ValidateBody, AllowedBody, OverQuotaBody, FaultBody]
    _, described = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas |= described
    answers = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (AllowedBody, OverQuotaBody)]
    operation: dict[str, Any] = {
        "operationId": "validate",
        "summary": "May this request pass?",
        "description": "Counts it if so. Over the quota is 200 with `success: false`.",
        "tags": ["validate"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ValidateBody"}}},
        },
        "responses": {
            "200": {"description": "Decided", "content": {"application/json": {"schema": {"oneOf": answers}}}}
        },
    }
    _add_errors("/v1/validate", operation)
    return operation


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    shape, errors = "Error", ERRORS
    if path == "/v1/validate":
        shape = "FaultBody"
    elif Dialect.of_path(path) is Dialect.APITALLY:
        shape, errors = "ApitallyError", ERRORS | analytics.ERRORS
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
    for status, says in errors.items():
        operation["responses"].setdefault(status, {"description": says, "content": content})
