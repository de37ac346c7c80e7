"""The edges of the API: credentials, budget, unknown paths, bodies, failures, and the neighbour who sees nothing."""

from typing import Any

import httpx
import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts import services as accounts
from keys import invalidation
from keys.models import ApiKey
from plans.api import views as plan_views
from tests.cast import BY, Tenant, new_tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

BOTH = pytest.mark.parametrize("base", ["/v1", "/functions/v1"])
JSON = {"Content-Type": "application/json"}


def _shape(base: str) -> set[str]:
    return {"error", "code"} | ({"success"} if base != "/v1" else set())


@BOTH
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "UNAUTHORIZED"),
        ({"Api-Key": "lk_x"}, "INVALID_API_KEY"),
        ({"Api-Key": "lk_" + "0" * 32}, "INVALID_API_KEY"),
    ],
)
def test_without_a_live_access_key_it_is_401(api: ApiClient, base: str, headers: dict[str, str], code: str) -> None:
    answer = api.get(f"{base}/keys", headers=headers)
    assert (answer.status_code, answer.json()["code"], set(answer.json())) == (401, code, _shape(base))
    assert "X-RateLimit-Limit" not in answer.headers


@BOTH
def test_unknown_paths_and_methods_answer_in_the_apis_shape(api: ApiClient, alice: Tenant, base: str) -> None:
    unknown = api.get(f"{base}/nothing/here", of=alice)
    slash = api.get(f"{base}/keys/", of=alice)
    method = api.request("PATCH", f"{base}/keys", of=alice)
    number = api.get(f"{base}/users/99999999999999999999", of=alice)
    assert (unknown.status_code, unknown.json()["code"], set(unknown.json())) == (404, "NOT_FOUND", _shape(base))
    assert (slash.status_code, number.status_code) == (404, 404)
    assert (method.status_code, method.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in method.headers["Allow"]


@BOTH
@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"5", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_400(api: ApiClient, alice: Tenant, base: str, body: bytes) -> None:
    answer = api.post(f"{base}/keys", of=alice, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert set(answer.json()) == _shape(base) | {"details"}


@BOTH
def test_a_large_body_and_another_type_are_refused(api: ApiClient, alice: Tenant, base: str) -> None:
    large = api.post(f"{base}/keys", of=alice, json={"name": "x" * 1_100_000})
    form = api.post(f"{base}/keys", of=alice, data={"name": "x"})
    assert (large.status_code, large.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert (form.status_code, form.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_chunked_body_is_read_like_any_other(server: LiveServer, alice: Tenant) -> None:
    chunks = iter([b'{"na', b'me": "in chunks"}'])
    answer = httpx.post(f"{server.url}/v1/keys", headers=alice.headers | JSON, content=chunks)
    key = alice.key()
    body = iter([f'{{"api_key": "{key.secret}", '.encode(), b'"endpoint": "/", "method": "GET"}'])
    validated = httpx.post(f"{server.url}/v1/validate", headers=alice.headers | JSON, content=body)
    assert (answer.status_code, answer.json()["data"]["name"]) == (201, "in chunks")
    assert validated.json()["success"] is True


def test_every_answer_to_a_live_access_key_shows_its_budget(api: ApiClient, stores: object) -> None:
    carol = new_tenant("Carol", requests_per_minute=4)
    paths = ["/v1/keys", "/v1/nothing", "/functions/v1/users/0"]
    left = [api.get(path, of=carol).headers["X-RateLimit-Remaining"] for path in paths]
    api.validate(carol, "unknown")
    over = api.get("/v1/keys", of=carol)
    assert left == ["3", "2", "1"]
    assert (over.status_code, over.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert (over.headers["X-RateLimit-Limit"], over.headers["X-RateLimit-Remaining"]) == ("4", "0")
    assert 0 < int(over.headers["Retry-After"]) <= 60
    assert int(over.headers["X-RateLimit-Reset"]) % 60 == 0


def test_an_unlimited_access_key_shows_minus_one(api: ApiClient, alice: Tenant) -> None:
    headers = api.get("/v1/keys", of=alice).headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("-1", "-1")


def test_an_access_key_for_analytics_alone_is_403(api: ApiClient, alice: Tenant) -> None:
    accounts.update_access_key(alice.access_key, by=BY, scopes=["analytics"])
    answer = api.get("/v1/keys", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("lost"), 503, "SERVICE_UNAVAILABLE"),
        (ZeroDivisionError("bug"), 500, "INTERNAL_ERROR"),
    ],
)
def test_our_own_failures_show_no_trace(
    api: ApiClient, alice: Tenant, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(plan_views.PlanList, "get", fail)
    answer = api.get("/v1/plans", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "bug" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_change_that_redis_was_not_told_of_says_so(
    api: ApiClient, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> None:
        raise RedisConnectionError("away")

    key = alice.key()
    monkeypatch.setattr(invalidation, "client", unreachable)
    answer = api.delete(f"/v1/keys/{key.api_key.public_id}", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "not yet in force" in answer.json()["error"]
    assert ApiKey.objects.get(pk=key.api_key.pk).deleted_at is not None


def test_a_host_that_is_not_ours_is_refused_in_json(api: ApiClient, alice: Tenant) -> None:
    answer = api.get("/v1/keys", of=alice, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


# --- two accounts -------------------------------------------------------------------------------------------------
def test_nothing_of_a_neighbour_is_seen_changed_or_told_from_what_never_was(
    api: ApiClient, alice: Tenant, bob: Tenant
) -> None:
    user, plan = alice.user(), alice.plan()
    key = alice.key(user=user, plan=plan).api_key
    never = {"keys": "key_0", "plans": "plan_0", "users": "0"}
    tried = 0
    for base in ("/v1", "/functions/v1"):
        for what, ident in (("keys", key.public_id), ("plans", plan.public_id), ("users", str(user.pk))):
            assert api.get(f"{base}/{what}", of=bob).json()["count"] == 0
            for method, path, body in _calls(what):
                theirs, nobodys = (
                    _ask(api, bob, method, f"{base}/{what}/{named}{path}", body) for named in (ident, never[what])
                )
                assert (theirs.status_code, theirs.json()) == (404, nobodys.json())
                tried += 1
    assert tried == 2 * (6 + 6 + 7)
    assert api.get(f"/v1/keys/{key.public_id}", of=alice).status_code == 200


def _ask(api: ApiClient, tenant: Tenant, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
    return api.request(method, path, of=tenant, **({} if body is None else {"json": body}))


def _calls(what: str) -> list[tuple[str, str, dict[str, Any] | None]]:
    common: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", "", None), ("PUT", "", {"name": "mine now"}), ("DELETE", "", None), ("GET", "/usage", None),
    ]  # fmt: skip
    more: dict[str, list[tuple[str, str, dict[str, Any] | None]]] = {
        "keys": [("GET", "/requests", None), ("POST", "/regenerate", None)],
        "plans": [("GET", "/users", None), ("GET", "/keys", None)],
        "users": [("GET", "/requests", None), ("GET", "/keys", None), ("POST", "/keys", {"name": "a"})],
    }
    return common + more[what]
