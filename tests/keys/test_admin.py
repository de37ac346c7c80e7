"""The admin as staff use it: secrets shown once, nothing deleted, lists that cost the same however long."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts.models import AccessKey, Account, User
from keys.ledger.drain import drain_all
from keys.models import ApiKey
from plans.models import Plan, Subscription
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

LISTS = [
    "accounts_account", "accounts_accesskey", "accounts_auditentry", "accounts_user", "accounts_staff",
    "plans_plan", "plans_subscription",
    "keys_apikey", "keys_apikeysecret", "keys_decision", "keys_usagewindow", "keys_usagehour", "keys_streamposition",
    "keys_pendinginvalidation", "keys_deadevent", "keys_callcount", "keys_nearlimit",
    "analytics_app", "analytics_writetoken", "analytics_environment",
    "analytics_keybinding", "analytics_consumergroup", "analytics_consumer", "analytics_endpoint",
]  # fmt: skip


def _url(page: str, *args: object) -> str:
    return reverse(f"admin:{page}", args=args)


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_and_can_be_searched(desk: Client, alice: Tenant, name: str) -> None:
    alice.key(user=alice.user(alice.plan()))
    assert desk.get(_url(f"{name}_changelist")).status_code == 200
    assert desk.get(_url(f"{name}_changelist"), {"q": "a"}).status_code == 200


@pytest.mark.parametrize(
    "name", ["keys_apikey", "accounts_user", "accounts_accesskey", "plans_plan", "plans_subscription"]
)
def test_a_list_costs_the_same_however_long(desk: Client, alice: Tenant, name: str) -> None:
    def cost() -> int:
        with counting_queries() as queries:
            assert desk.get(_url(f"{name}_changelist")).status_code == 200
        return len(queries)

    alice.key(user=alice.user(alice.plan()), plan=alice.plan())
    few = cost()
    for _ in range(6):
        alice.key(user=alice.user(alice.plan()), plan=alice.plan())
    assert cost() == few <= 12


def test_an_access_key_is_shown_once(desk: Client, alice: Tenant) -> None:
    given = {"account": alice.account.pk, "name": "new", "requests_per_minute": 5, "scopes": ["limitly"]}
    answer = desk.post(_url("accounts_accesskey_add"), given)
    made = AccessKey.objects.get(name="new")
    secret = answer.content.decode().partition('value="lk_')[2][:32]
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert (len(secret), made.last4, made.scopes) == (32, secret[-4:], ["limitly"])
    page = desk.get(_url("accounts_accesskey_change", made.pk)).content.decode()
    assert secret not in page
    assert all(secret not in str(entry.change_message) + entry.object_repr for entry in LogEntry.objects.all())


def test_an_api_key_is_issued_shown_once_and_works(api: ApiClient, desk: Client, alice: Tenant) -> None:
    given = {"account": alice.account.pk, "name": "new", "user": alice.user().pk, "status": "active"}
    answer = desk.post(_url("keys_apikey_add"), given)
    secret = "lk_user_" + answer.content.decode().partition('value="lk_user_')[2][:32]
    assert api.validate(alice, secret).status_code == 200


def test_a_secret_is_replaced_after_asking(api: ApiClient, desk: Client, alice: Tenant) -> None:
    key = alice.key()
    url = _url("keys_apikey_regenerate", key.api_key.pk)
    asked = desk.get(url)
    still = api.validate(alice, key.secret).status_code
    answer = desk.post(url, {"overlap_hours": "0"})
    fresh = "lk_user_" + answer.content.decode().partition('value="lk_user_')[2][:32]
    assert (asked.status_code, still) == (200, 200)
    assert (api.validate(alice, key.secret).status_code, api.validate(alice, fresh).status_code) == (404, 200)


def test_a_secret_is_replaced_with_an_overlap(api: ApiClient, desk: Client, alice: Tenant) -> None:
    key = alice.key()
    answer = desk.post(_url("keys_apikey_regenerate", key.api_key.pk), {"overlap_hours": "24"})
    fresh = "lk_user_" + answer.content.decode().partition('value="lk_user_')[2][:32]
    assert (api.validate(alice, key.secret).status_code, api.validate(alice, fresh).status_code) == (200, 200)


def test_a_key_of_one_account_cannot_be_given_anothers_user(desk: Client, alice: Tenant, bob: Tenant) -> None:
    given = {"account": alice.account.pk, "name": "new", "user": bob.user().pk, "status": "active"}
    answer = desk.post(_url("keys_apikey_add"), given)
    assert "another account" in answer.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(("action", "status"), [("deactivate", 403), ("delete_keys", 404)])
def test_actions_on_keys_hold_at_once(api: ApiClient, desk: Client, alice: Tenant, action: str, status: int) -> None:
    key = alice.key()
    assert api.validate(alice, key.secret).status_code == 200
    desk.post(_url("keys_apikey_changelist"), {"action": action, "_selected_action": [key.api_key.pk], "asked": "1"})
    assert api.validate(alice, key.secret).status_code == status


def test_revoking_an_access_key_holds_at_once(api: ApiClient, desk: Client, alice: Tenant) -> None:
    key = alice.key()
    desk.post(
        _url("accounts_accesskey_changelist"),
        {"action": "revoke", "_selected_action": [alice.access_key.pk], "asked": "1"},
    )
    assert api.validate(alice, key.secret).status_code == 401


def test_accounts_plans_users_and_subscriptions_are_made_and_changed(desk: Client, alice: Tenant) -> None:
    account = alice.account.pk
    plan = {"account": account, "name": "Gold", "max_requests": 5, "request_period": "day", "is_active": "on"}
    desk.post(_url("accounts_account_add"), {"name": "Carol"})
    desk.post(_url("plans_plan_add"), plan)
    desk.post(_url("accounts_user_add"), {"account": account, "name": "Uma", "email": "u@example.com"})
    user, made = User.objects.get(name="Uma"), Plan.objects.get(name="Gold")
    desk.post(_url("plans_subscription_add"), {"user": user.pk, "plan": made.pk})
    desk.post(_url("plans_plan_change", made.pk), plan | {"max_requests": 7})
    twice = desk.post(
        _url("accounts_user_add"), {"account": account, "name": "Una", "email": "U@example.com"}, follow=True
    )
    assert Account.objects.get(name="Carol").slug == "carol"
    assert Subscription.objects.get(user=user).plan == made
    assert Plan.objects.get(pk=made.pk).max_requests == 7
    assert "Another user has this e-mail address" in twice.content.decode()


def test_nothing_can_be_deleted_and_the_ledger_not_edited(api: ApiClient, desk: Client, alice: Tenant) -> None:
    key = alice.key()
    api.validate(alice, key.secret)
    drain_all(for_s=5)
    assert desk.get(_url("keys_apikey_delete", key.api_key.pk)).status_code == 403
    assert desk.get(_url("keys_usagehour_add")).status_code == 403
    listed = desk.get(_url("keys_decision_changelist"), {"account_id": alice.account.pk, "api_key_id": key.api_key.pk})
    assert "/orders" in listed.content.decode()


def test_a_plan_in_use_is_not_deleted_by_the_action(desk: Client, alice: Tenant) -> None:
    plan = alice.plan()
    alice.user(plan)
    data = {"action": "delete_plans", "_selected_action": [plan.pk], "asked": "1"}
    answer = desk.post(_url("plans_plan_changelist"), data, follow=True)
    assert "in use by 1 users" in answer.content.decode()
