"""What the paths of reports take and answer, for the OpenAPI document: from what the parsers read and ingest answers.

OTLP's bodies are told by their own specification; the hub's are made of the structs that its parsers decode.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from analytics.ingest import answers
from analytics.ingest.answers import HUB_MAX_BYTES, OTLP_MAX_BYTES, HubError, Refusal, RpcStatus
from analytics.ingest.arrivals import HUB, HUB_KINDS, OTLP_KINDS
from analytics.reports.captured import ExceptionSeen, RequestSeen, ResponseSeen
from analytics.reports.hub import ConsumerSeen, ErrorSeen, RequestsSeen, ResourcesSeen, SyncSeen
from analytics.reports.hub_log import LineSeen
from analytics.reports.hub_spans import LogSeen, SpanSeen
from analytics.reports.hub_startup import PathSeen, StartupSeen
from analytics.reports.logpush import WorkerLog, WorkerTrace

Schema = dict[str, Any]
TAG: Final = "reports"
JSON, PROTOBUF, BYTES = "application/json", "application/x-protobuf", "application/octet-stream"
OTLP_SPECIFICATION: Final = "https://opentelemetry.io/docs/specs/otlp/"

LATER: Final = (answers.TOO_SLOW, answers.NO_ROOM, answers.BACKLOG, answers.UNREACHABLE, answers.ELSEWHERE)
OTLP_REFUSALS: Final = (
    answers.WRONG_ENCODING,
    answers.UNKNOWN_TOKEN,
    answers.WRONG_METHOD,
    answers.OTLP_TOO_LARGE,
    answers.WRONG_TYPE,
    answers.TOO_MANY,
    answers.FAILED,
    *LATER,
)
HUB_REFUSALS: Final = (
    answers.WRONG_ENCODING,
    answers.UNKNOWN_CLIENT,
    answers.NO_SUCH_PATH,
    answers.WRONG_METHOD,
    answers.HUB_TOO_LARGE,
    answers.TOO_MANY,
    answers.FAILED,
    *LATER,
)

_HEADERS: Final[Schema] = {
    "type": "array",
    "items": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
    "description": "[[name, value], …]",
}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_CONSUMER: Final[Schema] = {
    "type": ["string", "integer", "object", "null"],
    "properties": {"identifier": {"type": ["string", "integer", "null"]}},
    "description": "its identifier, or an object that holds it",
}
_BASE64: Final[Schema] = {"type": ["string", "null"], "contentEncoding": "base64"}
_DOCUMENT: Final[Schema] = {"type": ["string", "null"], "contentMediaType": JSON, "description": "OpenAPI, as text"}


def _many(item: type[msgspec.Struct]) -> Schema:
    return {"type": ["array", "null"], "items": {"$ref": _reference(item)}}


def _one(item: type[msgspec.Struct]) -> Schema:
    return {"oneOf": [{"$ref": _reference(item)}, {"type": "null"}]}


def _reference(struct: type[msgspec.Struct]) -> str:
    return f"#/components/schemas/{_name(struct)}"


def _name(struct: type[msgspec.Struct]) -> str:
    """`SyncSeen` -> `HubSync`."""
    return f"Hub{struct.__name__.removesuffix('Seen')}"


# What stands in fields that parsers leave for later: raw JSON, whose form the type does not tell.
PARTS: Final[Mapping[type[msgspec.Struct], Mapping[str, Schema]]] = {
    StartupSeen: {"versions": _TEXTS, "paths": _many(PathSeen), "openapi": _DOCUMENT},
    PathSeen: {},
    SyncSeen: {
        "requests": _many(RequestsSeen),
        "validation_errors": _many(ErrorSeen),
        "server_errors": _many(ErrorSeen),
        "consumers": _many(ConsumerSeen),
        "resources": _one(ResourcesSeen),
    },
    RequestsSeen: {"consumer": _CONSUMER},
    ErrorSeen: {"consumer": _CONSUMER},
    ConsumerSeen: {},
    ResourcesSeen: {},
    LineSeen: {
        "request": _one(RequestSeen),
        "response": _one(ResponseSeen),
        "exception": _one(ExceptionSeen),
        "logs": _many(LogSeen),
        "spans": _many(SpanSeen),
    },
    RequestSeen: {"headers": _HEADERS, "consumer": _CONSUMER, "body": _BASE64},
    ResponseSeen: {"headers": _HEADERS, "body": _BASE64},
    ExceptionSeen: {},
    LogSeen: {},
    SpanSeen: {"attributes": {"type": "object"}},
    WorkerTrace: {"Event": {"type": "object"}, "Logs": _many(WorkerLog)},
    WorkerLog: {"Message": {"type": ["string", "array", "null"], "description": "what console.log was given"}},
}
OTLP_MESSAGES: Final = {
    "traces": "ExportTraceServiceRequest",
    "logs": "ExportLogsServiceRequest",
    "metrics": "ExportMetricsServiceRequest",
}
HUB_SAYS: Final = {
    "startup": "A process began: its routes, versions and, where known, its OpenAPI document.",
    "sync": "What was counted since the last sync, errors, consumers and resources; an empty one is a heartbeat.",
    "log": "Request logs: gzip of JSON lines, each a HubLine. `uuid` names the file: sent again, it counts once.",
    "logpush": "Workers' trace events as Cloudflare's Logpush sends them; their logs hold a serverless SDK's reports.",
}


def paths() -> dict[str, Schema]:
    """Every path on which reports are taken in."""
    otlp = {path: {"post": _otlp(path.removeprefix("/v1/"))} for path in OTLP_KINDS}
    return otlp | {f"{HUB}{{client_id}}/{{env}}/{kind}": {"post": _hub(kind)} for kind in HUB_KINDS}


def schemas() -> dict[str, Schema]:
    errors = {kind.__name__: msgspec.json.schema(kind)["$defs"][kind.__name__] for kind in (HubError, RpcStatus)}
    return errors | {_name(struct): _struct(struct, parts) for struct, parts in PARTS.items()}


SECURITY_SCHEMES: Final[dict[str, Schema]] = {
    "writeToken": {"type": "http", "scheme": "bearer", "description": "A write token of the app: `apt_…`"}
}


def _struct(struct: type[msgspec.Struct], parts: Mapping[str, Schema]) -> Schema:
    """Every field is optional, and what is not known is ignored."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    properties = {name: parts[name] if name in parts else msgspec.json.schema(kind) for name, kind in fields.items()}
    return {"type": "object", "properties": properties}


def _otlp(signal: str) -> Schema:
    return {
        "operationId": f"report_{signal}",
        "summary": f"Report {signal} (OTLP)",
        "description": f"One or more concatenated {OTLP_MESSAGES[signal]} of [OTLP/HTTP]({OTLP_SPECIFICATION}), up to "
        f"{OTLP_MAX_BYTES} bytes as sent, 16 MiB decompressed. 200 says that it is on disk, not that it can be used. "
        "The same report again counts once.",
        "tags": [TAG],
        "security": [{"writeToken": []}],
        "parameters": [_ENVIRONMENT, _ENCODING],
        "requestBody": {"required": True, "content": {PROTOBUF: {"schema": {}}, JSON: {"schema": {"type": "object"}}}},
        "responses": {
            "200": {
                "description": "In the inbox; an empty Export…ServiceResponse",
                "headers": _INTERVAL,
                "content": {PROTOBUF: {"schema": {}}, JSON: {"schema": {"type": "object", "maxProperties": 0}}},
            }
        }
        | _refused(OTLP_REFUSALS, {PROTOBUF: {"schema": {}}, JSON: {"schema": {"$ref": _ref(RpcStatus)}}}, _INTERVAL),
    }


def _hub(kind: str) -> Schema:
    client_id = {"name": "client_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    environment = {
        "name": "env",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": r"^[\w-]{1,32}$"},
    }
    uuid = {"name": "uuid", "in": "query", "schema": {"type": "string", "format": "uuid"}, "description": "the file's"}
    return {
        "operationId": f"report_hub_{kind}",
        "summary": f"Report to the hub: {kind} (SDKs 0.x)",
        "description": f"{HUB_SAYS[kind]} Up to {HUB_MAX_BYTES} bytes as sent, 16 MiB decompressed. 202 says that it "
        "is on disk, not that it can be used. The client id is the only credential; upon 404 an SDK stops for good.",
        "tags": [TAG],
        "security": [],
        "parameters": [client_id, environment, *([uuid] if kind == "log" else []), _ENCODING],
        "requestBody": {"required": True, "content": _HUB_BODIES[kind]},
        "responses": {
            "202": {
                "description": "In the inbox",
                "headers": {},
                "content": {JSON: {"schema": {"type": "object", "maxProperties": 0}}},
            }
        }
        | _refused(HUB_REFUSALS, {JSON: {"schema": {"$ref": _ref(HubError)}}}, {}),
    }


def _refused(refusals: Iterable[Refusal], content: Schema, headers: Schema) -> Schema:
    """By status, with all its sentences; each with the headers that at least one of its refusals has."""
    by_status: dict[int, list[Refusal]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    return {
        str(status): {
            "description": ". ".join(refusal.sentence for refusal in alike) + ".",
            "headers": headers | _SPECIAL.get(status, {}),
            "content": content,
        }
        for status, alike in sorted(by_status.items())
    }


def _ref(kind: type[msgspec.Struct]) -> str:
    return f"#/components/schemas/{kind.__name__}"


def _header(name: str, schema: Schema, says: str) -> Schema:
    return {"name": name, "in": "header", "schema": schema, "description": says}


_ENVIRONMENT: Final = _header("Apitally-Env", {"type": "string"}, "where the resource names none; else it is `prod`")
_ENCODING: Final = _header("Content-Encoding", {"type": "string", "enum": ["gzip", "identity"]}, "of the body")
_INTERVAL: Final[Schema] = {
    "Apitally-Export-Interval": {
        "schema": {"type": "integer"},
        "description": "Seconds between exports that are asked for",
    }
}
_RETRY_AFTER: Final[Schema] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds"}}
_SPECIAL: Final[Mapping[int, Schema]] = {
    405: {"Allow": {"schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
_HUB_BODIES: Final[Mapping[str, Schema]] = {
    "startup": {JSON: {"schema": {"$ref": _reference(StartupSeen)}}},
    "sync": {JSON: {"schema": {"$ref": _reference(SyncSeen)}}},
    "log": {BYTES: {"schema": {}}},
    "logpush": {JSON: {"schema": {"type": "array", "items": {"$ref": _reference(WorkerTrace)}}}, BYTES: {"schema": {}}},
}
