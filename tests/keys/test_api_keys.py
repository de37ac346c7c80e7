"""Keys through the REST API: literal shapes in both dialects, rulings, filters, isolation."""

from typing import Any

import pytest

from keys.models import ApiKey
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

BOTH = pytest.mark.parametrize("base", ["/v1", "/functions/v1"])
KEY_FIELDS = {
    "id", "name", "user_id", "plan_id", "status", "key_prefix",
    "expires_at", "last_used_at", "created_at", "updated_at",
}  # fmt: skip


def test_a_created_key_is_shown_with_its_secret_once(api: ApiClient, alice: Tenant) -> None:
    plan, user = alice.plan(), alice.user()
    body = {"name": "Backend", "user_id": user.pk, "plan_id": plan.public_id, "status": "inactive"}
    answer = api.post("/v1/keys", of=alice, json=body)
    data = answer.json()["data"]
    again = api.get(f"/v1/keys/{data['id']}", of=alice).json()
    assert answer.status_code == 201
    assert answer.json() == {"data": data, "count": 1}
    assert set(data) == KEY_FIELDS | {"api_key"}
    assert {name: data[name] for name in body} == body
    assert (data["api_key"][:8], len(data["api_key"]), data["id"][:4]) == ("lk_user_", 40, "key_")
    assert data["key_prefix"] == f"{data['api_key'][:12]}…{data['api_key'][-4:]}"
    assert again == {"data": {name: data[name] for name in KEY_FIELDS}, "count": 1}


def test_the_sdks_envelope(api: ApiClient, alice: Tenant) -> None:
    created = api.post("/functions/v1/keys", of=alice, json={"name": "a", "user_id": None, "plan_id": None}).json()
    listed = api.get("/functions/v1/keys", of=alice).json()
    refused = api.get("/functions/v1/keys/key_unknown", of=alice)
    assert set(created) == {"success", "data"}
    assert (set(listed), listed["success"], listed["count"]) == ({"success", "data", "count"}, True, 1)
    assert refused.json() == {"success": False, "error": "Not found", "code": "NOT_FOUND"}


@BOTH
def test_lists_page_newest_first_and_count_all_pages(api: ApiClient, alice: Tenant, base: str) -> None:
    ids = [alice.key().api_key.public_id for _ in range(5)][::-1]
    second = api.get(f"{base}/keys?page=2&limit=2", of=alice).json()
    beyond = api.get(f"{base}/keys?page=9", of=alice).json()
    assert [key["id"] for key in second["data"]] == ids[2:4]
    assert (second["count"], beyond["data"], beyond["count"]) == (5, [], 5)


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "limit=0", "limit=101", "limit=1.5", "page=101&limit=100", "page=%C2%B2"]
)
def test_pages_out_of_bounds_are_refused(api: ApiClient, alice: Tenant, query: str) -> None:
    answer = api.get(f"/v1/keys?{query}", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["details"]["field"] in ("page", "limit")


def test_filters_narrow_the_list(api: ApiClient, alice: Tenant) -> None:
    user, plan = alice.user(), alice.plan()
    mine, planned = alice.key(user=user), alice.key(plan=plan)
    api.put(f"/v1/keys/{planned.api_key.public_id}", of=alice, json={"status": "inactive", "name": "Nightly job"})
    for query, wanted in {
        f"user_id={user.pk}": mine,
        f"plan_id={plan.public_id}": planned,
        "status=inactive": planned,
        "search=nightly": planned,
    }.items():
        found = api.get(f"/v1/keys?{query}", of=alice).json()
        assert ([key["id"] for key in found["data"]], found["count"]) == ([wanted.api_key.public_id], 1)


@pytest.mark.parametrize(
    "query", ["user_id=x", "user_id=99999999999999999999", "status=gone", "search=%00", "user_id=-1"]
)
def test_a_filter_that_makes_no_sense_is_refused(api: ApiClient, alice: Tenant, query: str) -> None:
    answer = api.get(f"/v1/keys?{query}", of=alice)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, query.partition("=")[0])


def test_a_put_changes_what_it_names_and_nulls_change_nothing(api: ApiClient, alice: Tenant) -> None:
    user = alice.user()
    path = f"/v1/keys/{alice.key(user=user).api_key.public_id}"
    before = api.get(path, of=alice).json()["data"]
    nulls = api.put(path, of=alice, json={"name": None, "user_id": None, "plan_id": None, "status": None})
    renamed = api.put(path, of=alice, json={"name": "new"}).json()["data"]
    assert nulls.status_code == 200
    assert {**nulls.json()["data"], "updated_at": before["updated_at"]} == before
    assert {**renamed, "updated_at": 0, "name": 0} == {**before, "updated_at": 0, "name": 0}


def test_an_empty_text_clears_user_and_plan(api: ApiClient, alice: Tenant) -> None:
    path = f"/v1/keys/{alice.key(user=alice.user(), plan=alice.plan()).api_key.public_id}"
    cleared = api.put(path, of=alice, json={"user_id": "", "plan_id": ""}).json()["data"]
    assert (cleared["user_id"], cleared["plan_id"]) == (None, None)


@BOTH
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a", "status": ""}, "status"),
        ({"name": "a", "status": "gone"}, "status"),
        ({"name": "a", "user_id": 999_999}, "user_id"),
        ({"name": "a", "user_id": 2**70}, "user_id"),
        ({"name": "a", "user_id": "7"}, "user_id"),
        ({"name": "a", "plan_id": "plan_unknown"}, "plan_id"),
        ({"name": "a", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "a", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
    ],
)
def test_a_wrong_body_is_refused_by_field(
    api: ApiClient, alice: Tenant, base: str, body: dict[str, Any], field: str
) -> None:
    answer = api.post(f"{base}/keys", of=alice, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["details"]["field"] == field
    assert answer.json()["details"]["message"] == answer.json()["error"]
    assert ("success" in answer.json()) == (base != "/v1")


def test_a_neighbours_user_or_plan_is_refused_as_one_that_never_was(api: ApiClient, alice: Tenant, bob: Tenant) -> None:
    def refuse(field: str, value: object) -> object:
        return api.post("/v1/keys", of=alice, json={"name": "a", field: value}).json()

    assert refuse("user_id", bob.user().pk) == refuse("user_id", 999_999)
    assert refuse("plan_id", bob.plan().public_id) == refuse("plan_id", "plan_unknown")


def test_an_inactive_plan_is_kept_but_not_newly_assigned(api: ApiClient, alice: Tenant) -> None:
    plan = alice.plan()
    held = f"/v1/keys/{alice.key(plan=plan).api_key.public_id}"
    api.put(f"/v1/plans/{plan.public_id}", of=alice, json={"is_active": False})
    kept = api.put(held, of=alice, json={"plan_id": plan.public_id})
    refused = api.post("/v1/keys", of=alice, json={"name": "a", "plan_id": plan.public_id})
    assert (kept.status_code, refused.status_code) == (200, 400)
    assert refused.json()["details"]["field"] == "plan_id"


@BOTH
def test_a_deleted_key_is_gone_on_all_its_paths(api: ApiClient, alice: Tenant, base: str) -> None:
    key = alice.key()
    path = f"{base}/keys/{key.api_key.public_id}"
    deleted = api.delete(path, of=alice, headers={"Content-Type": "application/json"}).json()
    assert deleted["data"] == {"message": "API key deleted successfully"}
    assert deleted.get("count", 1) == 1
    for gone in (path, f"{path}/usage", f"{path}/requests"):
        assert api.get(gone, of=alice).json()["code"] == "NOT_FOUND"
    assert api.post(f"{path}/regenerate", of=alice).status_code == 404
    assert ApiKey.objects.filter(pk=key.api_key.pk).exists()


def test_regenerating_keeps_the_id_and_stops_the_old_secret(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    path = f"/functions/v1/keys/{key.api_key.public_id}/regenerate"
    answer = api.post(path, of=alice, content=b"null", headers={"Content-Type": "application/json"})
    fresh = answer.json()["data"]
    assert (answer.status_code, fresh["id"]) == (200, key.api_key.public_id)
    assert api.validate(alice, key.secret).status_code == 404
    assert api.validate(alice, fresh["api_key"]).status_code == 200


def test_a_list_costs_the_same_few_queries_however_long(api: ApiClient, alice: Tenant) -> None:
    def cost(path: str) -> int:
        with counting_queries() as queries:
            assert api.get(path, of=alice).status_code == 200
        return len(queries)

    user, plan = alice.user(alice.plan()), alice.plan()
    paths = ["/v1/keys", "/v1/users", "/v1/plans", f"/v1/users/{user.pk}/keys"]
    paths += [f"/v1/plans/{plan.public_id}/users", f"/v1/plans/{plan.public_id}/keys"]
    alice.key(user=user, plan=plan)
    few = [cost(path) for path in paths]
    for _ in range(8):
        alice.key(user=alice.user(plan), plan=plan)
        alice.key(user=user, plan=alice.plan())
    assert [cost(path) for path in paths] == few
    assert max(few) <= 5


def test_regeneration_can_overlap(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    path = f"/v1/keys/{key.api_key.public_id}/regenerate"
    fresh = api.post(path, of=alice, json={"overlap_seconds": 60}).json()["data"]["api_key"]
    assert {api.validate(alice, secret).status_code for secret in (key.secret, fresh)} == {200}
    assert api.post(path, of=alice, json={"overlap_seconds": -1}).status_code == 400
    assert api.post(path, of=alice, json={"overlap_seconds": 31 * 86400}).status_code == 400
