"""What each role may see and do, tried on every page and action of the admin."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.roles import Role
from keys.models import ApiKey
from limitly_site.desk import NAVIGATION
from tests.cast import Tenant

DESKS = {f"{model._meta.app_label}_{model._meta.model_name}": desk for model, desk in admin.site._registry.items()}
OF_STAFF = {"accounts_staff", "auth_group"}
OF_SUPPORT = {"accounts_user", "plans_subscription", "keys_apikey"}


def _may_view(role: Role, name: str) -> bool:
    return role is Role.ADMINISTRATOR or name not in OF_STAFF


def _may_add(role: Role, name: str) -> bool:
    if role is Role.ADMINISTRATOR:
        return True
    return name not in OF_STAFF and (role is Role.OPERATOR or (role is Role.SUPPORT and name in OF_SUPPORT))


@pytest.mark.parametrize("role", Role)
def test_each_role_opens_its_lists_and_no_other(as_role: Any, role: Role) -> None:
    client = as_role(role)
    answers = {name: client.get(reverse(f"admin:{name}_changelist")).status_code for name in DESKS}
    assert answers == {name: 200 if _may_view(role, name) else 403 for name in DESKS}


@pytest.mark.parametrize("role", Role)
def test_each_role_adds_what_it_may_and_no_more(as_role: Any, desk: Client, role: Role) -> None:
    client, anything = as_role(role), desk.get(reverse("admin:index")).wsgi_request
    for name, its_desk in DESKS.items():
        is_ever_added = its_desk.has_add_permission(anything)
        expected = 200 if _may_add(role, name) and is_ever_added else 403
        assert client.get(reverse(f"admin:{name}_add")).status_code == expected, name


@pytest.mark.parametrize("role", Role)
def test_each_role_is_offered_the_actions_that_it_may_run(as_role: Any, role: Role) -> None:
    client = as_role(role)
    for name, desk in DESKS.items():
        if not _may_view(role, name):
            continue
        request = client.get(reverse("admin:index")).wsgi_request
        offered = set(desk.get_actions(request))
        assert offered == (set(desk.actions or ()) if _may_add(role, name) else set()) | (
            offered & {"delete_selected"} if role is Role.ADMINISTRATOR else set()
        ), name


def test_a_viewer_runs_no_action_by_a_forged_form(as_role: Any, alice: Tenant) -> None:
    issued = alice.key()
    client = as_role(Role.VIEWER)
    client.post(
        reverse("admin:keys_apikey_changelist"),
        {"action": "deactivate", "_selected_action": [issued.api_key.pk], "asked": "1"},
    )
    assert ApiKey.objects.get(pk=issued.api_key.pk).status == "active"
    assert client.post(reverse("admin:keys_apikey_regenerate", args=[issued.api_key.pk])).status_code == 403


def test_support_deactivates_a_leaked_key(as_role: Any, alice: Tenant) -> None:
    issued = alice.key()
    client = as_role(Role.SUPPORT)
    client.post(
        reverse("admin:keys_apikey_changelist"),
        {"action": "deactivate", "_selected_action": [issued.api_key.pk], "asked": "1"},
    )
    assert ApiKey.objects.get(pk=issued.api_key.pk).status == "inactive"


@pytest.mark.parametrize("role", Role)
def test_quota_work_is_supports_and_up(as_role: Any, alice: Tenant, role: Role) -> None:
    plan = alice.plan()
    user = alice.user(plan)
    key = alice.key(user=user)
    pages = [reverse(f"desk:{name}", args=["user", user.pk]) for name in ("adjust", "change_plan")]
    pages += [reverse(f"desk:{name}", args=["key", key.api_key.pk]) for name in ("adjust", "change_plan")]
    pages.append(f"{reverse('desk:move')}?source={plan.pk}")
    client, expected = as_role(role), 403 if role is Role.VIEWER else 200
    assert {page: client.get(page).status_code for page in pages} == dict.fromkeys(pages, expected)
    assert {page: client.post(page, {}).status_code for page in pages[:4:2]} == dict.fromkeys(pages[:4:2], expected)
    shown = client.get(reverse("admin:accounts_user_change", args=[user.pk])).content.decode()
    assert (pages[0] in shown) == (role is not Role.VIEWER)


def test_a_viewer_sees_no_personal_data(as_role: Any, alice: Tenant) -> None:
    user = alice.user(email="uma@example.com")
    User.objects.filter(pk=user.pk).update(name="Uma Underwood")
    issued = alice.key(user=user)
    client = as_role(Role.VIEWER)
    pages = [
        reverse("admin:accounts_user_changelist"),
        reverse("admin:accounts_user_change", args=[user.pk]),
        reverse("admin:keys_apikey_changelist"),
        reverse("admin:keys_apikey_change", args=[issued.api_key.pk]),
        reverse("admin:accounts_auditentry_changelist"),
        reverse("admin:accounts_auditentry_change", args=[AuditEntry.objects.get(action="user created").pk]),
    ]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200
        assert "Underwood" not in answer.content.decode(), page
        assert "uma@example.com" not in answer.content.decode(), page
    for guess in ("uma@example.com", "nobody@example.com"):  # who may not see it cannot find out by searching either
        assert client.get(reverse("admin:accounts_user_changelist"), {"q": guess}).context["cl"].result_count == 1


def test_support_sees_who_a_customer_is(as_role: Any, alice: Tenant) -> None:
    user = alice.user(email="uma@example.com")
    page = as_role(Role.SUPPORT).get(reverse("admin:accounts_user_change", args=[user.pk])).content.decode()
    assert "uma@example.com" in page


def test_every_desk_stands_at_the_side() -> None:
    """But the secrets, which are seen with their keys."""
    links = {str(item["link"]) for group in NAVIGATION for item in group["items"]}
    assert {name for name in DESKS if reverse(f"admin:{name}_changelist") not in links} == {"keys_apikeysecret"}
