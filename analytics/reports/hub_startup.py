"""What a process that began tells of itself: client, versions, endpoints, and what OpenAPI says of them."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.json import Decoder

from analytics.observations import BadReport, EndpointTold, Startup
from analytics.reports.cleaning import clean
from analytics.reports.hub_json import NOTHING, Items, Tally, read
from analytics.reports.hub_values import method_of, route_of, text_of

CLIENT_LENGTH, VERSION_LENGTH, VERSIONS_MAX = 64, 64, 64
SUMMARY_LENGTH, DESCRIPTION_LENGTH = 256, 4096


class StartupSeen(msgspec.Struct, gc=False):
    message_uuid: str | None = None
    instance_uuid: str | None = None
    client: str | None = None
    versions: msgspec.Raw = NOTHING
    paths: msgspec.Raw = NOTHING
    openapi: msgspec.Raw = NOTHING


class PathSeen(msgspec.Struct, gc=False):
    method: str | None = None
    path: str | None = None
    summary: str | None = None
    description: str | None = None


class OpenApiSeen(msgspec.Struct, gc=False):
    paths: dict[str, msgspec.Raw] = {}


class OperationSeen(msgspec.Struct, gc=False):
    summary: str | None = None
    description: str | None = None


Endpoints = dict[tuple[str, str], EndpointTold]

_PATHS: Final = Items(list[PathSeen], PathSeen)
_VERSIONS: Final = Decoder(dict[str, object])
_TEXT: Final = Decoder(str)
_OPENAPI: Final = Decoder(OpenApiSeen)
_OPERATIONS: Final = Decoder(dict[str, msgspec.Raw])
_OPERATION: Final = Decoder(OperationSeen)
_NO_OPERATION: Final = msgspec.Raw(b"{}")


def startup_of(seen: StartupSeen, *, at: datetime, tally: Tally) -> Startup:
    """Errors: BadReport too_many."""
    endpoints: Endpoints = {}
    for endpoint in tally.kept(_PATHS.read(seen.paths, tally), _endpoint):
        endpoints.setdefault((endpoint.method, endpoint.path), endpoint)
    if seen.openapi != NOTHING:
        _describe(endpoints, seen.openapi, tally)
    return Startup(
        at=at,
        client=text_of(seen.client, CLIENT_LENGTH),
        versions=_versions(seen.versions, tally),
        endpoints=tuple(endpoints.values()),
    )


def _endpoint(seen: PathSeen) -> EndpointTold:
    return EndpointTold(
        method_of(seen.method),
        route_of(seen.path),
        summary=text_of(seen.summary, SUMMARY_LENGTH),
        description=text_of(seen.description, DESCRIPTION_LENGTH),
    )


def _versions(raw: msgspec.Raw, tally: Tally) -> dict[str, str]:
    if raw == NOTHING:
        return {}
    try:
        told = read(raw, _VERSIONS)
    except BadReport as bad:
        tally.drop(bad.reason)
        return {}
    texts = [(name, version) for name, version in told.items() if isinstance(version, str) and version]
    return {clean(name, VERSION_LENGTH): clean(version, VERSION_LENGTH) for name, version in texts[:VERSIONS_MAX]}


def _describe(endpoints: Endpoints, raw: msgspec.Raw, tally: Tally) -> None:
    """Adds what an OpenAPI document, a JSON text within the JSON, says of endpoints that were told."""
    try:
        document = read(read(raw, _TEXT).encode(), _OPENAPI)
    except BadReport:
        tally.drop("bad_openapi")
        return
    for key, endpoint in endpoints.items():
        if endpoint.path in document.paths and not (endpoint.summary and endpoint.description):
            endpoints[key] = _described(endpoint, document.paths[endpoint.path], tally)


def _described(endpoint: EndpointTold, path_item: msgspec.Raw, tally: Tally) -> EndpointTold:
    try:
        operations = read(path_item, _OPERATIONS)
        operation = read(operations.get(endpoint.method.lower(), _NO_OPERATION), _OPERATION)
    except BadReport:
        tally.drop("bad_openapi")
        return endpoint
    return EndpointTold(
        endpoint.method,
        endpoint.path,
        summary=endpoint.summary or text_of(operation.summary, SUMMARY_LENGTH),
        description=endpoint.description or text_of(operation.description, DESCRIPTION_LENGTH),
    )
