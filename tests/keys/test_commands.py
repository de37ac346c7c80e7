"""What operators type: each command does what it says, and its exit code means something."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command, get_commands
from django.core.management.base import CommandError

from accounts.models import AccessKey, Account, Staff
from keys.ledger.checking import check_ledger
from keys.models import ApiKey, Decision, UsageHour, UsageWindow
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer
from tests.store_redis import StoreRedis

OURS = sorted(name for name, app in get_commands().items() if app in ("accounts", "keys", "analytics"))


def run(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out, stderr=StringIO())
    return out.getvalue()


def run_json(*words: object) -> Any:
    return json.loads(run(*words, "--json"))


def test_every_command_of_the_house_is_here() -> None:
    assert OURS == [
        "adjust_quota", "bind_access_key", "check_ledger", "create_access_key", "create_account", "create_app",
        "create_write_token", "drain_events", "export_request_logs", "export_traffic", "first_start", "fold_decisions",
        "ingest_reports", "issue_api_key", "judge_sources", "make_partitions", "move_users", "prune_analytics",
        "prune_decisions", "rebuild_traffic", "rebuild_usage", "remove_second_factor", "renew_client_id",
        "resend_invalidations", "revoke_access_key", "revoke_api_key", "revoke_write_token", "seed_demo",
        "simulate_app", "simulate_history", "simulate_installation", "simulate_traffic",
        "watch_limits",
    ]  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(name, "--help")
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_an_account_is_created_with_an_access_key_that_works(api: ApiClient, stores: StoreRedis) -> None:
    told = run_json("create_account", "Carol", "--requests-per-minute", "7")
    answer = api.get("/v1/keys", headers={"Api-Key": told["access_key"]})
    unlimited = run_json("create_account", "Carol", "--requests-per-minute", "unlimited")
    assert answer.headers["X-RateLimit-Limit"] == "7"
    assert AccessKey.objects.get(account_id=unlimited["account_id"]).requests_per_minute is None
    assert Account.objects.get(pk=told["account_id"]).slug == "carol" != unlimited["slug"]


@pytest.mark.parametrize(
    "words",
    [
        ("create_account", ""),
        ("create_account", "x", "--requests-per-minute", "many"),
        ("create_access_key", "nobody"),
        ("issue_api_key", "nobody"),
        ("revoke_api_key", "key_0"),
        ("revoke_access_key", "lk_secret"),
        ("adjust_quota", "reset", "--user", "0", "--reason", "x"),
        ("adjust_quota", "grant", "--key", "key_0", "--units", "5", "--reason", "x"),
        ("simulate_traffic", "--url", "http://127.0.0.1:9"),
    ],
)
def test_a_wish_that_cannot_be_granted_says_what_to_do(stores: StoreRedis, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r": .*[.]$|^Give .*[.]$|has 1 to .*[.]$"):
        run(*words)


def test_a_key_is_issued_for_nobody_elses_user_and_plan(alice: Tenant, bob: Tenant) -> None:
    for word, theirs in (("--user", bob.user().pk), ("--plan", bob.plan().public_id)):
        with pytest.raises(CommandError, match="the admin lists its"):
            run("issue_api_key", alice.account.slug, word, theirs)
    assert ApiKey.objects.count() == 0


def test_keys_are_issued_and_revoked(api: ApiClient, alice: Tenant) -> None:
    user, plan = alice.user(), alice.plan()
    issued = run_json("issue_api_key", alice.account.slug, "--user", user.pk, "--plan", plan.public_id)
    assert api.validate(alice, issued["api_key"]).status_code == 200
    run("revoke_api_key", issued["id"])
    assert api.validate(alice, issued["api_key"]).status_code == 404


def test_a_quota_is_adjusted_once_however_often_it_is_asked(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(2))
    key = alice.key(user=user)
    for _ in range(2):
        api.validate(alice, key.secret)
    words = ("--key", key.api_key.public_id, "--reason", "A launch")
    told = run_json("adjust_quota", "grant", "--units", 3, *words)
    again = run_json("adjust_quota", "grant", "--units", 3, *words, "--request-id", told["request_id"])
    reset = run("adjust_quota", "reset", "--user", user.pk, "--reason", "Our bug")
    assert (told["amount"], told["used"], told["limit"], told["granted"]) == (-3, 2, 2, 3)
    assert again == told | {"is_repeat": True}
    assert reset.startswith("Done: 0 of 5 used until ")
    with pytest.raises(CommandError, match="nothing to reset"):
        run("adjust_quota", "reset", "--user", user.pk, "--reason", "Our bug")
    with pytest.raises(CommandError, match="takes no --units"):
        run("adjust_quota", "reset", "--user", user.pk, "--reason", "Our bug", "--units", 5)


def test_access_keys_are_created_and_revoked(api: ApiClient, alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    told = run_json("create_access_key", alice.account.pk, "--scope", "limitly", "--expires-at", "2999-01-01")
    headers = {"Api-Key": told["access_key"]}
    before = api.get("/v1/keys", headers=headers).status_code
    monkeypatch.setattr("sys.stdin", StringIO(told["access_key"] + "\n"))
    run("revoke_access_key", "-")
    assert (before, api.get("/v1/keys", headers=headers).status_code) == (200, 401)


def test_draining_and_checking(api: ApiClient, alice: Tenant, stores: StoreRedis) -> None:
    api.validate(alice, alice.key(plan=alice.plan(5, "day")).secret)
    assert run("drain_events") == "1 events filed.\n"
    assert run_json("check_ledger") == {"counters": 1, "dead_events": 0, "differences": []}
    stores.hincrby(stores.keys("*:c:*")[0], "used", 3)
    with pytest.raises(SystemExit) as ended:
        run("check_ledger")
    assert ended.value.code == 1


def test_usage_is_rebuilt_from_the_kept_decisions(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(user=alice.user(alice.plan(2, "day")))
    for _ in range(3):
        api.validate(alice, key.secret)
    run("drain_events")
    before = [list(model.objects.order_by("id").values()) for model in (UsageWindow, UsageHour)]
    UsageWindow.objects.all().delete()
    UsageHour.objects.update(units_allowed=99, calls_denied=77)
    old = UsageHour.objects.get()
    old.pk, old.hour = None, old.hour.replace(year=2001)
    old.save()
    said = run("rebuild_usage")
    UsageHour.objects.filter(hour__year=2001).delete()
    after = [list(model.objects.order_by("id").values()) for model in (UsageWindow, UsageHour)]
    assert said == "2 windows and hours rebuilt, 1 left: their decisions are no longer kept.\n"
    assert [_without_id(rows) for rows in after] == [_without_id(rows) for rows in before]
    assert check_ledger().differences == []


def _without_id(rows: list[Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def test_the_first_start_shows_its_secrets_once(api: ApiClient, stores: StoreRedis) -> None:
    first, second = run("first_start"), run("first_start")
    access_key = first.partition('"Demo":')[2].split()[0]
    api_key = first.partition('"api_key": "')[2].partition('"')[0]
    body = {"api_key": api_key, "endpoint": "/orders", "method": "GET"}
    assert api.post("/v1/validate", headers={"Authorization": f"Bearer {access_key}"}, json=body).json()["success"]
    assert "curl -X POST http://127.0.0.1:8000/v1/validate" in first
    assert (second, Staff.objects.count(), AccessKey.objects.get().requests_per_minute) == ("", 1, None)


def test_a_demo_is_seeded_and_traffic_simulated(server: LiveServer, stores: StoreRedis) -> None:
    seeded = run_json("seed_demo", "--keys", "12")
    told = run_json("simulate_traffic", "--url", server.url, "--keys", "3", "--rate", "60", "--seconds", "1")
    run("drain_events")
    assert (len(seeded["api_keys"]), ApiKey.objects.filter(account_id=seeded["account_id"]).count()) == (12, 12)
    assert told["allowed"] > 10
    assert Decision.objects.count() == told["allowed"] + told.get("denied", 0)
    assert set(told) <= {"allowed", "denied", "p50_ms", "p99_ms"}


def test_the_tasks_twins(stores: StoreRedis) -> None:
    assert run("resend_invalidations") == "0 changes sent.\n"
    assert run("prune_decisions").startswith("0 days dropped")
    assert run("make_partitions").endswith("partitions made.\n")
