"""The OpenAPI document tells of every path of reports, and each status that it names is really answered there."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import httpx
import jsonschema_rs
import pytest

from analytics.api import openapi_ingest
from analytics.ingest import answers
from analytics.ingest.answers import HUB_MAX_BYTES, OTLP_MAX_BYTES, Refusal
from analytics.ingest.arrivals import HUB_KINDS, OTLP_KINDS
from analytics.models import ReportKind
from tests.analytics.reporters import JSON, PROTOBUF, Ingest, Reporter, new_reporter
from tests.cast import Tenant
from tests.conftest import ApiClient

KINDS = OTLP_KINDS | {f"/v2/{{client_id}}/{{env}}/{kind}": of for kind, of in HUB_KINDS.items()}
# Each with every media type that it is asked in.
OPERATIONS = [(path, media) for path in KINDS for media in ((PROTOBUF, JSON) if path in OTLP_KINDS else (JSON,))]


@pytest.fixture
def document(api: ApiClient) -> dict[str, Any]:
    told: dict[str, Any] = api.get("/v1/schema").json()
    return told


class Asked:
    """A report on one path, right in all but what is told."""

    def __init__(self, ingest: Ingest, shop: Reporter, path: str, media: str) -> None:
        self.ingest, self.shop, self.path, self.media = ingest, shop, path, media
        self.kind = KINDS[self.path]
        self.is_otlp = self.path in OTLP_KINDS

    def send(self, method: str = "POST", *, content: bytes = b"{}", **headers: str) -> httpx.Response:
        address = self.path.format(client_id=self.shop.app.client_id, env="dev")
        others = {name.replace("_", "-"): value for name, value in headers.items()}
        usual = self.shop.headers(self.media) if self.is_otlp else {"Content-Type": self.media}
        return self.ingest.request(method, address, content=content, headers=usual | others)


# --- how each status comes about ----------------------------------------------------------------------------------
def _accepted(asked: Asked) -> httpx.Response:
    return asked.send()


def _encoded(asked: Asked) -> httpx.Response:
    return asked.send(Content_Encoding="br")


def _without_token(asked: Asked) -> httpx.Response:
    return asked.send(Authorization="Bearer apt_" + "x" * 24)


def _of_nobody(asked: Asked) -> httpx.Response:
    asked.shop.app.client_id = UUID(int=1)  # not saved
    return asked.send()


def _by_get(asked: Asked) -> httpx.Response:
    return asked.send("GET")


def _too_large(asked: Asked) -> httpx.Response:
    return asked.send(content=b"x" * ((OTLP_MAX_BYTES if asked.is_otlp else HUB_MAX_BYTES) + 1))


def _of_another_type(asked: Asked) -> httpx.Response:
    return asked.send(Content_Type="text/plain")


def _too_many(asked: Asked) -> httpx.Response:
    while not asked.ingest.app._rates.wait_s(asked.shop.app.pk, asked.kind):
        pass
    return asked.send()


def _failing(asked: Asked) -> httpx.Response:
    with patch.object(asked.ingest.app._rates, "wait_s", side_effect=RuntimeError("a bug")):
        return asked.send()


def _backlog(asked: Asked) -> httpx.Response:
    asked.ingest.app._backlog._at_most_bytes = 0
    return asked.send()


PROVOKED: dict[str, Callable[[Asked], httpx.Response]] = {
    "200": _accepted,
    "202": _accepted,
    "400": _encoded,
    "401": _without_token,
    "404": _of_nobody,
    "405": _by_get,
    "413": _too_large,
    "415": _of_another_type,
    "422": _too_large,
    "429": _too_many,
    "500": _failing,
    "503": _backlog,
}


# --- the document -------------------------------------------------------------------------------------------------
def test_every_path_of_reports_is_told_and_none_besides(document: dict[str, Any]) -> None:
    paths = document["paths"].items()
    told = {path: item for path, item in paths if item.get("post", {}).get("tags") == ["reports"]}
    assert set(told) == set(KINDS)
    assert set(KINDS.values()) == set(ReportKind)
    assert all(set(item) == {"post"} for item in told.values())


def test_every_refusal_that_ingest_knows_is_told_somewhere() -> None:
    known = {each for each in vars(answers).values() if isinstance(each, Refusal)}
    assert known == {*openapi_ingest.OTLP_REFUSALS, *openapi_ingest.HUB_REFUSALS}


@pytest.mark.parametrize("status", PROVOKED)
def test_each_status_that_is_told_is_answered_as_it_is_told(
    document: dict[str, Any], new_ingest: Callable[..., Ingest], alice: Tenant, status: str
) -> None:
    for path, media in OPERATIONS:
        told = document["paths"][path]["post"]["responses"]
        if status in told:
            answer = PROVOKED[status](Asked(new_ingest(), new_reporter(alice), path, media))
            _assert_as_told(answer, status, told[status], document)
        else:
            assert (path in OTLP_KINDS) == (status in {"202", "404", "422"})


def _assert_as_told(answer: httpx.Response, status: str, told: dict[str, Any], document: dict[str, Any]) -> None:
    """Its status, its type, every header, and the form of its JSON."""
    media = answer.headers["Content-Type"]
    assert str(answer.status_code) == status, answer.text
    assert media in told["content"]
    assert [name for name in told["headers"] if name not in answer.headers] == []
    if media == JSON:
        schema = told["content"][JSON]["schema"] | {"components": document["components"]}
        jsonschema_rs.validate(schema, answer.json())


def test_no_status_is_told_that_nothing_here_provokes(document: dict[str, Any]) -> None:
    told = {status for path in KINDS for status in document["paths"][path]["post"]["responses"]}
    assert told == set(PROVOKED)


def test_credentials_are_the_apps_own(document: dict[str, Any]) -> None:
    for path in KINDS:
        security = document["paths"][path]["post"]["security"]
        assert security == ([{"writeToken": []}] if path in OTLP_KINDS else [])
    assert document["components"]["securitySchemes"]["writeToken"]["scheme"] == "bearer"


# --- bodies of the hub --------------------------------------------------------------------------------------------
def test_no_field_of_the_hubs_bodies_is_left_without_a_form() -> None:
    for name, schema in openapi_ingest.schemas().items():
        assert all(schema["properties"].values()), name


@pytest.mark.parametrize(
    ("name", "of", "at_least"), [("HubStartup", "startup", 4), ("HubSync", "sync", 5), ("HubLine", "log", 10)]
)
def test_what_real_sdks_sent_is_of_the_form_that_is_told_and_every_field_of_it_is_told(
    document: dict[str, Any], name: str, of: str, at_least: int
) -> None:
    bodies = list(_sent(of))
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    assert len(bodies) >= at_least
    for body in bodies:
        jsonschema_rs.validate(schema, body)
        assert set(body) <= set(document["components"]["schemas"][name]["properties"])


def _sent(kind: str) -> Iterator[dict[str, Any]]:
    """By real SDKs, each line of a log by itself."""
    for file in sorted(Path(__file__).parent.joinpath("captures").glob(f"*/*-{kind}.bin")):
        body = file.read_bytes()
        yield from map(json.loads, gzip.decompress(body).splitlines() if kind == "log" else [body])
