"""Nobody is kept from a page of the desk: axe-core finds no serious fault, light or dark."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Staff
from tests.analytics.filed import file_whole_request, observe
from tests.browser.browsing import browsing, faults_of, log_in
from tests.cast import Tenant
from tests.live_server import LiveServer


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_of_the_desk_has_a_serious_fault(server: LiveServer, alice: Tenant, staff: Staff, dark: bool) -> None:
    key = alice.key(user=alice.user(alice.plan()))
    user = key.api_key.user
    assert user is not None
    row = file_whole_request(observe(alice), timezone.now() - timedelta(minutes=1))
    explorer = f"{reverse('desk:requests')}?app={row.app_id}"
    observe(alice)  # so that one of two apps must be chosen
    paths = [
        reverse("admin:index"),
        reverse("desk:find"),
        reverse("desk:requests"),
        explorer,
        f"{explorer}&status=bad",
        reverse("desk:request", args=[row.app_id, row.uuid]),
        reverse("admin:keys_apikey_changelist"),
        reverse("admin:keys_apikey_change", args=[key.api_key.pk]),
        reverse("admin:keys_apikey_revoke", args=[key.api_key.pk]),
        reverse("admin:keys_apikey_expire", args=[key.api_key.pk]),
        reverse("admin:keys_apikey_regenerate", args=[key.api_key.pk]),
        f"{reverse('desk:why')}?key={key.api_key.pk}&access_key={alice.access_key.pk}",
        reverse("admin:accounts_user_changelist"),
        reverse("admin:accounts_user_change", args=[user.pk]),
        reverse("admin:accounts_account_change", args=[alice.account.pk]),
        reverse("admin:plans_plan_change", args=[user.subscription.plan_id]),
        reverse("admin:accounts_accesskey_change", args=[alice.access_key.pk]),
    ]
    with browsing(server, dark=dark) as page:
        log_in(page)
        assert faults_of(page, paths) == ""
