"""The official Python SDK, unmodified, against a running server: every method, allowed, denied and failing."""

import pytest
from limitly import (
    CreateApiKeyRequest,
    CreatePlanRequest,
    CreateUserRequest,
    HttpClient,
    LimitlyConfig,
    LimitlyError,
    UpdateApiKeyRequest,
    UpdatePlanRequest,
    UpdateUserRequest,
    ValidateRequestRequest,
)
from limitly.modules import ApiKeysModule, PlansModule, UsersModule, ValidationModule

from tests.cast import Tenant
from tests.live_server import LiveServer


class Sdk:
    def __init__(self, server: LiveServer, secret: str) -> None:
        client = HttpClient(LimitlyConfig(api_key=secret, base_url=f"{server.url}/functions/v1"))
        self.keys, self.plans = ApiKeysModule(client), PlansModule(client)
        self.users, self.validation = UsersModule(client), ValidationModule(client)


@pytest.fixture
def sdk(server: LiveServer, alice: Tenant) -> Sdk:
    return Sdk(server, alice.secret)


def test_plans(sdk: Sdk) -> None:
    plan = sdk.plans.create(CreatePlanRequest(name="Gold", max_requests=2, request_period="month")).data
    renamed = sdk.plans.update(plan["id"], UpdatePlanRequest(name="Silver"))
    sdk.users.create(CreateUserRequest(name="Uma", plan_id=plan["id"]))
    sdk.keys.create(CreateApiKeyRequest(name="own", plan_id=plan["id"]))
    usage = sdk.plans.get_usage(plan["id"]).data
    assert (renamed.success, renamed.data["name"], renamed.data["max_requests"]) == (True, "Silver", 2)
    assert sdk.plans.get(plan["id"]).data == renamed.data
    assert (sdk.plans.list().count, sdk.plans.list().data) == (1, [renamed.data])
    assert (usage["users_count"], usage["api_keys_count"], usage["is_unlimited"]) == (1, 1, False)
    assert [user["name"] for user in sdk.plans.get_users(plan["id"]).data["users"]] == ["Uma"]
    assert [key["name"] for key in sdk.plans.get_keys(plan["id"]).data["api_keys"]] == ["own"]
    with pytest.raises(LimitlyError, match="in use by 1 users and 1 API keys"):
        sdk.plans.delete(plan["id"])


def test_a_plan_that_nobody_holds_is_deleted(sdk: Sdk) -> None:
    plan = sdk.plans.create(CreatePlanRequest(name="Gold", max_requests=2, request_period="day")).data
    assert sdk.plans.delete(plan["id"]).data == {"message": "Plan deleted successfully"}
    with pytest.raises(LimitlyError) as gone:
        sdk.plans.get(plan["id"])
    assert (gone.value.status_code, gone.value.response["code"]) == (404, "NOT_FOUND")


def test_users(sdk: Sdk) -> None:
    user = sdk.users.create(CreateUserRequest(name="Uma", email="uma@example.com")).data
    user_id = user["user_id"]
    changed = sdk.users.update(user_id, UpdateUserRequest(is_disabled=True)).data
    key = sdk.users.create_key(user_id, {"name": "hers"}).data
    assert (changed["is_disabled"], changed["email"]) == (True, "uma@example.com")
    assert sdk.users.get(user_id).data == changed
    assert (sdk.users.list().count, sdk.users.list().data) == (1, [changed])
    assert [row["id"] for row in sdk.users.get_keys(user_id).data] == [key["id"]]
    assert sdk.users.get_usage(user_id).data["type"] == "user"
    with pytest.raises(LimitlyError) as taken:
        sdk.users.create(CreateUserRequest(name="Una", email="UMA@example.com"))
    assert (taken.value.status_code, taken.value.response["code"]) == (400, "DUPLICATE_EMAIL")
    assert sdk.users.delete(user_id).data == {"message": "User deleted successfully"}


def test_keys(sdk: Sdk) -> None:
    key = sdk.keys.create(CreateApiKeyRequest(name="a")).data
    changed = sdk.keys.update(key["id"], UpdateApiKeyRequest(name="b", status="inactive")).data
    fresh = sdk.keys.regenerate(key["id"]).data
    assert (changed["name"], changed["status"]) == ("b", "inactive")
    assert (fresh["id"], fresh["api_key"] != key["api_key"]) == (key["id"], True)
    assert sdk.keys.get(key["id"]).data["name"] == "b"
    assert sdk.keys.list().count == 1
    assert sdk.keys.get_usage(key["id"]).data["apiKeyName"] == "b"
    assert sdk.keys.get_requests(key["id"]).data["requestsInPeriodDetails"] == []
    assert sdk.keys.delete(key["id"]).data == {"message": "API key deleted successfully"}
    with pytest.raises(LimitlyError, match="Not found"):
        sdk.keys.get(key["id"])


def test_validation_allowed_denied_and_failing(sdk: Sdk) -> None:
    plan = sdk.plans.create(CreatePlanRequest(name="Gold", max_requests=1, request_period="month")).data
    key = sdk.keys.create(CreateApiKeyRequest(name="a", plan_id=plan["id"])).data
    allowed = sdk.validation.validate(key["api_key"], "/orders", "GET")
    denied = sdk.validation.validate_request(
        ValidateRequestRequest(api_key=key["api_key"], endpoint="/orders", method="GET")
    )
    sdk.keys.update(key["id"], UpdateApiKeyRequest(status="inactive"))
    with pytest.raises(LimitlyError) as disabled:
        sdk.validation.validate(key["api_key"], "/orders", "GET")
    assert (allowed.success, allowed.details["remaining"], allowed.details["plan_name"]) == (True, 0, "Gold")
    assert (denied.success, denied.error, denied.details["current_usage"]) == (False, "Rate limit exceeded", 1)
    assert (disabled.value.status_code, disabled.value.response["code"]) == (403, "API_KEY_DISABLED")


def test_a_wrong_access_key(server: LiveServer) -> None:
    with pytest.raises(LimitlyError) as refused:
        Sdk(server, "lk_" + "0" * 32).keys.list()
    assert (refused.value.status_code, refused.value.response["success"]) == (401, False)
