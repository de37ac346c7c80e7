"""The OpenAPI document and its reference; and every operation fuzzed from it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from django.utils import timezone
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from analytics import services as analytics
from analytics.ingest.arrivals import OTLP_KINDS
from tests.analytics.filed import file_whole_request, observe
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

EXAMPLES = 25
OPERATIONS = 42  # 35 of the REST API, 7 on which reports are taken in
CHECKS_HERE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_the_document_names_every_operation_of_the_contract(api: ApiClient) -> None:
    answer = api.get("/v1/schema")
    document = answer.json()
    operations = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert document["openapi"].startswith("3.1")
    assert len(operations) == OPERATIONS
    assert {"POST /v1/validate", "PUT /v1/plans/{plan_id}", "GET /v1/users/{user_id}/requests"} <= operations


def test_schema_and_docs_are_public_and_need_no_other_host(api: ApiClient) -> None:
    docs = api.get("/v1/docs")
    assert (docs.status_code, docs.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert "X-RateLimit-Limit" not in docs.headers
    assert "http://" not in docs.text
    assert "https://" not in docs.text
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        path = next(part for part in docs.text.replace("'", '"').split('"') if part.endswith(asset))
        assert api.get(path).status_code == 200


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_survives_fuzzing_and_answers_by_its_schema(
    server: LiveServer, alice: Tenant, mode: GenerationMode
) -> None:
    """No 5xx, no status and no body outside the document, whatever is sent, to real and to invented ids."""
    schema = schemathesis.openapi.from_dict(httpx.get(f"{server.url}/v1/schema").json())
    tried = 0
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()  # type: ignore[union-attr]  # an Err fails the test, as it should
            tried += 1
            _fuzz(operation, mode, _sent(server.url, session, alice))
    assert tried == OPERATIONS


@dataclass(frozen=True, slots=True)
class Sent:
    """Where cases go, as whom, and ids that exist."""

    url: str
    session: requests.Session
    tenant: Tenant
    write_token: dict[str, str]
    real_ids: dict[str, object]


def _sent(url: str, session: requests.Session, tenant: Tenant) -> Sent:
    """New for each operation: a deletion that was tried before must not leave the next one with nothing."""
    user, environment = tenant.user(tenant.plan()), observe(tenant)
    token = analytics.create_write_token(environment.app, name="fuzz", by=BY).secret
    real_ids = {
        "key_id": tenant.key(user=user).api_key.public_id,
        "plan_id": tenant.plan().public_id,
        "user_id": user.pk,
        "app_id": environment.app_id,
        "request_uuid": str(file_whole_request(environment, timezone.now() - timedelta(hours=1)).uuid),
        "client_id": str(environment.app.client_id),
        "env": environment.name,
    }
    return Sent(url, session, tenant, {"Authorization": f"Bearer {token}"}, real_ids)


def _fuzz(operation: "APIOperation[Any, Any, Any, Any]", mode: GenerationMode, sent: Sent) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode), strategies.booleans())
    def send(case: "Case[Any]", to_a_real_id: bool) -> None:
        if to_a_real_id and case.path_parameters:
            case.path_parameters = {name: sent.real_ids[name] for name in case.path_parameters}
        headers = sent.write_token if operation.path in OTLP_KINDS else sent.tenant.headers
        case.call_and_validate(sent.url, session=sent.session, headers=headers, checks=CHECKS_HERE, timeout=10)

    send()
