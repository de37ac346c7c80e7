"""Plans and users through the REST API."""

from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.models import User
from keys.models import ApiKey
from tests.cast import Tenant
from tests.conftest import ApiClient

BOTH = pytest.mark.parametrize("base", ["/v1", "/functions/v1"])
PLAN = {"name": "Gold", "max_requests": 1000, "request_period": "month"}
PLAN_FIELDS = {
    "id", "name", "description", "max_requests", "request_period", "is_active", "created_at", "updated_at",
}  # fmt: skip
USER_FIELDS = {"user_id", "name", "email", "is_disabled", "plan", "custom_start", "created_at", "updated_at"}


# --- plans --------------------------------------------------------------------------------------------------------
def test_a_created_plan_reads_back(api: ApiClient, alice: Tenant) -> None:
    answer = api.post("/v1/plans", of=alice, json=PLAN | {"description": "best", "is_active": None})
    data = answer.json()["data"]
    assert (answer.status_code, set(data)) == (201, PLAN_FIELDS)
    assert (data["description"], data["is_active"], data["id"][:5]) == ("best", True, "plan_")
    assert data["created_at"].endswith("Z")
    assert api.get(f"/v1/plans/{data['id']}", of=alice).json() == answer.json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_requests": -2}, "max_requests"),
        ({"max_requests": 9_000_000_000_001}, "max_requests"),
        ({"max_requests": "10"}, "max_requests"),
        ({"max_requests": 1.5}, "max_requests"),
        ({"max_requests": True}, "max_requests"),
        ({"request_period": "hour"}, "request_period"),
        ({"request_period": ""}, "request_period"),
        ({"name": " "}, "name"),
        ({"is_active": "yes"}, "is_active"),
        ({"description": "x" * 1001}, "description"),
        ({"description": "\0"}, "description"),
    ],
)
def test_a_wrong_plan_is_refused_by_field(api: ApiClient, alice: Tenant, change: dict[str, Any], field: str) -> None:
    answer = api.post("/v1/plans", of=alice, json=PLAN | change)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)


@pytest.mark.parametrize("limit", [-1, 0, 9_000_000_000_000])
def test_the_bounds_of_a_limit_are_allowed(api: ApiClient, alice: Tenant, limit: int) -> None:
    assert api.post("/v1/plans", of=alice, json=PLAN | {"max_requests": limit}).status_code == 201


def test_a_plans_description_can_be_cleared(api: ApiClient, alice: Tenant) -> None:
    plan_id = api.post("/v1/plans", of=alice, json=PLAN | {"description": "x"}).json()["data"]["id"]
    assert api.put(f"/v1/plans/{plan_id}", of=alice, json={"description": ""}).json()["data"]["description"] == ""


@BOTH
def test_a_plan_in_use_is_not_deleted_and_says_by_whom(api: ApiClient, alice: Tenant, base: str) -> None:
    plan = alice.plan()
    user = alice.user(plan)
    key = alice.key(plan=plan)
    path = f"{base}/plans/{plan.public_id}"
    refused = api.delete(path, of=alice)
    api.delete(f"{base}/users/{user.pk}", of=alice)
    api.delete(f"{base}/keys/{key.api_key.public_id}", of=alice)
    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "1 users and 1 API keys" in refused.json()["error"]
    assert api.delete(path, of=alice).json()["data"] == {"message": "Plan deleted successfully"}
    assert api.get(path, of=alice).status_code == 404


def test_a_plans_users_and_keys_are_plain_lists_and_objects_for_the_sdks(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan()
    user, key = alice.user(plan), alice.key(plan=plan)
    path = f"plans/{plan.public_id}"
    users, keys = (api.get(f"/v1/{path}/{what}", of=alice).json() for what in ("users", "keys"))
    sdk_users, sdk_keys = (api.get(f"/functions/v1/{path}/{what}", of=alice).json() for what in ("users", "keys"))
    assert ([row["user_id"] for row in users["data"]], users["count"]) == ([user.pk], 1)
    assert ([row["id"] for row in keys["data"]], keys["count"]) == ([key.api_key.public_id], 1)
    assert (set(sdk_users), set(sdk_users["data"])) == ({"success", "data"}, {"plan", "users"})
    assert (set(sdk_keys), set(sdk_keys["data"])) == ({"success", "data"}, {"plan", "api_keys"})
    assert sdk_users["data"]["plan"]["id"] == plan.public_id


# --- users --------------------------------------------------------------------------------------------------------
@BOTH
def test_a_created_user_shows_its_plan(api: ApiClient, alice: Tenant, base: str) -> None:
    plan = alice.plan()
    body = {
        "name": "Uma",
        "email": "uma@example.com",
        "plan_id": plan.public_id,
        "custom_start": "2026-01-31T10:00:00Z",
    }
    answer = api.post(f"{base}/users", of=alice, json=body)
    data = answer.json()["data"]
    assert (answer.status_code, set(data)) == (201, USER_FIELDS)
    assert (data["email"], data["plan"]["id"], data["custom_start"]) == (
        "uma@example.com", plan.public_id, "2026-01-31T10:00:00Z",
    )  # fmt: skip
    assert api.get(f"{base}/users/{data['user_id']}", of=alice).json()["data"] == data


def test_an_email_is_unique_within_the_account_in_any_case(api: ApiClient, alice: Tenant, bob: Tenant) -> None:
    first = api.post("/v1/users", of=alice, json={"name": "a", "email": "a@example.com"}).json()["data"]
    taken = api.post("/v1/users", of=alice, json={"name": "b", "email": "A@Example.com"})
    elsewhere = api.post("/v1/users", of=bob, json={"name": "b", "email": "a@example.com"})
    api.delete(f"/v1/users/{first['user_id']}", of=alice)
    freed = api.post("/v1/users", of=alice, json={"name": "b", "email": "a@example.com"})
    assert (taken.status_code, taken.json()["code"]) == (400, "DUPLICATE_EMAIL")
    assert (elsewhere.status_code, freed.status_code) == (201, 201)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a", "email": "no address"}, "email"),
        ({"name": "a", "custom_start": "2026-13-01"}, "custom_start"),
        ({"name": "a", "custom_start": "1969-12-31T23:59:59Z"}, "custom_start"),
        ({"name": "a", "custom_start": 5}, "custom_start"),
        ({"name": "a", "is_disabled": ""}, "is_disabled"),
        ({"email": "a@example.com"}, "name"),
    ],
)
def test_a_wrong_user_is_refused_by_field(api: ApiClient, alice: Tenant, body: dict[str, Any], field: str) -> None:
    answer = api.post("/v1/users", of=alice, json=body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)


def test_an_empty_text_clears_email_plan_and_start(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(), email="a@example.com", custom_start=datetime(2026, 1, 1, tzinfo=UTC))
    cleared = api.put(f"/v1/users/{user.pk}", of=alice, json={"email": "", "plan_id": "", "custom_start": ""})
    data = cleared.json()["data"]
    assert (data["email"], data["plan"], data["custom_start"]) == (None, None, None)


def test_users_are_filtered(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan()
    wanted = alice.user(plan, email="x@example.com")
    alice.user()
    api.put(f"/v1/users/{wanted.pk}", of=alice, json={"is_disabled": True, "name": "Zoe"})
    for query in ("email=X@example.com", "search=zo", "is_disabled=true", f"plan_id={plan.public_id}"):
        found = api.get(f"/v1/users?{query}", of=alice).json()
        assert ([row["user_id"] for row in found["data"]], found["count"]) == ([wanted.pk], 1)
    assert api.get("/v1/users?is_disabled=perhaps", of=alice).status_code == 400


def test_deleting_a_user_stops_its_keys_and_keeps_the_rows(api: ApiClient, alice: Tenant) -> None:
    user = alice.user()
    key = alice.key(user=user)
    assert api.validate(alice, key.secret).status_code == 200
    answer = api.delete(f"/v1/users/{user.pk}", of=alice)
    assert answer.json() == {"data": {"message": "User deleted successfully"}, "count": 1}
    assert api.validate(alice, key.secret).status_code == 404
    for path in ("", "/usage", "/keys", "/requests"):
        assert api.get(f"/v1/users/{user.pk}{path}", of=alice).status_code == 404
    assert User.objects.filter(pk=user.pk).exists()
    assert ApiKey.objects.filter(pk=key.api_key.pk).exists()


@BOTH
def test_a_key_for_a_user_by_its_path(api: ApiClient, alice: Tenant, base: str) -> None:
    user = alice.user()
    made = api.post(f"{base}/users/{user.pk}/keys", of=alice, json={"name": "mine"})
    listed = api.get(f"{base}/users/{user.pk}/keys", of=alice).json()
    assert (made.status_code, made.json()["data"]["user_id"]) == (201, user.pk)
    assert [row["id"] for row in listed["data"]] == [made.json()["data"]["id"]]
