"""What Apitally's operations take and answer, for the OpenAPI document (keys.api.openapi)."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.views import APIView

from analytics.api import exports, openapi_exports, views
from analytics.api.queries import (
    ID_MAX,
    INTERVALS,
    LIMIT_DEFAULT,
    LIMIT_MAX,
    METHOD_LENGTH,
    OLD_INTERVALS,
    PATH_LENGTH,
    STATUS_LENGTH,
    ZONE_LENGTH,
)
from analytics.api.serializers import AppSerializer, ConsumerSerializer, EndpointSerializer, TeamSerializer
from analytics.api.shapes import PeriodShape, RequestDetailsShape, RequestLogShape
from analytics.paging import TOKEN_LENGTH

ERRORS = {
    "400": "The format is not offered.",
    "422": "A parameter, or the body, cannot be used; `detail` names the places.",
}
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
UUID = {"type": "string", "format": "uuid"}
MOMENT = {"type": "string", "format": "date-time"}
PAGING = [
    _query("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}),
    _query("next_token", {"type": "string", "maxLength": TOKEN_LENGTH}, "of the page before; the rest may be left out"),
]
ROUTE_FILTERS = [
    _query("method", {"type": "string", "maxLength": METHOD_LENGTH}, "`GET,POST`"),
    _query("path", {"type": "string", "maxLength": PATH_LENGTH}, "`*` stands for anything: `/v1/*`"),
]
RANGE_FILTERS = [
    _query("app_env_id", ID),
    _query("consumer_id", ID),
    _query("start", MOMENT, "inclusive; without a zone, of `timezone`"),
    _query("end", MOMENT, "exclusive; now unless given"),
    _query("timezone", {"type": "string", "maxLength": ZONE_LENGTH, "default": "UTC"}, "of the IANA database"),
]
STATUS_FILTER = _query("status_code", {"type": "string", "maxLength": STATUS_LENGTH}, "codes and classes: `2xx,400`")
INTERVAL = [
    _query("interval", {"type": "string", "enum": list(INTERVALS), "default": "hour"}),
    _query("intervals", {"type": "string", "enum": list(OLD_INTERVALS)}, "as older clients say it; `interval` wins"),
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
            "parameters": [APP_ID, _query("app_env_id", ID), *ROUTE_FILTERS],
            "responses": {200: _many(EndpointSerializer, "Endpoint")},
        }
    },
    views.Traffic: {
        "get": {
            "summary": "An app's traffic by hour or day",
            "description": "Every period of the range in order, those without traffic too. `start` is moved to the "
            "beginning of its period: a day ago unless given, by day 30 days.",
            "parameters": [APP_ID, *RANGE_FILTERS, *INTERVAL, *PAGING],
            "responses": {200: _many(PeriodShape, "Traffic")},
        }
    },
    views.RequestLogList: {
        "get": {
            "summary": "List an app's request logs",
            "description": "Ascending by time, a day back unless `start` is given. A page may hold fewer than `limit` "
            "while `has_more` is true. Reports are up to an hour late: who follows the log reads the last hour again, "
            "and drops what it knows by `request_uuid`. SDKs may sample: how many requests there were, traffic says.",
            "parameters": [APP_ID, *RANGE_FILTERS, *ROUTE_FILTERS, STATUS_FILTER, *PAGING],
            "responses": {200: _many(RequestLogShape, "RequestLog")},
        }
    },
    views.RequestLogDetail: {
        "get": {
            "summary": "Read a request",
            "description": "With headers, bodies and exception where they were captured, and the spans and log lines "
            "of its trace that are its own.",
            "parameters": [APP_ID, OpenApiParameter("request_uuid", UUID, OpenApiParameter.PATH)],
            "responses": {200: RequestDetailsShape},
        }
    },
    **openapi_exports.OPERATIONS,
    exports.RequestLogs: {},  # both are told above, of the views that it is made of
}
