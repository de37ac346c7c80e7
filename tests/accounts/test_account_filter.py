"""Lists are filtered by an account that is searched by its name, however many accounts there are."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.desk.account_filter import AccountFilter
from accounts.models import Account, User
from tests.cast import Tenant
from tests.queries import counting_queries

USERS = reverse("admin:accounts_user_changelist")
FILTERED = [
    f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    for model, desk in admin.site._registry.items()
    if AccountFilter in desk.list_filter
]


def _shown(desk: Client, **query: Any) -> list[User]:
    return list(desk.get(USERS, query).context["cl"].result_list)


def test_a_list_is_shown_for_one_account(desk: Client, alice: Tenant, bob: Tenant) -> None:
    mine, his = alice.user(), bob.user()
    assert _shown(desk, account_id=alice.account.pk) == [mine]
    assert _shown(desk, account_id="") == [his, mine]
    assert _shown(desk, account_id=0) == []


@pytest.mark.parametrize("nonsense", ["x", "-1", "9" * 30, "²"])
@pytest.mark.parametrize("page", ["accounts_user", "keys_usagewindow"])
def test_what_is_no_account_has_nothing(desk: Client, alice: Tenant, page: str, nonsense: str) -> None:
    """A table that is read by account is never read whole, whatever an address says."""
    alice.user()
    shown = desk.get(reverse(f"admin:{page}_changelist"), {"account_id": nonsense})
    assert list(shown.context["cl"].result_list) == []
    assert shown.context["cl"].queryset.query.is_empty()


@pytest.mark.parametrize("page", FILTERED)
def test_accounts_are_searched_and_not_listed(desk: Client, alice: Tenant, bob: Tenant, page: str) -> None:
    shown = desk.get(reverse(page), {"account_id": alice.account.pk}).content.decode()
    form = shown[shown.index('id="filter-form"') :].partition("</form>")[0]
    assert f'data-ajax--url="{reverse("admin:autocomplete")}"' in form
    assert "Alice</option>" in form
    assert "Bob</option>" not in form
    assert "Apply Filters" in form


def test_there_are_as_many_statements_with_a_thousand_accounts(desk: Client, alice: Tenant) -> None:
    def cost() -> int:
        with counting_queries() as queries:
            assert desk.get(USERS).status_code == 200
        return len(queries)

    few = cost()
    Account.objects.bulk_create(Account(name=f"Account {n}", slug=f"a-{n}", bucket=0) for n in range(1_000))
    assert cost() == few
    found = desk.get(
        reverse("admin:autocomplete"),
        {"app_label": "accounts", "model_name": "accesskey", "field_name": "account", "term": "count 999"},
    ).json()["results"]
    assert [each["text"] for each in found] == ["Account 999"]
