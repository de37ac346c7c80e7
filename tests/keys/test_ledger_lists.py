"""The ledger's lists lead to the keys and users that they name by number alone."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from keys.ledger.drain import drain_all
from keys.ledger.limits import watch_limits
from keys.ledger.reading import redis_now
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.keys.adjustments import grant


def _list(client: Client, name: str, alice: Tenant) -> str:
    page = client.get(reverse(f"admin:keys_{name}_changelist"), {"account_id": alice.account.pk})
    assert page.context["cl"].result_count > 0
    return page.content.decode()


@pytest.mark.parametrize(
    ("name", "leads_to"),
    [
        ("decision", {"key", "user"}),
        ("usagewindow", {"key", "user"}),
        ("usagehour", {"key", "user"}),
        ("adjustment", {"user"}),
        ("nearlimit", {"user"}),
    ],
)
def test_a_list_leads_to_whom_it_names(
    api: ApiClient, desk: Client, alice: Tenant, name: str, leads_to: set[str]
) -> None:
    user = alice.user(alice.plan(10))
    issued = alice.key(user=user)
    api.validate(alice, issued.secret, cost=10)
    grant(user, 1)
    drain_all(for_s=5)
    watch_limits(redis_now())
    page = _list(desk, name, alice)
    links = {
        "key": f'<a href="{reverse("admin:keys_apikey_change", args=[issued.api_key.pk])}">key {issued.api_key.pk}</a>',
        "user": f'<a href="{reverse("admin:accounts_user_change", args=[user.pk])}">user {user.pk}</a>',
    }
    assert {whose for whose, link in links.items() if link in page} == leads_to


def test_a_key_with_a_plan_of_its_own_is_named_as_the_one_that_is_counted(
    api: ApiClient, desk: Client, alice: Tenant
) -> None:
    issued = alice.key(plan=alice.plan(10))
    api.validate(alice, issued.secret, cost=10)
    drain_all(for_s=5)
    watch_limits(redis_now())
    link = reverse("admin:keys_apikey_change", args=[issued.api_key.pk])
    assert link in _list(desk, "nearlimit", alice)


def test_why_something_was_granted_may_tell_of_a_person(as_role: Any, alice: Tenant) -> None:
    grant(alice.user(alice.plan(10)), 1)
    drain_all(for_s=5)
    assert "asked by phone" in _list(as_role(Role.SUPPORT), "adjustment", alice)
    assert "asked by phone" not in _list(as_role(Role.VIEWER), "adjustment", alice)
