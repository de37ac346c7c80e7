"""The official Apitally SDKs of both generations, unmodified, in real apps: what they saw is what the API tells.

Every shop makes the calls of apps/shop.py; what they add up to is written down here, once for all.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from analytics import services
from analytics.models import App, ErrorGroup, ErrorKind, RejectedReport
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer
from tests.sdks.running import run_app

FIRST, SECOND = "apitally-0", "apitally-1"
SHOPS = [
    pytest.param(sdk, script, id=f"{sdk}-{script.removesuffix('_shop.py')}")
    for sdk in (FIRST, SECOND)
    for script in ("fastapi_shop.py", "django_shop.py")
]
USER, ORDERS, BOOM = ("GET", "/users/{user_id}"), ("POST", "/orders"), ("GET", "/boom")


class Reader:
    """What alice's backend reads of an app by Apitally's API. `sizes` are what the shop's callers know of bodies: how
    many bytes they sent and were answered in all, by method and path."""

    def __init__(
        self, api: ApiClient, tenant: Tenant, app: App, sizes: dict[str, tuple[int, int]] | None = None
    ) -> None:
        self._api, self._tenant, self._path = api, tenant, f"/v1/apps/{app.pk}"
        self.sizes = sizes or {}

    def get(self, path: str, **params: Any) -> Any:
        answer = self._api.get(f"{self._path}/{path}", of=self._tenant, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self._api.post(f"{self._path}/{path}", of=self._tenant, json=body)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def observed(api: ApiClient, server: LiveServer, alice: Tenant, tmp_path: Path) -> Callable[[str, str], Reader]:
    """Runs a shop against the live server, counts what came, and gives its reader."""

    def run(script: str, sdk: str) -> Reader:
        app = services.create_app(alice.account, by=BY, name="shop")
        token = services.create_write_token(app, name="shop", by=BY).secret
        told = {"SHOP_CLIENT_ID": str(app.client_id), "APITALLY_HUB_BASE_URL": server.url}
        told |= {"APITALLY_OTLP_ENDPOINT": server.url, "APITALLY_WRITE_TOKEN": token}
        printed = run_app(script, sdk=sdk, folder=tmp_path, **told)
        call_command("ingest_reports")
        assert list(RejectedReport.objects.values_list("reason", "explanation")) == []
        return Reader(api, alice, app, json.loads(printed.splitlines()[-1]))

    return run


def _invalid(script: str) -> tuple[int, str | None]:
    """How the framework answers an order that is not valid, and of whom: FastAPI refuses it before the app is asked."""
    return (422, None) if script.startswith("fastapi") else (400, "bob")


@pytest.mark.parametrize(("sdk", "script"), SHOPS)
def test_what_an_sdk_saw_is_what_the_api_tells(observed: Callable[[str, str], Reader], sdk: str, script: str) -> None:
    reader = observed(script, sdk)
    invalid = _invalid(script)

    # Traffic: requests without a route are none.
    hours = reader.get("traffic")["data"]
    assert sum(hour["requests"] for hour in hours) == 12
    sent, answered = zip(*(reader.sizes[call] for call in ("GET /users/7", "POST /orders", "GET /boom")), strict=True)
    unseen = (
        reader.sizes["GET /boom"][1] if (sdk, script) == (FIRST, "fastapi_shop.py") else 0
    )  # answered outside of it
    assert sum(hour["bytes_received"] for hour in hours) == sum(sent) > 0
    assert sum(hour["bytes_sent"] for hour in hours) == sum(answered) - unseen > 0

    # Consumers with names and groups.
    consumers = {each["identifier"]: each for each in reader.get("consumers")["data"]}
    assert {name: (each["name"], each["group"] and each["group"]["name"]) for name, each in consumers.items()} == {
        "alice": ("Alice", "Admins"),
        "bob": ("Bob", None),
    }
    by_consumer = {
        name: sum(hour["requests"] for hour in reader.get("traffic", consumer_id=each["id"])["data"])
        for name, each in consumers.items()
    }
    assert by_consumer == {"alice": 7, "bob": 5 if invalid[1] else 3}

    # Endpoints.
    endpoints = {(each["method"], each["path"]) for each in reader.get("endpoints")["data"]}
    assert endpoints >= {USER, ORDERS, BOOM}

    # Request logs, the unmatched ones too.
    logs = reader.get("request-logs")["data"]
    unmatched = 0 if (sdk, script) == (FIRST, "django_shop.py") else 2  # that one tells of REST framework's views alone
    assert Counter((each["method"], each["path"], each["status_code"], each["consumer"]) for each in logs) == Counter(
        {
            (*USER, 200, "alice"): 6,
            (*ORDERS, 201, "bob"): 3,
            (*ORDERS, *invalid): 2,
            (*BOOM, 500, "alice"): 1,
            ("GET", None, 404, None): unmatched,
        }
    )
    assert {each["env"] for each in logs} == {"dev"}
    assert not any("abc" in each["url"] for each in logs)

    # Errors. Of what was not valid Django's REST framework tells by its status alone.
    errors = ErrorGroup.objects.values_list("kind", "endpoint__method", "endpoint__path", "location", "occurrences")
    not_valid = {(ErrorKind.VALIDATION, *ORDERS, "body.qty", 2)} if script.startswith("fastapi") else set()
    assert set(errors) == {(ErrorKind.SERVER, *BOOM, "", 1)} | not_valid

    # Metrics.
    (total,) = reader.post(
        "metrics",
        {
            "format": "ndjson",
            "since": hours[0]["period_start"],
            "metrics": ["requests", "client_errors", "server_errors"],
        },
    )
    assert (total["requests"], total["client_errors"], total["server_errors"]) == (12, 2, 1)


@pytest.mark.parametrize(("sdk", "script"), SHOPS)
def test_a_request_is_told_with_headers_bodies_exception_logs_and_spans(
    observed: Callable[[str, str], Reader], sdk: str, script: str
) -> None:
    reader = observed(script, sdk)
    logs = reader.get("request-logs")["data"]
    order = next(each for each in logs if each["status_code"] == 201)
    boom = next(each for each in logs if each["status_code"] == 500)

    detail = reader.get(f"request-logs/{order['request_uuid']}")
    request_headers = {name.lower(): value for name, value in detail["request_headers"]}
    response_headers = {name.lower(): value for name, value in detail["response_headers"]}
    assert request_headers["content-type"] == response_headers["content-type"] == "application/json"
    assert "secret" not in request_headers["authorization"]
    assert '"item"' in detail["request_body_json"]
    assert "hunter2" not in detail["request_body_json"]
    assert '"ok"' in detail["response_body_json"]
    assert "t-1" not in detail["response_body_json"]
    assert [(line["message"], line["level"], line["logger"]) for line in detail["logs"]] == [
        ("order of tea", "WARNING", "shop.orders") if sdk == FIRST else ("order of tea", "WARN", "shop.orders")
    ]
    assert "warehouse.reserve" in {span["name"] for span in detail["spans"]}

    exception = reader.get(f"request-logs/{boom['request_uuid']}")["exception"]
    assert exception["type"].endswith("ValueError")
    assert exception["message"] == "kaboom"
    assert "in boom" in exception["stacktrace"]
