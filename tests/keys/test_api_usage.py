"""Usage and history: whose numbers, both dialects, and nothing missed that was decided a moment ago."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from keys import services as keys
from keys.ledger import reading
from keys.ledger.drain import drain_all
from keys.models import ApiKeyStatus
from tests.cast import BY, IssuedKey, Tenant
from tests.conftest import ApiClient

SDK_USAGE = {
    "apiKeyId", "apiKeyName", "created_at", "periodStart", "periodEnd", "totalRequests", "requestsInPeriod",
    "percentageUsed", "limit", "planName", "isUnlimited", "current_usage", "remaining", "reset_time", "period",
}  # fmt: skip


def _spend(api: ApiClient, tenant: Tenant, key: IssuedKey, *costs: int) -> None:
    for cost in costs:
        api.validate(tenant, key.secret, cost=cost)


def _path(key: IssuedKey, what: str, base: str = "/v1") -> str:
    return f"{base}/keys/{key.api_key.public_id}/{what}"


@pytest.mark.parametrize("is_drained", [False, True])
def test_a_keys_usage_is_its_deciding_windows(api: ApiClient, alice: Tenant, is_drained: bool) -> None:
    user = alice.user(alice.plan(10, "month", "Gold"))
    first, second = alice.key(user=user), alice.key(user=user)
    _spend(api, alice, first, 3, 20)
    _spend(api, alice, second, 2)
    if is_drained:
        drain_all(for_s=5)
    documented = api.get(_path(first, "usage"), of=alice).json()
    data = api.get(_path(first, "usage", "/functions/v1"), of=alice).json()["data"]
    assert set(documented["data"]) == {"current_usage", "limit", "remaining", "reset_time", "period"}
    assert documented["data"] == {name: data[name] for name in documented["data"]}
    assert (data["current_usage"], data["limit"], data["remaining"], data["period"]) == (5, 10, 5, "month")
    assert set(data) == SDK_USAGE
    assert (data["requestsInPeriod"], data["totalRequests"], data["percentageUsed"]) == (2, 2, 50.0)
    assert (data["planName"], data["isUnlimited"]) == ("Gold", False)


def test_usage_without_a_plan(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(user=alice.user())
    _spend(api, alice, key, 1, 1)
    shown = api.get(_path(key, "usage"), of=alice).json()["data"]
    assert shown == {"current_usage": 2, "limit": -1, "remaining": -1, "reset_time": None, "period": "month"}


def test_a_users_usage(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(4, "day", "Gold"))
    _spend(api, alice, alice.key(user=user), 1, 2)
    for base in ("/v1", "/functions/v1"):
        data = api.get(f"{base}/users/{user.pk}/usage", of=alice).json()["data"]
        start, end = data.pop("period_start"), data.pop("period_end")
        assert start < timezone.now().isoformat() < end
        assert data == {
            "type": "user", "user_name": "Uma", "current_usage": 3, "limit": 4, "percentage_used": 75.0,
            "plan_name": "Gold", "is_unlimited": False,
        }  # fmt: skip


@pytest.mark.parametrize("is_drained", [False, True])
def test_a_plans_usage_sums_the_current_windows_of_its_live_subjects(
    api: ApiClient, alice: Tenant, is_drained: bool
) -> None:
    plan = alice.plan(100, "month", "Gold")
    anchored = alice.user(plan, custom_start=timezone.now() - timedelta(days=3))
    _spend(api, alice, alice.key(user=alice.user(plan)), 5)
    _spend(api, alice, alice.key(user=anchored), 3)
    _spend(api, alice, alice.key(plan=plan), 2)
    gone = alice.user(plan)
    _spend(api, alice, alice.key(user=gone), 50)
    keys.delete_user(gone, now=timezone.now(), by=BY)
    if is_drained:
        drain_all(for_s=5)
    path = f"plans/{plan.public_id}/usage"
    assert api.get(f"/v1/{path}", of=alice).json() == {
        "data": {"total_users": 2, "total_requests": 10, "average_usage": 5.0, "period": "month"},
        "count": 1,
    }
    assert api.get(f"/functions/v1/{path}", of=alice).json()["data"] == {
        "plan_id": plan.public_id, "plan_name": "Gold", "max_requests": 100, "request_period": "month",
        "total_requests": 10, "percentage_used": 3.33, "users_count": 2, "api_keys_count": 1, "is_unlimited": False,
    }  # fmt: skip


# --- history ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("drained_after", [None, 1, 3])
def test_history_is_newest_first_whatever_is_drained(api: ApiClient, alice: Tenant, drained_after: int | None) -> None:
    key = alice.key(plan=alice.plan(2))
    for number in range(4):
        api.validate(alice, key.secret, endpoint=f"/{number}", ip_address="203.0.113.7")
        if number == drained_after:
            drain_all(for_s=5)
    answer = api.get(_path(key, "requests"), of=alice).json()
    requests = answer["data"]["requests"]
    assert (set(answer), set(answer["data"]), answer["count"]) == ({"data", "count"}, {"requests", "count"}, 1)
    assert [call["endpoint"] for call in requests] == ["/3", "/2", "/1", "/0"]
    assert [call["status"] for call in requests] == ["denied", "denied", "allowed", "allowed"]
    assert (requests[0]["reason"], "reason" in requests[2]) == ("over_quota", False)
    assert (requests[0]["ip_address"], requests[0]["method"], answer["data"]["count"]) == ("203.0.113.7", "GET", 4)


def test_history_for_the_sdks(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(1))
    _spend(api, alice, key, 1, 1)
    keys.update_api_key(key.api_key, by=BY, status=ApiKeyStatus.INACTIVE)
    _spend(api, alice, key, 1)
    answer = api.get(_path(key, "requests", "/functions/v1"), of=alice).json()
    details = answer["data"]["requestsInPeriodDetails"]
    assert set(answer) == {"success", "data"}
    assert set(answer["data"]) == {
        "apiKeyId", "apiKeyName", "created_at", "periodStart", "periodEnd", "totalRequests", "requestsInPeriod",
        "requestsInPeriodDetails",
    }  # fmt: skip
    assert [call["status_code"] for call in details] == [403, 429, 200]
    assert set(details[0]) == {
        "api_key_id", "created_at", "endpoint", "method", "status_code", "response_time_ms",
    }  # fmt: skip
    assert (details[0]["api_key_id"], details[0]["response_time_ms"]) == (key.api_key.public_id, 0)
    assert (answer["data"]["totalRequests"], answer["data"]["requestsInPeriod"]) == (3, 2)


def test_history_is_filtered_and_paged_over_the_seam(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(4))
    for number in range(6):
        api.validate(alice, key.secret, endpoint=f"/{number % 2}", method="post" if number > 2 else "get")
        if number == 2:
            drain_all(for_s=5)

    def ask(query: str) -> tuple[list[str], int]:
        data = api.get(f"{_path(key, 'requests')}?{query}", of=alice).json()["data"]
        return [f"{call['method']}{call['endpoint']}" for call in data["requests"]], data["count"]

    assert ask("limit=2&page=2") == (["POST/1", "GET/0"], 6)
    assert ask("method=post") == (["POST/1", "POST/0", "POST/1"], 3)
    assert ask("endpoint=/0&status=allowed") == (["GET/0", "GET/0"], 2)
    assert ask("status=denied") == (["POST/1", "POST/0"], 2)
    assert ask("end=2001-01-01T00:00:00Z") == ([], 0)
    assert ask("start=2001-01-01T00:00:00Z")[1] == 6


@pytest.mark.parametrize("query", ["start=x", "status=x", "limit=101", "page=101&limit=100", "endpoint=%00"])
def test_a_history_query_that_makes_no_sense_is_refused(api: ApiClient, alice: Tenant, query: str) -> None:
    answer = api.get(f"{_path(alice.key(), 'requests')}?{query}", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


def test_a_users_history_holds_the_calls_of_its_deleted_keys(api: ApiClient, alice: Tenant) -> None:
    user = alice.user()
    key = alice.key(user=user)
    _spend(api, alice, key, 1)
    keys.delete_api_key(key.api_key, now=timezone.now(), by=BY)
    _spend(api, alice, alice.key(user=user), 1)
    drain_all(for_s=5)
    data = api.get(f"/v1/users/{user.pk}/requests", of=alice).json()["data"]
    assert (len(data["requests"]), data["count"]) == (2, 2)


def test_with_too_many_undrained_events_the_ledger_answers_and_says_how_late(
    api: ApiClient, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = alice.key()
    _spend(api, alice, key, 1)
    drain_all(for_s=5)
    monkeypatch.setattr(reading, "UNDRAINED_MAX", 2)
    _spend(api, alice, key, 1, 1, 1)
    answer = api.get(_path(key, "requests"), of=alice)
    assert answer.json()["data"]["count"] == 1
    assert answer.headers["X-Ledger-Lag"] == "0"


def test_a_read_after_a_validate_never_misses_it_while_drains_run(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(-1))
    stop = threading.Event()
    drains = [threading.Thread(target=_drain_until, args=(stop,)) for _ in range(2)]
    for drain in drains:
        drain.start()
    seen = []
    for number in range(1, 61):
        api.validate(alice, key.secret, endpoint=f"/{number}")
        data = api.get(f"{_path(key, 'requests')}?limit=1", of=alice).json()["data"]
        seen.append((data["requests"][0]["endpoint"], data["count"]))
    stop.set()
    for drain in drains:
        drain.join()
    assert seen == [(f"/{number}", number) for number in range(1, 61)]


def _drain_until(stop: threading.Event) -> None:
    while not stop.is_set():
        drain_all(for_s=1, batch=3)
        time.sleep(0.001)
    connection.close()
