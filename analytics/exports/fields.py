"""Which fields the exports have, of which kind each is, and where it stands in the database (contract 1.8 and 1.9)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What a field's values are: it decides by which operators the field is filtered."""

    TEXT = auto()
    HEADERS = auto()  # pairs of name and value: a filter names the header
    MOMENT = auto()
    NUMBER = auto()
    ID = auto()
    TEXT_ID = auto()
    UUID = auto()
    LABEL = auto()  # a text by which metrics are grouped
    CODE = auto()  # a number by which metrics are grouped


@dataclass(frozen=True, slots=True)
class Field:
    """`column` is SQL for what filters compare, `shown` for what is shown where that differs.

    r is the request log, d its detail, t a row of traffic, v the environment, e the endpoint.
    """

    name: str
    kind: Kind
    column: str
    shown: str = ""
    is_default: bool = True
    is_always: bool = False

    @property
    def is_of_detail(self) -> bool:
        return self.column.startswith("d.")

    @property
    def as_shown(self) -> str:
        return self.shown or self.column


def _named(fields: Iterable[Field]) -> dict[str, Field]:
    return {field.name: field for field in fields}


# Shown in milliseconds, and therefore compared in them.
MILLISECOND: Final = "date_trunc('milliseconds', r.at)"
IN_UTC: Final = f"""to_char({MILLISECOND} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
PATH: Final = "nullif(e.path, '')"

REQUEST_FIELDS: Final = _named(
    [
        Field("timestamp", Kind.MOMENT, MILLISECOND, IN_UTC, is_always=True),
        Field("request_uuid", Kind.UUID, "r.uuid", "r.uuid::text", is_always=True),
        Field("env", Kind.TEXT, "v.name"),
        Field("method", Kind.TEXT, "e.method", is_always=True),
        Field("path", Kind.TEXT, PATH),
        Field("url", Kind.TEXT, "r.url", is_always=True),
        Field("consumer_id", Kind.ID, "r.consumer_id"),
        Field(
            "request_headers", Kind.HEADERS, "d.request_headers", "coalesce(d.request_headers, '[]')", is_default=False
        ),
        Field("request_size_bytes", Kind.NUMBER, "r.request_size_bytes"),
        Field("request_body_json", Kind.TEXT, "d.request_body", is_default=False),
        Field("status_code", Kind.NUMBER, "r.status_code"),
        Field("response_time_ms", Kind.NUMBER, "r.response_time_ms"),
        Field(
            "response_headers",
            Kind.HEADERS,
            "d.response_headers",
            "coalesce(d.response_headers, '[]')",
            is_default=False,
        ),
        Field("response_size_bytes", Kind.NUMBER, "r.response_size_bytes"),
        Field("response_body_json", Kind.TEXT, "d.response_body", is_default=False),
        Field("client_ip", Kind.TEXT, "host(r.client_ip)"),
        Field("client_country_iso_code", Kind.TEXT, "nullif(r.country, '')"),
        Field("exception_type", Kind.TEXT, "d.exception_type", is_default=False),
        Field("exception_message", Kind.TEXT, "d.exception_message", is_default=False),
        Field("exception_stacktrace", Kind.TEXT, "d.exception_stacktrace", is_default=False),
        Field("sentry_event_id", Kind.TEXT_ID, "d.sentry_event_id", is_default=False),
        Field("trace_id", Kind.UUID, "d.trace_id", "replace(d.trace_id::text, '-', '')", is_default=False),
    ]
)

# By what metrics are grouped and filtered. In traffic a consumer of 0 is none, and no path is ''.
METRIC_FIELDS: Final = _named(
    [
        Field("env", Kind.LABEL, "v.name"),
        Field("consumer_id", Kind.CODE, "nullif(t.consumer_id, 0)"),
        Field("method", Kind.LABEL, "e.method"),
        Field("path", Kind.LABEL, PATH),
        Field("status_code", Kind.CODE, "t.status_code"),
    ]
)
