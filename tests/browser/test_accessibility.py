"""Nobody is kept from a page of the desk: axe-core finds no serious fault, light or dark."""

import pytest
from django.urls import reverse

from accounts.models import Staff
from tests.browser.browsing import browsing, faults, log_in
from tests.cast import Tenant
from tests.live_server import LiveServer


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_of_the_desk_has_a_serious_fault(server: LiveServer, alice: Tenant, staff: Staff, dark: bool) -> None:
    key = alice.key()
    paths = [
        reverse("admin:index"),
        reverse("desk:find"),
        reverse("admin:keys_apikey_changelist"),
        reverse("admin:keys_apikey_change", args=[key.api_key.pk]),
    ]
    with browsing(server, dark=dark) as page:
        log_in(page)
        found = {}
        for path in paths:
            page.goto(path)
            found[path] = faults(page)
    wrong = [f"{path}: {fault}" for path, faults_of in found.items() for fault in faults_of]
    if wrong:
        pytest.fail("\n".join(wrong))
