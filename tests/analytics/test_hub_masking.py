"""What SDKs of 0.x let pass, or were told to let pass, is masked before it is kept."""

import base64
import json

import pytest

from analytics.masking import MASKED
from analytics.observations import Detail
from tests.analytics.hub_reports import line, log_body, observed

SECRET = "s3cr3t"


def _detail(**request: object) -> Detail:
    (only,) = observed("log", log_body(line(request))).requests
    assert only.detail is not None
    return only.detail


@pytest.mark.parametrize("name", ["api_key", "apikey", "API-Key", "token", "x-auth", "client_secret", "pwd"])
def test_the_url(name: str) -> None:
    (only,) = observed("log", log_body(line({"url": f"http://a.b/c?x=1&{name}={SECRET}"}))).requests
    assert only.url == f"http://a.b/c?x=1&{name}={MASKED}"


@pytest.mark.parametrize(
    "name", ["Authorization", "cookie", "X-API-Key", "x_api_key", "X-Token", "Proxy-Authorization"]
)
def test_headers_in_both_directions(name: str) -> None:
    headers = [[name, SECRET], ["Location", f"/c?token={SECRET}"], ["accept", "*/*"]]
    (only,) = observed("log", log_body(line({"headers": headers}, {"headers": headers}))).requests
    assert only.detail is not None
    kept = ((name, MASKED), ("Location", f"/c?token={MASKED}"), ("accept", "*/*"))
    assert (only.detail.request_headers, only.detail.response_headers) == (kept, kept)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"password": SECRET, "user": [{"cvc": SECRET}]}),
        '{"password":"s3cr3t","ratio":NaN}',
        '{"token":"s3cr3t"}\n{"token":"s3cr3t"}\n',
        '{"card_number":"s3cr3t","cut":',
    ],
)
def test_bodies(body: str) -> None:
    kept = _detail(body=base64.b64encode(body.encode()).decode()).request_body
    assert kept is not None
    assert MASKED in kept
    assert SECRET not in kept


def test_what_an_sdk_has_masked_is_left() -> None:
    body = base64.b64encode(b'{"password":"******"}').decode()
    (only,) = observed(
        "log",
        log_body(
            line({"url": "/c?token=******&pwd=%2A%2A%2A%2A%2A%2A", "headers": [["cookie", "******"]], "body": body})
        ),
    ).requests
    assert only.url == "/c?token=******&pwd=%2A%2A%2A%2A%2A%2A"
    assert only.detail == Detail(request_headers=(("cookie", "******"),), request_body='{"password":"******"}')
