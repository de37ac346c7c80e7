"""Staff's pages of apps and their credentials."""

import re

from django.test import Client
from django.urls import reverse

from accounts.secrets import digest_of
from analytics import services
from analytics.models import App, WriteToken
from tests.cast import BY, Tenant


def test_an_app_is_made_and_changed_and_stays_its_accounts(desk: Client, alice: Tenant, bob: Tenant) -> None:
    given = {"account": alice.account.pk, "name": "Shop", "framework": "FastAPI", "is_hub_enabled": "on"}
    desk.post(reverse("admin:analytics_app_add"), given)
    app = App.objects.get()
    change = {"account": bob.account.pk, "name": "Store", "framework": "Django"}
    desk.post(reverse("admin:analytics_app_change", args=[app.pk]), change)
    changed = App.objects.get()
    assert (app.name, app.framework, app.is_hub_enabled) == ("Shop", "FastAPI", True)
    assert (changed.name, changed.framework, changed.is_hub_enabled) == ("Store", "Django", False)
    assert (changed.account, changed.client_id) == (alice.account, app.client_id)


def test_a_write_token_is_shown_once_and_revoked(desk: Client, alice: Tenant) -> None:
    app = services.create_app(alice.account, by=BY, name="Shop")
    answer = desk.post(reverse("admin:analytics_writetoken_add"), {"app": app.pk, "name": "ci"})
    found = re.search("apt_[0-9A-Za-z]{24}", answer.content.decode())
    token = WriteToken.objects.get()
    page = reverse("admin:analytics_writetoken_changelist")
    desk.post(page, {"action": "revoke", "_selected_action": token.pk})
    assert found is not None
    assert bytes(token.digest) == digest_of(found[0])
    assert found[0] not in desk.get(page).content.decode()
    assert WriteToken.objects.get().revoked_at is not None


def test_a_client_id_is_renewed_by_an_action(desk: Client, alice: Tenant) -> None:
    app = services.create_app(alice.account, by=BY, name="Shop")
    desk.post(reverse("admin:analytics_app_changelist"), {"action": "renew_client_ids", "_selected_action": app.pk})
    assert App.objects.get().client_id != app.client_id
