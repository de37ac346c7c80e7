"""What support does for customers: whom an address means, who changed a plan, what goes on; three clicks at most."""

import pytest

from accounts.actors import Actor
from accounts.models import Staff
from keys.ledger.drain import drain_all
from plans import services
from tests.browser.browsing import FIND, at_the_desk, browsing, faults, log_in, photograph
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

pytestmark = pytest.mark.guide


def test_a_customer_is_found_by_an_address(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    alice.key(user=alice.user(alice.plan(), email="uma@example.com"))
    with at_the_desk(server) as (page, hand):
        hand.type(FIND, "Uma@example.com")
        photograph(page, "customer-found")
        hand.click("Uma")
        assert page.input_value("[name=email]") == "uma@example.com"
        assert "example.com" not in page.url


def test_who_changed_a_plan_is_seen(server: LiveServer, alice: Tenant, staff: Staff) -> None:
    plan = alice.plan(100)
    services.update_plan(plan, by=Actor.staff("kim", address="192.0.2.7"), max_requests=500)
    with at_the_desk(server) as (page, hand):
        hand.click("Plans")
        hand.click("Gold")
        hand.clicks += 1
        page.click("a[href$='/history/']")
        page.wait_for_load_state()
        change = page.locator("#result_list tbody tr", has_text="plan changed").inner_text()
        photograph(page, "plan-changes")
        assert "log" not in page.inner_text("#result_list")
        assert faults(page) == []
    assert all(told in change for told in ("kim", "192.0.2.7", "max requests: 100 → 500")), change


def test_the_home_page_tells_what_goes_on(api: ApiClient, server: LiveServer, alice: Tenant, staff: Staff) -> None:
    issued = alice.key(user=alice.user(alice.plan(3)))
    for _ in range(5):
        api.validate(alice, issued.secret)
    drain_all(for_s=5)
    with browsing(server) as page:
        log_in(page)
        page.wait_for_selector("canvas[data-limitly-chart]")
        text = " ".join(page.inner_text("body").split())
        photograph(page, "home")
    assert "Decisions 5" in text
    assert "Allowed 3 60.00 % Denied 2 40.00 %" in text
