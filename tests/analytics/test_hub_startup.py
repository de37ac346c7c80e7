"""What a process says of itself when it begins."""

import gzip
import json
from collections import Counter

import pytest

from analytics.observations import EndpointTold
from analytics.reports.parsing import parse_report
from tests.analytics.hub_reports import observed, parsed, report

OPENAPI = {
    "openapi": "3.1.0",
    "paths": {
        "/users/{id}": {
            "parameters": [],
            "get": {"summary": "Get a user", "description": "By number."},
            "delete": {"summary": "s" * 300, "description": "d" * 5000},
        },
        "/odd": {"get": "text"},
        "/unknown": {"get": {"summary": "Nobody told of it"}},
    },
}


def _endpoints(paths: object, openapi: object = None) -> tuple[EndpointTold, ...]:
    (startup,) = parsed("startup", {"paths": paths, "openapi": openapi}).observed[0].startups
    return startup.endpoints


def test_endpoints_are_as_they_are_told() -> None:
    paths = [
        {"method": "get", "path": "/users/<int:id>"},
        {"method": "GET", "path": "/users/:id", "summary": "Sum", "description": "Words"},
        {"method": "GET", "path": "/users/:id", "summary": "told twice"},
    ]
    assert _endpoints(paths) == (
        EndpointTold("GET", "/users/<int:id>"),
        EndpointTold("GET", "/users/:id", summary="Sum", description="Words"),
    )


def test_the_document_describes_what_it_matches() -> None:
    paths = [
        {"method": "get", "path": "/users/{id}"},
        {"method": "DELETE", "path": "/users/{id}", "summary": "Its own word"},
        {"method": "POST", "path": "/users/{id}"},
        {"method": "GET", "path": "/other"},
    ]
    assert _endpoints(paths, json.dumps(OPENAPI)) == (
        EndpointTold("GET", "/users/{id}", summary="Get a user", description="By number."),
        EndpointTold("DELETE", "/users/{id}", summary="Its own word", description="d" * 4096),
        EndpointTold("POST", "/users/{id}"),
        EndpointTold("GET", "/other"),
    )


@pytest.mark.parametrize(
    "openapi",
    ["", "{", "[]", '{"paths":[]}', {"paths": {}}, 7, "[" * 5000, json.dumps(OPENAPI | {"paths": {"/odd": 1}})],
)
def test_a_document_that_cannot_be_read_costs_nothing_else(openapi: object) -> None:
    found = parsed("startup", {"paths": [{"method": "GET", "path": "/odd"}], "openapi": openapi})
    assert found.observed[0].startups[0].endpoints == (EndpointTold("GET", "/odd"),)
    assert found.dropped == Counter({"bad_openapi": 1})


def test_an_operation_that_is_none_is_left_out_alone() -> None:
    assert _endpoints([{"method": "GET", "path": "/odd"}], json.dumps(OPENAPI)) == (EndpointTold("GET", "/odd"),)


def test_bad_paths_are_left_out_with_a_reason() -> None:
    paths = [{"method": "GET", "path": "/a"}, {"method": "GET"}, {"path": "/b"}, "GET /c", {"method": 1, "path": "/d"}]
    found = parsed("startup", {"paths": paths})
    assert found.observed[0].startups[0].endpoints == (EndpointTold("GET", "/a"),)
    assert found.dropped == Counter({"no_path": 1, "no_method": 1, "unknown_shape": 2})


def test_versions_and_client_are_bounded() -> None:
    versions = {"python": "3.11", "nul\0": "1\0", "none": None, "long": "x" * 100} | {f"p{n}": "1" for n in range(100)}
    (startup,) = observed("startup", {"versions": versions, "client": "c" * 100}).startups
    assert startup.client == "c" * 64
    assert len(startup.versions) == 64
    assert startup.versions["nul\ufffd"] == "1\ufffd"
    assert startup.versions["long"] == "x" * 64
    assert "none" not in startup.versions


@pytest.mark.parametrize(("versions", "reason"), [([], "unknown_shape"), ("3", "unknown_shape")])
def test_versions_that_are_none(versions: object, reason: str) -> None:
    found = parsed("startup", {"versions": versions})
    assert found.observed[0].startups[0].versions == {}
    assert found.dropped == Counter({reason: 1})


def test_an_empty_startup_is_one() -> None:
    assert observed("startup", {}).startups[0].endpoints == ()
    assert observed("startup", gzip.compress(b'{"client":"go:gin"}')).client == "go:gin"


@pytest.mark.parametrize(
    ("environment", "kept"), [("dev", "dev"), ("My Env", "my-env"), ("", "prod"), ("x" * 256, "x" * 32)]
)
def test_the_environment_is_a_slug(environment: str, kept: str) -> None:
    assert parse_report(report("startup", {}, environment=environment)).observed[0].environment == kept
