"""What Apitally's operations take and answer, for the OpenAPI document (keys.api.openapi)."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.views import APIView

from analytics.api import openapi_exports, views
from analytics.api.queries import ID_MAX, LIMIT_DEFAULT, LIMIT_MAX
from analytics.api.serializers import AppSerializer, ConsumerSerializer, EndpointSerializer, TeamSerializer
from analytics.paging import TOKEN_LENGTH

UNPROCESSABLE = "A parameter, or the body, cannot be used; `detail` names the places."
ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "code", "detail"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "detail": {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["loc", "msg", "type"],
                        "properties": {
                            "loc": {"type": "array", "items": {"type": "string"}},
                            "msg": {"type": "string"},
                            "type": {"type": "string"},
                        },
                    },
                },
            ]
        },
    },
}


def _query(name: str, kind: dict[str, Any], says: str = "") -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=says)


def _many(shape: Any, name: str) -> Any:
    fields = {
        "data": shape(many=True),
        "has_more": serializers.BooleanField(),
        "next_token": serializers.CharField(allow_null=True, help_text="valid 24 hours; null on the last page"),
    }
    return inline_serializer(f"{name}Page", fields)


ID = {"type": "integer", "minimum": 1, "maximum": ID_MAX}
APP_ID = OpenApiParameter("app_id", ID, OpenApiParameter.PATH)
MOMENT = {"type": "string", "format": "date-time"}
PAGING = [
    _query("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}),
    _query("next_token", {"type": "string", "maxLength": TOKEN_LENGTH}, "of the page before; the rest may be left out"),
]
ENDPOINT_FILTERS = [
    _query("app_env_id", ID),
    _query("method", {"type": "string", "maxLength": 64}, "`GET,POST`"),
    _query("path", {"type": "string", "maxLength": 1024}, "`*` stands for anything: `/v1/*`"),
]

OPERATIONS: dict[type[APIView], dict[str, dict[str, Any]]] = {
    views.Team: {"get": {"summary": "Whose access key this is", "responses": {200: TeamSerializer}}},
    views.AppList: {"get": {"summary": "List apps", "responses": {200: _many(AppSerializer, "App")}}},
    views.ConsumerList: {
        "get": {
            "summary": "List an app's consumers",
            "parameters": [
                APP_ID,
                _query("requests_since", MOMENT, "only those with requests since then"),
                *PAGING,
            ],
            "responses": {200: _many(ConsumerSerializer, "Consumer")},
        }
    },
    views.EndpointList: {
        "get": {
            "summary": "List an app's endpoints",
            "parameters": [APP_ID, *ENDPOINT_FILTERS],
            "responses": {200: _many(EndpointSerializer, "Endpoint")},
        }
    },
    **openapi_exports.OPERATIONS,
}
