"""What the two exports take and answer, for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.views import APIView

from accounts.api.streaming import NDJSON
from analytics.api import exports
from analytics.api.queries import ID_MAX
from analytics.exports.fields import METRIC_FIELDS, REQUEST_FIELDS, Field
from analytics.exports.filters import FILTERS_MAX, OPERATORS
from analytics.exports.metrics_export import METRICS
from analytics.exports.parsing import LIST_LENGTH, TEXT_LENGTH
from analytics.exports.request_export import RATE_MAX, ROWS_MAX
from analytics.periods import Interval

Schema = dict[str, Any]
APP_ID = OpenApiParameter("app_id", {"type": "integer", "minimum": 1, "maximum": ID_MAX}, OpenApiParameter.PATH)
MOMENT: Schema = {"type": "string", "format": "date-time"}
TEXT: Schema = {"type": "string", "maxLength": TEXT_LENGTH}
FORMAT: Schema = {"type": "string", "enum": ["ndjson"], "default": "ndjson"}


def _names(names: list[str], **more: Any) -> Schema:
    return {"type": "array", "items": {"type": "string", "enum": names}, "maxItems": LIST_LENGTH, **more}


def _filters(fields: dict[str, Field]) -> Schema:
    """All have to hold. Which operators a field knows follows from its kind."""
    operators = sorted({operator for field in fields.values() for operator in OPERATORS[field.kind]})
    value = {"oneOf": [TEXT, {"type": "integer"}, {"type": "array", "maxItems": LIST_LENGTH, "items": {}}]}
    item = {
        "type": "object",
        "required": ["field", "op"],
        "properties": {
            "field": {"type": "string", "enum": list(fields)},
            "op": {"type": "string", "enum": operators},
            "value": value | {"description": "a list for in and not_in; none where the operator says it all"},
            "key": TEXT | {"description": "of headers: the header's name"},
        },
    }
    return {"type": "array", "items": item, "maxItems": FILTERS_MAX}


def _body(required: list[str], properties: Schema) -> Schema:
    return {"application/json": {"type": "object", "required": required, "properties": properties}}


ROWS = {
    (200, NDJSON): OpenApiResponse({"type": "string"}, description="A JSON object a line. Cut off = not the whole."),
}
REQUEST_LOGS = _body(
    ["since"],
    {
        "format": FORMAT,
        "since": MOMENT | {"description": "inclusive; without offset it is UTC"},
        "until": MOMENT | {"description": "exclusive; now if not given"},
        "fields": _names(list(REQUEST_FIELDS), description="instead of the usual ones"),
        "filters": _filters(REQUEST_FIELDS),
        "sample": {
            "description": "about how many rows, or which share of them; the same requests each time",
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": ROWS_MAX},
                {"type": "number", "exclusiveMinimum": 0, "maximum": RATE_MAX},
            ],
        },
        "limit": {"type": "integer", "minimum": 1, "maximum": ROWS_MAX, "default": ROWS_MAX},
    },
)
METRICS_BODY = _body(
    ["since", "metrics"],
    {
        "format": FORMAT,
        "since": MOMENT | {"description": "inclusive; without offset it is of `timezone`"},
        "until": MOMENT | {"description": "exclusive; now if not given"},
        "metrics": _names(list(METRICS), minItems=1),
        "interval": {"type": "string", "enum": list(Interval), "description": "not given: the whole range is one"},
        "group_by": _names(list(METRIC_FIELDS)),
        "filters": _filters(METRIC_FIELDS),
        "timezone": TEXT | {"default": "UTC", "description": "of IANA, for the boundaries of periods"},
    },
)

OPERATIONS: dict[type[APIView], dict[str, dict[str, Any]]] = {
    exports.RequestLogExport: {
        "post": {
            "summary": "Export request logs",
            "description": "Ascending by time. `…/request-logs/stream` is the same operation under its older name.",
            "parameters": [APP_ID],
            "request": REQUEST_LOGS,
            "responses": ROWS,
        }
    },
    exports.MetricsExport: {
        "post": {
            "summary": "Export metrics",
            "description": "A row for each period and group; without `group_by` for every period.",
            "parameters": [APP_ID],
            "request": METRICS_BODY,
            "responses": ROWS,
        }
    },
}
