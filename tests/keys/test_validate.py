"""Every case of the contract's table of validate, over HTTP, in both dialects."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import services as accounts
from keys import services as keys
from keys.models import ApiKeyStatus
from keys.redis import client
from plans import services as plans
from tests.cast import BY, Tenant, new_tenant
from tests.conftest import ApiClient
from tests.store_redis import StoreRedis

PATHS = ("/v1/validate", "/functions/v1/validate")
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("path", PATHS)
def test_an_allowed_call_shows_the_quota_after_it(api: ApiClient, alice: Tenant, path: str) -> None:
    key = alice.key(user=alice.user(alice.plan(1000, "month", "Gold")))
    answer = api.post(path, of=alice, json={"api_key": key.secret, "endpoint": "/o", "method": "get"})
    details = answer.json()["details"]
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "details": details}
    assert details["current_usage"] == 1
    assert (details["limit"], details["remaining"], details["plan_name"]) == (1000, 999, "Gold")
    assert details["reset_time"] == details["period_end"]
    assert details["period_start"].endswith("-01T00:00:00Z")


def test_headers_show_the_quota_in_both_conventions(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(5, "day", "Gold €"))
    headers = api.validate(alice, key.secret).headers
    left = int(headers["RateLimit"].partition("t=")[2])
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("5", "4")
    assert headers["X-RateLimit-Plan"] == "Gold %E2%82%AC"
    assert headers["RateLimit-Policy"] == '"quota";q=5;w=86400'
    assert headers["RateLimit"] == f'"quota";r=4;t={left}'
    assert 0 < left <= 86_400
    assert "Retry-After" not in headers


@pytest.mark.parametrize("path", PATHS)
def test_over_the_quota_is_200_without_success_and_without_code(api: ApiClient, alice: Tenant, path: str) -> None:
    key = alice.key(plan=alice.plan(1))
    body = {"api_key": key.secret, "endpoint": "/o", "method": "GET"}
    api.post(path, of=alice, json=body)
    answer = api.post(path, of=alice, json=body)
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert set(answer.json()) == {"success", "error", "details"}
    assert answer.json()["error"] == "Rate limit exceeded"
    assert answer.json()["details"]["current_usage"] == 1
    assert int(answer.headers["Retry-After"]) > 0


def test_a_denied_call_spends_nothing(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(5))
    api.validate(alice, key.secret, cost=4)
    denied = api.validate(alice, key.secret, cost=2)
    allowed = api.validate(alice, key.secret, cost=1)
    assert (denied.json()["success"], denied.json()["details"]["remaining"]) == (False, 1)
    assert (allowed.json()["success"], allowed.json()["details"]["remaining"]) == (True, 0)


def test_a_call_of_no_cost_is_allowed_while_the_limit_is_not_exceeded(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(1)
    key = alice.key(plan=plan)
    api.validate(alice, key.secret)
    assert api.validate(alice, key.secret, cost=0).json()["success"] is True
    plans.update_plan(plan, by=BY, max_requests=0)
    assert api.validate(alice, key.secret, cost=0).json()["success"] is False


def test_a_dry_run_answers_as_if_and_leaves_no_trace(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(2))
    dry = api.validate(alice, key.secret, dry_run=True)
    real = api.validate(alice, key.secret)
    assert dry.json() == real.json()
    assert real.json()["details"]["current_usage"] == 1
    assert client().xlen(f"{{b{alice.account.bucket:x}}}:events") == 1


def test_without_any_plan_calls_are_counted_and_allowed(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(user=alice.user())
    api.validate(alice, key.secret)
    answer = api.validate(alice, key.secret)
    details = answer.json()["details"]
    assert answer.json()["success"] is True
    assert (details["current_usage"], details["limit"], details["remaining"]) == (2, -1, -1)
    assert (details["reset_time"], details["plan_name"]) == (None, None)
    assert "X-RateLimit-Plan" not in answer.headers
    assert "RateLimit" not in answer.headers


def test_a_plan_given_later_does_not_count_what_came_before(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    api.validate(alice, key.secret)
    keys.update_api_key(key.api_key, by=BY, plan=alice.plan(10))
    assert api.validate(alice, key.secret).json()["details"]["current_usage"] == 1


def test_an_unlimited_plan_has_a_window_and_a_reset(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(-1))
    answer = api.validate(alice, key.secret)
    assert answer.json()["details"]["limit"] == -1
    assert answer.json()["details"]["reset_time"] is not None
    assert "RateLimit-Policy" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_key_is_404(api: ApiClient, alice: Tenant, path: str) -> None:
    body = {"api_key": "lk_user_" + "0" * 32, "endpoint": "/o", "method": "GET"}
    answer = api.post(path, of=alice, json=body)
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "error": "API key not found", "code": "API_KEY_NOT_FOUND"}


def test_a_neighbours_key_is_404_for_all_but_its_owner(api: ApiClient, alice: Tenant, bob: Tenant) -> None:
    key = alice.key(plan=alice.plan())
    assert api.validate(bob, key.secret).json()["code"] == "API_KEY_NOT_FOUND"
    assert api.validate(alice, key.secret).json()["success"] is True


def test_a_deleted_key_is_404_at_once(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    assert api.validate(alice, key.secret).status_code == 200
    keys.delete_api_key(key.api_key, now=timezone.now(), by=BY)
    assert api.validate(alice, key.secret).status_code == 404


def test_a_regenerated_key_works_by_its_new_secret_alone(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    assert api.validate(alice, key.secret).status_code == 200
    new = keys.regenerate_api_key(key.api_key, by=BY, now=timezone.now())
    assert api.validate(alice, key.secret).status_code == 404
    assert api.validate(alice, new.secret).status_code == 200


def test_during_an_overlap_both_secrets_work(api: ApiClient, alice: Tenant, stores: StoreRedis) -> None:
    key = alice.key()
    now = timezone.now()
    new = keys.regenerate_api_key(key.api_key, by=BY, now=now, overlap=timedelta(hours=1))
    newest = keys.regenerate_api_key(key.api_key, by=BY, now=now, overlap=timedelta(days=1))
    assert {api.validate(alice, secret).status_code for secret in (key.secret, new.secret, newest.secret)} == {200}
    ends = dict(key.api_key.secrets.order_by("id").values_list("last4", "expires_at"))
    assert (
        ends
        == {
            key.secret[-4:]: now + timedelta(hours=1),  # the longer overlap does not prolong what was to end sooner
            new.secret[-4:]: now + timedelta(days=1),
            newest.secret[-4:]: None,
        }
    )


def test_after_an_overlap_the_old_secret_is_404(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    past = timezone.now() - timedelta(hours=2)
    new = keys.regenerate_api_key(key.api_key, by=BY, now=past, overlap=timedelta(hours=1))
    assert api.validate(alice, key.secret).status_code == 404
    assert api.validate(alice, new.secret).status_code == 200


def test_a_regeneration_without_overlap_ends_one_that_runs(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    new = keys.regenerate_api_key(key.api_key, by=BY, now=timezone.now(), overlap=timedelta(hours=1))
    keys.regenerate_api_key(key.api_key, by=BY, now=timezone.now())
    assert {api.validate(alice, secret).status_code for secret in (key.secret, new.secret)} == {404}


def test_an_inactive_key_is_403(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    keys.update_api_key(key.api_key, by=BY, status=ApiKeyStatus.INACTIVE)
    answer = api.validate(alice, key.secret)
    assert answer.status_code == 403
    assert answer.json() == {"success": False, "error": "API key is disabled", "code": "API_KEY_DISABLED"}


def test_an_expired_key_is_403(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    keys.update_api_key(key.api_key, by=BY, expires_at=timezone.now() - MINUTE)
    answer = api.validate(alice, key.secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "API_KEY_EXPIRED")


def test_a_disabled_users_key_is_403_and_disabled_wins_over_the_quota(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(0))
    key = alice.key(user=user)
    assert api.validate(alice, key.secret).json()["success"] is False
    plans.update_user(user, by=BY, is_disabled=True)
    answer = api.validate(alice, key.secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "USER_DISABLED")


def test_all_keys_of_a_user_share_its_window(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(3))
    spent = [api.validate(alice, alice.key(user=user).secret).json()["success"] for _ in range(4)]
    assert spent == [True, True, True, False]


def test_a_key_with_a_plan_of_its_own_is_counted_by_itself(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(1)
    user = alice.user(plan)
    shared, own = alice.key(user=user), alice.key(user=user, plan=plan)
    assert api.validate(alice, shared.secret).json()["success"] is True
    assert api.validate(alice, own.secret).json()["success"] is True
    assert api.validate(alice, shared.secret).json()["success"] is False


def test_another_limit_keeps_the_count(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(2)
    key = alice.key(plan=plan)
    api.validate(alice, key.secret)
    plans.update_plan(plan, by=BY, max_requests=1)
    assert api.validate(alice, key.secret).json()["success"] is False
    plans.update_plan(plan, by=BY, max_requests=2)
    assert api.validate(alice, key.secret).json()["details"]["current_usage"] == 2


def test_another_period_is_another_window(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan(5, "month")
    key = alice.key(plan=plan)
    api.validate(alice, key.secret)
    plans.update_plan(plan, by=BY, request_period="week")
    assert api.validate(alice, key.secret).json()["details"]["current_usage"] == 1
    plans.update_plan(plan, by=BY, request_period="month")
    assert api.validate(alice, key.secret).json()["details"]["current_usage"] == 2


def test_windows_count_from_the_users_custom_start(api: ApiClient, alice: Tenant) -> None:
    start = timezone.now().replace(microsecond=0) - timedelta(hours=5)
    key = alice.key(user=alice.user(alice.plan(5, "day"), custom_start=start))
    details = api.validate(alice, key.secret).json()["details"]
    assert details["period_start"] == start.isoformat().replace("+00:00", "Z")


# --- The caller's own key -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PATHS)
def test_no_credential_is_401_unauthorized(api: ApiClient, stores: object, path: str) -> None:
    answer = api.post(path, json={})
    assert answer.status_code == 401
    assert (answer.json()["success"], answer.json()["code"]) == (False, "UNAUTHORIZED")


@pytest.mark.parametrize("secret", ["lk_short", "lk_user_" + "0" * 32, "lk_" + "0" * 32, "lk_" + "G" * 32])
def test_a_wrong_access_key_is_401_invalid(api: ApiClient, stores: object, secret: str) -> None:
    body = {"api_key": "x", "endpoint": "/", "method": "GET"}
    answer = api.post("/v1/validate", headers={"Authorization": f"Bearer {secret}"}, json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_API_KEY")


def test_either_header_works_and_two_that_differ_do_not(api: ApiClient, alice: Tenant) -> None:
    body = {"api_key": alice.key().secret, "endpoint": "/", "method": "GET"}
    by_api_key = api.post("/v1/validate", headers={"Api-Key": alice.secret}, json=body)
    both = {"Api-Key": alice.secret, "Authorization": f"Bearer {alice.secret}"}
    agreed = api.post("/v1/validate", headers=both, json=body)
    differing = api.post("/v1/validate", headers=both | {"Api-Key": "lk_" + "0" * 32}, json=body)
    assert (by_api_key.status_code, agreed.status_code, differing.status_code) == (200, 200, 401)


def test_a_revoked_access_key_stops_at_once(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    assert api.validate(alice, key.secret).status_code == 200
    accounts.revoke_access_key(alice.access_key, now=timezone.now(), by=BY)
    assert api.validate(alice, key.secret).json()["code"] == "INVALID_API_KEY"


def test_an_expired_access_key_is_401(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    accounts.update_access_key(alice.access_key, by=BY, expires_at=timezone.now() - MINUTE)
    assert api.validate(alice, key.secret).status_code == 401


def test_an_access_key_for_analytics_alone_is_403(api: ApiClient, alice: Tenant) -> None:
    accounts.update_access_key(alice.access_key, by=BY, scopes=["analytics"])
    answer = api.validate(alice, alice.key().secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_the_minute_budget_ends_in_429_which_costs_nothing(api: ApiClient, stores: StoreRedis) -> None:
    carol = new_tenant("Carol", requests_per_minute=3)
    key = carol.key()
    answers = [api.validate(carol, key.secret, dry_run=number == 1) for number in range(5)]
    budget = stores.keys("*:m:*")
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert [stores.get(name) for name in budget] == ["3"]


def test_an_unknown_key_costs_of_the_minute_too(api: ApiClient, stores: object) -> None:
    carol = new_tenant("Carol", requests_per_minute=1)
    assert api.validate(carol, "unknown").status_code == 404
    assert api.validate(carol, "unknown").status_code == 429


# --- Bad input ----------------------------------------------------------------------------------------------------
GOOD = {"api_key": "k", "endpoint": "/", "method": "GET"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"endpoint": "/", "method": "GET"}, "api_key"),
        ({"api_key": "k", "method": "GET"}, "endpoint"),
        ({"api_key": "k", "endpoint": "/"}, "method"),
        (GOOD | {"api_key": 1}, "api_key"),
        (GOOD | {"api_key": "k" * 129}, "api_key"),
        (GOOD | {"endpoint": "/" * 2049}, "endpoint"),
        (GOOD | {"endpoint": "/\0"}, "endpoint"),
        (GOOD | {"method": "GE T"}, "method"),
        (GOOD | {"method": "G" * 17}, "method"),
        (GOOD | {"method": None}, "method"),
        (GOOD | {"ip_address": "10.0.0"}, "ip_address"),
        (GOOD | {"cost": -1}, "cost"),
        (GOOD | {"cost": 1_000_001}, "cost"),
        (GOOD | {"cost": 1.5}, "cost"),
        (GOOD | {"cost": True}, "cost"),
        (GOOD | {"dry_run": "yes"}, "dry_run"),
    ],
)
def test_a_wrong_field_is_named(api: ApiClient, alice: Tenant, body: dict[str, object], field: str) -> None:
    answer = api.post("/v1/validate", of=alice, json=body)
    assert answer.status_code == 400
    assert (answer.json()["success"], answer.json()["code"]) == (False, "INVALID_REQUEST")
    assert answer.json()["details"]["field"] == field
    assert answer.json()["details"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 10_000, b'{"api_key": "\\ud800"}'])
def test_what_is_no_json_object_is_400(api: ApiClient, alice: Tenant, body: bytes) -> None:
    answer = api.post("/v1/validate", of=alice, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


def test_optional_fields_may_be_null_and_unknown_ones_are_ignored(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    answer = api.validate(alice, key.secret, cost=None, ip_address=None, dry_run=None, unknown=[1])
    assert answer.json()["details"]["current_usage"] == 1


def test_a_body_over_16_kib_is_413(api: ApiClient, alice: Tenant) -> None:
    answer = api.post("/v1/validate", of=alice, json=GOOD | {"padding": "x" * 20_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json()["success"] is False


def test_another_content_type_is_415(api: ApiClient, alice: Tenant) -> None:
    answer = api.post("/v1/validate", of=alice, data={"api_key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.json()["success"] is False


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405_with_allow(api: ApiClient, alice: Tenant, method: str) -> None:
    answer = api.request(method, "/v1/validate", of=alice)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert (answer.json()["success"], answer.json()["code"]) == (False, "METHOD_NOT_ALLOWED")


def test_a_wrong_body_costs_nothing_of_the_minute(api: ApiClient, stores: object) -> None:
    carol = new_tenant("Carol", requests_per_minute=1)
    assert api.post("/v1/validate", of=carol, json={}).status_code == 400
    assert api.validate(carol, carol.key().secret).status_code == 200
